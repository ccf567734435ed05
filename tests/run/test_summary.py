"""The summary against ArviZ, to rounding, for draws of every kind."""

from __future__ import annotations

import time
import warnings
from typing import Any

import numpy as np
import pytest

from energylang.run.checks import chain_warnings
from energylang.run.data import MemoryData
from energylang.run.summary import COLUMNS, Summary, scalar_names, summarise, summarise_weighted
from energylang.run.table import number_text, render

RELATIVE = 1e-6


@pytest.fixture(scope="module")
def diagnostics() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pytest.importorskip("arviz.stats", reason="compared with the functions of ArviZ 0.23, which 1.x moved")
        from arviz.stats import diagnostics

    return diagnostics


def draws(kind: str, chains: int, count: int) -> np.ndarray:
    """[chain, draw] of one scalar."""
    generator = np.random.default_rng(len(kind) + 7 * chains + count)
    noise = generator.normal(size=(chains, count))
    if kind == "independent":
        return noise
    if kind == "correlated":
        for at in range(1, count):
            noise[:, at] += 0.9 * noise[:, at - 1]
        return noise
    if kind == "antithetic":
        for at in range(1, count):
            noise[:, at] -= 0.8 * noise[:, at - 1]
        return noise
    if kind == "apart":
        return noise + np.arange(chains)[:, None]
    if kind == "heavy":
        return generator.standard_cauchy((chains, count))
    if kind == "float32":
        return np.exp(noise).astype(np.float32)
    if kind == "spin":
        return np.where(noise > 0.3, 1, -1).astype(np.int8)
    if kind == "sticky spin":
        return np.where(draws("correlated", chains, count) > 2, 1, -1).astype(np.int8)
    if kind == "rare spin":
        return np.where(noise > 2.2, 1, -1).astype(np.int8)
    if kind == "even spin":
        return np.tile(np.array([0, 1], np.int8), (chains, count))[:, :count]
    if kind == "count":
        return generator.poisson(2.0, (chains, count))
    assert kind == "constant"
    return np.full((chains, count), 3.0)


KINDS = [
    *("independent", "correlated", "antithetic", "apart", "heavy", "float32", "spin", "sticky spin", "rare spin"),
    *("even spin", "count", "constant"),
]


@pytest.mark.parametrize(("chains", "count"), [(4, 250), (2, 101), (1, 60), (3, 5), (2, 4), (2, 3)])
@pytest.mark.parametrize("kind", KINDS)
def test_a_summary_is_that_of_arviz(kind: str, chains: int, count: int, diagnostics: Any) -> None:
    values = draws(kind, chains, count)
    exact = values.astype(np.float64)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with np.errstate(all="ignore"):
            mcse, _, bulk, tail, r_hat = diagnostics._multichain_statistics(exact)
    found = summarise([("x", values)]).row("x")
    low, middle, high = np.quantile(exact, [0.05, 0.5, 0.95])
    expected = {
        "Mean": exact.mean(),
        "MCSE": mcse,
        "StdDev": exact.std(ddof=1),
        "MAD": 1.4826 * np.median(np.abs(exact - middle)),
        "5%": low,
        "50%": middle,
        "95%": high,
        "ESS_bulk": bulk,
        "ESS_tail": tail,
        "R_hat": r_hat,
    }
    if count < 4:  # ArviZ says nothing of so few draws
        expected = {name: value for name, value in expected.items() if np.isfinite(value)}
    for column, value in expected.items():
        np.testing.assert_allclose(found[column], value, rtol=RELATIVE, atol=1e-12, err_msg=column)


def test_what_is_not_a_number_stays_so() -> None:
    values = draws("independent", 2, 50).copy()
    values[1, 7] = np.nan
    found = summarise([("x", values)]).row("x")
    assert all(np.isnan(found[column]) for column in ("MCSE", "ESS_bulk", "ESS_tail", "R_hat"))
    assert summarise([("x", values)]).to_dict()["x"]["R_hat"] is None


def test_scalars_are_named_and_ordered_as_in_the_language() -> None:
    values = np.zeros((2, 10, 2, 3)) + np.arange(6).reshape(2, 3)
    found = summarise([("a", np.ones((2, 10))), ("b", values)])
    assert found.names == ("a", "b[0,0]", "b[0,1]", "b[0,2]", "b[1,0]", "b[1,1]", "b[1,2]")
    assert found["Mean"].tolist() == [1, 0, 1, 2, 3, 4, 5]
    assert scalar_names("c", (0,)) == []
    assert len(summarise([])) == 0


def test_scalars_of_all_kinds_may_share_an_array() -> None:
    kinds = ["independent", "spin", "constant", "count"]
    values = np.stack([draws(kind, 3, 80).astype(np.float64) for kind in kinds], axis=2)
    together = summarise([("x", values)])
    for place, kind in enumerate(kinds):
        alone = summarise([("x", draws(kind, 3, 80))])
        for column in COLUMNS:
            np.testing.assert_allclose(together[column][place], alone[column][0], rtol=1e-12)


def test_spins_are_quick() -> None:
    """A tenth of 1024 spins, 64 chains, 2000 draws; the limit is ten times what it takes."""
    values = np.random.default_rng(0).integers(0, 2, (64, 2000, 102), dtype=np.int8)
    began = time.perf_counter()
    summarise([("s", values)])
    assert time.perf_counter() - began < 10


def test_weighted_columns_are_self_normalised() -> None:
    generator = np.random.default_rng(3)
    values = generator.normal(size=(1, 4000))
    log_weight = 0.5 * values**2 - 0.5 * (values - 1) ** 2  # from normal(0, 1) to normal(1, 1)
    found = summarise_weighted([("x", values)], log_weight).row("x")
    weight = np.exp(log_weight[0]) / np.exp(log_weight).sum()
    assert found["Mean"] == pytest.approx(weight @ values[0])
    assert found["MCSE"] == pytest.approx(np.sqrt(np.sum(weight**2 * (values[0] - found["Mean"]) ** 2)))
    assert abs(found["Mean"] - 1) < 5 * found["MCSE"]
    assert found["StdDev"] == pytest.approx(1, abs=0.1)
    assert found["MAD"] == pytest.approx(1, abs=0.15)
    assert found["50%"] == pytest.approx(1, abs=0.15)
    assert found["95%"] == pytest.approx(1 + 1.645, abs=0.3)
    equal = summarise_weighted([("x", values)], np.zeros((1, 4000))).row("x")
    assert equal["Mean"] == pytest.approx(values.mean())
    assert equal["MCSE"] == pytest.approx(values.std() / np.sqrt(4000))


def test_a_table_is_aligned_and_says_what_it_leaves_out() -> None:
    found = summarise([("x", np.random.default_rng(0).normal(size=(2, 100, 40)))])
    lines = render(found, rows=3).splitlines()
    assert lines[0].split() == list(COLUMNS)
    assert lines[-1] == "… and 37 more of `x`"
    assert len({len(line) for line in lines[:4]}) == 1
    assert len(render(found, rows=40).splitlines()) == 41
    assert render(Summary((), {column: np.empty(0) for column in COLUMNS}))
    both = summarise([("long", np.random.default_rng(0).normal(size=(2, 50, 40))), ("short", np.zeros((2, 50)) + 0.5)])
    names = [line.split()[0] for line in render(both, rows=6).splitlines()[1:]]
    assert names == ["long[0]", "long[1]", "long[2]", "long[3]", "long[4]", "…", "short"]
    large = summarise([("x", 1e6 + 0.01 * np.random.default_rng(0).normal(size=(2, 500)))])
    assert render(large).splitlines()[1].split()[1].startswith("1000000.00") or "999999.99" in render(large)
    assert " - " in render(summarise([("x", np.ones((2, 100)))]))[:-1] + " - "


def test_warnings_name_the_worst_and_say_what_to_do() -> None:
    apart = draws("apart", 4, 100)[:, :, None] * np.ones(5)
    stuck = np.ones((4, 100))
    stuck[2] = 0
    data = MemoryData(
        {"sample_stats": {"diverging": np.eye(4, 100, dtype=bool), "acceptance_rate": stuck}, "posterior": {"x": apart}}
    )
    found = chain_warnings(data, summarise([("x", apart)]))
    assert found[0].startswith("4 of 400 draws diverged")
    assert found[1].startswith("chain 2 accepted nothing")
    assert found[2].startswith("R_hat is above 1.01 for `x[0]`, `x[1]`, `x[2]` and 2 more")
    assert found[3].startswith("the effective sample size is below 400 for")
    assert len(found) == 4


def test_a_chain_that_never_moved_is_said_so() -> None:
    """A sweep of exact conditionals accepts everything, and may still go nowhere."""
    moving = np.random.default_rng(1).normal(size=(3, 100))
    lp, x = moving.copy(), moving.copy()
    lp[1], x[1], lp[2] = -3.0, 1.0, -3.0
    data = MemoryData({"sample_stats": {"acceptance_rate": np.ones((3, 100)), "lp": lp}, "posterior": {"x": x}})
    summary = summarise([("x", moving)])
    found = [warning for warning in chain_warnings(data, summary) if "moved" in warning]
    assert [warning.partition(":")[0] for warning in found] == ["chain 1 never moved"]
    data = MemoryData({"sample_stats": {"acceptance_rate": np.ones((3, 100)), "lp": lp}, "posterior": {"x": moving}})
    assert not any("moved" in warning for warning in chain_warnings(data, summary))


def test_a_zero_has_no_minus() -> None:
    assert number_text(-0.0, "Mean", None) == "0"


def test_predictive_draws_are_not_warned_of() -> None:
    apart = draws("apart", 4, 100)[:, :, None] * np.ones(5)
    summary = summarise([("x", apart), ("again", apart)])
    named = [
        chain_warnings(MemoryData({"sample_stats": {}, "posterior": {"x": apart}, group: {"again": apart}}), summary)
        for group in ("posterior_predictive", "other")
    ]
    assert [any("`again[" in warning or "and 7 more" in warning for warning in found) for found in named] == [
        False,
        True,
    ]


@pytest.mark.parametrize(
    ("dtype", "share", "warned"), [(np.float32, 0.5, True), (np.float64, 0.5, False), (np.float32, 0.01, False)]
)
def test_many_divergences_in_float32_may_be_of_factors(dtype: type, share: float, warned: bool) -> None:
    x = np.random.default_rng(0).normal(size=(4, 200))
    stats = {"lp": x.astype(dtype), "diverging": np.arange(800).reshape(4, 200) < 800 * share}
    found = chain_warnings(MemoryData({"sample_stats": stats, "posterior": {"x": x}}), summarise([("x", x)]))
    assert found[0].endswith("or try `--x64`") is warned


@pytest.mark.parametrize(
    ("lp", "dtype", "warned"), [(-3e6, np.float32, True), (-3e6, np.float64, False), (-3e5, np.float32, False)]
)
def test_energies_beyond_the_resolution_of_float32_are_named(lp: float, dtype: type, warned: bool) -> None:
    x = np.random.default_rng(0).normal(size=(4, 200))
    stats = {"lp": (lp + x).astype(dtype), "acceptance_rate": np.ones((4, 200))}
    found = chain_warnings(MemoryData({"sample_stats": stats, "posterior": {"x": x}}), summarise([("x", x)]))
    assert any("--x64" in warning for warning in found) is warned
