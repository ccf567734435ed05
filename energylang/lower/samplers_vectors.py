"""Exact draws from distributions of vectors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from energylang.lower import noise
from energylang.lower.noise import Shape, fold
from energylang.lower.sampler import Sampler, clip_finite, clip_positive, real


def _dirichlet(key: Array, arguments: Mapping[str, Any], batch: Shape) -> Array:
    alpha = real(arguments["alpha"])
    logs = noise.log_gamma(key, jnp.broadcast_to(alpha, (*batch, alpha.shape[-1])))
    return clip_positive(jax.nn.softmax(logs, axis=-1))


def _around(key: Array, mu: Array, lower: Array, batch: Shape) -> Array:
    """mu + L z, for standard normal z."""
    z = noise.normal(key, (*batch, mu.shape[-1]))
    return mu + jnp.einsum("...ij,...j->...i", lower, z)


def _multi_normal(key: Array, arguments: Mapping[str, Any], batch: Shape) -> Array:
    return _around(key, real(arguments["mu"]), jnp.linalg.cholesky(real(arguments["Sigma"])), batch)


def _multi_normal_cholesky(key: Array, arguments: Mapping[str, Any], batch: Shape) -> Array:
    return _around(key, real(arguments["mu"]), jnp.tril(real(arguments["L"])), batch)


def _multi_normal_precision(key: Array, arguments: Mapping[str, Any], batch: Shape) -> Array:
    """With Omega = L L', the solution x of L' x = z has covariance Omega^-1."""
    mu, omega = real(arguments["mu"]), real(arguments["Omega"])
    z = noise.normal(key, (*batch, mu.shape[-1]))
    lower = jnp.broadcast_to(jnp.linalg.cholesky(omega), (*batch, *omega.shape[-2:]))
    solved = jax.lax.linalg.triangular_solve(lower, z[..., None], left_side=True, lower=True, transpose_a=True)
    return mu + solved[..., 0]


def _multi_student_t(key: Array, arguments: Mapping[str, Any], batch: Shape) -> Array:
    half = 0.5 * jnp.broadcast_to(real(arguments["nu"]), batch)
    stretch = jnp.exp(0.5 * (jnp.log(half) - noise.log_gamma(fold(key, 0), half)))
    mu = real(arguments["mu"])
    offset = _around(fold(key, 1), jnp.zeros_like(mu), jnp.linalg.cholesky(real(arguments["Sigma"])), batch)
    return clip_finite(mu + stretch[..., None] * offset)


VECTORS: dict[str, Sampler] = {
    "dirichlet": _dirichlet,
    "multi_normal": _multi_normal,
    "multi_normal_cholesky": _multi_normal_cholesky,
    "multi_normal_precision": _multi_normal_precision,
    "multi_student_t": _multi_student_t,
}
