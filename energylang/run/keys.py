"""Random keys of a run: what each is for, and how it is derived."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from energylang.model import PRNGKey

INITIAL, START, STEP, PREPARE, PARTICLE, BATCH, LOSS, OUTPUT, SEARCH, BEGIN, SPLIT, HELD = range(12)
"""Roles: the first number folded into the root. Starting points, the kernel's own start, its steps; what particles
share, one particle; the rows of a minibatch, one loss; what is drawn given a draw, by chain and step or by particle; the search
for a starting point, by chain and path; what a model takes from the first rows that it is trained on; the rows
that are held out of training, and a loss on those."""

IMPLEMENTATION = "threefry2x32"


def root_data(seed: int) -> np.ndarray:
    """uint32[2], the root key of a seed in [0, 2^63) as threefry's two words; no program is compiled for it."""
    return np.array([seed >> 32 & 0xFFFFFFFF, seed & 0xFFFFFFFF], np.uint32)


def root_key(data: np.ndarray | jax.Array) -> PRNGKey:
    """The typed key of `root_data`, inside a program; the implementation is named so that no default changes draws."""
    return jax.random.wrap_key_data(jnp.asarray(data), impl=IMPLEMENTATION)
