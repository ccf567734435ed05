"""At the critical point: clusters and tempering against plain Gibbs sweeps, on the torus of Ising spins and of Potts values.

`python -m benchmarks.critical [--side 64] [--chains 16] [--only gibbs] [--model potts]`. A run of each method as a user calls it, on one thread,
chains started at random and warmed up; ESS (rank-normalised, split chains) of the magnetisation m, of |m| and of the energy, a
second of the sampling steps' wall time. Plain sweeps hardly move m at all: a tenth of what they give is within their error.
"""

from __future__ import annotations

import argparse
from math import log, sqrt

import numpy as np

import energylang
from energylang.run.mixing import effective_size, split_chains

ISING = """import lattices
energy e(s: spin[{side}, {side}]) {{
  += lattices.ising_torus(s, {beta})
  report m = mean(s)
}}
"""
POTTS = """import lattices
energy e(s: cat(3)[{side}, {side}]) {{
  += lattices.potts_torus(s, {beta})
  report m = mean(if s == 0 then 1.0 else 0.0) - 1 / 3
}}
"""
RUNS = (
    ("gibbs()", 20, 1600, 2000),
    ("swendsen_wang()", 1, 1000, 100),
    ("forward_backward()", 5, 300, 300),
    ("tempering(gibbs(), levels = 12, lowest = 0.85)", 5, 300, 500),
)
"""Method, thinning, draws a chain, warm-up."""


def size(series: np.ndarray) -> float:
    """ESS of a series, float[chain, draw]."""
    return float(effective_size(split_chains(series[None]))[0])


def measure(name: str, text: str, chains: int, scale: float, runs: tuple[tuple[str, int, int, int], ...]) -> None:
    energy = energylang.compile(text)["e"]
    for method, thin, draws, warmup in runs:
        options = {"thin": thin, "draws": max(8, int(scale * draws)), "warmup": warmup, "chains": chains}
        run = energy.sample(method=method, threads=1, seed=1, **options)
        steps = options["thin"] * options["draws"]
        seconds = run.facts["sampling_time"] * steps / (steps + warmup)
        m, lp = np.asarray(run["m"], np.float64), np.asarray(run.data.read("sample_stats", "lp"), np.float64)
        sizes = {"m": size(m), "abs(m)": size(np.abs(m)), "energy": size(lp)}
        rates = {what: found / seconds for what, found in sizes.items()}
        shown = " | ".join(f"{sizes[w]:,.0f} | {rates[w]:,.2f}" for w in sizes)
        names = run.data.names("sample_stats")
        said = ""
        if "swap_rate" in names:
            swaps, restarts = (np.asarray(run.data.read("sample_stats", n)).mean() for n in ("swap_rate", "restart"))
            said = f" (swaps {swaps:.2f}, restarts {restarts:.4f})"
        print(
            f"| {name} | `{method}`{said} | {chains * (steps + warmup) / run.facts['sampling_time']:,.0f} | {shown} |",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--side", type=int, default=64)
    parser.add_argument("--chains", type=int, default=16)
    parser.add_argument("--scale", type=float, default=1.0, help="of the number of draws")
    parser.add_argument("--only", default="", help="methods whose text begins so")
    parser.add_argument("--model", choices=("ising", "potts"), default="ising")
    given = parser.parse_args()
    runs = tuple(run for run in RUNS if run[0].startswith(given.only))
    if given.model == "ising":
        text, beta = ISING, log(1 + sqrt(2)) / 2
    else:
        text, beta = POTTS, log(1 + sqrt(3))
    name = f"{given.model} {given.side}²"
    print("| model | method | steps/s | ESS of m | a second | of abs(m) | a second | of the energy | a second |")
    measure(name, text.format(side=given.side, beta=beta), given.chains, given.scale, runs)


if __name__ == "__main__":
    main()
