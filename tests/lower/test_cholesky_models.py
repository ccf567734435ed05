"""Cholesky factors in models: shapes, data and params checked, samples with their exact law, distributions over them."""

from __future__ import annotations

import zlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

import energylang
from energylang.diagnostics import DiagnosticError
from energylang.model import Point

MODEL = """
data S: cov_cholesky[k]
data w: positive[k]
param P: cov_cholesky[2] = [[1, 0], [0.5, 2]]

distribution two(L: corr_cholesky[k] | scale: positive[k]) = 0

energy e(L: corr_cholesky[n, k], C: cov_cholesky[k] | n: int) {
  L ~ two(w)
  += sum((C - S)^2) + sum(P^2)
  report R = L[0] @ transpose(L[0])
}
"""


def test_shapes_params_and_reports() -> None:
    model = energylang.compile(MODEL, data={"S": [[2.0, 0.0], [1.0, 3.0]], "w": [1, 1]})
    plan = model.plan("sample", "e", on={"n": 3})
    assert str(plan.energy.node.variables[0].space) == "corr_cholesky[n, k]"
    assert plan.energy.compiled.program.facts.reals == 3 + 3
    np.testing.assert_allclose(plan.energy.params["P"], [[1, 0], [0.5, 2]], rtol=1e-6)
    draws = plan.energy.target().outputs(Point(jnp.linspace(-1, 1, 6), ()), jax.random.key(0)).draws
    assert draws["L"].shape == (3, 2, 2)
    assert draws["C"].shape == (2, 2)
    np.testing.assert_allclose(np.diagonal(draws["R"]), 1.0, rtol=1e-6)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("cov", [[1.0, 0.5], [0.5, 1.0]]),
        ("cov", [[1.0, 0.0], [0.5, -1.0]]),
        ("corr", [[1.0, 0.0], [0.5, 1.0]]),
        ("corr", [[1.0, 0.0, 0.0], [0.6, 0.8, 0.0]]),
    ],
)
def test_data_and_params_outside(kind: str, value: list[list[float]]) -> None:
    square = len(value) == len(value[0])
    with pytest.raises(DiagnosticError, match="E0704" if square else "E0703"):
        energylang.compile(f"data S: {kind}_cholesky[k]\nenergy e(x: real) = x^2 + sum(S)", data={"S": value})
    if square:
        with pytest.raises(DiagnosticError, match="E0704"):
            energylang.compile(f"param S: {kind}_cholesky[2] = {value}\nenergy e(x: real) = x^2 + sum(S)")["e"]


def test_a_flat_correlation_matrix_has_its_exact_law(request: pytest.FixtureRequest) -> None:
    """E = -sum_i (k - i) log L_ii is flat on correlation matrices: each of k = 3 has (r + 1) / 2 ~ beta(3/2, 3/2)."""
    text = "energy flat(L: corr_cholesky[3]) = -log(L[1, 1])\nsample flat with nuts()"
    seed = zlib.crc32(request.node.nodeid.encode())
    run = energylang.compile(text).sample(draws=1500, chains=4, warmup=300, seed=seed)
    factor = run.to_arviz().posterior["L"].values.reshape(-1, 3, 3)
    matrix = factor @ np.swapaxes(factor, 1, 2)
    ess = min(float(np.min(run.summary()["ESS_bulk"][np.isfinite(run.summary()["ESS_bulk"])])), 6000.0)
    assert ess > 800
    bound = np.sqrt(np.log(2 / 1e-6) / (2 * ess))
    for i, j in ((1, 0), (2, 0), (2, 1)):
        assert stats.kstest((matrix[:, i, j] + 1) / 2, stats.beta(1.5, 1.5).cdf).statistic < bound
    # The broken twin: flat on the factor's entries is another law, and this sample can tell.
    entries = factor[:, 2, 0]
    assert stats.kstest((entries + 1) / 2, stats.uniform.cdf).statistic > bound
