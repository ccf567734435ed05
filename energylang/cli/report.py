"""What a finished run says: on standard output in words, or as JSON values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from energylang.run import words
from energylang.run.optimum import Optimum
from energylang.run.table import ROWS, render

if TYPE_CHECKING:
    from energylang.run.result import Run
    from energylang.run.summary import Summary
    from energylang.run.training import Training

ESTIMATES = ("log_z", "log_z_error", "elbo", "weight_ess", "pareto_k")
SHOWN = 12
"""Entries of a learned array that are printed."""


def run_data(run: Run) -> dict[str, Any]:
    """A run as JSON values."""
    facts = run.facts
    return {
        "out": str(run.path),
        "task": facts["task"],
        "energy": facts["energy"],
        "method": run.method,
        "reason": run.reason,
        "options": run.options,
        "device": facts["device"],
        "precision": facts["precision"],
        "seconds": run.sampling_time,
        "programs": run.programs,
        **{name: facts[name] for name in ESTIMATES if name in facts},
        **(_optimum(run) if isinstance(run, Optimum) else {}),
        "summary": run.summary().to_dict(),
        "warnings": run.warnings,
    }


def _optimum(run: Optimum) -> dict[str, Any]:
    """What `optimize` found, as JSON values; infinite energies are null."""
    return {
        "best_energy": run.best_energy,
        "feasible": run.feasible,
        "violation": run.violation,
        "violations": run.violations,
        "best": {name: values.tolist() for name, values in run.best.items()},
        "restarts": [float(value) if np.isfinite(value) else None for value in run.restarts],
    }


def run_text(run: Run, seconds: Mapping[str, float]) -> str:
    """A run in words: the method and why, where and how long, estimates, the table, warnings, the file."""
    rows = [
        ("energy", run.facts["energy"]),
        ("method", words.method(run)),
        ("device", f"{run.facts['device']}, {run.facts['precision']}"),
        words.amount(run),
        *_params(run.options),
        ("time", _times(run.programs, seconds, run.sampling_time, "searching" if run.optimised else "drawing")),
        *words.estimates(run),
    ]
    lines = [*_table(rows), *table_text(run.summary()), *_warnings(run.warnings), "", f"written to {run.path}"]
    return "\n".join(lines)


def _params(options: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Where learned params come from."""
    return [("params", options["params"])] if "params" in options else []


def table_text(summary: Summary, rows: int = ROWS) -> list[str]:
    """The lines of a summary, with a note on what is no variable; none where nothing was drawn."""
    if not len(summary):
        return []
    return ["", render(summary, rows), *(["", words.LP] if "lp" in summary.names else [])]


def summary_text(run: Run, summary: Summary, rows: int) -> str:
    """What `summary` says of a saved run."""
    head = [
        ("energy", run.facts["energy"]),
        ("method", words.method(run)),
        words.amount(run),
        *words.estimates(run),
    ]
    return "\n".join([*_table(head), *table_text(summary, rows), *_warnings(run.warnings)])


def _times(programs: int, seconds: Mapping[str, float], drawing: float, what: str = "drawing") -> str:
    """Compiling is said apart: the second run of a model has most of it from the cache."""
    if "compiling" not in seconds:
        return f"{drawing:.1f} s when it was run"
    count = f"{programs} program{'' if programs == 1 else 's'}"
    made = f"compiling {count}" if programs else "finding the programs compiled before"
    return f"{seconds['compiling']:.1f} s {made}, {drawing:.1f} s {what}"


def training_data(training: Training, values: Mapping[str, Any]) -> dict[str, Any]:
    """A training run as JSON values."""
    facts = training.facts
    return {
        "out": str(training.path),
        "task": "train",
        "energy": facts["energy"],
        "method": training.method,
        "reason": facts["reason"],
        "options": training.options,
        "device": facts["device"],
        "precision": facts["precision"],
        "seconds": facts["sampling_time"],
        "programs": training.programs,
        "loss": _finite(training.loss),
        "validation_loss": _finite(training.validation_loss),
        "best_step": training.best_step,
        "steps": training.steps,
        "ended": training.ended,
        "params": {name: np.asarray(value).tolist() for name, value in values.items()},
        "summary": {},
        "warnings": training.warnings,
    }


def training_text(training: Training, values: Mapping[str, Any], seconds: Mapping[str, float]) -> str:
    """A training run in words."""
    facts, options = training.facts, training.options
    loss = training.trace["loss"]
    batch = (
        f"all {facts['rows']:,} rows" if options["batch"] is None else f"{options['batch']:,} of {facts['rows']:,} rows"
    )
    reason = "" if facts["reason"] == "asked for" else f", because {facts['reason']}"
    early = f" of {options['steps']:,}" if training.steps < options["steps"] else ""
    rows = [
        ("energy", facts["energy"]),
        ("method", training.method + reason),
        ("device", f"{facts['device']}, {facts['precision']}"),
        ("steps", f"{training.steps:,}{early}, of {batch}, by {options['optimizer']}"),
        *_params(options),
        ("time", _times(training.programs, seconds, facts["sampling_time"], "training")),
        ("loss", f"{loss[0]:.5g} at first, {training.loss:.5g} at last"),
        *_held_out(training),
    ]
    learned = _table([(name, _array(np.asarray(value))) for name, value in values.items()])
    lines = [*_table(rows), "", "learned", *(f"  {line}" for line in learned), *_warnings(training.warnings)]
    return "\n".join([*lines, "", f"written to {training.path}"])


def _held_out(training: Training) -> list[tuple[str, str]]:
    loss, kept = training.validation_loss, training.options["patience"] is not None
    if loss is None:
        return []
    lowest = f"{training.facts['best_loss']:.5g} after {training.best_step:,} steps"
    said = f"{lowest}, whose params are kept" if kept else f"{loss:.5g} at last, {lowest}"
    return [("validation", f"{said}; {training.facts['validation_rows']:,} rows")]


def _finite(value: float | None) -> float | None:
    """JSON has no word for what is not."""
    return value if value is not None and np.isfinite(value) else None


def _array(value: np.ndarray) -> str:
    if value.size > SHOWN:
        low, high = float(value.min()), float(value.max())
        return f"{list(value.shape)}, from {low:.4g} to {high:.4g}, mean {float(value.mean()):.4g}"
    return np.array2string(value, precision=4, separator=", ", suppress_small=True).replace("\n", "")


def _table(rows: list[tuple[str, str]]) -> list[str]:
    width = max(len(name) for name, _ in rows)
    return [f"{name.ljust(width)}  {text}" for name, text in rows]


def _warnings(warnings: list[str]) -> list[str]:
    return ["", *(f"warning: {warning}" for warning in warnings)] if warnings else []
