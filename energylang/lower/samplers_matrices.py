"""Draws of Cholesky factors of correlation and covariance matrices: these need the size of the event too."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax.numpy as jnp
from jax import Array
from jax.scipy.linalg import solve_triangular

from energylang.lower import noise
from energylang.lower.noise import Shape, fold
from energylang.lower.sampler import real

MatrixSampler = Callable[[Array, Mapping[str, Any], Shape, Shape], Array]
"""As `Sampler`, with the event's shape (k, k) last."""


def _lkj_corr_cholesky(key: Array, arguments: Mapping[str, Any], batch: Shape, event: Shape) -> Array:
    """By partial correlations on a C-vine (Lewandowski, Kurowicka and Joe 2009, section 2.4): those given j others are
    2 Beta(b, b) - 1 with b = eta + (k - 2 - j) / 2; from the log odds x of a beta they are tanh(x / 2)."""
    k = event[-1]
    eta = jnp.broadcast_to(real(arguments["eta"]), batch)[..., None, None]
    shape = jnp.broadcast_to(eta + 0.5 * (k - 2 - jnp.arange(k)), (*batch, k, k))
    # Entries on and above the diagonal stand for nothing; there the shape is only kept positive.
    shape = jnp.maximum(shape, 0.5 * jnp.finfo(shape.dtype).eps)
    half = 0.5 * (noise.log_gamma(fold(key, 0), shape) - noise.log_gamma(fold(key, 1), shape))
    below = jnp.tril(jnp.ones((k, k), bool), -1)
    half = jnp.where(below, half, 0.0)
    left = jnp.cumprod(1.0 / jnp.cosh(half), axis=-1)
    before = jnp.concatenate([jnp.ones_like(left[..., :1]), left[..., :-1]], axis=-1)
    return jnp.where(below, jnp.tanh(half) * before, jnp.where(jnp.eye(k, dtype=bool), before, 0.0))


def _bartlett(key: Array, nu: Array, k: int, batch: Shape, turned: bool) -> Array:
    """The triangular factor of a Wishart matrix of unit scale (Bartlett 1933): lower, or upper where `turned`."""
    nu = jnp.broadcast_to(nu, batch)[..., None]
    lost = jnp.arange(k - 1, -1, -1) if turned else jnp.arange(k)
    root = jnp.exp(0.5 * (jnp.log(2.0) + noise.log_gamma(fold(key, 0), 0.5 * (nu - lost))))
    normal = noise.normal(fold(key, 1), (*batch, k, k))
    triangle = jnp.triu(normal, 1) if turned else jnp.tril(normal, -1)
    return triangle + jnp.eye(k, dtype=normal.dtype) * root[..., None, :]


def _wishart_cholesky(key: Array, arguments: Mapping[str, Any], batch: Shape, event: Shape) -> Array:
    scale = jnp.tril(real(arguments["L_S"]))
    return scale @ _bartlett(key, real(arguments["nu"]), event[-1], batch, False)


def _inv_wishart_cholesky(key: Array, arguments: Mapping[str, Any], batch: Shape, event: Shape) -> Array:
    """With U upper and U U' Wishart of unit scale, L_S U'^-1 is lower and its square one over a Wishart matrix."""
    upper = _bartlett(key, real(arguments["nu"]), event[-1], batch, True)
    scale = jnp.broadcast_to(jnp.tril(real(arguments["L_S"])), upper.shape)
    return jnp.tril(jnp.swapaxes(solve_triangular(upper, jnp.swapaxes(scale, -1, -2), lower=False), -1, -2))


MATRICES: dict[str, MatrixSampler] = {
    "lkj_corr_cholesky": _lkj_corr_cholesky,
    "wishart_cholesky": _wishart_cholesky,
    "inv_wishart_cholesky": _inv_wishart_cholesky,
}
