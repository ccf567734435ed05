"""hmc and adjusted_mclmc, on every continuous space: exact draws stay exact, a point mass spreads, wrong twins are rejected.

Lanes, level and the effect that is detected are those of `tests/support/continuous.py`.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from energylang.methods._low_rank import LowRank
from energylang.methods._trajectories import MOST_STEPS, TrajectoryTuning, number_of_steps
from energylang.methods.adjusted_mclmc import AdjustedMclmc
from energylang.methods.hmc import Hmc
from tests.support import invariance
from tests.support.continuous import (
    SCALES,
    THRESHOLD,
    TRUTH,
    Still,
    dense_covariance,
    misfit,
    moved,
    warm_up,
    warm_up_phases,
)
from tests.support.targets import SPACES, Continuous, target

pytestmark = pytest.mark.long


class UnadjustedHmc(Hmc):
    """HMC without its Metropolis correction: biased at a large step."""

    def accepts(self, error: Any, key: Any) -> Any:
        return jnp.isfinite(error)


class UnadjustedMclmc(AdjustedMclmc):
    """Microcanonical dynamics without a Metropolis correction: every trajectory begins where any end is an improvement."""

    def step(self, target: Any, tune: Any, state: Any, key: Any) -> Any:
        return super().step(target, tune, state._replace(log_density=jnp.asarray(-1e6)), key)


def tunings() -> dict[str, tuple[Any, Any, int]]:
    """Kernel, fixed tuning and the steps from a point mass, by name."""
    scales = jnp.asarray(SCALES, jnp.float32)
    root = jnp.linalg.cholesky(jnp.asarray(dense_covariance(), jnp.float32))
    return {
        "hmc": (Hmc(), TrajectoryTuning(jnp.asarray(0.5), scales), 30),
        "hmc-low-rank": (
            Hmc(metric="low_rank", leapfrog=3),
            TrajectoryTuning(jnp.asarray(0.5), LowRank(scales, jnp.eye(10, 2)[::-1], jnp.asarray([0.6, 1.7]))),
            30,
        ),
        "hmc-dense": (Hmc(metric="dense", leapfrog=3), TrajectoryTuning(jnp.asarray(0.5), root), 30),
        "unadjusted-hmc": (UnadjustedHmc(), TrajectoryTuning(jnp.asarray(0.9), scales), 30),
        "adjusted-mclmc": (AdjustedMclmc(), TrajectoryTuning(jnp.asarray(1.0), scales), 40),
        "unadjusted-mclmc": (UnadjustedMclmc(), TrajectoryTuning(jnp.asarray(4.0), scales), 40),
        "still": (Still(), (), 30),
    }


@cache
def outcome(method: str, begin: str, dropped: int | None = None) -> np.ndarray:
    return moved(*tunings()[method], method, begin, dropped, exact_steps=8)


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("method", ["hmc", "hmc-low-rank", "hmc-dense", "adjusted-mclmc"])
def test_exact_draws_stay_exact(method: str, space: str) -> None:
    assert misfit(outcome(method, "exact"), space) < THRESHOLD


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("method", ["hmc", "adjusted-mclmc"])
def test_a_point_mass_spreads(method: str, space: str) -> None:
    assert misfit(outcome(method, "mass"), space) < THRESHOLD


@pytest.mark.parametrize("method", ["hmc", "adjusted-mclmc"])
def test_a_dropped_jacobian_is_rejected(method: str) -> None:
    real = outcome(method, "exact", SPACES.index("simplex"))
    assert misfit(real, "simplex") > THRESHOLD
    assert misfit(real, "real") < THRESHOLD


@pytest.mark.parametrize("method", ["unadjusted-hmc", "unadjusted-mclmc"])
def test_a_trajectory_without_correction_is_rejected(method: str) -> None:
    real = outcome(method, "exact")
    assert max(misfit(real, space) for space in SPACES) > THRESHOLD


def test_the_identity_is_rejected() -> None:
    assert max(misfit(outcome("still", "exact"), space) for space in SPACES) < THRESHOLD
    assert max(misfit(outcome("still", "mass"), space) for space in SPACES) > THRESHOLD


def test_lengths_are_jittered_within_their_bounds() -> None:
    keys = jax.random.split(jax.random.key(invariance.seed("lengths")), 4000)
    steps = np.asarray(jax.vmap(lambda key: number_of_steps(jnp.asarray(10.0), 0.5, key))(keys))
    # Uniform on (5, 15), rounded up: each of 6 to 15 a tenth of the time.
    statistic, threshold = invariance.chi_square(steps - 6, np.full(10, 0.1))
    assert statistic < threshold
    assert int(number_of_steps(jnp.asarray(7.0), 0.0, keys[0])) == 7
    assert int(number_of_steps(jnp.asarray(jnp.inf), 0.5, keys[0])) == MOST_STEPS


@pytest.mark.parametrize("kernel", [Hmc(metric="dense"), AdjustedMclmc()], ids=["hmc-dense", "adjusted-mclmc"])
def test_warm_up_reaches_the_acceptance_and_the_scales(kernel: Any) -> None:
    """8 chains of 1000 warm-up steps, as for nuts in test_continuous.py: mean acceptance and variances."""
    law = target(Continuous(), jnp.asarray(TRUTH, jnp.float32))
    keys = jax.random.split(jax.random.key(invariance.seed(f"warm-up/{kernel}")), 8)
    tune, rates = jax.vmap(warm_up, in_axes=(None, None, None, 0))(kernel, law, warm_up_phases(1000), keys)
    assert abs(float(rates.mean()) - kernel.target_acceptance) < 0.12
    exact = np.asarray(Continuous().draws(1, 100_000).real).var(axis=0)
    roots = np.asarray(tune.root, np.float64)
    variances = np.square(roots) if roots.ndim == 2 else np.einsum("cij,cij->ci", roots, roots)
    learned = np.median(variances, axis=0)
    assert np.all(learned / exact > 0.5)
    assert np.all(learned / exact < 2.0)
