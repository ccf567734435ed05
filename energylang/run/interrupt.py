"""Ctrl-C: the first lets the current chunk end, the second stops at once."""

from __future__ import annotations

import signal
import threading
from pathlib import Path
from types import FrameType
from typing import Any

from energylang.diagnostics import Diagnostic, DiagnosticError
from energylang.run.progress import Progress


class Interruptible:
    """While entered, SIGINT sets `asked`; a second one raises KeyboardInterrupt in the main thread.

    Outside the main thread signals are left alone, and `asked` stays false.
    """

    def __init__(self, progress: Progress) -> None:
        self.asked = False
        self._progress = progress
        self._before: Any = None

    def __enter__(self) -> Interruptible:
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGINT, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True
        # The handler may stand in the middle of a line that progress is writing, and a stream refuses to be entered
        # twice by one thread; another thread waits for its turn.
        said = "stopping after this chunk; Ctrl-C again stops at once"
        threading.Thread(target=self._progress.note, args=(said,), daemon=True).start()


def interrupted(done: int, total: int, out: Path | None, units: str = "steps") -> DiagnosticError:
    """E0840, saying how to continue; `out` is None where nothing is kept."""
    kept = "nothing is kept" if out is None else f"what was drawn is kept in `{out}.parts`"
    return DiagnosticError(
        [
            Diagnostic(
                "E0840",
                f"interrupted after {done} of {total} {units}; {kept}",
                fix="" if out is None else "give the same command with `--resume` to continue",
            )
        ]
    )
