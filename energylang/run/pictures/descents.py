"""How the objective of `optimize` fell."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from energylang.run.pictures import style
from energylang.run.pictures.choice import CHAINS, Reader
from energylang.run.pictures.style import COLORS, INK, NotThere, Picture, styled


@styled
def objective(reader: Reader, names: Sequence[str], order: Sequence[str] = ()) -> Picture:
    """The objective of some restarts at the end of each level, and the best feasible energy of all so far."""
    run: Any = reader.run
    if not run.optimised:
        raise NotThere("it has draws, and nothing was minimised")
    every = run.options.get("thin", 1)
    values, best = run.trace["objective"], np.min(run.trace["best"], axis=0)
    steps = every * np.arange(1, values.shape[1] + 1)
    figure = style.canvas(3.2, 7.0)
    axes = style.grid(figure, 1, 1)[0, 0]
    for number, line in enumerate(values[:CHAINS]):
        colour = COLORS[number % len(COLORS)]
        axes.plot(steps, line, color=colour, linewidth=0.8, alpha=0.4, rasterized=True)
    found = np.isfinite(best)
    if found.any():
        axes.plot(steps[found], best[found], color=INK, linewidth=1.6, label="best so far")
    axes.plot(steps[-1], run.best_energy, "o", color=INK, markersize=4, label="best in the end")
    axes.legend()
    axes.set_xlabel("step")
    axes.set_ylabel("objective")
    left = len(values) - CHAINS
    style.entitle(figure, f"{reader.title}: objective", f"{left:,} restarts more not shown" if left > 0 else "")
    figure.caption = (
        f"The energy of {min(len(values), CHAINS)} restarts by step, and the lowest of a feasible point so far;"
        f" {run.best_energy:.5g} in the end."
    )
    return figure
