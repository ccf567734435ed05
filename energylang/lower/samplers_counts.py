"""Exact draws from discrete distributions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from energylang.lower import noise
from energylang.lower.noise import Shape, fold
from energylang.lower.sampler import Sampler, real, scalars


def _bernoulli(key: Array, shape: Shape, theta: Array) -> Array:
    u, v = noise.uniform(key, shape)
    return jnp.where(u < v, u < theta, v > 1.0 - theta).astype(jnp.int32)


def _bernoulli_logit(key: Array, shape: Shape, alpha: Array) -> Array:
    return (alpha + noise.logistic(key, shape) > 0.0).astype(jnp.int32)


def _categorical_of(name: str, log_weights: Callable[[Array], Array]) -> Sampler:
    """The largest of Gumbel variates moved by log weights (Gumbel 1954; Maddison et al. 2014)."""

    def sampler(key: Array, arguments: Mapping[str, Any], batch: Shape) -> Array:
        given = real(arguments[name])
        size = given.shape[-1]
        moved = log_weights(given) + noise.gumbel(key, (*batch, size))
        return jnp.argmax(moved, axis=-1).astype(jnp.int32)

    return sampler


def _poisson(key: Array, shape: Shape, rate: Array) -> Array:
    return noise.counts(noise.poisson(key, rate))


def _poisson_log(key: Array, shape: Shape, alpha: Array) -> Array:
    return _poisson(key, shape, jnp.minimum(jnp.exp(alpha), 2.0 * noise.LARGEST_COUNT))


def _ordered_logistic(key: Array, arguments: Mapping[str, Any], batch: Shape) -> Array:
    """How many cutpoints a logistic variate around eta exceeds."""
    latent = jnp.broadcast_to(real(arguments["eta"]), batch) + noise.logistic(key, batch)
    return jnp.sum(latent[..., None] > real(arguments["c"]), axis=-1).astype(jnp.int32)


def _binomial(key: Array, shape: Shape, trials: Array, theta: Array) -> Array:
    return noise.counts(noise.binomial(key, trials, theta, 1.0 - theta))


def _binomial_logit(key: Array, shape: Shape, trials: Array, alpha: Array) -> Array:
    return noise.counts(noise.binomial(key, trials, jax.nn.sigmoid(alpha), jax.nn.sigmoid(-alpha)))


def _beta_binomial(key: Array, shape: Shape, trials: Array, alpha: Array, beta: Array) -> Array:
    log_odds = noise.log_gamma(fold(key, 0), alpha) - noise.log_gamma(fold(key, 1), beta)
    return _binomial_logit(fold(key, 2), shape, trials, log_odds)


def _geometric(key: Array, shape: Shape, theta: Array) -> Array:
    return noise.counts(jnp.floor(noise.exponential(key, shape) / -jnp.log1p(-theta)))


def _neg_binomial_2_log(key: Array, shape: Shape, eta: Array, phi: Array) -> Array:
    """Poisson counts whose log mean is that of a gamma."""
    return _poisson_log(fold(key, 0), shape, eta + noise.log_gamma(fold(key, 1), phi) - jnp.log(phi))


def _neg_binomial_2(key: Array, shape: Shape, mu: Array, phi: Array) -> Array:
    return _neg_binomial_2_log(key, shape, jnp.log(mu), phi)


def _neg_binomial(key: Array, shape: Shape, alpha: Array, beta: Array) -> Array:
    return _neg_binomial_2_log(key, shape, jnp.log(alpha) - jnp.log(beta), alpha)


def _classes(log_weights: Callable[[Array, Mapping[str, Any], Shape], Array]) -> Sampler:
    """Trials that fall into k classes: each class takes a binomial part of what those before it left."""

    def sampler(key: Array, arguments: Mapping[str, Any], batch: Shape) -> Array:
        logs = log_weights(fold(key, 0), arguments, batch)
        logs = jnp.moveaxis(jnp.broadcast_to(logs, (*batch, logs.shape[-1])), -1, 0)
        after = jnp.roll(jax.lax.cumlogsumexp(logs, axis=0, reverse=True), -1, axis=0).at[-1].set(-jnp.inf)

        def step(left: Array, item: tuple[Array, Array, Array]) -> tuple[Array, Array]:
            number, log_weight, log_rest = item
            odds = jnp.where(log_rest == -jnp.inf, jnp.inf, log_weight - log_rest)
            taken = noise.binomial(fold(key, 1 + number), left, jax.nn.sigmoid(odds), jax.nn.sigmoid(-odds))
            return left - taken, taken

        trials = jnp.broadcast_to(real(arguments["N"]), batch)
        found = jax.lax.scan(step, trials, (jnp.arange(logs.shape[0]), logs, after))[1]
        return noise.counts(jnp.moveaxis(found, 0, -1))

    return sampler


def _log_dirichlet(key: Array, arguments: Mapping[str, Any], batch: Shape) -> Array:
    alpha = real(arguments["alpha"])
    return noise.log_gamma(key, jnp.broadcast_to(alpha, (*batch, alpha.shape[-1])))


COUNTS: dict[str, Sampler] = {
    "bernoulli": scalars(_bernoulli, "theta"),
    "bernoulli_logit": scalars(_bernoulli_logit, "alpha"),
    "categorical": _categorical_of("theta", jnp.log),
    "categorical_logit": _categorical_of("beta", lambda x: x),
    "ordered_logistic": _ordered_logistic,
    "binomial": scalars(_binomial, "N", "theta"),
    "binomial_logit": scalars(_binomial_logit, "N", "alpha"),
    "beta_binomial": scalars(_beta_binomial, "N", "alpha", "beta"),
    "geometric": scalars(_geometric, "theta"),
    "poisson": scalars(_poisson, "lambda"),
    "poisson_log": scalars(_poisson_log, "alpha"),
    "neg_binomial": scalars(_neg_binomial, "alpha", "beta"),
    "neg_binomial_2": scalars(_neg_binomial_2, "mu", "phi"),
    "neg_binomial_2_log": scalars(_neg_binomial_2_log, "eta", "phi"),
    "multinomial": _classes(lambda key, arguments, batch: jnp.log(real(arguments["theta"]))),
    "multinomial_logit": _classes(lambda key, arguments, batch: real(arguments["beta"])),
    "dirichlet_multinomial": _classes(_log_dirichlet),
}
