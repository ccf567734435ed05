"""`energylang plot`: pictures of a run, as PNG."""

from __future__ import annotations

from pathlib import Path

import click

from energylang.cli.failures import fail
from energylang.cli.summary import open_run


@click.command("plot")
@click.argument("run", metavar="RUN")
@click.option("--var", "names", multiple=True, metavar="NAME", help="Only this variable or report (repeatable).")
@click.option("--out", metavar="PREFIX", help="Where the pictures go; otherwise beside the run.")
def plot_command(run: str, names: tuple[str, ...], out: str | None) -> None:
    """Pictures of RUN, a file that `sample`, `evidence` or `train` wrote.

    PREFIX.trace.png has the chains and their ranks, PREFIX.pair.png variables against each other, and
    PREFIX.NAME.png the states of a discrete array.
    """
    try:
        import matplotlib as mpl
    except ImportError:
        fail("E0904", "plots need matplotlib, which is not installed", fix="`pip install 'energylang[plot]'`")
    mpl.use("Agg")
    from energylang.cli.pictures import draw

    data = open_run(run)
    prefix = Path(out) if out is not None else Path(run).with_suffix("")
    if prefix.suffix == ".png":
        prefix = prefix.with_suffix("")
    try:
        for picture in draw(data, prefix, names):
            click.echo(f"wrote {picture}")
    except OSError as error:
        fail("E0820", f"cannot write `{prefix}`", cause=error.strerror or "", fix="check that the folder is there")
