"""The whole command under SIGKILL: `energylang sample` killed at random moments, resumed each time, compared number for number.

    python -m benchmarks.kill_command [--kills 20] [--model examples/eight_schools.energy] [-- options of sample]

The moments are uniform over seconds of wall time, so they fall into imports, compilation, warm-up, sampling and writing.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from energylang.run.result import Run

EXAMPLES = Path(__file__).parents[1] / "examples"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=7.0, help="the latest moment of a kill")
    parser.add_argument("--model", default=str(EXAMPLES / "eight_schools.energy"))
    parser.add_argument("options", nargs="*", help="of `energylang sample`, after `--`")
    given = parser.parse_args()
    options = given.options or ["--warmup", "200000", "--draws", "200000"]
    command = [sys.executable, "-m", "energylang", "sample", given.model, *options, "--quiet"]
    moments = random.Random(0)
    with tempfile.TemporaryDirectory() as folder:
        whole, killed = Path(folder) / "whole.nc", Path(folder) / "killed.nc"
        subprocess.run([*command, "--out", str(whole)], check=True, capture_output=True)
        kills, phases = 0, []
        while True:
            process = subprocess.Popen(
                [*command, "--out", str(killed), "--resume"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
            )
            moment = moments.uniform(0.5, given.seconds)
            deadline = time.monotonic() + (moment if kills < given.kills else 600)
            while process.poll() is None and time.monotonic() < deadline:
                time.sleep(0.01)
            if process.poll() is None:
                process.kill()
                process.wait()
                kills += 1
                parts = (
                    sorted(p.name for p in Path(f"{killed}.parts").glob("*.npz"))
                    if Path(f"{killed}.parts").exists()
                    else []
                )
                phases.append(len(parts))
                continue
            if process.returncode != 0:
                print(process.stderr.read().decode() if process.stderr else "")
                return 1
            break
        same = identical(whole, killed)
        print(f"{kills} kills (parts there after each: {phases}); identical: {same}")
        return 0 if same else 1


def identical(first: Path, second: Path) -> bool:
    """Every number of every group but the times."""
    a, b = Run.open(first).data, Run.open(second).data
    for group in a.groups():
        for name in a.names(group):
            one, other = np.asarray(a.read(group, name)), np.asarray(b.read(group, name))
            if not np.array_equal(one, other, equal_nan=one.dtype.kind == "f"):
                print(f"{group}/{name} differs")
                return False
    return a.groups() == b.groups()


if __name__ == "__main__":
    sys.exit(main())
