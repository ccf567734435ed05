"""Intervals whose bounds vary: values, energies and Jacobians against SciPy and finite differences; data and params."""

from __future__ import annotations

import zlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate, stats

import energylang
from energylang.check import check_source
from energylang.diagnostics import DiagnosticError, Diagnostics
from energylang.model import Point
from energylang.source import Source

CHAIN = """
data a: real[N] = [-1, 0.5]
energy chain(low: real, x: interval(low, low + 2), y: interval(x, infinity), z: interval(-infinity, a * x)[N]) {
  low ~ normal(0, 1)
  x ~ uniform(low, low + 2)
  += (y - x)^2 + sum(z^2)
}
"""


def constrained(model: energylang.Model, vector: np.ndarray) -> np.ndarray:
    values = next(model[n] for n in model).target().outputs(Point(jnp.asarray(vector), ()), jax.random.key(0)).draws
    return np.concatenate([np.ravel(v) for v in values.values()])


@pytest.mark.parametrize("seed", range(3))
def test_values_energy_and_jacobian(seed: int) -> None:
    with jax.enable_x64(True):
        model = energylang.compile(CHAIN)
        target = model["chain"].target()
        vector = np.random.default_rng(seed).normal(size=5)
        low, x, y, *z = constrained(model, vector)
        assert low < x < low + 2
        assert y > x
        assert (np.asarray(z) < np.array([-1, 0.5]) * x).all()
        expected = -stats.norm.logpdf(low) - stats.uniform.logpdf(x, low, 2) + (y - x) ** 2 + np.sum(np.square(z))
        point = Point(jnp.asarray(vector), ())
        np.testing.assert_allclose(target.energy(point), expected, rtol=1e-10)
        np.testing.assert_allclose(model["chain"](low=low, x=x, y=y, z=np.asarray(z)), expected, rtol=1e-10)
        step = 1e-6
        columns = [
            (constrained(model, vector + step * e) - constrained(model, vector - step * e)) / (2 * step)
            for e in np.eye(5)
        ]
        _, numeric = np.linalg.slogdet(np.stack(columns, axis=1))
        np.testing.assert_allclose(target.log_jacobian(point), numeric, atol=1e-6)


def test_a_flat_variable_weighs_what_bounds_it() -> None:
    """The marginal of `low` by quadrature over the unconstrained x: width times its density without `uniform`."""
    flat = "energy e(low: real, x: interval(0, 1 + low^2)) {\n  low ~ normal(0, 1)\n}"
    whole = "energy e(low: real, x: interval(0, 1 + low^2)) {\n  low ~ normal(0, 1)\n  x ~ uniform(0, 1 + low^2)\n}"
    with jax.enable_x64(True):
        u = jnp.linspace(-40, 40, 4001)
        for text, weighted in ((flat, True), (whole, False)):
            target = energylang.compile(text)["e"].target()
            for low in (0.0, 1.5):
                density = jax.vmap(
                    lambda v, low=low, t=target: t.log_density(Point(jnp.stack([jnp.float64(low), v]), ()))
                )
                mass = integrate.simpson(np.exp(np.asarray(density(u))), x=np.asarray(u))
                width = 1 + low**2 if weighted else 1.0
                np.testing.assert_allclose(mass, width * stats.norm.pdf(low), rtol=1e-6)


def checked(text: str) -> tuple[object, list[tuple[str, str]]]:
    diagnostics = Diagnostics()
    _, program = check_source(Source("m", text), diagnostics)
    return program, [(d.code, f"{d.message} {d.cause} {d.fix}") for d in diagnostics.found]


def test_normalisation_and_lints() -> None:
    exact = "energy e(low: real, x: interval(low, low + 2)) {\n  low ~ normal(0, 1)\n  x ~ uniform(low, low + 2)\n}"
    program, found = checked(exact)
    assert program.energies["e"].traits.normalised  # type: ignore[attr-defined]
    assert not found
    program, found = checked(exact.replace("  x ~ uniform(low, low + 2)\n", ""))
    assert not program.energies["e"].traits.normalised  # type: ignore[attr-defined]
    assert found[0][0] == "L0102"
    assert "`low` is weighted by it" in found[0][1]
    assert "x ~ uniform(low, low + 2)" in found[0][1]
    by_parts = (
        "data a: real[N]\nenergy e(x: interval(0, a)[N]) {\n  x[0] ~ uniform(0, a[0])\n  x[1:] ~ uniform(0, a[1:])\n}"
    )
    program, found = checked(by_parts)
    assert program is not None
    constant = "data a: real\nenergy e(x: interval(a, 3)) {\n  x ~ normal(0, 1)\n}"
    program, found = checked(constant)
    assert [code for code, _ in found] == ["L0101"]


def test_bounds_in_the_wrong_order_are_an_infinite_energy() -> None:
    text = "energy e(low: real, x: interval(low, 1)) {\n  low ~ normal(0, 1)\n  x ~ uniform(low, 1)\n}"
    target = energylang.compile(text)["e"].target()
    bad = Point(jnp.array([2.0, 0.3]), ())
    assert np.isposinf(target.energy(bad))
    assert np.isfinite(target.log_jacobian(bad))
    assert np.isneginf(target.log_density(bad))
    assert np.isfinite(target.log_density(Point(jnp.array([0.5, 0.3]), ())))


def test_a_sample_has_its_exact_law(request: pytest.FixtureRequest) -> None:
    """low ~ N(0, 1), x | low uniform: both probability transforms, DKW at 1e-6 for the effective sample size."""
    text = "energy e(low: real, x: interval(low, low + 2)) {\n  low ~ normal(0, 1)\n  x ~ uniform(low, low + 2)\n}"
    seed = zlib.crc32(request.node.nodeid.encode())
    run = energylang.compile(text).sample(draws=1500, chains=4, warmup=500, seed=seed)
    posterior = run.to_arviz().posterior
    low, x = posterior["low"].values.ravel(), posterior["x"].values.ravel()
    ess = float(np.min(run.summary()["ESS_bulk"]))
    assert ess > 1000
    bound = np.sqrt(np.log(2 / 1e-6) / (2 * ess))
    assert stats.kstest(low, stats.norm.cdf).statistic < bound
    assert stats.kstest((x - low) / 2, stats.uniform.cdf).statistic < bound


# --- data and params ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "code", "said"),
    [
        ({"c": [1.0, 2.0], "d": [0.5, 2.5]}, "E0704", "`d[1]` is 2.5, and `d` is between 0 and c"),
        ({"c": [1.0, -2.0], "d": [0.5, 1.5]}, "E0412", "the bounds of `d[1]` are 0 and -2"),
        ({"c": [1.0, 2.0], "d": [0.5, 1.5], "top": 1.0}, "E0704", "`top` is 1.0"),
    ],
)
def test_data_bounded_by_data(data: dict[str, object], code: str, said: str) -> None:
    text = (
        "data d: interval(0, c)[N]\ndata c: real[N]\nlet most = max(d)\ndata top: interval(most, infinity) = 2\n"
        "energy e(x: real) = x^2 + sum(d) + top"
    )
    energylang.compile(text, data={"c": [1.0, 2.0], "d": [0.5, 1.5]})
    with pytest.raises(DiagnosticError) as caught:
        energylang.compile(text, data=data)
    (found,) = [d for d in caught.value.diagnostics if d.severity == "error"]
    assert (found.code, said in found.message) == (code, True), found


def test_params_bounded_by_params() -> None:
    text = (
        "data c: real[N] = [1, 4]\nlet top = max(c)\nparam v: interval(w, top) = 3\nparam w: interval(0, 2)\n"
        "energy e(x: interval(w, v)) {\n  x ~ uniform(w, v)\n}"
    )
    model = energylang.compile(text)
    energy = model["e"]
    assert {n: float(v) for n, v in energy.params.items()} == pytest.approx({"w": 1.0, "v": 3.0}, rel=1e-6)
    assert float(energy.target().outputs(Point(jnp.zeros(1), ()), jax.random.key(0)).draws["x"]) == pytest.approx(2.0)
    moved = energy.with_params({"w": jnp.asarray(1.0), "v": jnp.asarray(0.0)}).params
    low = 2 / (1 + np.exp(-1.0))
    assert {n: float(v) for n, v in moved.items()} == pytest.approx({"w": low, "v": (low + 4) / 2}, rel=1e-6)
    with pytest.raises(DiagnosticError, match="E0704"):
        energylang.compile(text.replace("= 3", "= 5"))["e"]


def test_conditions_bound_variables_and_each_other() -> None:
    text = "energy e(x: interval(a, b)[n] | a: real, b: interval(a, infinity), n: int) {\n  x ~ uniform(a, b)\n}"
    model = energylang.compile(text)
    run = model.sample(on={"a": 1.0, "b": 3.0, "n": 2}, draws=50, warmup=50, chains=1)
    x = run.to_arviz().posterior["x"].values
    assert x.shape == (1, 50, 2)
    assert ((x > 1) & (x < 3)).all()
    with pytest.raises(DiagnosticError, match="E0704"):
        model.sample(on={"a": 3.0, "b": 1.0, "n": 2})


def test_a_site_that_bounds_an_interval() -> None:
    """s moves the interval of x: gains are estimates, and Gibbs by sites samples the law that enumeration over s gives."""
    text = "energy e(s: binary, x: interval(s, 2 + 2 * s)) = 0.5 * x^2 + 0.3 * s"
    model = energylang.compile(text)
    facts = model["e"].compiled.program.facts
    assert (facts.gains, facts.colours) == ("estimate", 0)
    run = model.sample(method="blocks(gibbs(), nuts())", draws=2000, warmup=300, chains=2, seed=1)
    masses = [np.exp(-0.3 * s) * integrate.quad(lambda x: np.exp(-0.5 * x**2), s, 2 + 2 * s)[0] for s in (0, 1)]
    drawn = run.to_arviz().posterior["s"].values.mean()
    ess = float(np.min(run.summary()["ESS_bulk"]))
    p = masses[1] / sum(masses)
    assert abs(drawn - p) < 5 * np.sqrt(p * (1 - p) / ess)
