"""Exact draws from the distributions of the standard library, vectorised over their batch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from energylang.lower import noise
from energylang.lower.noise import Shape, fold
from energylang.lower.sampler import Sampler, clip_finite, clip_positive, clip_unit, scalars
from energylang.lower.samplers_counts import COUNTS
from energylang.lower.samplers_matrices import MATRICES
from energylang.lower.samplers_vectors import VECTORS


def _family(noise_of: Callable[[Array, Shape], Array], scale: str = "sigma") -> Sampler:
    """A location and scale family."""
    return scalars(lambda key, shape, mu, sigma: clip_finite(mu + sigma * noise_of(key, shape)), "mu", scale)


def _t(key: Array, nu: Array) -> Array:
    """Student's t by its mixture of normals: in logs, since for few degrees of freedom gammas underflow."""
    log_gamma = noise.log_gamma(fold(key, 0), 0.5 * nu)
    return noise.normal(fold(key, 1), nu.shape) * jnp.exp(0.5 * (jnp.log(0.5 * nu) - log_gamma))


def _student_t(key: Array, shape: Shape, nu: Array, mu: Array, sigma: Array) -> Array:
    return clip_finite(mu + sigma * _t(key, nu))


def _half_student_t(key: Array, shape: Shape, nu: Array, sigma: Array) -> Array:
    return clip_positive(sigma * jnp.abs(_t(key, nu)))


def _half(noise_of: Callable[[Array, Shape], Array]) -> Sampler:
    return scalars(lambda key, shape, sigma: clip_positive(sigma * jnp.abs(noise_of(key, shape))), "sigma")


def _lognormal(key: Array, shape: Shape, mu: Array, sigma: Array) -> Array:
    return clip_positive(jnp.exp(mu + sigma * noise.normal(key, shape)))


def _exponential(key: Array, shape: Shape, beta: Array) -> Array:
    return clip_positive(noise.exponential(key, shape) / beta)


def _gamma(key: Array, shape: Shape, alpha: Array, beta: Array) -> Array:
    return clip_positive(jnp.exp(noise.log_gamma(key, alpha) - jnp.log(beta)))


def _inverse_gamma(key: Array, shape: Shape, alpha: Array, beta: Array) -> Array:
    return clip_positive(jnp.exp(jnp.log(beta) - noise.log_gamma(key, alpha)))


def _weibull(key: Array, shape: Shape, alpha: Array, sigma: Array) -> Array:
    return clip_positive(jnp.exp(jnp.log(sigma) + jnp.log(noise.exponential(key, shape)) / alpha))


def _beta(key: Array, shape: Shape, alpha: Array, beta: Array) -> Array:
    log_odds = noise.log_gamma(fold(key, 0), alpha) - noise.log_gamma(fold(key, 1), beta)
    return clip_unit(jax.nn.sigmoid(log_odds))


def _uniform(key: Array, shape: Shape, alpha: Array, beta: Array) -> Array:
    u, v = noise.uniform(key, shape)
    inside = jnp.where(u < v, alpha + (beta - alpha) * u, beta - (beta - alpha) * v)
    return jnp.clip(inside, jnp.nextafter(alpha, beta), jnp.nextafter(beta, alpha))


def _von_mises(key: Array, shape: Shape, mu: Array, kappa: Array) -> Array:
    angle = noise.von_mises(key, kappa) + jnp.remainder(mu + jnp.pi, 2.0 * jnp.pi) - jnp.pi
    wrapped = jnp.where(angle > jnp.pi, angle - 2.0 * jnp.pi, jnp.where(angle < -jnp.pi, angle + 2.0 * jnp.pi, angle))
    edge = jnp.nextafter(jnp.asarray(jnp.pi, wrapped.dtype), 0.0)
    return jnp.clip(wrapped, -edge, edge)


def _skew_normal(key: Array, shape: Shape, xi: Array, omega: Array, alpha: Array) -> Array:
    size = jnp.abs(noise.normal(fold(key, 0), shape))
    free = noise.normal(fold(key, 1), shape)
    length = jnp.hypot(1.0, alpha)
    return clip_finite(xi + omega * (size * (alpha / length) + free / length))


def _exp_mod_normal(key: Array, shape: Shape, mu: Array, sigma: Array, rate: Array) -> Array:
    return mu + sigma * noise.normal(fold(key, 0), shape) + noise.exponential(fold(key, 1), shape) / rate


def _pareto_type_2(key: Array, shape: Shape, mu: Array, scale: Array, alpha: Array) -> Array:
    return jnp.maximum(mu, clip_finite(mu + scale * jnp.expm1(noise.exponential(key, shape) / alpha)))


def _pareto(key: Array, shape: Shape, y_min: Array, alpha: Array) -> Array:
    return jnp.maximum(y_min, clip_positive(jnp.exp(jnp.log(y_min) + noise.exponential(key, shape) / alpha)))


def _frechet(key: Array, shape: Shape, alpha: Array, sigma: Array) -> Array:
    return clip_positive(jnp.exp(jnp.log(sigma) - jnp.log(noise.exponential(key, shape)) / alpha))


def _rayleigh(key: Array, shape: Shape, sigma: Array) -> Array:
    return clip_positive(sigma * jnp.sqrt(2.0 * noise.exponential(key, shape)))


def _loglogistic(key: Array, shape: Shape, alpha: Array, beta: Array) -> Array:
    return clip_positive(jnp.exp(jnp.log(alpha) + noise.logistic(key, shape) / beta))


def _chi_square(key: Array, shape: Shape, nu: Array) -> Array:
    return _gamma(key, shape, 0.5 * nu, jnp.full_like(nu, 0.5))


def _inv_chi_square(key: Array, shape: Shape, nu: Array) -> Array:
    return _inverse_gamma(key, shape, 0.5 * nu, jnp.full_like(nu, 0.5))


def _scaled_inv_chi_square(key: Array, shape: Shape, nu: Array, sigma: Array) -> Array:
    return _inverse_gamma(key, shape, 0.5 * nu, 0.5 * nu * sigma**2)


def _beta_proportion(key: Array, shape: Shape, mu: Array, kappa: Array) -> Array:
    return _beta(key, shape, mu * kappa, (1.0 - mu) * kappa)


SAMPLERS: dict[str, Sampler] = {
    "normal": _family(noise.normal),
    "std_normal": lambda key, arguments, batch: noise.normal(key, batch),
    "student_t": scalars(_student_t, "nu", "mu", "sigma"),
    "cauchy": _family(noise.cauchy),
    "laplace": _family(noise.laplace),
    "logistic": _family(noise.logistic),
    "gumbel": _family(noise.gumbel, scale="beta"),
    "skew_normal": scalars(_skew_normal, "xi", "omega", "alpha"),
    "exp_mod_normal": scalars(_exp_mod_normal, "mu", "sigma", "lambda"),
    "pareto_type_2": scalars(_pareto_type_2, "mu", "lambda", "alpha"),
    "half_normal": _half(noise.normal),
    "half_student_t": scalars(_half_student_t, "nu", "sigma"),
    "half_cauchy": _half(noise.cauchy),
    "lognormal": scalars(_lognormal, "mu", "sigma"),
    "exponential": scalars(_exponential, "beta"),
    "gamma": scalars(_gamma, "alpha", "beta"),
    "inverse_gamma": scalars(_inverse_gamma, "alpha", "beta"),
    "chi_square": scalars(_chi_square, "nu"),
    "inv_chi_square": scalars(_inv_chi_square, "nu"),
    "scaled_inv_chi_square": scalars(_scaled_inv_chi_square, "nu", "sigma"),
    "weibull": scalars(_weibull, "alpha", "sigma"),
    "frechet": scalars(_frechet, "alpha", "sigma"),
    "rayleigh": scalars(_rayleigh, "sigma"),
    "loglogistic": scalars(_loglogistic, "alpha", "beta"),
    "pareto": scalars(_pareto, "y_min", "alpha"),
    "beta": scalars(_beta, "alpha", "beta"),
    "beta_proportion": scalars(_beta_proportion, "mu", "kappa"),
    "uniform": scalars(_uniform, "alpha", "beta"),
    "von_mises": scalars(_von_mises, "mu", "kappa"),
    **COUNTS,
    **VECTORS,
}
"""By the name of the distribution. These names and those of `MATRICES`, without JAX, stand in `energylang.check.draws`."""


def draw(name: str, key: Array, arguments: Mapping[str, Any], shape: Shape, event_rank: int) -> Array:
    """An array of a shape, its last `event_rank` axes one event, drawn from the distribution of a name."""
    batch = shape[: len(shape) - event_rank]
    if name in MATRICES:
        return MATRICES[name](key, arguments, batch, shape[len(batch) :])
    return SAMPLERS[name](key, arguments, batch)
