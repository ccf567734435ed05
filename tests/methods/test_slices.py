"""slice, on every continuous space: exact draws stay exact, a point mass spreads, wrong twins are rejected.

Lanes, level and the effect that is detected are those of `tests/support/continuous.py`.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from energylang.methods.slice import Slice, SliceTuning
from tests.support import invariance
from tests.support.continuous import START, THRESHOLD, TRUTH, Still, misfit, moved, warm_up, warm_up_phases
from tests.support.targets import SPACES, Continuous, target

pytestmark = pytest.mark.long


class Halfway(Slice):
    """A slice at half the density, not at a random height."""

    def level(self, log_density: Any, uniform: Any) -> Any:
        return log_density - jnp.log(2.0)


def tunings() -> dict[str, tuple[Any, Any, int]]:
    """Kernel, fixed tuning and the steps from a point mass, by name. Widths from too small to too large."""
    widths = SliceTuning(jnp.asarray(np.log(np.geomspace(0.5, 8.0, len(START))), jnp.float32))
    return {
        "slice": (Slice(max_growth=8), widths, 16),
        "halfway": (Halfway(max_growth=8), widths, 16),
        "still": (Still(), (), 16),
    }


@cache
def outcome(method: str, begin: str, dropped: int | None = None) -> np.ndarray:
    return moved(*tunings()[method], method, begin, dropped, exact_steps=4)


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("method", ["slice"])
def test_exact_draws_stay_exact(method: str, space: str) -> None:
    assert misfit(outcome(method, "exact"), space) < THRESHOLD


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("method", ["slice"])
def test_a_point_mass_spreads(method: str, space: str) -> None:
    assert misfit(outcome(method, "mass"), space) < THRESHOLD


@pytest.mark.parametrize("method", ["slice"])
def test_a_dropped_jacobian_is_rejected(method: str) -> None:
    real = outcome(method, "exact", SPACES.index("simplex"))
    assert misfit(real, "simplex") > THRESHOLD
    assert misfit(real, "real") < THRESHOLD


@pytest.mark.parametrize("method", ["halfway"])
def test_a_wrong_level_is_rejected(method: str) -> None:
    real = outcome(method, "exact")
    assert max(misfit(real, space) for space in SPACES) > THRESHOLD


def test_the_identity_is_rejected() -> None:
    assert max(misfit(outcome("still", "exact"), space) for space in SPACES) < THRESHOLD
    assert max(misfit(outcome("still", "mass"), space) for space in SPACES) > THRESHOLD


def test_warm_up_finds_widths() -> None:
    """From widths a thousand times too large and too small: those learned are of the size of the scales."""
    law = target(Continuous(), jnp.asarray(TRUTH, jnp.float32))
    scales = np.asarray(Continuous().draws(1, 100_000).real).std(axis=0)
    for width in (1e-3, 1e3):
        key = jax.random.key(invariance.seed(f"widths/{width}"))
        tune, rate = warm_up(Slice(width=width), law, warm_up_phases(400), key)
        ratio = np.exp(np.asarray(tune.log_width)) / scales
        assert np.all(ratio > 0.5)
        assert np.all(ratio < 6.0)
        assert rate == 1.0
