"""Supports: whether a target's values all have a density, and what a space smaller than the support means."""

from __future__ import annotations

from dataclasses import replace
from math import inf
from typing import TYPE_CHECKING

from energylang.check.context import Context, Poison
from energylang.check.expressions import expression
from energylang.diagnostics import Label
from energylang.ir.compare import same_bound
from energylang.ir.nodes import Apply, Data, Expr, Let, Literal, Local, Param, Reference, Symbol, Variable, symbols
from energylang.ir.operations import type_of
from energylang.ir.types import SPACES, Dim, Space, show_bound, show_shape
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
    part = _cuts_events(target)
    allowed, exact = _compare(context, call, parameter.type, space, target)
    if allowed and part and SPACES[wanted].event_rank:
        context.error(
            "E0401", f"`{call.name}` takes whole events, and this is a part of `{symbol.name}`", target.span,
            related=[Label(symbol.span, f"`{symbol.name}` is {space}")],
            cause=f"entries of a `{wanted}` are no such thing by themselves", fix=f"give all of `{symbol.name}` the density",
        )  # fmt: skip
        return False
    if allowed:
        if not exact and isinstance(symbol, Variable) and not call.cut:
            call.exact_support = False
            return _truncated(context, call, parameter, symbol, space, part)
        return True
    shown, before = _shown(context, call, parameter.type)
    dims = space.shape[:-1] if SPACES[wanted].square and space.info.square else space.shape
    context.error(
        "E0401", f"`{call.name}` lives on {shown}, and `{symbol.name}` is {replace(space, shape=())}",
        target.span, related=[Label(symbol.span, "declared here")],
        cause=f"values of `{symbol.name}` outside the support have no density" if SPACES[wanted].discrete == space.discrete
        else "a density and a probability mass are different things",
        fix=f"declare `{symbol.name}: {shown}{show_shape(dims)}`{before}" if SPACES[wanted].discrete == space.discrete else "choose a distribution on its space",
    )  # fmt: skip
    return False


def _shown(context: Context, call: Call, wanted: ast.TypeExpression) -> tuple[str, str]:
    """A wanted space as one declares it, and what must stand before such a declaration."""
    if wanted.name.text != "interval":
        return "cat(k)" if wanted.name.text == "cat" else wanted.name.text, ""
    low, high = _wanted_bounds(context, call, wanted)
    names = sorted({s.name for b in (low, high) if isinstance(b, Expr) for s in symbols(b) if isinstance(s, Variable)})
    after = f", after `{', '.join(names)}`" if names else ""
    return f"interval({show_bound(low)}, {show_bound(high)})", after


def _compare(context: Context, call: Call, wanted: ast.TypeExpression, space: Space, target: Expr) -> tuple[bool, bool]:
    """(whether the space of a target lies inside the wanted one, whether they are equal)."""
    name = wanted.name.text
    random = isinstance(base_symbol(target), Variable)
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
    found = space.range
    if name == "positive":
        low = found.number_low()
        return low is not None and low >= 0.0, False
    if name in ("unit", "interval"):
        low, high = (0.0, 1.0) if name == "unit" else _wanted_bounds(context, call, wanted)
        bottom, top = (
            (0.0, 1.0)
            if space.kind in ("unit", "simplex")
            else (bound_of_part(space.low, target), bound_of_part(space.high, target))
        )
        equal_low, equal_high = same_bound(low, bottom), same_bound(high, top)
        inside = (equal_low or _below(low, found.number_low())) and (equal_high or _below(found.number_high(), high))
        return inside, equal_low and equal_high and space.kind != "simplex"
    return False, False


def _below(low: float | Expr | None, high: float | Expr | None) -> bool:
    """Whether a number is at most another; what is not known to be is not."""
    if low == -inf or high == inf:
        return True
    return isinstance(low, int | float) and isinstance(high, int | float) and low <= high


def bound_of_part(bound: float | Expr | None, target: Expr) -> float | Expr | None:
    """A bound of a variable as a bound of its index or slice: cut in the same way where it has the same axes."""
    path: list[Apply] = []
    while isinstance(target, Apply) and target.operation == "index":
        path.append(target)
        target = target.arguments[0]
    if not isinstance(bound, Expr) or bound.type.shape != target.type.shape:
        return bound if not isinstance(bound, Expr) or not bound.type.shape or not path else None
    for step in reversed(path):
        kind, found = type_of("index", (bound, *step.arguments[1:]), step.attributes)
        bound = Apply(kind, bound.span, "index", (bound, *step.arguments[1:]), step.attributes, range=found)
    return bound


def _wanted_bounds(
    context: Context, call: Call, wanted: ast.TypeExpression
) -> tuple[float | Expr | None, float | Expr | None]:
    """The bounds of a distribution's support with the arguments of the call in place; None after a diagnostic."""
    home = context.home(call.declaration)
    scope = home.top.child()
    scope.dims = dict(call.dims)
    scope.entries |= call.conditions
    bounds: list[float | Expr | None] = []
    for argument in wanted.arguments:
        # An argument as it is keeps its place in the model's text; what is computed from arguments has the library's.
        given = call.conditions.get(argument.text) if isinstance(argument, ast.Name) else None
        value = expression(home, argument, scope) if given is None else given
        bounds.append(
            None if isinstance(value, Poison) else float(value.value) if isinstance(value, Literal) else value
        )
    return bounds[0], bounds[1]


def support_bounds(context: Context, call: Call) -> tuple[float | Expr, float | Expr]:
    """The bounds of the support of a distribution of one number; infinite where it has none, or none that are known."""
    declared = call.signature.variables[0].type
    assert declared is not None
    if declared.name.text == "interval":
        low, high = _wanted_bounds(context, call, declared)
        return -inf if low is None else low, inf if high is None else high
    found = SPACES[declared.name.text].range
    low, high = found.number_low(), found.number_high()
    return -inf if low is None else float(low), inf if high is None else float(high)


def _vary(arguments: tuple[Symbol, ...]) -> bool:
    return any(not isinstance(s, Data | Let) for s in arguments)


def can_truncate(context: Context, call: Call) -> bool:
    """Whether `truncate` knows the distribution function of a distribution."""
    home = context.home(call.declaration)
    names = (ast.Name(call.span, f"{call.name}_{suffix}") for suffix in ("log_cdf", "log_ccdf"))
    return any(isinstance(home.callable(name), tuple) for name in names)


def _with_truncate(context: Context, call: Call, space: Space) -> str:
    """The call as one would write it with the mass that the space leaves; nothing where that is not known."""
    low, high = {"positive": (0.0, inf), "unit": (0.0, 1.0)}.get(space.kind, (space.low, space.high))
    ends = [f"lower = {show_bound(low)}"] if low is not None and low != -inf else []
    ends += [f"upper = {show_bound(high)}"] if high is not None and high != inf else []
    return f"`truncate({', '.join([call.span.text, *ends])})`" if ends and can_truncate(context, call) else ""


def _untruncated(context: Context, call: Call, space: Space) -> str:
    if space.kind in ("ordered", "positive_ordered"):
        return "give all entries one distribution with scalar arguments, or use constant arguments"
    known = _with_truncate(context, call, space)
    if known:
        return f"write {known}, which has the constant"
    whole = {"positive": ", such as `half_normal`", "unit": ", such as `beta`"}.get(space.kind, "")
    return f"use a distribution on {space.kind}{whole}, or constant arguments"


def _whole(context: Context, call: Call, space: Space) -> str:
    """How a density that is cut becomes whole."""
    known = _with_truncate(context, call, space)
    if space.kind == "positive":
        halves = "`half_normal`, `half_cauchy` and `half_student_t` are whole on the positive reals"
        return f"{halves}, and so is {known}" if known else halves
    return f"{known} is whole there" if known else ""


def _truncated(
    context: Context, call: Call, parameter: ast.Parameter, symbol: Variable, space: Space, part: bool
) -> bool:
    """The space cuts the support: a constant is missing, harmless only where the arguments are constant."""
    arguments = symbols(*call.conditions.values())
    varying = sorted({s.name for s in (*arguments, *symbols(*space.bounds)) if not isinstance(s, Data | Let)})
    # Ordering k draws of one law cuts their density by the constant k!, whatever its arguments are.
    batches = [call.batches[p.name.text] for p in call.signature.conditions]
    one_law = all(not batch or batch[-1].constant == 1 for batch in batches)
    same_reach = space.kind == "ordered" or (parameter.type is not None and parameter.type.name.text == "positive")
    ordered = space.kind in ("ordered", "positive_ordered")
    exchangeable = ordered and not part and one_law and same_reach
    if varying and not exchangeable:
        context.error(
            "E0402", f"`{call.name}` is cut to {replace(space, shape=())} here, and {'its arguments' if _vary(arguments) else 'the bounds'} vary", call.span,
            related=[Label(symbol.span, "declared here")],
            cause=f"the missing normalising constant depends on `{', '.join(varying)}`",
            fix=_untruncated(context, call, space),
        )  # fmt: skip
        return False
    if not ordered:
        context.diagnostics.add(
            "L0101", f"`{call.name}` is cut to {replace(space, shape=())} for `{symbol.name}`: a density up to a constant", call.span,
            fix=_whole(context, call, space),
        )  # fmt: skip
    return True
