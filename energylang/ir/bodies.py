"""What bodies that are computed many times have in common: which parts of them stay the same."""

from __future__ import annotations

from functools import lru_cache

from energylang.ir.nodes import (
    Apply,
    Binder,
    DimValue,
    Expr,
    Literal,
    Local,
    Marginal,
    Recovered,
    Reference,
    children,
    walk,
)
from energylang.ir.operations import OPERATIONS
from energylang.ir.types import Kind

NONE: frozenset[Local] = frozenset()


@lru_cache(maxsize=4096)
def invariants(binder: Binder) -> tuple[Expr, ...]:
    """The largest parts of the bodies that are the same in every turn: computed once, before the bodies.

    What stands in the branches of an `if` that differs from turn to turn stays there as far as it is elementwise: the
    evaluator keeps infinite derivatives out of branches that are not taken (`energylang.lower.evaluate`).
    """
    free = _free_locals(binder)
    staying = _in_selections(binder, free)
    found: list[Expr] = []
    seen: set[int] = set()
    pending = list(reversed(binder.bodies))
    while pending:
        expr = pending.pop()
        if id(expr) in seen or isinstance(expr, Literal | DimValue):
            continue
        seen.add(id(expr))
        if not free[id(expr)] and id(expr) not in staying:
            found.append(expr)
        elif not isinstance(expr, Marginal | Recovered):
            pending.extend(reversed(children(expr)))
    return tuple(found)


def _free_locals(binder: Binder) -> dict[int, frozenset[Local]]:
    """Per node of the bodies, the parameters it depends on of this binder and of those inside it."""
    bound = set(binder.parameters)
    for expr in walk(*binder.bodies):
        if isinstance(expr, Binder):
            bound.update(expr.parameters)
    free: dict[int, frozenset[Local]] = {}
    for expr in walk(*binder.bodies):
        found = NONE.union(*(free[id(c)] for c in children(expr)))
        if isinstance(expr, Reference) and isinstance(expr.symbol, Local) and expr.symbol in bound:
            found = frozenset([expr.symbol])
        elif isinstance(expr, Binder):
            found -= frozenset(expr.parameters)
        free[id(expr)] = found
    return free


def _in_selections(binder: Binder, free: dict[int, frozenset[Local]]) -> set[int]:
    """The elementwise nodes that selections which differ from turn to turn reach down to."""
    found: set[int] = set()
    pending: list[Expr] = []
    for expr in walk(*binder.bodies):
        if isinstance(expr, Apply) and expr.operation == "where" and expr.type.kind is Kind.REAL and free[id(expr)]:
            pending.extend(expr.arguments)
    while pending:
        expr = pending.pop()
        if id(expr) in found or not isinstance(expr, Apply) or OPERATIONS[expr.operation].group != "elementwise":
            continue
        found.add(id(expr))
        pending.extend(expr.arguments)
    return found
