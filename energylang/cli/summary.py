"""`energylang summary`: the table of a saved run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from energylang.cli.failures import fail, print_json
from energylang.cli.options import json_option
from energylang.diagnostics import suggest

if TYPE_CHECKING:
    from energylang.run.data import FileData


def open_run(run: str) -> FileData:
    """The file of a run that a command was given; ends the command where it is none."""
    from energylang.run.data import FileData

    path = Path(run)
    if path.suffix == ".energy":
        fail("E0831", f"`{run}` is a model, not a run", fix=f"sample it first: `energylang sample {run}`")
    if not path.exists():
        fail(
            "E0831", f"there is no run `{run}`", fix="`energylang sample MODEL` writes one; its last line has the name"
        )
    return FileData(path)


def require_names(names: tuple[str, ...], known: tuple[str, ...]) -> None:
    """End the command where the run has no variable of a name."""
    for name in names:
        if name not in known:
            near = suggest(name, known)
            fix = f"did you mean `{near}`?" if near else f"it has {', '.join(known) or 'none'}"
            fail("E0901", f"the run has no variable `{name}`", fix=fix)


@click.command("summary")
@click.argument("run", metavar="RUN")
@click.option("--var", "names", multiple=True, metavar="NAME", help="Only this variable or report (repeatable).")
@json_option
def summary_command(run: str, names: tuple[str, ...], as_json: bool) -> None:
    """The table of RUN, a file that `sample` or `evidence` wrote, with its warnings.

    The numbers are those that were printed after sampling. With `--var` every entry of these variables is shown.
    """
    from energylang.run.result import Run

    data = open_run(run)
    if "training" in data.groups():
        fail(
            "E0850", f"`{run}` is the file of a training: it has params, and no draws",
            fix=f"`energylang plot {run}` shows its loss",
        )  # fmt: skip
    opened = Run.of(data, data.facts)
    require_names(names, ("energy" if opened.optimised else "lp", *opened))
    summary = opened.summary().select(names) if names else opened.summary()
    from energylang.cli.report import run_data, summary_text
    from energylang.run.table import ROWS

    if as_json:
        print_json({"exit_code": 0, **run_data(opened), "summary": summary.to_dict()})
        return
    click.echo(summary_text(opened, summary, len(summary) if names else ROWS))
