"""Chains, one by one: densities and traces, ranks, autocorrelation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from energylang.run.mixing import effective_size
from energylang.run.pictures import style
from energylang.run.pictures.choice import CHAINS, Chosen, Reader, Scalar
from energylang.run.pictures.style import ALARM, COLORS, INK, NotThere, Picture, styled

ROWS = 8
LINE = 1500
"""Draws of a chain that a line shows; beyond, every k-th."""
FEWEST = 5
"""Fewer values have no density worth a curve: they are ticks."""
GRID = 256
LEVEL = 0.05
"""How often chains that agree leave the band of a rank plot, in any bin of any chain: at most so often."""
LAGS = 60


@styled
def trace(reader: Reader, names: Sequence[str], order: Sequence[str] = ()) -> Picture:
    """A row for each scalar: the density of each chain, and its values along the draws, divergences marked."""
    chosen = reader.scalars(names, ROWS, order=order)
    if not chosen.scalars:
        raise NotThere("it has no draws of numbers")
    scalars, diverging = chosen.scalars, reader.diverging()
    alone = reader.run.weighted
    figure = style.canvas(0.75 + 1.2 * len(scalars))
    axes = style.grid(figure, len(scalars), 1 if alone else 2, width_ratios=(1,) if alone else (1, 2.4))
    for (density, *more), scalar in zip(axes, scalars, strict=True):
        draw_density(density, scalar, separate=not alone)
        style.beside(density, scalar.name)
        for line in more:
            _line(line, scalar, diverging, chosen.stride)
            if line is not axes[-1, 1]:
                line.set_xticklabels([])
    axes[0, 0].set_title("density" if alone else "density of each chain" if len(scalars[0].values) > 1 else "density")
    chains = len(scalars[0].values)
    parts = [chosen.note] if chosen.note else []
    if chains > CHAINS and not alone:
        parts.append(f"{CHAINS} of {chains} chains")
    if not alone:
        axes[0, 1].set_title("draws" if chains == 1 else "draws, a colour for each chain")
        marks = "; red ticks: divergences" if diverging is not None else ""
        axes[-1, 1].set_xlabel(f"draw{marks}")
    style.entitle(figure, reader.title, "; ".join(parts))
    what = "densities of draws of equal weight" if alone else "densities and traces by chain"
    figure.caption = _caption(f"{what} of", scalars, chosen.note)
    if diverging is not None:
        figure.caption += " Red ticks below the traces are draws that diverged."
    return figure


def _caption(what: str, scalars: Sequence[Scalar], note: str) -> str:
    return f"{what[0].upper()}{what[1:]} {', '.join(s.name for s in scalars)}{f' ({note})' if note else ''}."


def _line(axes: Any, scalar: Scalar, diverging: np.ndarray | None, stride: int) -> None:
    draws = scalar.values.shape[1]
    every = max(1, -(-draws // LINE))
    at = np.arange(0, draws, every)
    for chain in range(min(len(scalar.values), CHAINS)):
        values = np.asarray(scalar.values[chain, at], np.float64)
        marker = "." if at.size <= 30 else ""
        axes.plot(at * stride, values, color=COLORS[chain], linewidth=0.5, alpha=0.8, marker=marker, rasterized=True)
    axes.set_xlim(0, max(1, (draws - 1) * stride))
    axes.margins(y=0.12)
    axes.locator_params(axis="y", nbins=4)
    axes.locator_params(axis="x", integer=True)
    if diverging is not None:
        where = np.flatnonzero(diverging.any(axis=0)) * stride
        height = np.full(where.size, 0.04)
        axes.plot(where, height, "|", color=ALARM, markersize=6, transform=axes.get_xaxis_transform())


def draw_density(axes: Any, scalar: Scalar, separate: bool = True) -> None:
    """The distribution of a scalar: a curve for each chain, bars for integers, ticks for few values."""
    axes.set_yticks([])
    if not scalar.finite.size:
        style.say(axes, "no finite value")
        return
    if scalar.constant:
        style.say(axes, f"constant, {scalar.finite[0]:.6g}")
        return
    parts = [Scalar(scalar.name, row) for row in scalar.values[:CHAINS]] if separate else [scalar]
    axes.locator_params(axis="x", nbins=5, **({"integer": True} if scalar.whole else {}))
    if scalar.whole and np.unique(scalar.values).size <= 24:
        _bars(axes, parts)
        return
    for chain, part in enumerate(parts):
        if part.finite.size < FEWEST or part.constant:
            axes.plot(part.finite, np.full(part.finite.size, 0.1 + 0.2 * chain), "|", color=COLORS[chain], markersize=9)
            axes.set_ylim(0, 1)
        else:
            axes.plot(*density(part.finite), color=COLORS[chain], linewidth=1.1, alpha=0.9)
    axes.set_xlim(style.limits(scalar.finite))
    axes.set_ylim(bottom=0)


def _bars(axes: Any, parts: Sequence[Scalar]) -> None:
    values = np.unique(np.concatenate([part.finite for part in parts]))
    step = np.diff(values).min() if values.size > 1 else 1.0
    width = 0.8 * step / len(parts)
    for chain, part in enumerate(parts):
        share = [np.mean(part.finite == value) for value in values]
        axes.bar(values + width * (chain - (len(parts) - 1) / 2), share, width, color=COLORS[chain])
    if values.size <= 8:
        axes.set_xticks(values)


def density(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A kernel density estimate on a grid between the extremes of values [n], n > 1, not all equal.

    Gaussian kernel, Silverman's rule with the smaller of both spreads (1986, eq. 3.31), reflected at the extremes, so that
    a density does not fade towards a bound that it does not know.
    """
    low, high = float(values.min()), float(values.max())
    spread = min(values.std(), float(np.subtract(*np.quantile(values, (0.75, 0.25)))) / 1.34) or values.std()
    counts, edges = np.histogram(values, GRID, (low, high))
    step = edges[1] - edges[0]
    width = max(0.9 * spread * values.size**-0.2 / step, 0.5)
    reach = min(GRID, int(np.ceil(4 * width)))
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / width) ** 2)
    padded = np.pad(counts.astype(np.float64), reach, mode="symmetric")
    smooth = np.convolve(padded, kernel / kernel.sum(), mode="valid")
    return (edges[1:] + edges[:-1]) / 2, smooth / (values.size * step)


def _varying(reader: Reader, names: Sequence[str], order: Sequence[str]) -> tuple[Chosen, list[Scalar]]:
    """What is chosen of chains, and its scalars that vary.

    Raises NotThere where draws are of no chain, or nothing varies.
    """
    if reader.run.weighted:
        raise NotThere("its draws are weighted, and of no chain")
    chosen = reader.scalars(names, ROWS, order=order)
    scalars = [scalar for scalar in chosen.scalars if not scalar.constant]
    if not scalars:
        raise NotThere("nothing of it varies")
    return chosen, scalars


# --- ranks ----------------------------------------------------------------------------------------------------------


@styled
def rank(reader: Reader, names: Sequence[str], order: Sequence[str] = ()) -> Picture:
    """Rank histograms (Vehtari et al. 2021), with the band in which chains that agree stay."""
    chosen, scalars = _varying(reader, names, order)
    chains, draws = scalars[0].values.shape
    if chains == 1:
        raise NotThere("ranks compare chains, and it has one")
    if draws < 2 * FEWEST:
        raise NotThere(f"ranks need {2 * FEWEST} draws of each chain, and it has {draws}")
    columns = min(len(scalars), 2)
    rows = -(-len(scalars) // columns)
    figure = style.canvas(0.85 + 1.35 * rows)
    axes = style.grid(figure, rows, columns).ravel()
    for here, scalar in zip(axes, scalars, strict=False):
        _ranks(here, scalar)
    for here in axes[len(scalars) :]:
        here.axis("off")
    style.entitle(figure, f"{reader.title}: ranks of chains", chosen.note)
    figure.caption = _caption("rank histograms by chain of", scalars, chosen.note)
    figure.caption += f" Chains that agree stay within the grey band in {1 - LEVEL:.0%} of all such plots or more."
    return figure


def _ranks(axes: Any, scalar: Scalar) -> None:
    apart = independent(scalar.values)
    values = scalar.values[:, ::apart]
    chains, draws = values.shape
    bins = int(np.clip(draws // FEWEST, 2, 20))
    counts = rank_counts(values, bins)
    lower, upper = rank_band(chains, draws, bins)
    axes.axhspan(lower, upper, color="#e6eaee", linewidth=0)
    axes.axhline(draws / bins, color=INK, linewidth=0.7, linestyle=":")
    edges = np.linspace(0, 1, bins + 1)
    for chain in range(min(chains, CHAINS)):
        axes.stairs(counts[chain], edges, baseline=None, color=COLORS[chain], linewidth=1.2, alpha=0.9)
    axes.set_ylim(0, max(1.25 * upper, 1.08 * counts.max()))
    axes.set_xlim(0, 1)
    axes.set_yticks([])
    axes.set_xticks([0, 0.5, 1], ["lowest", "", "highest"])
    for label, side in zip(axes.get_xticklabels(), ("left", "center", "right"), strict=True):
        label.set_horizontalalignment(side)
    thin = "" if apart == 1 else f", one draw of {apart:,}"
    axes.set_title(scalar.name + thin)


def independent(values: np.ndarray) -> int:
    """One of how many draws of [chain, draw] is nearly independent of the last, as chains are each by itself.

    The band is that of independent draws; what chains disagree in must not count as dependence, or it would be thinned
    away.
    """
    draws = values.shape[1]
    sizes = effective_size(values[:, None].astype(np.float64))  # each chain as a scalar of its own
    size = float(np.nanmedian(sizes)) if np.isfinite(sizes).any() else float(draws)
    apart = max(1, round(draws / max(1.0, size)))
    return min(apart, max(1, draws // (4 * FEWEST)))


def rank_counts(values: np.ndarray, bins: int) -> np.ndarray:
    """int[chain, bin]: ranks of values [chain, draw] among all of them; ties are broken at random."""
    toss = np.random.default_rng(0).random(values.size)
    ranks = np.empty(values.size, np.int64)
    ranks[np.lexsort((toss, values.ravel()))] = np.arange(values.size)
    which = (ranks * bins // values.size).reshape(values.shape)
    return np.stack([np.bincount(row, minlength=bins) for row in which])


def rank_band(chains: int, draws: int, bins: int) -> tuple[int, int]:
    """Counts between which all bins of all chains stay with probability 1 - LEVEL or more, draws being exchangeable.

    A count is hypergeometric: of `chains * draws` ranks a bin has a share, and a chain a random `draws`. Bonferroni over
    bins and chains.
    """
    from scipy.special import gammaln

    total = chains * draws
    width = total // bins
    k = np.arange(max(0, width + draws - total), min(width, draws) + 1)

    def choose(n: int, k: np.ndarray | int) -> Any:
        return gammaln(n + 1.0) - gammaln(np.asarray(k) + 1.0) - gammaln(n - np.asarray(k) + 1.0)

    mass = np.exp(choose(width, k) + choose(total - width, draws - k) - choose(total, draws))
    tail = LEVEL / (2 * bins * chains)
    below, above = np.cumsum(mass), np.cumsum(mass[::-1])[::-1]
    # The largest set of counts outside of which each side has at most `tail`.
    return int(k[np.argmax(below > tail)]), int(k[len(k) - 1 - np.argmax(above[::-1] > tail)])


# --- autocorrelation ------------------------------------------------------------------------------------------------


@styled
def autocorrelation(reader: Reader, names: Sequence[str], order: Sequence[str] = ()) -> Picture:
    """How long chains remember: the autocorrelation of each chain by lag."""
    chosen, scalars = _varying(reader, names, order)
    draws = scalars[0].values.shape[1]
    if draws < 2 * FEWEST:
        raise NotThere(f"it has {draws} draws, and autocorrelation needs {2 * FEWEST}")
    lags = min(LAGS, draws // 2)
    columns = min(len(scalars), 2)
    rows = -(-len(scalars) // columns)
    figure = style.canvas(0.85 + 1.35 * rows)
    axes = style.grid(figure, rows, columns, sharex=True, sharey=True)
    for here, scalar in zip(axes.ravel(), scalars, strict=False):
        here.axhspan(-1.96 / np.sqrt(draws), 1.96 / np.sqrt(draws), color="#e6eaee", linewidth=0)
        here.axhline(0, color=INK, linewidth=0.7)
        for chain, row in enumerate(correlations(scalar.values[:CHAINS], lags)):
            here.plot(np.arange(lags + 1) * chosen.stride, row, color=COLORS[chain], linewidth=1)
        here.set_title(scalar.name)
        here.set_ylim(min(-0.3, here.get_ylim()[0]), 1.05)
    for here in axes.ravel()[len(scalars) :]:
        here.axis("off")
    for here in axes[-1]:
        here.set_xlabel("lag, in draws")
    style.entitle(figure, f"{reader.title}: autocorrelation", chosen.note)
    figure.caption = _caption("autocorrelation by lag, a line for each chain, of", scalars, chosen.note)
    figure.caption += " Independent draws stay within the grey band at 19 lags of 20."
    return figure


def correlations(values: np.ndarray, lags: int) -> np.ndarray:
    """float[chain, lag]: sample autocorrelation of [chain, draw], biased (divided by all draws); NaN of a constant chain."""
    centred = values.astype(np.float64) - values.mean(axis=1, keepdims=True, dtype=np.float64)
    draws = centred.shape[1]
    size = 1 << (2 * draws - 1).bit_length()
    power = np.abs(np.fft.rfft(centred, size, axis=1)) ** 2
    covariance = np.fft.irfft(power, size, axis=1)[:, : lags + 1]
    with np.errstate(invalid="ignore", divide="ignore"):
        return covariance / covariance[:, :1]
