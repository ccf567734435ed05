"""The kernels of continuous variables beside one another: effective draws a second, and for each evaluation.

    python -m benchmarks.kernels [--rounds 3] [--model schools ...] [--method nuts ...]

Everything in one process, methods alternating, seeds 0, 1, …; four chains, of `chees` 64. A second is one that the driver counts, warm-up
and draws, compiling excluded; an evaluation is a gradient, of slices a density. ESS is the least bulk ESS over all scalars
of the model, and "-" stands where R_hat is above 1.05: then there are no draws to count.
"""

from __future__ import annotations

import argparse
import statistics
from typing import Any

import numpy as np

import energylang
from benchmarks.against_peers import PEERS, datasets

METHODS = {
    "nuts": (500, 500, 4),
    "nuts(metric = low_rank)": (500, 500, 4),
    "hmc": (500, 500, 4),
    "chees": (300, 200, 64),
    "adjusted_mclmc": (500, 500, 4),
    "slice": (100, 150, 4),
    "elliptical_slice": (1000, 1000, 4),
}
"""Warm-up steps and draws of a chain, and chains: a step of `slice` is one of every real, a step of `elliptical_slice` the
cheapest, and what `chees` learns it learns from 64 states a step."""

GAUSSIAN = """
data L: real[n, n]
energy gaussian(x: real[n]) = 0.5 * norm2(triangular_solve(L, x))
"""
PROCESS = """
data L: real[n, n]
data y: count[n]
energy process(f: real[n]) {
  f ~ multi_normal_cholesky([for i in n: 0.0], L)
  y ~ poisson_log(f)
}
"""
WHITE = """
data L: real[n, n]
data y: count[n]
energy white(z: real[n]) {
  z ~ normal(0, 1)
  y ~ poisson_log(L @ z)
}
"""


def models() -> dict[str, tuple[str, dict[str, Any]]]:
    """Source and data by name."""
    sets = datasets()
    found = {name: ((PEERS / f"{name}.energy").read_text(), sets[name]) for name in ("schools", "radon", "logistic")}
    draws = np.random.default_rng(20261123)
    at = np.arange(100)
    correlated = 0.9 ** np.abs(at[:, None] - at)
    found["gaussian"] = (GAUSSIAN, {"L": np.linalg.cholesky(correlated)})
    place = np.linspace(0, 10, 100)
    covariance = np.exp(-0.5 * (place[:, None] - place) ** 2) + 1e-4 * np.eye(100)
    factor = np.linalg.cholesky(covariance)
    counts = draws.poisson(np.exp(factor @ draws.normal(size=100)))
    found["process"] = (PROCESS, {"L": factor, "y": counts})
    found["white"] = (WHITE, {"L": factor, "y": counts})
    return found


def measure(model: Any, method: str, seed: int) -> tuple[float, float, float, float]:
    """(least bulk ESS, largest R_hat, seconds, evaluations) of one run."""
    warmup, draws, chains = METHODS.get(method, METHODS[method.partition("(")[0]])
    run = model.sample(method=method, warmup=warmup, draws=draws, chains=chains, seed=seed)
    stats = ("sample_stats", "warmup_sample_stats")
    evaluations = sum(float(np.sum(run.data.read(group, "n_steps"))) for group in stats)
    summary = run.summary()
    return float(np.min(summary["ESS_bulk"])), float(np.max(summary["R_hat"])), run.sampling_time, evaluations


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--model", action="append")
    parser.add_argument("--method", action="append")
    given = parser.parse_args()
    print("| model | method | least ESS | R_hat | seconds | ESS a second | ESS per 1,000 evaluations |")
    print("|---|---|---|---|---|---|---|")
    for name, (source, data) in models().items():
        if given.model and name not in given.model:
            continue
        model = energylang.compile(source, data=data)
        methods = given.method or list(METHODS)
        rows: dict[str, list[tuple[float, float, float, float]]] = {method: [] for method in methods}
        for seed in range(given.rounds):
            for method in methods:
                rows[method].append(measure(model, method, seed))
        for method, values in rows.items():
            ess, r_hat, seconds, evaluations = (statistics.median(column) for column in zip(*values, strict=True))
            rates = "- | -" if r_hat > 1.05 else f"{ess / seconds:,.0f} | {1000 * ess / evaluations:.1f}"
            print(f"| {name} | `{method}` | {ess:,.0f} | {r_hat:.3f} | {seconds:.2f} | {rates} |", flush=True)


if __name__ == "__main__":
    main()
