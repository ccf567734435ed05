"""Terms: an energy as a sum of scaled row sums, found by rewriting the graph, never by probing.

`energy = sum over summands of scale * sum(rows)`, where `scale` is a product of scalars without discrete variables and
`rows` an array expression summed over all its entries.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from energylang.ir.nodes import (
    Apply,
    DimValue,
    Expr,
    Literal,
    Local,
    Loop,
    Map,
    Marginal,
    Quantile,
    Reference,
    Term,
    Trajectory,
    Variable,
    children,
    walk,
)
from energylang.ir.operations import OPERATIONS, type_of
from energylang.ir.types import Dim, Kind, Type

NONE: frozenset[Variable] = frozenset()


@dataclass(frozen=True)
class Summand:
    """One term in normal form. `text` is the source it came from."""

    scale: tuple[Expr, ...]
    rows: Expr
    text: str


@dataclass(frozen=True)
class Degree:
    """Upper bounds of the degree as a polynomial in the values of discrete variables: in all, and in each."""

    total: int
    each: dict[Variable | Local, int]


CONSTANT = Degree(0, {})


class Analysis:
    """What is known of every node below some roots: its discrete variables, its degree (None: no polynomial).

    only: the variables that count, where not all discrete ones do; or what stands for readings of them.
    """

    def __init__(self, *roots: Expr, only: frozenset[Variable] | frozenset[Local] | None = None):
        self._roots = roots
        self._variables: dict[int, frozenset[Any]] = {}
        self._degrees: dict[int, Degree | None] = {}
        self._heights: dict[int, int] = {}
        self._mixing: dict[int, bool] = {}
        for expr in walk(*roots):
            found: frozenset[Any] = NONE.union(*(self._variables[id(c)] for c in children(expr)))
            if isinstance(expr, Marginal):
                found -= frozenset(expr.variables)
            if isinstance(expr, Reference):
                symbol = expr.symbol
                found |= {symbol} & (only if only is not None else NONE)
                if only is None and isinstance(symbol, Variable) and symbol.space.discrete:
                    found |= {symbol}
            self._variables[id(expr)] = found
            self._degrees[id(expr)] = self._degree(expr, found)
            group = OPERATIONS[expr.operation].group if isinstance(expr, Apply) else "elementwise"
            mixes = bool(found) and (
                group not in ("elementwise", "gather")
                or isinstance(expr, Loop | Trajectory | Quantile)
                or (isinstance(expr, Map) and bool(self._variables[id(expr.body)]))
            )
            self._mixing[id(expr)] = mixes or any(self._mixing[id(c)] for c in children(expr))
            self._heights[id(expr)] = 1 + max((self._heights[id(c)] for c in children(expr)), default=0)

    def height(self, expr: Expr) -> int:
        """The longest way down from a node."""
        return self._heights.get(id(expr), 1)

    def variables(self, expr: Expr) -> frozenset[Variable]:
        """The discrete variables below a node (none for a node made after the analysis, which only scales)."""
        return self._variables.get(id(expr), NONE)

    def degree(self, expr: Expr) -> Degree | None:
        return self._degrees.get(id(expr), CONSTANT)

    def _degree(self, expr: Expr, found: frozenset[Variable]) -> Degree | None:
        if not found:
            return CONSTANT
        if isinstance(expr, Reference):
            assert isinstance(expr.symbol, Variable | Local)
            return Degree(1, {expr.symbol: 1})
        if not isinstance(expr, Apply):
            return None
        below = [self._degrees[id(a)] for a in expr.arguments]
        known = [b for b in below if b is not None]
        if len(known) < len(below):
            return None
        operation = expr.operation
        if operation in ("add", "sub", "neg", "sum", "mean", "cumsum") or OPERATIONS[operation].group == "gather":
            if operation == "index" and any(k.total for k in known[1:]):
                return None
            each = {v: max(k.each.get(v, 0) for k in known) for k in known for v in k.each}
            return Degree(max(k.total for k in known), each)
        if operation in ("mul", "matmul"):
            return Degree(
                sum(k.total for k in known), {v: sum(k.each.get(v, 0) for k in known) for k in known for v in k.each}
            )
        if operation == "div" and not known[1].total:
            return known[0]
        if operation == "where" and not known[0].total:
            each = {v: max(k.each.get(v, 0) for k in known) for k in known for v in k.each}
            return Degree(max(k.total for k in known), each)
        if operation == "pow":
            exponent = expr.arguments[1]
            if isinstance(exponent, Literal) and exponent.value in (1, 2, 3, 4):
                power = int(exponent.value)
                return Degree(known[0].total * power, {v: d * power for v, d in known[0].each.items()})
        return None

    # --- splitting ----------------------------------------------------------------------------------------------

    def split(self, term: Term) -> list[Summand]:
        """The summands of a term among the roots, each named by the model's own text."""
        found: list[Summand] = []
        pending: list[tuple[tuple[Expr, ...], Expr]] = [((), term.value)]
        while pending:
            scale, expr = pending.pop()
            parts = self._parts(scale, expr)
            if parts is None:
                found.append(Summand(scale, expr, _text(expr, term)))
            else:
                pending.extend(reversed(parts))
        return found

    def _parts(self, scale: tuple[Expr, ...], expr: Expr) -> list[tuple[tuple[Expr, ...], Expr]] | None:
        """One rewriting step of an expression that is summed over all its entries; None where there is none."""
        if not isinstance(expr, Apply) or not self.variables(expr):
            return None
        a = expr.arguments
        shape = expr.type.shape
        minus = Literal(Type(Kind.INT), expr.span, -1)
        match expr.operation:
            case "neg":
                return [((*scale, minus), a[0])]
            case "add" | "sub" if all(x.type.shape == shape for x in a) and (not shape or self._mixes(expr)):
                # An array is split only where a side mixes entries; elementwise rows are cheaper whole.
                return [(scale, a[0]), ((*scale, minus) if expr.operation == "sub" else scale, a[1])]
            case "mul":
                for factor, other in ((a[0], a[1]), (a[1], a[0])):
                    if not factor.type.shape and not self.variables(factor) and other.type.shape == shape:
                        return [((*scale, factor), other)]
            case "div" if not a[1].type.shape and not self.variables(a[1]):
                return [((*scale, _inverse(a[1])), a[0])]
            case "sum":
                return [(scale, a[0])]
            case "mean":
                count = Dim.of(1)
                for axis in expr.attributes:
                    count = count * a[0].type.shape[axis]
                return [((*scale, _inverse(DimValue(Type(Kind.INT), expr.span, count))), a[0])]
        return None

    def _mixes(self, expr: Expr) -> bool:
        """Whether some node below combines entries of discrete variables beyond elementwise and gather operations."""
        return self._mixing[id(expr)]


def _inverse(expr: Expr) -> Expr:
    one = Literal(Type(Kind.REAL), expr.span, 1.0)
    kind, found = type_of("div", (one, expr))
    return Apply(kind, expr.span, "div", (one, expr), range=found)


def _text(expr: Expr, term: Term) -> str:
    """What was written for a summand; of a distribution's body it is the statement that used the distribution."""
    if expr.span.source is not term.span.source:
        return term.text
    flat = " ".join(expr.span.text.split())
    return flat if len(flat) <= 60 else flat[:57] + "…"
