"""What a chain carries from step to step, and the names of its leaves in programs and checkpoints."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array


class Carry(NamedTuple):
    """One chain between steps; every leaf an array.

    Of an ensemble each chain has a copy of the one `tune` and `memory`, so that a checkpoint is what it is elsewhere.
    """

    chain: Array
    state: Any
    tune: Any
    memory: Any


def leaves(tree: Any) -> dict[str, Any]:
    """Leaves by path, in the tree's order."""
    return {f"state{jax.tree_util.keystr(path)}": leaf for path, leaf in jax.tree_util.tree_leaves_with_path(tree)}


def strong(tree: Any) -> Any:
    """Every leaf a strongly typed array, so that what comes out of a program can go back in."""
    return jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.asarray(leaf).dtype), tree)
