"""Runs a toy and prints a digest of everything that was drawn; the tests start it in processes of their own.

python -m tests.run.drive [--out F] [--resume] [--chunk N] [--threads N] [--width N] [--slow N] …
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from click.exceptions import Exit

from energylang.cli.join import join, joined, read_meeting
from energylang.diagnostics import DiagnosticError
from energylang.run import hosts
from energylang.run.chains import run_chains
from energylang.run.provenance import Provenance
from energylang.run.result import Run
from tests.run import toys

PROVENANCE = Provenance(
    "toy", "metropolis()", {"toy.energy": "energy toy(x: real[3])"}, observed_data={"y": np.arange(4.0)}
)


def run(**changes: Any) -> Run:
    """A small run of chains; what is not given is small."""
    given: dict[str, Any] = {
        "target": toys.gaussian(),
        "kernel": toys.Metropolis(),
        "lanes": toys.LANES,
        "provenance": PROVENANCE,
        "draws": 60,
        "warmup": 40,
        "chains": 3,
    }
    given |= changes
    return run_chains(given.pop("target"), given.pop("kernel"), **given)


def digest(run: Run) -> str:
    """A hash of every number of a run that should not depend on how it was made."""
    found = hashlib.sha256()
    for group in ("posterior", "posterior_predictive", "sample_stats", "warmup_posterior", "warmup_sample_stats"):
        for name in sorted(run.data.names(group)):
            values = run.data.read(group, name)
            found.update(f"{group}/{name}{values.shape}{values.dtype}".encode())
            found.update(np.ascontiguousarray(values).tobytes())
    return found.hexdigest()


def particles(out: Path | None, resume: bool, **changes: Any) -> Run:
    """A small run of weighted particles."""
    from tests.run.test_paths import draw

    return draw(**{"out": out, "resume": resume, "draws": 300, "lanes": {"cpu": 64}} | changes)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path)
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--slow", type=int, default=0)
    parser.add_argument("--lengths", default="[3, 2]")
    parser.add_argument("--many", default="[{}]", help="JSON: options of several runs")
    parser.add_argument("--particles", action="store_true")
    parser.add_argument("--join", help="as `--distributed`: be one of several processes")
    parser.add_argument("--silent", type=float, default=hosts.SILENT_SECONDS, help="seconds before a process is dead")
    given = parser.parse_args()
    hosts.SILENT_SECONDS = given.silent
    target, kernel = toys.gaussian(*json.loads(given.lengths)), toys.Metropolis(slow=given.slow)

    def work() -> None:
        for options in json.loads(given.many):
            common = {"out": given.out, "resume": given.resume}
            found = (
                particles(**common, **options)
                if given.particles
                else run(target=target, kernel=kernel, **common, **options)
            )
            print(digest(found), flush=True)

    try:
        if given.join is None:
            work()
        else:
            meeting = read_meeting(given.join)
            join(meeting)
            with joined(meeting):
                work()
    except Exit as end:
        return end.exit_code
    except DiagnosticError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
