"""Simulation-based calibration: parameters from the prior, data from these, and the rank of each parameter among draws of
the posterior is uniform if sampler, prior and energy agree (Talts et al. 2018, arXiv:1804.06788).

Parameters and data come from `direct`, the posterior from a kernel; one program serves all replications, whose data are
leaves of the target. Ranks among DRAWS nearly independent draws are thrown into BINS bins and compared with the uniform law
by Pearson's chi-square at level 1e-6; with 512 replications and 8 bins an effect of w = 0.41 is detected with power 0.999. In
the twins the prior of the model that is fitted has half the scale.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest

from tests.support import calibration, invariance

REPLICATIONS, BINS = 512, 8


def test_the_stated_effect() -> None:
    assert invariance.chi_square_effect(REPLICATIONS, BINS) <= 0.41


@cache
def ranks(model: str, twin: bool = False) -> dict[str, np.ndarray]:
    return calibration.ranks(calibration.MODELS[model], REPLICATIONS, seed=invariance.seed(model), twin=twin)


def misfits(found: dict[str, np.ndarray]) -> dict[str, float]:
    """Chi-square over its threshold for each scalar."""
    result = {}
    for name, values in found.items():
        statistic, threshold = invariance.chi_square(values * BINS // (calibration.DRAWS + 1), np.full(BINS, 1 / BINS))
        result[name] = statistic / threshold
    return result


@pytest.mark.parametrize("model", invariance.mostly_long(calibration.MODELS, next(iter(calibration.MODELS))))
def test_ranks_are_uniform(model: str) -> None:
    found: dict[str, Any] = misfits(ranks(model))
    assert {name: misfit for name, misfit in found.items() if misfit >= 1} == {}


@pytest.mark.parametrize("model", invariance.mostly_long(calibration.MODELS, next(iter(calibration.MODELS))))
def test_a_wrong_model_is_rejected(model: str) -> None:
    assert max(misfits(ranks(model, twin=True)).values()) > 1
