"""The driver of Markov chains: two programs, one that starts chains and one that takes a chunk of steps."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, cast

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from energylang.model import Info, Kernel, Phase, Point, Target, fold
from energylang.run import checks, keys, output
from energylang.run.carry import Carry, leaves, strong
from energylang.run.conduct import conduct
from energylang.run.hosts import Hosts
from energylang.run.initial import Trial, given_of, require_start, starting_point
from energylang.run.interrupt import Interruptible, interrupted
from energylang.run.lanes import TOGETHER, Lanes, to_host
from energylang.run.length import Ended, Length, Stopped
from energylang.run.monitor import Monitor
from energylang.run.pace import FIRST, PART_BYTES, Pace, buffer_steps
from energylang.run.parts import Checkpoint, Parts
from energylang.run.phases import schedule
from energylang.run.programs import Programs
from energylang.run.progress import Progress, Silent
from energylang.run.provenance import Provenance
from energylang.run.result import Run
from energylang.run.starts import Starts
from energylang.run.store import Rows, Stage, Store
from energylang.stopping import spell


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
    init: str | Starts = "random",
    out: Path | None = None,
    resume: bool = False,
    progress: Progress | None = None,
    threads: int = 0,
    chunk: int | None = None,
    keep_warmup: bool = True,
    thin: int = 1,
    until: str | None = None,
    budget: float | None = None,
) -> Run:
    """Sample `chains` chains of `warmup + thin * draws` steps, and keep each `thin`-th of those after warm-up.

    lanes: the spec's widths by platform. out: the netCDF-4 file to write; None keeps the draws in memory. resume:
    continue what `out` holds of the same run. init: where chains start, `random`, `pathfinder` or given values. threads: 0 for one a core; chunk: steps in a chunk, None to choose by
    time; neither, nor the number of devices, changes a bit of a draw. keep_warmup: whether warm-up draws are kept.
    until: an aim (`ess=400, r_hat=1.01`) at which the run ends before `draws`. budget: seconds after which it ends, those
    of compiling included and those before a resume not; the draws made by then are the first of the whole run.

    Raises DiagnosticError: E0801 (no start), E0802 (not finite), E0803 (nothing accepted), E0804, E0805, E0808,
    E0820 to E0822, E0830, E0865, E0840 after Ctrl-C, and E0870 (the budget ended before a draw).
    """
    length = Length.of(draws, warmup, thin, until, budget)
    progress = progress if progress is not None else Silent()
    options = {
        "draws": draws,
        "warmup": warmup,
        "chains": chains,
        "seed": seed,
        "init": init if isinstance(init, str) else init.label,
        "keep_warmup": keep_warmup,
    }
    return conduct(
        lambda progress, together: Chains(
            target, kernel, length, chains, seed, init, keep_warmup, progress, together
        ),
        length, options, lanes=lanes, provenance=provenance, out=out, resume=resume, progress=progress, threads=threads,
        chunk=chunk, ensemble=kernel.scope == "ensemble",
    )  # fmt: skip


class Chains:
    """One run: its programs, and the loop over chunks.

    facts: what else is said of the run when it is over. more: what it has beside rows, by group and name.
    """

    STAGES: ClassVar[Mapping[Stage, str]] = {"warmup": "warm-up", "sampling": "sampling"}
    ROW = "draw"
    """What stages and rows are called."""

    def __init__(
        self,
        target: Target,
        kernel: Kernel,
        length: Length,
        chains: int,
        seed: int,
        init: str | Starts,
        keep_warmup: bool,
        progress: Progress,
        hosts: Hosts,
    ) -> None:
        self.target, self.kernel, self.progress, self.hosts = target, kernel, progress, hosts
        self.ensemble = kernel.scope == "ensemble"
        self.length, self.warmup, self.chains, self.keep_warmup = length, length.warmup, chains, keep_warmup
        self.root, self.init, self.given = keys.root_data(seed), init, given_of(init)
        self.facts: dict[str, Any] = {}
        self.more: dict[str, dict[str, np.ndarray]] = {}
        # Traced once: for the shapes of a row, and again from JAX's memory inside the loop.
        self._moved, self._told = jax.jit(self._move, inline=True), jax.jit(self._tell, inline=True)

    # --- what one lane does ---------------------------------------------------------------------------------------

    def _begin(self, target: Target, root: Array, given: Any, chain: Array) -> tuple[Carry, Trial]:
        """The carry of one chain before its first step, and the report of its starting point."""
        key = keys.root_key(root)
        trial = starting_point(self.init, target, key, chain, given)
        tune, memory = self.kernel.tuning(target)
        state = self.kernel.init(target, trial.x, fold(key, keys.START, chain))
        return strong(Carry(chain, state, tune, memory)), trial

    def _start(self, shared: Any, chain: Array) -> dict[str, dict[str, Array]]:
        """The first program: the leaves of the carry, and what is known of the starting point but where it is."""
        target, root, given = shared
        carry, trial = self._begin(target, root, given, chain)
        return {"carry": leaves(carry), "trial": {name: leaf for name, leaf in trial._asdict().items() if name != "x"}}

    @cached_property
    def _blank(self) -> Carry:
        """A carry of shapes."""
        chain = jax.ShapeDtypeStruct((), jnp.uint32)
        return jax.eval_shape(self._begin, self.target, self.root, self.given, chain)[0]

    @cached_property
    def _row_shapes(self) -> dict[str, Any]:
        phase = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape[1:], leaf.dtype), schedule(0, 1, self.warmup))
        step = self.target, self.root, np.uint32(0)
        move = self._moved
        if self.ensemble:
            move = jax.vmap(move, in_axes=None, out_axes=None, axis_size=self.chains, axis_name=TOGETHER)
        carry, self._info = jax.eval_shape(move, *step, phase, self._blank)
        shape = jax.eval_shape(self._told, *step, carry, self._info)
        # A dictionary that leaves JAX is sorted; the order of the model is the one people look for.
        return {name: shape[name] for name in self._order}

    def _move(self, target: Target, root: Array, at: Array, phase: Phase, carry: Carry) -> tuple[Carry, Info]:
        """The absolute step `at`."""
        chain, state, tune, memory = carry
        key = keys.root_key(root)
        state, info = self.kernel.step(target, tune, state, fold(key, keys.STEP, chain, at))
        seen = jax.lax.all_gather((state, info), TOGETHER) if self.ensemble else (state, info)
        tune, memory = jax.lax.cond(
            phase.warming,
            lambda tune, memory: strong(self.kernel.adapt(phase, tune, memory, *seen)),
            lambda tune, memory: strong((tune, memory)),
            tune,
            memory,
        )
        return Carry(chain, state, tune, memory), strong(info)

    def _moves(
        self, target: Target, root: Array, first: Array, every: Array, phase: Phase, carry: Carry
    ) -> tuple[Carry, Info]:
        """`every` steps; what was true of one of them, such as a divergence, is said of the last."""

        def again(at: Array, both: tuple[Carry, Info]) -> tuple[Carry, Info]:
            carry, info = self._moved(target, root, first + at, phase, both[0])
            return carry, {name: both[1][name] | i if i.dtype == bool else i for name, i in info.items()}

        nothing = {name: jnp.zeros(leaf.shape, leaf.dtype) for name, leaf in self._info.items()}
        return jax.lax.fori_loop(jnp.zeros_like(every), every, again, (carry, nothing))

    def _row(
        self, target: Target, root: Array, start: Array, at: Array, every: Array, phase: Phase, carry: Carry
    ) -> tuple[Carry, dict[str, Array]]:
        """`every` steps, the row of number `at` since the absolute step `start`, and what is kept of the last."""
        if self.length.thin == 1:
            last = start + at
            carry, info = self._moved(target, root, last, phase, carry)
        else:
            first = start + at * every
            carry, info = self._moves(target, root, first, every, phase, carry)
            last = first + every - 1
        return carry, self._told(target, root, last, carry, info)

    def _tell(self, target: Target, root: Array, at: Array, carry: Carry, info: Info) -> dict[str, Array]:
        """What is kept of the absolute step `at`."""
        x = carry.state.x
        energy = target.energy(x)
        stats = {**info, "lp": -energy, "model_energy": energy}
        row = output.row(target.outputs(x, fold(keys.root_key(root), keys.OUTPUT, carry.chain, at)), stats)
        self._order = list(row)
        return row

    def _chunk(self, shared: Any, lane: dict[str, Array]) -> dict[str, dict[str, Array]]:
        """`count` rows of `every` steps each, from the absolute step `start`; of rows [buffer, …] the first are filled."""
        target, root, start, count, every, phases = shared
        length = phases.warming.shape[0]
        shapes = self._row_shapes
        rows = {name: jnp.zeros((length, *leaf.shape), leaf.dtype) for name, leaf in shapes.items()}

        def kept(at: Array, both: tuple[Carry, dict[str, Array]]) -> tuple[Carry, dict[str, Array]]:
            carry, rows = both
            phase = Phase(*(leaf[at] for leaf in phases))
            # Made inside the loop, a row cannot depend on how many of them share a chunk.
            carry, row = self._row(target, root, start, at.astype(start.dtype), every, phase, carry)
            return carry, {name: rows[name].at[at].set(row[name]) for name in rows}

        carry = jax.tree.unflatten(jax.tree.structure(self._blank), [lane[path] for path in leaves(self._blank)])
        if self.ensemble:
            # One copy in place of one for each chain, so that what all share is adapted once.
            tune, memory = jax.tree.map(lambda leaf: jax.lax.all_gather(leaf, TOGETHER)[0], (carry.tune, carry.memory))
            carry = carry._replace(tune=tune, memory=memory)
        carry, rows = jax.lax.fori_loop(0, count, kept, (carry, rows))
        return {"carry": leaves(carry), "rows": {name: rows[name] for name in shapes}}

    # --- the loop over chunks -------------------------------------------------------------------------------------

    def run(
        self,
        programs: Programs,
        store: Store,
        checkpoint: Parts | None,
        chunk: int | None,
        signals: Interruptible,
        out: Path | None,
    ) -> Ended:
        """Fill the store with every step; the seconds are those spent in steps, before a resume too."""
        length = self.length
        total = length.steps
        lanes = programs.lanes
        shared = lanes.share((self.target, self.root))
        self.progress.phase("compiling")
        starting = (*shared, lanes.share(self.given))
        begin = programs.get("start", self._start, lambda: (starting, lanes.numbers(0)))
        blank = begin.outputs["carry"]
        if checkpoint is None or not checkpoint.exists:
            programs.prepare(begin)

        def example() -> tuple[Any, Any]:
            lane_bytes = sum(leaf.size * leaf.dtype.itemsize for leaf in self._row_shapes.values())
            return self._shared(shared, 0, 0, 1, buffer_steps(lane_bytes, lanes.width)), blank

        advance = programs.get("chunk", self._chunk, example, donate=True)
        filled = advance.outputs["rows"]
        # A row has the lanes of a unit first, then the steps of the buffer.
        steps = next(iter(filled.values())).shape[1]
        row = {name: jax.ShapeDtypeStruct(leaf.shape[2:], leaf.dtype) for name, leaf in filled.items()}
        row_bytes = self.chains * sum(math.prod(leaf.shape) * leaf.dtype.itemsize for leaf in row.values())
        if out is None and not length.open:
            checks.require_memory(row_bytes * length.rows(total, self.keep_warmup))
        restored = self._restore(lanes, blank, checkpoint, store)
        if restored is None:
            programs.compile(begin, advance)
            started = lanes.run(lambda unit: jax.block_until_ready(begin(starting, lanes.numbers(unit))))
            trials: Any = self.hosts.gather(lanes.join([to_host(unit["trial"]) for unit in started]), None)[0]
            if self.hosts.first:
                # Where it is does not matter here.
                require_start(self.target, Trial(x=cast(Point, None), **trials), self.init)
            carries, step, seconds = [unit["carry"] for unit in started], 0, 0.0
        else:
            programs.compile(advance)
            carries, step, seconds = restored
        if isinstance(store, Parts) and not length.open:
            left = length.rows(total, self.keep_warmup) - length.rows(step, self.keep_warmup)
            checks.require_space(store.folder, row_bytes * left)
        most = max(1, PART_BYTES // row_bytes)
        pace = Pace(most, chunk, first=1 if length.deadline < math.inf else FIRST)
        monitor = self._monitor({name: leaf.shape for name, leaf in row.items()})
        stage: Stage | None = None
        asked = False
        while (ended := self._ended(step, store, row)) is None:
            if asked or (signals.asked and self.hosts.first):
                raise interrupted(step, total, out)
            if stage != (stage := "warmup" if step < self.warmup else "sampling"):
                self.progress.phase(self.STAGES[stage])
                self.progress.advance(*length.shown(step, stage), {})
            every = 1 if stage == "warmup" else length.thin
            count = min(max(1, min(pace.next(length.left) // every, most)), (length.stop(step) - step) // every)
            count = self.hosts.word(count)
            if out is None and length.open:
                checks.require_memory(row_bytes * length.rows(step + count * every, self.keep_warmup))
            # A chunk of a quick model fills the buffer several times.
            calls = [(at, min(steps, count - at)) for at in range(0, count, steps)]
            given = [(self._shared(shared, step + at * every, rows, every, steps), rows) for at, rows in calls]
            began = time.perf_counter()

            def work(unit: int, given: Any = given) -> tuple[Rows, Any]:
                pieces: list[Rows] = []
                for arguments, wanted in given:
                    results = advance(arguments, carries[unit])
                    carries[unit] = results["carry"]
                    pieces.append(
                        {name: np.array(np.asarray(leaf)[:, :wanted]) for name, leaf in results["rows"].items()}
                    )
                rows = {name: np.concatenate([piece[name] for piece in pieces], axis=1) for name in pieces[0]}
                return rows, to_host(carries[unit]) if out is not None else {}

            results = lanes.run(work)
            heard = [time.perf_counter() - began, signals.asked]
            joined, said = self.hosts.gather(lanes.join([{**rows, **state} for rows, state in results]), heard)
            if out is None:
                joined = self.hosts.arrays(joined)
            step += count * every
            if not joined:
                continue
            # A process that only has the draws goes by its own time, of which nothing depends.
            spent, asked = max(spent for spent, _ in said or [heard]), any(asked for _, asked in said)
            pace.took(count * every, spent)
            seconds += spent
            rows = {name: joined[name] for name in filled}
            state = {name: values for name, values in joined.items() if name not in filled}
            self._require_finite(rows, step - count * every, every)
            kept = output.kept(stage, rows) if stage == "sampling" or self.keep_warmup else {}
            store.append(stage, step - count * every, step, kept, state, seconds)
            facts = monitor.facts(rows, stage == "sampling")
            self.progress.advance(*length.shown(step, stage, facts.get("ESS")), facts)
        draws = length.done(step)
        if ended != "draws":
            self.progress.advance(draws, draws, monitor.facts({}, sampling=False))
        if ended == "budget":
            spent = f"the budget of {spell(length.budget)} ended the run"
            self.progress.note(f"{spent}: {draws:,} of {length.draws:,} {self.ROW}s a chain")
        self._carries = carries
        return Ended(seconds, draws, ended)

    def _monitor(self, shapes: Mapping[str, tuple[int, ...]]) -> Any:
        return Monitor(shapes, self.chains)

    def _require_finite(self, rows: Rows, step: int, every: int) -> None:
        checks.require_finite(rows["stats/model_energy"], step, every)

    def _ended(self, step: int, store: Store, row: Mapping[str, Any]) -> Stopped | None:
        """What ends the run after so many steps, if anything does; process 0 says."""
        return self.hosts.word(self._over(step, store, row) if self.hosts.first else None)

    def _over(self, step: int, store: Store, row: Mapping[str, Any]) -> Stopped | None:
        length, done = self.length, self.length.done(step)
        look = length.looks if done and length.looks is not None and length.looks.due(done) else None
        if look is not None and look.reached(store, row, self.chains, done):
            return "until"
        if step >= length.steps:
            return "draws"
        return "budget" if length.late(step, resumable=isinstance(store, Parts)) else None

    def _shared(self, shared: Any, start: int, count: int, every: int, steps: int) -> Any:
        phases = schedule(start, steps, self.warmup)
        return (*shared, np.uint32(start), np.int32(count), np.uint32(every), phases)

    def _restore(
        self, lanes: Lanes, blank: Mapping[str, Any], checkpoint: Parts | None, store: Store
    ) -> tuple[list[dict[str, Any]], int, float] | None:
        """The carries of a checkpoint, its step and seconds; None to begin at the beginning."""
        found = self._found(blank, checkpoint, store) if self.hosts.first else None
        place = self.hosts.word(found and [found.step, found.seconds])
        if place is None:
            return None
        state = self.hosts.arrays(found.state if found else {})
        return lanes.split({path: state[path] for path in blank}), *place

    def _found(self, blank: Mapping[str, Any], checkpoint: Parts | None, store: Store) -> Checkpoint | None:
        if checkpoint is None or not checkpoint.exists:
            if checkpoint is not None:
                self.progress.note("there is nothing to resume; starting afresh")
            if isinstance(store, Parts) and store.begin():
                self.progress.note(f"an interrupted run was there; it is now `{store.folder}.previous`")
            return None
        shapes = {path: ((self.chains, *leaf.shape[1:]), np.dtype(leaf.dtype)) for path, leaf in blank.items()}
        found, note = checkpoint.resume(shapes)
        if note:
            self.progress.note(note)
        return found
