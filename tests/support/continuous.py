"""Kernels of continuous variables against one target with every space: exact draws in, steps, exact draws out.

LANES exact draws, Kolmogorov distance of each projection of each space. Level 1e-6 over all projections of one run; a law
further than EFFECT from the exact one fails with probability 0.999 (`test_the_stated_effect` of test_continuous.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from energylang.model import Phase, Point, fold
from tests.support import invariance
from tests.support.targets import PROJECTIONS, SPACES, Continuous, target

LANES = 16384
EFFECT = 0.039
SCALES = np.array([0.8, 0.7, 0.9, 1.2, 1.1, 1.0, 1.3, 0.8, 1.1, 1.2])
START = np.array([1.5, -1.5, 2.0, 1.5, -1.5, 1.5, -1.5, 1.0, -1.0, 0.5])
TRUTH = np.ones(len(SPACES))
THRESHOLD = invariance.dkwm_threshold(LANES, PROJECTIONS)


def dense_covariance() -> np.ndarray:
    mix = np.random.default_rng(3).normal(0, 0.15, (10, 10)) + np.eye(10)
    return mix @ np.diag(SCALES**2) @ mix.T


class Motionless(NamedTuple):
    x: Point


@dataclass(frozen=True)
class Still:
    """The identity, invariant and useless."""

    def init(self, target: Any, x: Point, key: Any) -> Motionless:
        return Motionless(x)

    def step(self, target: Any, tune: Any, state: Any, key: Any) -> tuple[Any, Any]:
        return state, {"acceptance_rate": jnp.ones(())}


def moved(
    kernel: Any, tune: Any, steps: int, name: str, begin: str, dropped: int | None = None, exact_steps: int = 16
) -> np.ndarray:
    """The unconstrained reals, float[N, 10], after a run that begins at exact draws or at a point mass.

    steps: from a point mass; `exact_steps` from exact draws. dropped: the number of a space whose Jacobian is left out.
    """
    number = invariance.seed(f"{name}/{begin}/{dropped}")
    factors = TRUTH.copy()
    if dropped is not None:
        factors[dropped] = 0.0
    law = target(Continuous(), jnp.asarray(factors, jnp.float32))
    mass = invariance.repeat(Point(jnp.asarray(START, jnp.float32), ()), LANES)
    x = Continuous().draws(number, LANES) if begin == "exact" else mass
    key = jax.random.key(number)
    ends, accepted = invariance.evolve(kernel, law, tune, x, key, exact_steps if begin == "exact" else steps)
    assert accepted > 0.3
    return np.asarray(ends.real)


def misfit(real: np.ndarray, space: str) -> float:
    return max(invariance.distance(values, cdf) for values, cdf in Continuous().projections(real, space))


def warm_up_phases(steps: int) -> Phase:
    """One slow window in the middle half."""
    number = np.arange(steps)
    slow = (number >= steps // 4) & (number < 3 * steps // 4)
    return Phase(
        jnp.ones(steps, bool),
        jnp.asarray(slow),
        jnp.asarray(number == 3 * steps // 4 - 1),
        jnp.asarray(number == steps - 1),
        jnp.asarray((number + 1) / steps, jnp.float32),
    )


@partial(jax.jit, static_argnums=0)
def warm_up(kernel: Any, law: Any, phases: Phase, key: Any) -> tuple[Any, Any]:
    """The tuning after warm-up, and the mean acceptance of 400 steps that follow at that tuning."""
    x = Point(jnp.asarray(START, jnp.float32), ())

    def warm(carry: Any, phase: Phase) -> tuple[Any, None]:
        tune, memory, state, number = carry
        state, info = kernel.step(law, tune, state, fold(key, 0, number))
        tune, memory = kernel.adapt(phase, tune, memory, state, info)
        return (tune, memory, state, number + 1), None

    def follow(state: Any, number: Any) -> tuple[Any, Any]:
        state, info = kernel.step(law, tune, state, fold(key, 1, number))
        return state, info["acceptance_rate"]

    start = (*kernel.tuning(law), kernel.init(law, x, key), jnp.zeros((), jnp.int32))
    (tune, _, state, _), _ = jax.lax.scan(warm, start, phases)
    _, rates = jax.lax.scan(follow, state, jnp.arange(400))
    return tune, rates.mean()
