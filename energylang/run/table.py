"""A summary as an aligned table of plain text."""

from __future__ import annotations

import math
from dataclasses import dataclass

from energylang.run.summary import Summary

ROWS = 30


def render(summary: Summary, rows: int = ROWS) -> str:
    """At most about `rows` rows: every variable is there, long arrays with their first entries and how many more."""
    lines, ends = cells(summary, rows)
    widths = [max(len(line[place]) for line in lines) for place in range(len(lines[0]))]
    text = []
    for number, line in enumerate(lines, 1):
        parts = [cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True)]
        text.append("  ".join([line[0].ljust(widths[0]), *parts]))
        if number in ends:
            text.append(ends[number])
    return "\n".join(text)


def cells(summary: Summary, rows: int = ROWS) -> tuple[list[list[str]], dict[int, str]]:
    """(the cells of the head and of at most about `rows` rows, what is left out by the number of the line before it)."""
    columns = list(summary.columns)
    lines: list[list[str]] = [["", *columns]]
    ends: dict[int, str] = {}
    for name, places in _shares(summary, rows):
        for at in places.shown:
            decimals = decimals_of(summary, at)
            numbers = (number_text(float(summary.columns[column][at]), column, decimals) for column in columns)
            lines.append([summary.names[at], *numbers])
        if places.more:
            ends[len(lines)] = f"… and {places.more:,} more of `{name}`"
    return lines, ends


@dataclass(frozen=True)
class _Share:
    """The rows of one variable: which are shown, and how many are not."""

    shown: range
    more: int


def _shares(summary: Summary, rows: int) -> list[tuple[str, _Share]]:
    """Rows by variable; where they are too many, the longest variables give way to an equal share."""
    starts: dict[str, list[int]] = {}
    for at, name in enumerate(summary.names):
        starts.setdefault(name.partition("[")[0], []).append(at)
    counts = sorted(len(places) for places in starts.values())
    share, left = len(summary.names), rows
    for position, count in enumerate(counts):
        equal = max(1, left // (len(counts) - position))
        if count > equal:
            share = equal
            break
        left -= count
    found = []
    for name, places in starts.items():
        shown = min(len(places), share)
        found.append((name, _Share(range(places[0], places[0] + shown), len(places) - shown)))
    return found


def decimals_of(summary: Summary, at: int) -> int | None:
    """Decimals at which a row's estimates are known: two digits of the Monte Carlo error; None where there is none."""
    error = float(summary.columns["MCSE"][at]) if "MCSE" in summary.columns else math.nan
    if not math.isfinite(error) or error <= 0:
        return None
    return 1 - math.floor(math.log10(error))


def number_text(value: float, column: str, decimals: int | None) -> str:
    """Effective sample sizes in whole draws, R-hat to three places, estimates to their error's second digit.

    Never fewer than four significant digits where the error is large, never more than nine.
    """
    if math.isnan(value):
        return "-"
    value += 0.0  # No minus before a zero.
    if column.startswith("ESS") and math.isfinite(value):
        return f"{value:.0f}"
    if column == "R_hat":
        return f"{value:.3f}"
    if decimals is None or column in ("MCSE", "StdDev", "MAD") or value == 0 or not math.isfinite(value):
        return f"{value:.4g}"
    digits = math.floor(math.log10(abs(value))) + 1 + decimals
    return f"{value:.{min(9, max(4, digits))}g}"
