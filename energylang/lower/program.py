"""One energy lowered: where its variables lie, what its terms are, and how their values are computed.

A program is static: it holds no array that data decide, so targets that share it share their compiled functions.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from math import prod
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array

from energylang.diagnostics import Diagnostic, DiagnosticError
from energylang.ir.ancestry import Step, steps
from energylang.ir.nodes import (
    Condition,
    Data,
    Energy,
    Expr,
    Let,
    Local,
    Marginal,
    Param,
    Symbol,
    Term,
    Transport,
    Variable,
    flows,
    randoms,
    symbols,
    walk,
)
from energylang.ir.types import Dim
from energylang.lower.augmentation import joint_energy, require_apart, require_exact
from energylang.lower.bounds import MOST_ENTRIES, MOST_SITES, empty_reductions, impossible, too_large, wrong_values
from energylang.lower.colouring import colour, conflicts, layers
from energylang.lower.data import Bound
from energylang.lower.elimination import Elimination, eliminations
from energylang.lower.evaluate import evaluate
from energylang.lower.gains import coupled, diagonal_table
from energylang.lower.integers import widened, without_overflow
from energylang.lower.neighbours import Neighbours, neighbours
from energylang.lower.operations import NUMPY
from energylang.lower.pairwise import Pairs, numbered, pairs_of
from energylang.lower.spaces import CodeSlot, RealSlot
from energylang.lower.structure import Continuous, Gather, Opaque, Quadratic, Structured, Sums, structure
from energylang.lower.sums import as_sums, gathers
from energylang.lower.trees import Trees, trees_of
from energylang.model import UNBOUNDED, Facts, PRNGKey, Selection, TermFact, fold

MOST_COLOURED = 20_000_000
MOST_DENSE = 2_048
MOST_GROUPED = 50_000
FEW_COLOURS = 16
"""Groups of trees are looked for where there are at most so many sites, and more colours."""
MOST_VALUES = UNBOUNDED - 1
"""Codes are 32-bit integers."""


@dataclass(eq=False)
class EnergyProgram:
    """Everything static about one energy at given dims. Compared and hashed by identity."""

    energy: Energy
    dims: dict[str, int]
    real_slots: dict[Variable, RealSlot]
    param_slots: dict[Param, RealSlot]
    """Each on an unconstrained vector of its own; those that bound others come before them."""
    code_slots: dict[Variable, CodeSlot]
    cardinalities: tuple[int, ...]
    structured: list[Structured]
    facts: Facts
    eliminations: dict[Marginal, Elimination]
    tables: dict[str, np.ndarray]
    """Index tables and colours, made from the data that the program was lowered with; targets hold them as leaves."""
    known: Mapping[Symbol, Any]
    """Values of data, for analyses that only some methods ask for."""
    bound: Bound
    """What it was lowered with."""
    near: Neighbours | None = None
    """The rows around each site, where the gains of some sites alone can be had."""

    @cached_property
    def inputs(self) -> tuple[Symbol, ...]:
        """Every symbol that the energy mentions."""
        return symbols(*self.energy.roots)

    @cached_property
    def moved(self) -> tuple[Transport, ...]:
        """Where values of the energy go through flows back to their bases, those first that others need."""
        found = (e for e in walk(*(t.value for t in self.energy.terms)) if isinstance(e, Transport) and e.inverse)
        return tuple(e for e in found if not any(isinstance(s, Local) for s in symbols(*e.arguments)))

    @cached_property
    def varying(self) -> list[tuple[Any, Any]]:
        """The bounds of those variables whose bounds are expressions."""
        return [(slot.low, slot.high) for slot in self.real_slots.values() if slot.bounds]

    @cached_property
    def variables(self) -> dict[str, Selection]:
        found: dict[str, Selection] = {}
        for variable in self.energy.variables:
            if variable in self.real_slots:
                slot = self.real_slots[variable]
                none = tuple(() for _ in self.cardinalities)
                found[variable.name] = Selection(tuple(range(slot.start, slot.start + slot.size)), none)
            else:
                code = self.code_slots[variable]
                places = tuple(range(code.start, code.start + code.size))
                found[variable.name] = Selection(
                    (), tuple(places if g == code.group else () for g in range(len(self.cardinalities)))
                )
        return found

    def environment(self, arrays: Mapping[str, Any], params: Mapping[str, Any]) -> dict[Symbol, Any]:
        """Values by symbol, and the plans of sums. arrays: data, lets and conditions by `Symbol.key`; params by name."""
        found: dict[Any, Any] = dict(self.eliminations)
        for symbol in self.inputs:
            if isinstance(symbol, Data | Let | Condition):
                found[symbol] = arrays[symbol.key]
            elif isinstance(symbol, Param):
                found[symbol] = params[symbol.name]
        return found

    def total(self, environment: Mapping[Symbol, Any], without: Collection[Term] = ()) -> Array:
        """The energy: every term, added up; infinite where an interval has its bounds in the wrong order."""
        pairs = self.varying
        ends = [b for pair in pairs for b in pair if isinstance(b, Expr)]
        terms = [t for t in self.energy.terms if not any(t is other for other in without)]
        values = evaluate([*(t.value for t in terms), *ends], environment, self.dims)
        parts = values[: len(terms)]
        total: Any = parts[0] if parts else 0.0
        for part in parts[1:]:
            total = total + part
        given = iter(values[len(parts) :])
        for pair in pairs:
            low, high = (jnp.asarray(next(given) if isinstance(b, Expr) else b) for b in pair)
            total = jnp.where(jnp.all(low < high), total, jnp.inf)
        return jnp.asarray(total, jnp.result_type(float))

    def reports(self, environment: Mapping[Symbol, Any], key: PRNGKey) -> tuple[dict[str, Array], dict[str, Array]]:
        """What is reported: computed, and drawn. The draw of number i (`randoms`) has the key fold(key, i)."""
        reports = self.energy.reports
        drawn = {node: fold(key, number) for node, number in randoms(*(r.value for r in reports)).items()}
        values = evaluate([r.value for r in reports], {**environment, **drawn}, self.dims)
        found: tuple[dict[str, Array], dict[str, Array]] = {}, {}
        for report, value in zip(reports, values, strict=True):
            found[report.predictive][report.name] = jnp.asarray(value)
        return found

    @cached_property
    def numbered(self) -> dict[Variable, CodeSlot]:
        """The variables of finitely many values, their sites numbered through, code array after code array."""
        return numbered(self.code_slots, [g for g, k in enumerate(self.cardinalities) if k != UNBOUNDED])

    @cached_property
    def pairs(self) -> Pairs:
        """The energy as couplings of pairs of sites. Raises DiagnosticError E0655 and E0656 where it has none such."""
        return pairs_of(self.energy, self.structured, self.numbered, self.known, self.dims)

    def trees(self, chosen: np.ndarray | None = None) -> Trees:
        """Groups of some sites, by their numbers (all where None), that are trees. Raises DiagnosticError E0657."""
        count = sum(slot.size for slot in self.numbered.values())
        inside = np.ones(count, bool) if chosen is None else np.isin(np.arange(count), chosen)
        key = inside.tobytes()
        if key not in self._trees:
            self._trees[key] = trees_of(self.energy, self.structured, self.numbered, self.known, self.dims, inside)
        return self._trees[key]

    @cached_property
    def augmented(self) -> EnergyProgram:
        """The program with the hidden variables of its sums as variables: after the others, and alone of colour 0.

        Raises DiagnosticError E0659 where there are none, or they cannot all be drawn at once from exact gains.
        """
        joint, hidden = joint_energy(self.energy, self.structured)
        return lower(joint, self.bound, hidden)

    @cached_property
    def facts_to_choose(self) -> Facts:
        """The facts, with hidden variables or groups of trees where these may serve better than what else there is."""
        facts = self.facts
        if facts.gains == "estimate" and not facts.reals and not facts.counts:
            with suppress(DiagnosticError):
                facts = replace(facts, augmented=self.augmented.facts)
        poor = facts.gains == "estimate" or facts.colours > FEW_COLOURS
        if facts.reach or facts.discrete > MOST_GROUPED or not poor:
            return facts
        try:
            return replace(facts, groups=sum(kind.count for kind in self.trees().kinds))
        except DiagnosticError:
            return facts

    @cached_property
    def _trees(self) -> dict[bytes, Trees]:
        return {}

    @cached_property
    def variable_steps(self) -> tuple[Step, ...]:
        """The variables in an order in which they can be drawn (of energies of which `ir.ancestry` says that they can)."""
        return steps(law for law in self.energy.standing if law.variable is not None)[0]

    @cached_property
    def data_steps(self) -> tuple[Step, ...]:
        """The data that can be drawn anew, in their order."""
        return steps(self.energy.observations)[0]

    def collect(self, changes: Mapping[Variable, Array]) -> tuple[Array, ...]:
        """Per code array float[D_k, k] from per variable float[*shape, k]; sites that no term mentions change nothing."""
        groups: list[Array] = []
        for group, cardinality in enumerate(self.cardinalities):
            if cardinality == UNBOUNDED:
                groups.append(jnp.zeros((sum(s.size for s in self.code_slots.values() if s.group == group), 0)))
                continue
            parts = [
                changes[v].reshape((slot.size, cardinality)) if v in changes else jnp.zeros((slot.size, cardinality))
                for v, slot in self.code_slots.items()
                if slot.group == group
            ]
            groups.append(parts[0] if len(parts) == 1 else jnp.concatenate(parts))
        return tuple(groups)


def lower(energy: Energy, bound: Bound, hidden: Collection[Variable] = ()) -> EnergyProgram:
    """The program of an energy. Raises DiagnosticError for dims without a value, sizes beyond memory, wrong indices.

    hidden: its last variables, if these are to have colour 0, and no other site; E0659 where they interact, or gains are not exact.
    """
    dims = bound.dims
    problems = (
        _unsolved(energy, dims)
        or _empty(energy, dims)
        or _too_large(energy, dims)
        or wrong_values(energy.roots, bound.values, dims)
        or impossible(energy.observations, bound.values, dims)
    )
    if problems:
        raise DiagnosticError(problems)
    energy = _with_flows(energy, dims)
    energy = without_overflow(energy, bound)
    real_slots, code_slots, cardinalities = _layout(energy, dims)
    real_slots = {v: slot.with_bounds(widened(slot.bounds, bound)) for v, slot in real_slots.items()}
    param_slots = {p: RealSlot.of(p, dims) for p in _bounding_first(energy)}
    param_slots = {p: slot.with_bounds(widened(slot.bounds, bound)) for p, slot in param_slots.items()}
    environment: dict[Symbol, Any] = {
        s: bound.values[s.key]
        for s in symbols(*energy.roots)
        if isinstance(s, Data | Let | Condition) and s.key in bound.values
    }
    summed = eliminations(energy.roots, environment, dims)
    structured = structure(energy.terms, environment, dims) if code_slots else []
    structured = [as_sums(s, environment, dims) for s in structured]
    if hidden:
        require_exact(energy, structured)
    tables, colours, near = _tables(energy, structured, code_slots, cardinalities, environment, dims, hidden)
    # A site that bounds an interval moves what lies in it: its gains at fixed values are only a guess.
    bounding = symbols(*energy.bounds)
    shifting = any(v in bounding for v in code_slots)
    near = None if shifting else near
    opaque = shifting or any(isinstance(s, Opaque) for s in structured)
    facts = Facts(
        reals=sum(s.size for s in real_slots.values()),
        cardinalities=cardinalities,
        sites=tuple(sum(s.size for s in code_slots.values() if s.group == g) for g in range(len(cardinalities))),
        gains="none" if all(k == UNBOUNDED for k in cardinalities) else "estimate" if opaque else "exact",
        colours=0 if shifting else colours,
        reach=near.reach if near else 0,
        fields=near.fields.sites if near else 0,
        layers=() if shifting or near else layers([tables[f"colour/{g}"] for g in range(len(cardinalities))], colours),
        terms=tuple(_fact(s, dims, summed) for s in structured)
        or tuple(TermFact("continuous", 1, 0, t.text, _sums([t.value], summed)) for t in energy.terms),
    )
    return EnergyProgram(
        energy, dims, real_slots, param_slots, code_slots, cardinalities, structured, facts, summed, tables,
        environment, bound, near,
    )  # fmt: skip


def _with_flows(energy: Energy, dims: Mapping[str, int]) -> Energy:
    """The energy with the params of its flows. Raises DiagnosticError E0564 for layers that are left too few entries."""
    if not flows(*energy.roots):
        return energy
    from energylang.lower.flows import leaves

    problems = leaves.unfit(energy, dims)
    if problems:
        raise DiagnosticError(problems)
    return leaves.with_leaves(energy, dims)


# --- what can be wrong ------------------------------------------------------------------------------------------


def _dims_of(symbol: Symbol) -> list[Dim]:
    return [*symbol.space.shape, *([symbol.space.cardinality] if symbol.space.cardinality is not None else [])]


def _empty(energy: Energy, dims: Mapping[str, int]) -> list[Diagnostic]:
    """Events and cardinalities of no entries, and reductions of nothing."""
    found = []
    for symbol in energy.variables:
        space = symbol.space
        if space.cardinality is not None and space.cardinality.evaluate(dims) < 1:
            found.append(Diagnostic("E0404", f"`{symbol.name}` is {space}, which has no values", symbol.span))
        if (space.kind == "simplex" or space.info.square) and space.shape[-1].evaluate(dims) < 1:
            what = "matrix has at least 1 row" if space.info.square else "simplex has at least 1 entry"
            found.append(Diagnostic("E0404", f"`{symbol.name}` is {space}, and a {what}", symbol.span))
    return found + empty_reductions(energy.roots, dims)


def _unsolved(energy: Energy, dims: Mapping[str, int]) -> list[Diagnostic]:
    found = []
    for symbol in energy.variables:
        for dim in _dims_of(symbol):
            for name in sorted(dim.names - dims.keys()):
                found.append(
                    Diagnostic(
                        "E0305", f"the dim `{name}` of `{symbol.name}` has no value", symbol.span,
                        cause="neither data nor the values given fix it", fix="give the condition that has it",
                    )
                )  # fmt: skip
            if not dim.names - dims.keys() and dim.evaluate(dims) < 0:
                found.append(
                    Diagnostic(
                        "E0306",
                        f"an axis of `{symbol.name}` would have size {dim.evaluate(dims)}",
                        symbol.span,
                        fix="the data decide this size: give them one of at least 0",
                    )
                )
    return found


def _too_large(energy: Energy, dims: Mapping[str, int]) -> list[Diagnostic]:
    found = []
    for symbol in energy.variables:
        size = 1
        for dim in symbol.space.shape:
            size *= dim.evaluate(dims)
        if size > (MOST_SITES if symbol.space.discrete else MOST_ENTRIES):
            found.append(
                Diagnostic(
                    "E0708", f"`{symbol.name}` has {size:,} entries", symbol.span,
                    cause=f"that is {size * 4 / 2**30:,.1f} GiB for one draw, and many times that to find its structure", fix="make it smaller: `--set` changes a const",
                )
            )  # fmt: skip
        values = symbol.space.values
        if values is not None and values.evaluate(dims) > MOST_VALUES:
            found.append(
                Diagnostic("E0708", f"an entry of `{symbol.name}` has {values.evaluate(dims):,} values", symbol.span)
            )
    return found or too_large(energy.roots, dims)


# --- layout and tables ------------------------------------------------------------------------------------------


def _layout(
    energy: Energy, dims: Mapping[str, int]
) -> tuple[dict[Variable, RealSlot], dict[Variable, CodeSlot], tuple[int, ...]]:
    sizes: dict[Variable, int] = {}
    for variable in energy.variables:
        values = variable.space.values
        if variable.space.discrete:
            sizes[variable] = UNBOUNDED if values is None else values.evaluate(dims)
    cardinalities = tuple(sorted(set(sizes.values())))
    real_slots: dict[Variable, RealSlot] = {}
    code_slots: dict[Variable, CodeSlot] = {}
    start = 0
    starts = [0] * len(cardinalities)
    for variable in energy.variables:
        space = variable.space
        shape = tuple(d.evaluate(dims) for d in space.shape)
        if space.discrete:
            group = cardinalities.index(sizes[variable])
            slot = CodeSlot(variable.name, space.kind, shape, sizes[variable], group, starts[group])
            code_slots[variable] = slot
            starts[group] += slot.size
        else:
            real_slots[variable] = RealSlot.of(variable, dims, start)
            start += real_slots[variable].size
    return real_slots, code_slots, cardinalities


def _bounding_first(energy: Energy) -> list[Param]:
    """The params of an energy, each after those that its bounds mention."""
    ordered: dict[Param, None] = {}
    pending: list[Symbol] = list(reversed(symbols(*energy.roots)))
    while pending:
        symbol = pending[-1]
        before = [s for s in symbols(*symbol.space.bounds) if isinstance(s, Param) and s not in ordered]
        if isinstance(symbol, Param) and symbol not in ordered and before:
            pending += before
            continue
        pending.pop()
        if isinstance(symbol, Param):
            ordered.setdefault(symbol)
    return list(ordered)


def _tables(
    energy: Energy, structured: list[Structured], slots: Mapping[Variable, CodeSlot], cardinalities: tuple[int, ...],
    environment: Mapping[Symbol, Any], dims: Mapping[str, int], hidden: Collection[Variable],
) -> tuple[dict[str, np.ndarray], int, Neighbours | None]:  # fmt: skip
    tables: dict[str, np.ndarray] = {}
    for key, gather in gathers(structured):
        for (i, j), mask in gather.overlaps.items():
            tables[f"overlap/{key}/{i}/{j}"] = mask
        for place, column in enumerate(gather.columns):
            if not column.direct:
                outside = slots[column.variable].size
                tables[f"sites/{key}/{place}"] = np.where(column.sites < 0, outside, column.sites).astype(np.int32)
    tables |= _diagonal_tables([s for s in structured if isinstance(s, Quadratic)], slots, environment, dims)
    if not slots:
        return tables, 0, None
    colours, edges = _colours(energy, structured, slots, hidden)
    for group in range(len(cardinalities)):
        tables[f"colour/{group}"] = np.concatenate([colours[v] for v, slot in slots.items() if slot.group == group])
    near, found = neighbours(structured, slots, cardinalities, colours, edges, environment, dims)
    tables |= found
    count = 1 + max((int(c.max()) for c in colours.values() if c.size), default=0)
    return tables, count, near


def _colours(
    energy: Energy, structured: list[Structured], slots: Mapping[Variable, CodeSlot], hidden: Collection[Variable]
) -> tuple[dict[Variable, np.ndarray], np.ndarray]:
    """The colour of each site, and the pairs of sites that some row reads, numbered variable after variable."""
    sizes = {v: slot.size for v, slot in slots.items()}
    starts: dict[Variable, int] = {}
    total = 0
    for variable, size in sizes.items():
        starts[variable] = total
        total += size
    edges, dense = conflicts(structured, starts, max(total, 1))
    if hidden:
        require_apart(energy, hidden, starts, edges, dense)
    others = {v: size for v, size in sizes.items() if v not in hidden}
    count = sum(others.values())
    crowded = any(u is v and sizes[u] > MOST_DENSE for u, v in dense)
    alone = total > MOST_COLOURED or crowded
    among = {(u, v) for u, v in dense if u in others and v in others}
    flat = np.arange(count, dtype=np.int32) if alone else colour(edges[edges[:, 1] < count], among, starts, others)
    # Hidden sites come last.
    flat = np.concatenate([flat + (1 if hidden else 0), np.zeros(total - count, np.int32)]).astype(np.int32)
    return {v: flat[starts[v] : starts[v] + size] for v, size in sizes.items()}, edges


def _diagonal_tables(
    summands: list[Quadratic],
    slots: Mapping[Variable, CodeSlot],
    environment: Mapping[Symbol, Any],
    dims: Mapping[str, int],
) -> dict[str, np.ndarray]:
    """Diagonals of rows that depend on data alone, by q(e_i) + q(-e_i) - 2 q(0) = H_ii in float64."""
    tables = {}
    for number, summand in enumerate(s for s in summands if s.diagonal):
        rows = summand.summand.rows
        if not all((isinstance(s, Variable) and s in slots) or s in environment for s in symbols(rows)):
            continue
        zeros = {v: np.zeros(slots[v].shape) for v in summand.variables}

        def total(values: Mapping[Variable, np.ndarray], rows: Expr = rows) -> float:
            return float(np.sum(evaluate([rows], {**environment, **values}, dims, NUMPY)[0]))

        origin = total(zeros)
        for variable in coupled([summand]):
            slot = slots[variable]
            diagonal = np.zeros(slot.size)
            for i in range(slot.size):
                unit = np.zeros(slot.size)
                unit[i] = 1.0
                unit = unit.reshape(slot.shape)
                diagonal[i] = total({**zeros, variable: unit}) + total({**zeros, variable: -unit}) - 2.0 * origin
            tables[diagonal_table(number, variable)] = diagonal.reshape(slot.shape)
    return tables


def _sums(roots: Sequence[Expr], summed: Mapping[Marginal, Elimination]) -> str:
    """How the sums below are computed, in words; empty where there are none."""
    return "; ".join(summed[node].text for node in walk(*roots) if isinstance(node, Marginal))


def _fact(summand: Structured, dims: Mapping[str, int], summed: Mapping[Marginal, Elimination]) -> TermFact:
    text = summand.summand.text
    if isinstance(summand, Gather):
        rows = int(np.prod(summand.shape, dtype=np.int64))
        return TermFact("gather", rows, len(summand.columns), text)
    if isinstance(summand, Sums):
        count = len(summand.sums)
        what = "a function of a sum over sites" if count == 1 else f"a function of {count} sums over sites"
        sites = sum(prod(d.evaluate(dims) for d in v.space.shape) for v in summand.variables)
        return TermFact("sums", count, 2 if summand.pairwise else sites, text, what)
    if isinstance(summand, Opaque):
        return TermFact("opaque", 1, 0, text, _sums([summand.summand.rows], summed) or summand.reason)
    if isinstance(summand, Continuous):
        return TermFact("continuous", 1, 0, text, _sums([summand.summand.rows], summed))
    names = sorted(v.name for v in summand.variables)
    return TermFact("quadratic", 1, len(names), text, f"at most quadratic in {', '.join(names)}")


def storage(cardinality: int) -> type:
    """The smallest integer type that draws of a discrete variable are kept in."""
    return np.int8 if cardinality <= 127 else np.int16 if cardinality <= 32767 else np.int32
