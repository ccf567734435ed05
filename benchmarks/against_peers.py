"""EnergyLang's `nuts` against NumPyro's and nutpie's: the same models, chains and draws, alternating in one run.

    python -m benchmarks.against_peers --peer-python PYTHON [--rounds 3] [--model schools ...] [--skip-nutpie]

`--peer-python` is an interpreter with numpyro, nutpie and pymc. Four chains of 1,000 draws after 1,000 of warm-up.

- cold: the whole command, imports included, with every cache off on both sides (ours cannot even keep its grammar).
- again: the whole command in a new process after one has filled the caches; NumPyro's is JAX's persistent cache with its
  threshold at zero.
- run: warm-up and draws alone. Ours is the time that the driver counts; of NumPyro's, what JAX says it spent on tracing and
  compiling is subtracted (it compiles in every run); nutpie's excludes its compilation. Minimum bulk ESS over all
  parameters, by one estimator, a second of that. NumPyro runs `vectorized` and `parallel`; the quicker of the two counts.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from energylang.run.result import Run
from energylang.run.summary import summarise

PEERS = Path(__file__).parent / "peers"
MODELS = ("schools", "ark", "radon", "logistic")
SIDES = ("ours", "numpyro", "numpyro parallel", "nutpie")


def datasets() -> dict[str, dict[str, Any]]:
    """Rubin's schools, and sets drawn here from the models themselves."""
    draws = np.random.default_rng(20261122)
    series = np.zeros(200)
    for t in range(5, 200):
        series[t] = 0.4 + series[t - 5 : t][::-1] @ [0.5, 0.2, -0.1, 0.1, -0.05] + 0.3 * draws.normal()
    county = np.sort(draws.integers(0, 85, 919))
    floor, uranium = (draws.random(919) < 0.17).astype(float), draws.normal(0, 0.4, 85)
    level = 1.5 + 0.7 * uranium + 0.3 * draws.normal(size=85)
    x = draws.normal(size=(1000, 20))
    y = (draws.random(1000) < 1 / (1 + np.exp(-0.3 - x @ draws.normal(0, 0.7, 20)))).astype(int)
    return {
        "schools": {"y": [28, 8, -3, 7, -1, 1, 18, 12], "sigma": [15, 10, 16, 11, 9, 11, 10, 18]},
        "ark": {"y": series.tolist()},
        "radon": {
            "county": county.tolist(), "floor": floor.tolist(), "uranium": uranium.tolist(),
            "y": (level[county] - 0.6 * floor + 0.75 * draws.normal(size=919)).tolist(),
        },
        "logistic": {"x": x.tolist(), "y": y.tolist()},
    }  # fmt: skip


class Bench:
    """One folder of models, data, caches and draws."""

    def __init__(self, folder: Path, peer: str) -> None:
        self.folder, self.peer = folder, peer
        for name, data in datasets().items():
            (folder / f"{name}.json").write_text(json.dumps(data))

    def run(self, side: str, model: str, seed: int, cached: bool) -> dict[str, float]:
        """One command: seconds of the whole by our clock, and what it says of itself."""
        data, out = self.folder / f"{model}.json", self.folder / f"{side.replace(' ', '_')}.npz"
        # Packages are byte-compiled when they are installed; a working copy must be allowed to be.
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith(("JAX_", "ENERGYLANG_", "PYTHON"))
        }
        environment = kept | {"SEED": str(seed), "JAX_PLATFORMS": "cpu"}
        if side == "ours":
            environment["PYTHONPATH"] = str(Path(__file__).parents[1])
        if side == "ours":
            environment["ENERGYLANG_CACHE"] = str(self.folder / "cache") if cached else "none"
            command = [
                sys.executable,
                "-m",
                "energylang",
                "sample",
                str(PEERS / f"{model}.energy"),
                "--data",
                str(data),
            ]
            command += ["--out", str(out.with_suffix(".nc")), "--seed", str(seed), "--json", "--quiet"]
        else:
            if cached:
                environment |= {
                    "JAX_COMPILATION_CACHE_DIR": str(self.folder / "jax"),
                    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
                    "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
                }
            script = "nutpie_script.py" if side == "nutpie" else "numpyro_script.py"
            command = [self.peer, str(PEERS / script), model, str(data), str(out)]
            command += ["parallel"] if side == "numpyro parallel" else []
        began = time.perf_counter()
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        whole = time.perf_counter() - began
        if done.returncode:
            raise SystemExit(f"{side} {model}: {done.stderr[-2000:]}")
        if side == "ours":
            said = json.loads(done.stdout)
            run = Run.open(out.with_suffix(".nc"))
            draws = {name: np.asarray(run[name]) for name in run.data.names("posterior")}
            found = {"run": said["seconds"], "programs": said["programs"]}
        else:
            found = json.loads(done.stdout.splitlines()[-1])
            with np.load(out) as arrays:
                draws = {name: arrays[name] for name in arrays.files}
        ess = float(np.min(summarise(sorted(draws.items()))["ESS_bulk"]))
        return {**found, "whole": whole, "ess": ess, "rate": ess / found["run"]}


def row(name: str, sides: dict[str, list[float]]) -> str:
    cells = [f"{statistics.median(values):.2f}" if values else "–" for values in sides.values()]
    return f"| {name} | {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer-python", required=True)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--model", action="append", choices=MODELS)
    parser.add_argument("--skip-nutpie", action="store_true")
    parser.add_argument("--skip-whole", action="store_true", help="only sampling alone")
    given = parser.parse_args()
    sides = [side for side in SIDES if side != "nutpie" or not given.skip_nutpie]
    ratios: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), given.peer_python)
        for model in given.model or MODELS:
            cold: dict[str, list[float]] = {side: [] for side in sides}
            again: dict[str, list[float]] = {side: [] for side in sides}
            rates: dict[str, list[float]] = {side: [] for side in sides}
            seconds: dict[str, list[float]] = {side: [] for side in sides}
            ess: dict[str, list[float]] = {side: [] for side in sides}
            for seed in range(given.rounds):
                if not given.skip_whole:
                    for side in sides:
                        cold[side].append(bench.run(side, model, seed, cached=False)["whole"])
                if seed == 0:
                    for side in sides:
                        bench.run(side, model, seed, cached=True)
                for side in sides:
                    found = bench.run(side, model, seed, cached=True)
                    again[side].append(found["whole"])
                    rates[side].append(found["rate"])
                    seconds[side].append(found["run"])
                    ess[side].append(found["ess"])
            print(f"\n{model}\n| | {' | '.join(sides)} |\n|---|{'---|' * len(sides)}")
            for name, values in (
                ("cold, s", cold), ("again, s", again), ("run, s", seconds), ("min ESS", ess), ("min ESS/s", rates)
            ):  # fmt: skip
                print(row(name, values), flush=True)
            ratios[model] = _ratios(cold, again, rates)
            print({name: round(value, 2) for name, value in ratios[model].items()}, flush=True)
    print("\n| ratio of medians | " + " | ".join(ratios) + " |\n|---|" + "---|" * len(ratios))
    for name in next(iter(ratios.values())):
        print(f"| {name} | " + " | ".join(f"{ratios[model][name]:.2f}" for model in ratios) + " |")


def _ratios(
    cold: dict[str, list[float]], again: dict[str, list[float]], rates: dict[str, list[float]]
) -> dict[str, float]:
    """Of ours to NumPyro's better way, and to nutpie's."""
    middle = {kind: {s: statistics.median(v) for s, v in sides.items() if v} for kind, sides in
              (("cold", cold), ("again", again), ("rate", rates))}  # fmt: skip
    found = {}
    for kind in ("cold", "again"):
        if middle[kind]:
            numpyro = min(value for side, value in middle[kind].items() if side.startswith("numpyro"))
            found[f"{kind}, ours / numpyro"] = middle[kind]["ours"] / numpyro
    best = max(value for side, value in middle["rate"].items() if side.startswith("numpyro"))
    found["min ESS/s, ours / numpyro"] = middle["rate"]["ours"] / best
    if "nutpie" in middle["rate"]:
        found["min ESS/s, ours / nutpie"] = middle["rate"]["ours"] / middle["rate"]["nutpie"]
    return found


if __name__ == "__main__":
    main()
