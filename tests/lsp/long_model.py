"""A long text that is right, made of the shipped examples, and something to type into it."""

from __future__ import annotations

from itertools import cycle

from energylang.check import check_source
from energylang.diagnostics import Diagnostics
from energylang.lsp.names import Names, names_of
from energylang.resources import folder
from energylang.source import Source

TYPED = """\
energy typed(v: real[3], w: spin[4]) {
  v ~ normal(0, 2)
  let total = sum(w) * 0.5 + mean(v)
  += if total > 1 then total^2 else -total
  report twice = 2 * (v + 1)
}

"""
"""Correct at its end, wrong at most places on the way."""


def long_model(lines: int = 300) -> str:
    """At least so many lines. What each copy of an example declares has the copy's number behind its name."""
    parts: list[str] = []
    length = 0
    for number, (text, names) in enumerate(cycle(_examples()), 1):
        if length >= lines:
            return "\n".join(parts)
        parts.append(_numbered(text, names, number))
        length += parts[-1].count("\n") + 1
    raise AssertionError("there are no examples")


def _examples() -> list[tuple[str, Names]]:
    """The shipped models that stand alone, with their names."""
    found = []
    for path in sorted(folder("examples").glob("*.energy")):
        text = path.read_text(encoding="utf-8")
        module, program = check_source(Source(str(path), text), Diagnostics())
        if program is not None and not program.imported:
            found.append((text, names_of(module)))
    return found


def _numbered(text: str, names: Names, number: int) -> str:
    top = {*names.top.values.values(), *names.top.callables.values()}
    ends = {n.span.end for n in names.definitions if n in top}
    ends |= {n.span.end for n in names.uses if n.definition in top}
    for end in sorted(ends, reverse=True):
        text = f"{text[:end]}_{number}{text[end:]}"
    return text
