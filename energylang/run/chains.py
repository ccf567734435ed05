"""The driver of Markov chains: two programs, one that starts chains and one that takes a chunk of steps."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from energylang.diagnostics import Diagnostic, DiagnosticError
from energylang.model import Kernel, Phase, Target, fold
from energylang.run import checks, keys, output
from energylang.run.files import require_writable
from energylang.run.initial import require_start, starting_point
from energylang.run.interrupt import Interruptible, interrupted
from energylang.run.lanes import Lanes, to_host, width_of
from energylang.run.pace import PART_BYTES, Pace, buffer_steps
from energylang.run.parts import Parts
from energylang.run.phases import schedule
from energylang.run.progress import Progress, Silent
from energylang.run.provenance import Provenance, closure
from energylang.run.result import Run
from energylang.run.store import Memory, Rows, Stage, Store


class Carry(NamedTuple):
    """One chain between steps; every leaf an array."""

    chain: Array
    state: Any
    tune: Any
    memory: Any


def run_chains(
    target: Target,
    kernel: Kernel,
    *,
    lanes: Mapping[str, int],
    provenance: Provenance,
    draws: int = 1000,
    warmup: int = 1000,
    chains: int = 4,
    seed: int = 0,
    init: str = "random",
    out: Path | None = None,
    resume: bool = False,
    progress: Progress | None = None,
    threads: int = 0,
    chunk: int | None = None,
    keep_warmup: bool = True,
) -> Run:
    """Sample `chains` chains of `warmup + draws` steps.

    lanes: the spec's widths by platform. out: the netCDF-4 file to write; None keeps the draws in memory. resume:
    continue what `out` holds of the same run. init: `random` or `pathfinder`, where chains start. threads: 0 for one a core; chunk: steps in a chunk, None to choose by
    time; neither, nor the number of devices, changes a bit of a draw. keep_warmup: whether warm-up draws are kept.

    Raises DiagnosticError: E0801 (no start), E0802 (not finite), E0803 (nothing accepted), E0804, E0805, E0808,
    E0820 to E0822, E0830, and E0840 after Ctrl-C.
    """
    progress = progress if progress is not None else Silent()
    options = {
        "draws": draws,
        "warmup": warmup,
        "chains": chains,
        "seed": seed,
        "init": init,
        "keep_warmup": keep_warmup,
    }
    width = width_of(lanes, chains)
    closed = closure(provenance, options, width)
    if out is not None:
        out = require_writable(out)
        if resume and (finished := output.finished(out, closed)):
            progress.note(f"`{out}` is whole already")
            return finished
    driver = _Chains(target, kernel, draws, warmup, chains, seed, init, keep_warmup, progress)
    with Lanes(chains, width, threads) as group, Interruptible(progress) as signals:
        if out is None:
            checks.require_memory(driver.bytes())
            memory = Memory()
            seconds = driver.run(group, memory, None, chunk, signals, out)
            data = output.in_memory(memory, provenance, {"warmup": warmup, "sampling": draws})
            run = Run(data, output.facts(provenance, options, closed, seconds, group.programs))
        else:
            with Parts(out, closed) as parts:
                seconds = driver.run(group, parts, parts if resume else None, chunk, signals, out)
                progress.phase("writing")
                facts = output.facts(provenance, options, closed, seconds, group.programs)
                counts: dict[Stage, int] = {"warmup": warmup if keep_warmup else 0, "sampling": draws}
                output.write(out, parts, provenance, facts, chains, counts)
                parts.remove()
            run = Run(output.FileData(out), facts)
    checks.require_acceptance(run.data)
    return run


class _Chains:
    """One run: its programs, and the loop over chunks."""

    def __init__(
        self,
        target: Target,
        kernel: Kernel,
        draws: int,
        warmup: int,
        chains: int,
        seed: int,
        init: str,
        keep_warmup: bool,
        progress: Progress,
    ) -> None:
        if kernel.scope != "chain":
            raise DiagnosticError(
                [
                    Diagnostic(
                        "E0808",
                        "this method moves all chains together, which is not run yet",
                        fix="choose another method (`energylang methods`)",
                    )
                ]
            )
        self.target, self.kernel, self.progress = target, kernel, progress
        self.draws, self.warmup, self.chains, self.keep_warmup = draws, warmup, chains, keep_warmup
        self.root, self.init = keys.root_data(seed), init
        shape = jax.eval_shape(self._first, target, self.root, jax.ShapeDtypeStruct((), jnp.uint32))
        # A dictionary that leaves JAX is sorted; the order of the model is the one people look for.
        self.row = {name: shape[name] for name in self._order}

    def bytes(self) -> int:
        """What all draws that are kept take, in bytes."""
        return self._row_bytes * self.chains * (self.draws + (self.warmup if self.keep_warmup else 0))

    @property
    def _row_bytes(self) -> int:
        return sum(leaf.size * leaf.dtype.itemsize for leaf in self.row.values())

    # --- what one lane does ---------------------------------------------------------------------------------------

    def _start(self, shared: Any, chain: Array) -> tuple[Carry, Any]:
        """The carry of one chain before its first step, and the report of its starting point."""
        target, root = shared
        key = keys.root_key(root)
        trial = starting_point(self.init, target, key, chain)
        tune, memory = self.kernel.tuning(target)
        state = self.kernel.init(target, trial.x, fold(key, keys.START, chain))
        return _arrays(Carry(chain, state, tune, memory)), trial._replace(x=())

    def _first(self, target: Target, root: Array, chain: Array) -> dict[str, Array]:
        """The row of a first step; only its names, shapes and dtypes are wanted."""
        carry, _ = self._start((target, root), chain)
        key = keys.root_key(root)
        row = self._row(target, *self.kernel.step(target, carry.tune, carry.state, key), key)
        self._order = list(row)
        return row

    def _row(self, target: Target, state: Any, info: Mapping[str, Array], key: Array) -> dict[str, Array]:
        """What is kept of one step."""
        energy = target.energy(state.x)
        stats = {**info, "lp": -energy, "model_energy": energy}
        return output.row(target.outputs(state.x, key), stats)

    def _chunk(self, shared: Any, carry: Carry) -> tuple[Carry, dict[str, Array]]:
        """`count` steps from the absolute step `start`; rows [buffer, …], of which the first `count` are filled."""
        target, root, start, count, phases = shared
        key = keys.root_key(root)
        length = phases.warming.shape[0]
        rows = {name: jnp.zeros((length, *leaf.shape), leaf.dtype) for name, leaf in self.row.items()}

        def step(at: Array, both: tuple[Carry, dict[str, Array]]) -> tuple[Carry, dict[str, Array]]:
            (chain, state, tune, memory), rows = both
            state, info = self.kernel.step(target, tune, state, fold(key, keys.STEP, chain, start + at))
            phase = Phase(*(leaf[at] for leaf in phases))
            tune, memory = jax.lax.cond(
                phase.warming,
                lambda tune, memory: _arrays(self.kernel.adapt(phase, tune, memory, state, info)),
                lambda tune, memory: _arrays((tune, memory)),
                tune,
                memory,
            )
            # Made inside the loop, a row cannot depend on how many of them share a chunk.
            row = self._row(target, state, info, fold(key, keys.OUTPUT, chain, start + at))
            return Carry(chain, state, tune, memory), {name: rows[name].at[at].set(row[name]) for name in rows}

        return jax.lax.fori_loop(0, count, step, (carry, rows))

    # --- the loop over chunks -------------------------------------------------------------------------------------

    def run(
        self,
        lanes: Lanes,
        store: Store,
        checkpoint: Parts | None,
        chunk: int | None,
        signals: Interruptible,
        out: Path | None,
    ) -> float:
        """Fill the store with every step; the seconds spent in steps, those before a resume included."""
        total = self.warmup + self.draws
        steps = buffer_steps(self._row_bytes, lanes.width)
        shared = lanes.share((self.target, self.root))
        begin = lanes.lower(self._start, shared, lanes.numbers(0))
        blank = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), begin.out_info[0])
        restored = self._restore(lanes, blank, checkpoint, store)
        self.progress.phase("compiling")
        advance = lanes.lower(self._chunk, self._shared(shared, 0, 0, steps), blank, donate=True)
        if restored is None:
            first, program = lanes.compile([begin, advance])
            started = lanes.run(lambda unit: jax.block_until_ready(first(shared, lanes.numbers(unit))))
            require_start(self.target, lanes.join([to_host(trial) for _, trial in started]))
            carries, step, seconds = [carry for carry, _ in started], 0, 0.0
        else:
            (program,) = lanes.compile([advance])
            carries, step, seconds = restored
        if isinstance(store, Parts):
            checks.require_space(store.folder, self._row_bytes * self.chains * (total - step))
        pace = Pace(max(1, PART_BYTES // (self._row_bytes * self.chains)), chunk)
        stage: Stage | None = None
        while step < total:
            if signals.asked:
                raise interrupted(step, total, out)
            end = self.warmup if step < self.warmup else total
            if stage != (stage := "warmup" if step < self.warmup else "sampling"):
                self.progress.phase("warm-up" if stage == "warmup" else "sampling")
                self.progress.advance(step, end, {})
            count = min(pace.next(), end - step)
            # A chunk of a quick model fills the buffer several times.
            calls = [(at, min(steps, step + count - at)) for at in range(step, step + count, steps)]
            given = [(self._shared(shared, at, length, steps), length) for at, length in calls]
            began = time.perf_counter()

            def work(unit: int, given: Any = given) -> tuple[Rows, Any]:
                pieces: list[Rows] = []
                for arguments, length in given:
                    carries[unit], rows = program(arguments, carries[unit])
                    pieces.append({name: np.array(np.asarray(leaf)[:, :length]) for name, leaf in rows.items()})
                rows = {name: np.concatenate([piece[name] for piece in pieces], axis=1) for name in pieces[0]}
                return rows, to_host(carries[unit]) if isinstance(store, Parts) else None

            results = lanes.run(work)
            spent = time.perf_counter() - began
            pace.took(count, spent)
            seconds += spent
            joined = lanes.join([rows for rows, _ in results])
            rows = {name: joined[name] for name in self.row}
            state = {} if out is None else _leaves(lanes.join([state for _, state in results]))
            checks.require_finite(rows["stats/model_energy"], step)
            kept = output.kept(stage, rows) if stage == "sampling" or self.keep_warmup else {}
            store.append(stage, step, step + count, kept, state, seconds)
            step += count
            self.progress.advance(step, end, checks.facts_of(rows))
        return seconds

    def _shared(self, shared: Any, start: int, count: int, steps: int) -> Any:
        phases = schedule(start, steps, self.warmup)
        return (*shared, np.uint32(start), np.int32(count), phases)

    def _restore(
        self, lanes: Lanes, blank: Carry, checkpoint: Parts | None, store: Store
    ) -> tuple[list[Carry], int, float] | None:
        """The carries of a checkpoint, its step and seconds; None to begin at the beginning."""
        if checkpoint is None or not checkpoint.exists:
            if checkpoint is not None:
                self.progress.note("there is nothing to resume; starting afresh")
            if isinstance(store, Parts) and store.begin():
                self.progress.note(f"an interrupted run was there; it is now `{store.folder}.previous`")
            return None
        shapes = {path: ((self.chains, *leaf.shape[1:]), np.dtype(leaf.dtype)) for path, leaf in _leaves(blank).items()}
        found, note = checkpoint.resume(shapes)
        if note:
            self.progress.note(note)
        if found is None:
            return None
        carry = jax.tree.unflatten(jax.tree.structure(blank), [found.state[path] for path in shapes])
        return lanes.split(carry), found.step, found.seconds


def _leaves(tree: Any) -> dict[str, Any]:
    """Leaves by path, in the tree's order."""
    return {f"state{jax.tree_util.keystr(path)}": leaf for path, leaf in jax.tree_util.tree_leaves_with_path(tree)}


def _arrays(tree: Any) -> Any:
    """Every leaf a strongly typed array, so that what comes out of a program can go back in."""
    return jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.asarray(leaf).dtype), tree)
