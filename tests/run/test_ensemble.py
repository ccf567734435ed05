"""Chains that move together: one tuning, learned from all of them, and the same bits however they are run."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from energylang.diagnostics import DiagnosticError
from energylang.run.result import Run
from tests.run import toys
from tests.run.drive import digest, run

pytestmark = pytest.mark.long

CHAINS = 5


@dataclass(frozen=True)
class Herd(toys.Metropolis):
    """Random walks whose step is how far all chains lie from zero on average; the memory counts the chains seen."""

    scope: Any = "ensemble"

    def adapt(self, phase: Any, tune: toys.Tune, memory: Any, state: toys.State, info: Any) -> tuple[toys.Tune, Any]:
        count, *others = memory
        step_size = jnp.mean(jnp.abs(state.x.real))
        return toys.Tune(step_size, tune.scale), (count + info["acceptance_rate"].size, *others)


@dataclass(frozen=True)
class Loners(Herd):
    """The same rule, each chain by itself: what the tests of one tuning must reject."""

    scope: Any = "chain"


def herd(**options: Any) -> Run:
    return run(**{"kernel": Herd(), "chains": CHAINS, "lanes": toys.LANES} | options)


@pytest.fixture(scope="module")
def whole() -> str:
    return digest(herd())


def steps_and_means(found: Run) -> tuple[np.ndarray, np.ndarray]:
    """Step sizes of warm-up, [chain, step], and what each next one should be: the mean of all chains at the step before."""
    steps = found.data.read("warmup_sample_stats", "step_size")
    x = found.data.read("warmup_posterior", "x")
    return steps, np.abs(x).mean(axis=(0, 2))


def test_one_tuning_is_learned_from_all_chains() -> None:
    found = herd()
    steps, means = steps_and_means(found)
    assert np.all(steps == steps[:1])
    np.testing.assert_allclose(steps[0, 1:], means[:-1], rtol=1e-5)
    after = found.data.read("sample_stats", "step_size")
    np.testing.assert_allclose(after, means[-1], rtol=1e-5)
    # Each has its own random numbers all the same.
    assert len(np.unique(found.data.read("posterior", "x")[:, 0, 0])) > 1


def test_chains_that_learn_by_themselves_are_told_apart() -> None:
    steps, means = steps_and_means(herd(kernel=Loners()))
    assert not np.any(np.all(steps[:, 1:] == steps[:1, 1:], axis=1)[1:])
    assert not np.allclose(steps[0, 1:], means[:-1], rtol=1e-5)


@pytest.mark.parametrize("options", [{"chunk": 1}, {"chunk": 37}, {"threads": 2}, {"lanes": {"cpu": 2}}])
def test_neither_chunks_nor_threads_nor_lanes_change_a_bit(whole: str, options: dict[str, Any]) -> None:
    assert digest(herd(**options)) == whole


def test_thinned_draws_are_those_of_the_steps_in_between(whole: str) -> None:
    every = herd(draws=30).data.read("posterior", "x")
    np.testing.assert_array_equal(herd(draws=10, thin=3).data.read("posterior", "x"), every[:, 2::3])


def test_an_aim_ends_it() -> None:
    found = herd(draws=4000, until="ess=50")
    assert found.facts["stopped"] == "until"
    assert found.data.read("posterior", "x").shape[:2] == (CHAINS, found.facts["draws"])


class Crash(BaseException):
    """Stands for the process ending here."""


class Stopping:
    """A progress that ends the process after so many calls of `advance`."""

    def __init__(self, after: int) -> None:
        self.after = after

    def phase(self, text: str) -> None: ...

    def note(self, text: str) -> None: ...

    def advance(self, done: int, total: int, facts: object) -> None:
        self.after -= 1
        if self.after == 0:
            raise Crash


@pytest.mark.parametrize("after", [2, 5])
def test_a_stopped_run_resumes_to_the_same_numbers(tmp_path: Path, whole: str, after: int) -> None:
    """In warm-up, where the shared memory matters, and in sampling."""
    out = tmp_path / "r.nc"
    with pytest.raises(Crash):
        herd(out=out, progress=Stopping(after), chunk=16)
    assert digest(herd(out=out, resume=True)) == whole


def test_several_devices_leave_it_on_one(whole: str) -> None:
    code = "from tests.run.test_ensemble import digest, herd; print(digest(herd()))"
    flags = "--xla_force_host_platform_device_count=4"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == whole


def test_several_processes_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jax, "process_count", lambda: 2)
    with pytest.raises(DiagnosticError) as caught:
        herd()
    (found,) = caught.value.diagnostics
    assert found.code == "E0808"
    assert "2 are joined here" in found.message
    assert "--distributed" in found.fix
