"""Several processes: the draws of one, bit for bit; and none waits for a partner that is gone."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from energylang.cli.join import Meeting, read_meeting
from energylang.cli.main import main
from energylang.diagnostics import DiagnosticError
from energylang.run.lanes import Lanes
from energylang.run.wire import packed, unpacked
from tests.run.drive import digest, run

DRIVE = (sys.executable, "-m", "tests.run.drive")
SECONDS = 240
"""For what takes three on an idle machine."""


started: list[subprocess.Popen[str]] = []


@pytest.fixture(autouse=True)
def nothing_stays() -> Iterator[None]:
    yield
    while started:
        with started.pop() as process:
            process.kill()


def meeting(index: int, port: int, seconds: int = SECONDS) -> str:
    return f"address=localhost:{port},count=2,id={index},timeout={seconds}"


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("localhost", 0))
        return free.getsockname()[1]


def start(command: tuple[str, ...], devices: int = 1, **environment: str) -> subprocess.Popen[str]:
    own = {**os.environ, "JAX_PLATFORMS": "cpu", **environment}
    if devices > 1:
        own["XLA_FLAGS"] = f"--xla_force_host_platform_device_count={devices}"
    started.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=own))
    return started[-1]


def pair(*arguments: str, second: tuple[str, ...] = (), devices: int = 1) -> list[subprocess.Popen[str]]:
    """Processes 0 and 1; `second` is what only the second is given."""
    port = free_port()
    given = (arguments, (*arguments, *second))
    return [start((*DRIVE, *given[i], "--join", meeting(i, port)), devices) for i in range(2)]


def end(process: subprocess.Popen[str], code: int = 0) -> tuple[str, str]:
    said, errors = process.communicate(timeout=SECONDS)
    assert process.returncode == code, errors
    return said, errors


@pytest.fixture(scope="module")
def whole() -> str:
    return digest(run())


@pytest.mark.parametrize("devices", [1, 2])
def test_two_processes_draw_what_one_draws(whole: str, devices: int) -> None:
    """Three chains: two and one; with two devices each, a pair and one. Every process has the whole run."""
    for process in pair(devices=devices):
        assert end(process)[0].strip() == whole


@pytest.mark.long
def test_particles_are_shared_too() -> None:
    """300 particles in groups of 64: three groups and two. One chain: a process without any."""
    arguments = ("--many", '[{}, {"draws": 60}]', "--particles")
    expected, _ = end(start((*DRIVE, *arguments)))
    for process in pair(*arguments):
        assert end(process)[0] == expected


def states(out: Path) -> int:
    return max((int(path.name[:6]) for path in out.with_name(out.name + ".parts").glob("*.state.npz")), default=-1)


def until_states(out: Path, more: int, processes: list[subprocess.Popen[str]]) -> None:
    wanted, began = states(out) + more, time.monotonic()
    while states(out) < wanted:
        assert all(process.poll() is None for process in processes), [p.communicate() for p in processes]
        assert time.monotonic() - began < SECONDS
        time.sleep(0.02)


@pytest.mark.long
def test_a_partner_that_dies_ends_the_run_which_then_resumes(tmp_path: Path, whole: str) -> None:
    """One is killed, the other ends by itself; both are killed; Ctrl-C in the second stops both; one ends it alone."""
    out = tmp_path / "r.nc"
    arguments = ("--out", str(out), "--resume", "--many", '[{"chunk": 2}]', "--slow", "20000", "--silent", "5")
    first, second = pair(*arguments)
    until_states(out, 2, [first, second])
    second.kill()
    _, errors = end(first, 4)
    assert "E0843: process 1 has not answered" in errors
    second.communicate()

    both = pair(*arguments)
    until_states(out, 2, both)
    for process in both:
        process.kill()
    for process in both:
        process.communicate()

    first, second = pair(*arguments)
    until_states(out, 2, [first, second])
    second.send_signal(signal.SIGINT)
    assert "E0840: interrupted after" in end(first, 130)[1]
    end(second, 130)

    alone, _ = end(start((*DRIVE, *arguments)))
    assert alone.strip() == whole


def test_processes_that_differ_are_refused() -> None:
    first, second = pair("--many", '[{"seed": 3}]', second=("--many", '[{"seed": 4}]'))
    _, errors = end(first, 4)
    assert "E0842: process 1 does not do what process 0 does: seed was `3` and is `4`" in errors
    end(second, 4)


@pytest.mark.parametrize(("index", "who"), [(0, "not every process came"), (1, "process 0 does not answer")])
def test_a_partner_that_does_not_come_is_not_waited_for(index: int, who: str) -> None:
    process = start((*DRIVE, "--join", meeting(index, free_port(), 1)))
    _, errors = end(process, 4)
    assert f"E0841: {who}" in errors
    assert "Traceback" not in errors


@pytest.mark.parametrize(("count", "width", "processes"), [(3, 1, 2), (8, 1, 2), (10, 4, 2), (5, 2, 4), (1, 1, 3)])
def test_every_lane_has_one_process(count: int, width: int, processes: int) -> None:
    shares = [Lanes(count, width, part=(index, processes)) for index in range(processes)]
    numbers = [np.concatenate([share.numbers(i) for i in range(len(share.starts))])[: share.mine] for share in shares]
    np.testing.assert_array_equal(np.concatenate(numbers), np.arange(count))
    tree = {"a": np.arange(2.0 * count).reshape(count, 2)}
    kept = [share.join(share.split(tree))["a"] for share in shares]
    np.testing.assert_array_equal(np.concatenate(kept), tree["a"])
    assert all(share.starts for share in shares)
    assert shares[0].mine == max(share.mine for share in shares)


def test_arrays_come_back_from_bytes() -> None:
    arrays: dict[str, Any] = {
        "a": np.arange(6, dtype=np.int8).reshape(2, 3).T,
        "key": np.array([[1, 2**32 - 1]], np.uint32),
        "flags": np.array([True, False]),
        "none": np.zeros((0, 4)),
        "scalar": np.array(2.5, np.float32),
    }
    found = unpacked(packed(arrays, {"line": "a\nb"}))
    assert list(found) == list(arrays)
    for name, values in arrays.items():
        assert found[name].dtype == values.dtype
        np.testing.assert_array_equal(found[name], values)


def test_where_processes_meet_is_read() -> None:
    assert read_meeting("auto") == Meeting()
    assert read_meeting("address=[::1]:80, count=3,id=2") == Meeting("[::1]:80", 3, 2)
    assert read_meeting("timeout=7") == Meeting(seconds=7)
    for text in ("model.energy", "address=host", "count=2,id=2", "id=-1", "count=2,,id=0", "threads=2"):
        with pytest.raises(DiagnosticError, match="E0901"):
            read_meeting(text)


def test_training_is_not_shared(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["train", "model.energy", "--distributed", "count=2,id=0"])
    assert stopped.value.code == 4
    assert "E0844" in capsys.readouterr().err
