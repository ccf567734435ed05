"""Progress on stderr: a line that rewrites itself on a terminal, plain lines elsewhere."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Mapping
from typing import TextIO

from energylang.run.progress import describe

BAR = 24
TERMINAL_EVERY, PLAIN_EVERY = 0.1, 10.0
"""Seconds between two lines."""


class Console:
    """Implements `energylang.run.progress.Progress`. `seconds` has how long each phase took."""

    def __init__(self, stream: TextIO | None = None, quiet: bool = False) -> None:
        self.stream = sys.stderr if stream is None else stream
        self.terminal = self.stream.isatty()
        self.quiet = quiet
        self.seconds: dict[str, float] = {}
        self._name, self._live = "", ""
        self._began = self._shown = time.monotonic()
        self._first: int | None = None
        self._pending = ""

    def phase(self, text: str) -> None:
        self.end()
        self._name, self._first = text, None
        self._began = self._shown = time.monotonic()
        if self.terminal:
            self._write(text + " …")
        elif not self.quiet:
            self._print(text)

    def advance(self, done: int, total: int, facts: Mapping[str, float]) -> None:
        now = time.monotonic()
        if self._first is None:
            self._first = done
        line = describe(self._name, done, total, now - self._began, facts, self._first)
        if self.terminal:
            line = f"{bar(done, total)} {line}"
        self._pending = line
        if done < total and now - self._shown < (TERMINAL_EVERY if self.terminal else PLAIN_EVERY):
            return
        self._shown = now
        self._flush()

    def note(self, text: str) -> None:
        self._flush()
        self._newline()
        if not self.quiet:
            self._print(text)

    def end(self) -> None:
        """The phase under way is over."""
        if self._name:
            spent = time.monotonic() - self._began
            self.seconds[self._name] = self.seconds.get(self._name, 0.0) + spent
            if self.terminal and self._live and self._first is None:
                self._write(f"{self._name}: {spent:.1f} s")
        self._flush()
        self._newline()
        self._name = ""

    def _newline(self) -> None:
        if self._live:
            print(file=self.stream, flush=True)
            self._live = ""

    def _flush(self) -> None:
        """What was last said and not shown: a phase ends with its last line."""
        line, self._pending = self._pending, ""
        if not line or self.quiet:
            return
        if self.terminal:
            self._write(line)
        else:
            self._print(line)

    def _write(self, line: str) -> None:
        if self.quiet:
            return
        line = line[: shutil.get_terminal_size().columns - 1]
        self.stream.write("\r" + line.ljust(len(self._live)))
        self.stream.flush()
        self._live = line

    def _print(self, line: str) -> None:
        print(line, file=self.stream, flush=True)


def bar(done: int, total: int) -> str:
    """`━━━━━━━━━───────`."""
    filled = BAR * done // total if total else BAR
    return "━" * filled + "─" * (BAR - filled)
