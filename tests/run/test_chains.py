"""The driver of chains: the same bits however it is run, few programs, and failures that say what to do."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from energylang.diagnostics import DiagnosticError
from energylang.model import Point
from energylang.run.checks import memory_as_diagnostic
from energylang.run.lanes import Lanes, width_of
from energylang.run.pace import Pace, buffer_steps
from tests.run import toys
from tests.run.drive import digest, run

DRIVE = (sys.executable, "-m", "tests.run.drive")


@pytest.fixture(scope="module")
def whole() -> str:
    return digest(run())


@pytest.mark.parametrize("options", [{"chunk": 1}, {"chunk": 37}, {"chunk": 1000}, {"threads": 1}, {"threads": 2}])
def test_neither_chunks_nor_threads_change_a_bit(whole: str, options: dict[str, int]) -> None:
    assert digest(run(**options)) == whole


@pytest.mark.parametrize("width", [pytest.param(1, marks=pytest.mark.long), 2])
def test_the_number_of_devices_changes_no_bit(width: int) -> None:
    """40 reals, so that the energy has a matrix product whose sums could be split over threads."""
    chains = {"chains": 6, "lanes": {"cpu": width}, "draws": 20, "warmup": 30}
    digests = set()
    for devices, many in ((1, [{"threads": 1}, {"threads": 2}]), (2, [{"chunk": 7}]), (8, [{}])):
        flags = f"--xla_force_host_platform_device_count={devices}"
        done = subprocess.run(
            [*DRIVE, "--lengths", "[40, 3]", "--many", json.dumps([chains | options for options in many])],
            env={**os.environ, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"},
            capture_output=True,
            text=True,
            check=True,
        )
        found = done.stdout.split()
        assert len(found) == len(many)
        digests.update(found)
    assert len(digests) == 1


def test_a_chunk_may_fill_the_buffer_several_times() -> None:
    """1024 steps fit the buffer of so small a model."""
    assert digest(run(draws=3000, chunk=3000)) == digest(run(draws=3000, chunk=500))


def test_chains_do_not_depend_on_how_many_there_are() -> None:
    few, many = run(chains=2), run(chains=3)
    np.testing.assert_array_equal(few["x"], many["x"][:2])


def test_filling_lanes_are_dropped() -> None:
    wide = run(lanes={"cpu": 4})
    assert wide["x"].shape == (3, 60, 3)
    assert wide.facts["width"] == 4
    assert len(np.unique(wide["x"][:, -1, 0])) == 3


def test_seeds_and_chains_differ() -> None:
    first, second = run(seed=0), run(seed=2**40)
    assert not np.array_equal(first["x"], second["x"])
    assert not np.array_equal(first["x"][0], first["x"][1])


def test_the_draws_have_the_law_of_the_target() -> None:
    found = run(draws=4000, warmup=500, chains=4)
    target = toys.gaussian()
    covariance = np.linalg.inv(target.factor @ target.factor.T)
    row = found.summary()
    for place in range(3):
        name = f"x[{place}]"
        assert abs(row.row(name)["Mean"] - target.mean[place]) < 5 * row.row(name)["MCSE"]
        assert row.row(name)["StdDev"] == pytest.approx(np.sqrt(covariance[place, place]), rel=0.15)
    for place, field in zip(range(2), target.field, strict=True):
        name = f"s[{place}]"
        assert abs(row.row(name)["Mean"] - np.tanh(field)) < 5 * row.row(name)["MCSE"]
    energy = [target.energy(Point(found["x"][0, at], ((found["s"][0, at] + 1) // 2,))) for at in range(3)]
    np.testing.assert_allclose(found.stats("lp")[0, :3], -np.array(energy), rtol=1e-5)
    np.testing.assert_array_equal(found.stats("lp"), -found.stats("model_energy"))
    assert found["s"].dtype == np.int8
    assert list(found) == ["x", "s", "noise"]


def test_a_kernel_adapts_in_warmup_only() -> None:
    found = run()
    step = found.stats("step_size")
    assert np.all(step == step[:, :1])
    warming = found.data.read("warmup_sample_stats", "step_size")
    assert np.all(np.ptp(warming, axis=1) > 0)


def test_warmup_can_be_left_out() -> None:
    assert "warmup_posterior" not in run(keep_warmup=False).data.groups()
    assert digest(run(warmup=0)) != ""


def test_two_programs_and_nothing_else_compile(tmp_path: Any) -> None:
    counted: list[str] = []

    def listen(event: str, seconds: float, **_: Any) -> None:
        if event == "/jax/core/compile/backend_compile_duration":
            counted.append(event)

    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        assert run(out=tmp_path / "r.nc").programs == 2
    finally:
        jax.monitoring.unregister_event_duration_listener(listen)
    assert len(counted) == 2


def test_width_is_that_of_the_method_and_never_wasteful() -> None:
    lanes = {"cpu": 16, "accelerator": 1024}
    assert [width_of(lanes, count) for count in (1, 3, 4, 16, 17, 1000)] == [1, 4, 4, 16, 16, 16]


def test_splitting_lanes_is_the_reverse_of_joining_them() -> None:
    with Lanes(5, 2, 1) as lanes:
        tree = {"a": np.arange(10).reshape(5, 2)}
        units = lanes.split(tree)
        assert [unit["a"].shape[0] for unit in units] == [2, 2, 2]
        np.testing.assert_array_equal(lanes.join(units)["a"], tree["a"])


def test_chunks_grow_to_the_pace_and_stay_in_the_buffer() -> None:
    pace = Pace(most=512)
    steps = []
    for _ in range(6):
        steps.append(pace.next())
        pace.took(steps[-1], steps[-1] * 0.01)
    assert steps == [16, 64, 150, 150, 150, 150]
    assert Pace(512, fixed=37).next() == 37
    assert buffer_steps(100, 4) == 1024
    assert buffer_steps(1 << 20, 4) == 4
    assert buffer_steps(1 << 30, 4) == 1


# --- failures -----------------------------------------------------------------------------------------------------


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Holed(toys.Gaussian):
    """A target that is nowhere finite, in one of three ways, or has no bottom."""

    hole: Any = 0

    def energy(self, x: Point) -> Any:
        energy = toys.Gaussian.energy(self, x)
        undefined = jnp.where(self.hole == 1, jnp.nan, 0.0) + jnp.where(self.hole == 3, -jnp.inf, 0.0)
        # The slope of sqrt(0 x) is undefined, and its value is not.
        slope = jnp.sqrt(jnp.where(self.hole == 2, 0.0 * x.real[1], 1.0))
        bottomless = jnp.where(jnp.abs(x.real[0]) > 2.5, undefined, 0.0)
        return energy + slope + jnp.where(self.hole == 3, bottomless, undefined)


def holed(hole: int) -> Holed:
    plain = toys.gaussian()
    return Holed(plain.factor, plain.mean, plain.field, plain.beta, np.int32(hole))


def failure(code: str, **options: Any) -> str:
    with pytest.raises(DiagnosticError) as caught:
        run(**options)
    (found,) = caught.value.diagnostics
    assert found.code == code
    return f"{found.message} {found.cause} {found.fix}"


def test_no_place_to_start_names_what_is_not_finite() -> None:
    assert "the energy is not finite" in failure("E0801", target=holed(1))
    assert "the gradient is not finite in `x`" in failure("E0801", target=holed(2))


def test_an_energy_without_a_bottom_is_noticed() -> None:
    message = failure("E0802", target=holed(3), draws=2000)
    assert "the energy of chain" in message
    assert "-inf at step" in message


def test_nothing_accepted_is_a_failure() -> None:
    assert "stayed where it was" in failure("E0803", kernel=toys.Metropolis(reject=True))


def test_draws_that_exceed_memory_are_refused() -> None:
    assert "GiB of memory" in failure("E0805", target=toys.gaussian(1000, 0), draws=10**9)


def test_a_device_that_runs_out_of_memory_is_said_so() -> None:
    for raised in (MemoryError("3 GiB"), RuntimeError("RESOURCE_EXHAUSTED: out of memory allocating 3 bytes")):
        with pytest.raises(DiagnosticError) as caught, memory_as_diagnostic():
            raise raised
        assert caught.value.diagnostics[0].code == "E0805"
    with pytest.raises(RuntimeError, match="other"), memory_as_diagnostic():
        raise RuntimeError("other")


def test_doubts_are_said_in_sentences() -> None:
    few = run(draws=60)
    assert any("effective sample size is below 400" in text for text in few.warnings)
    assert any("R_hat is above" in text and "with 60 draws a chain it may be noise" in text for text in few.warnings)
    assert all("`" in text for text in few.warnings)
