"""Supports: whether a target's values all have a density, and what a space smaller than the support means."""

from __future__ import annotations

from typing import TYPE_CHECKING

from energylang.check.context import Context
from energylang.diagnostics import Label
from energylang.ir.nodes import Apply, Data, Expr, Let, Literal, Reference, Variable, symbols
from energylang.ir.types import SPACES, Dim, Space
from energylang.syntax import ast

if TYPE_CHECKING:
    from energylang.check.distributions import Call


def base_symbol(value: Expr) -> Variable | Data | Let | None:
    """The symbol that an expression is, or is an index or slice of."""
    while isinstance(value, Apply) and value.operation == "index":
        value = value.arguments[0]
    return value.symbol if isinstance(value, Reference) and isinstance(value.symbol, Variable | Data | Let) else None


def supported(context: Context, call: Call, parameter: ast.Parameter, target: Expr) -> bool:
    """Whether the target's values all have a density; notes a support that is larger than the space."""
    assert parameter.type is not None
    symbol = base_symbol(target)
    wanted = parameter.type.name.text
    if symbol is None or isinstance(symbol, Let):
        return True
    space = symbol.space
    random = isinstance(symbol, Variable)
    allowed, exact = _compare(context, call, parameter.type, space, random)
    if allowed:
        if not exact and random:
            call.exact_support = False
            return _truncated(context, call, symbol, space)
        return True
    shown = wanted if wanted != "interval" else _interval_text(context, call, parameter.type)
    context.error(
        "E0401", f"`{call.name}` lives on {shown}, and `{symbol.name}` is {Space(space.kind, (), space.cardinality, space.low, space.high)}",
        target.span, related=[Label(symbol.span, "declared here")],
        cause=f"values of `{symbol.name}` outside the support have no density" if SPACES[wanted].discrete == space.discrete
        else "a density and a probability mass are different things",
        fix=f"declare `{symbol.name}: {shown}`" if SPACES[wanted].discrete == space.discrete else "choose a distribution on its space",
    )  # fmt: skip
    return False


def _compare(context: Context, call: Call, wanted: ast.TypeExpression, space: Space, random: bool) -> tuple[bool, bool]:
    """(whether the space lies inside the wanted one, whether they are equal)."""
    name = wanted.name.text
    if name == space.kind and name != "interval":
        return True, True
    if SPACES[name].discrete:
        if name == "cat":
            return space.kind == "binary", True
        if name == "binary":
            return space.kind == "bool" or (space.kind == "cat" and space.cardinality == Dim.of(2)), True
        return name == "count" and space.kind in ("binary", "cat"), False
    if space.discrete:
        return not random and name == "real", False
    if name == "real":
        return True, False
    if name == "positive":
        return space.kind in ("unit", "positive_ordered", "simplex") or (space.low or -1.0) >= 0.0, False
    if name in ("unit", "interval"):
        low, high = (0.0, 1.0) if name == "unit" else _interval_bounds(context, call, wanted)
        bottom, top = (0.0, 1.0) if space.kind in ("unit", "simplex") else (space.low, space.high)
        if low is None or high is None or bottom is None or top is None:
            return False, False
        return low <= bottom and top <= high, (low, high) == (bottom, top) and space.kind != "simplex"
    return False, False


def _interval_bounds(context: Context, call: Call, wanted: ast.TypeExpression) -> tuple[float | None, float | None]:
    bounds: list[float | None] = []
    for argument in wanted.arguments:
        value = call.conditions.get(argument.text) if isinstance(argument, ast.Name) else None
        bounds.append(float(value.value) if isinstance(value, Literal) else None)
    return bounds[0], bounds[1]


def _interval_text(context: Context, call: Call, wanted: ast.TypeExpression) -> str:
    low, high = _interval_bounds(context, call, wanted)
    return "interval(low, high) with constant bounds" if low is None or high is None else f"interval({low:g}, {high:g})"


def _truncated(context: Context, call: Call, symbol: Variable, space: Space) -> bool:
    """The space cuts the support: a constant is missing, harmless only where the arguments are constant."""
    varying = sorted({s.name for v in call.conditions.values() for s in symbols(v) if not isinstance(s, Data | Let)})
    exchangeable = space.kind in ("ordered", "positive_ordered") and all(
        not b for b in call.batches.values() if b != call.batch
    )
    if varying and not exchangeable:
        context.error(
            "E0402", f"`{call.name}` is cut to {space.kind} here, and its arguments vary", call.span,
            related=[Label(symbol.span, "declared here")],
            cause=f"the missing normalising constant depends on `{', '.join(varying)}`",
            fix=f"use a distribution on {space.kind}, such as `half_normal`, or constant arguments",
        )  # fmt: skip
        return False
    if not exchangeable:
        context.diagnostics.add(
            "L0101", f"`{call.name}` is cut to {space.kind} for `{symbol.name}`: a density up to a constant", call.span,
            fix="`half_normal`, `half_cauchy` and `half_student_t` are whole on the positive reals" if space.kind == "positive" else "",
        )  # fmt: skip
    return True
