"""The energy of two numbers as a landscape: contours on a grid, from the model that the run keeps, and draws over it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from energylang.diagnostics import DiagnosticError, Diagnostics
from energylang.run.data import OBSERVED
from energylang.run.pictures import style
from energylang.run.pictures.choice import Reader
from energylang.run.pictures.style import ALARM, COLORS, NotThere, Picture, styled

if TYPE_CHECKING:
    from energylang.lower.energy import CompiledEnergy

GRID = 160
POINTS = 1500
LEVELS = 14
MARGIN = 0.12
"""Of the range of the draws, beyond it."""
CHECKED = 32
"""Draws at which the energy must be that which the run kept."""


@styled
def energy(reader: Reader, names: Sequence[str], order: Sequence[str] = ()) -> Picture:
    """Contours of an energy of two real numbers, and the draws."""
    compiled = model_of(reader)
    labels, draws = _plane(reader, compiled)
    _require_same(reader, compiled, draws)
    flat = draws.reshape(-1, 2).astype(np.float64)
    (x, y), heights = surface(compiled, flat)
    least = np.nanmin(heights)
    shown = flat[:: max(1, len(flat) // POINTS)]
    figure = style.canvas(5.4, 6.6)
    axes = style.grid(figure, 1, 1)[0, 0]
    # Levels as far apart as the draws reach: nearly all of them lie within 12 above the least energy in two dimensions.
    top = least + max(12.0, float(np.nanquantile(heights - least, 0.3)))
    levels = least + (top - least) * np.linspace(0, 1, LEVELS) ** 2
    image = axes.contourf(x, y, heights, levels=levels, cmap="YlGnBu_r", extend="max")
    axes.contour(x, y, heights, levels=levels, colors="white", linewidths=0.3, alpha=0.45)
    axes.plot(*shown.T, ".", color=COLORS[1], markersize=3, alpha=0.75, markeredgewidth=0, rasterized=True)
    diverging = reader.diverging()
    if diverging is not None:
        axes.plot(*flat[diverging.ravel()].T, ".", color=ALARM, markersize=5, label="diverged")
        axes.legend(loc="upper right", frameon=True)
    axes.set_xlabel(labels[0])
    axes.set_ylabel(labels[1])
    axes.set_xlim(x[0], x[-1])
    axes.set_ylim(y[0], y[-1])
    bar = figure.colorbar(image, ax=axes, label="energy", format=_rounded(top - least))
    bar.ax.tick_params(labelsize=7.5)
    style.entitle(figure, f"{reader.title}: energy")
    figure.caption = (
        f"Contours of the energy over {labels[0]} and {labels[1]}, darkest where it is least; dots are draws."
    )
    return figure


def _rounded(reach: float) -> str:
    """The format of numbers that differ by parts of `reach`."""
    return f"%.{max(0, 2 - int(np.floor(np.log10(reach))))}f" if 1e-6 < reach < 1e6 else "%.3g"


def _plane(reader: Reader, compiled: CompiledEnergy) -> tuple[list[str], np.ndarray]:
    """The names of the two numbers, and their draws [chain, draw, 2]."""
    parts = [(v.name, *reader.entries(v.name)) for v in compiled.program.energy.variables if v.name in reader.run]
    labels = [label for _, names, _ in parts for label in names]
    flat_spaces = ("real", "positive", "unit", "interval", "ordered", "positive_ordered")
    continuous = all(v.space.kind in flat_spaces for v in compiled.program.energy.variables)
    if len(parts) != len(compiled.program.energy.variables) or len(labels) != 2 or not continuous:
        raise NotThere("a surface is of an energy of two real numbers")
    draws = np.concatenate([values for _, _, values in parts], axis=2)
    if not np.isfinite(draws).all() or any(np.ptp(draws[..., at]) == 0 for at in range(2)):
        raise NotThere("a surface needs draws that vary")
    return labels, draws


def model_of(reader: Reader) -> CompiledEnergy:
    """The energy of a run, from what the run keeps; raises NotThere where that is not all of it."""
    from energylang.check import check_source
    from energylang.lower.data import bind
    from energylang.lower.energy import compile_energy
    from energylang.source import Source

    sources = reader.run.sources
    if not sources:
        raise NotThere("it keeps no model")
    name, text = next(iter(sources.items()))
    consts = {n: v for n, v in reader.run.options.get("consts", {}).items() if "." not in n}
    diagnostics = Diagnostics()
    try:
        _, program = check_source(Source(name, text), diagnostics, consts)
        node = program.energies.get(reader.run.facts["energy"]) if program is not None else None
        if program is None or node is None or diagnostics.failed:
            raise NotThere("its model is not all of one text that can be read again")
        known = {d.name for d in program.data}
        given = {n: reader.run.data.read(OBSERVED, n) for n in reader.run.data.names(OBSERVED) if n in known}
        bound = bind(program, given, diagnostics)
        if bound is None or diagnostics.failed or program.externs:
            raise NotThere("it does not keep all the data of its model")
        return compile_energy(node, bound)
    except DiagnosticError as error:
        raise NotThere(f"its energy cannot be computed again: {error.diagnostics[0].message}") from error


def shapes_of(compiled: CompiledEnergy) -> list[tuple[int, ...]]:
    """Of the variables, in order."""
    return [tuple(d.evaluate(compiled.program.dims) for d in v.space.shape) for v in compiled.program.energy.variables]


def _values(compiled: CompiledEnergy, flat: Any) -> np.ndarray:
    """Energies of [n, 2]."""
    import jax
    import jax.numpy as jnp

    variables = compiled.program.energy.variables
    shapes = shapes_of(compiled)

    def one(pair: Any) -> Any:
        given, at = {}, 0
        for variable, shape in zip(variables, shapes, strict=True):
            size = int(np.prod(shape))
            given[variable.name] = jnp.reshape(pair[at : at + size], shape)
            at += size
        return compiled(given)

    try:
        with np.errstate(all="ignore"):
            return np.asarray(jax.jit(jax.vmap(one))(jnp.asarray(flat)), np.float64)
    except DiagnosticError as error:
        raise NotThere(f"its energy cannot be computed again: {error.diagnostics[0].message}") from error


def _require_same(reader: Reader, compiled: CompiledEnergy, draws: np.ndarray) -> None:
    """Raise NotThere where this is not the energy that was drawn from: other params, or a condition that is not kept."""
    kept = reader.stats("lp")
    if kept is None:
        return
    some = np.linspace(0, kept.size - 1, min(CHECKED, kept.size)).astype(int)
    now, then = _values(compiled, draws.reshape(-1, 2)[some]), -np.asarray(kept, np.float64).ravel()[some]
    if not np.allclose(now, then, rtol=1e-3, atol=1e-2):
        raise NotThere("the model that it keeps has another energy at its draws")


def surface(compiled: CompiledEnergy, flat: np.ndarray) -> tuple[tuple[np.ndarray, np.ndarray], np.ndarray]:
    """Axes, and energies [y, x] on a grid over the draws and a little beyond; NaN where there is none."""
    axes = []
    for at in range(2):
        least, most = flat[:, at].min(), flat[:, at].max()
        margin = MARGIN * (most - least)
        axes.append(np.linspace(least - margin, most + margin, GRID))
    across, up = np.meshgrid(*axes)
    points = np.stack([across.ravel(), up.ravel()], axis=1)
    found = _values(compiled, points)
    found[~np.isfinite(found) | _outside(compiled, points)] = np.nan
    return (axes[0], axes[1]), found.reshape(across.shape)


def _outside(compiled: CompiledEnergy, points: np.ndarray) -> np.ndarray:
    """bool[n]: which of [n, 2] lie outside the spaces of the variables."""
    from energylang.ir.nodes import Data, symbols
    from energylang.lower.data import outside_space
    from energylang.lower.evaluate import evaluate
    from energylang.lower.operations import NUMPY

    bad, at, dims = np.zeros(len(points), bool), 0, compiled.program.dims
    for variable, shape in zip(compiled.program.energy.variables, shapes_of(compiled), strict=True):
        size = int(np.prod(shape))
        values = points[:, at : at + size].reshape(-1, *shape)
        at += size
        found = symbols(*variable.space.bounds)
        if any(not isinstance(s, Data) or s.key not in compiled.arrays for s in found):
            continue  # bounds that vary: the energy itself is infinite, or nothing is known
        given = {s: np.asarray(compiled.arrays[s.key]) for s in found}
        ends = (variable.space.low, variable.space.high)
        bounds = [b if b is None or isinstance(b, int | float) else evaluate([b], given, dims, NUMPY)[0] for b in ends]
        mask, _ = outside_space(variable.space, values, dims, (bounds[0], bounds[1]))
        if mask is not None:
            bad |= np.asarray(mask).reshape(len(points), -1).any(axis=1)
    return bad
