"""Structure of an energy in its discrete variables: which summands couple which sites, found on index arrays.

A `gather` summand is one whose every row reads few entries of the discrete variables: each maximal chain of gather
operations on a variable is one *column*, and the column's index array says which site each row reads. Setting a site
to a value changes only the rows that read it, so replacing one column at a time gives the exact change of the energy.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import prod
from typing import Any, Literal

import numpy as np

from energylang.ir.nodes import Apply, Expr, Local, Loop, Map, Output, Reference, Term, Variable, symbols, walk
from energylang.ir.operations import OPERATIONS
from energylang.ir.terms import Analysis, Summand
from energylang.ir.types import Dim, Space, Type
from energylang.lower.evaluate import evaluate, numbers
from energylang.lower.operations import NUMPY, compute

MOST_COLUMNS = 64
DEEPEST = 200


@dataclass(frozen=True, eq=False)
class Column:
    """One reading of a discrete variable by the rows.

    locals: stand for it in the rows (several where it is read several times). chain: the gather operations on the variable, as an expression.
    sites: int64 with the rows' shape, the site (entry of the variable) each row reads, -1 for none.
    direct: the rows read it in its own shape up to broadcasting, so that the chain's transpose collects changes.
    """

    locals: tuple[Local, ...]
    variable: Variable
    chain: Expr
    sites: np.ndarray
    direct: bool

    @property
    def shape(self) -> tuple[Dim, ...]:
        """Of the chain's value."""
        return self.chain.type.shape


@dataclass(frozen=True, eq=False)
class Gather:
    """A summand whose rows read a few sites each. `rows` is over the columns' locals.

    overlaps: for pairs of columns that read the same site in some rows, where they do. multilinear: the rows are of degree
    one in each column and no row reads a site twice, so that changes are steps times a gradient.
    """

    summand: Summand
    rows: Expr
    columns: tuple[Column, ...]
    overlaps: dict[tuple[int, int], np.ndarray]
    shape: tuple[int, ...]
    multilinear: bool = False
    kind: Literal["gather"] = "gather"

    @property
    def variables(self) -> frozenset[Variable]:
        return frozenset(c.variable for c in self.columns)


@dataclass(frozen=True, eq=False)
class Quadratic:
    """A summand of degree at most two in the values: exact changes from its gradient and its diagonal.

    diagonal: whether x_i^2 can occur (then the second derivative is needed too).
    """

    summand: Summand
    variables: frozenset[Variable]
    diagonal: bool
    pairs: tuple[tuple[Variable, Variable], ...]
    kind: Literal["quadratic"] = "quadratic"


@dataclass(frozen=True, eq=False)
class SiteSum:
    """A scalar that is a sum of rows which read one site each. local: stands for it in a function of sums. value: the scalar.

    gathers: its parts that read sites, each with one column.
    """

    local: Local
    value: Expr
    gathers: tuple[Gather, ...]


@dataclass(frozen=True, eq=False)
class Sums:
    """A summand that is a function of a few sums over sites (`energylang.lower.sums`): exact changes from what a site adds.

    pairwise: whether the function is of degree two at most.
    """

    summand: Summand
    function: Expr
    sums: tuple[SiteSum, ...]
    variables: frozenset[Variable]
    pairwise: bool
    kind: Literal["sums"] = "sums"


@dataclass(frozen=True, eq=False)
class Opaque:
    """A summand about which nothing more is known; `reason` says what stood in the way."""

    summand: Summand
    variables: frozenset[Variable]
    reason: str
    kind: Literal["opaque"] = "opaque"


@dataclass(frozen=True, eq=False)
class Continuous:
    """A summand without discrete variables."""

    summand: Summand
    variables: frozenset[Variable] = frozenset()
    kind: Literal["continuous"] = "continuous"


Structured = Gather | Quadratic | Sums | Opaque | Continuous


class _NotGather(Exception):
    """Why rows are not a gather."""


@dataclass
class _Expansion:
    """The rows being rewritten over locals; `data` gives values to indices made of data."""

    analysis: Analysis
    environment: Mapping[Any, Any]
    dims: Mapping[str, int]
    columns: list[Column] = field(default_factory=list)


Readings = dict[int, tuple[np.ndarray, bool]]
"""Per column number: the sites that the entries of a node read, and whether they are read directly."""


def structure(
    terms: Sequence[Term], environment: Mapping[Any, Any], dims: Mapping[str, int], limit: int = 2**26,
    only: frozenset[Variable] | None = None,
) -> list[Structured]:  # fmt: skip
    """The summands of an energy given by its terms, each with what could be found of it.

    environment: values of data, for indices made of data. limit: the most index entries worth keeping. only: the
    variables whose structure is asked for, all discrete ones where it is None.
    """
    analysis = Analysis(*(t.value for t in terms), only=only)
    found: list[Structured] = []
    for term in terms:
        for summand in analysis.split(term):
            found.append(_classify(analysis, summand, environment, dims, limit))
    return found


def _classify(
    analysis: Analysis, summand: Summand, environment: Mapping[Any, Any], dims: Mapping[str, int], limit: int
) -> Structured:
    variables = analysis.variables(summand.rows)
    if not variables:
        return Continuous(summand)
    try:
        if analysis.height(summand.rows) > DEEPEST:
            raise _NotGather("it is nested too deeply")
        return _gather(analysis, summand, environment, dims, limit)
    except _NotGather as reason:
        degree = analysis.degree(summand.rows)
        if degree is not None and degree.total <= 2:
            pairs = tuple(_pairs(analysis, summand.rows))
            return Quadratic(summand, variables, any(u is v for u, v in pairs), pairs)
        return Opaque(summand, variables, str(reason))


def _pairs(analysis: Analysis, rows: Expr) -> set[tuple[Variable, Variable]]:
    """Which variables a quadratic couples; a variable with itself where its entries are coupled with each other."""
    found: set[tuple[Variable, Variable]] = set()
    for node in walk(rows):
        if not isinstance(node, Apply):
            continue
        if node.operation in ("mul", "matmul"):
            left, right = (analysis.variables(a) for a in node.arguments)
            found |= {(u, v) for u in left for v in right}
        elif node.operation == "pow":
            inside = analysis.variables(node.arguments[0])
            found |= {(u, v) for u in inside for v in inside}
    return found


def _gather(
    analysis: Analysis, summand: Summand, environment: Mapping[Any, Any], dims: Mapping[str, int], limit: int
) -> Gather:
    work = _Expansion(analysis, environment, dims)
    shape = tuple(d.evaluate(dims) for d in summand.rows.type.shape)
    rows, readings = _expand(work, summand.rows)
    if int(np.prod(shape, dtype=np.int64)) * max(1, len(work.columns)) > limit:
        raise _NotGather("its index tables would be too large")
    columns: list[Column] = []
    for number, column in enumerate(work.columns):
        sites, direct = readings[number]
        _merge(columns, column, np.broadcast_to(sites, shape), direct)
    overlaps = _overlaps(columns)
    for pair in overlaps:
        for number in pair:
            column = columns[number]
            if column.direct and tuple(d.evaluate(dims) for d in column.shape) == shape:
                continue
            degree = analysis.degree(summand.rows)
            if not column.direct or (degree is not None and degree.total <= 2):
                raise _NotGather("rows read one site twice through different shapes")
            wide = Type(column.chain.type.kind, summand.rows.type.shape)
            chain = Apply(wide, column.chain.span, "broadcast", (column.chain,), wide.shape, range=column.chain.range)
            columns[number] = replace(column, chain=chain)
    return Gather(summand, rows, tuple(columns), overlaps, shape, not overlaps and _multilinear(rows, columns))


def _multilinear(rows: Expr, columns: Sequence[Column]) -> bool:
    """Whether the rows are a polynomial of degree at most one in what each column reads."""
    degree = Analysis(rows, only=frozenset(local for c in columns for local in c.locals)).degree(rows)
    return degree is not None and all(sum(degree.each.get(local, 0) for local in c.locals) <= 1 for c in columns)


def _merge(columns: list[Column], column: Column, sites: np.ndarray, direct: bool) -> None:
    """Add a column, or its locals to one that reads the same sites in the same way."""
    for number, other in enumerate(columns):
        same = other.variable is column.variable and other.direct == direct and other.shape == column.shape
        if same and direct and np.array_equal(other.sites, sites):
            columns[number] = replace(other, locals=other.locals + column.locals)
            return
    columns.append(replace(column, sites=sites, direct=direct))


def _overlaps(columns: Sequence[Column]) -> dict[tuple[int, int], np.ndarray]:
    found = {}
    for i, first in enumerate(columns):
        for j in range(i + 1, len(columns)):
            second = columns[j]
            if first.variable is second.variable:
                same = (first.sites == second.sites) & (first.sites >= 0)
                if same.any():
                    found[i, j] = np.ascontiguousarray(same)
    return found


def _expand(work: _Expansion, expr: Expr) -> tuple[Expr, Readings]:
    """The node over locals, and what its entries read. Depth is bounded by the number of columns and the nesting limit."""
    if not work.analysis.variables(expr):
        return expr, {}
    chain = _chain_sites(work, expr)
    if chain is not None:
        variable, sites = chain
        number = _column(work, expr, variable, sites)
        (local,) = work.columns[number].locals
        return Reference(local.space.type, expr.span, local, range=expr.range), {number: (sites, True)}
    if isinstance(expr, Map):
        return _expand_map(work, expr)
    if not isinstance(expr, Apply):
        raise _NotGather(
            "it is not made of operations"
            if not isinstance(expr, Output)
            else "a loop carries discrete values along"
            if isinstance(expr.source, Loop)
            else "a flow has them as its conditions"
        )
    group = OPERATIONS[expr.operation].group
    if group == "elementwise":
        return _expand_elementwise(work, expr)
    if expr.operation == "index":
        return _expand_index(work, expr)
    if group == "gather":
        parts = [_expand(work, a) for a in expr.arguments]
        readings: Readings = {}
        attributes = numbers(expr.attributes, work.dims)
        for place, (_, read) in enumerate(parts):
            for number, (sites, _) in read.items():
                moved = [np.full(_shape(work, a), -1) for a in expr.arguments]
                moved[place] = np.broadcast_to(sites, _shape(work, expr.arguments[place]))
                readings[number] = (compute(NUMPY, expr.operation, moved, attributes), False)
        return replace(expr, arguments=tuple(e for e, _ in parts)), readings
    raise _NotGather(f"`{expr.operation}` combines many entries")


def _shape(work: _Expansion, expr: Expr) -> tuple[int, ...]:
    return tuple(d.evaluate(work.dims) for d in expr.type.shape)


def _expand_elementwise(work: _Expansion, expr: Apply) -> tuple[Expr, Readings]:
    shape = _shape(work, expr)
    readings: Readings = {}
    arguments = []
    for argument in expr.arguments:
        inner, read = _expand(work, argument)
        arguments.append(inner)
        for number, (sites, direct) in read.items():
            wide = np.broadcast_to(sites, shape)
            readings[number] = (wide, direct)
    return replace(expr, arguments=tuple(arguments)), readings


def _expand_index(work: _Expansion, expr: Apply) -> tuple[Expr, Readings]:
    base, *indices = expr.arguments
    attributes = numbers(expr.attributes, work.dims)
    if work.analysis.variables(base):
        if any(work.analysis.variables(i) for i in indices):
            raise _NotGather("discrete values index discrete values")
        inner, read = _expand(work, base)
        values = _index_values(work, indices)
        moved: Readings = {
            number: (compute(NUMPY, "index", [np.broadcast_to(sites, _shape(work, base)), *values], attributes), False)
            for number, (sites, _) in read.items()
        }
        return replace(expr, arguments=(inner, *indices)), moved
    # A table indexed by discrete values: entries lie where the index axes are, the table's other axes around them.
    shape = _shape(work, expr)
    before = next(i for i, item in enumerate(expr.attributes) if item[0] == "at")
    rank = max(len(i.type.shape) for i in indices)
    after = len(shape) - before - rank
    readings: Readings = {}
    arguments: list[Expr] = []
    for index in indices:
        inner, read = _expand(work, index)
        arguments.append(inner)
        for number, (sites, direct) in read.items():
            placed = np.broadcast_to(sites.reshape(sites.shape + (1,) * after), shape)
            readings[number] = (placed, direct and after == 0)
    return replace(expr, arguments=(base, *arguments)), readings


def _expand_map(work: _Expansion, expr: Map) -> tuple[Expr, Readings]:
    shape = _shape(work, expr)
    after = len(expr.body.type.shape)
    if work.analysis.variables(expr.body):
        raise _NotGather("the body of a map mentions discrete variables")
    readings: Readings = {}
    arguments = []
    for parameter, argument in zip(expr.parameters, expr.arguments, strict=True):
        inner, read = _expand(work, argument)
        arguments.append(inner)
        rank = len(parameter.space.shape)
        for number, (sites, direct) in read.items():
            one = np.broadcast_to(sites, _shape(work, argument))
            if rank:
                # An event that is looked up at one site, such as a row of a table, still reads that site alone.
                flat = one.reshape(*one.shape[: one.ndim - rank], prod(one.shape[one.ndim - rank :]))
                if flat.shape[-1] == 0 or (flat != flat[..., :1]).any():
                    raise _NotGather("a map takes whole events of discrete variables")
                one, direct = flat[..., 0], False
            if after:
                one, direct = one.reshape(one.shape + (1,) * after), False
            readings[number] = (np.broadcast_to(one, shape), direct)
    return replace(expr, arguments=tuple(arguments)), readings


def _chain_sites(work: _Expansion, expr: Expr) -> tuple[Variable, np.ndarray] | None:
    """The variable and sites where a node is nothing but gathers on one variable; None otherwise."""
    path: list[Apply] = []
    node = expr
    while isinstance(node, Apply) and OPERATIONS[node.operation].group == "gather" and len(node.arguments) >= 1:
        if node.operation in ("concatenate", "stack") or any(work.analysis.variables(a) for a in node.arguments[1:]):
            return None
        path.append(node)
        node = node.arguments[0]
    if not isinstance(node, Reference) or not isinstance(node.symbol, Variable):
        return None
    shape = tuple(d.evaluate(work.dims) for d in node.symbol.space.shape)
    sites = np.arange(int(np.prod(shape, dtype=np.int64))).reshape(shape)
    for step in reversed(path):
        indices = _index_values(work, step.arguments[1:])
        sites = compute(NUMPY, step.operation, [sites, *indices], numbers(step.attributes, work.dims))
    return node.symbol, np.asarray(sites)


def _index_values(work: _Expansion, indices: Sequence[Expr]) -> list[Any]:
    """The values of indices made of data."""
    if any(s not in work.environment for s in symbols(*indices)):
        raise _NotGather("an index depends on what is not data")
    return evaluate(indices, work.environment, work.dims, NUMPY)


def _column(work: _Expansion, chain: Expr, variable: Variable, sites: np.ndarray) -> int:
    if len(work.columns) == MOST_COLUMNS:
        raise _NotGather(f"its rows read more than {MOST_COLUMNS} sites each")
    local = Local(f"{variable.name}_{len(work.columns)}", Space("int", chain.type.shape), chain.span)
    work.columns.append(Column((local,), variable, chain, sites, True))
    return len(work.columns) - 1
