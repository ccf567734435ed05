"""Scalars against each other, and where divergences lie among them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from energylang.run.pictures import style
from energylang.run.pictures.choice import Reader, Scalar
from energylang.run.pictures.style import ALARM, COLORS, NotThere, Picture, styled

PAIRS = 5
"""Scalars at most: of six, no panel is large enough to be read."""
POINTS = 4000
"""Draws that are shown as points; more are counted in hexagons."""
WIDE = 15.0
"""A positive scalar whose 95 % quantile is so many times its 5 % quantile is shown by its logarithm."""


@styled
def pair(reader: Reader, names: Sequence[str], order: Sequence[str] = ()) -> Picture:
    """Scatter plots, or hexagons, below the diagonal, histograms on it; divergent draws in red."""
    chosen = reader.scalars(names, 40, lp=False, order=order)
    scalars = [s for s in chosen.scalars if not s.constant and s.finite.size == s.values.size]
    scalars = sorted(scalars, key=lambda scalar: scalar.place) if not names and not order else scalars
    more = chosen.left_out + max(0, len(scalars) - PAIRS)
    scalars = scalars[:PAIRS]
    if len(scalars) < 2:
        raise NotThere("a pair needs two scalars that vary")
    note = f"{more:,} more not shown unless named" if more else ""
    diverging = reader.diverging()
    count = len(scalars)
    size = {2: 2.6, 3: 2.2}.get(count, 1.85)
    figure = style.canvas(size * count + 0.5, max(size * count + 0.7, 5.5))
    axes = style.grid(figure, count, count, sharex="col")
    bad = None if diverging is None or diverging.size != scalars[0].values.size else diverging.ravel()
    for i, j in np.ndindex(count, count):
        here = axes[i, j]
        if j > i:
            here.axis("off")
            continue
        x, y = scalars[j], scalars[i]
        if log_scale(x):
            style.logarithmic(here, "x")
        if i == j:
            _histogram(here, x)
        else:
            _cloud(here, x, y, bad)
            if j > 0:
                here.sharey(axes[i, 0])
                here.tick_params(labelleft=False)
        if j == 0 and i > 0:
            here.set_ylabel(y.name)
        if i == count - 1:
            here.set_xlabel(x.name)
    for at, scalar in enumerate(scalars):
        if not log_scale(scalar):
            axes[-1, at].set_xlim(style.limits(scalar.finite))
            if at:
                axes[at, 0].set_ylim(style.limits(scalar.finite))
    text = "Draws of " + ", ".join(s.name for s in scalars) + ", in pairs; histograms on the diagonal"
    if any(log_scale(s) for s in scalars):
        text += "; a logarithmic scale for " + ", ".join(s.name for s in scalars if log_scale(s))
    if bad is not None:
        # The corner above the diagonal is free.
        marks = [axes[0, 0].plot([], [], ".", color=color, markersize=8)[0] for color in (COLORS[0], ALARM)]
        shown = f"diverged ({int(bad.sum()):,}{' of those shown' if reader.stride > 1 else ''})"
        figure.legend(marks, ["draws", shown], loc="outside upper right")
        text += "; red points are draws that diverged"
    style.entitle(figure, reader.title, note)
    figure.caption = text + (f" ({note})." if note else ".")
    return figure


def log_scale(scalar: Scalar) -> bool:
    """Whether a scalar spans orders of magnitude above 0."""
    if scalar.finite.min(initial=0.0) < 0 or np.any(scalar.values <= 0):
        return False
    low, high = np.quantile(scalar.values, (0.05, 0.95))
    return bool(high > WIDE * low)


def _histogram(axes: Any, scalar: Scalar) -> None:
    values = scalar.finite
    low, high = values.min(), values.max()
    if scalar.whole and high - low <= 40:
        edges = np.arange(low - 0.5, high + 1)
    else:
        bins = int(np.clip(np.sqrt(values.size), 5, 40))
        edges = np.geomspace(low, high, bins + 1) if log_scale(scalar) else np.linspace(low, high, bins + 1)
    axes.hist(values, edges, color=COLORS[0], alpha=0.85)
    axes.set_yticks([])


def _cloud(axes: Any, x: Scalar, y: Scalar, bad: np.ndarray | None) -> None:
    across, up = x.values.ravel(), y.values.ravel()
    if log_scale(y):
        style.logarithmic(axes, "y")
    if across.size > POINTS:
        scales = {"xscale": "log" if log_scale(x) else "linear", "yscale": "log" if log_scale(y) else "linear"}
        axes.hexbin(
            across, up, gridsize=38, mincnt=1, cmap="Blues", norm="log", linewidths=0.1, rasterized=True, **scales
        )
    else:
        size, alpha = (6, 0.9) if across.size < 200 else (3, 0.35)
        axes.plot(across, up, ".", color=COLORS[0], markersize=size, alpha=alpha, markeredgewidth=0, rasterized=True)
    if bad is not None:
        axes.plot(
            across[bad],
            up[bad],
            ".",
            color=ALARM,
            markersize=4.5 if across.size >= 200 else 7,
            markeredgewidth=0,
            alpha=0.8,
        )
    for name, scalar in (("x", x), ("y", y)):
        if not log_scale(scalar):
            axes.locator_params(axis=name, nbins=4)


def by_divergence(reader: Reader, names: Sequence[str], most: int = PAIRS) -> list[str]:
    """The scalars whose divergent draws are least like the others, first: |P(divergent > other) - 1/2| by ranks."""
    diverging = reader.diverging()
    if diverging is None:
        return []
    bad = diverging.ravel()
    scores: dict[str, float] = {}
    for name in names:
        labels, values = reader.entries(name)
        if values.shape[:2] != diverging.shape:
            continue
        for label, column in zip(labels, values.reshape(bad.size, -1).T, strict=True):
            if np.ptp(column) > 0:
                ranks = np.argsort(np.argsort(column, kind="stable"))
                scores[label] = abs(ranks[bad].mean() - (bad.size - 1) / 2) / bad.size
    return sorted(scores, key=lambda label: -scores[label])[:most]
