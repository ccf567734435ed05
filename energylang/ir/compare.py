"""Whether two expressions, or two spaces, are written the same."""

from __future__ import annotations

from energylang.ir.nodes import Apply, DimValue, Expr, Literal, Map, Reference, Symbol, children, walk
from energylang.ir.types import Space


def same(left: Expr, right: Expr) -> bool:
    """Whether two expressions are the same operations on the same symbols: then they have one value.

    Variables and conditions of two energies are the same where their names are. Spans and ranges do not count. Other
    pairs may still be equal in value: this answers False where it does not know.
    """
    first, second = list(walk(left)), list(walk(right))
    if len(first) != len(second):
        return False
    places = [{id(e): i for i, e in enumerate(order)} for order in (first, second)]
    locals_: dict[int, Symbol] = {}
    for a, b in zip(first, second, strict=True):
        if type(a) is not type(b) or a.type.shape != b.type.shape:
            return False
        if [places[0][id(c)] for c in children(a)] != [places[1][id(c)] for c in children(b)]:
            return False
        if isinstance(a, Map) and isinstance(b, Map):
            locals_ |= {id(p): q for p, q in zip(a.parameters, b.parameters, strict=True)}
    return all(_alike(a, b, locals_) for a, b in zip(first, second, strict=True))


def _alike(a: Expr, b: Expr, locals_: dict[int, Symbol]) -> bool:
    """Whether two nodes of one class are alike, their operands left aside."""
    match a, b:
        case Literal(), Literal():
            return a.value == b.value
        case DimValue(), DimValue():
            return a.dim == b.dim
        case Apply(), Apply():
            return (a.operation, a.attributes) == (b.operation, b.attributes)
        case Map(), Map():
            return a.batch_rank == b.batch_rank
        case Reference(), Reference():
            if id(a.symbol) in locals_:
                return locals_[id(a.symbol)] is b.symbol
            return a.symbol is b.symbol or (type(a.symbol) is type(b.symbol) and a.symbol.key == b.symbol.key)
    return False


def same_bound(left: float | Expr | None, right: float | Expr | None) -> bool:
    """Whether two bounds of an interval are the same number or the same expression."""
    if isinstance(left, Expr) and isinstance(right, Expr):
        return same(left, right)
    return not isinstance(left, Expr) and not isinstance(right, Expr) and left == right


def equal_spaces(left: Space, right: Space) -> bool:
    """Whether two spaces are equal, their bounds as they are written."""
    plain = (left.kind, left.shape, left.cardinality) == (right.kind, right.shape, right.cardinality)
    return plain and same_bound(left.low, right.low) and same_bound(left.high, right.high)
