"""A run as one HTML file that needs nothing else: no network, no font, no script but its own."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from energylang.diagnostics import Diagnostic, DiagnosticError
from energylang.run import words
from energylang.run.report.look import SCRIPT, STYLE
from energylang.run.report.tables import facts_table, summary_tables
from energylang.run.report.text import highlighted, safe
from energylang.run.report.verdict import verdict, worst

if TYPE_CHECKING:
    from energylang.run.pictures.choice import Reader
    from energylang.run.pictures.style import Picture
    from energylang.run.result import Run

SUFFIXES = (".html", ".htm")
DPI = 140
WORST = 8
ARRAYS = 4
"""Discrete arrays that have a picture."""
SHARP = 112
"""CSS pixels an inch: the widest picture is as wide as the text."""
HEADINGS = {
    "trace": "Chains",
    "rank": "Ranks",
    "autocorrelation": "Autocorrelation",
    "pair": "Pairs",
    "energy": "Energy",
    "states": "States",
    "forest": "Intervals",
    "weights": "Weights",
    "objective": "Objective",
}
COLOURED = ("energy", "states")
"""Pictures that colours are the subject of."""
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"


def report_path(path: str | Path | None, beside: Path | None) -> Path:
    """Where a report goes: where it was asked for, else beside the run's file. Raises DiagnosticError E0893."""
    if path is not None:
        found = Path(path)
        if found.suffix.lower() not in SUFFIXES:
            name = f"{found.stem or 'run'}.html"
            raise _unwritable(
                f"`{found}`", "a report is an HTML file, and this name does not end so", f"for example `{name}`"
            )
        return found
    if beside is None:
        problem = "the run is only in memory, and has no file beside which it could go"
        raise _unwritable("the report", problem, 'give a path: `run.report("run.html")`')
    return beside.with_suffix(".html")


def write_report(run: Run, path: str | Path | None = None) -> Path:
    """Write the report of a run; its path. Raises DiagnosticError E0893 where it cannot be written."""
    place = report_path(path, run.path)
    text = page(run)
    try:
        place.write_text(text, encoding="utf-8")
    except OSError as error:
        fix = "check that the folder is there and yours to write"
        raise _unwritable(f"`{place}`", error.strerror or "", fix) from error
    return place


def _unwritable(what: str, cause: str, fix: str) -> DiagnosticError:
    return DiagnosticError([Diagnostic("E0893", f"cannot write {what}", cause=cause, fix=fix)])


def page(run: Run) -> str:
    """The whole page."""
    title = f"{run.facts['energy']}: {run.facts['task']}"
    sections = [("verdict", "Verdict", verdict(run))]
    if len(run):
        sections.append(("summary", "Summary", summary_tables(run.summary())))
        sections.append(("pictures", "Pictures", _pictures(run)))
    sections.append(("model", "Model", _sources(run)))
    sections.append(("run", "What was run", facts_table(run)))
    links = "".join(f'<li><a href="#{key}">{heading}</a></li>' for key, heading, _ in sections)
    body = "\n".join(
        f'<section aria-labelledby="{key}"><h2 id="{key}">{heading}</h2>{content}</section>'
        for key, heading, content in sections
    )
    said = f"{words.method(run)}; {words.draws(run)}"
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="generator" content="EnergyLang">\n<link rel="icon" href="data:,">\n'
        f"<title>{safe(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
        f'<header><h1>{safe(title)}</h1><p class="quiet">{safe(said)}</p>'
        f'<nav aria-label="Sections"><ul>{links}</ul></nav></header>\n<main>\n{body}\n</main>\n'
        f"<footer>Written by EnergyLang. This page needs no network.</footer>\n<script>{SCRIPT}</script>\n</body>\n</html>\n"
    )


def _sources(run: Run) -> str:
    parts = []
    for at, (name, text) in enumerate(run.sources.items()):
        shown = f"<pre><code>{highlighted(text)}</code></pre>"
        label = f"<code>{safe(Path(name).name or name)}</code>"
        parts.append(f"<p>{label}</p>{shown}" if at == 0 else f"<details><summary>{label}</summary>{shown}</details>")
    return "".join(parts) or "<p>The run keeps no text of its model.</p>"


# --- pictures -------------------------------------------------------------------------------------------------------


def _pictures(run: Run) -> str:
    from energylang.run.pictures import require_matplotlib
    from energylang.run.pictures.choice import Reader

    try:
        require_matplotlib()
    except DiagnosticError:
        return "<p>There are none: they need Matplotlib, <code>pip install 'energylang[plot]'</code>.</p>"
    parts, last = [], ""
    for kind, picture in _chosen(run, Reader(run)):
        parts.append((f"<h3>{HEADINGS[kind]}</h3>" if kind != last else "") + _figure(picture, kind in COLOURED))
        last = kind
    return "".join(parts) or "<p>There is nothing to see.</p>"


def _chosen(run: Run, reader: Reader) -> Iterator[tuple[str, Picture]]:
    """The pictures that say most: of the most doubtful scalars first, of what lies around divergences, and of states."""
    from energylang.run.pictures import picture
    from energylang.run.pictures.pairs import by_divergence

    states = reader.states()
    reals = [name for name in reader.main if name not in states]
    order = [] if states else worst(run, {*reals, "lp"}, WORST)
    few = any("effective sample size" in warning for warning in run.warnings)
    wanted: list[tuple[str, list[tuple[str, ...]], list[str]]] = [
        ("objective", [()], []),
        ("weights", [()], []),
        ("energy", [()], []),
        ("states", [(name,) for name in states[:ARRAYS]], []),
        ("trace", [()], order),
        ("rank", [()], order),
        ("autocorrelation", [()] if few else [], order),
        ("pair", [()], by_divergence(reader, reals)),
        ("forest", [()], []),
    ]
    for kind, each, first in wanted:
        for names in each:
            try:
                yield kind, picture(reader, kind, names, first)
            except DiagnosticError as nothing:
                if nothing.diagnostics[0].code != "E0891":
                    raise


def _figure(picture: Picture, coloured: bool) -> str:
    """coloured: of the dark page, too, its colours are as they are, and not turned over."""
    data = base64.b64encode(picture.png(DPI)).decode("ascii")
    width, height = (round(SHARP * inches) for inches in picture.get_size_inches())
    caption = safe(picture.caption)
    opened = '<figure class="coloured">' if coloured else "<figure>"
    return (
        f'{opened}<div class="picture" tabindex="0" role="group" aria-label="Picture"><img src="data:image/png;base64,{data}"'
        f' width="{width}" height="{height}" alt="{caption}"></div><figcaption>{caption}</figcaption></figure>'
    )
