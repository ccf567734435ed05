"""The bounds of intervals: numbers, or expressions of what is declared before."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import inf, isnan

from energylang.check.constants import evaluate
from energylang.check.context import Context, Found, Poison, Scope
from energylang.diagnostics import Label
from energylang.ir.nodes import Expr, Literal, flows, symbols
from energylang.ir.operations import OperationError, broadcast_shapes
from energylang.ir.types import Kind, Shape, Space, show_bound, show_shape
from energylang.source import Span
from energylang.syntax import ast


def interval(context: Context, node: ast.TypeExpression, shape: Shape, scope: Scope) -> Space | None:
    """The space of `interval(a, b)` with dims; None after a diagnostic."""
    low, high = (_bound(context, argument, shape, scope) for argument in node.arguments)
    if low is None or high is None:
        return None
    if isinstance(low, Expr) or isinstance(high, Expr):
        wrong = low == inf or high == -inf
    else:
        wrong = isnan(low) or isnan(high) or not low < high or low == inf or high == -inf
    if wrong or (low == -inf and high == inf):
        context.error(
            "E0404", f"`interval({show_bound(low)}, {show_bound(high)})` is " + ("empty" if wrong else "all of the reals"), node.span,
            fix="give the lower bound first" if wrong else "write `real`",
        )  # fmt: skip
        return None
    return Space("interval", shape, low=low, high=high)


def _bound(context: Context, node: ast.Expression, shape: Shape, scope: Scope) -> float | Expr | None:
    """A number where it is known, else an expression that broadcasts to the shape; None after a diagnostic."""
    from energylang.check.expressions import expression

    value = expression(context, node, scope)
    if isinstance(value, Poison):
        return None
    if isinstance(value, Literal):
        known = value.value
    else:
        # `max(1, 2)` is no literal, and yet known.
        known = None if value.type.shape or symbols(value) else evaluate(context, node, quiet=True)
    if known is not None:
        return float(known)
    if moved := flows(value):
        context.error(
            "E0560", f"a bound goes through the flow `{moved[0].name}`", node.span,
            cause="spaces are laid out before the params of flows are made", fix="bound it by data or params, and add the rest as energy",
        )  # fmt: skip
        return None
    if value.type.kind is Kind.BOOL:
        context.error("E0302", f"a bound is a number, and this is {value.type}", node.span)
        return None
    try:
        fits = broadcast_shapes([shape, value.type.shape]) == shape
    except OperationError:
        fits = False
    if not fits:
        context.error(
            "E0411", f"a bound is {value.type}, and the space has shape {show_shape(shape) or '[]'}", node.span,
            cause="bounds broadcast to the shape of the space and never enlarge it",
            fix=f"give the space dims: `interval(…){show_shape(value.type.shape)}`",
        )  # fmt: skip
        return None
    return value


def later(context: Context, name: str, declared: Span, bound: Span) -> Callable[[], Found]:
    """What stands for a name that a bound may not use: a diagnostic with both places."""

    def found() -> Found:
        return context.error(
            "E0410", f"a bound uses `{name}`, which is not known before it", bound, related=[Label(declared, "declared here")],
            cause="bounds are made of what is declared before: conditions come before variables, data before both",
            fix=f"declare `{name}` first; two spaces cannot bound each other",
        )  # fmt: skip

    return found


def hide_later(context: Context, scope: Scope, parameters: Iterable[ast.Parameter], bound: Span) -> None:
    """Refuse the names of a signature that come after the space that is being read."""
    for parameter in parameters:
        name = parameter.name.text
        scope.entries[name] = later(context, name, parameter.name.span, bound)


def in_turn(context: Context, declaration: ast.Data | ast.Param, read: Callable[[], Found]) -> Callable[[], Found]:
    """Reads a declaration where another's bound first needs it; a bound that leads back to itself is an error."""
    key = f"space {declaration.name.text}"

    def found() -> Found:
        if key in context.expanding:
            return later(context, declaration.name.text, declaration.name.span, _user(context, declaration))()
        context.expanding.append(key)
        try:
            return read()
        finally:
            context.expanding.pop()

    return found


def _user(context: Context, declaration: ast.Data | ast.Param) -> Span:
    """Where the bound stands that leads back to a declaration."""
    names = [key.removeprefix("space ") for key in context.expanding if key.startswith("space ")]
    user = context.values.get(names[-1])
    return user.type.span if isinstance(user, ast.Data | ast.Param) else declaration.type.span
