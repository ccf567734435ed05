"""How fast the command line answers: `--help`, `check`, and the first line of `sample`, beside a bare Python.

    python benchmarks/startup.py [ROUNDS]

Commands alternate in each round, so that a busy machine is busy for all of them; the first round warms caches and is
dropped. Prints the median of each, its quartiles, and the median ratio to the bare Python of the same round.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

LINES = 100


def model(lines: int) -> str:
    """A model of about so many lines that uses most of the language."""
    groups = (lines - 10) // 10
    text = ["# A synthetic model.", "const scale = 2", "data y: real[N] = [1, 2, 3]", "", "energy big("]
    text += [f"  a{i}: real, b{i}: positive, c{i}: real[N]," for i in range(groups)]
    text.append(") {")
    for i in range(groups):
        text += [
            f"  # group {i}",
            f"  a{i} ~ normal(0, scale)",
            f"  b{i} ~ half_normal(1)",
            f"  c{i} ~ normal(a{i}, b{i})",
            f"  let d{i} = a{i} + b{i} * c{i}",
            f"  y ~ normal(d{i}, 1)",
            f"  += 0.01 * sum((if d{i} > 0 then d{i} else -d{i})^2)",
            f"  report e{i} = mean(d{i})",
            "",
        ]
    return "\n".join([*text, "}", "sample big with nuts()"]) + "\n"


def seconds(command: list[str], until_line: bool, environment: dict[str, str]) -> float:
    """Until the command ends, or until its first line of stderr."""
    began = time.perf_counter()
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    assert process.stderr is not None
    if until_line:
        process.stderr.readline()
        took = time.perf_counter() - began
        process.kill()
        process.stderr.close()
        process.wait()
        return took
    process.stderr.read()
    process.stderr.close()
    if process.wait():
        raise SystemExit(f"{' '.join(command)} failed")
    return time.perf_counter() - began


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    with tempfile.TemporaryDirectory() as folder:
        # As after an installation: byte-compiled, wherever this runs.
        environment = {**os.environ, "PYTHONPYCACHEPREFIX": folder}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        path = Path(folder) / "big.energy"
        path.write_text(model(LINES))
        lines = path.read_text().count("\n")
        tool = [sys.executable, "-m", "energylang"]
        commands = {
            "python -c pass": ([sys.executable, "-c", "pass"], False),
            "energylang --help": ([*tool, "--help"], False),
            f"energylang check ({lines} lines)": ([*tool, "check", str(path)], False),
            f"energylang fmt ({lines} lines)": ([*tool, "fmt", str(path)], False),
            "energylang sample, first line": ([*tool, "sample", str(path)], True),
        }
        times: dict[str, list[float]] = {name: [] for name in commands}
        for number in range(rounds + 1):
            for name, (command, until_line) in commands.items():
                took = seconds(command, until_line, environment)
                if number:
                    times[name].append(took)
    bare = times["python -c pass"]
    width = max(map(len, times))
    print(f"{'command'.ljust(width)}  median    quartiles         beside a bare Python, {rounds} rounds")
    for name, values in times.items():
        low, _, high = statistics.quantiles(values, n=4)
        ratio = statistics.median(value / base for value, base in zip(values, bare, strict=True))
        print(f"{name.ljust(width)}  {statistics.median(values):.3f} s  {low:.3f} to {high:.3f} s  {ratio:.1f} times")


if __name__ == "__main__":
    main()
