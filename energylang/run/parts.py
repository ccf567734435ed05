"""Parts on disk: what makes a run survive a kill.

`<out>.parts/` holds `run.json` (what the run is), and for each chunk `000123.npz` (its draws) and then
`000123.state.npz` (everything the next chunk starts from). A chunk counts once both are whole. Only the two newest
states are kept. Arrays are plain NPZ, never pickles, and are checked against the model before they are used.
"""

from __future__ import annotations

import json
import re
import shutil
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from energylang.diagnostics import Diagnostic, DiagnosticError
from energylang.run.files import as_diagnostics, write_whole
from energylang.run.provenance import differences
from energylang.run.store import Rows, Stage

FORMAT = 1
MANIFEST, LOCK = "run.json", "lock"
KEPT = "the parts written so far are whole"
UNREADABLE = (
    *(OSError, ValueError, KeyError, TypeError, AttributeError, EOFError, NotImplementedError),
    *(zipfile.BadZipFile, zlib.error),
)
"""What NumPy and zipfile raise for files that are cut off, changed, or something else."""


class Checkpoint(NamedTuple):
    """Where to continue: the next absolute step, the state's leaves by path, the seconds spent so far."""

    step: int
    state: dict[str, np.ndarray]
    seconds: float


class Parts:
    """The folder of one run; a context manager that holds its lock."""

    def __init__(self, out: Path, closed: Mapping[str, Any]) -> None:
        self.out = out
        self.folder = out.with_name(out.name + ".parts")
        self.closed = closed
        self.count = 0
        self._lock: Any = None

    def __enter__(self) -> Parts:
        return self

    def __exit__(self, *_: object) -> None:
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    @property
    def exists(self) -> bool:
        return (self.folder / MANIFEST).is_file()

    def begin(self) -> bool:
        """Start afresh. An interrupted run that was there is moved to `….parts.previous`; true if there was one."""
        previous = self.folder.with_name(self.folder.name + ".previous")
        with as_diagnostics(self.folder):
            self.folder.mkdir(exist_ok=True)
            self._take_lock()
            moved = self.exists and any(self.folder.glob("*.state.npz"))
            if moved:
                shutil.rmtree(previous, ignore_errors=True)
                previous.mkdir()
                (self.folder / MANIFEST).rename(previous / MANIFEST)
            for path in sorted(self.folder.iterdir()):
                if path.name == LOCK:
                    continue
                if moved and not path.name.startswith("."):
                    path.rename(previous / path.name)
                else:
                    path.unlink()
            manifest = json.dumps({"format": FORMAT, "closure": self.closed}, indent=1)
            write_whole(self.folder / MANIFEST, lambda file: file.write(manifest.encode()))
        return moved

    def resume(self, expected: Mapping[str, tuple[tuple[int, ...], np.dtype]]) -> tuple[Checkpoint | None, str]:
        """The newest whole checkpoint, and a note (empty where nothing is worth saying).

        `expected` gives shape and dtype of each leaf of the state by path. None where no chunk was finished. Raises
        E0821 if the run is another one, E0830 if what is needed is damaged.
        """
        with as_diagnostics(self.folder):
            self._take_lock()
        self._require_same_run()
        numbers = sorted(int(path.name[:6]) for path in self.folder.iterdir() if re.fullmatch(r"\d{6}\.npz", path.name))
        whole = self._whole_prefix(numbers)
        states = [number for number in range(whole - 1, -1, -1) if self._state(number).is_file()]
        for number in states:
            try:
                checkpoint = self._read_state(number, expected)
            except UNREADABLE:
                continue
            self.count = number + 1
            self._forget_after(number)
            lost = self.count < len(numbers)
            return checkpoint, "the last part was cut off and is drawn again" if lost else ""
        if numbers and numbers[-1] > 0:
            raise self._damaged(self._state(numbers[-1]) if whole == len(numbers) else self._part(numbers[whole]))
        self._forget_after(-1)
        return None, ""

    def append(self, stage: Stage, start: int, stop: int, rows: Rows, state: Rows, seconds: float) -> None:
        number = self.count
        part: dict[str, Any] = {"run/stage": np.array(stage), "run/steps": np.array([start, stop]), **rows}
        whole: dict[str, Any] = {"run/step": np.array(stop), "run/seconds": np.array(seconds), **state}
        with as_diagnostics(self.folder, KEPT):
            write_whole(self._part(number), lambda file: np.savez(file, **part))
            write_whole(self._state(number), lambda file: np.savez(file, **whole))
            self._state(number - 2).unlink(missing_ok=True)
        self.count += 1

    def chunks(self, stage: Stage) -> Iterator[Rows]:
        return self._rows(stage, lambda name: True)

    def parts_of(self, name: str) -> Iterator[np.ndarray]:
        return (rows[name] for rows in self._rows("sampling", name.__eq__))

    def _rows(self, stage: Stage, wanted: Callable[[str], bool]) -> Iterator[Rows]:
        """Of each part of a stage the arrays that are wanted."""
        for number in range(self.count):
            try:
                with _arrays(self._part(number)) as part:
                    if str(part["run/stage"]) != stage:
                        continue
                    rows = {name: part[name] for name in part.files if not name.startswith("run/") and wanted(name)}
            except UNREADABLE as error:
                raise self._damaged(self._part(number)) from error
            if rows:
                yield rows

    def remove(self) -> None:
        """The output is whole: the parts are not needed any more."""
        self.__exit__()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _part(self, number: int) -> Path:
        return self.folder / f"{number:06d}.npz"

    def _state(self, number: int) -> Path:
        return self.folder / f"{number:06d}.state.npz"

    def _take_lock(self) -> None:
        try:
            import fcntl
        except ImportError:  # Windows keeps an open file from being replaced by itself
            return
        self._lock = open(self.folder / LOCK, "wb")  # noqa: SIM115 - held for the life of the run
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise DiagnosticError(
                [
                    Diagnostic(
                        "E0822",
                        f"another run is writing `{self.folder}`",
                        fix="wait for it, or give another `--out`",
                    )
                ]
            ) from error

    def _require_same_run(self) -> None:
        try:
            manifest = json.loads((self.folder / MANIFEST).read_text())
            was, version = manifest["closure"], manifest["format"]
        except UNREADABLE as error:
            raise self._damaged(self.folder / MANIFEST) from error
        found = differences(was, self.closed) if isinstance(was, dict) else []
        if version != FORMAT or not isinstance(was, dict):
            found = ["its format is that of another version of energylang"]
        if found:
            raise DiagnosticError(
                [
                    Diagnostic(
                        "E0821",
                        f"`{self.folder}` belongs to another run: {'; '.join(found)}",
                        cause="draws that continue under other conditions would be draws of neither model",
                        fix="undo what differs, or leave out `--resume` to start again",
                    )
                ]
            )

    def _whole_prefix(self, numbers: list[int]) -> int:
        """How many parts from the first on are there, readable to the last byte, and follow one another."""
        step = 0
        for expected, number in enumerate(numbers):
            try:
                with _arrays(self._part(number)) as part:
                    start, stop = part["run/steps"].tolist()
                    for name in part.files:
                        part[name]  # reading to the end checks its sum
            except UNREADABLE:
                return expected
            if number != expected or start != step:
                return expected
            step = stop
        return len(numbers)

    def _read_state(self, number: int, expected: Mapping[str, tuple[tuple[int, ...], np.dtype]]) -> Checkpoint:
        with _arrays(self._state(number)) as file:
            step, seconds = int(file["run/step"]), float(file["run/seconds"])
            state = {name: file[name] for name in file.files if not name.startswith("run/")}
        if {name: (leaf.shape, leaf.dtype) for name, leaf in state.items()} != dict(expected):
            raise ValueError("the leaves are not those of this model")
        return Checkpoint(step, state, seconds)

    def _forget_after(self, number: int) -> None:
        with as_diagnostics(self.folder):
            for path in self.folder.glob("*.npz"):
                if int(path.name[:6]) > number:
                    path.unlink()
            for path in self.folder.glob(".*.tmp"):
                path.unlink()

    def _damaged(self, path: Path) -> DiagnosticError:
        return DiagnosticError(
            [
                Diagnostic(
                    "E0830",
                    f"`{path}` is damaged, and the run cannot be continued from it",
                    fix=f"remove `{self.folder}` and start again (the same seed gives the same draws)",
                )
            ]
        )


@contextmanager
def _arrays(path: Path) -> Iterator[Any]:
    """The arrays of an NPZ file, each checked against its sum as it is read to the end."""
    # NumPy leaves a file that it opened itself open when it turns out to be no NPZ.
    with open(path, "rb") as file, np.load(file, allow_pickle=False) as arrays:
        yield arrays
