"""`energylang report`: a saved run as one HTML file."""

from __future__ import annotations

import click

from energylang.cli.failures import fail
from energylang.cli.summary import open_run


@click.command("report")
@click.argument("run", metavar="RUN")
@click.option("--out", metavar="FILE", help="The HTML file to write; otherwise beside the run.")
def report_command(run: str, out: str | None) -> None:
    """RUN as one HTML file: the verdict, the summary, pictures, the model and everything that decided the numbers.

    RUN is a file that `sample` or `evidence` wrote. The page needs no network and can be sent or printed as it is.
    """
    data = open_run(run)
    if "training" in data.groups():
        fail(
            "E0850", f"`{run}` is the file of a training: it has params, and no draws",
            fix=f"`energylang plot {run}` shows its loss",
        )  # fmt: skip
    from energylang.run.result import Run

    click.echo(f"wrote {Run.of(data, data.facts).report(out)}")
