"""Reading and rewriting the table of wrong programs and what is said about each."""

from __future__ import annotations

from pathlib import Path

from energylang.diagnostics import Diagnostics
from energylang.source import Source
from energylang.syntax.parser import parse

WRONG_PROGRAMS = Path(__file__).with_name("wrong_programs.txt")


def wrong_programs() -> list[tuple[str, str, list[str]]]:
    """Name, program and expected findings of every case."""
    cases = []
    for section in WRONG_PROGRAMS.read_text(encoding="utf-8").split("=== ")[1:]:
        name, rest = section.split("\n", 1)
        program, _, findings = rest.partition("---\n")
        cases.append((name, program, findings.splitlines()))
    return cases


def findings(program: str) -> list[str]:
    """What is said about a program, one line for each finding."""
    diagnostics = Diagnostics()
    parse(Source("model.energy", program), diagnostics)
    lines = []
    for found in diagnostics.found:
        assert found.span is not None
        line, column = found.span.source.position(found.span.start)
        parts = [f"{found.code} {line}:{column} {found.message}", found.cause, found.fix]
        lines.append(" | ".join(part for part in parts if part))
    return lines


def promote() -> None:
    """Write what is said now as what is expected; read the difference before committing it."""
    sections = []
    for name, program, _ in wrong_programs():
        sections.append("\n".join([f"=== {name}", program.rstrip("\n"), "---", *findings(program), ""]))
    WRONG_PROGRAMS.write_text("".join(sections), encoding="utf-8")


if __name__ == "__main__":
    promote()
