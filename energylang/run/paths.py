"""The driver of paths: weighted particles in groups of fixed width, log Z, and a resample of equal weights."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path as FilePath
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from energylang.diagnostics import Diagnostic, DiagnosticError
from energylang.model import Path, Target, fold
from energylang.run import checks, keys, output
from energylang.run.data import OBSERVED, POSTERIOR, PRIOR, STATS, WEIGHTED, FileData, MemoryData
from energylang.run.executables import compile_all
from energylang.run.hosts import Hosts, hosts
from energylang.run.interrupt import Interruptible, interrupted
from energylang.run.lanes import Lanes, to_host, width_of
from energylang.run.pace import Pace
from energylang.run.programs import Programs
from energylang.run.progress import Progress, Silent
from energylang.run.provenance import Provenance, closure, program_closure
from energylang.run.result import Run
from energylang.run.weights import estimate, resample

WEIGHT = "weight/"
"""Before the names of what a weight is made of, where they stand beside rows."""


def run_path(
    target: Target,
    path: Path,
    *,
    lanes: Mapping[str, int],
    provenance: Provenance,
    draws: int = 4096,
    chains: int = 1,
    seed: int = 0,
    out: FilePath | None = None,
    resume: bool = False,
    progress: Progress | None = None,
    threads: int = 0,
    chunk: int | None = None,
    weighted: bool = True,
    prior: bool = False,
) -> Run:
    """Draw `chains * draws` weighted particles and estimate log Z from them.

    The posterior of the run is a resample of equal weights, [chains, draws, …]; where draws are not `weighted`, the draws
    themselves. prior: name the groups as those of the prior. lanes, out, threads as for chains;
    chunk: units of lanes between two looks at progress. Nothing is kept of an interrupted run: `resume` returns what
    `out` holds if it is the same run and whole, and otherwise draws the same particles again.

    Raises DiagnosticError: E0802 (a weight is infinite or undefined), E0804, E0805, E0807 (every weight is zero),
    E0820, E0840.
    """
    progress = progress if progress is not None else Silent()
    options = {"draws": draws, "chains": chains, "seed": seed}
    count = chains * draws
    width = width_of(lanes, count)
    closed = closure(provenance, options, width)
    together = hosts(closed)
    if not together.first:
        progress = Silent()
    with together, Interruptible(progress) as signals:
        if out is not None and (finished := output.finished_before(out, closed, resume, together)):
            progress.note(f"`{out}` is whole already")
            return finished
        with Lanes(count, width, threads, part=(together.index, together.count)) as group:
            programs = Programs(group, program_closure(provenance, options, width))
            rows, log_weight, seconds = _particles(
                target, path, programs, seed, chunk, progress, signals, together, out is None
            )
        if out is not None and not together.first:
            return output.written_elsewhere(out, together.word(None))
        said = output.facts(provenance, options, closed, seconds, programs.compiled)
        said = together.word(said) if out is None else said
        groups, said = _groups(rows, log_weight, chains, seed, weighted, prior, said)
        if out is None:
            return Run(MemoryData({**groups, OBSERVED: dict(provenance.observed_data)}, provenance.sources), said)
        progress.phase("writing")
        output.write_groups(out, groups, provenance, said)
        together.word(said)
    return Run(FileData(out), said)


def _groups(
    rows: Mapping[str, np.ndarray],
    log_weight: np.ndarray,
    chains: int,
    seed: int,
    weighted: bool,
    prior: bool,
    said: dict[str, Any],
) -> tuple[dict[str, dict[str, np.ndarray]], dict[str, Any]]:
    """The groups of the run, and what is said of it."""
    count = log_weight.size
    draws = count // chains
    found = asdict(estimate(log_weight))
    named = output.by_group("sampling", rows)
    chosen = np.arange(count)
    if weighted:
        said |= found
        chosen = resample(log_weight, count, seed)
    elif not prior:
        said |= {name: found[name] for name in ("log_z", "log_z_error")}
    groups = {
        group: {name: values[chosen].reshape(chains, draws, *values.shape[1:]) for name, values in arrays.items()}
        for group, arrays in named.items()
        if group != STATS or not weighted
    }
    if weighted:
        groups[STATS] = {name: values[None] for name, values in (named[STATS] | {"log_weight": log_weight}).items()}
        groups[WEIGHTED] = {name: values[None] for name, values in named.get(POSTERIOR, {}).items()}
    if prior:
        groups = {PRIOR[group]: arrays for group, arrays in groups.items()}
    return groups, said


def _particles(
    target: Target,
    path: Path,
    programs: Programs,
    seed: int,
    chunk: int | None,
    progress: Progress,
    signals: Interruptible,
    hosts: Hosts,
    everywhere: bool,
) -> tuple[dict[str, np.ndarray], np.ndarray, float]:
    """Rows [particle, …], log weights float64[particle], and the seconds it took; of all processes."""
    lanes = programs.lanes

    def particle(shared: Any, number: Array) -> dict[str, Any]:
        target, theta, root = shared
        key = fold(keys.root_key(root), keys.PARTICLE, number)
        z, log_q = path.start(target, theta, fold(key, 0))

        def forward(z: Any, span: Array) -> tuple[Any, tuple[Array, Mapping[str, Array]]]:
            z, log_g, info = path.forward(target, theta, span, z, fold(key, 1 + span))
            return z, (log_g, info)

        log_g: Array = jnp.zeros(0)
        info: Mapping[str, Array] = {}
        if path.spans:
            z, (log_g, info) = jax.lax.scan(forward, z, jnp.arange(path.spans))
        x, last = path.finish(target, theta, z)
        energy = target.energy(x)
        stats = {name: jnp.mean(value, axis=0) for name, value in info.items()}
        outputs = target.outputs(x, fold(keys.root_key(root), keys.OUTPUT, number))
        rows = output.row(outputs, {**stats, "lp": -energy, "model_energy": energy})
        return {"rows": rows, "weight": {"log_q": log_q, "log_g": log_g, "last": last}}

    root = keys.root_data(seed)
    progress.phase("compiling")
    theta = _prepared(target, path, root, programs)
    shared = lanes.share((target, theta, root))
    program = programs.get("particle", particle, lambda: (shared, lanes.numbers(0)))
    row = program.outputs["rows"]
    per_particle = sum(int(np.prod(leaf.shape[1:])) * leaf.dtype.itemsize for leaf in row.values())
    # Once as drawn and once resampled.
    checks.require_memory(2 * per_particle * lanes.count)
    programs.compile(program)
    progress.phase("drawing")
    progress.advance(0, lanes.mine, {})
    pace = Pace(len(lanes.starts), chunk)
    units: list[Any] = []
    began = time.perf_counter()
    while len(units) < len(lanes.starts):
        if signals.asked:
            raise interrupted(min(len(units) * lanes.unit, lanes.mine), lanes.mine, None, "particles")
        hosts.listen()
        first, start = len(units), time.perf_counter()
        batch = min(pace.next(), len(lanes.starts) - first)
        units += lanes.run(lambda unit: to_host(program(shared, lanes.numbers(unit))), range(first, first + batch))
        pace.took(batch, time.perf_counter() - start)
        progress.advance(min(len(units) * lanes.unit, lanes.mine), lanes.mine, {})
    seconds = time.perf_counter() - began
    joined = lanes.join(units)
    mine = {**joined["rows"], **{WEIGHT + name: values for name, values in joined["weight"].items()}}
    rows, _ = hosts.gather(mine, None)
    rows = hosts.arrays(rows) if everywhere else rows
    if not rows:
        return {}, np.zeros(0), seconds
    weight = {name: rows[WEIGHT + name].astype(np.float64) for name in ("log_q", "log_g", "last")}
    # A sum over a thousand levels loses digits in float32 that log Z needs.
    log_weight = weight["last"] - weight["log_q"] + weight["log_g"].sum(axis=1)
    if hosts.first:
        _require_weights(log_weight, rows["stats/model_energy"])
    return {name: rows[name] for name in row}, log_weight, seconds


def _prepared(target: Target, path: Path, root: np.ndarray, programs: Programs) -> Any:
    """What all particles share; a program is compiled for it only if there is something to compute."""

    def prepare(target: Target, root: Array) -> Any:
        return path.prepare(target, fold(keys.root_key(root), keys.PREPARE))

    shape = jax.eval_shape(prepare, target, root)
    if not jax.tree.leaves(shape):
        return shape
    (program,) = compile_all([jax.jit(prepare).lower(target, root)])
    programs.compiled += program.fresh
    return program.call(target, root)


def _require_weights(log_weight: np.ndarray, energy: np.ndarray) -> None:
    """Raise E0802 where a weight, or the energy of a particle, is undefined, E0807 where all weights are zero."""
    if np.any(undefined := np.isnan(energy)):
        particle = int(np.argmax(undefined))
        raise DiagnosticError(
            [
                Diagnostic(
                    "E0802",
                    f"the energy of particle {particle} is nan",
                    cause=f"so it is of {int(undefined.sum())} of {undefined.size} particles",
                    fix="look for log(0), 0/0 or overflow (`--x64` tells overflow apart), or an equation whose solver needs more `max_steps`",
                )
            ]
        )
    if np.any(bad := np.isnan(log_weight) | (log_weight == np.inf)):
        particle = int(np.argmax(bad))
        raise DiagnosticError(
            [
                Diagnostic(
                    "E0802",
                    f"the log weight of particle {particle} is {log_weight[particle]}",
                    cause=f"{int(bad.sum())} of {bad.size} log weights are infinite or undefined",
                    fix="look for an energy without lower bound, log(0), 0/0 or overflow (`--x64` tells overflow apart)",
                )
            ]
        )
    if np.all(log_weight == -np.inf):
        raise DiagnosticError(
            [
                Diagnostic(
                    "E0807",
                    f"all {log_weight.size} weights are zero: no particle landed where the target has density",
                    fix="use a path with more levels, or a Markov chain method (`energylang methods`)",
                )
            ]
        )
