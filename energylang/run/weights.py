"""Weighted draws: estimates with their errors, and draws of equal weight made from them. Float64, on the host."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

EQUAL = 1e-5
"""Log weights this near to one another, relatively, differ by float32 rounding only."""


@dataclass(frozen=True)
class Estimate:
    """Of log weights with E[w] = Z.

    log_z: log of the mean weight. log_z_error: its standard error by the delta method, 0 where all weights are equal.
    elbo: the mean log weight. weight_ess: (Σw)² / Σw². pareto_k: shape of the upper tail of the weights, NaN where
    they are equal.
    """

    log_z: float
    log_z_error: float
    elbo: float
    weight_ess: float
    pareto_k: float


def estimate(log_weight: np.ndarray) -> Estimate:
    """Estimate from float64[N], of which at least one is above -inf."""
    count, most = log_weight.size, np.max(log_weight)
    weight = np.exp(log_weight - most)
    mean = weight.mean()
    relative = weight / mean
    error = relative.std(ddof=1) / np.sqrt(count) if count > 1 else np.nan
    return Estimate(
        log_z=float(most + np.log(mean)),
        log_z_error=float(error),
        elbo=float(log_weight.mean()),
        weight_ess=float(count / np.square(relative).mean()),
        pareto_k=pareto_k(log_weight),
    )


def pareto_k(log_weight: np.ndarray) -> float:
    """The shape of a generalised Pareto distribution fitted to the largest weights (Vehtari et al. 2024, PSIS)."""
    count, most = log_weight.size, np.max(log_weight)
    if np.ptp(log_weight) <= EQUAL * (1 + abs(most)):
        return float("nan")
    ordered = np.sort(log_weight - most)
    tail = int(np.ceil(min(0.2 * count, 3 * np.sqrt(count))))
    if tail < 5:
        return float("inf")
    cutoff = np.exp(max(ordered[-tail - 1], np.log(np.finfo(float).tiny)))
    above = np.exp(ordered[-tail:]) - cutoff
    above = above[above > 0]
    return _pareto_shape(above) if above.size > 4 else float("inf")


def _pareto_shape(above: np.ndarray) -> float:
    """Zhang and Stephens (2009), with the weak prior of PSIS on the shape; `above` is sorted and positive."""
    count = above.size
    points = 30 + int(np.sqrt(count))
    slopes = 1 - np.sqrt(points / (np.arange(1, points + 1) - 0.5))
    slopes = slopes / (3 * above[int(count / 4 + 0.5) - 1]) + 1 / above[-1]
    shapes = np.log1p(-slopes[:, None] * above).mean(axis=1)
    likelihood = count * (np.log(-slopes / shapes) - shapes - 1)
    with np.errstate(over="ignore"):  # a likelihood far below another has no belief: one over infinity
        belief = 1 / np.exp(likelihood - likelihood[:, None]).sum(axis=1)
    belief[belief < 10 * np.finfo(float).eps] = 0
    slope = np.sum(slopes * belief) / belief.sum()
    shape = np.log1p(-slope * above).mean()
    return float((count * shape + 5) / (count + 10))


def resample(log_weight: np.ndarray, count: int, seed: int) -> np.ndarray:
    """`count` indices in random order, each drawn as often as its weight says (systematic resampling)."""
    weight = np.exp(log_weight - np.max(log_weight))
    generator = np.random.Generator(np.random.Philox(seed))
    places = (np.arange(count) + generator.random()) / count
    chosen = np.searchsorted(np.cumsum(weight) / weight.sum(), places, side="right")
    return generator.permutation(np.minimum(chosen, log_weight.size - 1))
