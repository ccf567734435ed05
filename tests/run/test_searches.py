"""The driver of `optimize`: the same numbers whatever the chunks, threads and interruptions, in memory and in files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import energylang as el
from energylang.run.length import Length
from energylang.run.optimum import Optimum
from energylang.run.result import Run
from tests.run.test_resume import Crash, Stopping, crash

pytestmark = pytest.mark.long

MODEL = """
const n = 24
energy ring(s: spin[n], x: real) = sum(s * roll(s, 1, axis = 0)) + 0.3 * sum(s) + (x - 0.1 * sum(s))^2
constraint up(s: spin[n]) = sum(s) >= 2
optimize ring with anneal(blocks(gibbs(), mala())), steps = 96, chains = 6, thin = 2
"""
model = el.compile(MODEL)
OPTIONS: dict[str, Any] = {"seed": 3, "chunk": 7}


@pytest.fixture(scope="module")
def whole() -> Optimum:
    return model.optimize(**OPTIONS)


def same(a: Optimum, b: Optimum) -> bool:
    return all(np.array_equal(a[name], b[name]) for name in a) and all(
        np.array_equal(a.trace[name], b.trace[name]) for name in a.trace
    )


def test_chunks_and_threads_change_nothing(whole: Optimum) -> None:
    assert same(whole, model.optimize(seed=3, chunk=48, threads=1))
    assert not same(whole, model.optimize(seed=4, chunk=48))


@pytest.mark.parametrize("after", [2, 5])
def test_a_search_that_was_killed_goes_on(whole: Optimum, tmp_path: Path, after: int) -> None:
    out = tmp_path / "run.nc"
    with pytest.raises(Crash):
        model.optimize(out=out, progress=Stopping(after, crash), **OPTIONS)
    assert not out.exists()
    found = model.optimize(out=out, resume=True, **OPTIONS)
    assert same(whole, found)
    notes = Stopping(0, crash)
    assert same(whole, model.optimize(out=out, resume=True, progress=notes, **OPTIONS))
    assert notes.notes == [f"`{out}` is whole already"]


def test_the_file_is_the_run(whole: Optimum, tmp_path: Path) -> None:
    out = tmp_path / "run.nc"
    model.optimize(out=out, **OPTIONS)
    found = Run.open(out)
    assert isinstance(found, Optimum)
    assert same(whole, found)
    assert found.best_energy == whole.best_energy
    assert found.feasible
    assert found.constraints == ("up",)
    assert found.best["s"].shape == (24,)
    assert found.best["s"].sum() >= 2
    assert set(found.data.groups()) == {"optimum", "optimum_stats", "trace", "run"}
    assert found.summary().row("energy")["Best"] == found.summary().row("energy")["Min"] == whole.best_energy
    assert "Best points" in found.report(tmp_path / "run.html").read_text()


def test_the_trace_has_an_entry_for_each_level(whole: Optimum) -> None:
    assert whole.trace["objective"].shape == (6, 48)
    assert whole.options["thin"] == 2
    temperature = whole.trace["temperature"][0]
    assert temperature[-1] == pytest.approx(0.17 * temperature[0], rel=1e-4)


def test_where_restarts_begin(whole: Optimum) -> None:
    """Cold from the best point nothing is lost, and the first entry of the trace is its energy."""
    start = {name: whole.best[name] for name in ("s", "x")}
    found = model.optimize(
        init=start, method="anneal(blocks(gibbs(), mala()), start = 0.001, end = 0.001)", steps=4, chains=2
    )
    assert np.all(found.restarts <= whole.best_energy + 1e-4)


def test_a_budget_ends_a_search(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Length, "late", lambda self, step, resumable: self.done(step) >= 10)
    found = model.optimize(budget="1h", chunk=14)
    assert (found.facts["stopped"], found.facts["draws"]) == ("budget", 14)
    assert found.feasible
    assert "the budget ended after" in found.warnings[-1]


def test_an_energy_without_lower_bound() -> None:
    found = el.compile("energy e(x: real) = -x").optimize(steps=40, chains=1)
    assert "has no lower bound" in found.warnings[0]
