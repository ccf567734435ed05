"""The driver of training: optimiser steps in chunks of one program, several players in turn."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from energylang.diagnostics import Diagnostic, DiagnosticError
from energylang.model import Batch, Objective, Params, Player, Trainable, fold
from energylang.run import keys, output
from energylang.run.data import PARAMS, FileData, safe_name
from energylang.run.executables import compile_all
from energylang.run.files import as_diagnostics, require_writable
from energylang.run.interrupt import Interruptible, interrupted
from energylang.run.lanes import to_host
from energylang.run.netcdf import Writer
from energylang.run.pace import BUFFER_STEPS, Pace
from energylang.run.parts import Parts
from energylang.run.progress import Progress, Silent
from energylang.run.provenance import Provenance, closure
from energylang.run.store import Memory, Rows, Store, joined

TRACE = "training"


class Carry(NamedTuple):
    """Between steps. optimizers: the optimiser's state of each player, by name."""

    params: Params
    optimizers: dict[str, Any]
    memory: Any


class Training:
    """The result of `train`: `params` (the model's tree, host arrays) and `trace` (float32[steps] by name).

    The trace has `loss` and the metrics of the first player, and those of every other with `_<name>` after them; a
    step that a player sits out is NaN.
    """

    def __init__(
        self, params: Params, trace: Mapping[str, np.ndarray], facts: Mapping[str, Any], path: Path | None
    ) -> None:
        self.params, self.trace, self.facts, self.path = params, dict(trace), dict(facts), path
        self.warnings: list[str] = []

    @classmethod
    def open(cls, path: str | Path, like: Params) -> Training:
        """What a training run wrote, the params in the tree of `like`; raises E0831 where they do not fit."""
        data = FileData(Path(path))
        trace = {name: data.read(TRACE, name) for name in data.names(TRACE)}
        return cls(read_params(data.path, like), trace, data.facts, data.path)

    @property
    def loss(self) -> float:
        """The mean loss of the last tenth of the steps."""
        values = self.trace["loss"]
        return float(np.nanmean(values[-max(1, len(values) // 10) :], dtype=np.float64))

    @property
    def method(self) -> str:
        return self.facts["method"]

    @property
    def options(self) -> dict[str, Any]:
        return json.loads(self.facts["options"])

    @property
    def programs(self) -> int:
        return self.facts["programs"]


def run_training(
    objective: Objective,
    model: Trainable,
    data: Batch,
    *,
    provenance: Provenance,
    steps: int = 1000,
    batch: int | None = None,
    learning_rate: float = 1e-2,
    seed: int = 0,
    out: Path | None = None,
    resume: bool = False,
    progress: Progress | None = None,
    chunk: int | None = None,
) -> Training:
    """Take `steps` steps of Adam on the params of `model`.

    data: arrays with one leading dim of rows, the same for all. batch: rows drawn for a step, with replacement; None
    for all rows every time. out: the netCDF-4 file of the params and the trace. resume: continue an interrupted run
    of the same closure, to the very numbers of an uninterrupted one.

    Raises DiagnosticError: E0806 (the loss is not finite), E0804, E0820 to E0822, E0830, E0840.
    """
    progress = progress if progress is not None else Silent()
    options = {"steps": steps, "batch": batch, "learning_rate": learning_rate, "seed": seed}
    closed = closure(provenance, options, 1)
    trainer = _Trainer(objective, model, data, batch, learning_rate, seed)
    with Interruptible(progress) as signals:
        if out is None:
            memory = Memory()
            carry, seconds = trainer.run(memory, None, steps, chunk, progress, signals)
            said = output.facts(provenance, options, closed, seconds, trainer.programs)
            return Training(carry.params, _trace(memory, steps), said, None)
        out = require_writable(out)
        if resume and output.finished(out, closed):
            progress.note(f"`{out}` is whole already")
            return Training.open(out, model.params)
        with Parts(out, closed) as parts:
            carry, seconds = trainer.run(parts, parts if resume else None, steps, chunk, progress, signals)
            trace = _trace(parts, steps)
            said = output.facts(provenance, options, closed, seconds, trainer.programs)
            with as_diagnostics(out, f"every step is kept in `{parts.folder}`"), Writer(out) as writer:
                writer.group(PARAMS, {})
                for name, leaf in named_leaves(carry.params).items():
                    writer.whole(PARAMS, name, leaf)
                writer.group(TRACE, {}, step=steps)
                for name, values in trace.items():
                    writer.whole(TRACE, safe_name(name), values, ("step",))
                output.write_origin(writer, provenance, said)
            parts.remove()
    return Training(carry.params, trace, said, out)


def named_leaves(params: Params) -> dict[str, np.ndarray]:
    """Leaves by the path of their keys joined by dots, as the group `params` of a file has them."""
    found = jax.tree_util.tree_leaves_with_path(params)
    return {jax.tree_util.keystr(path, simple=True, separator="."): np.asarray(leaf) for path, leaf in found}


def read_params(path: Path, like: Params) -> Params:
    """The params that a training run wrote, in the tree of `like`.

    Raises E0831 where the file is not one of a run, or lacks a param, or has one of another shape.
    """
    data = FileData(Path(path))
    found, wrong = [], []
    for name, leaf in named_leaves(like).items():
        if name not in data.names(PARAMS):
            wrong.append(f"`{name}` is missing")
            continue
        value = data.read(PARAMS, name)
        if value.shape != leaf.shape:
            wrong.append(f"`{name}` has shape {list(value.shape)} there and {list(leaf.shape)} in the model")
        found.append(value.astype(leaf.dtype))
    if wrong:
        message = f"the params in `{path}` are not those of this model: {'; '.join(wrong)}"
        raise DiagnosticError([Diagnostic("E0831", message)])
    return jax.tree.unflatten(jax.tree.structure(like), found)


class _Trainer:
    """One training run: its two programs and the loop over chunks."""

    def __init__(
        self, objective: Objective, model: Trainable, data: Batch, batch: int | None, rate: float, seed: int
    ) -> None:
        import optax

        self.objective, self.model, self.data = objective, model, dict(data)
        self.rows = next((np.shape(values)[0] for values in self.data.values()), 0)
        self.batch = batch if batch is not None and batch < self.rows else None
        self.optimizer = optax.adam(rate)
        self.root = keys.root_data(seed)
        self.programs = 0

    def _owned(self, player: Player, params: Params) -> Params:
        return {name: params[name] for name in player.owns or params if name not in self.model.buffers}

    def _start(self, model: Trainable, data: Batch, root: Array) -> Carry:
        key = keys.root_key(root)
        model = model.begun(self._rows(data, key, 0), fold(key, keys.BEGIN))
        optimizers = {
            player.name: self.optimizer.init(self._owned(player, model.params)) for player in self.objective.players
        }
        memory = self.objective.init(model, fold(key, keys.START))
        return jax.tree.map(jnp.asarray, Carry(model.params, optimizers, memory))

    def _rows(self, data: Batch, key: Array, step: Array | int) -> Batch:
        """The rows of a step."""
        if self.batch is None:
            return data
        chosen = jax.random.randint(fold(key, keys.BATCH, step), (self.batch,), 0, self.rows)
        return {name: values[chosen] for name, values in data.items()}

    def _step(
        self, model: Trainable, data: Batch, root: Array, carry: Carry, step: Array
    ) -> tuple[Carry, dict[str, Array]]:
        """One step of every player whose turn it is, and the row of the trace."""
        key = keys.root_key(root)
        data = self._rows(data, key, step)
        row: dict[str, Array] = {}
        for number, player in enumerate(self.objective.players):

            def move(carry: Carry, player: Player = player, number: int = number) -> tuple[Carry, dict[str, Array]]:
                def loss(owned: Params) -> tuple[Array, tuple[Any, Mapping[str, Array]]]:
                    moved = model.with_params({**carry.params, **owned})
                    return self.objective.loss(player, moved, carry.memory, data, fold(key, keys.LOSS, number, step))

                owned = self._owned(player, carry.params)
                (value, (memory, metrics)), slope = jax.value_and_grad(loss, has_aux=True)(owned)
                change, optimizer = self.optimizer.update(slope, carry.optimizers[player.name], owned)
                owned = jax.tree.map(lambda old, by: old + by, owned, change)
                last = "" if number == 0 else f"_{player.name}"
                said = {"loss": value, **{metric: jnp.mean(values) for metric, values in metrics.items()}}
                params = model.with_params({**carry.params, **owned}).settled().params
                carry = Carry(params, {**carry.optimizers, player.name: optimizer}, memory)
                return carry, {f"{name}{last}": jnp.asarray(values, jnp.float32) for name, values in said.items()}

            if player.every == 1:
                carry, said = move(carry)
            else:
                shape = jax.eval_shape(move, carry)[1]

                def rest(carry: Carry, shape: Any = shape) -> tuple[Carry, dict[str, Array]]:
                    return carry, {name: jnp.full(leaf.shape, jnp.nan, leaf.dtype) for name, leaf in shape.items()}

                carry, said = jax.lax.cond(step % player.every == 0, move, rest, carry)
            row |= said
        return carry, row

    def _chunk(
        self, model: Trainable, data: Batch, root: Array, start: Array, count: Array, carry: Carry
    ) -> tuple[Carry, dict[str, Array]]:
        shape = jax.eval_shape(self._step, model, data, root, carry, start)[1]
        rows = {name: jnp.zeros((BUFFER_STEPS, *leaf.shape), leaf.dtype) for name, leaf in shape.items()}

        def step(at: Array, both: tuple[Carry, dict[str, Array]]) -> tuple[Carry, dict[str, Array]]:
            carry, rows = both
            carry, row = self._step(model, data, root, carry, start + at)
            return carry, {name: rows[name].at[at].set(row[name]) for name in rows}

        return jax.lax.fori_loop(0, count, step, (carry, rows))

    def run(
        self,
        store: Store,
        checkpoint: Parts | None,
        steps: int,
        chunk: int | None,
        progress: Progress,
        signals: Interruptible,
    ) -> tuple[Carry, float]:
        """Every step; the carry on the host, and the seconds spent in steps."""
        progress.phase("compiling")
        # A model that is no pytree is closed over: its arrays are then constants of the program.
        given = None if jax.tree_util.all_leaves([self.model]) else self.model
        own = (lambda model: self.model) if given is None else (lambda model: model)
        data = jax.device_put(self.data)
        begin = jax.jit(lambda model, data, root: self._start(own(model), data, root)).lower(given, data, self.root)
        blank = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), begin.out_info)
        expected = {path: (leaf.shape, np.dtype(leaf.dtype)) for path, leaf in _paths(blank).items()}
        found = None
        if checkpoint is not None and checkpoint.exists:
            found, note = checkpoint.resume(expected)
            if note:
                progress.note(note)
        elif isinstance(store, Parts) and store.begin():
            progress.note(f"an interrupted run was there; it is now `{store.folder}.previous`")
        advance = jax.jit(
            lambda model, data, root, start, count, carry: self._chunk(own(model), data, root, start, count, carry),
            donate_argnums=5,
        ).lower(given, data, self.root, np.uint32(0), np.int32(0), blank)
        if found is None:
            made = compile_all([begin, advance])
            carry, step, seconds = made[0].call(given, data, self.root), 0, 0.0
        else:
            made = compile_all([advance])
            carry = jax.tree.unflatten(jax.tree.structure(blank), [found.state[path] for path in expected])
            step, seconds = found.step, found.seconds
        self.programs, program = sum(one.fresh for one in made), made[-1].call
        pace = Pace(BUFFER_STEPS, chunk)
        progress.phase("training")
        progress.advance(step, steps, {})
        while step < steps:
            if signals.asked:
                raise interrupted(step, steps, store.out if isinstance(store, Parts) else None)
            count = min(pace.next(), steps - step)
            began = time.perf_counter()
            carry, buffers = program(given, data, self.root, np.uint32(step), np.int32(count), carry)
            rows = {name: np.array(np.asarray(leaf)[:count]) for name, leaf in buffers.items()}
            spent = time.perf_counter() - began
            pace.took(count, spent)
            seconds += spent
            self._require_finite(rows, step)
            state = _paths(to_host(carry)) if isinstance(store, Parts) else {}
            kept = {f"stats/{name}": values[None] for name, values in rows.items()}
            store.append("sampling", step, step + count, kept, state, seconds)
            step += count
            progress.advance(step, steps, {"loss": float(np.nanmean(rows["loss"]))})
        return to_host(carry), seconds

    def _require_finite(self, rows: Rows, first: int) -> None:
        for number, player in enumerate(self.objective.players):
            values = rows["loss" if number == 0 else f"loss_{player.name}"]
            turns = (first + np.arange(len(values))) % player.every == 0
            bad = np.flatnonzero(turns & ~np.isfinite(values))
            if bad.size:
                at = int(bad[0])
                raise DiagnosticError(
                    [
                        Diagnostic(
                            "E0806",
                            f"the loss of `{player.name}` is {values[at]} at step {first + at}",
                            fix="give a smaller `learning_rate`, or look for overflow in the energy",
                        )
                    ]
                )


def _trace(store: Store, steps: int) -> dict[str, np.ndarray]:
    arrays = joined(store.chunks("sampling"), steps)
    return {name.partition("/")[2]: values[0] for name, values in arrays.items()}


def _paths(tree: Any) -> dict[str, Any]:
    return {f"state{jax.tree_util.keystr(path)}": leaf for path, leaf in jax.tree_util.tree_leaves_with_path(tree)}
