"""Draws from unnormalised discrete distributions by inversion: no Gumbel noise for every outcome of every draw."""

from __future__ import annotations

from math import isqrt
from typing import NamedTuple

import jax.numpy as jnp
from jax import Array


class Weights(NamedTuple):
    """Weights of n outcomes, folded into about sqrt(n) rows, and the sum of each row.

    Inversion in two levels, row and then place in the row, costs O(sqrt n) a draw and keeps the rounding error of
    float32 near sqrt(n) ulp of a probability, where one cumulative sum over all n outcomes would lose n ulp.

    rows: float[B, m], zero-padded. totals: float[B].
    """

    rows: Array
    totals: Array


def folded(weights: Array) -> Weights:
    """`Weights` of float[n], none negative."""
    count = weights.shape[0]
    width = max(1, isqrt(max(count - 1, 0)) + 1)
    height = max(1, -(-count // width))
    rows = jnp.pad(weights, (0, height * width - count)).reshape(height, width)
    return Weights(rows, rows.sum(axis=1))


def invert(weights: Array, uniform: Array) -> Array:
    """The outcome, int32, at which the cumulative weights pass a `uniform` of [0, 1).

    weights: float[..., n], none negative. An outcome of weight zero is never drawn unless all weights are zero.
    """
    cumulative = jnp.cumsum(weights, axis=-1)
    passed = cumulative <= (uniform * cumulative[..., -1])[..., None]
    return jnp.minimum(passed.sum(axis=-1, dtype=jnp.int32), weights.shape[-1] - 1)


def draw(weights: Weights, uniforms: Array) -> Array:
    """An outcome, int32, from two uniforms of [0, 1): float[2]."""
    row = invert(weights.totals, uniforms[0])
    return row * weights.rows.shape[1] + invert(weights.rows[row], uniforms[1])


def finite_peak(logits: Array) -> Array:
    """The largest logit along the last axis (kept), zero where all are minus infinity: subtract it before `exp`."""
    peak = logits.max(axis=-1, keepdims=True)
    return jnp.where(jnp.isfinite(peak), peak, 0.0)


def invert_logits(logits: Array, uniform: Array) -> Array:
    """Like `invert`, of log weights float[..., n]; two outcomes are drawn by one logistic."""
    if logits.shape[-1] == 2:
        # P(1) = 1 / (1 + exp(l0 - l1)); a uniform is below it with that probability, as [0, 1) holds 0 and not 1.
        return (uniform * (1.0 + jnp.exp(logits[..., 0] - logits[..., 1])) < 1.0).astype(jnp.int32)
    return invert(jnp.exp(logits - finite_peak(logits)), uniform)
