"""Random numbers that the standard distributions are made of, with relative precision in both tails.

A uniform of 24 bits ends at 6e-8 and includes zero, and so do the tails that are made of it. Here uniforms come with
their complement, each with a float's relative precision and never zero. All functions take a key and a shape.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from energylang.lower.operations import JAX, compute, stirling

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

    Source: Marsaglia and Tsang 2000, ACM TOMS 26(3); section 6 for shapes below 1: G(alpha) = G(alpha + 1) U^(1/alpha).
    """
    small = alpha < 1.0
    d = jnp.where(small, alpha + 1.0, alpha) - 1.0 / 3.0
    c = 1.0 / jnp.sqrt(9.0 * d)

    def propose(key: Array) -> tuple[Array, Array]:
        x = normal(fold(key, 0), alpha.shape)
        root = jnp.maximum(1.0 + c * x, 1e-6)
        log_ratio = 0.5 * x * x - compute(JAX, "kl_div", [d, d * root**3], ())
        taken = -exponential(fold(key, 1), alpha.shape) <= log_ratio
        return jnp.log(d) + 3.0 * jnp.log1p(c * x), taken & (1.0 + c * x > 1e-6)

    whole = _until_taken(fold(key, 0), propose, jnp.zeros(alpha.shape, bool))
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
    few = _arrivals(fold(key, 0), jnp.where(small, mean, 0.0), jnp.inf)
    return jnp.where(small, few, _poisson_by_rejection(fold(key, 1), jnp.where(small, 10.0, mean), small))


def binomial(key: Array, trials: Array, p: Array, q: Array) -> Array:
    """Binomial variates, as reals, with q = 1 - p: the rarer outcome is drawn.

    It is counted by its arrivals where its mean is below 10 (the order statistics of exponentials, Devroye 1986,
    section X.4.3), by transformed rejection BTRS above (Hörmann 1993, "The generation of binomial random variates").
    """
    rare = jnp.minimum(p, q)
    small = trials * rare < 10.0
    within = jnp.where(small, jnp.minimum(rare, 0.5), 0.0)
    few = _arrivals(fold(key, 0), -trials * jnp.log1p(-within), trials)
    many = _binomial_by_rejection(
        fold(key, 1),
        jnp.where(small, 20.0, trials),
        jnp.where(small, 0.5, rare),
        jnp.where(small, 0.5, 1.0 - rare),
        small,
    )
    found = jnp.where(small, few, many)
    return jnp.where(p <= q, found, trials - found)


def _arrivals(key: Array, until: Array, most: Array | float) -> Array:
    """How many of `most` arrive in time: the rate is the fraction of them that is still to come."""

    def going(state: tuple[Array, Array, Array]) -> Array:
        return jnp.any(state[1] < until)

    def step(state: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        number, time, found = state
        time = time + exponential(fold(key, number), until.shape) / (1.0 - number / most)
        return number + 1, time, found + (time < until)

    zero = jnp.zeros_like(until)
    return jax.lax.while_loop(going, step, (jnp.asarray(0), zero, zero))[2]


def _factorial_excess(k: Array) -> Array:
    """`stirling_excess` of whole numbers: a table below 8, which compiles faster than lgamma."""
    table = jnp.asarray([math.lgamma(i + 1) - (i * math.log(i) if i else 0.0) + i for i in range(8)], k.dtype)
    return jnp.where(k < 8.0, table[jnp.clip(k, 0.0, 7.0).astype(jnp.int32)], stirling(JAX, jnp.maximum(k, 8.0)))


def _poisson_by_rejection(key: Array, mean: Array, done: Array) -> Array:
    b = 0.931 + 2.53 * jnp.sqrt(mean)
    a = -0.059 + 0.02483 * b
    inverse_alpha = 1.1239 + 1.1328 / (b - 3.4)
    squeeze = 0.9277 - 3.6224 / (b - 2.0)

    def propose(u: Array, v: Array, us: Array) -> tuple[Array, Array]:
        k = jnp.floor((2.0 * a / us + b) * u + mean + 0.43)
        inside = jnp.maximum(k, 0.0)
        log_mass = -_factorial_excess(inside) - compute(JAX, "kl_div", [inside, mean], ())
        right = jnp.log(v) + jnp.log(inverse_alpha) - jnp.log(a / us**2 + b) <= log_mass
        return k, ((us >= 0.07) & (v <= squeeze)) | ((k >= 0.0) & right)

    return _transformed(key, propose, done)


def _binomial_by_rejection(key: Array, n: Array, p: Array, q: Array, done: Array) -> Array:
    spread = jnp.sqrt(n * p * q)
    b = 1.15 + 2.53 * spread
    a = -0.0873 + 0.0248 * b + 0.01 * p
    alpha = (2.83 + 5.1 / b) * spread
    squeeze = 0.92 - 4.2 / b

    def log_mass(k: Array) -> Array:
        divergence = compute(JAX, "kl_div", [k, n * p], ()) + compute(JAX, "kl_div", [n - k, n * q], ())
        return -divergence - _factorial_excess(k) - _factorial_excess(n - k)

    highest = log_mass(jnp.minimum(jnp.floor((n + 1.0) * p), n))

    def propose(u: Array, v: Array, us: Array) -> tuple[Array, Array]:
        k = jnp.floor((2.0 * a / us + b) * u + n * p + 0.5)
        inside = (k >= 0.0) & (k <= n)
        right = jnp.log(v * alpha / (a / us**2 + b)) <= log_mass(jnp.clip(k, 0.0, n)) - highest
        return k, ((us >= 0.07) & (v <= squeeze)) | (inside & right)

    return _transformed(key, propose, done)


def von_mises(key: Array, kappa: Array) -> Array:
    """Angles around 0 in (-pi, pi), from the wrapped Cauchy (Best and Fisher 1979, Applied Statistics 28(2)).

    All is written in 1 - cos, which keeps its digits for large and for small kappa.
    """
    kappa = jnp.maximum(kappa, 1e-30)
    s = jnp.hypot(1.0, 2.0 * kappa)
    root = jnp.sqrt(2.0 * (s + 1.0))
    rho = 2.0 * kappa / (s + 1.0 + root)
    excess = ((1.0 + 1.0 / (s + 2.0 * kappa) + root) / (s + 1.0 + root)) ** 2 / (2.0 * rho)  # r - 1

    def propose(u: Array, v: Array, us: Array) -> tuple[Array, Array]:
        away = 2.0 * jnp.sin(jnp.pi * (0.5 - us)) ** 2  # 1 - z, with z = cos(2 pi (1/2 - us))
        gap = excess * away / (excess + 2.0 - away)  # 1 - f
        c = kappa * (excess + gap)
        angle = 2.0 * jnp.arcsin(jnp.sqrt(jnp.clip(0.5 * gap, 0.0, 1.0)))
        return jnp.where(u < 0.0, -angle, angle), jnp.log(c / v) + 1.0 - c >= 0.0

    return _transformed(key, propose, jnp.zeros(kappa.shape, bool))


def _transformed(key: Array, propose: Callable[[Array, Array, Array], tuple[Array, Array]], done: Array) -> Array:
    """Rejection from two uniforms: `propose(U - 1/2, V, 1/2 - |U - 1/2|)` gives (value, whether taken)."""

    def from_uniforms(key: Array) -> tuple[Array, Array]:
        low, high = uniform(key, (2, *done.shape))
        us = jnp.minimum(low[0], high[0])
        return propose(jnp.where(low[0] < high[0], us - 0.5, 0.5 - us), low[1], us)

    return _until_taken(key, from_uniforms, done)


def _until_taken(key: Array, propose: Callable[[Array], tuple[Array, Array]], done: Array) -> Array:
    """Proposals, values and whether they are taken, until every element has one."""

    def step(state: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        number, found, taken = state
        value, accepted = propose(fold(key, number))
        return number + 1, jnp.where(accepted & ~taken, value, found), taken | accepted

    start = (jnp.asarray(0), jnp.zeros(done.shape, jnp.result_type(float)), done)
    return jax.lax.while_loop(lambda state: ~jnp.all(state[2]), step, start)[1]
