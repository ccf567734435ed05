"""Eight chains on one thread, on two, and in two processes: how much sooner they are done.

    python -m benchmarks.speed_up [--rounds 3] [--rows 1000] [--draws 300] [--warmup 300]

Logistic regression of ten coefficients with NUTS; seconds of sampling alone, the ways alternating in one run. Prints one
JSON object with the median speed-ups over one thread and whether the draws are the same bits.
"""

from __future__ import annotations

import argparse
import json
import socket
import statistics
import subprocess
import sys
from typing import Any

import numpy as np

import energylang
from energylang.api import Model
from energylang.run.result import Run

SOURCE = """
data X: real[n, k]
data y: binary[n]
energy logistic(alpha: real, beta: real[k]) {
  alpha ~ normal(0, 5)
  beta ~ normal(0, 1)
  y ~ bernoulli_logit(alpha + X @ beta)
}
"""


def model(rows: int) -> Model:
    random = np.random.default_rng(7)
    x = random.normal(size=(rows, 10))
    y = (random.uniform(size=rows) < 1 / (1 + np.exp(-x @ random.normal(size=10)))).astype(int)
    return energylang.compile(SOURCE, data={"X": x, "y": y})


def draw(made: Model, given: argparse.Namespace, threads: int) -> Run:
    return made.sample(method="nuts()", chains=8, draws=given.draws, warmup=given.warmup, seed=1, threads=threads)


def processes(given: argparse.Namespace) -> list[subprocess.Popen[str]]:
    """Two processes that wait for a line, run, and answer with the seconds and a sum of the draws, until there is no line."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        address = f"localhost:{free.getsockname()[1]}"
    own = [f"--{name}={getattr(given, name)}" for name in ("rows", "draws", "warmup")]
    command = [sys.executable, "-m", "benchmarks.speed_up", *own, "--join", address]
    pipe: Any = subprocess.PIPE
    return [subprocess.Popen([*command, str(index)], stdin=pipe, stdout=pipe, text=True) for index in range(2)]


def serve(given: argparse.Namespace) -> None:
    import jax

    address, index = given.join
    jax.distributed.initialize(address, 2, int(index), cluster_detection_method="deactivate")
    made = model(given.rows)
    for _ in sys.stdin:
        run = draw(made, given, 1)
        print(json.dumps([run.sampling_time, float(np.sum(run["beta"], dtype=np.float64))]), flush=True)


def asked(workers: list[subprocess.Popen[str]]) -> list[float]:
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.write("\n")
        worker.stdin.flush()
    answers = [json.loads(worker.stdout.readline()) for worker in workers if worker.stdout is not None]
    return answers[0]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rows", type=int, default=1000)
    parser.add_argument("--draws", type=int, default=300)
    parser.add_argument("--warmup", type=int, default=300)
    parser.add_argument("--join", nargs=2, help="ADDRESS INDEX: be one of the two processes")
    given = parser.parse_args()
    if given.join:
        serve(given)
        return 0
    workers = processes(given)
    made = model(given.rows)
    seconds: dict[str, list[float]] = {"one": [], "two": [], "processes": []}
    sums = set()
    draw(made, given, 2)
    asked(workers)
    for _ in range(given.rounds):
        for way, threads in (("one", 1), ("two", 2)):
            run = draw(made, given, threads)
            seconds[way].append(run.sampling_time)
            sums.add(float(np.sum(run["beta"], dtype=np.float64)))
        spent, total = asked(workers)
        seconds["processes"].append(spent)
        sums.add(total)
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.close()
    for worker in workers:  # they leave together
        worker.wait()
    one = seconds.pop("one")
    ratios = {way: round(statistics.median(np.array(one) / found), 2) for way, found in seconds.items()}
    print(json.dumps({"speed_up": ratios, "one": one, **seconds, "identical": len(sums) == 1}))
    return 0 if len(sums) == 1 else 1


if __name__ == "__main__":
    sys.exit(main())
