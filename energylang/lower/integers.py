"""Integers that 32 bits may not hold: found by intervals when data are known, and computed as reals instead.

JAX's integers wrap around silently. What can leave their range is rewritten over real operands; sums of spins, counts
and indices stay exact integers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import inf, prod

from energylang.ir.nodes import (
    Apply,
    Condition,
    Data,
    DimValue,
    Energy,
    Expr,
    Let,
    Literal,
    Local,
    Loop,
    Map,
    Output,
    Random,
    Reference,
    Symbol,
    children,
    walk,
    with_children,
)
from energylang.ir.types import Dim, Kind, Type
from energylang.lower.bodies import kinds_of
from energylang.lower.data import Bound

Interval = tuple[float, float]

LARGEST = 2.0**31 - 1
UNKNOWN: Interval = (-LARGEST, LARGEST)
"""Of what is an int32 already, with any value."""


def without_overflow(energy: Energy, bound: Bound) -> Energy:
    """The energy, with whatever may leave 32 bits computed as a real; itself where nothing may."""
    made = _widened(energy.roots, bound)
    if all(made[id(root)] is root for root in energy.roots):
        return energy
    return energy.mapped(lambda root: made[id(root)])


def widened(roots: Sequence[Expr], bound: Bound) -> list[Expr]:
    """Expressions with whatever may leave 32 bits computed as a real."""
    made = _widened(tuple(roots), bound)
    return [made[id(root)] for root in roots]


_COMPUTED = frozenset(
    [
        "add",
        "sub",
        "mul",
        "neg",
        "abs",
        "pow",
        "floordiv",
        "mod",
        "sum",
        "prod",
        "cumsum",
        "matmul",
        "minimum",
        "maximum",
    ]
)
"""Operations that are told to compute with reals by their operands; the others pass on what they are given."""


def _widened(roots: tuple[Expr, ...], bound: Bound) -> dict[int, Expr]:
    """Per node what takes its place."""
    inside: dict[Symbol, Expr] = {p: a for m in walk(*roots) if isinstance(m, Map | Loop) for p, a in _elements(m)}
    intervals: dict[int, Interval] = {}
    made: dict[int, Expr] = {}
    for node in walk(*roots):
        below = children(node)
        if isinstance(node, Reference):
            argument = inside.get(node.symbol)
            interval = intervals[id(argument)] if argument is not None else _of_symbol(node.symbol, bound)
        else:
            interval = _of_node(node, [intervals[id(c)] for c in below], bound.dims)
        intervals[id(node)] = interval
        made[id(node)] = node
        replaced = tuple(made[id(c)] for c in below)
        if node.type.kind is Kind.INT and max(-interval[0], interval[1]) > LARGEST:
            if isinstance(node, Literal | DimValue):
                made[id(node)] = Literal(Type(Kind.REAL), node.span, float(interval[1]), range=node.range)
            elif isinstance(node, Apply) and node.operation != "iota":
                operands = tuple(_real(a) for a in replaced) if node.operation in _COMPUTED else replaced
                made[id(node)] = replace(node, type=Type(Kind.REAL, node.type.shape), arguments=operands)
        else:
            made[id(node)] = _passed_on(with_children(node, replaced))
    return made


def _elements(node: Map | Loop) -> list[tuple[Local, Expr]]:
    """The locals that are elements of an argument, with it; the states of a loop may become anything."""
    pairs = list(zip(node.parameters, node.arguments, strict=True))
    return pairs[len(node.bodies) :] if isinstance(node, Loop) else pairs


def _passed_on(node: Expr) -> Expr:
    """What has the values of a body that became real is real itself."""
    kind = node.type.kind
    if isinstance(node, Map):
        kind = max(kind, node.body.type.kind)
    elif isinstance(node, Output) and isinstance(node.source, Loop):
        kind = max(kind, kinds_of(node.source)[node.place])
    return node if kind is node.type.kind else replace(node, type=Type(kind, node.type.shape))


def _real(expr: Expr) -> Expr:
    if expr.type.kind is Kind.REAL:
        return expr
    one = Literal(Type(Kind.REAL), expr.span, 1.0)
    return Apply(Type(Kind.REAL, expr.type.shape), expr.span, "mul", (expr, one), range=expr.range)


def _of_symbol(symbol: Symbol, bound: Bound) -> Interval:
    if isinstance(symbol, Data | Let | Condition) and symbol.key in bound.values:
        values = bound.values[symbol.key]
        return (float(values.min()), float(values.max())) if values.size else (0.0, 0.0)
    if symbol.space.kind == "spin":
        return -1.0, 1.0
    values = symbol.space.values
    return UNKNOWN if values is None else (0.0, float(values.evaluate(bound.dims)))


def _of_node(node: Expr, below: list[Interval], dims: Mapping[str, int]) -> Interval:
    """Bounds of a node's values. Of reals nothing is asked, and of what is made of them nothing is known."""
    if isinstance(node, Literal):
        return float(node.value), float(node.value)
    if isinstance(node, DimValue):
        return float(node.dim.evaluate(dims)), float(node.dim.evaluate(dims))
    if node.type.kind is Kind.BOOL:
        return 0.0, 1.0
    if isinstance(node, Random) and isinstance(node.range.low, Dim) and isinstance(node.range.high, Dim):
        return float(node.range.low.evaluate(dims)), float(node.range.high.evaluate(dims))
    if node.type.kind is Kind.REAL or not isinstance(node, Apply):
        return UNKNOWN
    operation = node.operation
    if operation == "iota":
        return 0.0, float(node.attributes[0].evaluate(dims))
    if operation in ("floor", "ceil", "round"):
        return UNKNOWN
    if operation == "where":
        below = below[1:]
    elif operation == "index":
        below = below[:1]
    size = max(max(-low, high) for low, high in below)
    if operation in ("add", "sub"):
        (a, b), (c, d) = below
        return (a + c, b + d) if operation == "add" else (a - d, b - c)
    if operation in ("sum", "cumsum"):
        (low, high), count = below[0], _entries(node.arguments[0], node.attributes, dims)
        return min(low * count, low), max(high * count, high)
    if operation == "mul":
        corners = [_times(x, y) for x in below[0] for y in below[1]]
        return min(corners), max(corners)
    if operation == "matmul":
        bound = _times(_largest(below[0]), _largest(below[1])) * _entries(node.arguments[0], (-1,), dims)
        return -bound, bound
    if operation == "pow":
        exponent = max(0.0, below[1][1])
        size = _raised(max(1.0, _largest(below[0])), exponent)
    elif operation == "prod":
        size = _raised(max(1.0, size), _entries(node.arguments[0], node.attributes, dims))
    elif operation in ("neg", "abs", "sign", "floordiv", "mod", "minimum", "maximum"):
        size = max(size, 1.0)
    else:
        return min(low for low, _ in below), max(high for _, high in below)
    return -size, size


def _entries(expr: Expr, axes: tuple[int, ...], dims: Mapping[str, int]) -> float:
    return float(prod(expr.type.shape[axis].evaluate(dims) for axis in axes))


def _largest(interval: Interval) -> float:
    return max(-interval[0], interval[1])


def _times(x: float, y: float) -> float:
    return x * y if x and y else 0.0


def _raised(base: float, exponent: float) -> float:
    try:
        return base**exponent
    except OverflowError:
        return inf
