"""Draws from the standard distributions against their laws by scipy: Kolmogorov distances and χ², and broken twins.

Level 1e-6 (tests/support/invariance.py). With 20,000 draws the Kolmogorov distance detects laws 0.03 apart.
"""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from energylang.check.draws import DRAWABLE
from energylang.lower.samplers import SAMPLERS
from energylang.syntax.library import parse_library
from tests.support.invariance import chi_square, distance, dkwm_threshold, seed

DRAWS = 20_000


class _HalfT:
    def __init__(self, nu, sigma):
        self.law = stats.t(nu, 0, sigma)

    def cdf(self, x):
        return 2 * self.law.cdf(x) - 1


def _finite(weights):
    weights = np.asarray(weights, float)
    return stats.rv_discrete(values=(np.arange(len(weights)), weights / weights.sum()))


@partial(jax.jit, static_argnums=(0, 3))
def draw(name, key, arguments, batch=(DRAWS,)):
    return SAMPLERS[name](key, arguments, batch)


CONTINUOUS = {
    "normal": ({"mu": 0.3, "sigma": 1.7}, lambda mu, sigma: stats.norm(mu, sigma)),
    "student_t": ({"nu": 0.5, "mu": 0.3, "sigma": 1.7}, lambda nu, mu, sigma: stats.t(nu, mu, sigma)),
    "cauchy": ({"mu": 0.3, "sigma": 1.7}, lambda mu, sigma: stats.cauchy(mu, sigma)),
    "laplace": ({"mu": 0.3, "sigma": 1.7}, lambda mu, sigma: stats.laplace(mu, sigma)),
    "logistic": ({"mu": 0.3, "sigma": 1.7}, lambda mu, sigma: stats.logistic(mu, sigma)),
    "gumbel": ({"mu": 0.3, "beta": 1.7}, lambda mu, beta: stats.gumbel_r(mu, beta)),
    "half_normal": ({"sigma": 1.7}, lambda sigma: stats.halfnorm(0, sigma)),
    "half_cauchy": ({"sigma": 1.7}, lambda sigma: stats.halfcauchy(0, sigma)),
    "half_student_t": ({"nu": 2.0, "sigma": 1.7}, _HalfT),
    "lognormal": ({"mu": 0.3, "sigma": 1.7}, lambda mu, sigma: stats.lognorm(sigma, 0, np.exp(mu))),
    "exponential": ({"beta": 1.7}, lambda beta: stats.expon(0, 1 / beta)),
    "gamma": ({"alpha": 0.3, "beta": 1.7}, lambda alpha, beta: stats.gamma(alpha, 0, 1 / beta)),
    "inverse_gamma": ({"alpha": 0.3, "beta": 1.7}, lambda alpha, beta: stats.invgamma(alpha, 0, beta)),
    "weibull": ({"alpha": 0.7, "sigma": 1.7}, lambda alpha, sigma: stats.weibull_min(alpha, 0, sigma)),
    "beta": ({"alpha": 0.2, "beta": 0.4}, lambda alpha, beta: stats.beta(alpha, beta)),
    "uniform": ({"alpha": -1.0, "beta": 2.0}, lambda alpha, beta: stats.uniform(alpha, beta - alpha)),
}  # fmt: skip
"""By name: arguments, and the law of the same arguments."""

DISCRETE = {
    "bernoulli": ({"theta": 0.3}, lambda theta: stats.bernoulli(theta)),
    "bernoulli_logit": ({"alpha": -0.8}, lambda alpha: stats.bernoulli(1 / (1 + np.exp(-alpha)))),
    "categorical": ({"theta": [0.2, 0.3, 0.5]}, lambda theta: _finite(theta)),
    "categorical_logit": ({"beta": [0.0, 0.5, 1.0]}, lambda beta: _finite(np.exp(beta))),
    "poisson": ({"lambda": 3.5}, lambda **a: stats.poisson(a["lambda"])),
    "poisson_log": ({"alpha": 2.8}, lambda alpha: stats.poisson(np.exp(alpha))),
}
OTHERS = {"dirichlet"}


def perturbed(arguments):
    """The same arguments with the last one a third larger: what a broken sampler would use."""
    last = list(arguments)[-1]
    value = np.asarray(arguments[last])
    if value.ndim:
        value = np.roll(value, 1)
        return {**arguments, last: jnp.asarray(value)}
    return {**arguments, last: 1.34 * float(value)}


def traced(arguments):
    return {name: jnp.asarray(value) for name, value in arguments.items()}


def test_what_can_be_drawn_is_declared():
    library = {d.name.text for d in parse_library("distributions").declarations}
    assert set(SAMPLERS) == DRAWABLE
    assert set(SAMPLERS) == CONTINUOUS.keys() | DISCRETE.keys() | OTHERS
    assert library >= DRAWABLE


@pytest.mark.parametrize("name", CONTINUOUS)
def test_continuous(name, request):
    arguments, law = CONTINUOUS[name]
    key = jax.random.key(seed(request.node.nodeid))
    for given, right in ((arguments, True), (perturbed(arguments), False)):
        found = np.asarray(draw(name, key, traced(given)))
        assert np.isfinite(found).all()
        assert (distance(found, law(**arguments).cdf) < dkwm_threshold(DRAWS)) == right


def fits(found, law):
    """Whether counts fit a law by χ², the thousandth of the mass at each end thrown into one cell."""
    low, high = int(law.ppf(1e-3)), int(law.isf(1e-3))
    inside = np.arange(low, high + 1)
    mass = np.where(inside == low, law.cdf(low), np.where(inside == high, law.sf(high - 1), law.pmf(inside)))
    statistic, threshold = chi_square(np.clip(found, low, high) - low, mass)
    return statistic < threshold


@pytest.mark.parametrize("name", DISCRETE)
def test_discrete(name, request):
    arguments, law = DISCRETE[name]
    key = jax.random.key(seed(request.node.nodeid))
    for given, right in ((arguments, True), (perturbed(arguments), False)):
        found = np.asarray(draw(name, key, traced(given)))
        assert found.dtype == np.int32
        assert fits(found, law(**arguments)) == right


@pytest.mark.parametrize("mean", [0.02, 9.9, 10.1, 300.0, 1e5, 1e7])
def test_poisson_keeps_its_law_for_all_means(mean, request):
    """Large means by their z-scores: normal but for the skewness of a Poisson law and its steps, at most 0.4 / sqrt(mean)."""
    key = jax.random.key(seed(request.node.nodeid))
    found = np.asarray(draw("poisson", key, {"lambda": jnp.asarray(mean)}), np.float64)
    z = (found - float(np.float32(mean))) / np.sqrt(mean)
    if mean > 1e3:
        assert distance(z, stats.norm.cdf) < dkwm_threshold(DRAWS) + 0.4 / np.sqrt(mean)
    else:
        assert fits(found.astype(int), stats.poisson(mean))


@pytest.mark.parametrize(("name", "arguments"), [
    ("beta", {"alpha": 1e-3, "beta": 2e-3}), ("gamma", {"alpha": 1e-4, "beta": 1.0}), ("student_t", {"nu": 0.01, "mu": 0.0, "sigma": 1.0}),
    ("inverse_gamma", {"alpha": 1e-3, "beta": 1.0}), ("exponential", {"beta": 1e30}), ("weibull", {"alpha": 1e-2, "sigma": 1.0}),
])  # fmt: skip
def test_draws_stay_inside_the_support(name, arguments):
    """Also where a float underflows: no zero, no one, nothing infinite."""
    found = np.asarray(draw(name, jax.random.key(1), traced(arguments)))
    assert np.isfinite(found).all()
    if name != "student_t":
        assert (found > 0).all()
    if name == "beta":
        assert (found < 1).all()
        assert abs((found > 0.5).mean() - 1 / 3) < 5 * np.sqrt(2 / 9 / DRAWS)


def test_dirichlet():
    """Each entry is beta."""
    alpha = np.array([0.3, 1.0, 2.5])
    found = np.asarray(draw("dirichlet", jax.random.key(seed("dirichlet")), {"alpha": jnp.asarray(alpha)}))
    np.testing.assert_allclose(found.sum(-1), 1.0, atol=1e-5)
    for i, a in enumerate(alpha):
        assert distance(found[:, i], stats.beta(a, alpha.sum() - a).cdf) < dkwm_threshold(DRAWS, 3)
        assert distance(found[:, i], stats.beta(1.2 * a, alpha.sum() - a).cdf) > dkwm_threshold(DRAWS, 3)


def test_batches():
    """Arguments broadcast to the batch, and every element has noise of its own."""
    key = jax.random.key(0)
    mu = jnp.asarray([[0.0], [1e3]])
    found = draw("normal", key, {"mu": mu, "sigma": jnp.asarray(1.0)}, (2, 3))
    assert found.shape == (2, 3)
    assert np.unique(found - mu).size == 6
    theta = jnp.asarray([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    assert draw("categorical", key, {"theta": theta[:, None]}, (2, 4)).tolist() == [[0] * 4, [2] * 4]
    assert draw("dirichlet", key, {"alpha": jnp.ones(3)}, (2, 4)).shape == (2, 4, 3)
