"""Lines of progress, on a terminal and elsewhere."""

from __future__ import annotations

import io

import pytest

from energylang.run import progress
from energylang.run.progress import Lines, Silent, describe


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def test_a_line_says_rate_and_time_left() -> None:
    line = describe("sampling", 600, 1000, 2.0, {"acceptance": 0.8771, "divergences": 3}, first=200)
    assert line == "sampling 600/1000 · 200/s · 2 s left · acceptance 0.877 · divergences 3"
    assert describe("sampling", 0, 10, 0.0, {}) == "sampling 0/10"


def test_elsewhere_there_is_a_line_every_few_seconds_and_one_at_the_end(clock: list[float]) -> None:
    stream = io.StringIO()
    lines = Lines(stream)
    lines.phase("sampling")
    for done in range(0, 101, 10):
        lines.advance(done, 100, {})
        clock[0] += 1
    lines.note("kept")
    assert stream.getvalue().splitlines() == [
        "sampling 50/100 · 10/s · 5 s left",
        "sampling 100/100 · 10/s",
        "kept",
    ]


def test_on_a_terminal_one_line_is_written_over(clock: list[float]) -> None:
    stream = Terminal()
    lines = Lines(stream)
    lines.phase("warm-up")
    lines.advance(0, 100, {})
    clock[0] += 1
    lines.advance(50, 100, {})
    lines.note("a note")
    lines.phase("sampling")
    assert stream.getvalue() == "\rwarm-up 0/100\rwarm-up 50/100 · 50/s · 1 s left\na note\n"


def test_silence_keeps_the_notes() -> None:
    silent = Silent()
    silent.phase("sampling")
    silent.advance(1, 2, {})
    silent.note("kept")
    assert silent.notes == ["kept"]


def test_ctrl_c_in_the_middle_of_a_line_is_no_defect() -> None:
    """A stream cannot be entered twice by one thread: what the handler says must not come from the handler."""
    import os
    import signal
    import threading

    from energylang.run.interrupt import Interruptible

    class Once(io.StringIO):
        owner: int | None = None

        def write(self, text: str) -> int:
            if self.owner == threading.get_ident():
                raise RuntimeError("reentrant call")
            self.owner = threading.get_ident()
            try:
                if text.startswith("sampling"):
                    os.kill(os.getpid(), signal.SIGINT)
                    for _ in range(1000):
                        pass
                return super().write(text)
            finally:
                self.owner = None

    stream = Once()
    lines = Lines(stream, every=0)
    lines.phase("sampling")
    with Interruptible(lines) as signals:
        lines.advance(10, 10, {})
        for thread in threading.enumerate():
            if thread.daemon and thread is not threading.main_thread() and thread.name.endswith("(note)"):
                thread.join()
    assert signals.asked
    assert "stopping after this chunk" in stream.getvalue()
