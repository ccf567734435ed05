"""Random numbers that the standard distributions are made of, with relative precision in both tails.

A uniform of 24 bits ends at 6e-8 and includes zero, and so do the tails that are made of it. Here uniforms come with
their complement, each with a float's relative precision and never zero. All functions take a key and a shape.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from energylang.lower.operations import JAX, compute

Shape = tuple[int, ...]

LARGEST_COUNT = 2**31 - 128
"""The largest count that is drawn: int32, and a float32."""


def fold(key: Array, number: int | Array) -> Array:
    return jax.random.fold_in(key, number)


def uniform(key: Array, shape: Shape) -> tuple[Array, Array]:
    """(U, 1 - U), of 64 bits: the smaller of the two is right to a float's precision."""
    bits = jax.random.bits(key, (2, *shape), jnp.uint32)
    kind = jnp.result_type(float)

    def part(high: Array, low: Array) -> Array:
        return (high.astype(kind) + (low.astype(kind) + 0.5) * 2.0**-32) * 2.0**-32

    return part(bits[0], bits[1]), part(~bits[0], ~bits[1])


def _symmetric(key: Array, shape: Shape, lower: Any) -> Array:
    """A law symmetric around zero by its quantile function for probabilities up to a half."""
    u, v = uniform(key, shape)
    size = lower(jnp.minimum(jnp.minimum(u, v), 0.5))
    return jnp.where(u < v, size, -size)


def normal(key: Array, shape: Shape) -> Array:
    return _symmetric(key, shape, jax.scipy.special.ndtri)


def cauchy(key: Array, shape: Shape) -> Array:
    return _symmetric(key, shape, lambda p: -1.0 / jnp.tan(jnp.pi * p))


def laplace(key: Array, shape: Shape) -> Array:
    return _symmetric(key, shape, lambda p: jnp.log(2.0 * p))


def logistic(key: Array, shape: Shape) -> Array:
    u, v = uniform(key, shape)
    return jnp.log(u) - jnp.log(v)


def exponential(key: Array, shape: Shape) -> Array:
    u, v = uniform(key, shape)
    return jnp.where(u < 0.5, -jnp.log(u), -jnp.log1p(-jnp.minimum(v, 0.5)))


def gumbel(key: Array, shape: Shape) -> Array:
    return -jnp.log(exponential(key, shape))


def log_gamma(key: Array, alpha: Array) -> Array:
    """The log of a gamma variate of shape alpha and rate 1: in logs, since small shapes underflow.

    G(alpha) = G(alpha + 1) U^(1/alpha) for shapes below 1 (Marsaglia and Tsang 2000, section 6).
    """
    small = alpha < 1.0
    whole = jax.random.loggamma(fold(key, 0), jnp.where(small, alpha + 1.0, alpha))
    step = exponential(fold(key, 1), alpha.shape) / jnp.where(small, alpha, 1.0)
    return whole - jnp.where(small, step, 0.0)


def counts(value: Array) -> Array:
    """Reals that are whole numbers, as int32."""
    return jnp.clip(value, 0.0, LARGEST_COUNT).astype(jnp.int32)


def poisson(key: Array, mean: Array) -> Array:
    """Poisson variates, as reals: arrivals counted for means below 10, transformed rejection PTRS above.

    Source: Hörmann 1993, "The transformed rejection method for generating Poisson random variables". The density is
    computed without cancellation, so that large means keep their law in float32.
    """
    small = mean < 10.0
    few = _arrivals(fold(key, 0), jnp.where(small, mean, 0.0))
    return jnp.where(small, few, _poisson_by_rejection(fold(key, 1), jnp.where(small, 10.0, mean), small))


def _arrivals(key: Array, mean: Array) -> Array:
    """How many arrivals of rate 1 happen before `mean`."""

    def going(state: tuple[Array, Array, Array]) -> Array:
        return jnp.any(state[1] < mean)

    def step(state: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        number, time, found = state
        time = time + exponential(fold(key, number), mean.shape)
        return number + 1, time, found + (time < mean)

    zero = jnp.zeros_like(mean)
    return jax.lax.while_loop(going, step, (jnp.asarray(0), zero, zero))[2]


def _poisson_by_rejection(key: Array, mean: Array, done: Array) -> Array:
    b = 0.931 + 2.53 * jnp.sqrt(mean)
    a = -0.059 + 0.02483 * b
    inverse_alpha = 1.1239 + 1.1328 / (b - 3.4)
    squeeze = 0.9277 - 3.6224 / (b - 2.0)

    def propose(u: Array, v: Array, us: Array) -> tuple[Array, Array]:
        k = jnp.floor((2.0 * a / us + b) * u + mean + 0.43)
        inside = jnp.maximum(k, 0.0)
        log_mass = -compute(JAX, "stirling_excess", [inside], ()) - compute(JAX, "kl_div", [inside, mean], ())
        right = jnp.log(v) + jnp.log(inverse_alpha) - jnp.log(a / us**2 + b) <= log_mass
        return k, ((us >= 0.07) & (v <= squeeze)) | ((k >= 0.0) & right)

    return _rejection(key, propose, done)


def _rejection(key: Array, propose: Any, done: Array) -> Array:
    """Proposals until every element has one: `propose(U - 1/2, V, 1/2 - |U - 1/2|)` gives (value, whether taken)."""

    def step(state: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        number, found, taken = state
        low, high = uniform(fold(fold(key, number), 0), done.shape)
        us = jnp.minimum(low, high)
        u = jnp.where(low < high, us - 0.5, 0.5 - us)
        value, accepted = propose(u, uniform(fold(fold(key, number), 1), done.shape)[0], us)
        return number + 1, jnp.where(accepted & ~taken, value, found), taken | accepted

    start = (jnp.asarray(0), jnp.zeros(done.shape, jnp.result_type(float)), done)
    return jax.lax.while_loop(lambda state: ~jnp.all(state[2]), step, start)[1]
