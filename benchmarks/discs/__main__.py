"""Discrete samplers on the targets of DISCS: a table, a plot and a JSON file for each target.

    python -m benchmarks.discs [--size small|default|paper] [--target ising …] [--sampler gibbs 'gwg(weight = max)' …]
                               [--chains 16] [--seconds 4] [--steps N] [--out FOLDER]
    python -m benchmarks.discs --task combinatorial [--size small|default|paper] [--target MIS 'MaxCut torus' …]
                               [--references FOLDER --reference-seconds 60]

Samplers are all kernels of the catalog that move discrete variables. By default each runs for about so many seconds on each target;
`--size paper` takes DISCS's sizes, 100 chains and 100,000 steps. JAX's default device is used: a GPU where there is one.
"""

from __future__ import annotations

import argparse
import json
import math
import platform
import statistics
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jax

import energylang
from benchmarks.discs.combinatorial import Asked, solved
from benchmarks.discs.protocol import Measured, Row, samplers
from benchmarks.discs.targets import SIZES

HEADER = (
    "| target | sampler | steps | acceptance | mean energy | ESS per 1,000 steps | per 1,000 evaluations | ESS/s |\n"
    "|---|---|---|---|---|---|---|---|"
)


def line(target: str, row: Row) -> str:
    """A row of the table; of chains that have not arrived there is nothing to count."""
    sizes = (row.per_step, row.per_evaluation, row.per_second)
    shown = [f"{size:,.{digits}f}" if row.arrived else "-" for size, digits in zip(sizes, (2, 2, 0), strict=True)]
    return (
        f"| {target} | `{row.sampler}` | {row.steps:,} | {row.acceptance:.2f} | {row.energy:,.1f} ± {row.energy_error:.1f}"
        f" | {' | '.join(shown)} |"
    )


def machine() -> dict[str, Any]:
    """Where and when: device, system, versions, date."""
    device = jax.devices()[0]
    return {
        "device": f"{device.platform} {device.device_kind}", "system": platform.platform(), "python": platform.python_version(),
        "jax": jax.__version__, "energylang": energylang.__version__, "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }  # fmt: skip


def plot(found: dict[str, list[Row]], path: Path) -> None:
    """Effective draws a second of every sampler, a panel for each target."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib.figure import Figure

    columns = min(3, len(found))
    lines = -(-len(found) // columns)
    most = max(len(rows) for rows in found.values())
    figure = Figure(figsize=(4.6 * columns, lines * (1.0 + 0.3 * most)), layout="constrained")
    for place, (name, rows) in enumerate(found.items()):
        axes = figure.add_subplot(lines, columns, place + 1)
        ordered = sorted((row for row in rows if row.ess > 0 and row.arrived), key=lambda row: row.per_second)
        axes.barh([row.sampler for row in ordered], [row.per_second for row in ordered], color="#35618f", height=0.7)
        for number, row in enumerate(ordered):
            axes.annotate(
                f"{row.per_second:,.0f}",
                (row.per_second, number),
                (3, 0),
                textcoords="offset points",
                va="center",
                fontsize=8,
            )
        axes.set_xscale("log")
        axes.margins(x=0.25)
        axes.set_title(name, fontsize=10)
        axes.tick_params(labelsize=8)
        axes.spines[["top", "right"]].set_visible(False)
        axes.set_xlabel("ESS of the distance to a random state, a second", fontsize=8)
    figure.savefig(path, dpi=150)


def one(arguments: argparse.Namespace, target: str, sampler: str) -> Row | str:
    """A row, or why there is none. In a process of its own: what takes too long or too much memory ends alone."""
    command = [sys.executable, "-m", "benchmarks.discs", "--size", arguments.size, "--one", target, sampler]
    command += ["--chains", str(arguments.chains), "--seconds", str(arguments.seconds)]
    command += ["--steps", str(arguments.steps)] if arguments.steps else []
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=arguments.limit, check=False)
    except subprocess.TimeoutExpired:
        return f"more than {arguments.limit:g} s"
    if done.returncode:
        return (done.stderr.strip().splitlines() or ["ended"])[-1]
    return Row(**json.loads(done.stdout.splitlines()[-1]))


def sampling(arguments: argparse.Namespace) -> dict[str, list[Row]]:
    """Every sampler on every target; a line of the table and a JSON file as soon as they are there."""
    found: dict[str, list[Row]] = {}
    print(HEADER)
    for name in SIZES[arguments.size]:
        if arguments.target and name not in arguments.target:
            continue
        rows: list[Row] = []
        absent: dict[str, str] = {}
        for sampler in arguments.sampler or samplers():
            row = one(arguments, name, sampler)
            if isinstance(row, Row):
                rows.append(row)
                print(line(name, row), flush=True)
            else:
                absent[sampler] = row
                print(f"| {name} | `{sampler}` | {row} | | | | | |", flush=True)
        if rows:
            found[name] = rows
            record = {
                "target": name,
                "size": arguments.size,
                **machine(),
                "rows": [row.to_dict() for row in rows],
                "absent": absent,
            }
            (arguments.out / f"{name}.json").write_text(json.dumps(record, indent=1) + "\n")
    return found


def measure(arguments: argparse.Namespace, target: str, sampler: str) -> None:
    """The row of one sampler, as JSON on standard output; exit code 1 and the reason where it does not fit."""
    measured = Measured(SIZES[arguments.size][target]())
    try:
        row = measured.run(sampler, arguments.chains, arguments.seconds, arguments.steps)
    except energylang.DiagnosticError as error:
        raise SystemExit(error.diagnostics[0].message) from None
    print(json.dumps(asdict(row)))


def combinatorial(arguments: argparse.Namespace) -> None:
    """Every problem: a line of the table and the instances as JSON."""
    found = []
    lines = [
        "| problem | graphs | method, steps | mean objective ± standard error | mean ratio to | the reference | DISCS | found by, of the chains | seconds, compiling | annealing |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    print("\n".join(lines))
    asked = Asked(arguments.references, arguments.reference_seconds) if arguments.references else None
    for name, problem, instances in solved(arguments.size, arguments.chains, arguments.target, asked):

        def mean(values: Iterable[float], count: int = len(instances)) -> float:
            return sum(values) / count

        ratio = mean(s.objective / s.reference for s in instances)
        spread = statistics.stdev(s.objective for s in instances) if len(instances) > 1 else math.nan
        lines.append(
            f"| {name} | {len(instances)} | `{problem.method}`, {problem.steps:,} | {mean(s.objective for s in instances):,.2f}"
            f" ± {spread / math.sqrt(len(instances)):.2f} | {'-' if math.isnan(ratio) else f'{ratio:.4f}'}"
            f" | {', '.join(sorted({s.how for s in instances}))} | {problem.published} | {mean(s.found_by for s in instances):.1f}"
            f" | {mean(s.seconds - s.sampling for s in instances):.1f} | {mean(s.sampling for s in instances):.1f} |"
        )
        print(lines[-1], flush=True)
        found.append(
            {
                "problem": name,
                "method": problem.method,
                "steps": problem.steps,
                "instances": [asdict(s) for s in instances],
            }
        )
        record = {"size": arguments.size, "chains": arguments.chains, **machine(), "problems": found}
        (arguments.out / "combinatorial.json").write_text(json.dumps(record, indent=1) + "\n")
    (arguments.out / "combinatorial.md").write_text("\n".join(lines) + "\n")


def main(given: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", choices=("sampling", "combinatorial"), default="sampling")
    parser.add_argument("--size", choices=list(SIZES), default="default")
    parser.add_argument("--target", nargs="*", help="names; all by default")
    parser.add_argument("--sampler", nargs="*", help="methods as in a task; all of the catalog by default")
    parser.add_argument("--chains", type=int, help="16, and DISCS's 100 with `--size paper`")
    parser.add_argument("--seconds", type=float, default=4.0, help="that a sampler runs on a target, about")
    parser.add_argument("--steps", type=int, help="of each half instead; 50,000 with `--size paper`")
    parser.add_argument("--references", type=Path, help="a folder that keeps cuts found or proven by other algorithms")
    parser.add_argument("--reference-seconds", type=float, default=60.0, help="that these take for a graph, at most")
    parser.add_argument("--limit", type=float, default=120.0, help="seconds for one sampler, compiling included")
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, default=Path("discs"), help="the folder of results")
    arguments = parser.parse_args(given)
    if arguments.size == "paper":
        arguments.limit = max(arguments.limit, 3600.0)
        arguments.steps = arguments.steps or 50_000
    paper = arguments.size == "paper" and arguments.task == "sampling"
    arguments.chains = arguments.chains or (100 if paper else 16)
    if arguments.one:
        measure(arguments, *arguments.one)
        return
    arguments.out.mkdir(parents=True, exist_ok=True)
    if arguments.task == "combinatorial":
        combinatorial(arguments)
        return
    found = sampling(arguments)
    if found:
        plot(found, arguments.out / "sampling.png")
        table = "\n".join([HEADER, *(line(name, row) for name, rows in found.items() for row in rows)])
        (arguments.out / "sampling.md").write_text(table + "\n")


if __name__ == "__main__":
    main()
