"""What the progress lines look like, on a terminal and elsewhere."""

from __future__ import annotations

import io

from energylang.cli.progress import Console, bar


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def drive(stream: io.StringIO, quiet: bool = False) -> Console:
    console = Console(stream, quiet)
    console.phase("compiling")
    console.phase("sampling")
    console.advance(0, 200, {})
    console.advance(100, 200, {"acceptance": 0.8})
    console.note("stopping after this chunk")
    console.advance(200, 200, {"acceptance": 0.9})
    console.end()
    return console


def test_plain_lines() -> None:
    stream = io.StringIO()
    console = drive(stream)
    lines = stream.getvalue().splitlines()
    assert lines[:2] == ["compiling", "sampling"]
    assert lines[2].startswith("sampling 100/200")
    assert lines[3] == "stopping after this chunk"
    assert lines[4].startswith("sampling 200/200")
    assert lines[4].endswith("acceptance 0.9")
    assert set(console.seconds) == {"compiling", "sampling"}


def test_a_terminal_has_one_live_line_a_phase() -> None:
    stream = Terminal()
    drive(stream)
    lines = stream.getvalue().split("\n")
    assert len(lines) == 5
    assert lines[0].split("\r")[-1].startswith("compiling: ")
    assert "sampling 100/200" in lines[1]
    assert lines[2] == "stopping after this chunk"
    assert "sampling 200/200" in lines[3]


def test_quiet_says_nothing() -> None:
    for stream in (io.StringIO(), Terminal()):
        drive(stream, quiet=True)
        assert stream.getvalue() == ""


def test_bar() -> None:
    assert bar(0, 10) == "─" * 24
    assert bar(5, 10) == "━" * 12 + "─" * 12
    assert bar(10, 10) == bar(0, 0) == "━" * 24
