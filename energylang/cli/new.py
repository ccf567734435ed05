"""`energylang new`: a commented model that runs."""

from __future__ import annotations

import re
from pathlib import Path

import click

from energylang.cli.failures import fail, fail_usage

TEMPLATE = """\
# A line through points: how does y depend on x, and how sure are we?
#
#   energylang sample {file}               draw from the posterior
#   energylang sample {file} --data d.json with your own points: {{"x": [...], "y": [...]}}
#   energylang explain {file}              what was found in it, and which method would run

# Data have a default here; N is solved from them, and x and y must agree about it.
data x: real[N] = [0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5]
data y: real[N] = [1.1, 1.8, 2.7, 4.3, 4.9, 6.2, 6.8, 8.1]

# A const can be overridden: `--set prior_scale=2`.
const prior_scale = 10

# Random variables stand in the signature, each with its space; the energy is minus the log of their joint density.
energy {name}(intercept: real, slope: real, sigma: positive) {{
  intercept ~ normal(0, prior_scale)
  slope ~ normal(0, prior_scale)
  sigma ~ half_normal(1)

  # Whole arrays at once: `~` adds up over the N points.
  let line = intercept + slope * x
  y ~ normal(line, sigma)

  # Kept with the draws, no part of the energy.
  report at_four = intercept + slope * 4
}}

# What `energylang sample` does where the command line says nothing else.
sample {name} with nuts(), draws = 1000, warmup = 1000, chains = 4
"""


ISING = """\
# Spins on a square lattice that like to agree with their neighbours (Ising 1925).
#
#   energylang sample {file}               draw configurations
#   energylang sample {file} --set n=32    a larger lattice
#   energylang evidence {file} --set n=4   log Z, by summing over all configurations
#   energylang explain {file}              what was found in it, and which method would run

# Consts can be overridden: `--set beta=0.44` is near the critical point, where everything is slow.
const n = 16
const beta = 0.3

# A spin is -1 or 1. `roll` moves the lattice by one site, so that `s * roll(s, 1)` are the products of neighbours;
# what is pushed out comes back in at the other end.
energy {name}(s: spin[n, n]) {{
  let bonds = sum(s * roll(s, 1, axis = 0)) + sum(s * roll(s, 1, axis = 1))
  += -beta * bonds

  # Kept with the draws, no part of the energy.
  report magnetisation = mean(s)
}}

# What `energylang sample` does where the command line says nothing else.
sample {name} with gibbs(), draws = 1000, warmup = 500, chains = 4
"""

MIXTURE = """\
# Two clusters of points: where are they, and how many points are in each?
#
#   energylang sample {file}               draw from the posterior
#   energylang sample {file} --data d.json with your own points: {{"y": [...]}}
#   energylang explain {file}              what was found in it, and which method would run

# Data have a default here; N is solved from them.
data y: real[N] = [-2.1, -1.8, -2.4, -1.6, -2.2, 1.9, 2.3, 1.7, 2.6, 2.0]

# `ordered` centres have names that do not change places; weights on the simplex sum to 1.
energy {name}(centre: ordered[2], weight: simplex[2], sigma: positive) {{
  centre ~ normal(0, 3)
  weight ~ dirichlet([2, 2])
  sigma ~ half_normal(1)

  # Which cluster a point belongs to is summed over, point by point.
  y ~ mixture(normal(centre[0], sigma), normal(centre[1], sigma), weights = weight)
}}

# What `energylang sample` does where the command line says nothing else.
sample {name} with nuts(), draws = 1000, warmup = 1000, chains = 4
"""

TEMPLATES = {"regression": TEMPLATE, "ising": ISING, "mixture": MIXTURE}


@click.command("new")
@click.argument("name")
@click.option("--like", type=click.Choice(list(TEMPLATES)), default="regression", help="What to begin with.")
def new_command(name: str, like: str) -> None:
    """Write NAME.energy, a commented model that runs; an existing file is never overwritten.

    It is a regression, or a lattice of spins with `--like ising`, or clusters of points with `--like mixture`.
    """
    path = Path(name if name.endswith(".energy") else f"{name}.energy")
    energy = re.sub(r"\W", "_", path.stem, flags=re.ASCII)
    if not path.stem.strip("._- ") or path.name == ".energy":
        fail_usage(f"`{name}` is not the name of a model", "for example `energylang new first`")
    if not energy[0].isalpha() or energy in _reserved():
        energy = f"model_{energy}".rstrip("_")
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(TEMPLATES[like].format(file=path, name=energy))
    except FileExistsError:
        fail("E0903", f"`{path}` is there already", fix="choose another name, or remove it first")
    except OSError as error:
        fail("E0820", f"cannot write `{path}`", cause=error.strerror or "", fix="check that the folder exists")
    click.echo(f"wrote {path}; now `energylang sample {path}`")


def _reserved() -> set[str]:
    """Words that should not name an energy: those of the grammar, and the distributions that the model uses."""
    from energylang.resources import text

    words = re.findall(r"/([a-z]+)\\b/", text("grammar", "energy.lark"))
    return {*words, *re.findall(r"^distribution (\w+)", text("stdlib", "distributions.energy"), re.MULTILINE)}
