"""Exact draws from the distributions of the standard library, vectorised over their batch.

A sampler takes a key, the conditions by name (each of shape batch_i + event, batch_i broadcasting to the batch) and the
batch shape; it returns batch + event of the variable: int32 for discrete variables, in the language's values, and the
default float type otherwise. What a float cannot hold is the nearest number inside the support.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from energylang.lower import noise
from energylang.lower.noise import Shape, fold

Sampler = Callable[[Array, Mapping[str, Any], Shape], Array]


def _real(value: Any, shape: Shape) -> Array:
    return jnp.broadcast_to(jnp.asarray(value, jnp.result_type(float)), shape)


def _scalars(draw: Callable[..., Array], *names: str) -> Sampler:
    """A sampler of single numbers: `draw(key, shape, *arguments)` with the arguments at full shape."""

    def sampler(key: Array, arguments: Mapping[str, Any], batch: Shape) -> Array:
        return draw(key, batch, *(_real(arguments[name], batch) for name in names))

    return sampler


def _bounds() -> tuple[float, float, float]:
    """(the smallest positive number, the largest number, the largest number below 1)."""
    info = jnp.finfo(jnp.result_type(float))
    return float(info.tiny), float(info.max), 1.0 - float(info.epsneg)


def _finite(x: Array) -> Array:
    largest = _bounds()[1]
    return jnp.clip(x, -largest, largest)


def _positive(x: Array) -> Array:
    tiny, largest, _ = _bounds()
    return jnp.clip(x, tiny, largest)


def _unit(x: Array) -> Array:
    tiny, _, below = _bounds()
    return jnp.clip(x, tiny, below)


def _family(noise_of: Callable[[Array, Shape], Array], scale: str = "sigma") -> Sampler:
    """A location and scale family."""
    return _scalars(lambda key, shape, mu, sigma: _finite(mu + sigma * noise_of(key, shape)), "mu", scale)


def _t(key: Array, nu: Array) -> Array:
    """Student's t by its mixture of normals: in logs, since for few degrees of freedom gammas underflow."""
    log_gamma = noise.log_gamma(fold(key, 0), 0.5 * nu)
    return noise.normal(fold(key, 1), nu.shape) * jnp.exp(0.5 * (jnp.log(0.5 * nu) - log_gamma))


def _student_t(key: Array, shape: Shape, nu: Array, mu: Array, sigma: Array) -> Array:
    return _finite(mu + sigma * _t(key, nu))


def _half_student_t(key: Array, shape: Shape, nu: Array, sigma: Array) -> Array:
    return _positive(sigma * jnp.abs(_t(key, nu)))


def _half(noise_of: Callable[[Array, Shape], Array]) -> Sampler:
    return _scalars(lambda key, shape, sigma: _positive(sigma * jnp.abs(noise_of(key, shape))), "sigma")


def _lognormal(key: Array, shape: Shape, mu: Array, sigma: Array) -> Array:
    return _positive(jnp.exp(mu + sigma * noise.normal(key, shape)))


def _exponential(key: Array, shape: Shape, beta: Array) -> Array:
    return _positive(noise.exponential(key, shape) / beta)


def _gamma(key: Array, shape: Shape, alpha: Array, beta: Array) -> Array:
    return _positive(jnp.exp(noise.log_gamma(key, alpha) - jnp.log(beta)))


def _inverse_gamma(key: Array, shape: Shape, alpha: Array, beta: Array) -> Array:
    return _positive(jnp.exp(jnp.log(beta) - noise.log_gamma(key, alpha)))


def _weibull(key: Array, shape: Shape, alpha: Array, sigma: Array) -> Array:
    return _positive(jnp.exp(jnp.log(sigma) + jnp.log(noise.exponential(key, shape)) / alpha))


def _beta(key: Array, shape: Shape, alpha: Array, beta: Array) -> Array:
    log_odds = noise.log_gamma(fold(key, 0), alpha) - noise.log_gamma(fold(key, 1), beta)
    return _unit(jax.nn.sigmoid(log_odds))


def _uniform(key: Array, shape: Shape, alpha: Array, beta: Array) -> Array:
    u, v = noise.uniform(key, shape)
    inside = jnp.where(u < v, alpha + (beta - alpha) * u, beta - (beta - alpha) * v)
    return jnp.clip(inside, jnp.nextafter(alpha, beta), jnp.nextafter(beta, alpha))


def _bernoulli(key: Array, shape: Shape, theta: Array) -> Array:
    u, v = noise.uniform(key, shape)
    return jnp.where(u < v, u < theta, v > 1.0 - theta).astype(jnp.int32)


def _bernoulli_logit(key: Array, shape: Shape, alpha: Array) -> Array:
    return (alpha + noise.logistic(key, shape) > 0.0).astype(jnp.int32)


def _categorical_of(name: str, log_weights: Callable[[Array], Array]) -> Sampler:
    """The largest of Gumbel variates moved by log weights (Gumbel 1954; Maddison et al. 2014)."""

    def sampler(key: Array, arguments: Mapping[str, Any], batch: Shape) -> Array:
        given = jnp.asarray(arguments[name], jnp.result_type(float))
        size = given.shape[-1]
        moved = log_weights(given) + noise.gumbel(key, (*batch, size))
        return jnp.argmax(moved, axis=-1).astype(jnp.int32)

    return sampler


def _poisson(key: Array, shape: Shape, rate: Array) -> Array:
    return noise.counts(noise.poisson(key, rate))


def _poisson_log(key: Array, shape: Shape, alpha: Array) -> Array:
    return _poisson(key, shape, jnp.minimum(jnp.exp(alpha), 2.0 * noise.LARGEST_COUNT))


def _dirichlet(key: Array, arguments: Mapping[str, Any], batch: Shape) -> Array:
    alpha = jnp.asarray(arguments["alpha"], jnp.result_type(float))
    logs = noise.log_gamma(key, jnp.broadcast_to(alpha, (*batch, alpha.shape[-1])))
    return _positive(jax.nn.softmax(logs, axis=-1))


SAMPLERS: dict[str, Sampler] = {
    "normal": _family(noise.normal),
    "student_t": _scalars(_student_t, "nu", "mu", "sigma"),
    "cauchy": _family(noise.cauchy),
    "laplace": _family(noise.laplace),
    "logistic": _family(noise.logistic),
    "gumbel": _family(noise.gumbel, scale="beta"),
    "half_normal": _half(noise.normal),
    "half_student_t": _scalars(_half_student_t, "nu", "sigma"),
    "half_cauchy": _half(noise.cauchy),
    "lognormal": _scalars(_lognormal, "mu", "sigma"),
    "exponential": _scalars(_exponential, "beta"),
    "gamma": _scalars(_gamma, "alpha", "beta"),
    "inverse_gamma": _scalars(_inverse_gamma, "alpha", "beta"),
    "weibull": _scalars(_weibull, "alpha", "sigma"),
    "beta": _scalars(_beta, "alpha", "beta"),
    "uniform": _scalars(_uniform, "alpha", "beta"),
    "bernoulli": _scalars(_bernoulli, "theta"),
    "bernoulli_logit": _scalars(_bernoulli_logit, "alpha"),
    "categorical": _categorical_of("theta", jnp.log),
    "categorical_logit": _categorical_of("beta", lambda x: x),
    "poisson": _scalars(_poisson, "lambda"),
    "poisson_log": _scalars(_poisson_log, "alpha"),
    "dirichlet": _dirichlet,
}
"""By the name of the distribution. The same names, without JAX, stand in `energylang.check.draws`."""
