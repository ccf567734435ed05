"""Diagnostics as text with snippets of the source, and as plain data for JSON."""

from __future__ import annotations

import os
import re
import sys
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Any, TextIO

from energylang.diagnostics import Diagnostic, Label, in_order
from energylang.source import Source, Span

MOST_SHOWN = 50
"""Different findings that are shown of one run; the rest are counted."""

_MOST_LINES = 12
_CONTEXT = 2
_TAB = 4
_LONGEST_LINE = 160
_LONGEST_UNDERLINED = 6
_LONGEST_WORD = 200
_ENDLESS = re.compile(rf"\w{{{_LONGEST_WORD},}}")
_COLORS = {"error": "\033[1;31m", "warning": "\033[1;33m", "note": "\033[1;36m"}
_BOLD, _BLUE, _RESET = "\033[1m", "\033[1;34m", "\033[0m"


def wants_color(stream: TextIO) -> bool:
    """Whether to colour what goes to a stream: a terminal, unless `NO_COLOR` is set or the terminal is dumb."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def render(diagnostics: Iterable[Diagnostic], color: bool | None = None) -> str:
    """All diagnostics one after the other, and a line that counts them; empty where there are none.

    A mistake that is made many times is shown once, with the other lines where it stands; of different ones
    `MOST_SHOWN` are shown. `color` defaults to whether standard error is a terminal that shows colours.
    """
    findings = in_order(diagnostics)
    if not findings:
        return ""
    color = wants_color(sys.stderr) if color is None else color
    alike: dict[object, list[Diagnostic]] = {}
    for finding in findings:
        alike.setdefault(_kind(finding), []).append(finding)
    groups = list(alike.values())
    shown = [render_one(first, color, again) for first, *again in groups[:MOST_SHOWN]]
    left_out = sum(len(group) for group in groups[MOST_SHOWN:])
    if left_out:
        shown.append(f"… and {left_out:,} more\n")
    return "\n".join([*shown, _count(findings) + "\n"])


def _kind(finding: Diagnostic) -> object:
    """Equal for findings that say the same of the same words of one text."""
    if finding.span is None or finding.related:
        return finding
    source = finding.span.source
    return source, finding.code, finding.message, finding.span.text, finding.label, finding.cause, finding.fix


def render_one(diagnostic: Diagnostic, color: bool = False, again: Sequence[Diagnostic] = ()) -> str:
    """One diagnostic: what is wrong, where, why and what to do; `again` are the same elsewhere in its text."""
    paint = _Paint(color, diagnostic.severity)
    message = printable(diagnostic.message)
    lines = [f"{paint.severity(f'{diagnostic.severity}[{diagnostic.code}]')}{paint.bold(f': {message}')}"]
    if diagnostic.span is not None:
        lines += _snippets(diagnostic, paint)
    if again:
        lines.append(f"  {paint.blue('again:')} {_lines_of(again)}")
    for title, text in (("cause", diagnostic.cause), ("fix", diagnostic.fix)):
        if text:
            lines.append(f"  {paint.blue(f'{title}:')} {printable(text)}")
    return "\n".join(lines) + "\n"


def _lines_of(findings: Sequence[Diagnostic]) -> str:
    numbers = [d.span.source.position(d.span.start)[0] for d in findings if d.span is not None]
    distinct = list(dict.fromkeys(numbers))
    listed = ", ".join(f"{number:,}" for number in distinct[:_MOST_LINES])
    more = f" and {len(distinct) - _MOST_LINES:,} more lines" if len(distinct) > _MOST_LINES else ""
    return f"line{'s' if len(distinct) > 1 else ''} {listed}{more}"


def _count(findings: Sequence[Diagnostic]) -> str:
    counts = []
    for severity in ("error", "warning", "note"):
        number = sum(finding.severity == severity for finding in findings)
        if number:
            counts.append(f"{number} {severity}{'s' if number > 1 else ''}")
    return ", ".join(counts)


def to_json(diagnostic: Diagnostic) -> dict[str, Any]:
    """A diagnostic as plain data; lines and columns count from 1, ends are exclusive, places may be null."""
    edit = diagnostic.edit
    return {
        "code": diagnostic.code,
        "severity": diagnostic.severity,
        "message": printable(diagnostic.message),
        **_place(diagnostic.span),
        "label": printable(diagnostic.label),
        "related": [{**_place(label.span), "label": printable(label.text)} for label in diagnostic.related],
        "cause": printable(diagnostic.cause),
        "fix": printable(diagnostic.fix),
        "edit": None if edit is None else {**_place(edit.span), "text": edit.text},
    }


def _place(span: Span | None) -> dict[str, Any]:
    if span is None:
        return dict.fromkeys(("file", "line", "column", "end_line", "end_column"))
    line, column = span.source.position(span.start)
    end_line, end_column = span.source.position(span.end)
    return {
        "file": printable(span.source.name),
        "line": line,
        "column": column,
        "end_line": end_line,
        "end_column": end_column,
    }


def printable(text: str) -> str:
    """The text without control and bidirectional characters, which could disguise what is shown."""
    if len(text) > _LONGEST_WORD:
        text = _ENDLESS.sub(lambda word: f"{word[0][:20]}…{word[0][-10:]}", text)
    if text.isascii() and text.isprintable():
        return text
    return "".join(map(_shown, text))


def _shown(character: str) -> str:
    """A character as it is echoed: blanks as a space, what cannot be seen as nothing."""
    if character.isprintable():
        return character
    return " " if character in "\n\t" or unicodedata.category(character) == "Zs" else ""


class _Paint:
    """Colours, or none."""

    def __init__(self, color: bool, severity: str):
        self._color = color
        self._severity = severity

    def _wrap(self, start: str, text: str) -> str:
        return f"{start}{text}{_RESET}" if self._color and text else text

    def severity(self, text: str) -> str:
        return self._wrap(_COLORS[self._severity], text)

    def bold(self, text: str) -> str:
        return self._wrap(_BOLD, text)

    def blue(self, text: str) -> str:
        return self._wrap(_BLUE, text)


# --- snippets -------------------------------------------------------------------------------------------------------


def _snippets(diagnostic: Diagnostic, paint: _Paint) -> list[str]:
    """The snippet of the main span with the related places of its file, then one snippet for each other file."""
    main = diagnostic.span
    assert main is not None
    places: dict[int, tuple[Source, list[tuple[Label, bool]]]] = {}
    for label, is_main in [(Label(main, diagnostic.label), True), *((label, False) for label in diagnostic.related)]:
        places.setdefault(id(label.span.source), (label.span.source, []))[1].append((label, is_main))
    lines: list[str] = []
    width = max(len(str(_last_line(labels))) for _, labels in places.values())
    for source, labels in places.values():
        line, column = source.position(labels[0][0].span.start)
        arrow = "-->" if source is main.source else ":::"
        lines.append(f"{' ' * width}{paint.blue(arrow)} {printable(source.name)}:{line}:{column}")
        lines += _snippet(source, labels, width, paint)
    return lines


def _last_line(labels: list[tuple[Label, bool]]) -> int:
    return max(label.span.source.position(label.span.end)[0] for label, _ in labels) + 1


def _snippet(source: Source, labels: list[tuple[Label, bool]], width: int, paint: _Paint) -> list[str]:
    marks: dict[int, list[tuple[int, int, str, bool]]] = {}
    for label, is_main in labels:
        for line, start, end, text in _by_line(label):
            marks.setdefault(line, []).append((start, end, text, is_main))
    last = len(source.line_starts)
    shown: set[int] = set()
    for line in marks:
        before = _CONTEXT if any(is_main for *_, is_main in marks[line]) else 0
        shown.update(range(max(1, line - before), min(last, line) + 1))
    gutter = f"{' ' * width} {paint.blue('|')}"
    lines = [gutter]
    previous = 0
    for number in sorted(shown):
        # A gap of one line is filled rather than marked.
        if previous and number == previous + 2:
            lines.append(_numbered(source, number - 1, width, paint, 0)[0])
        elif previous and number > previous + 1:
            lines.append(paint.blue("..."))
        previous = number
        here = marks.get(number, [])
        first = min((start for start, *_ in here), default=0)
        text, cut = _numbered(source, number, width, paint, first)
        lines.append(text)
        lines += (f"{gutter} {under}" for under in _underlines(source.line(number), here, cut, paint))
    lines.append(gutter)
    return lines


def _by_line(label: Label) -> list[tuple[int, int, int, str]]:
    """The lines that a span covers: number, first and last character, and the label under the last of them."""
    source = label.span.source
    first, start = source.position(label.span.start)
    last, end = source.position(label.span.end)
    if first == last:
        return [(first, start - 1, max(end - 1, start), label.text)]
    numbers = range(first, last + 1)
    if len(numbers) > _LONGEST_UNDERLINED:
        numbers = (first, first + 1, last - 1, last)
    covered = []
    for number in numbers:
        text = source.line(number)
        begin = start - 1 if number == first else len(text) - len(text.lstrip())
        stop = end - 1 if number == last else len(text.rstrip())
        if stop > begin:
            covered.append([number, begin, stop, ""])
    if not covered:
        covered.append([first, start - 1, start, ""])
    covered[-1][3] = label.text
    return [(number, begin, stop, text) for number, begin, stop, text in covered]


def _numbered(source: Source, number: int, width: int, paint: _Paint, focus: int) -> tuple[str, int]:
    """A line with its number, and how many of its characters were cut off at the left to keep `focus` in sight."""
    text = source.line(number)
    cut = max(0, focus - _LONGEST_LINE // 2) if len(text) > _LONGEST_LINE else 0
    piece = text[cut : cut + _LONGEST_LINE]
    shown = "".join(cell for cell, _ in _cells(piece))
    shown = ("…" if cut else "") + shown + ("…" if len(text) > cut + _LONGEST_LINE else "")
    return f"{paint.blue(f'{number:>{width}} |')} {shown}".rstrip(), cut


def _underlines(text: str, marks: list[tuple[int, int, str, bool]], cut: int, paint: _Paint) -> list[str]:
    """The lines under a line: `^^^^` under the main span, `----` under related ones, each with its label."""
    lines = []
    # The main one first, each on a line of its own: places are few and labels are long.
    for start, end, label, is_main in sorted(marks, key=lambda mark: not mark[3]):
        piece = text[cut : cut + _LONGEST_LINE]
        start, end = start - cut, min(end - cut, max(len(piece), start - cut + 1))
        before = sum(size for _, size in _cells(piece[:start])) + max(0, start - len(piece)) + bool(cut)
        under = sum(size for _, size in _cells(piece[start:end])) or 1
        mark = ("^" if is_main else "-") * under
        note = f" {printable(label)}" if label else ""
        lines.append(" " * before + (paint.severity(mark + note) if is_main else paint.blue(mark + note)))
    return lines


def _cells(text: str) -> list[tuple[str, int]]:
    """Each character as it is shown, with how many columns it takes: tabs are spaces, hidden ones are nothing."""
    cells = []
    column = 0
    for character in text:
        if character == "\t":
            size = _TAB - column % _TAB
            cells.append((" " * size, size))
        else:
            shown = _shown(character)
            combines = unicodedata.category(character) in ("Mn", "Me")
            wide = unicodedata.east_asian_width(character) in "WF"
            cells.append((shown, 0 if combines or not shown else 2 if wide else 1))
        column += cells[-1][1]
    return cells
