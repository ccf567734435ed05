"""Predictive draws, pointwise log likelihoods, the prior: against closed forms, numpy and scipy.

Draws of a report given the variables are compared with their exact law given each draw: the probability transform of
each must be uniform (DKWM, level 1e-6), whatever the posterior of the variables is.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
from scipy import stats

import energylang as el
from energylang.run.result import Run
from tests.support import invariance

REPORTS = """
data y: real[J] = [0.3, -1.2, 2.0]
distribution die(x: cat(k) | w: positive[k]) = -log(w[x]) + log(sum(w))
distribution field(x: spin | h: real) = -h * x + logaddexp(h, -h)
energy e(mu: real, p: simplex[3]) {
  mu ~ normal(0, 1)
  p ~ dirichlet([1.0, 1.0, 1.0])
  y ~ normal(mu, 2)
  report y_rep ~ normal(mu + y, 2)
  report again ~ normal(mu, 2)
  report face ~ die([1.0, 2.0, 5.0])
  report s ~ field(mu * y)
  report which ~ categorical(p)
  report part ~ dirichlet(1 + 4 * p)
  report m ~ mixture(normal(-3, 1), normal(3 + mu, 0.5), weights = [0.3, 0.7])
  report two ~ mixture(dirichlet(1 + p), dirichlet(10 * p + 1), weights = [0.5, 0.5])
}
"""


@cache
def reported() -> Run:
    return el.compile(REPORTS)["e"].sample(draws=1000, warmup=300, chains=4, seed=1)


def flat(name: str) -> np.ndarray:
    values = np.asarray(reported()[name], np.float64)
    return values.reshape(-1, *values.shape[2:])


def uniform_misfit(transform: np.ndarray) -> float:
    """How far probability transforms are from uniform, over what chance allows at level 1e-6."""
    values = np.ravel(transform)
    return invariance.distance(values, lambda u: u) / invariance.dkwm_threshold(values.size)


def test_a_draw_has_the_law_of_its_distribution_given_the_variables() -> None:
    mu, y = flat("mu")[:, None], np.array([0.3, -1.2, 2.0])
    assert uniform_misfit(stats.norm.cdf(flat("y_rep"), mu + y, 2)) < 1
    assert uniform_misfit(stats.norm.cdf(flat("again"), mu[:, 0], 2)) < 1
    assert uniform_misfit(stats.norm.cdf(flat("y_rep"), mu, 2)) > 1  # the twin without y
    mixed = 0.3 * stats.norm.cdf(flat("m"), -3, 1) + 0.7 * stats.norm.cdf(flat("m"), 3 + mu[:, 0], 0.5)
    assert uniform_misfit(mixed) < 1
    parts = 1 + 4 * flat("p")
    assert uniform_misfit(stats.beta.cdf(flat("part")[:, 0], parts[:, 0], parts[:, 1:].sum(1))) < 1
    first, second = 1 + flat("p"), 10 * flat("p") + 1
    both = [stats.beta.cdf(flat("two")[:, 1], a[:, 1], a.sum(1) - a[:, 1]) for a in (first, second)]
    assert uniform_misfit(sum(both) / 2) < 1


def test_finite_distributions_of_the_model_are_drawn_by_their_weights() -> None:
    probabilities = np.array([1.0, 2.0, 5.0]) / 8
    statistic, threshold = invariance.chi_square(flat("face").astype(int), probabilities)
    assert statistic < threshold
    up = stats.logistic.cdf(2 * flat("mu")[:, None] * np.array([0.3, -1.2, 2.0]))
    bound = invariance.bernstein(up.size, float(np.mean(up * (1 - up))), 1.0)
    assert abs(np.mean((flat("s") == 1) - up)) < bound
    assert set(np.unique(flat("s"))) == {-1, 1}
    p = flat("p")
    for k in range(3):
        bound = invariance.bernstein(len(p), float(np.mean(p[:, k] * (1 - p[:, k]))), 1.0, 3)
        assert abs(np.mean((flat("which") == k) - p[:, k])) < bound


def test_draws_are_independent_of_each_other() -> None:
    """Reports with one law and different numbers, and elements of one report, share no randomness."""
    noise = np.column_stack(
        [flat("y_rep") - flat("mu")[:, None] - np.array([0.3, -1.2, 2.0]), flat("again") - flat("mu")]
    )
    correlation = np.corrcoef(noise.T)[np.triu_indices(4, 1)]
    assert np.abs(correlation).max() < stats.norm.isf(1e-6 / 12) / np.sqrt(len(noise))
    steps = noise.reshape(4, 1000, 4)
    lag = np.mean(steps[:, 1:] * steps[:, :-1]) / np.mean(steps**2)
    assert abs(lag) < stats.norm.isf(1e-6) / np.sqrt(steps[:, 1:].size)


def test_where_draws_are_kept() -> None:
    run = reported()
    assert run.data.names("posterior") == ("mu", "p")
    assert run.data.names("posterior_predictive") == ("y_rep", "again", "face", "s", "which", "part", "m", "two")
    assert list(run) == [*run.data.names("posterior"), *run.data.names("posterior_predictive")]
    assert run["y_rep"].shape == (4, 1000, 3)
    assert run["face"].dtype.kind == "i"
    assert run.summary().row("again")["Mean"] == pytest.approx(flat("again").mean(), abs=1e-6)
    assert "posterior_predictive" in run.to_arviz().groups()
    np.testing.assert_array_equal(run.predictive("m"), run["m"])


def test_a_report_does_not_change_the_energy() -> None:
    plain = "\n".join(line for line in REPORTS.splitlines() if "report" not in line)
    values: Any = {"mu": 0.3, "p": np.array([0.2, 0.3, 0.5])}
    assert float(el.compile(REPORTS)["e"](**values)) == float(el.compile(plain)["e"](**values))
