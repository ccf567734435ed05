"""The driver of `optimize`: chains whose steps search, with the best point so far beside each; restarts are chains."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from energylang.methods._refine import better, refine
from energylang.model import Info, Measure, Phase, Point, Problem, Search, fold
from energylang.run import checks, keys, output
from energylang.run.carry import Carry, leaves, strong
from energylang.run.chains import Chains
from energylang.run.conduct import conduct
from energylang.run.data import OPTIMUM, POSTERIOR, PREDICTIVE, STATS
from energylang.run.hosts import Hosts
from energylang.run.initial import Trial, starting_point
from energylang.run.interrupt import Interruptible
from energylang.run.lanes import to_host
from energylang.run.length import Ended, Length
from energylang.run.parts import Parts
from energylang.run.programs import Programs
from energylang.run.progress import Progress, Silent
from energylang.run.provenance import Provenance
from energylang.run.result import Run
from energylang.run.starts import Starts
from energylang.run.store import Rows, Stage, Store

ENTRIES = 1000
"""Entries of a trace, about, where nobody says how many steps lie between them."""
GROUPS = {"draws": POSTERIOR, "predictive": PREDICTIVE, "stats": STATS}


class Seen(NamedTuple):
    """A point and its measure."""

    x: Point
    measure: Measure


class Sought(NamedTuple):
    """One restart between levels. state: of the method. last: the measure of its point. best: the best point so far; low:
    that of the lowest energy with penalties, which repair may make better still."""

    state: Any
    last: Measure
    best: Seen
    low: Seen


def run_search(
    problem: Problem,
    search: Search[Any],
    *,
    lanes: Mapping[str, int],
    provenance: Provenance,
    steps: int = 2000,
    chains: int = 16,
    seed: int = 0,
    init: str | Starts = "random",
    thin: int | None = None,
    refined: bool = True,
    budget: float | None = None,
    out: Path | None = None,
    resume: bool = False,
    progress: Progress | None = None,
    threads: int = 0,
    chunk: int | None = None,
) -> Run:
    """Minimise from `chains` starts, `steps` each; the run has the best point of each and the trace of the objective.

    thin: steps at one level, after which the trace has an entry; None for about a thousand entries. refined: whether the
    points that a restart ends with are repaired and improved by single changes. The rest as for chains.

    That no restart found a feasible point is a warning of the run. Raises DiagnosticError: those of chains.
    """
    every = thin if thin is not None else max(1, steps // ENTRIES)
    length = Length.of(-(-steps // every), 0, every, None, budget)
    options = {
        "draws": length.draws,
        "chains": chains,
        "seed": seed,
        "init": init if isinstance(init, str) else init.label,
        "refine": refined,
    }
    return conduct(
        lambda progress, together: Searches(problem, search, length, chains, seed, init, refined, progress, together),
        length, options, lanes=lanes, provenance=provenance, out=out, resume=resume,
        progress=progress if progress is not None else Silent(), threads=threads, chunk=chunk,
    )  # fmt: skip


class Searches(Chains):
    """Restarts: a row is a level of the search, with the measure at its end and the best so far."""

    STAGES: ClassVar[Mapping[Stage, str]] = {"warmup": "optimising", "sampling": "optimising"}
    ROW = "level"

    def __init__(
        self,
        problem: Problem,
        search: Search[Any],
        length: Length,
        chains: int,
        seed: int,
        init: str | Starts,
        refined: bool,
        progress: Progress,
        hosts: Hosts,
    ) -> None:
        self.search, self.refined = search, refined
        target: Any = problem
        nothing: Any = _Nothing()
        super().__init__(target, nothing, length, chains, seed, init, False, progress, hosts)

    # --- what one lane does ---------------------------------------------------------------------------------------

    def _begin(self, target: Any, root: Array, given: Any, chain: Array) -> tuple[Carry, Trial]:
        problem: Problem = target
        key = keys.root_key(root)
        trial = starting_point(self.init, problem.target(), key, chain, given)
        state = self.search.init(problem, trial.x, fold(key, keys.START, chain))
        seen = Seen(trial.x, problem.measure(trial.x))
        return strong(Carry(chain, Sought(state, seen.measure, seen, seen), (), ())), trial

    def _move(self, target: Any, root: Array, at: Array, phase: Phase, carry: Carry) -> tuple[Carry, Info]:
        sought: Sought = carry.state
        key = fold(keys.root_key(root), keys.STEP, carry.chain, at)
        state, info = self.search.step(target, sought.state, key)
        return carry._replace(state=strong(sought._replace(state=state))), strong(info)

    def _row(
        self, target: Any, root: Array, start: Array, at: Array, every: Array, phase: Phase, carry: Carry
    ) -> tuple[Carry, dict[str, Array]]:
        problem: Problem = target
        sought: Sought = carry.state
        entered = self.search.enter(problem, sought.state, phase.progress, sought.last)
        carry = carry._replace(state=strong(sought._replace(state=entered)))
        first = start + at * every
        carry, info = self._moves(target, root, first, every, phase, carry)
        carry = carry._replace(state=strong(self._looked(problem, carry.state)))
        return carry, self._told(target, root, first + every - 1, carry, info)

    def _looked(self, problem: Problem, sought: Sought) -> Sought:
        """After a level: where it ended may be the best point so far. Between, a look would cost as much as a step."""
        state = sought.state
        now = Seen(state.x, problem.measure(state.x))
        best = _either(better(now.measure, sought.best.measure, problem.tolerance), now, sought.best)
        low = sought.low
        if problem.constrained:
            weight = self.search.weight(state)
            low = _either(_penalised(now, weight) < _penalised(low, weight), now, low)
        return Sought(state, now.measure, best, low)

    def _tell(self, target: Any, root: Array, at: Array, carry: Carry, info: Info) -> dict[str, Array]:
        sought: Sought = carry.state
        best = sought.best.measure
        row = {"trace/objective": sought.last.energy}
        if target.constrained:
            row["trace/violation"] = sought.last.violation
        row["trace/best"] = jnp.where(best.violation <= target.tolerance, best.energy, jnp.inf)
        row |= {f"trace/{name}": value for name, value in info.items()}
        self._order = list(row)
        return row

    def _close(self, shared: Any, lane: dict[str, Array]) -> dict[str, dict[str, Array]]:
        """The last program: the points that a restart ends with, refined, and the best of them."""
        target, root = shared
        problem: Any = target
        carry = jax.tree.unflatten(jax.tree.structure(self._blank), [lane[path] for path in leaves(self._blank)])
        sought: Sought = carry.state
        points = [sought.best.x, sought.state.x, *([sought.low.x] if problem.constrained else [])]

        def ended(x: Point) -> Seen:
            x = refine(problem, x, self.search.descends) if self.refined else x
            return Seen(x, problem.measure(x))

        found = jax.lax.map(ended, jax.tree.map(lambda *leaf: jnp.stack(leaf), *points))
        best = jax.tree.map(lambda leaf: leaf[0], found)
        for place in range(1, len(points)):
            other = jax.tree.map(lambda leaf, place=place: leaf[place], found)
            best = _either(better(other.measure, best.measure, problem.tolerance), other, best)
        measure, missed = problem.missed(best.x)
        stats = {"energy": measure.energy, "violation": measure.violation}
        stats["feasible"] = measure.violation <= problem.tolerance
        stats |= {f"violation_{name}": value for name, value in missed.items()}
        key = fold(keys.root_key(root), keys.OUTPUT, carry.chain)
        return {"rows": output.row(problem.outputs(best.x, key), stats)}

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
        ended = super().run(programs, store, checkpoint, chunk, signals, out)
        self.progress.phase("refining" if self.refined else "measuring")
        lanes = programs.lanes
        shared = lanes.share((self.target, self.root))
        program = programs.get("close", self._close, lambda: (shared, self._carries[0]))
        programs.compile(program)
        rows = lanes.run(lambda unit: to_host(program(shared, self._carries[unit])["rows"]))
        joined, _ = self.hosts.gather(lanes.join(rows), None)
        joined = self.hosts.arrays(joined) if out is None else joined
        if joined:
            self._conclude({name: np.asarray(joined[name]) for name in program.outputs["rows"]})
        return ended

    def _conclude(self, rows: dict[str, np.ndarray]) -> None:
        groups: dict[str, dict[str, np.ndarray]] = {}
        for name, values in rows.items():
            kind, _, own = name.partition("/")
            groups.setdefault(OPTIMUM[GROUPS[kind]], {})[output.safe_name(own)] = values[:, None]
        self.more = groups
        energy, feasible, violation = (
            groups[OPTIMUM[STATS]][name][:, 0] for name in ("energy", "feasible", "violation")
        )
        order = np.lexsort((energy, np.where(feasible, 0.0, violation)))
        best = int(order[0])
        self.facts = {
            "best_chain": best,
            "best_energy": float(energy[best]),
            "violation": float(violation[best]),
            "feasible": int(feasible[best]),
            "constraints": ", ".join(self._problem.names),
        }

    @property
    def _problem(self) -> Any:
        return self.target

    def _shared(self, shared: Any, start: int, count: int, every: int, steps: int) -> Any:
        levels = start // self.length.thin + np.arange(steps)
        off = np.zeros(steps, bool)
        done = np.minimum(levels / max(self.length.draws - 1, 1), 1.0).astype(np.float32)
        # On the host: these are data of a program, and making them must not compile one.
        given: dict[str, Any] = {"warming": ~off, "slow": off, "window_end": off, "last": off, "progress": done}
        phases = Phase(**given)
        return (*shared, np.uint32(start), np.int32(count), np.uint32(every), phases)

    def _monitor(self, shapes: Mapping[str, tuple[int, ...]]) -> Any:
        return _Objective()

    def _require_finite(self, rows: Rows, step: int, every: int) -> None:
        checks.require_finite(rows["trace/objective"], step, every)


def _either(which: Array, new: Seen, old: Seen) -> Seen:
    return jax.tree.map(lambda a, b: jnp.where(which, a, b), new, old)


def _penalised(seen: Seen, weight: Array) -> Array:
    return seen.measure.energy + weight * seen.measure.violation


class _Nothing:
    """Stands for the kernel of chains: a search has its own steps."""

    scope = "chain"
    moves = "any"


class _Objective:
    """What a progress line says: the lowest energy of a feasible point so far, and the mean of the restarts now."""

    def __init__(self) -> None:
        self._best = math.inf

    def facts(self, rows: Rows, sampling: bool) -> dict[str, float]:
        if not rows:
            return {}
        self._best = min(self._best, float(np.min(rows["trace/best"])))
        found = {"best": self._best} if math.isfinite(self._best) else {}
        return found | {"objective": float(np.mean(rows["trace/objective"][:, -1]))}
