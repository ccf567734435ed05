"""The nets inside of layers: multilayer perceptrons with rows last, whose last layer starts at zero."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from math import sqrt

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from energylang.lower.flows.bijection import Leaf, Params

ACTIVATIONS = {"relu": jax.nn.relu, "tanh": jnp.tanh, "swish": jax.nn.swish}


def leaves(
    inputs: int, hidden: Sequence[int], outputs: int, act: str, masks: Sequence[np.ndarray] = ()
) -> dict[str, Leaf]:
    """`weight{i}: [from, to]` and `bias{i}: [to]`. Weights start as those of `mlp` do, the last layer at zero.

    masks: which weights of a layer count, so that scales are those of what an entry really reads.
    """
    gain = 1.0 if act == "tanh" else sqrt(2.0)
    found: dict[str, Leaf] = {}
    widths = (inputs, *hidden, outputs)
    for i, (inside, outside) in enumerate(pairwise(widths)):
        last = i == len(widths) - 2
        read = max(float(np.mean(np.sum(masks[i], axis=0))), 1.0) if masks else max(inside, 1)
        found[f"weight{i}"] = Leaf((inside, outside), 0.0 if last else ("normal", 0.0, gain / sqrt(read)))
        found[f"bias{i}"] = Leaf((outside,))
    return found


def value(params: Params, x: Array, act: str, masks: Sequence[np.ndarray] = ()) -> Array:
    """float[outputs, B] of float[inputs, B]."""
    count = sum(name.startswith("weight") for name in params)
    for i in range(count):
        weight = params[f"weight{i}"] if not masks else params[f"weight{i}"] * masks[i]
        x = weight.T @ x + params[f"bias{i}"][:, None]
        if i < count - 1:
            x = ACTIVATIONS[act](x)
    return x


def beside(x: Array, conditions: Array | None) -> Array:
    """The inputs of a net: entries, then conditions."""
    return x if conditions is None else jnp.concatenate([x, conditions])


def own(params: Params) -> Mapping[str, Array]:
    """Those leaves of a layer that are its net's."""
    return {name: leaf for name, leaf in params.items() if name.startswith(("weight", "bias"))}
