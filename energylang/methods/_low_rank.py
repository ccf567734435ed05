"""A root of the covariance that is diagonal but for a few directions, learned from draws and gradients."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from energylang.methods._adaptation import Moments, no_moments, observe

KEPT = 128
"""Draws of a window that directions are learned from: its last ones."""
RANK = 16
"""Directions taken from the draws, and as many from the gradients."""
PLAIN = 2.0
"""Variances of the scaled space between 1 / PLAIN and PLAIN are left alone, as nutpie does: they may be noise, and cost little."""
PRIOR = 1.0
"""Draws that the unit matrix is worth, in the scaled space: a first window of 25 draws does not span all directions."""


class LowRank(NamedTuple):
    """scale * (I + U (factors - 1) U^T): scale float[R], U float[R, K] with orthonormal columns, factors float[K]."""

    scale: Array
    directions: Array
    factors: Array

    def forward(self, vector: Array) -> Array:
        return self.scale * self._inner(vector)

    def backward(self, gradient: Array) -> Array:
        return self._inner(self.scale * gradient)

    def _inner(self, vector: Array) -> Array:
        return vector + self.directions @ ((self.factors - 1.0) * (vector @ self.directions))


class Seen(NamedTuple):
    """Of a slow window: moments of draws and of gradients, and the last KEPT of both, float[KEPT, R], the first of them at 0."""

    draws: Moments
    gradients: Moments
    last_draws: Array
    last_gradients: Array


def plain(reals: int) -> LowRank:
    """The unit matrix."""
    columns = min(2 * RANK, reals)
    return LowRank(jnp.ones(reals), jnp.eye(reals, columns), jnp.ones(columns))


def nothing_seen(reals: int) -> Seen:
    none = no_moments(reals, dense=False)
    return Seen(none, none, jnp.zeros((KEPT, reals)), jnp.zeros((KEPT, reals)))


def see(seen: Seen, real: Array, gradient: Array) -> Seen:
    """With one more draw, float[R], and the gradient there."""
    place = seen.draws.count.astype(jnp.int32) % KEPT
    return Seen(
        observe(seen.draws, real),
        observe(seen.gradients, gradient),
        seen.last_draws.at[place].set(real),
        seen.last_gradients.at[place].set(gradient),
    )


def learned(seen: Seen) -> LowRank:
    """The root that makes draws and gradients alike: it minimises the Fisher divergence between the law and a normal one.

    Seyboldt, Carlson and Carpenter 2026, arXiv:2603.18845 (nutpie). Scales are (var x / var g)^(1/4) (their diagonal case).
    In the space so scaled the directions are those in which draws vary most and those in which gradients do; among them the
    covariance S solves S G S = X, with G and X the covariances of gradients and draws: the geometric mean of X and G^-1. Of a
    normal law gradients are linear in draws, so that the noise of both is the same and cancels.
    """
    ratio = seen.draws.squares / seen.gradients.squares
    scale = jnp.where(jnp.isfinite(ratio) & (ratio > 0), ratio, 1.0) ** 0.25
    count = jnp.minimum(seen.draws.count, KEPT)
    there = (jnp.arange(KEPT) < count)[:, None]

    def centred(rows: Array) -> Array:
        return jnp.where(there, rows - jnp.sum(jnp.where(there, rows, 0.0), axis=0) / jnp.maximum(count, 1.0), 0.0)

    draws, gradients = centred(seen.last_draws) / scale, centred(seen.last_gradients) * scale
    columns = min(2 * RANK, scale.shape[0])
    basis = jnp.linalg.qr(jnp.concatenate([_leading(draws), _leading(gradients)], axis=1))[0][:, :columns]
    x, g = (_covariance(rows @ basis, count) for rows in (draws, gradients))
    root_g, inverse_g = _powers(g, 0.5, -0.5)
    (middle,) = _powers(root_g @ x @ root_g, 0.5)
    variances, turned = jnp.linalg.eigh(inverse_g @ middle @ inverse_g)
    variances = jnp.where((variances > PLAIN) | (variances < 1.0 / PLAIN), variances, 1.0)
    found = LowRank(scale, basis @ turned, jnp.sqrt(variances))
    sound = jnp.all(jnp.stack([jnp.all(jnp.isfinite(leaf)) for leaf in found]))
    diagonal = plain(scale.shape[0])._replace(scale=scale)
    return jax.tree.map(lambda new, old: jnp.where(sound, new, old), found, diagonal)


def _leading(rows: Array) -> Array:
    """float[R, RANK]: the directions in which rows, float[KEPT, R], vary most."""
    _, vectors = jnp.linalg.eigh(rows @ rows.T)
    return rows.T @ vectors[:, -min(RANK, rows.shape[1]) :]


def _covariance(rows: Array, count: Array) -> Array:
    return (rows.T @ rows + PRIOR * jnp.eye(rows.shape[1])) / (count + PRIOR)


def _powers(matrix: Array, *exponents: float) -> list[Array]:
    values, vectors = jnp.linalg.eigh(matrix)
    values = jnp.maximum(values, jnp.finfo(values.dtype).tiny)
    return [(vectors * values**exponent) @ vectors.T for exponent in exponents]
