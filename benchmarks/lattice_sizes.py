"""Cost against size: the Ising model on square tori, from 25 x 25 to 1,000 x 1,000 spins.

    python -m benchmarks.lattice_sizes [--size 25 ...] [--method gibbs ...] [--seconds 2] [--json sizes.json]

Every row is a process of its own: what it takes to find the structure of the energy, to compile, steps a second of four chains
(a step of `gibbs` is a sweep, one of `gwg` a flip), nanoseconds a spin and sweep, and the most memory the process had.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

SIZES = (25, 50, 100, 250, 500, 1000)
METHODS = ("gibbs", "gwg")
CHAINS = 4
BETA = 0.4
LIMIT = 4.0
"""GB that a million spins may take."""


def measure(size: int, method: str, seconds: float) -> dict[str, Any]:
    """One row, in this process. The number of steps is chosen so that they take about `seconds`."""
    import energylang

    text = f"import lattices\nenergy ising(s: spin[{size}, {size}]) = lattices.ising_torus(s, {BETA})\n"
    model = energylang.compile(text)
    began = time.perf_counter()
    energy = model["ising"]
    found = time.perf_counter() - began
    options: dict[str, Any] = {"method": method, "warmup": 0, "chains": CHAINS}
    began = time.perf_counter()
    first = energy.sample(draws=4, seed=0, **options)
    compiling = time.perf_counter() - began - first.sampling_time
    # Draws are kept, a byte for each spin: of large lattices only a few, whatever the time.
    most = max(8, 200_000_000 // (CHAINS * size * size))
    quick = energy.sample(draws=min(64, most), seed=1, **options)
    steps = int(min(most, max(8, seconds / max(quick.sampling_time, 1e-3) * min(64, most))))
    run = energy.sample(draws=steps, seed=2, **options)
    rate = CHAINS * steps / run.sampling_time
    return {
        "size": size, "method": method, "structure": found, "compile": compiling, "steps": steps, "rate": rate,
        "nanoseconds": 1e9 / (rate * size * size), "gigabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
        "colours": energy.compiled.program.facts.colours,
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, nargs="*", default=list(SIZES))
    parser.add_argument("--method", nargs="*", default=list(METHODS))
    parser.add_argument("--seconds", type=float, default=2.0, help="of steps, for a row")
    parser.add_argument("--json", type=Path, help="where the rows go, too")
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(measure(int(arguments.one[0]), arguments.one[1], arguments.seconds)))
        return
    rows = []
    print("| spins | method | structure, s | compile, s | steps/s | ns a spin and step | memory, GB |")
    print("|---|---|---|---|---|---|---|")
    for method in arguments.method:
        for size in arguments.size:
            command = [sys.executable, "-m", "benchmarks.lattice_sizes", "--one", str(size), method]
            command += ["--seconds", str(arguments.seconds)]
            row = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
            rows.append(row)
            print(
                f"| {size}² = {size * size:,} | `{method}` | {row['structure']:.2f} | {row['compile']:.1f} | {row['rate']:,.0f}"
                f" | {row['nanoseconds']:.2f} | {row['gigabytes']:.2f} |",
                flush=True,
            )
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=1))
    if any(row["size"] <= 1000 and row["gigabytes"] > LIMIT for row in rows):
        raise SystemExit(f"a million spins took more than {LIMIT} GB")


if __name__ == "__main__":
    main()
