"""The standard library against scipy: value, gradient by finite differences, and total mass."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate, stats

import energylang
from energylang.syntax.library import parse_library

CONTINUOUS = {
    "normal": ("real", "0.3, 1.7", stats.norm(0.3, 1.7)),
    "student_t": ("real", "4, 0.3, 1.7", stats.t(4, 0.3, 1.7)),
    "cauchy": ("real", "0.3, 1.7", stats.cauchy(0.3, 1.7)),
    "laplace": ("real", "0.3, 1.7", stats.laplace(0.3, 1.7)),
    "logistic": ("real", "0.3, 1.7", stats.logistic(0.3, 1.7)),
    "gumbel": ("real", "0.3, 1.7", stats.gumbel_r(0.3, 1.7)),
    "half_normal": ("positive", "1.7", stats.halfnorm(0, 1.7)),
    "half_student_t": ("positive", "4, 1.7", None),
    "half_cauchy": ("positive", "1.7", stats.halfcauchy(0, 1.7)),
    "lognormal": ("positive", "0.3, 0.7", stats.lognorm(0.7, 0, np.exp(0.3))),
    "exponential": ("positive", "1.7", stats.expon(0, 1 / 1.7)),
    "gamma": ("positive", "2.5, 1.7", stats.gamma(2.5, 0, 1 / 1.7)),
    "inverse_gamma": ("positive", "2.5, 1.7", stats.invgamma(2.5, 0, 1.7)),
    "weibull": ("positive", "2.5, 1.7", stats.weibull_min(2.5, 0, 1.7)),
    "beta": ("unit", "2.5, 1.7", stats.beta(2.5, 1.7)),
    "uniform": ("interval(-1, 2)", "-1, 2", stats.uniform(-1, 3)),
}
DISCRETE = {
    "bernoulli": ("binary", "0.3", stats.bernoulli(0.3), range(2)),
    "bernoulli_logit": ("binary", "0.3", stats.bernoulli(1 / (1 + np.exp(-0.3))), range(2)),
    "categorical": ("cat(3)", "[0.2, 0.3, 0.5]", stats.rv_discrete(values=([0, 1, 2], [0.2, 0.3, 0.5])), range(3)),
    "categorical_logit": (
        "cat(3)", "[log(0.4), log(0.6), log(1.0)]", stats.rv_discrete(values=([0, 1, 2], [0.2, 0.3, 0.5])), range(3),
    ),
    "poisson": ("count", "3.5", stats.poisson(3.5), range(60)),
    "poisson_log": ("count", "1.2", stats.poisson(np.exp(1.2)), range(60)),
}  # fmt: skip


def energy_of(name: str, space: str, arguments: str):
    text = f"data theta: real = 0\nenergy e(u: real | x: {space}) = {name}(x | {arguments}) + 0 * u"
    model = energylang.compile(text)
    return jax.jit(lambda x: model["e"](u=0.0, x=x))


def test_every_distribution_is_checked():
    library = {d.name.text for d in parse_library("distributions").declarations}
    assert library == CONTINUOUS.keys() | DISCRETE.keys() | {"dirichlet"}


@pytest.mark.parametrize("name", CONTINUOUS)
def test_continuous(name):
    space, arguments, peer = CONTINUOUS[name]
    with jax.enable_x64(True):
        energy = energy_of(name, space, arguments)
        points = {"real": [-3.0, 0.1, 2.0], "positive": [0.05, 1.0, 4.0]}.get(space, [0.1, 0.5, 0.9])
        for x in points:
            expected = peer.logpdf(x) if peer else stats.t(4, 0, 1.7).logpdf(x) + np.log(2)
            assert float(energy(jnp.asarray(x))) == pytest.approx(-expected, rel=1e-9, abs=1e-9)
            slope = float(jax.grad(energy)(jnp.asarray(x)))
            step = 1e-5
            difference = (float(energy(jnp.asarray(x + step))) - float(energy(jnp.asarray(x - step)))) / (2 * step)
            assert slope == pytest.approx(difference, rel=1e-5, abs=1e-6)
        low, high = {"real": (-np.inf, np.inf), "positive": (0, np.inf), "unit": (0, 1)}.get(space, (-1, 2))
        mass, _ = integrate.quad(lambda x: np.exp(-float(energy(jnp.asarray(x)))), low, high, limit=200)
        assert mass == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize("name", DISCRETE)
def test_discrete(name):
    space, arguments, peer, values = DISCRETE[name]
    with jax.enable_x64(True):
        energy = energy_of(name, space, arguments)
        found = np.array([float(energy(jnp.asarray(x, jnp.int32))) for x in values])
        np.testing.assert_allclose(found, -peer.logpmf(np.array(values)), rtol=1e-7, atol=1e-9)
        assert np.exp(-found).sum() == pytest.approx(1.0, abs=1e-9)


def test_dirichlet():
    with jax.enable_x64(True):
        model = energylang.compile("energy e(x: simplex[3]) {\n  x ~ dirichlet([0.7, 2.0, 3.5])\n}")
        x = np.array([0.2, 0.3, 0.5])
        assert float(model["e"](x=x)) == pytest.approx(-stats.dirichlet([0.7, 2.0, 3.5]).logpdf(x), rel=1e-9)


def test_batches_of_events():
    """A distribution over vectors, mapped over a batch, is the sum over its rows."""
    text = "energy e(x: simplex[4, 3]) {\n  x ~ dirichlet([0.7, 2.0, 3.5])\n}"
    x = np.random.default_rng(0).dirichlet([1, 1, 1], 4)
    with jax.enable_x64(True):
        expected = -sum(stats.dirichlet([0.7, 2.0, 3.5]).logpdf(row) for row in x)
        assert float(energylang.compile(text)["e"](x=x)) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("nu", [1.0, 7.9, 15.9, 16.1, 1e3, 1e5, 1e7])
def test_student_t_keeps_its_digits_in_float32(nu):
    """Differences of lgammas cancel for large nu; the Beta function does not."""
    model = energylang.compile("data n: real\nenergy e(x: real) = student_t(x | n, 0, 1)", data={"n": nu})
    for x in (0.1, 2.0, 5.0):
        assert float(model["e"](x=x)) == pytest.approx(-stats.t(nu).logpdf(x), rel=3e-6, abs=3e-6)


def test_log_beta():
    from scipy.special import betaln, gammaln

    x, y = np.meshgrid(
        [0.1, 0.5, 1.0, 3.3, 7.99, 8.0, 8.01, 50.0, 1e3, 1e6], [0.2, 2.0, 7.999, 8.0, 9.0, 1e2, 1e5, 1e8]
    )
    text = "data x: positive[n, m]\ndata y: positive[n, m]\nenergy e(t: real) {\n  report b = lbeta(x, y)\n  += t^2\n}"
    with jax.enable_x64(True):
        energy = energylang.compile(text, data={"x": x, "y": y})["e"]
        symbols = energy.compiled.program.environment(energy.compiled.arrays, {})
        found = energy.compiled.program.reports(symbols)["b"]
        # scipy adds up three lgammas: its own error is a few units in the last place of the largest.
        bound = 4 * np.finfo(float).eps * (np.abs(gammaln(x)) + np.abs(gammaln(y)) + np.abs(gammaln(x + y)) + 1)
        assert (np.abs(found - betaln(x, y)) <= bound).all()
        gradient = jax.grad(lambda v: jax.scipy.special.betaln(v, 2.0))(3.0)
        ours = energylang.compile("energy e(v: positive) = lbeta(v, 2)")["e"]
        assert float(jax.grad(lambda v: ours(v=v))(3.0)) == pytest.approx(float(gradient), rel=1e-6)
