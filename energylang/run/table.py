"""A summary as an aligned table of plain text."""

from __future__ import annotations

import math

from energylang.run.summary import Summary

ROWS = 30


def render(summary: Summary, rows: int = ROWS) -> str:
    """At most `rows` rows, and a line saying how many more there are."""
    columns = list(summary.columns)
    shown = min(rows, len(summary))
    lines = [["", *columns]]
    lines += [
        [summary.names[at], *(_number(float(summary.columns[column][at]), column) for column in columns)]
        for at in range(shown)
    ]
    widths = [max(len(line[place]) for line in lines) for place in range(len(lines[0]))]
    text = [
        "  ".join(
            [line[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True))]
        )
        for line in lines
    ]
    if shown < len(summary):
        text.append(f"… and {len(summary) - shown} more")
    return "\n".join(text)


def _number(value: float, column: str) -> str:
    """Effective sample sizes in whole draws, R-hat to three places, the rest to four digits."""
    if math.isnan(value):
        return "-"
    if column.startswith("ESS") and math.isfinite(value):
        return f"{value:.0f}"
    return f"{value:.3f}" if column == "R_hat" else f"{value:.4g}"
