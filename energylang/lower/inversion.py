"""Draws from unnormalised discrete laws by inversion of a uniform: no Gumbel noise for every outcome."""

from __future__ import annotations

from functools import reduce
from itertools import accumulate

import jax.numpy as jnp
from jax import Array

FEW_VALUES = 8
"""Outcomes up to which sums over them are written out: all becomes one loop over what is drawn, and nothing is stored."""


def _entries(table: Array) -> list[Array]:
    return [table[..., k] for k in range(table.shape[-1])]


def invert(weights: Array, uniform: Array) -> Array:
    """The outcome, int32, at which the cumulative weights pass a `uniform` of [0, 1).

    weights: float[..., n], none negative. An outcome of weight zero is never drawn unless all weights are zero.
    """
    if weights.shape[-1] <= FEW_VALUES:
        sums = list(accumulate(_entries(weights)))
        passed = [(s <= uniform * sums[-1]).astype(jnp.int32) for s in sums[:-1]]
        return sum(passed, jnp.zeros(jnp.broadcast_shapes(uniform.shape, weights.shape[:-1]), jnp.int32))
    cumulative = jnp.cumsum(weights, axis=-1)
    passed = cumulative <= (uniform * cumulative[..., -1])[..., None]
    return jnp.minimum(passed.sum(axis=-1, dtype=jnp.int32), weights.shape[-1] - 1)


def finite_peak(logits: Array) -> Array:
    """The largest logit along the last axis (kept), zero where all are minus infinity: subtract it before `exp`."""
    few = logits.shape[-1] <= FEW_VALUES
    peak = reduce(jnp.maximum, _entries(logits))[..., None] if few else logits.max(axis=-1, keepdims=True)
    return jnp.where(jnp.isfinite(peak), peak, 0.0)


def invert_logits(logits: Array, uniform: Array) -> Array:
    """Like `invert`, of log weights float[..., n]; two outcomes are drawn by one logistic."""
    if logits.shape[-1] == 2:
        # P(1) = 1 / (1 + exp(l0 - l1)); a uniform is below it with that probability, as [0, 1) holds 0 and not 1.
        return (uniform * (1.0 + jnp.exp(logits[..., 0] - logits[..., 1])) < 1.0).astype(jnp.int32)
    return invert(jnp.exp(logits - finite_peak(logits)), uniform)
