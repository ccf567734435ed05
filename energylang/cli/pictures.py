"""The pictures of a run: traces and ranks, pairs, states of discrete arrays, the loss of a training."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure

from energylang.cli.summary import require_names
from energylang.run.data import POSTERIOR, PRIOR, STATS, FileData
from energylang.run.summary import scalar_names

COLORS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#7a6fac", "#8c8c8c")
"""Okabe and Ito's, told apart by everyone."""
INK, FAINT, ALARM = "#26303a", "#d9dee3", "#c8102e"
ROWS, PAIRS, POINTS, BINS = 8, 5, 2000, 20
STYLE: Any = {
    "figure.dpi": 140,
    "savefig.facecolor": "white",
    "font.size": 9,
    "text.color": INK,
    "axes.edgecolor": "#9aa5b1",
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 9,
    "xtick.color": "#5c6773",
    "ytick.color": "#5c6773",
    "xtick.labelsize": 7.5,
    "ytick.labelsize": 7.5,
}


@dataclass(frozen=True)
class Scalar:
    """One number of each draw: values [chain, draw]."""

    name: str
    values: np.ndarray
    place: int = 0
    """Which scalar of its variable."""


def _group(data: FileData, name: str) -> str:
    """The name of a group in this run, which may be of the prior."""
    return PRIOR[name] if PRIOR[STATS] in data.groups() else name


def draw(data: FileData, prefix: Path, names: Sequence[str]) -> Iterator[Path]:
    """Write every picture that there is something for; yields the paths."""
    main = _group(data, POSTERIOR)
    known = data.names(main)
    require_names(tuple(names), known)
    title = f"{data.facts['energy']}, {data.facts['method']}"
    with plt.rc_context(STYLE):
        if "training" in data.groups():
            yield _save(_loss(data, title), prefix, "loss")
            return
        chosen = names or known
        arrays = {name: data.read(main, name) for name in chosen}
        states = {name: values for name, values in arrays.items() if values.dtype.kind in "iub" and values.ndim > 2}
        weighted = "log_weight" in data.names(_group(data, STATS))
        scalars, left_out = _scalars(data, {n: v for n, v in arrays.items() if n not in states}, states, weighted)
        diverging = (
            data.read(_group(data, STATS), "diverging").astype(bool)
            if "diverging" in data.names(_group(data, STATS))
            else None
        )
        if scalars:
            yield _save(_traces(scalars, diverging, title, left_out, weighted), prefix, "trace")
        reals = [s for s in scalars if s.name != "lp" and np.ptp(s.values) > 0]
        reals = sorted(reals, key=lambda scalar: scalar.place)[:PAIRS]
        if len(reals) > 1:
            yield _save(_pairs(reals, diverging, title), prefix, "pair")
        for name, values in states.items():
            picture = _pictures(name, values, title) if values.ndim > 3 else _strips(name, values, title)
            yield _save(picture, prefix, name)


def _save(figure: Figure, prefix: Path, kind: str) -> Path:
    path = prefix.with_name(f"{prefix.name}.{kind}.png")
    figure.savefig(path)
    plt.close(figure)
    return path


def _scalars(
    data: FileData, arrays: dict[str, np.ndarray], states: dict[str, np.ndarray], weighted: bool
) -> tuple[list[Scalar], int]:
    """`lp`, a few scalars of each variable in turn, the mean of each array of spins or bits; how many were left out."""
    found = [] if weighted else [Scalar("lp", data.read(_group(data, STATS), "lp"))]
    found += [
        Scalar(f"mean({name})", values.reshape(*values.shape[:2], -1).mean(axis=2))
        for name, values in states.items()
        if values.max() <= 1
    ]
    lists = []
    for name, values in arrays.items():
        flat = values.reshape(*values.shape[:2], -1)
        lists.append([Scalar(n, flat[:, :, i], i) for i, n in enumerate(scalar_names(name, values.shape[2:]))])
    total = sum(map(len, lists))
    room = max(0, ROWS - len(found))
    # One of each variable first, then the second of each: no array pushes the others out.
    taken = [0] * len(lists)
    while sum(taken) < min(room, total):
        for place, scalars in enumerate(lists):
            if taken[place] < len(scalars) and sum(taken) < room:
                taken[place] += 1
    for count, scalars in zip(taken, lists, strict=True):
        found += scalars[:count]
    return found, total - sum(taken)


def _traces(scalars: list[Scalar], diverging: np.ndarray | None, title: str, left_out: int, weighted: bool) -> Figure:
    """A row for each scalar: its chains along the draws, and their rank histograms."""
    axes: Any
    figure, axes = plt.subplots(
        len(scalars), 2, figsize=(9, 0.7 + 1.15 * len(scalars)), width_ratios=(2.6, 1), squeeze=False, layout="constrained"
    )  # fmt: skip
    for (left, right), scalar in zip(axes, scalars, strict=True):
        shown = range(min(len(scalar.values), len(COLORS)))
        for chain in shown:
            left.plot(scalar.values[chain], color=COLORS[chain], linewidth=0.45, alpha=0.8)
        left.set_ylabel(scalar.name, rotation=0, ha="right", va="center")
        left.set_xlim(0, scalar.values.shape[1] - 1)
        if diverging is not None and diverging.any():
            where = np.flatnonzero(diverging.any(axis=0))
            height = np.full(where.size, 0.03)
            left.plot(where, height, "|", color=ALARM, markersize=6, transform=left.get_xaxis_transform())
        if weighted or len(scalar.values) == 1:
            right.hist(scalar.values.ravel(), bins=40, color=COLORS[0], alpha=0.8)
            right.set_yticks([])
        else:
            _ranks(right, scalar.values, shown)
        if left is not axes[-1, 0]:
            left.set_xticklabels([])
            right.set_xticklabels([])
    axes[0, 0].set_title("chains" if not weighted else "draws of equal weight")
    axes[0, 1].set_title("histogram" if weighted or len(scalars[0].values) == 1 else "ranks: flat where chains agree")
    axes[-1, 0].set_xlabel("draw" + ("; red ticks diverged" if diverging is not None and diverging.any() else ""))
    more = f"; {left_out:,} more not shown, `--var` chooses" if left_out else ""
    figure.suptitle(title + more, fontsize=10, fontweight="bold")
    return figure


def _ranks(axes: Any, values: np.ndarray, shown: range) -> None:
    """Vehtari et al. 2021: ranks over all chains, a histogram for each chain."""
    ranks = np.argsort(np.argsort(values, axis=None, kind="stable")).reshape(values.shape)
    edges = np.linspace(0, values.size, BINS + 1)
    even = values.shape[1] / BINS
    axes.axhline(even, color=INK, linewidth=0.8, linestyle=":")
    for chain in shown:
        counts, _ = np.histogram(ranks[chain], edges)
        axes.stairs(counts, edges, baseline=None, color=COLORS[chain], linewidth=1.1, alpha=0.9)
    axes.set_ylim(0, max(2.2 * even, axes.get_ylim()[1]))
    axes.set_yticks([])
    axes.set_xticks([])


def _pairs(scalars: list[Scalar], diverging: np.ndarray | None, title: str) -> Figure:
    """Scatter plots below the diagonal, histograms on it."""
    count = len(scalars)
    axes: Any
    figure, axes = plt.subplots(count, count, figsize=(1.9 * count + 0.5, 1.9 * count + 0.6), layout="constrained")
    flat = [scalar.values.ravel() for scalar in scalars]
    every = slice(None, None, max(1, flat[0].size // POINTS))
    bad = None if diverging is None or diverging.size != flat[0].size else np.flatnonzero(diverging.ravel())
    for i, j in np.ndindex(count, count):
        here = axes[i, j]
        if j > i:
            here.axis("off")
            continue
        if i == j:
            here.hist(flat[i], bins=40, color=COLORS[0], alpha=0.85)
            here.set_yticks([])
        else:
            here.plot(
                flat[j][every], flat[i][every], ".", color=COLORS[0], markersize=2.2, alpha=0.35, markeredgewidth=0
            )
            if bad is not None and bad.size:
                here.plot(flat[j][bad], flat[i][bad], ".", color=ALARM, markersize=4)
            here.locator_params(nbins=4)
        if j == 0 and i > 0:
            here.set_ylabel(scalars[i].name)
        if i == count - 1:
            here.set_xlabel(scalars[j].name)
        else:
            here.set_xticklabels([])
        if 0 < j < i:
            here.set_yticklabels([])
    figure.suptitle(title, fontsize=10, fontweight="bold")
    return figure


def _colormap(values: np.ndarray) -> tuple[Any, dict[str, int]]:
    low, high = int(values.min()), int(values.max())
    if high - low <= 1 or (low, high) == (-1, 1):
        return ListedColormap(["#f4f1ea", "#1f3a5f"]), {"vmin": low, "vmax": max(high, low + 1)}
    if high < len(COLORS):
        return ListedColormap(COLORS[: high + 1]), {"vmin": 0, "vmax": high}
    return plt.get_cmap("viridis"), {"vmin": 0, "vmax": high}


def _pictures(name: str, values: np.ndarray, title: str) -> Figure:
    """States of [chain, draw, …, height, width]: up to four chains, each at four draws from first to last."""
    chains, draws = values.shape[:2]
    frames = values.reshape(chains, draws, -1, *values.shape[-2:])[:, :, 0]
    rows, columns = min(chains, 4), min(draws, 4)
    times = np.linspace(0, draws - 1, columns).astype(int)
    height, width = frames.shape[-2:]
    axes: Any
    figure, axes = plt.subplots(
        rows, columns, figsize=(2.1 * columns, 2.1 * rows * height / width + 0.5), squeeze=False, layout="constrained"
    )
    colors, limits = _colormap(values)
    for chain, column in np.ndindex(rows, columns):
        here = axes[chain, column]
        here.imshow(frames[chain, times[column]], cmap=colors, interpolation="nearest", **limits)
        here.set_xticks([])
        here.set_yticks([])
        here.spines[:].set_visible(True)
        if chain == 0:
            here.set_title(f"draw {times[column]:,}")
        if column == 0:
            here.set_ylabel(f"chain {chain}")
    figure.suptitle(f"{name} of {title}", fontsize=10, fontweight="bold")
    return figure


def _strips(name: str, values: np.ndarray, title: str) -> Figure:
    """States of [chain, draw, site]: sites upwards, draws along."""
    rows = min(len(values), 4)
    axes: Any
    figure, axes = plt.subplots(
        rows, 1, figsize=(9, 1.5 * rows + 0.6), squeeze=False, sharex=True, layout="constrained"
    )
    colors, limits = _colormap(values)
    for chain, here in enumerate(axes[:, 0]):
        here.imshow(values[chain].T, aspect="auto", cmap=colors, interpolation="nearest", **limits)
        here.set_ylabel(f"chain {chain}\nsite")
    axes[-1, 0].set_xlabel("draw")
    figure.suptitle(f"{name} of {title}", fontsize=10, fontweight="bold")
    return figure


def _loss(data: FileData, title: str) -> Figure:
    loss = data.read("training", "loss")
    axes: Any
    figure, axes = plt.subplots(figsize=(7, 3.2), layout="constrained")
    axes.plot(loss, color=FAINT, linewidth=0.8)
    window = max(1, len(loss) // 50)
    smooth = np.convolve(loss, np.ones(window) / window, mode="valid")
    axes.plot(np.arange(len(smooth)) + window - 1, smooth, color=COLORS[0], linewidth=1.6)
    axes.set_xlabel("step")
    axes.set_ylabel("loss")
    axes.set_title(title, fontsize=10, fontweight="bold")
    return figure
