"""Compiled energies in code of one's own: the flat vector, and the scripts of `examples/embedding`."""

from __future__ import annotations

import runpy
import warnings
from functools import cache
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import optimize, special, stats

import energylang as el
from energylang.run.summary import summarise

SCRIPTS = Path(__file__).parents[1] / "examples" / "embedding"
FIVE = 5.0
"""Monte Carlo standard errors that a mean may be off, which chance exceeds once in two million."""


def script(name: str, function: str, **arguments: Any) -> Any:
    return runpy.run_path(str(SCRIPTS / name))[function](**arguments)


# --- the flat vector ----------------------------------------------------------------------------------------------

MODEL = """
data t: positive[2] = [1, 2]
energy e(a: real, s: simplex[3], b: interval(a, a + t[0]), k: cat(3)[2], p: positive[2] | c: real) {
  a ~ normal(0, 1)
  s ~ dirichlet([1.5, 2, 3])
  p ~ gamma(2, 1)
  += sum(k * p) + c * b^2
}
"""


def test_the_flat_vector_by_hand() -> None:
    energy = el.compile(MODEL)["e"]
    assert energy.flat_size == 1 + 2 + 1 + 2
    values = {"a": 0.3, "s": np.array([0.2, 0.5, 0.3]), "b": 0.9, "p": np.array([0.5, 3.0])}
    k, c = np.array([0, 2]), 0.7
    flat = energy.unconstrain(values | {"k": k, "c": c})
    back = jax.jit(lambda x: energy.constrain(x, k=k, c=c))(flat)
    for name, value in values.items():
        np.testing.assert_allclose(back[name], value, rtol=1e-5)
    # Of the simplex by stick breaking, of the interval (0.9 lies 0.6 of the way), of what is positive.
    jacobian = (
        np.log(0.2 * 0.8) + np.log(0.5 / 0.8 * 0.3 / 0.8) + np.log(0.8) + np.log(0.6 * 0.4) + np.log(0.5) + np.log(3.0)
    )
    function = jax.jit(jax.value_and_grad(lambda x: energy.log_density(x, k=k, c=c)))
    density, slope = function(flat)
    assert float(density) == pytest.approx(jacobian - float(energy(**values, k=k, c=c)), abs=1e-5)
    step = np.zeros(6, np.float32)
    for place in range(6):
        step[place] = 1e-2
        ends = [float(function(flat + sign * step)[0]) for sign in (1, -1)]
        assert slope[place] == pytest.approx((ends[0] - ends[1]) / 2e-2, abs=5e-3)
        step[place] = 0.0


def test_starts_are_finite_and_differ() -> None:
    energy = el.compile("energy e(x: positive[3], k: cat(2)) = sum(x - log(x)) + k")["e"]
    starts = jax.vmap(energy.initial)(jax.random.split(jax.random.key(0), 4))
    assert starts.shape == (4, 3)
    assert len(np.unique(starts)) == 12
    assert bool(jnp.all(jnp.isfinite(jax.vmap(lambda x: energy.log_density(x, k=1))(starts))))
    nowhere = el.compile("energy e(x: real) = log(-1 - x^2)")["e"]
    with pytest.raises(el.DiagnosticError) as raised:
        nowhere.initial(jax.random.key(0))
    assert raised.value.diagnostics[0].code == "E0801"


@pytest.mark.parametrize(
    ("call", "code", "said"),
    [
        (lambda e: e.log_density(np.zeros(5), k=[0, 0], c=0.0), "E0710", "has shape [6], and this has [5]"),
        (lambda e: e.log_density(np.zeros((2, 6)), k=[0, 0], c=0.0), "E0710", "has shape [6], and this has [2, 6]"),
        (lambda e: e.log_density(np.zeros(6), c=0.0), "E0710", "needs a value for `k`"),
        (lambda e: e.log_density(np.zeros(6), k=[0, 0]), "E0608", "needs a value for `c`"),
        (lambda e: e.log_density(np.zeros(6), a=1.0), "E0710", "no discrete variable or condition `a`"),
        (lambda e: e.unconstrain({"a": 1.0}), "E0710", "needs a value for `s`"),
        (lambda e: e.unconstrain({"q": 1.0}), "E0710", "no variable or condition `q`"),
    ],
)
def test_what_is_wrong_with_a_flat_vector(call: Any, code: str, said: str) -> None:
    with pytest.raises(el.DiagnosticError) as raised:
        call(_model())
    (finding,) = raised.value.diagnostics
    assert (finding.code, said in finding.message) == (code, True), finding.message


@cache
def _model() -> el.Energy:
    return el.compile(MODEL)["e"]


def test_what_is_not_needed_need_not_be_given() -> None:
    energy = el.compile("energy e(x: positive, k: cat(2) | c: real) = x + k + c")["e"]
    assert float(energy.constrain(jnp.zeros(1))["x"]) == 1.0
    assert energy.unconstrain({"x": 1.0}).shape == (1,)


# --- the scripts --------------------------------------------------------------------------------------------------


def test_optax() -> None:
    fitted = script("optax_fit.py", "fit", steps=600)
    heights = fitted.model.data["heights"]
    assert float(fitted.params["mu"]) == pytest.approx(heights.mean(), abs=1e-3)
    assert float(fitted.params["sigma"]) == pytest.approx(heights.std(), abs=1e-3)


def test_scan_and_vmap() -> None:
    heights, values = script("scan_and_vmap.py", "modes", starts=3)
    model = el.load(SCRIPTS.parent / "logistic_regression.energy")
    dose, exposed, killed = (model.data[name] for name in ("dose", "exposed", "killed"))

    def energy(x: np.ndarray) -> float:
        eta = x[0] + x[1] * (dose - dose.mean())
        prior = stats.norm.logpdf(x, 0, [5, 50]).sum()
        return -float(prior + (killed * eta - exposed * np.logaddexp(0, eta)).sum())

    best = optimize.minimize(energy, np.zeros(2), method="BFGS").x
    np.testing.assert_allclose(values["alpha"], best[0], atol=2e-3)
    np.testing.assert_allclose(values["beta"], best[1], rtol=2e-3)
    assert np.ptp(heights) < 1e-2


@cache
def moments() -> tuple[float, float]:
    """The posterior means of mu and of tau in eight schools, by quadrature; eta integrates to normals."""
    y = np.array([28.0, 8, -3, 7, -1, 1, 18, 12])
    sigma = np.array([15.0, 10, 16, 11, 9, 11, 10, 18])
    mu = np.linspace(-25, 35, 601)[:, None]
    # tau = exp(u), so that its tail is in the grid.
    tau = np.exp(np.linspace(-9, 6, 601))[None, :]
    log = stats.norm.logpdf(mu, 0, 5) + stats.halfcauchy.logpdf(tau, 0, 5) + np.log(tau)
    for one, width in zip(y, sigma, strict=True):
        log = log + stats.norm.logpdf(one, mu, np.sqrt(width**2 + tau**2))
    weight = np.exp(log - special.logsumexp(log))
    return float((weight * mu).sum()), float((weight * tau).sum())


@pytest.mark.parametrize("name", ["blackjax_nuts", "numpyro_potential", "numpyro_factor"])
def test_samplers_of_others(name: str) -> None:
    if name.startswith("numpyro"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            pytest.importorskip("numpyro", reason="needs the extra `test`")
    drawn = script(f"{name}.py", "draws", chains=2, warmup=300, count=400)
    assert drawn["eta"].shape == (2, 400, 8)
    summary = summarise([("mu", np.asarray(drawn["mu"])), ("tau", np.asarray(drawn["tau"]))])
    for variable, truth in zip(("mu", "tau"), moments(), strict=True):
        row = summary.row(variable)
        assert row["ESS_bulk"] > 50
        assert abs(row["Mean"] - truth) < FIVE * row["MCSE"], (variable, row, truth)
