"""Draws of truncated distributions against scipy: Kolmogorov distances (DKWM) and χ² at level 1e-6, and broken twins."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from scipy import stats

import energylang
from energylang.diagnostics import DiagnosticError
from energylang.run.result import Run
from tests.support.invariance import chi_square, distance, dkwm_threshold

MODEL = """
data y: real[2] = [0.3, 1.2]
energy e(m: real, s: positive) {
  m ~ normal(0, 1)
  s ~ truncate(normal(m, 1), lower = 0)
  report far ~ truncate(normal(0, 1), lower = 8, upper = 9)
  report tail ~ truncate(normal(m + 0 * y, 1), upper = m - 20)
  report wide ~ truncate(cauchy(0, 1), lower = -2)
  report narrow ~ truncate(uniform(0, 4), upper = 1)
  report n ~ truncate(geometric(0.3), lower = 2)
  report k ~ truncate(geometric(0.2), lower = 1, upper = 6)
  report mixed ~ mixture(truncate(normal(0, 1), lower = 1), laplace(0, 1), weights = [0.5, 0.5])
}
"""


@cache
def drawn() -> Run:
    return energylang.compile(MODEL)["e"].sample(method="direct()", draws=2000, chains=4, seed=3)


def flat(name: str) -> np.ndarray:
    return np.ravel(np.asarray(drawn()[name], np.float64))


def between(law, low: float, high: float):
    """The distribution function between two bounds, from the upper tail."""
    return lambda x: (law.sf(low) - law.sf(x)) / (law.sf(low) - law.sf(high))


@pytest.mark.parametrize(
    ("name", "law", "low", "high"),
    [
        ("far", stats.norm(), 8, 9),
        ("wide", stats.cauchy(), -2, np.inf),
        ("narrow", stats.uniform(0, 4), 0, 1),
    ],
)
def test_continuous(name: str, law, low: float, high: float) -> None:
    found = flat(name)
    assert ((found > low) & (found < high)).all()
    assert distance(found, between(law, low, high)) < dkwm_threshold(found.size)
    width = np.quantile(found, 0.75) - low
    assert distance(found + 0.1 * width, between(law, low, high)) > dkwm_threshold(found.size)  # the twin is moved


def test_the_far_tail_given_the_variables() -> None:
    """Below m - 20 the normal is within 1/400 exponential: the law is scipy's, from logs."""
    found = np.asarray(drawn()["tail"], np.float64)
    assert found.shape == (4, 2000, 2)
    z = np.ravel(found - np.asarray(drawn()["m"], np.float64)[..., None])
    law = lambda x: np.exp(np.minimum(stats.norm.logcdf(x) - stats.norm.logcdf(-20), 0.0))  # noqa: E731
    assert distance(z, law) < dkwm_threshold(z.size)
    assert np.abs(np.corrcoef(z.reshape(-1, 2).T)[0, 1]) < stats.norm.isf(1e-6) / np.sqrt(z.size / 2)


def test_a_variable_drawn_directly() -> None:
    m, s = flat("m"), flat("s")
    transform = (stats.norm.sf(-m) - stats.norm.sf(s - m)) / stats.norm.sf(-m)
    assert distance(transform, lambda u: u) < dkwm_threshold(s.size)
    assert distance(stats.halfnorm.cdf(s), lambda u: u) > dkwm_threshold(s.size)  # the twin without m


def test_counts() -> None:
    for name, theta, low, high in (("n", 0.3, 2, 40), ("k", 0.2, 1, 6)):
        found = flat(name).astype(int)
        assert found.min() >= low
        assert found.max() <= high
        mass = (1 - theta) ** np.arange(low, high + 1.0)
        cells = np.minimum(found - low, 9)
        mass = np.append(mass[:9], mass[9:].sum()) if mass.size > 9 else mass
        statistic, threshold = chi_square(cells, mass / mass.sum())
        assert statistic < threshold
        twin, threshold = chi_square(cells, mass[::-1] / mass.sum())
        assert twin > threshold


def test_a_mixture_of_truncated_parts() -> None:
    def law(x):
        cut = np.where(x > 1, between(stats.norm(), 1, np.inf)(np.maximum(x, 1)), 0)
        return 0.5 * cut + 0.5 * stats.laplace.cdf(x)

    found = flat("mixed")
    assert distance(found, law) < dkwm_threshold(found.size)


def test_data_drawn_anew_along_a_recursion() -> None:
    """`predictive` draws truncated data, also those whose entries follow those before them."""
    text = """
data y: real[3] = [0.5, 0.2, 0.4]
energy e(m: real) {
  m ~ normal(0, 1)
  y[0] ~ truncate(normal(m, 1), lower = 0, upper = 1)
  y[1:] ~ truncate(normal(y[:-1], 0.4), lower = 0, upper = 1)
}
"""
    run = energylang.compile(text)["e"].sample(draws=1000, warmup=200, chains=4, seed=2, predictive=True)
    y = np.asarray(run.predictive("y"), np.float64).reshape(-1, 3)
    for i in (1, 2):
        z = [(b - y[:, i - 1]) / 0.4 for b in (0.0, y[:, i], 1.0)]
        low, here, high = (stats.norm.cdf(v) for v in z)
        transform = (here - low) / (high - low)
        assert distance(transform, lambda u: u) < dkwm_threshold(len(y))
        assert distance((y[:, i] - y[:, i - 1]) / 0.4, stats.norm.cdf) > dkwm_threshold(len(y))  # not truncated


def test_a_truncation_without_a_distribution_function_cannot_be_drawn() -> None:
    with pytest.raises(DiagnosticError, match="E0422"):
        energylang.compile(
            "energy e(x: real) {\n  x ~ normal(0, 1)\n  report a ~ truncate(von_mises(0, 1), upper = 0)\n}"
        )
