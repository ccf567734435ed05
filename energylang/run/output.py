"""What of a run goes where: the groups and attributes of its file, or of its arrays in memory."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array

from energylang.diagnostics import DiagnosticError
from energylang.model import Outputs
from energylang.run.data import (
    LIKELIHOOD,
    OBSERVED,
    POSTERIOR,
    PREDICTIVE,
    RUN,
    STATS,
    TRACE,
    WARMUP,
    FileData,
    MemoryData,
    safe_name,
)
from energylang.run.files import as_diagnostics, require_writable
from energylang.run.hosts import Hosts
from energylang.run.netcdf import Writer
from energylang.run.provenance import Provenance, closure, closure_hash, versions
from energylang.run.result import Run
from energylang.run.store import Rows, Stage, Store, joined

STAGES: tuple[Stage, ...] = ("warmup", "sampling")
GROUPS = {"draws": POSTERIOR, "stats": STATS, "predictive": PREDICTIVE, "log_likelihood": LIKELIHOOD, "trace": TRACE}
"""Where rows go, by the first part of their names."""


def row(outputs: Outputs, stats: Mapping[str, Any]) -> dict[str, Array]:
    """What is kept of one draw, by the names that stores know; the order is the one in which people look for things."""
    parts = {"draws": outputs.draws, "predictive": outputs.predictive, "log_likelihood": outputs.log_likelihood}
    return {
        f"{kind}/{name}": jnp.asarray(value)
        for kind, part in (*parts.items(), ("stats", stats))
        for name, value in part.items()
    }


def kept(stage: Stage, rows: Rows) -> Rows:
    """The rows that are kept of a stage: of warm-up no predictions."""
    if stage == "sampling":
        return rows
    return {name: values for name, values in rows.items() if GROUPS[name.partition("/")[0]] in WARMUP}


def facts(
    provenance: Provenance, options: Mapping[str, Any], closed: Mapping[str, Any], seconds: float, programs: int
) -> dict[str, Any]:
    """The attributes of the group `run`: everything said about a run, as text and numbers."""
    return {
        "energy": provenance.energy,
        "task": provenance.task,
        "method": provenance.method,
        "reason": provenance.reason,
        "options": json.dumps({**provenance.options, **options}, sort_keys=True, default=str),
        "versions": json.dumps(versions(), sort_keys=True),
        "closure": closure_hash(closed),
        "seed": int(options["seed"]),
        "width": int(closed["width"]),
        "platform": str(closed["platform"]),
        "device": str(closed["device"]),
        "precision": str(closed["precision"]),
        "sampling_time": float(seconds),
        "tuning_steps": int(options.get("warmup", 0)),
        "programs": programs,
        "created_at": datetime.now(UTC).isoformat(),
    }


def without_draws(provenance: Provenance, options: Mapping[str, Any], out: Path | None) -> Run:
    """The run of an energy whose log Z is known to be 0: nothing is compiled, nothing is drawn."""
    closed = closure(provenance, options, 0)
    said = facts(provenance, options, closed, 0.0, 0) | {"log_z": 0.0, "log_z_error": 0.0}
    if out is None:
        return Run(MemoryData({OBSERVED: dict(provenance.observed_data)}, provenance.sources), said)
    write_groups(require_writable(out), {}, provenance, said)
    return Run(FileData(out), said)


More = Mapping[str, Mapping[str, np.ndarray]]
"""Arrays [chain, draw, …] by group and name that a run has beside its rows."""


def in_memory(store: Store, provenance: Provenance, counts: Mapping[Stage, int], more: More) -> MemoryData:
    """The groups of a run that leaves nothing on disk."""
    groups: dict[str, Mapping[str, np.ndarray]] = {}
    for stage in STAGES:
        arrays = joined(store.chunks(stage), counts[stage])
        for group, rows in by_group(stage, arrays).items():
            groups[group] = rows
    groups[OBSERVED] = dict(provenance.observed_data)
    groups |= more
    order = (*more, POSTERIOR, PREDICTIVE, LIKELIHOOD, STATS, TRACE, *WARMUP.values(), OBSERVED)
    return MemoryData({group: groups[group] for group in order if group in groups}, provenance.sources)


def write(
    path: Path,
    store: Store,
    provenance: Provenance,
    said: Mapping[str, Any],
    chains: int,
    counts: Mapping[Stage, int],
    more: More,
) -> None:
    """Assemble the netCDF-4 file from the chunks of a store, in bounded memory; it replaces `path` at the end."""
    with as_diagnostics(path, f"every draw is kept in `{path}.parts`"), Writer(path) as writer:
        for stage in STAGES:
            total = counts[stage]
            begun: set[str] = set()
            for rows in store.chunks(stage) if total else ():
                for group, arrays in by_group(stage, rows).items():
                    if group not in begun:
                        writer.group(group, _group_attributes(said), chain=chains, draw=total)
                        begun.add(group)
                    writer.extend(group, arrays, total)
        _write_whole(writer, more, said)
        write_origin(writer, provenance, said)


def _write_whole(writer: Writer, groups: More, said: Mapping[str, Any]) -> None:
    for group, arrays in groups.items():
        chains, total = next((values.shape[:2] for values in arrays.values()), (0, 0))
        if total:
            writer.group(group, _group_attributes(said), chain=chains, draw=total)
            writer.extend(group, arrays, total)


def write_groups(
    path: Path,
    groups: Mapping[str, Mapping[str, np.ndarray]],
    provenance: Provenance,
    said: Mapping[str, Any],
) -> None:
    """The netCDF-4 file of arrays [chain, draw, …] that are in memory as a whole."""
    with as_diagnostics(path), Writer(path) as writer:
        _write_whole(writer, groups, said)
        write_origin(writer, provenance, said)


def write_origin(writer: Writer, provenance: Provenance, said: Mapping[str, Any]) -> None:
    """The groups `observed_data` and `run`."""
    if provenance.observed_data:
        writer.group(OBSERVED, _group_attributes(said))
        for name, values in provenance.observed_data.items():
            writer.whole(OBSERVED, safe_name(name), np.asarray(values))
    writer.group(RUN, said)
    writer.text(RUN, "source", provenance.sources)


def finished_before(
    path: Path, closed: Mapping[str, Any], resume: bool, hosts: Hosts, enough: Callable[[Run], bool] = lambda _: True
) -> Run | None:
    """The whole run of this closure that `path` has, where it is to be resumed; raises E0820 where nothing can be written.

    Process 0 looks: what the others see of its disk is of no consequence.
    """
    if not hosts.first:
        return written_elsewhere(path, facts) if (facts := hosts.word(None)) else None
    require_writable(path)
    found = finished(path, closed) if resume else None
    found = found if found and enough(found) else None
    hosts.word(found.facts if found else None)
    return found


def written_elsewhere(path: Path, said: Mapping[str, Any]) -> Run:
    """The run whose file process 0 wrote: with its draws where the file can be seen from here, else without."""
    try:
        data = FileData(path)
        seen = data.facts["created_at"] == said["created_at"]
    except (DiagnosticError, KeyError):
        seen = False
    return Run.of(data if seen else MemoryData({}), said)


def finished(path: Path, closed: Mapping[str, Any]) -> Run | None:
    """The run in `path` if it is whole and of the same closure."""
    if not path.is_file() or path.with_name(path.name + ".parts").exists():
        return None
    try:
        data = FileData(path)
    except DiagnosticError:
        return None
    return Run.of(data, data.facts) if data.facts.get("closure") == closure_hash(closed) else None


def by_group(stage: Stage, rows: Rows) -> dict[str, dict[str, np.ndarray]]:
    """`draws/…`, `stats/…` and the others under the names of their groups."""
    found: dict[str, dict[str, np.ndarray]] = {}
    for name, values in rows.items():
        kind, _, own = name.partition("/")
        group = GROUPS[kind] if stage == "sampling" else WARMUP[GROUPS[kind]]
        found.setdefault(group, {})[safe_name(own)] = values
    return found


def _group_attributes(said: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "created_at": said["created_at"],
        "inference_library": "energylang",
        "inference_library_version": json.loads(said["versions"])["energylang"],
        "sampling_time": said["sampling_time"],
        "tuning_steps": said["tuning_steps"],
    }
