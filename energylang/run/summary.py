"""The summary of draws: CmdStan's columns, with the diagnostics of Vehtari, Gelman, Simpson, Carpenter, Bürkner (2021).

Rank-normalised split R-hat, bulk and tail effective sample size as ArviZ computes them (float64). A variable that takes
two values, a spin, needs one autocovariance instead of five: every transform the diagnostics use is affine on it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

COLUMNS = ("Mean", "MCSE", "StdDev", "MAD", "5%", "50%", "95%", "ESS_bulk", "ESS_tail", "R_hat")
WEIGHTED_COLUMNS = ("Mean", "MCSE", "StdDev", "MAD", "5%", "50%", "95%")
PIECE_BYTES = 512 << 20
BLOCK_BYTES = 128 << 20
"""What is read at once, and what is worked on at once, in float64."""
TILE = 64
MAD_SCALE = 1.4826
"""Makes the median absolute deviation of a normal its standard deviation, as CmdStan does."""


@dataclass(frozen=True)
class Summary:
    """One row a scalar: names such as `theta[0,2]`, and columns of the same length, float64."""

    names: tuple[str, ...]
    columns: Mapping[str, np.ndarray]

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, column: str) -> np.ndarray:
        return self.columns[column]

    def row(self, name: str) -> dict[str, float]:
        """The columns of one scalar; raises ValueError for a name that is not there."""
        at = self.names.index(name)
        return {column: float(values[at]) for column, values in self.columns.items()}

    def select(self, variables: Collection[str]) -> Summary:
        """The rows of some variables, every entry of an array."""
        rows = [at for at, name in enumerate(self.names) if name.partition("[")[0] in variables]
        return Summary(tuple(self.names[at] for at in rows), {c: values[rows] for c, values in self.columns.items()})

    def to_dict(self) -> dict[str, dict[str, float | None]]:
        """Rows by name, as JSON values: what is not a number is None."""
        listed = {column: values.tolist() for column, values in self.columns.items()}
        return {
            name: {column: _finite(values[at]) for column, values in listed.items()}
            for at, name in enumerate(self.names)
        }

    def __str__(self) -> str:
        from energylang.run.table import render

        return render(self)


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None


def summarise(variables: Iterable[tuple[str, Any]]) -> Summary:
    """Summarise arrays [chain, draw, …], a row for each scalar in row-major order.

    An array may be anything with a shape and a dtype that reads what it is sliced by: it is never read as a whole.
    """
    return _collect(((name, draws, _columns(draws)) for name, draws in variables), COLUMNS)


def summarise_weighted(variables: Iterable[tuple[str, Any]], log_weight: np.ndarray) -> Summary:
    """Summarise arrays [1, draw, …] under weights [1, draw]: self-normalised estimates and their delta-method errors."""
    weight = np.exp(np.asarray(log_weight, np.float64).ravel() - np.max(log_weight))
    weight /= weight.sum()

    def columns(draws: Any) -> Iterator[dict[str, np.ndarray]]:
        for block in _scalars(draws):
            yield _of_weighted(block.reshape(block.shape[0], -1).astype(np.float64), weight)

    return _collect(((name, draws, columns(draws)) for name, draws in variables), WEIGHTED_COLUMNS)


def _collect(variables: Iterable[tuple[str, Any, Iterator[dict[str, np.ndarray]]]], columns: Any) -> Summary:
    names: list[str] = []
    found: dict[str, list[np.ndarray]] = {column: [] for column in columns}
    for name, draws, pieces in variables:
        names += scalar_names(name, draws.shape[2:])
        for block in pieces:
            for column in columns:
                found[column].append(block[column])
    return Summary(
        tuple(names), {column: np.concatenate(parts) if parts else np.empty(0) for column, parts in found.items()}
    )


def scalar_names(name: str, shape: tuple[int, ...]) -> list[str]:
    """`x`, or `x[0]`, `x[1]`… with indices as in the language, from 0."""
    if not shape:
        return [name]
    return [f"{name}[{','.join(map(str, index))}]" for index in np.ndindex(*shape)]


def _scalars(draws: Any) -> Iterator[np.ndarray]:
    """Blocks [scalar, chain, draw] of an array [chain, draw, …], each of bounded size."""
    if isinstance(draws, np.ndarray) or len(draws.shape) == 2:
        yield from _transposed(draws[:, :])
        return
    # A compressed chunk holds every scalar of some draws, so slices along the event cost a pass over the file each.
    size = max(1, PIECE_BYTES // max(1, int(np.prod(draws.shape[:2] + draws.shape[3:])) * draws.dtype.itemsize))
    for at in range(0, draws.shape[2], size):
        yield from _transposed(draws[:, :, at : at + size])


def _transposed(draws: np.ndarray) -> Iterator[np.ndarray]:
    chains, count = draws.shape[:2]
    flat = draws.reshape(chains, count, -1)
    size = max(1, BLOCK_BYTES // (chains * count * 8 * 4))
    for at in range(0, flat.shape[2], size):
        part = flat[:, :, at : at + size]
        block = np.empty((part.shape[2], chains, count), draws.dtype)
        for first in range(0, count, TILE):  # by tiles, so that both sides of the transposition stay in the cache
            block[:, :, first : first + TILE] = np.moveaxis(part[:, first : first + TILE], 2, 0)
        yield block


def _columns(draws: Any) -> Iterator[dict[str, np.ndarray]]:
    for block in _scalars(draws):
        flat = block.reshape(block.shape[0], -1)
        low, high = flat.min(axis=1, keepdims=True), flat.max(axis=1, keepdims=True)
        with np.errstate(invalid="ignore", divide="ignore"):
            two = np.all((flat == low) | (flat == high), axis=1)
            result = {column: np.empty(block.shape[0]) for column in COLUMNS}
            for chosen, function in ((two, _of_two_valued), (~two, _of_many_valued)):
                if np.any(chosen):
                    part = block if np.all(chosen) else block[chosen]
                    for column, values in function(part).items():
                        result[column][chosen] = values
        yield result


# --- one block [scalar, chain, draw] -> columns [scalar] ------------------------------------------------------------


def _of_two_valued(block: np.ndarray) -> dict[str, np.ndarray]:
    """Scalars that take at most two values, from counts and one effective sample size."""
    scalars, chains, count = block.shape
    low = block.min(axis=(1, 2)).astype(np.float64)
    high = block.max(axis=(1, 2)).astype(np.float64)
    up = block == block.max(axis=(1, 2), keepdims=True)
    size = chains * count
    lows = np.where(high > low, size - np.count_nonzero(up, axis=(1, 2)), 0)
    split = _split(up)
    shares, halves = split.mean(axis=2), split.shape[2]
    ess, r_hat = _ess(split), np.full(scalars, np.nan)
    if chains > 1 and count > 3:
        r_hat = _r_hat_of(shares, shares * (1 - shares) * halves / (halves - 1), halves)

    def quantile(first: np.ndarray, second: np.ndarray, firsts: np.ndarray, probability: float) -> np.ndarray:
        """Of `firsts` times one value and the rest times a larger one, linear between order statistics."""
        place = probability * (size - 1)
        below, above = int(np.floor(place)), int(np.ceil(place))
        left, right = np.where(below < firsts, first, second), np.where(above < firsts, first, second)
        return left + (right - left) * (place - below)

    q05, q50, q95 = (quantile(low, high, lows, probability) for probability in (0.05, 0.5, 0.95))
    to_low, to_high = np.abs(low - q50), np.abs(high - q50)
    nearer = np.where(to_low <= to_high, lows, size - lows)
    mad = quantile(np.minimum(to_low, to_high), np.maximum(to_low, to_high), nearer, 0.5)
    # Below its highest value the indicator of a quantile is the variable itself; at it, a constant.
    everything = float(split.shape[1] * split.shape[2])
    tail = np.fmin(np.where(q05 < high, ess, everything), np.where(q95 < high, ess, everything))
    share = lows / size
    mean = low * share + high * (1 - share)
    deviation = (high - low) * np.sqrt(share * (1 - share) * size / max(size - 1, 1))
    return {
        "Mean": mean,
        "MCSE": deviation / np.sqrt(ess),
        "StdDev": deviation,
        "MAD": MAD_SCALE * mad,
        "5%": q05,
        "50%": q50,
        "95%": q95,
        "ESS_bulk": ess,
        "ESS_tail": np.where(np.isnan(ess), np.nan, tail),
        "R_hat": r_hat,
    }


def _of_many_valued(block: np.ndarray) -> dict[str, np.ndarray]:
    values = block.astype(np.float64)
    scalars, chains, _ = values.shape
    flat = values.reshape(scalars, -1)
    bad = np.isnan(flat).any(axis=1)
    q05, q50, q95 = np.quantile(flat, (0.05, 0.5, 0.95), axis=1)
    away = np.abs(values - q50[:, None, None])
    deviation = flat.std(axis=1, ddof=1) if flat.shape[1] > 1 else np.full(scalars, np.nan)
    bulk = _normal_scores(_split(values))
    tails = [_ess(_split(values <= quantile[:, None, None])) for quantile in (q05, q95)]
    r_hat = np.full(scalars, np.nan)
    if chains > 1 and values.shape[2] > 3:
        # `fmax`: a folded variable may be constant, and then says nothing.
        r_hat = np.fmax(_r_hat(bulk), _r_hat(_normal_scores(_split(away))))
    columns = {
        "Mean": flat.mean(axis=1),
        "MCSE": deviation / np.sqrt(_ess(_split(values))),
        "StdDev": deviation,
        "MAD": MAD_SCALE * np.median(away.reshape(scalars, -1), axis=1),
        "5%": q05,
        "50%": q50,
        "95%": q95,
        "ESS_bulk": _ess(bulk),
        "ESS_tail": np.minimum(*tails),
        "R_hat": r_hat,
    }
    for name in ("MCSE", "ESS_bulk", "ESS_tail", "R_hat"):
        columns[name][bad] = np.nan
    return columns


def _of_weighted(flat: np.ndarray, weight: np.ndarray) -> dict[str, np.ndarray]:
    """Columns of [scalar, draw] under weights [draw] that sum to one."""
    mean = flat @ weight
    away = flat - mean[:, None]
    order = np.argsort(flat, axis=1)
    q05, q50, q95 = (_weighted_quantile(flat, order, weight, probability) for probability in (0.05, 0.5, 0.95))
    apart = np.abs(flat - q50[:, None])
    return {
        "Mean": mean,
        "MCSE": np.sqrt(np.square(away) @ np.square(weight)),
        "StdDev": np.sqrt(np.square(away) @ weight),
        "MAD": MAD_SCALE * _weighted_quantile(apart, np.argsort(apart, axis=1), weight, 0.5),
        "5%": q05,
        "50%": q50,
        "95%": q95,
    }


def _weighted_quantile(flat: np.ndarray, order: np.ndarray, weight: np.ndarray, probability: float) -> np.ndarray:
    """The least value at or below which there is this much weight."""
    reached = np.argmax(np.cumsum(weight[order], axis=1) >= probability - 1e-12, axis=1)
    rows = np.arange(len(flat))
    return flat[rows, order[rows, reached]]


# --- diagnostics of [scalar, chain, draw], already split --------------------------------------------------------------


def _split(values: np.ndarray) -> np.ndarray:
    """Each chain as two halves; the middle draw of an odd number is dropped."""
    half = values.shape[2] // 2
    return np.concatenate([values[:, :, :half], values[:, :, -half:] if half else values[:, :, :0]], axis=1)


def _normal_scores(values: np.ndarray) -> np.ndarray:
    """Normal quantiles of the ranks over all chains, ties sharing their mean rank (Blom's offset 3/8)."""
    from scipy.special import ndtri

    flat = values.reshape(values.shape[0], -1)
    size = flat.shape[1]
    # By twice the rank, so that the mean rank of ties has a place too: one table serves every scalar.
    table = ndtri((np.arange(2 * size + 1) / 2 - 3 / 8) / (size + 1 / 4))
    scores = np.empty_like(flat)
    for row, score in zip(flat, scores, strict=True):
        order = np.argsort(row)
        ordered = row[order]
        starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
        stops = np.append(starts[1:], size)
        score[order] = np.repeat(table[starts + stops + 1], stops - starts)
    return scores.reshape(values.shape)


def _r_hat(split: np.ndarray) -> np.ndarray:
    return _r_hat_of(split.mean(axis=2), split.var(axis=2, ddof=1), split.shape[2])


def _r_hat_of(means: np.ndarray, variances: np.ndarray, count: int) -> np.ndarray:
    """From the mean and variance [scalar, chain] of chains of `count` draws."""
    between, within = means.var(axis=1, ddof=1) * count, variances.mean(axis=1)
    return np.sqrt((between / within + count - 1) / count)


def _ess(split: np.ndarray) -> np.ndarray:
    """Effective sample sizes by Geyer's initial monotone sequence; NaN under two draws or where a value is NaN."""
    scalars, chains, count = split.shape
    if count < 2:
        return np.full(scalars, np.nan)
    padded = 1 << (2 * count - 1).bit_length()
    means = np.empty((scalars, chains))
    power = np.zeros((scalars, padded // 2 + 1))
    # The autocovariance is linear in the power spectrum: chains are averaged before, not after, the way back.
    for chain in range(chains):
        values = split[:, chain].astype(np.float64)
        means[:, chain] = values.mean(axis=1)
        spectrum = np.fft.rfft(values - means[:, chain, None], padded, axis=1)
        power += np.square(spectrum.real) + np.square(spectrum.imag)
    covariance = np.fft.irfft(power / chains, padded, axis=1)[:, :count] / count
    within = covariance[:, 0] * count / (count - 1)
    pooled = covariance[:, 0] + (means.var(axis=1, ddof=1) if chains > 1 else 0.0)
    correlation = 1 - (within[:, None] - covariance) / pooled[:, None]
    correlation[:, 0] = 1.0
    total = float(chains * count)
    sizes = np.array([total / max(_correlation_time(row), 1 / np.log10(total)) for row in correlation])
    spread = split.max(axis=(1, 2)).astype(np.float64) - split.min(axis=(1, 2)).astype(np.float64)
    return np.where(np.isnan(spread), np.nan, np.where(spread < 1e-15, total, sizes))


def _correlation_time(correlation: np.ndarray) -> float:
    """Integrated autocorrelation time: sums of pairs, up to the first negative one, made to decrease."""
    count = len(correlation)
    pairs = correlation[: count - count % 2].reshape(-1, 2).sum(axis=1)
    most = max(0, (count - 3) // 2)
    negative = np.flatnonzero(~(pairs[:most] > 0))
    last = int(negative[0]) if negative.size else most
    kept = np.minimum.accumulate(pairs[:last])
    even = correlation[2 * last]
    return float(-1 + 2 * kept.sum() + (even if pairs[last] >= 0 else max(even, 0.0)))
