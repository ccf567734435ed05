"""Rules shared by kernels that learn a step size and a scale in warm-up."""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
from jax import Array

from energylang.model import Phase


class DualAveraging(NamedTuple):
    """Memory of dual averaging (Nesterov 2009; Hoffman and Gelman 2014, section 3.2.1). All scalars.

    log_step: the step size now in use. log_average: its weighted average, what sampling will use. count: updates done.
    error: running mean of target minus observed acceptance. log_anchor: where the iterates are shrunk to, log(10 step).
    """

    log_step: Array
    log_average: Array
    count: Array
    error: Array
    log_anchor: Array


def start_averaging(step_size: Array) -> DualAveraging:
    """A fresh memory around `step_size`, which is tried first."""
    log_step = jnp.log(step_size)
    zero = jnp.zeros_like(log_step)
    return DualAveraging(log_step, log_step, zero, zero, log_step + jnp.log(10.0))


def average(memory: DualAveraging, acceptance: Array, wanted: float) -> DualAveraging:
    """One update towards the acceptance rate `wanted`, with the constants of Stan: gamma 0.05, t0 10, kappa 0.75.

    An acceptance rate that is not a number counts as a rejection.
    """
    count = memory.count + 1.0
    shortfall = wanted - jnp.where(jnp.isfinite(acceptance), jnp.minimum(acceptance, 1.0), 0.0)
    error = memory.error + (shortfall - memory.error) / (count + 10.0)
    log_step = memory.log_anchor - jnp.sqrt(count) / 0.05 * error
    weight = count**-0.75
    log_average = weight * log_step + (1.0 - weight) * memory.log_average
    return DualAveraging(log_step, log_average, count, error, memory.log_anchor)


class Search(NamedTuple):
    """Memory of a search for the logarithm of a scale, arrays of one shape and two scalars.

    value: the moving iterate. mean: its mean over the second half of warm-up. steps, count: updates, terms of that mean.
    """

    value: Array
    mean: Array
    steps: Array
    count: Array


DECAY = 0.6
"""The gain of a search falls as the number of steps to the power -0.6 (Andrieu and Thoms 2008)."""


def start_search(value: Array) -> Search:
    return Search(value, jnp.zeros_like(value), jnp.zeros(()), jnp.zeros(()))


def search(phase: Phase, memory: Search, excess: Array, low: float, high: float) -> tuple[Array, Search]:
    """The value to use next, within bounds, and the memory after one update (Robbins and Monro 1951).

    excess: by how much what was observed, such as an acceptance rate, lies above what is wanted; larger values lower it. After
    the last step of warm-up the mean is used.
    """
    steps = memory.steps + 1.0
    value = jnp.clip(memory.value + 2.0 * steps**-DECAY * excess, low, high)
    counted = phase.progress > 0.5
    count = memory.count + counted
    mean = memory.mean + jnp.where(counted, (value - memory.mean) / jnp.maximum(count, 1.0), 0.0)
    return jnp.where(phase.last, mean, value), Search(value, mean, steps, count)


class Moments(NamedTuple):
    """Welford's running moments. count: scalar. mean: float[R]. squares: float[R] (diagonal) or float[R, R] (dense).

    last: the value before, float[R], and changes: the sum of squared changes from one value to the next, float[R]; both empty
    where it is diagonal, since only correlations are judged by them.
    """

    count: Array
    mean: Array
    squares: Array
    last: Array
    changes: Array


def no_moments(reals: int, dense: bool) -> Moments:
    none = jnp.zeros(reals if dense else 0)
    return Moments(jnp.zeros(()), jnp.zeros(reals), jnp.zeros((reals, reals) if dense else reals), none, none)


def observe(moments: Moments, value: Array) -> Moments:
    """The moments with one more vector, float[R]."""
    count = moments.count + 1.0
    before = value - moments.mean
    mean = moments.mean + before / count
    after = value - mean
    if moments.squares.ndim == 1:
        return moments._replace(count=count, mean=mean, squares=moments.squares + after * before)
    change = jnp.where(moments.count > 0, jnp.square(value - moments.last), 0.0)
    return Moments(count, mean, moments.squares + jnp.outer(after, before), value, moments.changes + change)


def observe_all(moments: Moments, values: Array, seen: Array) -> Moments:
    """The moments with some vectors more, those of float[N, R] that are `seen`, bool[N]; diagonal ones only.

    Chan, Golub and LeVeque 1983, equation 1.5.
    """
    weights = seen.astype(values.dtype)
    many = jnp.maximum(jnp.sum(weights), 1.0)
    count = moments.count + many
    centre = weights @ values / many
    shift = centre - moments.mean
    squares = weights @ jnp.square(values - centre) + jnp.square(shift) * moments.count * many / count
    return moments._replace(count=count, mean=moments.mean + shift * many / count, squares=moments.squares + squares)


def regularised(moments: Moments) -> Array:
    """The covariance (or variances), shrunk to 0.001 with the weight of five draws, as Stan does."""
    count = moments.count
    covariance = moments.squares / jnp.maximum(count - 1.0, 1.0)
    unit = jnp.eye(covariance.shape[0]) if covariance.ndim == 2 else 1.0
    return (count * covariance + 5.0 * 1e-3 * unit) / (count + 5.0)


def shrunk(moments: Moments) -> Array:
    """The covariance, float[R, R], with its correlations drawn to zero as far as they may be noise.

    As Schäfer and Strimmer 2005 (equation 10, target D) the weight of the unit matrix is the sum of the sampling variances of the
    correlations over the sum of their squares, but each variance is the largest it can be, 1 / n: the estimate (1 - r^2)^2 / n
    vanishes just where a chain that drifts or sticks makes everything look correlated. n counts independent draws, by the lag-one
    autocorrelation of the slowest variable (the ratio of von Neumann 1941). Variances are regularised as in `regularised`.
    """
    count = moments.count
    squares = jnp.diagonal(moments.squares)
    positive = squares > 0
    scale = jnp.sqrt(jnp.where(positive, squares, 1.0))
    # Of a chain that sticks rounding is all there is, and may exceed one.
    correlation = jnp.clip(moments.squares / (scale[:, None] * scale), -1.0, 1.0)
    fresh = jnp.min(jnp.where(positive, jnp.clip(moments.changes / (2.0 * scale**2), 0.0, 1.0), 0.0))
    effective = jnp.maximum(count * fresh / (2.0 - fresh), 1.0)
    reals = squares.shape[0]
    others = 1.0 - jnp.eye(reals)
    signal = jnp.maximum(jnp.sum(others * jnp.square(correlation)), 1e-6)
    weight = jnp.minimum(reals * (reals - 1) / effective / signal, 1.0)
    shrunken = jnp.where(others > 0, (1.0 - weight) * correlation, 1.0)
    sound = jnp.all(jnp.isfinite(jnp.linalg.cholesky(shrunken)))
    root = jnp.sqrt(regularised(moments._replace(squares=squares)))
    return root[:, None] * root * jnp.where(sound, shrunken, 1.0 - others)
