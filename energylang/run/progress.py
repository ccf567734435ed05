"""How a run says where it stands: a protocol of three calls, silence, and plain lines on stderr."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from typing import Protocol, TextIO

from energylang.stopping import spell


class Progress(Protocol):
    """What a driver calls, always from one thread."""

    def phase(self, text: str) -> None:
        """Another stage begins: `compiling`, `warm-up`, `sampling`, `writing`…"""
        ...

    def advance(self, done: int, total: int, facts: Mapping[str, float]) -> None:
        """`done` of `total` units of the stage are there; `facts` are such as acceptance, divergences and loss.

        The first call of a stage says where it begins.
        """
        ...

    def note(self, text: str) -> None:
        """One sentence that the user should see even after the run."""
        ...


class Silent:
    """Says nothing, and keeps the notes."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def phase(self, text: str) -> None:
        pass

    def advance(self, done: int, total: int, facts: Mapping[str, float]) -> None:
        pass

    def note(self, text: str) -> None:
        self.notes.append(text)


class Lines:
    """One line that rewrites itself on a terminal; elsewhere at most one line every `every` seconds."""

    def __init__(self, stream: TextIO | None = None, every: float = 5.0) -> None:
        self.stream = stream if stream is not None else sys.stderr
        self.terminal = self.stream.isatty()
        self.every = 0.1 if self.terminal else every
        self.name, self.width = "", 0
        self.began = self.shown = time.monotonic()
        self.first: int | None = None

    def phase(self, text: str) -> None:
        self._end()
        self.name, self.first = text, None
        self.began = time.monotonic()
        self.shown = float("-inf") if self.terminal else self.began

    def advance(self, done: int, total: int, facts: Mapping[str, float]) -> None:
        now = time.monotonic()
        if self.first is None:  # a resumed run does not start at zero, and its rate is that of this session
            self.first = done
        if now - self.shown < self.every and done < total:
            return
        self.shown = now
        self._show(describe(self.name, done, total, now - self.began, facts, self.first))

    def note(self, text: str) -> None:
        self._end()
        print(text, file=self.stream, flush=True)

    def _show(self, line: str) -> None:
        if self.terminal:
            self.stream.write("\r" + line.ljust(self.width))
            self.width = len(line)
            self.stream.flush()
        else:
            print(line, file=self.stream, flush=True)

    def _end(self) -> None:
        if self.width:
            print(file=self.stream, flush=True)
            self.width = 0


def describe(name: str, done: int, total: int, seconds: float, facts: Mapping[str, float], first: int = 0) -> str:
    """`sampling 1200/4000 · 850/s · 3 s left · acceptance 0.87`, with what is known."""
    parts = [f"{name} {done}/{total}"]
    if seconds > 0 and done > first:
        rate = (done - first) / seconds
        parts.append(f"{rate:,.0f}/s" if rate >= 100 else f"{rate:.3g}/s")
        if done < total:
            parts.append(f"{spell((total - done) / rate)} left")
    parts += [f"{key} {_shown(value)}" for key, value in facts.items()]
    return " · ".join(parts)


def _shown(value: float) -> str:
    if isinstance(value, int) or abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3f}" if 1 <= abs(value) < 10 else f"{value:.3g}"
