"""Draws from the standard distributions against their laws by scipy: Kolmogorov distances and χ², and broken twins.

Level 1e-6 (tests/support/invariance.py). With 20,000 draws the Kolmogorov distance detects laws 0.03 apart. The broken
twin of a sampler draws with one argument a third larger than its law has it.
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
from energylang.lower.samplers_matrices import MATRICES
from energylang.syntax.library import parse_library
from tests.support.invariance import chi_square, distance, dkwm_threshold, seed
from tests.support.laws import LAWS

DRAWS = 20_000
MULTINOMIALS = ("multinomial", "multinomial_logit", "dirichlet_multinomial")
GAUSSIAN = ("multi_normal", "multi_normal_cholesky", "multi_normal_precision", "multi_student_t")
SCALAR = [name for name, law in LAWS.items() if "[" not in law.space]


# Compiling is what takes the time here, and 20,000 draws are few.
@partial(jax.jit, static_argnums=(0, 3), compiler_options={"xla_backend_optimization_level": 0})
def draw(name, key, arguments, batch=(DRAWS,)):
    return SAMPLERS[name](key, arguments, batch)


def traced(arguments):
    return {name: jnp.asarray(value) for name, value in arguments.items()}


def arguments_of(name):
    law = LAWS[name]
    if name == "uniform":
        return {"alpha": -1.0, "beta": 2.0}
    return dict(zip(law.conditions, law.arguments, strict=True))


def perturbed(arguments):
    """The same arguments with the last one a third larger: what a broken sampler would use."""
    last = list(arguments)[-1]
    value = np.asarray(arguments[last])
    if value.ndim:
        return {**arguments, last: np.roll(value, 1) if last != "c" else value + 0.34}
    return {**arguments, last: 1.34 * float(value)}


def keyed(request):
    return jax.random.key(seed(request.node.nodeid))


def test_what_can_be_drawn_is_declared():
    library = {d.name.text for d in parse_library("distributions").declarations}
    assert {*SAMPLERS, *MATRICES} == DRAWABLE
    assert library >= DRAWABLE


def wrong_and_right(name):
    arguments = arguments_of(name)
    return ((arguments, True), (perturbed(arguments), False)) if arguments else ((arguments, True),)


@pytest.mark.parametrize("name", [name for name in SCALAR if not LAWS[name].discrete])
def test_continuous(name, request):
    law = LAWS[name].frozen()
    for given, right in wrong_and_right(name):
        found = np.asarray(draw(name, keyed(request), traced(given)))
        assert found.dtype == np.float32
        assert np.isfinite(found).all()
        assert (distance(found, law.cdf) < dkwm_threshold(DRAWS)) == right


def fits(found, law):
    """Whether counts fit a law by χ², the thousandth of the mass at each end thrown into one cell."""
    low, high = int(law.ppf(1e-3)), int(law.isf(1e-3))
    inside = np.arange(low, high + 1)
    mass = np.where(inside == low, law.cdf(low), np.where(inside == high, law.sf(high - 1), law.pmf(inside)))
    statistic, threshold = chi_square(np.clip(found, low, high) - low, mass)
    return statistic < threshold


@pytest.mark.parametrize("name", [name for name in SCALAR if LAWS[name].discrete])
def test_discrete(name, request):
    law = LAWS[name].frozen()
    for given, right in wrong_and_right(name):
        found = np.asarray(draw(name, keyed(request), traced(given)))
        assert found.dtype == np.int32
        assert fits(found, law) == right


@pytest.mark.parametrize("mean", [0.02, 9.9, 10.1, 300.0, 1e5, 1e7])
def test_poisson_keeps_its_law_for_all_means(mean, request):
    """Large means by their z-scores: normal but for the skewness of the law and its steps, at most 0.4 / sqrt(mean)."""
    found = np.asarray(draw("poisson", keyed(request), {"lambda": jnp.asarray(mean)}), np.float64)
    if mean > 1e3:
        z = (found - float(np.float32(mean))) / np.sqrt(mean)
        assert distance(z, stats.norm.cdf) < dkwm_threshold(DRAWS) + 0.4 / np.sqrt(mean)
    else:
        assert fits(found.astype(int), stats.poisson(mean))


@pytest.mark.parametrize(("trials", "theta"), [(3, 0.999), (1_000, 0.004), (30, 0.5), (1_000, 0.8), (100_000, 0.02)])
def test_binomial_keeps_its_law(trials, theta, request):
    found = np.asarray(draw("binomial", keyed(request), {"N": jnp.asarray(trials), "theta": jnp.asarray(theta)}))
    assert fits(found, stats.binom(trials, float(np.float32(theta))))


def test_binomial_of_nothing_and_of_certainty():
    arguments = {"N": jnp.asarray([0, 0, 7, 7]), "theta": jnp.asarray([0.3, 1.0, 1.0, 0.0])}
    assert draw("binomial", jax.random.key(0), arguments, (5, 4)).tolist() == [[0, 0, 7, 0]] * 5


@pytest.mark.parametrize("kappa", [1e-6, 0.3, 50.0, 1e7])
def test_von_mises_keeps_its_law(kappa, request):
    found = np.asarray(draw("von_mises", keyed(request), {"mu": jnp.asarray(0.0), "kappa": jnp.asarray(kappa)}), float)
    law = stats.norm(0, 1 / np.sqrt(kappa)) if kappa > 1e5 else stats.vonmises(kappa)
    assert distance(found, law.cdf) < dkwm_threshold(DRAWS)


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


def test_dirichlet(request):
    """Each entry is beta."""
    arguments = arguments_of("dirichlet")
    alpha = np.asarray(arguments["alpha"])
    for given, right in wrong_and_right("dirichlet"):
        found = np.asarray(draw("dirichlet", keyed(request), traced(given)))
        np.testing.assert_allclose(found.sum(-1), 1.0, atol=1e-5)
        worst = max(distance(found[:, i], stats.beta(a, alpha.sum() - a).cdf) for i, a in enumerate(alpha))
        assert (worst < dkwm_threshold(DRAWS, 3)) == right


@pytest.mark.parametrize("name", MULTINOMIALS)
def test_multinomials(name, request):
    """Every way for 7 trials to fall into 3 classes, by χ²."""
    law = LAWS[name].frozen()
    cells = [(i, j, 7 - i - j) for i in range(8) for j in range(8 - i)]
    mass = np.array([float(law.pmf(np.array(cell))) for cell in cells])
    for given, right in wrong_and_right(name):
        found = np.asarray(draw(name, keyed(request), traced(given)))
        numbers = np.array([cells.index(tuple(row)) for row in found.tolist()])
        statistic, threshold = chi_square(numbers, mass)
        assert (statistic < threshold) == right


@pytest.mark.parametrize("name", GAUSSIAN)
def test_vectors(name, request):
    """The law of one projection, which sees the covariance, and of the whitened length, which sees the rest."""
    law = LAWS[name].frozen()
    student = name == "multi_student_t"
    mu, sigma = (law.loc, law.shape) if student else (law.mean, law.cov)
    direction = np.array([0.8, -0.6])
    scale = np.sqrt(direction @ sigma @ direction)
    for given, right in wrong_and_right(name):
        found = np.asarray(draw(name, keyed(request), traced(given)), float) - mu
        length = np.einsum("ni,ij,nj->n", found, np.linalg.inv(sigma), found)
        projected = found @ direction / scale
        laws = (stats.t(3.5), stats.f(2, 3.5, 0, 2)) if student else (stats.norm(), stats.chi2(2))
        worst = max(distance(x, of.cdf) for x, of in zip((projected, length), laws, strict=True))
        assert (worst < dkwm_threshold(DRAWS, 2)) == right


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
    fallen = draw("multinomial", key, {"N": jnp.asarray([[3], [5]]), "theta": theta[:, None]}, (2, 4))
    assert fallen.tolist() == [[[3, 0, 0]] * 4, [[0, 0, 5]] * 4]
    cutpoints = {"eta": jnp.asarray([-50.0, 50.0]), "c": jnp.asarray([-1.0, 1.0])}
    assert draw("ordered_logistic", key, cutpoints, (3, 2)).tolist() == [[0, 2]] * 3
    precise = {"mu": jnp.zeros((4, 1, 2)), "Omega": jnp.broadcast_to(jnp.eye(2), (3, 2, 2))}
    assert draw("multi_normal_precision", key, precise, (4, 3)).shape == (4, 3, 2)


SCALE = np.array([[1.5, 0.0, 0.0], [0.4, 0.8, 0.0], [-0.3, 0.5, 1.1]])


def matrices(name, arguments, request, k):
    """float64[draws, k, k]: the matrices whose Cholesky factors are drawn, which are lower with positive diagonals."""
    drawn = partial(MATRICES[name], batch=(DRAWS,), event=(k, k))
    lower = np.asarray(jax.jit(drawn)(keyed(request), traced(arguments)), np.float64)
    assert (np.triu(lower, 1) == 0).all()
    assert (np.diagonal(lower, axis1=1, axis2=2) > 0).all()
    return lower @ np.swapaxes(lower, 1, 2)


@pytest.mark.parametrize(("eta", "k"), [(0.7, 3), (2.0, 2), (1.0, 5)])
def test_lkj_correlations(eta, k, request):
    """Every correlation is 2 Beta(a, a) - 1 with a = eta + (k - 2) / 2 (Lewandowski, Kurowicka and Joe 2009, section 3)."""
    found = matrices("lkj_corr_cholesky", {"eta": eta}, request, k)
    assert np.allclose(np.diagonal(found, axis1=1, axis2=2), 1, atol=1e-5)
    for i, j in {(1, 0), (k - 1, 0), (k - 1, k - 2)}:
        law = stats.beta(eta + 0.5 * (k - 2), eta + 0.5 * (k - 2), loc=-1, scale=2)
        assert distance(found[:, i, j], law.cdf) < dkwm_threshold(DRAWS)
        twin = stats.beta(2 * eta + 0.5 * (k - 2), 2 * eta + 0.5 * (k - 2), loc=-1, scale=2)
        assert distance(found[:, i, j], twin.cdf) > dkwm_threshold(DRAWS)


@pytest.mark.parametrize("direction", [[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.5, -1.0, 2.0]])
def test_wishart_matrices(direction, request):
    """c' W c / c' S c is chi-squared of nu degrees; of an inverse one c' S^-1 c / c' W^-1 c with W^-1 Wishart too."""
    nu, c = 5.5, np.asarray(direction)
    scale = SCALE @ SCALE.T
    found = matrices("wishart_cholesky", {"nu": nu, "L_S": SCALE}, request, 3)
    ratio = np.einsum("i,nij,j->n", c, found, c) / (c @ scale @ c)
    assert distance(ratio, stats.chi2(nu).cdf) < dkwm_threshold(DRAWS)
    assert distance(ratio, stats.chi2(1.2 * nu).cdf) > dkwm_threshold(DRAWS)
    inverse = np.linalg.inv(matrices("inv_wishart_cholesky", {"nu": nu, "L_S": SCALE}, request, 3))
    ratio = np.einsum("i,nij,j->n", c, inverse, c) / (c @ np.linalg.inv(scale) @ c)
    assert distance(ratio, stats.chi2(nu).cdf) < dkwm_threshold(DRAWS)
    assert distance(ratio, stats.chi2(1.2 * nu).cdf) > dkwm_threshold(DRAWS)


def test_the_factor_of_a_wishart_is_not_that_of_its_transpose(request):
    """Off the diagonal too: the mean of W is nu S."""
    found = matrices("wishart_cholesky", {"nu": 5.5, "L_S": SCALE}, request, 3)
    scale = SCALE @ SCALE.T
    error = np.sqrt(5.5 * (scale**2 + np.outer(np.diag(scale), np.diag(scale))) / DRAWS)
    assert (np.abs(found.mean(0) - 5.5 * scale) < 5 * error).all()
    assert not (np.abs(found.mean(0) - 5.5 * SCALE.T @ SCALE) < 5 * error).all()
