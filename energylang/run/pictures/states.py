"""Discrete arrays as pictures: lattices as images, sequences as rasters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.colors import BoundaryNorm, ListedColormap, Normalize
from matplotlib.patches import Patch

from energylang.run.pictures import style
from energylang.run.pictures.choice import Reader
from energylang.run.pictures.style import COLORS, NotThere, Picture, styled

SHOWN = 7
"""Chains whose last states are shown; the eighth place is that of the mean."""
SITES = 1024
"""Sites along an axis that a picture has room for."""
RASTER = 1500
"""Draws along a raster."""
STRIPS = 4
LEGEND = 8
"""Values that colours can tell apart; more get a scale."""
TWO = ("#f4f1ea", "#1f3a5f")


@dataclass(frozen=True)
class Palette:
    """How the values of an array are coloured. listed: each value with its colour, where they are few."""

    map: Any
    norm: Any
    listed: tuple[tuple[int, str], ...]

    @property
    def two(self) -> bool:
        return len(self.listed) == 2


def palette(low: int, high: int) -> Palette:
    """Two values dark and light, a few as categories, many along a scale."""
    if (low, high) == (-1, 1) or high - low <= 1:
        values = (low, high) if high > low else (min(low, 0), max(high, 1)) if low in (0, 1) else (low, low + 1)
        return Palette(ListedColormap(TWO), Normalize(*values), ((values[0], TWO[0]), (values[1], TWO[1])))
    if low >= 0 and high < LEGEND:
        bounds = np.arange(high + 2) - 0.5
        listed = tuple((value, COLORS[value]) for value in range(high + 1))
        return Palette(ListedColormap(COLORS[: high + 1]), BoundaryNorm(bounds, high + 1), listed)
    return Palette("viridis", Normalize(low, high), ())


@styled
def states(reader: Reader, names: Sequence[str], order: Sequence[str] = ()) -> Picture:
    """The states of one discrete array, the first asked for."""
    found = reader.states(names)
    if not found:
        raise NotThere("it has no array of discrete values" if not names else "that is no array of discrete values")
    name = found[0]
    values = reader.array(name)
    if not values.size:
        raise NotThere(f"`{name}` is empty")
    colours = palette(int(values.min()), int(values.max()))
    return _images(reader, name, values, colours) if values.ndim > 3 else _raster(reader, name, values, colours)


def summary_of(values: np.ndarray, colours: Palette) -> tuple[np.ndarray, str]:
    """Of [draw, …] the mean, or of categories the value that is most frequent at each site."""
    if colours.two or not colours.listed:
        return values.mean(axis=0, dtype=np.float64), "mean"
    counts = [np.count_nonzero(values == value, axis=0) for value, _ in colours.listed]
    return np.argmax(counts, axis=0), "most frequent"


def _images(reader: Reader, name: str, values: np.ndarray, colours: Palette) -> Picture:
    """Of [chain, draw, …, height, width] the last state of chains, and the mean of all."""
    layers = int(np.prod(values.shape[2:-2]))
    frames = values.reshape(*values.shape[:2], layers, *values.shape[-2:])[:, :, 0]
    frames = frames[:, :, :: _step(frames.shape[2]), :: _step(frames.shape[3])]
    weighted = reader.run.weighted or reader.run.is_prior
    last = frames[0, :SHOWN] if weighted else frames[:SHOWN, -1]
    labels = [f"draw {i}" if weighted else f"chain {i}" for i in range(len(last))]
    panels = len(last) + 1
    columns = panels if panels <= 4 else 4
    rows = -(-panels // columns)
    ratio = float(np.clip(frames.shape[2] / frames.shape[3], 0.2, 3))
    each = min(style.WIDTH / columns, 2.9)
    figure = style.canvas(rows * (each * ratio + 0.25) + 0.75, max(each * columns + (0.6 if colours.two else 0.2), 4.5))
    axes = style.grid(figure, rows, columns).ravel()
    for here, state, label in zip(axes, last, labels, strict=False):
        here.imshow(state, cmap=colours.map, norm=colours.norm, interpolation="nearest")
        here.set_title(label)
    mean, word = summary_of(frames.reshape(-1, *frames.shape[2:]), colours)
    here = axes[len(last)]
    if word == "mean" and colours.listed:
        low, high = colours.listed[0][0], colours.listed[1][0]
        image = here.imshow(mean, cmap="RdBu" if low < 0 else "Blues", vmin=low, vmax=high, interpolation="nearest")
        figure.colorbar(image, ax=here, fraction=0.046, pad=0.03)
    else:
        image = here.imshow(mean, cmap=colours.map, norm=colours.norm, interpolation="nearest")
        if not colours.listed:
            figure.colorbar(image, ax=here, fraction=0.046, pad=0.03)
    here.set_title(f"{word}, all draws")
    for here in axes:
        here.set_xticks([])
        here.set_yticks([])
        here.spines[:].set_visible(True)
    for here in axes[panels:]:
        here.axis("off")
    parts = [f"the first of {layers} layers"] if layers > 1 else []
    if len(values) > len(last) and not weighted:
        parts.append(f"{len(last)} of {len(values)} chains")
    what = "draws" if weighted else "the last state of each chain"
    return _finished(figure, reader, name, what, word, colours, parts)


def _step(size: int) -> int:
    return max(1, -(-size // SITES))


def _raster(reader: Reader, name: str, values: np.ndarray, colours: Palette) -> Picture:
    """Of [chain, draw, site] a raster for each chain: sites upwards, draws along, and their mean at the right."""
    rows = min(len(values), STRIPS)
    figure = style.canvas(1.45 * rows + 0.8)
    axes = style.grid(figure, rows, 2, sharey=True, sharex="col", width_ratios=(7, 1))
    draws, sites = values.shape[1:]
    every, step = max(1, -(-draws // RASTER)), _step(sites)
    extent = (-0.5, draws * reader.stride - 0.5, -0.5, sites - 0.5)
    word = ""
    for chain, (raster, mean) in enumerate(axes):
        shown = values[chain, ::every, ::step].T
        raster.imshow(
            shown,
            aspect="auto",
            origin="lower",
            cmap=colours.map,
            norm=colours.norm,
            interpolation="nearest",
            extent=extent,
        )
        style.beside(raster, f"chain {chain}\nsite" if not reader.run.weighted else "site")
        raster.locator_params(axis="y", nbins=5, integer=True)
        average, word = summary_of(values[chain], colours)
        if word == "mean":
            mean.step(average, np.arange(sites), where="mid", color=COLORS[0], linewidth=1)
            if colours.listed:
                mean.set_xlim(colours.listed[0][0], colours.listed[1][0])
        else:
            mean.imshow(
                average[:, None], aspect="auto", origin="lower", cmap=colours.map, norm=colours.norm,
                interpolation="nearest", extent=(0, 1, -0.5, sites - 0.5),
            )  # fmt: skip
            mean.set_xticks([])
    axes[0, 1].set_title(word)
    axes[-1, 0].set_xlabel("draw")
    parts = [f"{rows} of {len(values)} chains"] if len(values) > rows else []
    return _finished(figure, reader, name, "each site along the draws", word, colours, parts)


def _finished(
    figure: Picture, reader: Reader, name: str, what: str, word: str, colours: Palette, parts: list[str]
) -> Picture:
    if colours.listed:
        patches = [Patch(facecolor=colour, edgecolor="#9aa5b1", linewidth=0.6) for _, colour in colours.listed]
        texts = [str(value).replace("-", "−") for value, _ in colours.listed]
        figure.legend(patches, texts, loc="outside lower center", ncols=len(texts), handlelength=1, handleheight=1)
    note = "; ".join(parts)
    style.entitle(figure, f"{name} of {reader.title}", note)
    figure.caption = f"States of {name}: {what}, and the {word} value of each site{f' ({note})' if note else ''}."
    return figure
