"""How well chains have mixed: rank-normalised split R-hat and effective sample sizes as ArviZ computes them (float64).

Source: Vehtari, Gelman, Simpson, Carpenter, Bürkner 2021, arXiv:1903.08008. Arrays are [scalar, chain, draw]; those named
`split` have twice as many chains, half as long.
"""

from __future__ import annotations

from functools import lru_cache
from statistics import NormalDist

import numpy as np

FEW = 50_000
"""Below so many draws the normal quantiles of the standard library take no longer than importing scipy does."""


def bulk(block: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """ESS_bulk and R_hat of each scalar, as a summary has them."""
    ess, r_hat = np.empty(len(block)), np.empty(len(block))
    two = two_valued(block)
    if np.any(two):
        part = block[two]
        ess[two], r_hat[two] = bulk_of_two(part == part.max(axis=(1, 2), keepdims=True))
    if not np.all(two):
        values = block[~two].astype(np.float64)
        ess[~two], r_hat[~two] = bulk_of_many(values, np.quantile(values.reshape(len(values), -1), 0.5, axis=1))
    return ess, r_hat


def two_valued(block: np.ndarray) -> np.ndarray:
    """Which scalars take at most two values."""
    low, high = block.min(axis=(1, 2), keepdims=True), block.max(axis=(1, 2), keepdims=True)
    return np.all((block == low) | (block == high), axis=(1, 2))


def bulk_of_two(up: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of indicators: every transform that the diagnostics use is affine on two values."""
    split = split_chains(up)
    shares, halves = split.mean(axis=2), split.shape[2]
    r_hat = np.full(len(up), np.nan)
    if up.shape[1] > 1 and up.shape[2] > 3:
        with np.errstate(invalid="ignore", divide="ignore"):
            r_hat = r_hat_of(shares, shares * (1 - shares) * halves / (halves - 1), halves)
    return effective_size(split), r_hat


def bulk_of_many(values: np.ndarray, median: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of float64 values and the median of each scalar; NaN where a value is NaN."""
    scores = normal_scores(split_chains(values))
    r_hat = np.full(len(values), np.nan)
    if values.shape[1] > 1 and values.shape[2] > 3:
        folded = normal_scores(split_chains(np.abs(values - median[:, None, None])))
        with np.errstate(invalid="ignore", divide="ignore"):
            # `fmax`: a folded variable may be constant, and then says nothing.
            r_hat = np.fmax(r_hat_of_draws(scores), r_hat_of_draws(folded))
    bad = np.isnan(values).any(axis=(1, 2))
    return np.where(bad, np.nan, effective_size(scores)), np.where(bad, np.nan, r_hat)


def split_chains(values: np.ndarray) -> np.ndarray:
    """Each chain as two halves; the middle draw of an odd number is dropped."""
    half = values.shape[2] // 2
    return np.concatenate([values[:, :, :half], values[:, :, -half:] if half else values[:, :, :0]], axis=1)


def normal_scores(values: np.ndarray) -> np.ndarray:
    """Normal quantiles of the ranks over all chains, ties sharing their mean rank (Blom's offset 3/8)."""
    flat = values.reshape(values.shape[0], -1)
    size = flat.shape[1]
    # By twice the rank, so that the mean rank of ties has a place too: one table serves every scalar.
    table = _scores_by_rank(size)
    scores = np.empty_like(flat)
    for row, score in zip(flat, scores, strict=True):
        order = np.argsort(row)
        ordered = row[order]
        starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
        stops = np.append(starts[1:], size)
        score[order] = np.repeat(table[starts + stops - 1], stops - starts)
    return scores.reshape(values.shape)


@lru_cache(maxsize=2)
def _scores_by_rank(size: int) -> np.ndarray:
    """Of the ranks 1, 1.5, 2 … of `size` draws."""
    probability = (np.arange(2, 2 * size + 1) / 2 - 3 / 8) / (size + 1 / 4)
    if size < FEW:
        return np.array([*map(NormalDist().inv_cdf, probability.tolist())])
    from scipy.special import ndtri

    return ndtri(probability)


def r_hat_of_draws(split: np.ndarray) -> np.ndarray:
    return r_hat_of(split.mean(axis=2), split.var(axis=2, ddof=1), split.shape[2])


def r_hat_of(means: np.ndarray, variances: np.ndarray, count: int) -> np.ndarray:
    """From the mean and variance [scalar, chain] of chains of `count` draws."""
    between, within = means.var(axis=1, ddof=1) * count, variances.mean(axis=1)
    return np.sqrt((between / within + count - 1) / count)


def effective_size(split: np.ndarray) -> np.ndarray:
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
    with np.errstate(invalid="ignore", divide="ignore"):  # of constants, which are dealt with below
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
