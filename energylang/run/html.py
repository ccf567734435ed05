"""A run as a notebook shows it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from energylang import html
from energylang.run import words
from energylang.run.table import cells

if TYPE_CHECKING:
    from energylang.run.result import Run


def run_html(run: Run) -> str:
    """The method and why, estimates, the summary (long arrays shortened), warnings."""
    facts = run.facts
    rows = [("method", words.method(run)), ("device", f"{facts['device']}, {facts['precision']}")]
    options = [f"{name} = {value}" for name, value in run.options.items() if value not in (None, False)]
    rows.append(("options", ", ".join(options)))
    rows += words.estimates(run) if run.optimised else []
    if run.log_z is not None:
        error = f" ± {run.log_z_error:.2g}" if run.log_z_error else ""
        rows.append(("log Z", f"{run.log_z:.6g}{error}"))
    if run.path is not None:
        rows.append(("file", str(run.path)))
    parts = [html.heading(f"Run of {facts['energy']}"), html.table(["", ""], rows)]
    summary = run.summary()
    if len(summary):
        lines, ends = cells(summary)
        parts.append(html.table(lines[0], lines[1:], numbers=True))
        parts += [html.paragraph(text) for text in ends.values()]
    parts += [html.paragraph(f"warning: {warning}") for warning in run.warnings]
    return html.block(*parts)
