"""Several kernels in turn, each on its own variables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from energylang.diagnostics import Diagnostic, DiagnosticError
from energylang.model import UNBOUNDED, Info, Kernel, Phase, Point, PRNGKey, Selection, Target, fold


class BlocksState(NamedTuple):
    """x: the Point. inner: the state of each kernel; its caches are rebuilt before it moves."""

    x: Point
    inner: tuple[Any, ...]


def restrict(x: Point, selection: Selection) -> Point:
    """The selected part of a Point, as `Target.select` lays it out."""
    code = tuple(array[jnp.asarray(chosen)] for array, chosen in zip(x.code, selection.code, strict=True) if chosen)
    return Point(x.real[jnp.asarray(selection.real, dtype=jnp.int32)], code)


def merge(x: Point, selection: Selection, part: Point) -> Point:
    """The Point with its selected part replaced; undoes `restrict`."""
    real = x.real.at[jnp.asarray(selection.real, dtype=jnp.int32)].set(part.real)
    given = iter(part.code)
    code = tuple(
        array.at[jnp.asarray(chosen)].set(next(given)) if chosen else array
        for array, chosen in zip(x.code, selection.code, strict=True)
    )
    return Point(real, code)


def union(selections: list[Selection], arrays: int) -> Selection:
    """All positions of some selections, in ascending order; `arrays` is the number of code arrays."""
    real = sorted(place for selection in selections for place in selection.real)
    code = (sorted(place for selection in selections for place in selection.code[i]) for i in range(arrays))
    return Selection(tuple(real), tuple(tuple(places) for places in code))


@dataclass(frozen=True)
class Blocks:
    """Metropolis-within-Gibbs: a step moves each inner kernel once, in the order given, on its conditional energy.

    An inner kernel bound to a variable moves that one; an unbound one all it can move that no other took. A cycle of
    kernels that each leave the conditional invariant leaves the joint invariant (Tierney 1994, section 2.4).

    Info: `<name>_<block>` of each inner statistic, where a block is the bound variable or the position (from 0);
    acceptance_rate, the mean; diverging, whether any did.
    """

    inner: tuple[tuple[str | None, Kernel[Any, Any, Any]], ...]

    @property
    def scope(self) -> Literal["chain", "ensemble"]:
        return "ensemble" if any(kernel.scope == "ensemble" for _, kernel in self.inner) else "chain"

    @property
    def moves(self) -> Literal["continuous", "discrete", "counts", "any"]:
        kinds: set[Literal["continuous", "discrete", "counts", "any"]] = {kernel.moves for _, kernel in self.inner}
        return kinds.pop() if len(kinds) == 1 else "any"

    @property
    def labels(self) -> tuple[str, ...]:
        return tuple(variable or str(position) for position, (variable, _) in enumerate(self.inner))

    def assign(self, target: Target) -> tuple[Selection, ...]:
        """The variables of each inner kernel; raises `DiagnosticError` where they do not fit or do not cover."""
        variables = {name: where for name, where in target.variables.items() if where.real or any(where.code)}
        kinds = {name: _kind(target, where) for name, where in variables.items()}
        taken = _bound(self.inner, kinds)
        shares: list[list[str]] = []
        for variable, kernel in self.inner:
            mine = [variable] if variable else [n for n in variables if n not in taken and _fits(kernel, kinds[n])]
            taken.update(mine)
            shares.append(mine)
        problems = [
            Diagnostic(
                "E0642",
                f"method {position} of `blocks` has nothing to move",
                cause=f"it moves {kernel.moves} variables, and the methods before it took them all",
                fix="leave it out, or bind methods to variables: `blocks(z = gibbs(), nuts())`",
            )
            for position, ((_, kernel), mine) in enumerate(zip(self.inner, shares, strict=True), 1)
            if not mine
        ]
        if left := [f"`{name}` ({kinds[name]})" for name in variables if name not in taken]:
            message = f"no method of `blocks` moves {', '.join(left)}"
            problems.append(Diagnostic("E0641", message, fix="add a method that moves what is left"))
        if problems:
            raise DiagnosticError(problems)
        arrays = len(target.facts.cardinalities)
        return tuple(union([variables[name] for name in mine], arrays) for mine in shares)

    def _require_shared(self, pairs: list[tuple[Any, Any]]) -> None:
        """Raise E0810 where a kernel learns for each chain beside one whose chains share what they learn."""
        problems = [
            Diagnostic(
                "E0810",
                f"method {position} of `blocks` learns for each chain, and another for all of them together",
                fix="put one in its place that learns nothing, such as `gibbs()`, or combine methods of independent chains,"
                " such as `nuts()`",
            )
            for position, ((_, kernel), (_, memory)) in enumerate(zip(self.inner, pairs, strict=True), 1)
            if kernel.scope == "chain" and jax.tree.leaves(memory)
        ]
        if problems:
            raise DiagnosticError(problems)

    def init(self, target: Target, x: Point, key: PRNGKey) -> BlocksState:
        states = tuple(
            kernel.init(target.select(mine, x), restrict(x, mine), fold(key, position))
            for position, (mine, (_, kernel)) in enumerate(zip(self.assign(target), self.inner, strict=True))
        )
        return BlocksState(x, states)

    def refresh(self, target: Target, state: BlocksState) -> BlocksState:
        return state

    def step(self, target: Target, tune: tuple[Any, ...], state: BlocksState, key: PRNGKey) -> tuple[BlocksState, Info]:
        x, states = state.x, []
        info: dict[str, Array] = {}
        rates, divergences = [], []
        for position, (mine, (_, kernel)) in enumerate(zip(self.assign(target), self.inner, strict=True)):
            conditional = target.select(mine, x)
            moved = kernel.refresh(conditional, state.inner[position])
            moved, statistics = kernel.step(conditional, tune[position], moved, fold(key, position))
            x = merge(x, mine, moved.x)
            states.append(moved)
            info |= {f"{name}_{self.labels[position]}": value for name, value in statistics.items()}
            rates += [statistics["acceptance_rate"]] if "acceptance_rate" in statistics else []
            divergences += [statistics["diverging"]] if "diverging" in statistics else []
        if rates:
            info["acceptance_rate"] = jnp.stack(rates).mean()
        if divergences:
            info["diverging"] = jnp.stack(divergences).any()
        return BlocksState(x, tuple(states)), info

    def tuning(self, target: Target) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        facts = target.facts
        # A tuning depends on shapes alone, so any point will do to select with.
        origin = Point(jnp.zeros(facts.reals), tuple(jnp.zeros(count, jnp.int32) for count in facts.sites))
        pairs = [
            kernel.tuning(target.select(mine, origin))
            for mine, (_, kernel) in zip(self.assign(target), self.inner, strict=True)
        ]
        if self.scope == "ensemble":
            self._require_shared(pairs)
        return tuple(tune for tune, _ in pairs), tuple(memory for _, memory in pairs)

    def adapt(
        self, phase: Phase, tune: tuple[Any, ...], memory: tuple[Any, ...], state: BlocksState, info: Info
    ) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        pairs = []
        for position, (_, kernel) in enumerate(self.inner):
            ending = f"_{self.labels[position]}"
            own = {name.removesuffix(ending): value for name, value in info.items() if name.endswith(ending)}
            pairs.append(kernel.adapt(phase, tune[position], memory[position], state.inner[position], own))
        return tuple(tune for tune, _ in pairs), tuple(memory for _, memory in pairs)


def _kind(target: Target, where: Selection) -> str:
    """What a variable is to a method: continuous, discrete (of finitely many values) or counts."""
    if where.real:
        return "continuous"
    cardinalities = [k for k, places in zip(target.facts.cardinalities, where.code, strict=True) if places]
    return "counts" if UNBOUNDED in cardinalities else "discrete"


def _fits(kernel: Kernel[Any, Any, Any], kind: str) -> bool:
    return kernel.moves in ("any", kind)


def _bound(inner: tuple[tuple[str | None, Kernel[Any, Any, Any]], ...], kinds: dict[str, str]) -> set[str]:
    """The variables that inner kernels are bound to; raises `DiagnosticError` for each that cannot be."""
    seen: set[str] = set()
    problems = []
    for variable, kernel in inner:
        if variable is None:
            continue
        if variable not in kinds:
            names = ", ".join(f"`{name}`" for name in kinds)
            message = f"`blocks` binds a method to `{variable}`, which is no variable here"
            problems.append(Diagnostic("E0640", message, fix=f"the variables are {names}"))
        elif not _fits(kernel, kinds[variable]):
            message = (
                f"the method bound to `{variable}` moves {kernel.moves} variables; `{variable}` is {kinds[variable]}"
            )
            problems.append(
                Diagnostic("E0643", message, fix=f"bind `{variable}` to a method for {kinds[variable]} ones")
            )
        if variable in seen:
            message = f"`blocks` binds `{variable}` twice"
            problems.append(Diagnostic("E0644", message, fix="bind each variable to one method"))
        seen.add(variable)
    if problems:
        raise DiagnosticError(problems)
    return seen
