"""The loop of training: programs that begin, take steps and look at what is held out, and the chunks between."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from energylang.model import Batch, Params, Trainable, fold
from energylang.run import keys
from energylang.run.batches import Batches
from energylang.run.carry import leaves
from energylang.run.executables import Executable, compile_all
from energylang.run.heldout import Looks
from energylang.run.interrupt import Interruptible, interrupted
from energylang.run.lanes import to_host
from energylang.run.learning import FAILURES, Carry, Learning
from energylang.run.pace import BUFFER_STEPS, Pace
from energylang.run.parts import Parts
from energylang.run.progress import Progress
from energylang.run.store import Store

HELD_LOSS = "validation_loss"


@dataclass(frozen=True)
class Learned:
    """What came of it. steps: those taken; ended: by what, their number, `patience`, or that it `diverged`.

    carry: on the host, of the last step.
    """

    carry: Carry
    params: Params
    steps: int
    seconds: float
    ended: str


class Trainer:
    """One training run: its programs and the loop over chunks. held: parts of rows; looks: None without any."""

    def __init__(
        self,
        learning: Learning,
        model: Trainable,
        batches: Batches,
        held: tuple[np.ndarray, ...],
        looks: Looks | None,
        seed: int,
    ) -> None:
        self.learning, self.model, self.batches, self.held, self.looks = learning, model, batches, held, looks
        self.root = keys.root_data(seed)
        self.programs = 0
        # A model that is no pytree is closed over: its arrays are then constants of the program.
        self._given = None if jax.tree_util.all_leaves([model]) else model

    def _model(self, given: Any) -> Trainable:
        return self.model if given is None else given

    # --- the programs ---------------------------------------------------------------------------------------------

    def _begin(self, given: Any, whole: Batch, some: Any, root: Array) -> Carry:
        return self.learning.start(
            self._model(given), self.batches.taken(self.batches.stacked(whole, some, 1), 0), root
        )

    def _chunk(
        self, given: Any, whole: Batch, some: Any, root: Array, start: Array, count: Array, carry: Carry
    ) -> tuple[Carry, Array, dict[str, Array]]:
        """`count` steps from the absolute step `start`, or as many as there is hope for; their number; the trace."""
        model, stack = self._model(given), self.batches.stacked(whole, some, count)

        def step(at: Array, carry: Carry) -> tuple[Carry, dict[str, Array]]:
            batch = self.batches.taken(stack, at)
            return self.learning.step(model, batch, root, start + at.astype(start.dtype), carry)

        shape = jax.eval_shape(step, count, carry)[1]
        rows = {name: jnp.zeros((self.batches.steps, *leaf.shape), leaf.dtype) for name, leaf in shape.items()}

        def body(at: Array, carry: Carry, rows: dict[str, Array]) -> tuple[Array, Carry, dict[str, Array]]:
            carry, row = step(at, carry)
            return at + 1, carry, {name: rows[name].at[at].set(row[name]) for name in rows}

        done, carry, rows = jax.lax.while_loop(
            lambda now: (now[0] < count) & (now[1].failed < FAILURES),
            lambda now: body(*now),
            (jnp.zeros_like(count), carry, rows),
        )
        return carry, done, rows

    def _look(self, given: Any, params: Params, memory: Any, root: Array, number: Array, block: Batch) -> Array:
        """The loss of a block of rows held out; its key is the same at every look."""
        model, objective = self._model(given).with_params(params), self.learning.objective
        key = fold(keys.root_key(root), keys.HELD, number)
        return objective.loss(objective.players[0], model, memory, block, key)[0]

    # --- the loop over chunks -------------------------------------------------------------------------------------

    def run(
        self,
        store: Store,
        checkpoint: Parts | None,
        steps: int,
        chunk: int | None,
        progress: Progress,
        signals: Interruptible,
    ) -> Learned:
        """Every step; the seconds are those spent in steps, before a resume too."""
        progress.phase("compiling")
        whole, first = self.batches.whole(), self.batches.some(0, 1)
        # What begins takes its rows from where the first step does.
        begin = jax.jit(self._begin).lower(self._given, whole, first, self.root)
        blank = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), begin.out_info)
        found = self._restored(blank, checkpoint, store, progress)
        advance = jax.jit(self._chunk, donate_argnums=6).lower(
            self._given, whole, first, self.root, np.uint32(0), np.int32(0), blank
        )
        lowered = [advance] if found is not None else [begin, advance]
        parts = [self.batches.held(numbers) for numbers in self.held]
        if parts:
            state = blank.good
            arguments = self._given, blank.average or state.params, state.memory, self.root, np.uint32(0), parts[0]
            lowered.append(jax.jit(self._look).lower(*arguments))
        made = compile_all(lowered)
        self.programs = sum(one.fresh for one in made)
        program, look = made[len(lowered) - 1 - bool(parts)].call, made[-1]
        if self.batches.resident:
            parts = [jax.device_put(block) for block in parts]
        carry, step, seconds = found or (made[0].call(self._given, whole, first, self.root), 0, 0.0)
        if self.looks is not None and found is None:
            self.looks.begin(to_host(carry.now.params))
        pace = Pace(BUFFER_STEPS, chunk)
        progress.phase("training")
        progress.advance(step, steps, {})
        said: dict[str, float] = {}
        diverged = False
        while step < steps and not diverged and not (self.looks is not None and self.looks.over):
            if signals.asked:
                raise interrupted(step, steps, store.out if isinstance(store, Parts) else None)
            count = min(max(1, pace.next()), steps - step)
            if self.looks is not None:
                count = min(count, self.looks.every - step % self.looks.every)
            began = time.perf_counter()
            carry, rows, done = self._advanced(program, whole, step, count, carry)
            spent = time.perf_counter() - began
            pace.took(count, spent)
            diverged = done < count or int(carry.failed) >= FAILURES
            step += done
            if self.looks is not None:
                rows[HELD_LOSS] = np.full(done, np.nan, np.float32)
                if not diverged and self.looks.due(step, steps):
                    loss = self._held_loss(look, carry, parts)
                    self.looks.see(step, loss, carry.average or carry.now.params)
                    rows[HELD_LOSS][-1] = said["validation"] = loss
            seconds += time.perf_counter() - began
            state = leaves(to_host(carry)) if isinstance(store, Parts) else {}
            if isinstance(store, Parts) and self.looks is not None:
                state |= self.looks.state()
            kept = {f"stats/{name}": values[None] for name, values in rows.items()}
            store.append("sampling", step - done, step, kept, state, seconds)
            finite = rows["loss"][np.isfinite(rows["loss"])]
            said["loss"] = float(np.mean(finite)) if finite.size else np.nan
            progress.advance(step, steps, dict(reversed(said.items())))
        carry = to_host(carry)
        ended = "diverged" if diverged else "patience" if self.looks is not None and self.looks.over else "steps"
        return Learned(carry, self._chosen(carry, diverged), step, seconds, ended)

    def _advanced(
        self, program: Any, whole: Batch, start: int, count: int, carry: Carry
    ) -> tuple[Carry, dict[str, np.ndarray], int]:
        """`count` steps; the carry, the trace, and how many steps there were, fewer where there is no hope."""
        size, pieces, taken = self.batches.steps, [], 0
        some = self.batches.some(start, min(size, count))
        for at in range(0, count, size):
            wanted = min(size, count - at)
            given = (self._given, whole, some, self.root, np.uint32(start + at), np.int32(wanted), carry)
            carry, done, rows = program(*given)
            if at + size < count:
                # While these are learned from, the next come from the host.
                some = self.batches.some(start + at + size, min(size, count - at - size))
            taken += int(done)
            pieces.append({name: np.asarray(leaf)[: int(done)] for name, leaf in rows.items()})
            if int(done) < wanted:
                break
        return carry, {name: np.concatenate([piece[name] for piece in pieces]) for name in pieces[0]}, taken

    def _held_loss(self, look: Executable, carry: Carry, parts: list[Any]) -> float:
        params = carry.average or carry.now.params
        found = [
            look.call(self._given, params, carry.now.memory, self.root, np.uint32(number), block)
            for number, block in enumerate(parts)
        ]
        return float(np.mean([float(value) for value in found]))

    def _restored(
        self, blank: Carry, checkpoint: Parts | None, store: Store, progress: Progress
    ) -> tuple[Carry, int, float] | None:
        """The carry of a checkpoint, its step and seconds; None to begin at the beginning."""
        expected = {path: (leaf.shape, np.dtype(leaf.dtype)) for path, leaf in leaves(blank).items()}
        paths = list(expected)
        if self.looks is not None:
            expected |= self.looks.expected(blank.now.params)
        found = None
        if checkpoint is not None and checkpoint.exists:
            found, note = checkpoint.resume(expected)
            if note:
                progress.note(note)
        elif isinstance(store, Parts) and store.begin():
            progress.note(f"an interrupted run was there; it is now `{store.folder}.previous`")
        if found is None:
            return None
        if self.looks is not None:
            self.looks.restore(found.state, blank.now.params)
        state = [found.state[path] for path in paths]
        return jax.tree.unflatten(jax.tree.structure(blank), state), found.step, found.seconds

    def _chosen(self, carry: Carry, diverged: bool) -> Params:
        """The params that are kept: the best where training may end early, the average where there is one, else the last."""
        if self.looks is not None and self.looks.patience is not None and np.isfinite(self.looks.loss):
            return self.looks.best
        if carry.average:
            return carry.average
        last = carry.now.params
        finite = all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(last))
        return carry.good.params if diverged or not finite else last
