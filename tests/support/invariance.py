"""How samplers are tested: many lanes of one program, and distances whose thresholds are derived, never tuned.

Each threshold is met with probability at least 1 - LEVEL by a right sampler. Each has an effect that it detects: a
distance of the true laws at which a wrong sampler fails with probability at least 0.999. Tests state both.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import jax
import numpy as np
import pytest
from jax import Array
from scipy import stats

from energylang.model import Point, fold

LEVEL = 1e-6
POWER = 0.999


def seed(test: str) -> int:
    """The seed of a test: a checksum of its name, so that nobody shops for one."""
    return zlib.crc32(test.encode())


@partial(jax.jit, static_argnums=0)
def evolve(kernel: Any, target: Any, tune: Any, x: Point, key: Array, steps: Array | int) -> tuple[Point, Array]:
    """Every lane of x, leading dim N, moved by `steps` steps at a fixed tuning; and the mean acceptance rate.

    The number of steps is data: one program serves the invariance and the mixing test, and every twin that differs in
    the leaves of the target or the tuning.
    """

    def lane(number: Array, start: Point) -> tuple[Point, Array]:
        own = fold(key, number)

        def move(step: Array, carry: tuple[Any, Array]) -> tuple[Any, Array]:
            state, accepted = carry
            state, info = kernel.step(target, tune, state, fold(own, 1, step))
            return state, accepted + info["acceptance_rate"]

        state = kernel.init(target, start, fold(own, 0))
        state, accepted = jax.lax.fori_loop(0, steps, move, (state, jax.numpy.zeros(())))
        return state.x, accepted / steps

    lanes = jax.tree.leaves(x)[0].shape[0]
    ends, accepted = jax.vmap(lane)(jax.numpy.arange(lanes), x)
    return ends, accepted.mean()


def repeat(x: Point, lanes: int) -> Point:
    """A point mass: one Point in every lane."""
    return jax.tree.map(lambda leaf: jax.numpy.repeat(leaf[None], lanes, axis=0), x)


def distance(values: np.ndarray, cdf: Callable[[np.ndarray], np.ndarray]) -> float:
    """The largest difference between the empirical and the exact distribution function (Kolmogorov)."""
    ordered = np.sort(np.asarray(values, np.float64))
    exact = cdf(ordered)
    count = len(ordered)
    above = np.arange(1, count + 1) / count - exact
    below = exact - np.arange(count) / count
    return float(max(above.max(), below.max()))


def dkwm_threshold(lanes: int, comparisons: int = 1) -> float:
    """What `distance` exceeds with probability below LEVEL in any of some comparisons (Massart 1990)."""
    return float(np.sqrt(np.log(2 * comparisons / LEVEL) / (2 * lanes)))


def dkwm_effect(lanes: int, comparisons: int = 1) -> float:
    """The distance of the laws at which a wrong sampler is rejected with probability at least POWER."""
    return dkwm_threshold(lanes, comparisons) + float(np.sqrt(np.log(2 / (1 - POWER)) / (2 * lanes)))


def pooled(counts: np.ndarray, probabilities: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Observed and expected counts, the cells that expect fewer than 10 thrown together."""
    expected = probabilities * counts.sum()
    small = expected < 10
    observed = np.append(counts[~small], counts[small].sum())
    together = np.append(expected[~small], expected[small].sum())
    return (observed, together) if small.any() else (observed[:-1], together[:-1])


def chi_square(numbers: np.ndarray, probabilities: np.ndarray) -> tuple[float, float]:
    """Pearson's statistic of configuration numbers against exact probabilities, and its threshold at LEVEL."""
    counts = np.bincount(numbers, minlength=len(probabilities))
    observed, expected = pooled(counts, probabilities)
    if observed[expected == 0].sum() > 0:
        return float("inf"), 0.0
    keep = expected > 0
    statistic = float((((observed - expected) ** 2)[keep] / expected[keep]).sum())
    return statistic, float(stats.chi2.isf(LEVEL, keep.sum() - 1))


def chi_square_effect(lanes: int, cells: int) -> float:
    """Cohen's w = sqrt(sum (p - q)^2 / q) at which a wrong sampler is rejected with probability at least POWER."""
    critical = stats.chi2.isf(LEVEL, cells - 1)
    low, high = 0.0, 10.0
    for _ in range(60):
        middle = (low + high) / 2
        enough = stats.ncx2.sf(critical, cells - 1, lanes * middle**2) >= POWER
        low, high = (low, middle) if enough else (middle, high)
    return high


def bernstein(lanes: int, variance: float, largest: float, comparisons: int = 1) -> float:
    """What |mean - expectation| of bounded terms exceeds with probability below LEVEL (Bernstein's inequality).

    variance: of one term. largest: a bound on |term - expectation|.
    """
    log_level = np.log(2 * comparisons / LEVEL)
    return float(np.sqrt(2 * variance * log_level / lanes) + 2 * largest * log_level / (3 * lanes))


def mostly_long(values: Iterable[str], *quick: str) -> list[Any]:
    """Parameters of a test of laws: those that are not `quick` are marked `long`, as each compiles a program of its own."""
    return [pytest.param(value, marks=() if value in quick else pytest.mark.long) for value in values]
