"""The tables of a report: the summary, with long vectors folded away, and what was run."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from energylang.run import checks, words
from energylang.run.data import OBSERVED
from energylang.run.report.text import safe
from energylang.run.table import decimals_of, number_text

if TYPE_CHECKING:
    from energylang.run.result import Run
    from energylang.run.summary import Summary

LONG, MOST = 16, 100
"""Entries of a variable above which it is folded, and how many of it are listed at most."""
VARIABLES, SHORT = 60, 1000
"""Long variables that are listed, and rows of the table of short ones."""
HINTS = {
    "MCSE": "Monte Carlo standard error of the mean",
    "StdDev": "standard deviation",
    "MAD": "median absolute deviation, scaled to that of a normal",
    "ESS_bulk": "effective sample size of the mean",
    "ESS_tail": "effective sample size of the quantiles",
    "R_hat": "1 where chains agree (Vehtari et al. 2021)",
}
SHOWN = 300
"""Characters of one option."""


def summary_tables(summary: Summary) -> str:
    """One table of all short variables, and one folded for each long one, its most doubtful entries first."""
    places: dict[str, list[int]] = {}
    for at, name in enumerate(summary.names):
        places.setdefault(name.partition("[")[0], []).append(at)
    short = [at for own in places.values() if len(own) <= LONG for at in own]
    long = {name: own for name, own in places.items() if len(own) > LONG}
    parts = (
        [_table(summary, short[:SHORT], "Best points" if "Best" in summary.columns else "Summary of the draws")]
        if short
        else []
    )
    for name, own in list(long.items())[:VARIABLES]:
        listed = own if len(own) <= MOST else [own[at] for at in _doubtful(summary, own)[:MOST]]
        which = (
            ""
            if len(own) <= MOST
            else f"; the {MOST} {'first' if 'Best' in summary.columns else 'most doubtful'} are listed"
        )
        head = f"<code>{safe(name)}</code>, {len(own):,} entries{_ends(summary, own)}{which}"
        parts.append(f"<details><summary>{head}</summary>{_table(summary, listed, f'Entries of {name}')}</details>")
    left = sum(map(len, list(long.values())[VARIABLES:])) + max(0, len(short) - SHORT)
    if left:
        parts.append(f'<p class="quiet">And {left:,} more, which <code>energylang summary</code> has.</p>')
    if "lp" in summary.names:
        parts.append(f'<p class="quiet">{safe(words.LP)}</p>')
    return "".join(parts)


def _doubtful(summary: Summary, own: Sequence[int]) -> list[int]:
    """Places in `own`: the least effective sample size first, or the largest error."""
    if "Best" in summary.columns:
        return list(range(len(own)))
    values = summary["ESS_bulk"][list(own)] if "ESS_bulk" in summary.columns else -summary["MCSE"][list(own)]
    return np.argsort(values, kind="stable").tolist()


def _ends(summary: Summary, own: Sequence[int]) -> str:
    """What the entries are like together."""
    if "Mean" not in summary.columns:
        return ""
    means, text = summary["Mean"][list(own)], ""
    if np.isfinite(means).any():
        text = f": means from {np.nanmin(means):.4g} to {np.nanmax(means):.4g}"
    if "R_hat" in summary.columns:
        r_hat, size = summary["R_hat"][list(own)], summary["ESS_bulk"][list(own)]
        text += f", R_hat at most {np.nanmax(r_hat):.3f}" if np.isfinite(r_hat).any() else ""
        text += f", ESS_bulk at least {np.nanmin(size):,.0f}" if np.isfinite(size).any() else ""
    return safe(text)


def _table(summary: Summary, places: Iterable[int], caption: str) -> str:
    heads = "".join(_head(column) for column in ("variable", *summary.columns))
    rows = "".join(_row(summary, order, at) for order, at in enumerate(places))
    label = safe(caption)
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{label}"><table class="summary" aria-label="{label}">'
        f"<thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _head(column: str) -> str:
    title = f' title="{safe(HINTS[column])}"' if column in HINTS else ""
    return f'<th scope="col" aria-sort="none"><button type="button"{title}>{safe(column)}</button></th>'


def _row(summary: Summary, order: int, at: int) -> str:
    """data-v: what a column is sorted by; names by the order they came in."""
    name, decimals = safe(summary.names[at]), decimals_of(summary, at)
    cells = [f'<th scope="row" data-v="{order}" title="{name}">{name}</th>']
    for column in summary.columns:
        value = float(summary[column][at])
        bad = ' class="bad"' if _bad(column, value) else ""
        number = f"{value:.9g}" if math.isfinite(value) else ""
        cells.append(f'<td data-v="{number}"{bad}>{safe(number_text(value, column, decimals))}</td>')
    return f"<tr>{''.join(cells)}</tr>"


def _bad(column: str, value: float) -> bool:
    if column == "R_hat":
        return value > checks.R_HAT
    return column.startswith("ESS") and value < checks.ESS


def facts_table(run: Run) -> str:
    """Everything that decides the numbers, and how long they took."""
    facts = run.facts
    options = {name: value for name, value in run.options.items() if value not in ({}, None)}
    programs = f"{run.programs} program{'' if run.programs == 1 else 's'} compiled"
    rows = [
        ("energy", facts["energy"]),
        ("task", facts["task"]),
        ("method", run.method),
        ("why", "it was asked for" if run.reason == "asked for" else run.reason),
        words.amount(run),
        *((name, _value(value)) for name, value in options.items() if name not in ("draws", "seed")),
        ("seed", facts["seed"]),
        ("data", _data(run) or "none"),
        ("device", f"{facts['device']}, {facts['precision']}"),
        ("time", f"{run.sampling_time:.2f} s {'searching' if run.optimised else 'drawing'}; {programs}"),
        ("drawn at", str(facts["created_at"])[:19].replace("T", " ") + " UTC"),
        ("file", run.path.name if run.path else "in memory"),
        ("versions", ", ".join(f"{name} {number}" for name, number in json.loads(facts["versions"]).items())),
    ]
    body = "".join(f'<tr><th scope="row">{safe(name)}</th><td>{safe(text)}</td></tr>' for name, text in rows)
    return f'<table class="facts" aria-label="What was run"><tbody>{body}</tbody></table>'


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = ", ".join(f"{k} = {v}" for k, v in value.items()) if isinstance(value, dict) else str(value)
    return text if len(text) <= SHOWN else text[:SHOWN] + "…"


def _data(run: Run) -> str:
    shapes = ((name, run.data.view(OBSERVED, name).shape) for name in run.data.names(OBSERVED))
    return ", ".join(f"{name} {list(shape)}" if shape else name for name, shape in shapes)
