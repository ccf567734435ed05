"""The factors of an energy over the sites that are summed out: their scopes, and their tables of energies."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from energylang.ir.nodes import Apply, DimValue, Expr, Literal, Local, Map, Reference, Variable, walk
from energylang.ir.operations import OPERATIONS, type_of
from energylang.ir.types import Dim, Kind, Type
from energylang.lower.evaluate import SINGULAR, operands_first
from energylang.lower.operations import Backend
from energylang.lower.spaces import CodeSlot
from energylang.lower.structure import Continuous, Gather, Quadratic, Structured
from energylang.model import UNBOUNDED

MOST_CONFIGURATIONS = 4_096
"""The most joint values of the sites that one row reads."""
MOST_ENUMERATED = 2**16
"""The most joint values of variables whose summand has no structure."""
MOST_AXES = 30
"""The most sites of one table: each is an axis of an array."""
BATCH = 1_024


@dataclass(frozen=True, eq=False)
class Factor:
    """Rows of one summand that read the same number of different sites.

    summand: its number. rows: which of its rows, None for all. configurations: for each joint value of the row's
    different sites, which configuration of the summand's columns that is. sites: int[rows, different sites].
    cardinalities: of these sites.
    """

    summand: int
    rows: np.ndarray | None
    configurations: np.ndarray
    sites: np.ndarray
    cardinalities: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Factors:
    """Summands as factors. unary: of one site each; coupling: of several; linear: summands that are linear in the values;
    cardinalities: of each site; rest: the numbers of summands that are no factors, of which `tables` knows nothing."""

    dims: Mapping[str, int]
    slots: dict[Variable, CodeSlot]
    structured: list[Structured]
    unary: tuple[Factor, ...]
    coupling: tuple[Factor, ...]
    linear: tuple[int, ...]
    cardinalities: tuple[int, ...]
    rest: tuple[int, ...] = ()
    single: dict[int, tuple[Expr, dict[Local, int]]] = field(default_factory=dict)
    """Summands whose rows differ only in what their columns read: one row of them, over locals of one entry each."""

    @property
    def most_values(self) -> int:
        return max(self.cardinalities, default=1)

    def tables(self, environment: Mapping[Any, Any], backend: Backend, compute: Any) -> tuple[Any, Any, list[Any]]:
        """(energy that no site changes, float[sites, K] energies of each site alone, per coupling factor
        float[joint values, rows], one row where all are equal). Values that a site does not have are infinite."""
        made: dict[int, Any] = {}
        return *self.alone(environment, backend, compute, made), [
            self._shared(factor, environment, backend, compute, made) for factor in self.coupling
        ]

    def alone(
        self, environment: Mapping[Any, Any], backend: Backend, compute: Any, made: dict[int, Any] | None = None
    ) -> tuple[Any, Any]:
        """The first two of `tables`. made: tables of summands, to share."""
        xp = backend.xp
        sites, most = len(self.cardinalities), self.most_values
        constant: Any = 0.0
        unary: Any = None
        made = {} if made is None else made
        for summand in self.structured:
            if isinstance(summand, Continuous):
                constant = constant + _total(summand, environment, self.dims, backend, compute)
        for number in self.linear:
            offset, slopes = self._slopes(number, environment, backend, compute)
            constant = constant + offset
            unary = slopes if unary is None else unary + slopes
        for factor in self.unary:
            rows = xp.transpose(self._shared(factor, environment, backend, compute, made))
            rows = xp.pad(rows, ((0, 0), (0, most - rows.shape[1]))) if rows.shape[1] < most else rows
            rows = xp.broadcast_to(rows, (len(factor.sites), most))
            unary = scatter_add(backend, unary, factor.sites[:, 0], rows, sites)
        if unary is None:
            unary = xp.zeros((sites, most))
        ks = np.asarray(self.cardinalities)
        if sites and (ks < most).any():
            unary = xp.where(np.arange(most) < ks[:, None], unary, np.inf)
        return constant, unary

    def _shared(
        self, factor: Factor, environment: Mapping[Any, Any], backend: Backend, compute: Any, made: dict[int, Any]
    ) -> Any:
        """The table of a factor; that of its summand is made once for all its factors."""
        if factor.summand not in made:
            made[factor.summand] = self._table(factor.summand, environment, backend, compute)
        found = made[factor.summand]
        whole = np.array_equal(factor.configurations, np.arange(len(found)))
        found = found if whole else found[factor.configurations]
        return found if factor.rows is None or found.shape[1] == 1 else found[:, factor.rows]

    def table(
        self, factor: Factor, chosen: np.ndarray, environment: Mapping[Any, Any], backend: Backend, compute: Any
    ) -> Any:
        """float[chosen, rows or 1]: the energies of a factor at some of its joint values, given by their numbers."""
        found = self._table(factor.summand, environment, backend, compute, factor.configurations[chosen])
        return found if factor.rows is None or found.shape[1] == 1 else found[:, factor.rows]

    def _table(
        self, number: int, environment: Mapping[Any, Any], backend: Backend, compute: Any,
        chosen: np.ndarray | None = None,
    ) -> Any:  # fmt: skip
        """float[configurations, rows or 1] of a summand: its energy at every joint value of its columns, or variables.

        chosen: the numbers of the configurations, all where None.
        """
        summand = self.structured[number]
        single = self.single.get(number)
        if isinstance(summand, Gather):
            owners = [c.variable for c in summand.columns]
            count = 1 if single is not None else int(np.prod(summand.shape, dtype=np.int64))
        else:
            owners = [v for v, slot in self.slots.items() if v in summand.variables for _ in range(slot.size)]
            count = 1
        ks = tuple(self.slots[v].cardinality for v in owners)
        codes = np.unravel_index(np.arange(np.prod(ks, dtype=np.int64)) if chosen is None else chosen, ks)
        grid = np.stack([self.slots[v].decode(code) for v, code in zip(owners, codes, strict=True)], axis=-1)
        scale = product(compute(summand.summand.scale, environment, self.dims, backend))

        def rows(chosen: Any) -> Any:
            inner = dict(environment)
            if single is not None:
                expression, locals_ = single
                for local, number in locals_.items():
                    inner[local] = backend.xp.reshape(chosen[number], (1,) * len(local.space.shape))
                return backend.xp.reshape(compute([_sloped(expression)], inner, self.dims, backend)[0], 1) * 1.0
            if isinstance(summand, Gather):
                for column, value in zip(summand.columns, chosen, strict=True):
                    shape = tuple(d.evaluate(self.dims) for d in column.shape)
                    inner |= dict.fromkeys(column.locals, backend.xp.full(shape, value))
                found = compute([_sloped(summand.rows)], inner, self.dims, backend)[0]
                return backend.xp.broadcast_to(found, summand.shape).reshape(count) * 1.0
            place = 0
            for variable, slot in self.slots.items():
                if variable in summand.variables:
                    inner[variable] = backend.xp.stack([chosen[place + i] for i in range(slot.size)]).reshape(
                        slot.shape
                    )
                    place += slot.size
            rows = compute([_sloped(summand.summand.rows)], inner, self.dims, backend)[0]
            return backend.xp.sum(rows * 1.0).reshape(1)

        return scale * _over_configurations(rows, grid, backend)

    def _slopes(self, number: int, environment: Mapping[Any, Any], backend: Backend, compute: Any) -> tuple[Any, Any]:
        """(the summand at zero, float[sites, K] what each value of each site adds) of a linear summand."""
        summand = self.structured[number]
        zeros = {v: np.zeros(slot.shape) for v, slot in self.slots.items()}

        def total(values: Mapping[Variable, Any]) -> Any:
            return _total(summand, {**environment, **values}, self.dims, backend, compute)

        if backend.name == "jax":
            import jax
            import jax.numpy as jnp

            start = {v.name: jnp.asarray(z, jnp.result_type(float)) for v, z in zeros.items()}
            offset, slopes = jax.value_and_grad(lambda named: total({v: named[v.name] for v in zeros}))(start)
            flat = jnp.concatenate([slopes[v.name].reshape(-1) for v in zeros])
        else:
            offset = total(zeros)
            parts = []
            for variable, slot in self.slots.items():
                for unit in np.eye(slot.size):
                    parts.append(total({**zeros, variable: unit.reshape(slot.shape)}) - offset)
            flat = np.asarray(parts, np.float64)
        values = np.zeros((len(self.cardinalities), self.most_values))
        for slot in self.slots.values():
            values[slot.start : slot.start + slot.size, : slot.cardinality] = slot.decode(np.arange(slot.cardinality))
        return offset, flat[:, None] * values


def _sloped(rows: Expr) -> Expr:
    """The same, with a derivative of zero where it is infinite: such values weigh nothing, and log(0) has no slope."""
    if not any(isinstance(node, Apply) and node.operation in SINGULAR for node in walk(rows)):
        return rows

    def number(value: float) -> Literal:
        return Literal(Type(Kind.REAL), rows.span, value)

    def of(operation: str, *arguments: Expr) -> Apply:
        kind, found = type_of(operation, arguments)
        return Apply(kind, rows.span, operation, arguments, range=found)

    # A product, for a selection is part of a branch only where nothing else uses it.
    value = of("mul", rows, number(1.0))
    infinite = of("eq", of("abs", value), number(math.inf))
    return of("where", infinite, of("where", of("lt", value, number(0.0)), number(-math.inf), number(math.inf)), value)


def _total(
    summand: Structured, environment: Mapping[Any, Any], dims: Mapping[str, int], backend: Backend, compute: Any
) -> Any:
    *scale, rows = compute([*summand.summand.scale, summand.summand.rows], environment, dims, backend)
    return backend.xp.sum(backend.xp.asarray(rows) * 1.0) * product(scale)


def product(factors: Sequence[Any]) -> Any:
    total: Any = 1.0
    for factor in factors:
        total = total * factor
    return total


def _over_configurations(rows: Any, grid: np.ndarray, backend: Backend) -> Any:
    if backend.name == "numpy":
        return np.stack([rows(chosen) for chosen in grid])
    import jax
    import jax.numpy as jnp

    if len(grid) <= MOST_CONFIGURATIONS:
        return jax.vmap(rows)(jnp.asarray(grid, jnp.int32))
    return jax.lax.map(rows, jnp.asarray(grid, jnp.int32), batch_size=BATCH)


def scatter_add(backend: Backend, base: Any, places: np.ndarray, rows: Any, count: int) -> Any:
    """`base` (None: zeros) of `count` rows with `rows` added at `places`."""
    if len(places) == count and np.array_equal(places, np.arange(count)):
        return rows if base is None else base + rows
    if base is None:
        base = backend.xp.zeros((count, *rows.shape[1:]), rows.dtype)
    if backend.name == "jax":
        return base.at[places].add(rows)
    base = base.copy()
    np.add.at(base, places, rows)
    return base


# --- finding them ---------------------------------------------------------------------------------------------------


def factors_of(
    structured: Sequence[Structured], slots: dict[Variable, CodeSlot], dims: Mapping[str, int], whole: bool = False
) -> Factors:
    """The factors of summands over the sites of `slots`, whose starts number them through.

    whole: a summand whose rows are not known to read few sites becomes one factor over all sites of its variables, where
    these have few configurations.
    """
    ks = np.concatenate([np.full(slot.size, slot.cardinality) for slot in slots.values()])
    unary: list[Factor] = []
    coupling: list[Factor] = []
    linear: list[int] = []
    rest: list[int] = []
    single: dict[int, tuple[Expr, dict[Local, int]]] = {}
    for number, summand in enumerate(structured):
        if isinstance(summand, Continuous) or not any(v in slots for v in summand.variables):
            continue
        if isinstance(summand, Quadratic) and not summand.pairs:
            linear.append(number)
            continue
        found: list[Factor] = []
        if isinstance(summand, Gather) and tabled(summand, slots):
            found = _of_rows(number, summand, slots)
            row = one_row(summand)
            if row is not None:
                single[number] = row
        elif whole and configurations(summand, slots) <= MOST_ENUMERATED and _sites_of(summand, slots) <= MOST_AXES:
            found = [_of_variables(number, summand, slots)]
        else:
            rest.append(number)
        for factor in found:
            (unary if factor.sites.shape[1] == 1 else coupling).append(factor)
    cardinalities = tuple(int(k) for k in ks)
    kinds = tuple(unary), tuple(coupling), tuple(linear)
    return Factors(dims, slots, list(structured), *kinds, cardinalities, tuple(rest), single)


def tabled(summand: Gather, slots: Mapping[Variable, CodeSlot]) -> bool:
    """Whether the joint values of what a row reads are few enough for a table."""
    small = 1
    for column in summand.columns:
        small *= slots[column.variable].cardinality if column.variable in slots else UNBOUNDED
    return small <= MOST_CONFIGURATIONS


def _of_rows(number: int, summand: Gather, slots: Mapping[Variable, CodeSlot]) -> list[Factor]:
    """Rows grouped by which of their columns read the same site, and which read none."""
    starts = [slots[c.variable].start for c in summand.columns]
    sites = np.stack(
        [
            np.where(c.sites < 0, -1, c.sites + start).reshape(-1)
            for c, start in zip(summand.columns, starts, strict=True)
        ],
        axis=-1,
    )
    ks = [slots[c.variable].cardinality for c in summand.columns]
    count = len(ks)
    # Per row and column: the first column that reads the same site, -1 where none is read.
    first = np.full(sites.shape, -1)
    for column in range(count):
        for earlier in range(column, -1, -1):
            same = (sites[:, earlier] == sites[:, column]) & (sites[:, column] >= 0)
            first[:, column] = np.where(same, earlier, first[:, column])
    patterns, which = np.unique(first, axis=0, return_inverse=True)
    found = []
    for place, pattern in enumerate(patterns):
        owners = sorted({int(c) for c in pattern if c >= 0})
        rows = None if len(patterns) == 1 else np.nonzero(which.reshape(-1) == place)[0]
        mine = sites if rows is None else sites[rows]
        grid = np.indices([ks[c] for c in owners]).reshape(len(owners), -1)
        codes = [grid[owners.index(int(c))] if c >= 0 else np.zeros(grid.shape[1], int) for c in pattern]
        configurations = np.ravel_multi_index(codes, ks)
        found.append(Factor(number, rows, configurations, mine[:, owners], tuple(ks[c] for c in owners)))
    return found


def configurations(summand: Structured, slots: Mapping[Variable, CodeSlot]) -> int:
    """The joint values of all sites of a summand's variables."""
    total = 1
    for variable in summand.variables:
        slot = slots.get(variable)
        total *= UNBOUNDED if slot is None else slot.cardinality**slot.size
    return total


def _sites_of(summand: Structured, slots: Mapping[Variable, CodeSlot]) -> int:
    return sum(slot.size for variable, slot in slots.items() if variable in summand.variables)


def _of_variables(number: int, summand: Structured, slots: Mapping[Variable, CodeSlot]) -> Factor:
    """One factor over every site of the summand's variables."""
    mine = [slot for variable, slot in slots.items() if variable in summand.variables]
    sites = [site for slot in mine for site in range(slot.start, slot.start + slot.size)]
    ks = tuple(slot.cardinality for slot in mine for _ in range(slot.size))
    return Factor(number, None, np.arange(configurations(summand, slots)), np.asarray([sites]), ks)


def one_row(summand: Gather) -> tuple[Expr, dict[Local, int]] | None:
    """One row of a summand, over locals of one entry each with their column numbers; None where rows differ otherwise.

    So a table of transitions is computed once, and not for every step of a chain.
    """
    numbers: dict[Local, int] = {}
    made: dict[int, Expr] = {}
    columns = {local: number for number, column in enumerate(summand.columns) for local in column.locals}
    for node in operands_first([summand.rows]):
        found = _one(node, made, columns, numbers)
        if found is None:
            return None
        made[id(node)] = found
    return made[id(summand.rows)], numbers


def _one(node: Expr, made: dict[int, Expr], columns: Mapping[Local, int], numbers: dict[Local, int]) -> Expr | None:
    one = Dim.of(1)
    if isinstance(node, Reference) and isinstance(node.symbol, Local) and node.symbol in columns:
        local = Local(node.symbol.name, replace(node.symbol.space, shape=(one,) * len(node.type.shape)), node.span)
        numbers[local] = columns[node.symbol]
        return Reference(local.space.type, node.span, local, range=node.range)
    if isinstance(node, Literal | DimValue | Reference):
        return node
    if isinstance(node, Apply):
        operands = tuple(made[id(a)] for a in node.arguments)
        changed = [a is not b for a, b in zip(operands, node.arguments, strict=True)]
        if not any(changed):
            return node
        group = OPERATIONS[node.operation].group
        rows = operands[1:] if node.operation == "index" else operands
        single = all(d == one for o in rows for d in o.type.shape)
        table = node.operation == "index" and not changed[0] and all(a == ("at",) for a in node.attributes)
        if not single or not (group == "elementwise" or table):
            return None
        kind, found = type_of(node.operation, operands, node.attributes)
        return replace(node, type=kind, arguments=operands, range=found)
    if isinstance(node, Map):
        operands = tuple(made[id(a)] for a in node.arguments)
        for parameter, operand in zip(node.parameters, operands, strict=True):
            batch = operand.type.shape[: len(operand.type.shape) - len(parameter.space.shape)]
            if any(d != one for d in batch):
                return None
        shape = (one,) * node.batch_rank + node.type.shape[node.batch_rank :]
        return replace(node, arguments=operands, type=Type(node.type.kind, shape))
    return None
