"""`energylang plot`: pictures of a run."""

from __future__ import annotations

import re
from pathlib import Path

import click

from energylang.cli.failures import fail
from energylang.cli.summary import open_run

SUFFIXES = (".png", ".svg", ".pdf")


@click.command("plot")
@click.argument("run", metavar="RUN")
@click.option(
    "--kind",
    "kinds",
    multiple=True,
    metavar="KIND",
    help="trace, rank, pair, energy, states, forest, weights, autocorrelation or objective (repeatable).",
)
@click.option(
    "--var",
    "--vars",
    "names",
    multiple=True,
    metavar="NAMES",
    help="Only these variables, reports, or entries such as theta[0] (repeatable).",
)
@click.option("--out", metavar="PREFIX", help="Where the pictures go; otherwise beside the run. PREFIX.svg and PREFIX.pdf choose the format.")  # fmt: skip
def plot_command(run: str, kinds: tuple[str, ...], names: tuple[str, ...], out: str | None) -> None:
    """Pictures of RUN, a file that `sample`, `evidence`, `train` or `optimize` wrote.

    Without --kind all are drawn that there is something for: PREFIX.trace.png has the chains and their densities,
    PREFIX.rank.png their ranks, PREFIX.pair.png variables against each other, PREFIX.energy.png the landscape of an energy
    of two numbers, PREFIX.states.NAME.png a discrete array, PREFIX.forest.png intervals of vectors.
    """
    from energylang.run.pictures import loss_picture, pictures, require_kind, require_matplotlib

    for kind in kinds:
        require_kind(kind)
    require_matplotlib()
    from energylang.run.pictures.choice import Reader
    from energylang.run.result import Run

    data = open_run(run)
    prefix, suffix = Path(out) if out is not None else Path(run).with_suffix(""), ".png"
    if prefix.suffix in SUFFIXES:
        prefix, suffix = prefix.with_suffix(""), prefix.suffix
    if "training" in data.groups():
        title = f"{data.facts['energy']}, {data.facts['method']}"
        found = iter([("loss", loss_picture(data, title))])
    else:
        found = pictures(Reader(Run.of(data, data.facts)), kinds, [name for each in names for name in listed(each)])
    count = 0
    for label, picture in found:
        path = prefix.with_name(f"{prefix.name}.{label}{suffix}")
        try:
            if suffix == ".png":
                path.write_bytes(picture.png())
            else:
                picture.savefig(path)
        except OSError as error:
            fail("E0820", f"cannot write `{path}`", cause=error.strerror or "", fix="check that the folder is there")
        click.echo(f"wrote {path}")
        count += 1
    if not count:
        click.echo("there is nothing to see in this run")


def listed(text: str) -> list[str]:
    """Names between commas that are not within brackets: `mu, theta[0,1]`."""
    return [name for part in re.split(r",(?![^\[]*\])", text) if (name := part.strip())]
