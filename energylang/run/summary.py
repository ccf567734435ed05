"""The summary of draws: CmdStan's columns, with the diagnostics of Vehtari, Gelman, Simpson, Carpenter, Bürkner (2021).

A variable that takes two values, a spin, needs one autocovariance instead of five: every transform the diagnostics use
is affine on it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from energylang.run.mixing import bulk_of_many, bulk_of_two, effective_size, split_chains, two_valued

COLUMNS = ("Mean", "MCSE", "StdDev", "MAD", "5%", "50%", "95%", "ESS_bulk", "ESS_tail", "R_hat")
WEIGHTED_COLUMNS = ("Mean", "MCSE", "StdDev", "MAD", "5%", "50%", "95%")
PIECE_BYTES = 128 << 20
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
        for block in blocks_of(draws):
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


def blocks_of(draws: Any) -> Iterator[np.ndarray]:
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
    for block in blocks_of(draws):
        with np.errstate(invalid="ignore", divide="ignore"):
            two = two_valued(block)
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
    _, chains, count = block.shape
    low = block.min(axis=(1, 2)).astype(np.float64)
    high = block.max(axis=(1, 2)).astype(np.float64)
    up = block == block.max(axis=(1, 2), keepdims=True)
    size = chains * count
    lows = np.where(high > low, size - np.count_nonzero(up, axis=(1, 2)), 0)
    ess, r_hat = bulk_of_two(up)

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
    everything = float(chains * (count - count % 2))
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
    scalars = len(values)
    flat = values.reshape(scalars, -1)
    bad = np.isnan(flat).any(axis=1)
    q05, q50, q95 = np.quantile(flat, (0.05, 0.5, 0.95), axis=1)
    away = np.abs(values - q50[:, None, None])
    deviation = flat.std(axis=1, ddof=1) if flat.shape[1] > 1 else np.full(scalars, np.nan)
    ess, r_hat = bulk_of_many(values, q50)
    tails = [effective_size(split_chains(values <= quantile[:, None, None])) for quantile in (q05, q95)]
    columns = {
        "Mean": flat.mean(axis=1),
        "MCSE": deviation / np.sqrt(effective_size(split_chains(values))),
        "StdDev": deviation,
        "MAD": MAD_SCALE * np.median(away.reshape(scalars, -1), axis=1),
        "5%": q05,
        "50%": q50,
        "95%": q95,
        "ESS_bulk": ess,
        "ESS_tail": np.minimum(*tails),
        "R_hat": r_hat,
    }
    for name in ("MCSE", "ESS_tail"):
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
