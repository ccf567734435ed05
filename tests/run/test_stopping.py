"""Runs that keep each so-many-th step, that end at an aim, and that end when time is over."""

from __future__ import annotations

import errno
import os
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from energylang.diagnostics import DiagnosticError
from energylang.run import length, looks, netcdf, parts, summary
from energylang.run.looks import Looks
from energylang.run.mixing import bulk
from energylang.run.monitor import BATCHES, Monitor
from energylang.run.result import Run
from energylang.run.store import Memory, View
from energylang.run.summary import summarise
from energylang.stopping import Aim, read_aim, read_seconds, spell
from tests.run import toys
from tests.run.drive import digest, run
from tests.run.test_resume import Crash, Stopping, crash, failure, stopped

GRID = [*(point for point in (100, 125, 157, 197, 247, 309, 387, 484, 605, 757, 947)), 1000]
AIM: dict[str, Any] = {"until": "ess=30, r_hat=1.5", "draws": 1000}


class Falling(toys.Metropolis):
    """Says of a step whether the density fell: true of some steps and not of others."""

    def step(self, target: Any, tune: Any, state: Any, key: Any) -> Any:
        new, info = super().step(target, tune, state, key)
        return new, info | {"diverging": new.log_density < state.log_density - 0.3}


# --- thin ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def full() -> Run:
    return run(kernel=Falling())


@pytest.fixture(scope="module")
def thinned() -> Run:
    return run(kernel=Falling(), draws=20, thin=3)


def test_thinned_draws_are_those_of_each_third_step(full: Run, thinned: Run) -> None:
    for name in ("x", "s", "noise"):
        np.testing.assert_array_equal(thinned[name], full[name][:, 2::3])
    np.testing.assert_array_equal(thinned.stats("lp"), full.stats("lp")[:, 2::3])
    np.testing.assert_array_equal(thinned.data.read("warmup_posterior", "x"), full.data.read("warmup_posterior", "x"))
    assert (thinned.options["thin"], thinned.facts["draws"], thinned.facts["stopped"]) == (3, 20, "draws")


def test_what_was_true_between_two_draws_is_not_lost(full: Run, thinned: Run) -> None:
    every = full.stats("diverging").reshape(3, 20, 3)
    assert 0 < every.mean() < 1
    np.testing.assert_array_equal(thinned.stats("diverging"), every.any(axis=2))
    assert np.any(thinned.stats("diverging") != every[:, :, 2])


def test_chunks_of_thinned_draws_change_no_bit(thinned: Run, tmp_path: Path) -> None:
    out = tmp_path / "r.nc"
    options = {"kernel": Falling(), "draws": 20, "thin": 3}
    stopped(out, 5, **options)
    assert digest(run(out=out, resume=True, chunk=3, **options)) == digest(thinned)


# --- until --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def aimed() -> Run:
    return run(**AIM)


def test_it_ends_at_the_first_point_of_the_grid_where_the_summary_says_so(aimed: Run) -> None:
    arviz = pytest.importorskip("arviz")
    draws = aimed.facts["draws"]
    assert draws in GRID[1:-1]
    assert aimed.facts["stopped"] == "until"
    assert aimed["x"].shape[:2] == (3, draws)
    arrays = {"x": aimed["x"], "s": aimed["s"], "lp": aimed.stats("lp")}

    def reached(count: int) -> bool:
        kept = {name: values[:, :count].astype(np.float64) for name, values in arrays.items()}
        ess = arviz.ess(kept, method="bulk")
        r_hat = arviz.rhat(kept)
        least = min(float(ess[name].min()) for name in kept)
        return least >= 30 and max(float(r_hat[name].max()) for name in kept) <= 1.5

    assert [reached(count) for count in GRID[: GRID.index(draws) + 1]] == [False] * GRID.index(draws) + [True]
    assert not any("was not reached" in warning for warning in aimed.warnings)


@pytest.mark.parametrize("options", [{"chunk": 7}, {"chunk": 333, "threads": 1}, {"until": "r_hat=1.5,ess=30"}])
def test_where_it_ends_does_not_depend_on_the_pace(aimed: Run, options: dict[str, Any], tmp_path: Path) -> None:
    assert digest(run(**AIM | options, out=tmp_path / "r.nc")) == digest(aimed)


@pytest.mark.parametrize("after", [9])
def test_a_killed_run_ends_at_the_same_draw(aimed: Run, tmp_path: Path, after: int) -> None:
    out = tmp_path / "r.nc"
    stopped(out, after, **AIM)
    found = run(out=out, resume=True, **AIM)
    assert digest(found) == digest(aimed)
    assert found.facts["stopped"] == "until"
    assert digest(run(out=out, resume=True, **AIM)) == digest(aimed)


def test_a_look_that_was_killed_is_made_again(aimed: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "r.nc"

    def dies(*_: Any) -> bool:
        crash()
        return False

    with monkeypatch.context() as patch:
        patch.setattr(Looks, "reached", dies)
        with pytest.raises(Crash):
            run(out=out, **AIM)
    assert digest(run(out=out, resume=True, **AIM)) == digest(aimed)


def test_an_aim_that_is_not_reached_is_a_warning() -> None:
    found = run(draws=60, until="ess=1e5")
    assert (found.facts["draws"], found.facts["stopped"]) == (60, "draws")
    (warning,) = [text for text in found.warnings if "was not reached" in text]
    assert warning.startswith(
        "`ess=100000, r_hat=1.01` was not reached after 60 draws of a chain: the smallest ESS_bulk is"
    )
    assert warning.endswith("give more `draws`")


def test_looks_read_blocks_and_end_at_the_first_that_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is read as a whole; the block that failed last is the first to be looked at."""
    generator = np.random.default_rng(zlib.crc32(b"looks"))
    store = Memory()
    values = generator.normal(size=(2, 300, 6, 5)).astype(np.float32)
    slow = np.cumsum(generator.normal(size=(2, 300)), axis=1)
    for start in range(0, 300, 100):
        part = slice(start, start + 100)
        store.append("sampling", start, start + 100, {"draws/a": values[:, part], "draws/b": slow[:, part]}, {}, 0.0)
    row = {"draws/a": values[0, 0], "draws/b": slow[0, 0]}
    sizes: list[int] = []

    def watched(block: np.ndarray) -> Any:
        sizes.append(block.size)
        return bulk(block)

    monkeypatch.setattr(looks, "bulk", watched)
    monkeypatch.setattr(summary, "PIECE_BYTES", 2 * 300 * 5 * 4 * 2)
    monkeypatch.setattr(summary, "BLOCK_BYTES", 2 * 300 * 32 * 5)
    found = Looks(Aim(100.0, 1.1), 1000)
    assert not found.reached(store, row, 2, 300)
    assert sizes == [3000] * 6 + [600]
    assert not found.reached(store, row, 2, 300)
    assert len(sizes) == 8
    assert Looks(Aim(100.0, 1.1), 1000).reached(store, {"draws/a": row["draws/a"]}, 2, 300)
    assert Looks(Aim(None, 9.0), 1000).reached(store, row, 2, 300)
    view = View(store, "draws/a", values.shape, values.dtype)
    np.testing.assert_array_equal(view[:, :, 1:3], values[:, :, 1:3])
    ess, r_hat = bulk(slow[None])
    whole = summarise([("b", slow)])
    assert (ess[0], r_hat[0]) == (whole["ESS_bulk"][0], whole["R_hat"][0])


def test_points_of_looks_depend_on_nothing_but_the_number_of_draws() -> None:
    found = Looks(Aim(1.0), 1000)
    assert [found.next(done) for done in (0, 99, 100, 124, 980)] == [100, 100, 125, 125, 1000]
    assert [done for done in range(1, 1001) if found.due(done)] == GRID
    assert Looks(Aim(1.0), 7).next(0) == 7


# --- budget -------------------------------------------------------------------------------------------------------


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A clock that goes on by a second whenever somebody looks at it."""
    now = [0.0]

    def monotonic() -> float:
        now[0] += 1.0
        return now[0]

    monkeypatch.setattr(length.time, "monotonic", monotonic)
    return now


def test_a_budget_keeps_the_first_draws_of_the_whole_run(full: Run, clock: list[float], tmp_path: Path) -> None:
    progress = Stopping(0, crash)
    out = tmp_path / "r.nc"
    found = run(kernel=Falling(), budget=30.0, chunk=5, out=out, progress=progress)
    draws = found.facts["draws"]
    assert 0 < draws < 60
    assert found.facts["stopped"] == "budget"
    np.testing.assert_array_equal(found["x"], full["x"][:, :draws])
    assert found["x"].shape[0] == found.options["chains"] == 3
    assert f"the budget of 30 s ended the run: {draws} of 60 draws a chain" in progress.notes
    assert f"the budget ended after {draws} draws of a chain: give a longer one" in found.warnings
    assert sorted(path.name for path in tmp_path.iterdir()) == ["r.nc"]
    assert "the smallest" in run(kernel=Falling(), budget=30.0, chunk=5, until="ess=1e6").warnings[-1]


def test_a_budget_that_ends_in_warmup_says_what_to_do(full: Run, clock: list[float], tmp_path: Path) -> None:
    out = tmp_path / "r.nc"
    options: dict[str, Any] = {"kernel": Falling(), "out": out, "chunk": 5, "budget": 14.0}
    message = failure("E0870", **options)
    assert "ended in warm-up, after" in message
    assert "with `--resume` and any budget the same command goes on" in message
    assert not out.exists()
    found = run(**options | {"budget": 1e6}, resume=True)
    assert (found.facts["draws"], found.facts["stopped"]) == (60, "draws")
    assert digest(found) == digest(full)
    short = run(**options | {"budget": 30.0})
    assert digest(run(**options | {"budget": 30.0}, resume=True)) == digest(short) != digest(full)
    assert digest(run(**options | {"budget": 1e6}, resume=True)) == digest(full)


def test_a_budget_is_kept_to_within_two_seconds() -> None:
    """Of a kernel of some milliseconds a step, compiled before; the clock is the real one."""
    import time

    options: dict[str, Any] = {"kernel": toys.Metropolis(slow=300_000), "warmup": 2, "draws": 10**6, "chains": 2}
    began = time.monotonic()
    found = run(**options, budget=6.0)
    took = time.monotonic() - began
    assert found.facts["stopped"] == "budget"
    assert took < 8.0 + 1.0  # and a summary that is not made yet, on a busy machine


# --- failures of the disk ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [AIM, {"thin": 3, "draws": 60}], ids=["until", "thin"])
def test_a_disk_that_is_full_keeps_the_earlier_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any]
) -> None:
    out = tmp_path / "r.nc"
    out.write_bytes(b"\x89HDF\r\n\x1a\nan earlier run")
    real, left = parts.write_whole, 8

    def full(path: Path, write: Any) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        real(path, write)

    def full_too(self: Any, data: Any, /) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(parts, "write_whole", full)
        assert "`--resume`" in failure("E0804", out=out, chunk=10, **options)
    with monkeypatch.context() as patch:
        patch.setattr(netcdf, "_write_raw", full_too)
        assert "every draw is kept" in failure("E0804", out=out, resume=True, **options)
    assert out.read_bytes() == b"\x89HDF\r\n\x1a\nan earlier run"
    assert digest(run(out=out, resume=True, **options)) == digest(run(**options))


def test_a_folder_of_somebody_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "r.nc"
    stopped(out)
    before = {path.name: path.read_bytes() for path in (tmp_path / "r.nc.parts").iterdir()}

    def closed(path: Any, mode: str = "r", **options: Any) -> Any:
        if str(path).endswith("lock"):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return open(path, mode, **options)

    with monkeypatch.context() as patch:
        patch.setattr(parts, "open", closed, raising=False)
        assert "Permission denied" in failure("E0820", out=out, resume=True)
    assert before == {path.name: path.read_bytes() for path in (tmp_path / "r.nc.parts").iterdir()}
    with pytest.raises(DiagnosticError, match="thin was `None` and is `2`"):
        run(out=out, resume=True, thin=2)


# --- what people write ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ("ess=400", Aim(400.0, 1.01)),
        (" ess = 4e2 , r_hat = 1.05", Aim(400.0, 1.05)),
        ("r_hat=1.02", Aim(None, 1.02)),
        ({"ess": 400, "r_hat": 1.1}, Aim(400.0, 1.1)),
        *(
            (wrong, None)
            for wrong in ("", "400", "ess", "ess=", "ess=0", "ess=inf", "ess=nan", "r_hat=1", "ess=4,ess=5")
        ),
        *((wrong, None) for wrong in ("rhat=1.1", {}, {"ess": True}, 400, None, "ess=400;", "ess==4")),
    ],
)
def test_aims(given: Any, found: Aim | None) -> None:
    if found is None:
        with pytest.raises(ValueError, match="is an aim such as"):
            read_aim(given)
    else:
        assert read_aim(given) == found == read_aim(str(found))


@pytest.mark.parametrize(
    ("given", "seconds"),
    [("90s", 90), ("2m", 120), ("1.5h", 5400), ("1h 30m", 5400), ("45", 45), (2.5, 2.5), ("1 min", 60), ("1d", 86400)]
    + [(wrong, None) for wrong in ("", "m", "2x", "-1s", "0", 0, -3, "1..2s", True, float("nan"), "inf", "2m!")],
)
def test_times(given: Any, seconds: float | None) -> None:
    if seconds is None:
        with pytest.raises(ValueError, match="is a time above 0"):
            read_seconds(given)
    else:
        assert read_seconds(given) == seconds


def test_times_are_spelled() -> None:
    said = [spell(seconds) for seconds in (0.25, 3, 9.4, 59.4, 60, 125, 3600, 3780, 90000)]
    assert said == ["0.2 s", "3 s", "9.4 s", "59 s", "1 min", "2 min 5 s", "1 h", "1 h 3 min", "1 d 1 h"]


# --- the line of progress -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("memory", [0.0, 0.9, 0.99])
def test_batch_means_tell_the_ess_of_a_chain(memory: float) -> None:
    """Of a walk x' = memory x + noise the ESS of the mean is n (1 - memory) / (1 + memory)."""
    generator = np.random.default_rng(zlib.crc32(f"batches {memory}".encode()))
    chains, count, scalars = 4, 40_000, 20
    noise = generator.normal(size=(chains, count, scalars))
    values = np.empty_like(noise)
    values[:, 0] = noise[:, 0] / np.sqrt(1 - memory**2)
    for at in range(1, count):
        values[:, at] = memory * values[:, at - 1] + noise[:, at]
    monitor = Monitor({"draws/x": (scalars,)}, chains)
    at = 0
    while at < count:
        size = int(generator.integers(1, 4000))
        monitor.add({"draws/x": 1e4 + values[:, at : at + size]})
        at += size
        assert monitor._means.shape[1] < 2 * BATCHES
    ess, r_hat = monitor.estimates()
    expected = chains * count * (1 - memory) / (1 + memory)
    # The variance of a mean from 8 half chains of some 100 batches is known to about a tenth.
    assert np.exp(np.mean(np.log(ess))) == pytest.approx(expected, rel=0.15)
    table = summarise([("x", values)])
    np.testing.assert_allclose(r_hat, table["R_hat"], atol=0.01)
    shifted = Monitor({"draws/x": (1,)}, 2)
    shifted.add({"draws/x": generator.normal(size=(2, 5000, 1)) + np.array([0.0, 2.0]).reshape(2, 1, 1)})
    assert shifted.estimates()[1][0] > 1.3
    assert shifted.estimates()[0][0] < 20


def test_few_draws_tell_nothing_and_few_of_many_scalars_are_followed() -> None:
    monitor = Monitor({"draws/x": (100_000,), "draws/y": (3,), "stats/lp": ()}, 200)
    rows = {
        "draws/x": np.zeros((200, 3, 100_000), np.int8),
        "draws/y": np.zeros((200, 3, 3)),
        "stats/lp": np.zeros((200, 3)),
    }
    monitor.add(rows)
    assert monitor._means.shape[0] * monitor._means.shape[2] <= 1024
    assert np.all(np.isnan(monitor.estimates()[0]))
    said = monitor.facts(rows | {"stats/diverging": np.ones((200, 3), bool)}, sampling=True)
    assert said == {"divergences": 600}
