"""Values that take the place of a variable or condition: of its kind and shape, and inside its space."""

from __future__ import annotations

from energylang.check.context import Context, Poison, literal
from energylang.check.expressions import apply, shaped
from energylang.diagnostics import Label
from energylang.ir.nodes import Apply, Expr, Reference, Symbol
from energylang.ir.types import Dim, Kind, Range, show_shape


def fitting_value(context: Context, symbol: Symbol, value: Expr) -> Expr | None:
    """The value with the symbol's type; None after a diagnostic. One number stands for an array of equal entries."""
    space = symbol.space
    declared = [Label(symbol.span, f"`{symbol.name}` is {space}")]
    if value.type.kind > space.type.kind:
        context.error(
            "E0302", f"`{symbol.name}` is {space.type.kind}, and this is {value.type.kind}", value.span, related=declared,
            fix="real values are never rounded silently",
        )  # fmt: skip
        return None
    parts = _entries(value)
    if not all(_inside(space.range, p.range) for p in parts):
        context.error(
            "E0401", f"this cannot be shown to lie in {space}", value.span,
            related=declared, fix=f"declare it `{space}`, or give a number inside",
        )  # fmt: skip
        return None
    if space.event_rank and not (isinstance(value, Reference) and value.symbol.space.kind == space.kind):
        context.error(
            "E0401", f"this cannot be shown to lie in {space}", value.span, related=declared,
            fix=f"declare it as data: `data …: {space}`",
        )  # fmt: skip
        return None
    found: Expr | Poison = value
    if value.type.kind < space.type.kind:
        one = literal(1.0, value.span) if space.type.kind is Kind.REAL else literal(1, value.span)
        found = apply(context, "mul", [value, one], value.span)
    if isinstance(found, Expr) and not found.type.shape and space.shape:
        found = apply(context, "broadcast", [found], value.span, space.shape)
    if isinstance(found, Poison):
        return None
    if found.type.shape != space.shape:
        context.error(
            "E0301", f"`{symbol.name}` is {show_shape(space.shape) or 'a scalar'}, and this is {shaped(value)}", value.span,
            related=declared,
        )  # fmt: skip
        return None
    return found


def _entries(value: Expr) -> list[Expr]:
    """What an array is written of: its items, or itself."""
    if not (isinstance(value, Apply) and value.operation == "stack"):
        return [value]
    return [entry for item in value.arguments for entry in _entries(item)]


def _inside(outer: Range, inner: Range) -> bool:
    """Whether the second range lies in the first; of an unknown bound it cannot be said."""
    return _above(outer.low, inner.low, 1, outer.open_low and not inner.open_low) and _above(
        outer.high, inner.high, -1, outer.open_high and not inner.open_high
    )


def _above(outer: Dim | float | None, inner: Dim | float | None, sign: int, strict: bool) -> bool:
    if outer is None:
        return True
    if inner is None:
        return False
    if isinstance(outer, Dim) and isinstance(inner, Dim):
        difference = (inner - outer).constant
    else:
        low = outer.constant if isinstance(outer, Dim) else outer
        high = inner.constant if isinstance(inner, Dim) else inner
        difference = None if low is None or high is None else high - low
    if difference is None:
        return False
    return sign * difference > 0 or (difference == 0 and not strict)
