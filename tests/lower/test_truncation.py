"""Truncated distributions and the log distribution functions of the library, against scipy and mpmath."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
from scipy import stats

import energylang
from energylang.syntax import ast
from energylang.syntax.library import parse_library
from tests.support.laws import LAWS

FUNCTIONS = {d.name.text for d in parse_library("distributions").declarations if isinstance(d, ast.Fn)}
CUT = sorted(name.removesuffix("_log_cdf") for name in FUNCTIONS if name.endswith("_log_cdf"))
DEMANDED = (
    "normal student_t cauchy logistic laplace gumbel exponential weibull lognormal gamma inverse_gamma beta uniform pareto poisson "
    "binomial neg_binomial"
)


def test_the_usual_distributions_can_be_truncated():
    assert set(CUT) >= set(DEMANDED.split())
    assert {f"{name}_log_ccdf" for name in CUT} <= FUNCTIONS


@pytest.mark.parametrize("name", CUT)
def test_distribution_functions(name):
    """Both tails at the points of the density and far beyond, and the slope of a continuous one: the density."""
    law = LAWS[name]
    arguments = law.arguments or ((-1.0, 2.0) if name == "uniform" else ())
    conditions = {"alpha": "real", "beta": "real"} if name == "uniform" else law.conditions
    signature = ", ".join([f"x: {'count' if law.discrete else 'real'}"] + [f"{n}: {s}" for n, s in conditions.items()])
    given = ", ".join(["x", *conditions])
    text = "\n".join(
        f"energy {tail}(u: real | {signature}) = {name}_{tail}({given}) + 0 * u" for tail in ("log_cdf", "log_ccdf")
    )
    frozen = law.frozen()
    spread = [float(v) for v in frozen.ppf([1e-12, 0.3, 0.8, 1 - 1e-12])] if hasattr(frozen, "ppf") else []
    with jax.enable_x64(True):
        model = energylang.compile(text)
        named = dict(zip(conditions, arguments, strict=True))

        def both(x):
            return [model[tail](u=0.0, x=x, **named) for tail in ("log_cdf", "log_ccdf")]

        quick = {"xla_backend_optimization_level": 0}
        of = both if law.discrete else lambda x: (both(x), jax.jvp(both, (x,), (jnp.ones_like(x),))[1])
        found = jax.jit(of, compiler_options=quick)
        upper = frozen.sf if hasattr(frozen, "sf") else lambda x: 1 - frozen.cdf(x)
        for x in (*law.points, *spread):
            result = found(jnp.asarray(x, jnp.int32 if law.discrete else float))
            values, slopes = (result, None) if law.discrete else result
            for place, expected in enumerate((frozen.cdf(x), upper(x))):
                assert np.exp(float(values[place])) == pytest.approx(expected, rel=1e-7, abs=1e-12)
                if slopes is not None and 1e-10 < expected < 1 - 1e-10:
                    density = (-1) ** place * float(slopes[place]) * expected
                    assert density == pytest.approx(np.exp(law.log_density(x)), rel=1e-5)


def energy_of(text, **data):
    return energylang.compile(text, data=data)["e"]


def test_normal_far_in_the_tail():
    """Thirty standard deviations out, in float32, value and slope."""
    energy = energy_of(
        "energy e(x: interval(30, 31) | mu: real) {\n  x ~ truncate(normal(mu, 1), lower = 30, upper = 31)\n}"
    )
    with mpmath.workdps(60):

        def exact(mu):
            mass = (mpmath.erfc((30 - mu) / mpmath.sqrt(2)) - mpmath.erfc((31 - mu) / mpmath.sqrt(2))) / 2
            return -mpmath.log(mpmath.npdf(30.25, mu)) + mpmath.log(mass)

        expected, slope = float(exact(mpmath.mpf(0))), float(mpmath.diff(exact, 0))
    value, found = jax.value_and_grad(lambda mu: energy(x=30.25, mu=mu))(0.0)
    assert float(value) == pytest.approx(expected, abs=2e-4)
    # A difference of two slopes of 30, each right to a few units of 1e-5.
    assert float(found) == pytest.approx(slope, abs=2e-3)


@pytest.mark.parametrize(("call", "space", "law", "low", "high"), [
    ("truncate(student_t(3, 0.5, 2), -1, 4)", "interval(-1, 4)", stats.t(3, 0.5, 2), -1, 4),
    ("truncate(normal(0.5, 2), lower = 0)", "positive", stats.norm(0.5, 2), 0, np.inf),
    ("truncate(cauchy(0, 1), upper = 1.5)", "interval(-infinity, 1.5)", stats.cauchy(), -np.inf, 1.5),
    ("truncate(gamma(2, 0.5), -3, 1)", "interval(0, 1)", stats.gamma(2, 0, 2), 0, 1),
    ("truncate(beta(2, 3), lower = 0.25)", "interval(0.25, 1)", stats.beta(2, 3), 0.25, 1),
])  # fmt: skip
def test_continuous(call, space, law, low, high):
    """Values; a twin without the constant is off by log mass, which is not small."""
    with jax.enable_x64(True):
        energy = energy_of(f"energy e(x: {space}) {{\n  x ~ {call}\n}}")
        mass = law.cdf(high) - law.cdf(low)
        assert abs(np.log(mass)) > 0.01
        for x in (max(low, -2.0) + 0.1, min(high, 1.0) - 0.1):
            assert float(energy(x=x)) == pytest.approx(-law.logpdf(x) + np.log(mass), rel=1e-9)
    assert (
        energylang.compile(f"energy e(x: {space}) {{\n  x ~ {call}\n}}").program.energies["e"].normalisation.value
        == "normalised"
    )


def test_discrete_bounds_belong_to_the_support():
    text = "energy e(x: cat(5)) {\n  x ~ truncate(poisson(2.5), lower = 1, upper = 4)\n}"
    with jax.enable_x64(True):
        energy = energy_of(text)
        found = np.array([float(energy(x=x)) for x in range(5)])
        weights = stats.poisson(2.5).pmf(range(1, 5))
        np.testing.assert_allclose(found[1:], -np.log(weights / weights.sum()), rtol=1e-9)
        assert found[0] == np.inf


def test_data_and_varying_bounds():
    text = """
    data y: real[n]
    data top: real[n]
    energy e(low: real, x: interval(low, infinity)) {
      low ~ normal(0, 1)
      x ~ truncate(normal(0, 2), lower = low)
      y ~ truncate(logistic(low, 1), upper = top)
    }
    """
    y, top = np.array([0.3, -1.0]), np.array([0.5, 2.0])
    with jax.enable_x64(True):
        energy = energy_of(text, y=y, top=top)
        expected = (
            -stats.norm.logpdf(0.4) - stats.norm(0, 2).logpdf(1.2) + stats.norm(0, 2).logsf(0.4)
            - stats.logistic(0.4).logpdf(y).sum() + stats.logistic(0.4).logcdf(top).sum()
        )  # fmt: skip
        assert float(energy(low=0.4, x=1.2)) == pytest.approx(expected, rel=1e-9)
        with pytest.raises(energylang.DiagnosticError, match=r"`y\[0\]` is 1.3, which has no density here"):
            energy_of(text, y=y + 1, top=top)


def test_a_distribution_of_ones_own():
    text = """
    distribution triangle(x: unit | peak: positive) = -log(2 * x) + 0 * peak
    fn triangle_log_cdf(x, peak) = 2 * log(x)
    energy e(x: interval(0.2, 0.5)) {
      x ~ truncate(triangle(1), 0.2, 0.5)
    }
    """
    assert float(energy_of(text)(x=0.3)) == pytest.approx(-np.log(0.6 / (0.25 - 0.04)), rel=1e-5)
