"""The driver of training: rows, optimiser and looks put together, kept in memory or in a file, and resumed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from energylang.catalog import MethodCall
from energylang.diagnostics import Diagnostic, DiagnosticError
from energylang.methods import _optax
from energylang.model import Objective, Trainable
from energylang.run import keys, output
from energylang.run.batches import Batches, Table, split
from energylang.run.files import as_diagnostics, require_writable
from energylang.run.heldout import Looks
from energylang.run.interrupt import Interruptible
from energylang.run.learning import FAILURES, Learning
from energylang.run.parts import Parts
from energylang.run.progress import Progress, Silent
from energylang.run.provenance import Provenance, closure
from energylang.run.store import Memory, Store, joined
from energylang.run.trainer import Learned, Trainer
from energylang.run.training import Training, write

ADAM = MethodCall("adam", (("learning_rate", 0.01),))


def run_training(
    objective: Objective,
    model: Trainable,
    data: Table,
    *,
    provenance: Provenance,
    steps: int = 1000,
    optimizer: Any = ADAM,
    batch: int | None = None,
    clip: float | None = None,
    ema: float | None = None,
    validation: float | None = None,
    every: int | None = None,
    patience: int | None = None,
    seed: int = 0,
    out: Path | None = None,
    resume: bool = False,
    progress: Progress | None = None,
    chunk: int | None = None,
    resident: bool | None = None,
) -> Training:
    """Take `steps` steps of an optimizer on the params of `model`.

    data: arrays with one leading dim of rows, the same for all. optimizer: a call of the catalog or an optax
    GradientTransformation. batch: rows of a step, each once an epoch; None for all rows every time. clip: the largest norm of
    a gradient. ema: how much a moving average keeps, which is then what is kept. validation: rows held out, a number or a
    part, looked at every `every` steps; after `patience` looks without a lower loss training ends, with the best params.
    out: the netCDF-4 file of the params and the trace. resume: continue an interrupted run of the same closure, to the very
    numbers of an uninterrupted one. resident: whether all rows lie on the device; None to go by their size.

    A step whose loss or gradient is not finite is taken back to the last params whose loss was finite, and steps are halved.

    Raises DiagnosticError: E0806 (steps are taken back one upon the other; the last good params are in `out`), E0852 to
    E0856, E0804, E0820 to E0822, E0830, E0840.
    """
    progress = progress if progress is not None else Silent()
    _require_sense(steps, optimizer, validation, every, patience)
    rows = next((np.shape(values)[0] for values in data.values()), 0)
    root = keys.root_data(seed)
    parted = split(rows, batch, validation, root)
    if parted.held:
        every = every or max(1, steps // 100)
    named = str(optimizer) if isinstance(optimizer, MethodCall) else "of Optax, from Python"
    options = {
        "steps": steps, "optimizer": named, "batch": batch, "clip": clip, "ema": ema, "validation": validation,
        "every": every, "patience": patience, "seed": seed,
    }  # fmt: skip
    closed = closure(provenance, options, 1)
    learning = Learning(objective, _optax.transformation(optimizer, steps, clip), ema, model.buffers)
    looks = Looks(every or 1, patience) if parted.held else None
    trainer = Trainer(learning, model, Batches(data, parted.trained, batch, root, resident), parted.held, looks, seed)
    counts = {"rows": int(parted.trained.size), "validation_rows": int(sum(block.size for block in parted.held))}

    def result(store: Store, learned: Learned, path: Path | None) -> Training:
        arrays = joined(store.chunks("sampling"), learned.steps)
        trace = {name.partition("/")[2]: values[0] for name, values in arrays.items()}
        said = output.facts(provenance, options, closed, learned.seconds, trainer.programs) | counts
        said |= {
            "ended": learned.ended,
            "rollbacks": int(learned.carry.rollbacks),
            "step_scale": float(learned.carry.scale),
        }
        if looks is not None:
            said |= {"best_step": looks.step, "best_loss": looks.loss}
        return Training(learned.params, trace, said, path)

    with Interruptible(progress) as signals:
        if out is None:
            memory = Memory()
            learned = trainer.run(memory, None, steps, chunk, progress, signals)
            training = result(memory, learned, None)
        else:
            out = require_writable(out)
            if resume and output.finished(out, closed):
                training = Training.open(out, model.params)
                if training.ended != "diverged":
                    progress.note(f"`{out}` is whole already")
                    return training
            with Parts(out, closed) as parts:
                learned = trainer.run(parts, parts if resume else None, steps, chunk, progress, signals)
                training = result(parts, learned, out)
                with as_diagnostics(out, f"every step is kept in `{parts.folder}`"):
                    write(out, training, provenance)
                parts.remove()
    if training.ended == "diverged":
        raise _diverged(training, objective)
    return training


def _require_sense(
    steps: int, optimizer: Any, validation: float | None, every: int | None, patience: int | None
) -> None:
    """Raise E0855 and E0856 for options that say nothing together."""
    problems = [
        Diagnostic(
            "E0855", f"`{name}` is about rows that are held out, and none are", fix="give `validation = 0.1` beside it"
        )
        for name, value in (("every", every), ("patience", patience))
        if value is not None and validation is None
    ]
    warmup = _optax.warmup_of(optimizer)
    if warmup >= steps:
        problems.append(
            Diagnostic(
                "E0856", f"the learning rate rises for {warmup:,} steps, and there are {steps:,}",
                fix=f"give `warmup = {steps // 10}`, or more than {warmup:,} `steps`",
            )
        )  # fmt: skip
    if problems:
        raise DiagnosticError(problems)


def _diverged(training: Training, objective: Objective) -> DiagnosticError:
    """E0806, of the last step."""
    step = training.steps - 1
    names = {"loss": objective.players[0].name} | {
        f"loss_{player.name}": player.name for player in objective.players[1:]
    }
    bad = next((name for name in names if not np.isfinite(training.trace[name][step])), None)
    what = f"loss of `{names[bad]}` is {training.trace[bad][step]}" if bad else "gradient of the loss is not finite"
    good = (
        int(np.flatnonzero(training.trace["rolled_back"] == 0)[-1])
        if training.facts["rollbacks"] < training.steps
        else None
    )
    kept = f"; the params of the last finite loss are in `{training.path}`" if training.path is not None else ""
    cause = f"steps were taken back and halved {FAILURES} times, one upon the other"
    return DiagnosticError(
        [
            Diagnostic(
                "E0806", f"the {what} at step {step}",
                cause=f"{cause}{kept}" if good is not None else "no step had a finite loss and gradient: it begins so",
                fix="give a smaller learning rate, `optimizer = adam(1e-4)`, or `clip = 1.0`; or look for overflow in the energy",
            )
        ]
    )  # fmt: skip
