"""Supports: whether a target's values all have a density, and what a space smaller than the support means."""

from __future__ import annotations

from typing import TYPE_CHECKING

from energylang.check.constants import evaluate
from energylang.check.context import Context
from energylang.diagnostics import Label
from energylang.ir.nodes import Apply, Data, Expr, Let, Literal, Local, Param, Reference, Variable, symbols
from energylang.ir.types import SPACES, Dim, Space, show_shape
from energylang.syntax import ast

if TYPE_CHECKING:
    from energylang.check.distributions import Call


def base_symbol(value: Expr) -> Variable | Data | Let | Local | None:
    """The symbol that an expression is, or is an index or slice of.

    A local stands for the variable of a distribution that is being expanded; its declaration was checked by itself.
    """
    while isinstance(value, Apply) and value.operation == "index":
        value = value.arguments[0]
    if isinstance(value, Reference) and isinstance(value.symbol, Variable | Data | Let | Local):
        return value.symbol
    return None


def _cuts_events(value: Expr) -> bool:
    """Whether an index or slice takes entries out of an event: a part of a simplex is no simplex."""
    while isinstance(value, Apply) and value.operation == "index":
        base = value.arguments[0]
        root = base_symbol(base)
        rank = len(base.type.shape)
        events = root.space.event_rank if root is not None else 0
        for axis, item in enumerate(value.attributes):
            if axis >= rank - events and item != ("slice", Dim(()), base.type.shape[axis], 1):
                return True
        value = base
    return False


def sums_to_one(value: Expr) -> bool:
    """Whether an argument may lie on the simplex: numbers must sum to one, what is learned or random must be declared so.

    What is computed, and data, are left to the run.
    """
    if isinstance(value, Apply) and value.operation == "stack":
        numbers = [a.value for a in value.arguments if isinstance(a, Literal)]
        return len(numbers) < len(value.arguments) or abs(sum(numbers) - 1.0) < 1e-6
    root = value
    while isinstance(root, Apply) and root.operation == "index":
        root = root.arguments[0]
    if not isinstance(root, Reference) or not isinstance(root.symbol, Variable | Param):
        return True
    return root.symbol.space.kind == "simplex" and not _cuts_events(value)


def supported(context: Context, call: Call, parameter: ast.Parameter, target: Expr) -> bool:
    """Whether the target's values all have a density; notes a support that is larger than the space."""
    assert parameter.type is not None
    symbol = base_symbol(target)
    wanted = parameter.type.name.text
    if not isinstance(symbol, Variable | Data):
        return True
    space = symbol.space
    random = isinstance(symbol, Variable)
    part = _cuts_events(target)
    allowed, exact = _compare(context, call, parameter.type, space, random)
    if allowed and part and wanted in ("simplex", "ordered", "positive_ordered"):
        context.error(
            "E0401", f"`{call.name}` takes whole events, and this is a part of `{symbol.name}`", target.span,
            related=[Label(symbol.span, f"`{symbol.name}` is {space}")],
            cause="entries of a simplex or of an ordered vector are no such thing by themselves", fix=f"give all of `{symbol.name}` the density",
        )  # fmt: skip
        return False
    if allowed:
        if not exact and isinstance(symbol, Variable):
            call.exact_support = False
            return _truncated(context, call, parameter, symbol, space, part)
        return True
    shown = "cat(k)" if wanted == "cat" else wanted
    if wanted == "interval":
        shown = _interval_text(context, call, parameter.type)
    context.error(
        "E0401", f"`{call.name}` lives on {shown}, and `{symbol.name}` is {Space(space.kind, (), space.cardinality, space.low, space.high)}",
        target.span, related=[Label(symbol.span, "declared here")],
        cause=f"values of `{symbol.name}` outside the support have no density" if SPACES[wanted].discrete == space.discrete
        else "a density and a probability mass are different things",
        fix=f"declare `{symbol.name}: {shown}{show_shape(space.shape)}`" if SPACES[wanted].discrete == space.discrete else "choose a distribution on its space",
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
        inside = space.kind in ("unit", "positive_ordered", "simplex")
        return inside or (space.low is not None and space.low >= 0.0), False
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
        if value is None:
            known = evaluate(context.home(call.declaration), argument, quiet=True)
        else:
            known = value.value if isinstance(value, Literal) else None
        bounds.append(None if known is None else float(known))
    return bounds[0], bounds[1]


def _interval_text(context: Context, call: Call, wanted: ast.TypeExpression) -> str:
    low, high = _interval_bounds(context, call, wanted)
    return "interval(low, high) with constant bounds" if low is None or high is None else f"interval({low:g}, {high:g})"


def _untruncated(space: Space) -> str:
    if space.kind in ("ordered", "positive_ordered"):
        return "give all entries one distribution with scalar arguments, or use constant arguments"
    whole = {"positive": ", such as `half_normal`", "unit": ", such as `beta`"}.get(space.kind, "")
    return f"use a distribution on {space.kind}{whole}, or constant arguments"


def _truncated(
    context: Context, call: Call, parameter: ast.Parameter, symbol: Variable, space: Space, part: bool
) -> bool:
    """The space cuts the support: a constant is missing, harmless only where the arguments are constant."""
    varying = sorted({s.name for v in call.conditions.values() for s in symbols(v) if not isinstance(s, Data | Let)})
    # Ordering k draws of one law cuts their density by the constant k!, whatever its arguments are.
    batches = [call.batches[p.name.text] for p in call.signature.conditions]
    one_law = all(not batch or batch[-1].constant == 1 for batch in batches)
    same_reach = space.kind == "ordered" or (parameter.type is not None and parameter.type.name.text == "positive")
    ordered = space.kind in ("ordered", "positive_ordered")
    exchangeable = ordered and not part and one_law and same_reach
    if varying and not exchangeable:
        context.error(
            "E0402", f"`{call.name}` is cut to {space.kind} here, and its arguments vary", call.span,
            related=[Label(symbol.span, "declared here")],
            cause=f"the missing normalising constant depends on `{', '.join(varying)}`",
            fix=_untruncated(space),
        )  # fmt: skip
        return False
    if not ordered:
        context.diagnostics.add(
            "L0101", f"`{call.name}` is cut to {space.kind} for `{symbol.name}`: a density up to a constant", call.span,
            fix="`half_normal`, `half_cauchy` and `half_student_t` are whole on the positive reals" if space.kind == "positive" else "",
        )  # fmt: skip
    return True
