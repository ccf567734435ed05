"""Intervals of the entries of vectors: a forest of a few, a ribbon along many; and what weights and losses are like."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from energylang.run.pictures import style
from energylang.run.pictures.choice import Reader
from energylang.run.pictures.style import COLORS, FAINT, INK, NotThere, Picture, styled

PANELS = 4
TALL = 32
"""Entries that fit below each other with their names."""
PROBABILITIES = (0.05, 0.25, 0.5, 0.75, 0.95)


@styled
def forest(reader: Reader, names: Sequence[str], order: Sequence[str] = ()) -> Picture:
    """For each vector the median, half and nine tenths of the draws of every entry."""
    asked = reader.variables(names)
    states = reader.states()
    wanted = list(asked) if names else [n for n in reader.main if n not in states and len(reader.run.view(n).shape) > 2]
    vectors: list[tuple[str, list[str], np.ndarray]] = []
    for name in wanted:
        labels, values = reader.entries(name)
        keep = [at for at, label in enumerate(labels) if (asked.get(name) or labels).count(label)]
        if keep:
            labels, values = [labels[at] for at in keep], values[:, :, keep]
            vectors.append((name, labels, values.reshape(-1, len(labels)).astype(np.float64)))
    if not vectors:
        raise NotThere("it has no vector of numbers")
    left = len(vectors) - PANELS
    vectors = vectors[:PANELS]
    heights = [0.55 + 0.17 * len(labels) if len(labels) <= TALL else 2.0 for _, labels, _ in vectors]
    figure = style.canvas(0.6 + sum(heights))
    axes = style.grid(figure, len(vectors), 1, height_ratios=heights)[:, 0]
    for here, (name, labels, values) in zip(axes, vectors, strict=True):
        quantiles = np.nanquantile(values, PROBABILITIES, axis=0)
        if len(labels) <= TALL:
            _rows(here, labels, quantiles)
        else:
            _ribbon(here, name, quantiles)
    note = f"{left} more not shown unless named" if left > 0 else ""
    style.entitle(figure, f"{reader.title}: intervals", note)
    shown = ", ".join(name for name, _, _ in vectors)
    figure.caption = f"Medians of the entries of {shown}, with half (thick) and 90 % (thin) of their draws."
    return figure


def _rows(axes: Any, labels: Sequence[str], quantiles: np.ndarray) -> None:
    at = np.arange(len(labels))
    axes.hlines(at, quantiles[0], quantiles[4], color=COLORS[0], linewidth=1.1)
    axes.hlines(at, quantiles[1], quantiles[3], color=COLORS[0], linewidth=3.4)
    axes.plot(quantiles[2], at, "o", color="white", markeredgecolor=COLORS[0], markersize=4.5)
    if quantiles.min() < 0 < quantiles.max():
        axes.axvline(0, color=FAINT, linewidth=0.8, zorder=0)
    axes.set_yticks(at, labels)
    axes.set_ylim(len(labels) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)


def _ribbon(axes: Any, name: str, quantiles: np.ndarray) -> None:
    at = np.arange(quantiles.shape[1])
    axes.fill_between(at, quantiles[0], quantiles[4], color=COLORS[0], alpha=0.18, linewidth=0, step="mid")
    axes.fill_between(at, quantiles[1], quantiles[3], color=COLORS[0], alpha=0.35, linewidth=0, step="mid")
    axes.step(at, quantiles[2], where="mid", color=COLORS[0], linewidth=1.1)
    axes.set_xlim(0, at[-1])
    axes.set_xlabel("entry")
    style.beside(axes, name)


@styled
def weights(reader: Reader, names: Sequence[str], order: Sequence[str] = ()) -> Picture:
    """How evenly weights are spread: their histogram, and the share of the whole that the largest have."""
    if not reader.run.weighted:
        raise NotThere("its draws have equal weights")
    log_weight = np.asarray(reader.run.stats("log_weight"), np.float64).ravel()
    relative = np.exp(log_weight - log_weight.max())
    relative /= relative.mean()
    figure = style.canvas(2.9)
    left, right = style.grid(figure, 1, 2)[0]
    shown = np.log10(relative[relative > 0])
    if np.ptp(shown) > 0:
        low = max(shown.min(), -12.0)
        left.hist(shown[shown >= low], bins=50, color=COLORS[0], alpha=0.85)
        under = int(np.sum(shown < low)) + int(np.sum(relative == 0))
        left.set_title("weights" + (f"; {under:,} below 10⁻¹² not shown" if under else ""))
    else:
        style.say(left, "all weights are equal")
        left.set_title("weights")
    left.set_xlabel("log₁₀ of weight over mean weight")
    left.set_ylabel("draws")
    share = np.cumsum(np.sort(relative)[::-1]) / relative.sum()
    along = np.arange(1, share.size + 1)
    every = np.unique(np.geomspace(1, share.size, 400).astype(int)) - 1
    right.plot(along[every], share[every], color=COLORS[0], linewidth=1.6)
    right.plot(along[every], along[every] / share.size, color=INK, linewidth=0.7, linestyle=":")
    style.logarithmic(right, "x")
    right.set_ylim(0, 1.02)
    right.set_xlabel("of so many of the heaviest draws")
    right.set_ylabel("share of all weight")
    k = reader.run.pareto_k
    worth = reader.run.weight_ess
    right.set_title(f"worth {worth:,.0f} equal draws" + (f", Pareto k {k:.2f}" if k is not None else ""))
    style.entitle(figure, f"{reader.title}: weights")
    figure.caption = (
        f"Weights of {share.size:,} draws, and the share of all weight that the heaviest have; dotted: equal weights."
    )
    return figure


@styled
def loss(title: str, traces: Mapping[str, np.ndarray]) -> Picture:
    """The losses of a training by step, as they were and smoothed; NaN where a player sat out."""
    figure = style.canvas(3.2, 7.0)
    axes = style.grid(figure, 1, 1)[0, 0]
    said = []
    for colour, (name, values) in zip(COLORS, traces.items(), strict=False):
        at = np.flatnonzero(np.isfinite(values))
        if not at.size:
            continue
        window = max(1, at.size // 50)
        smooth = np.convolve(values[at], np.ones(window) / window, mode="valid")
        axes.plot(at, values[at], color=colour, linewidth=0.8, alpha=0.3, rasterized=True)
        axes.plot(at[window - 1 :], smooth, color=colour, linewidth=1.6, label=name)
        said.append(
            f"{name} at each step, from {values[at[0]]:.5g} to {values[at[-1]]:.5g}, and its mean over {window} steps"
        )
    if len(said) > 1:
        axes.legend()
    axes.set_xlabel("step")
    axes.set_ylabel("loss")
    style.entitle(figure, title)
    figure.caption = "; ".join(said) + "."
    return figure
