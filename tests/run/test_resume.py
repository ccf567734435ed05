"""A run that is stopped at any moment and resumed gives the very numbers of one that was not."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from energylang.diagnostics import DiagnosticError
from energylang.run import files
from energylang.run.provenance import Provenance
from tests.run import toys
from tests.run.drive import digest, run

PACE: dict[str, Any] = {"chunk": 16}


class Crash(BaseException):
    """Stands for the process ending here: nothing may catch it."""


class Stopping:
    """A progress that stops the run after so many calls of `advance`."""

    def __init__(self, after: int, stop: Callable[[], None]) -> None:
        self.after, self.stop, self.notes = after, stop, []

    def phase(self, text: str) -> None: ...

    def note(self, text: str) -> None:
        self.notes.append(text)

    def advance(self, done: int, total: int, facts: object) -> None:
        self.after -= 1
        if self.after == 0:
            self.stop()


def crash() -> None:
    raise Crash


def stopped(out: Path, after: int = 4, **options: Any) -> None:
    """Leave a run after some chunks as a kill would."""
    with pytest.raises(Crash):
        run(out=out, progress=Stopping(after, crash), **PACE, **options)


def failure(code: str, **options: Any) -> str:
    with pytest.raises(DiagnosticError) as caught:
        run(**options)
    (found,) = caught.value.diagnostics
    assert found.code == code
    return f"{found.message} {found.cause} {found.fix}"


@pytest.fixture(scope="module")
def whole() -> str:
    return digest(run())


@pytest.mark.parametrize("after", [1, 2, 5])
def test_a_stopped_run_resumes_to_the_same_numbers(tmp_path: Path, whole: str, after: int) -> None:
    out = tmp_path / "r.nc"
    stopped(out, after)
    assert not out.exists()
    found = run(out=out, resume=True)
    assert digest(found) == whole
    assert found.programs == (2 if after == 1 else 1)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["r.nc"]


def test_threads_and_width_of_chunks_may_change_on_the_way(tmp_path: Path, whole: str) -> None:
    out = tmp_path / "r.nc"
    stopped(out, threads=1)
    assert digest(run(out=out, resume=True, threads=2, chunk=5)) == whole


@pytest.mark.parametrize("operation", range(8))
def test_a_crash_in_any_file_operation_loses_at_most_a_chunk(
    tmp_path: Path, whole: str, operation: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The operations of one part: bring it to the disk, rename, the folder; the same of the state; forget an old one."""
    out = tmp_path / "r.nc"
    left = 3 * 7 + 2 + operation  # two for the manifest, and two parts before

    def counted(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            nonlocal left
            left -= 1
            if left == 0:
                raise Crash
            return function(*arguments, **options)

        return call

    with monkeypatch.context() as patch:
        patch.setattr(files.os, "fsync", counted(os.fsync))
        patch.setattr(files.os, "replace", counted(os.replace))
        patch.setattr(Path, "unlink", counted(Path.unlink))
        with pytest.raises(Crash):
            run(out=out, **PACE)
    assert len(list((tmp_path / "r.nc.parts").glob("*.state.npz"))) >= 2
    assert digest(run(out=out, resume=True)) == whole


@pytest.mark.long
def test_the_number_of_devices_may_change_on_the_way(tmp_path: Path) -> None:
    """Two groups of two lanes on one device, then a group on each of two devices."""
    out = tmp_path / "r.nc"
    expected = digest(run(lanes={"cpu": 2}))
    stopped(out, lanes={"cpu": 2})
    environment = {
        **os.environ,
        "JAX_PLATFORMS": "cpu",
        "XLA_FLAGS": "--xla_force_host_platform_device_count=2",
    }
    command = [sys.executable, "-m", "tests.run.drive", "--out", str(out), "--resume"]
    options = ["--many", '[{"lanes": {"cpu": 2}}]']
    done = subprocess.run([*command, *options], capture_output=True, text=True, env=environment, check=True)
    assert done.stdout.strip() == expected


def kill_and_resume(out: Path, kills: int, seed: int) -> tuple[str, str, int]:
    """Start a process, kill it at a random moment, resume and kill again…; its digest, that of a whole run, kills."""
    generator = np.random.default_rng(seed)
    command = [sys.executable, "-m", "tests.run.drive", "--slow", "60000", "--many"]
    options = '[{"chunk": 2, "draws": 150, "warmup": 100}]'
    environment = {**os.environ, "JAX_PLATFORMS": "cpu"}
    parts = out.with_name(out.name + ".parts")

    def state() -> int:
        return max((int(path.name[:6]) for path in parts.glob("*.state.npz")), default=-1)

    done = 0
    for _ in range(kills):
        before = state()
        process = subprocess.Popen(
            [*command, options, "--out", str(out), "--resume"], stdout=subprocess.DEVNULL, env=environment
        )
        while state() <= before and process.poll() is None:
            time.sleep(0.002)
        time.sleep(float(generator.uniform(0, 0.2)))
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            done += 1
        process.wait()
    last = subprocess.run(
        [*command, options, "--out", str(out), "--resume"], capture_output=True, text=True, env=environment, check=True
    )
    plain = subprocess.run([*command, options], capture_output=True, text=True, env=environment, check=True)
    return last.stdout, plain.stdout, done


@pytest.mark.long
def test_five_kills_at_random_moments_change_no_number(tmp_path: Path) -> None:
    found, expected, kills = kill_and_resume(tmp_path / "r.nc", 5, seed=5)
    assert kills >= 3
    assert found == expected != ""


# --- Ctrl-C -------------------------------------------------------------------------------------------------------


def press() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def test_one_interrupt_ends_after_the_chunk_and_says_how_to_continue(tmp_path: Path, whole: str) -> None:
    out = tmp_path / "r.nc"
    before = signal.getsignal(signal.SIGINT)
    progress = Stopping(4, press)
    message = failure("E0840", out=out, progress=progress, **PACE)
    assert "of 100 steps" in message
    assert "--resume" in message
    assert progress.notes == ["stopping after this chunk; Ctrl-C again stops at once"]
    assert signal.getsignal(signal.SIGINT) is before
    assert digest(run(out=out, resume=True)) == whole


def test_two_interrupts_stop_at_once(tmp_path: Path, whole: str) -> None:
    out = tmp_path / "r.nc"

    def twice() -> None:
        press()
        press()

    with pytest.raises(KeyboardInterrupt):
        run(out=out, progress=Stopping(4, twice), **PACE)
    assert digest(run(out=out, resume=True)) == whole


def test_a_run_in_memory_keeps_nothing() -> None:
    assert "nothing is kept" in failure("E0840", progress=Stopping(4, press), **PACE)


def test_signals_are_left_alone_outside_the_main_thread(whole: str) -> None:
    found: list[str] = []
    thread = threading.Thread(target=lambda: found.append(digest(run())))
    thread.start()
    thread.join()
    assert found == [whole]


# --- what cannot be continued ---------------------------------------------------------------------------------------


def test_another_closure_is_refused_with_what_differs(tmp_path: Path) -> None:
    out = tmp_path / "r.nc"
    stopped(out)
    assert "draws was `60` and is `61`" in failure("E0821", out=out, resume=True, draws=61)
    other = Provenance("toy", "metropolis(step = 1)", {"toy.energy": "energy toy(x: real[4])"}, data_hash="1")
    message = failure("E0821", out=out, resume=True, provenance=other)
    assert "the text of `toy.energy` differs" in message
    assert "method was `metropolis()` and is `metropolis(step = 1)`" in message
    assert "the data differ" in message
    assert "width was `1` and is `2`" in failure("E0821", out=out, resume=True, lanes={"cpu": 2})


def test_a_damaged_last_part_is_drawn_again(tmp_path: Path, whole: str) -> None:
    for what in ("*[0-9].npz", "*.state.npz"):
        out = tmp_path / "r.nc"
        stopped(out, 5)
        last = max((tmp_path / "r.nc.parts").glob(what))
        last.write_bytes(last.read_bytes()[:-100])
        progress = Stopping(0, crash)
        assert digest(run(out=out, resume=True, progress=progress)) == whole
        assert progress.notes == ["the last part was cut off and is drawn again"]


def test_a_damaged_part_in_the_middle_is_refused(tmp_path: Path) -> None:
    out = tmp_path / "r.nc"
    stopped(out, 5)
    part = tmp_path / "r.nc.parts" / "000001.npz"
    data = bytearray(part.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 200] = bytes(byte ^ 1 for byte in data[middle : middle + 200])
    part.write_bytes(data)
    assert "000001.npz` is damaged" in failure("E0830", out=out, resume=True)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": 1}', '{"format": 1, "closure": 3}'])
def test_a_damaged_manifest_is_refused(tmp_path: Path, text: str) -> None:
    out = tmp_path / "r.nc"
    folder = tmp_path / "r.nc.parts"
    folder.mkdir()
    (folder / "run.json").write_text(text)
    failure("E0821" if "3" in text else "E0830", out=out, resume=True)


def test_a_state_of_other_leaves_is_refused(tmp_path: Path) -> None:
    """As it would be after a change of a method that left its version alone."""
    out = tmp_path / "r.nc"
    stopped(out)
    failure("E0830", out=out, resume=True, target=toys.gaussian(4, 2))


def test_no_pickle_is_ever_loaded(tmp_path: Path) -> None:
    out = tmp_path / "r.nc"
    stopped(out, 4)
    states = sorted((tmp_path / "r.nc.parts").glob("*.state.npz"))
    for path in states:
        np.savez(path, **{"run/step": np.array([object()], dtype=object)})
        shutil.move(f"{path}.npz" if Path(f"{path}.npz").exists() else path, path)
    failure("E0830", out=out, resume=True)


def test_only_the_newest_states_are_kept(tmp_path: Path) -> None:
    stopped(tmp_path / "r.nc", 6)
    names = sorted(path.name for path in (tmp_path / "r.nc.parts").glob("*.npz"))
    assert sum(name.endswith(".state.npz") for name in names) == 2


def test_two_runs_cannot_share_an_output(tmp_path: Path) -> None:
    out = tmp_path / "r.nc"
    messages: list[str] = []
    run(out=out, progress=Stopping(3, lambda: messages.append(failure("E0822", out=out))), **PACE)
    assert "another run is writing" in messages[0]


def test_a_run_without_resume_keeps_the_interrupted_one_aside(tmp_path: Path, whole: str) -> None:
    out = tmp_path / "r.nc"
    stopped(out)
    assert digest(run(out=out)) == whole
    assert sorted(path.name for path in tmp_path.iterdir()) == ["r.nc", "r.nc.parts.previous"]
    out.unlink()
    (tmp_path / "r.nc.parts.previous").rename(tmp_path / "r.nc.parts")
    assert digest(run(out=out, resume=True)) == whole


def test_resuming_what_is_whole_or_never_began(tmp_path: Path, whole: str) -> None:
    out = tmp_path / "r.nc"
    progress = Stopping(0, crash)
    assert digest(run(out=out, resume=True, progress=progress)) == whole
    assert digest(run(out=out, resume=True, progress=progress)) == whole
    assert progress.notes == ["there is nothing to resume; starting afresh", f"`{out}` is whole already"]
    changed = run(out=out, resume=True, draws=61)
    assert changed["x"].shape[1] == 61
