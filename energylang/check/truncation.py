"""`x ~ truncate(d(…), lower = a, upper = b)`: the density of d between two bounds, divided by its mass there.

The mass comes from functions by convention: of a distribution `d` the log of the distribution function is
`fn d_log_cdf(x, arguments…)`, of its complement `fn d_log_ccdf(x, arguments…)`. Bounds of discrete distributions belong
to the support, as in Stan.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import inf
from typing import TYPE_CHECKING

from energylang.check.closures import expanded
from energylang.check.context import POISON, Context, Found, Meaning, Poison, Scope, literal
from energylang.check.distributions import Call, predictive_call, tilde_call
from energylang.check.expressions import apply, expression, shaped
from energylang.check.supports import base_symbol, bound_of_part, same_bound, support_bounds
from energylang.diagnostics import Label
from energylang.ir.nodes import Expr, Literal, Local, Quantile, Random, Reference, Variable
from energylang.ir.operations import OperationError, broadcast_shapes
from energylang.ir.types import ANYWHERE, SPACES, Kind, Shape, Space, Type, show_bound
from energylang.syntax import ast

if TYPE_CHECKING:
    from energylang.check.densities import Density

FORM = "its form is `truncate(normal(mu, sigma), lower = a, upper = b)`, with one bound or both"

Bound = float | Expr
"""A number where it is known, infinite where there is none."""


def truncated(context: Context, target: Expr, node: ast.Call, scope: Scope) -> Density | Poison:
    """The density; POISON after a diagnostic."""
    from energylang.check.densities import Density

    read = _read(context, node, scope)
    if isinstance(read, Poison):
        return POISON
    inner, declaration, low, high = read
    value, call = tilde_call(context, target, inner, declaration, scope, cut=True)
    if isinstance(value, Poison) or call is None:
        return POISON
    cut = _cut(context, call, low, high, node)
    if isinstance(cut, Poison) or not _fits_space(context, call, target, cut.lower, cut.upper):
        return POISON
    tails = _cut_tails(context, call, cut, node)
    if isinstance(tails, Poison):
        return POISON
    mass = _log_mass(context, *tails, node)
    total = (
        value
        if mass is None
        else POISON
        if isinstance(mass, Poison)
        else apply(context, "add", [value, mass], node.span)
    )
    guarded = total if isinstance(total, Poison) else _outside(context, call, target, total, cut, node)
    if isinstance(guarded, Poison):
        return POISON
    if guarded.type.shape != call.batch:
        return context.error(
            "E0301", f"the bounds of `{call.name}` do not fit the target", node.span,
            related=[Label(target.span, f"the target is {shaped(target)}")],
            fix="bounds broadcast to the target's shape and never enlarge it",
        )  # fmt: skip
    bounds = tuple(b for b in (cut.lower, cut.upper) if isinstance(b, Expr))
    drawn = cut_draw(context, call, cut, tails, call.batch, node)
    draw, why = (None, f"`{call.name}` cannot be drawn from: {drawn}") if isinstance(drawn, str) else (drawn, "")
    if isinstance(draw, Poison):
        return POISON
    return Density(guarded, f"truncate({call.name})", (*call.conditions.values(), *bounds), True, draw, why)


@dataclass(frozen=True)
class Cut:
    """The bounds that are left, of the support or of `truncate`; `low` and `high` where it is those of `truncate`."""

    lower: Bound
    upper: Bound
    low: Bound | None
    high: Bound | None


def _cut(context: Context, call: Call, low: Bound, high: Bound, node: ast.Call) -> Cut | Poison:
    bottom, top = support_bounds(context, call)
    lower = bottom if _known_at_most(low, bottom) else low
    upper = top if _known_at_most(top, high) else high
    if isinstance(lower, float) and isinstance(upper, float) and not _room(call, lower, upper):
        return context.error(
            "E0421", f"`{call.name}` has no mass between {show_bound(low)} and {show_bound(high)}", node.span,
            fix="the lower bound first, inside the support of the distribution",
        )  # fmt: skip
    return Cut(lower, upper, None if lower is bottom else lower, None if upper is top else upper)


def _read(context: Context, node: ast.Call, scope: Scope) -> tuple[ast.Call, ast.Energy, Bound, Bound] | Poison:
    """The call of the distribution, its declaration and the bounds; POISON after a diagnostic."""
    inner, low, high = _arguments(context, node, scope)
    if inner is None or low is None or high is None:
        return POISON
    found = context.callable(inner.function)
    if isinstance(found, Poison):
        return POISON
    declaration = found[0] if found else None
    if not isinstance(declaration, ast.Energy) or declaration.kind != "distribution":
        return context.error(
            "E0206", f"`truncate` takes a distribution, and `{inner.function.text}` is none", inner.span, fix=FORM
        )
    return inner, declaration, low, high


def _arguments(context: Context, node: ast.Call, scope: Scope) -> tuple[ast.Call | None, Bound | None, Bound | None]:
    """(the distribution, lower, upper); None where there was a diagnostic."""
    given: dict[str, ast.Expression] = {}
    wrong = node.conditions is not None
    for name, argument in zip(("what", "lower", "upper"), (a for a in node.arguments if a.name is None), strict=False):
        given[name] = argument.value
    for argument in node.arguments:
        if argument.name is not None:
            wrong |= argument.name.text not in ("lower", "upper") or argument.name.text in given
            given[argument.name.text] = argument.value
    inner = given.pop("what", None)
    if wrong or not isinstance(inner, ast.Call) or not given or len(given) + 1 < len(node.arguments):
        context.error("E0206", "`truncate` takes a distribution and its bounds", node.span, fix=FORM)
        return None, None, None
    return inner, _bound(context, given.get("lower"), -inf, scope), _bound(context, given.get("upper"), inf, scope)


def _bound(context: Context, node: ast.Expression | None, none: float, scope: Scope) -> Bound | None:
    if node is None:
        return none
    value = expression(context, node, scope)
    if isinstance(value, Poison):
        return None
    return float(value.value) if isinstance(value, Literal) else value


def _known_at_most(low: Bound, high: Bound) -> bool:
    return low == -inf or high == inf or (isinstance(low, float) and isinstance(high, float) and low <= high)


def _discrete(call: Call) -> bool:
    declared = call.signature.variables[0].type
    return declared is not None and SPACES[declared.name.text].discrete


def _room(call: Call, low: float, high: float) -> bool:
    return low <= high if _discrete(call) else low < high


def _fits_space(context: Context, call: Call, target: Expr, low: Bound, high: Bound) -> bool:
    """A random target must have the space that is left, so that no sampler meets a wall; of data the values are looked at."""
    symbol = base_symbol(target)
    if not isinstance(symbol, Variable) or _discrete(call):
        return True
    space = symbol.space
    if space.kind in ("real", "positive", "unit", "interval"):
        ends = {"real": (-inf, inf), "positive": (0.0, inf), "unit": (0.0, 1.0)}.get(
            space.kind, (space.low, space.high)
        )
        if all(same_bound(b, bound_of_part(end, target)) for b, end in zip((low, high), ends, strict=True)):
            return True
    wanted = (
        {(0.0, inf): "positive", (0.0, 1.0): "unit"}.get((low, high))
        if not isinstance(low, Expr) and not isinstance(high, Expr)
        else None
    )
    wanted = wanted or f"interval({show_bound(low)}, {show_bound(high)})"
    context.error(
        "E0420", f"`{call.name}` is truncated to {wanted}, and `{symbol.name}` is {replace(space, shape=())}", call.span,
        related=[Label(symbol.span, "declared here")], cause="the density ends where the space does not, or the other way round",
        fix=f"declare `{symbol.name}: {wanted}`",
    )  # fmt: skip
    return False


Tails = tuple[Expr, Expr]
"""log P(X <= x) and log P(X > x)."""


def _cut_tails(context: Context, call: Call, cut: Cut, node: ast.Call) -> tuple[Tails | None, Tails | None] | Poison:
    """The tails just below the lower bound, and at the upper one; None where there is none. POISON after a diagnostic."""
    below = above = None
    if cut.low is not None:
        start: Found = _number(cut.low, call)
        if _discrete(call):
            start = apply(context, "sub", [start, literal(1, node.span)], node.span)
        below = None if isinstance(start, Poison) else _tails(context, call, start, node)
        if below is None:
            return POISON
    if cut.high is not None:
        above = _tails(context, call, _number(cut.high, call), node)
        if above is None:
            return POISON
    return below, above


def _log_mass(context: Context, below: Tails | None, above: Tails | None, node: ast.Call) -> Found | None:
    """log P(low <= X <= high); None where nothing is cut."""
    if below is None or above is None:
        return below[1] if below is not None else above[0] if above is not None else None
    return _between(context, below, above, node)


def _number(bound: Bound, call: Call) -> Expr:
    if isinstance(bound, Expr):
        return bound
    return literal(int(bound) if _discrete(call) and bound == int(bound) else bound, call.span)


def _tails(context: Context, call: Call, at: Expr, node: ast.Call) -> Tails | None:
    """(log P(X <= at), log P(X > at)), the one from the other where only one is declared; None after a diagnostic."""
    home = context.home(call.declaration)
    values = [at, *(call.conditions[p.name.text] for p in call.signature.conditions)]
    found: list[Found | None] = []
    for suffix in ("log_cdf", "log_ccdf"):
        name = f"{call.name}_{suffix}"
        declared = home.callable(ast.Name(node.span, name))
        function = declared[0] if isinstance(declared, tuple) else None
        if not isinstance(function, ast.Fn):
            found.append(None)
        elif len(function.parameters) == len(values):
            found.append(_number_of(context, expanded(context, function, values, node.span), node))
        else:
            form = ", ".join(["x", *(p.name.text for p in call.signature.conditions)])
            context.error(
                "E0422", f"`{name}` does not take the arguments of `{call.name}`", node.span,
                related=[Label(function.name.span, "declared here")], fix=f"declare it as `fn {name}({form}) = …`",
            )  # fmt: skip
            return None
    if any(isinstance(f, Poison) for f in found):
        return None
    if found[0] is None and found[1] is None:
        names = ", ".join(p.name.text for p in call.signature.conditions)
        context.error(
            "E0422", f"`{call.name}` cannot be truncated: its distribution function is not known", node.span,
            fix=f"declare `fn {call.name}_log_cdf(x{', ' if names else ''}{names}) = …`, the log of the probability of values up to x",
        )  # fmt: skip
        return None
    cdf, ccdf = (
        f if f is not None else _complement(context, other, node)
        for f, other in ((found[0], found[1]), (found[1], found[0]))
    )
    return None if isinstance(cdf, Poison) or isinstance(ccdf, Poison) else (cdf, ccdf)


def _number_of(context: Context, value: Meaning, node: ast.Call) -> Found:
    """What a distribution function gives must be a number, or an array of them."""
    if isinstance(value, Expr | Poison):
        return value
    return context.error(
        "E0422", "a distribution function gives one number", node.span, fix="let it give the log of a probability"
    )


def _chain(context: Context, value: Found, operations: tuple[str, ...], node: ast.Call) -> Found:
    for operation in operations:
        if isinstance(value, Poison):
            return POISON
        value = apply(context, operation, [value], node.span)
    return value


def _complement(context: Context, log_probability: Found | None, node: ast.Call) -> Found:
    """log(1 - p)."""
    assert log_probability is not None
    return _chain(context, log_probability, ("expm1", "neg", "log"), node)


def _between(context: Context, below: Tails, above: Tails, node: ast.Call) -> Found:
    """log(F(high) - F(low)), from the tail that does not cancel: the lower one where F(high) < 1 - F(low)."""

    def difference(large: Expr, small: Expr) -> Found:
        gap = apply(context, "sub", [small, large], node.span)
        rest = _chain(context, gap, ("expm1", "neg", "log"), node)
        return POISON if isinstance(rest, Poison) else apply(context, "add", [large, rest], node.span)

    lower_tail = apply(context, "lt", [above[0], below[1]], node.span)
    forms = [difference(above[0], below[0]), difference(below[1], above[1])]
    if isinstance(lower_tail, Poison) or isinstance(forms[0], Poison) or isinstance(forms[1], Poison):
        return POISON
    return apply(context, "where", [lower_tail, forms[0], forms[1]], node.span)


def _outside(
    context: Context, call: Call, target: Expr, value: Expr, cut: Cut, node: ast.Call
) -> Found:  # fmt: skip
    """Infinite energy outside the bounds, for targets whose values the space does not bound."""
    if isinstance(base_symbol(target), Variable) and not _discrete(call):
        return value
    found: Found = value
    for bound, operation in ((cut.low, "lt"), (cut.high, "gt")):
        if isinstance(found, Poison) or bound is None:
            continue
        beyond = apply(context, operation, [target, _number(bound, call)], node.span)
        if isinstance(beyond, Poison):
            return POISON
        found = apply(context, "where", [beyond, literal(inf, node.span), found], node.span)
    return found


# --- draws ------------------------------------------------------------------------------------------------------


class Truncation:
    """`truncate(d(…), …)` without a target, as `report a ~ …` draws it."""

    def __init__(self, call: Call, cut: Cut, tails: tuple[Tails | None, Tails | None], batch: Shape, node: ast.Call):
        self.call, self.cut, self.tails, self.batch, self.node = call, cut, tails, batch, node
        self.span = node.span

    @classmethod
    def read(cls, context: Context, node: ast.Call, scope: Scope) -> Truncation | Poison:
        """Its parts, and the batch that its arguments and bounds broadcast to; POISON after diagnostics."""
        read = _read(context, node, scope)
        if isinstance(read, Poison):
            return POISON
        inner, declaration, low, high = read
        call = predictive_call(context, inner, declaration, scope)
        cut = POISON if isinstance(call, Poison) else _cut(context, call, low, high, node)
        if isinstance(call, Poison) or isinstance(cut, Poison):
            return POISON
        bounds = [b for b in (cut.lower, cut.upper) if isinstance(b, Expr)]
        try:
            batch = broadcast_shapes([call.batch, *(b.type.shape for b in bounds)])
        except OperationError as problem:
            spans = [inner.span, *(b.span for b in bounds)]
            return context.error(
                "E0301", "a distribution and the bounds of `truncate` do not fit together", node.span,
                related=[Label(spans[i], "this is one of them") for i in problem.blame], cause=problem.cause,
                fix="give them one batch shape",
            )  # fmt: skip
        tails = _cut_tails(context, call, cut, node)
        return POISON if isinstance(tails, Poison) else cls(call, cut, tails, batch, node)

    def drawn(self, context: Context, batch: Shape) -> Found:
        """A draw for every element of a batch."""
        found = cut_draw(context, self.call, self.cut, self.tails, batch, self.node)
        if isinstance(found, str):
            return context.error(
                "E0530", f"`{self.call.name}` cannot be drawn from: {found}", self.span,
                fix="draw from a distribution of numbers",
            )  # fmt: skip
        return found


def cut_draw(
    context: Context, call: Call, cut: Cut, tails: tuple[Tails | None, Tails | None], batch: Shape, node: ast.Call
) -> Found | str:
    """A draw between the bounds by the inverse of the distribution function; a text, the end of a sentence, says why there is none.

    With U uniform, F(x) = F(low) + U (F(high) - F(low)) is (1 - U) F(low) + U F(high), a sum in which nothing cancels,
    and 1 - F(x) is the same of the complements. Both in logs, so that the far tails of a distribution are as good as its
    middle.
    """
    declared = call.signature.variables[0].type
    assert declared is not None
    discrete = _discrete(call)
    if declared.dims or declared.name.text not in ("real", "positive", "unit", "interval", "count"):
        return f"a truncated {declared.name.text} has no sampler"
    span = node.span
    one = literal(1.0, span)
    minus_log = Random(
        Type(Kind.REAL, batch), span, "exponential", ("beta",), (one,), 0, range=SPACES["positive"].range
    )
    log_u = apply(context, "neg", [minus_log], span)
    log_rest = _chain(context, minus_log, ("neg", "expm1", "neg", "log"), node)
    if isinstance(log_u, Poison) or isinstance(log_rest, Poison):
        return POISON
    sought: list[Expr] = []
    for tail in (0, 1):
        # Where nothing is cut the distribution function is 0 below and 1 above, its complement the other way round.
        parts: list[Found] = []
        for ends, weight, certain in ((tails[0], log_rest, tail == 1), (tails[1], log_u, tail == 0)):
            if ends is not None:
                parts.append(apply(context, "add", [ends[tail], weight], span))
            elif certain:
                parts.append(weight)
        known = [p for p in parts if not isinstance(p, Poison)]
        found = known[0] if len(known) == 1 else apply(context, "logaddexp", known, span)
        if len(known) < len(parts) or isinstance(found, Poison):
            return POISON
        sought.append(found)
    kind = Kind.INT if discrete else Kind.REAL
    local = Local("x", Space("int" if discrete else "real", batch), span)
    place = Reference(local.space.type, span, local, range=ANYWHERE)
    said = len(context.diagnostics.found)
    at = _tails(context, call, place, node)
    if at is None:
        return POISON
    del context.diagnostics.found[said:]  # lints about functions that were said of the density itself
    if any(e.type.shape != batch for e in at):
        return "its distribution function is not a number for each number"
    low, high = (b if isinstance(b, Expr) else literal(b, span) for b in (cut.lower, cut.upper))
    known_range = SPACES[declared.name.text].range if declared.name.text != "interval" else ANYWHERE
    return Quantile(Type(kind, batch), span, (local,), (low, high, sought[0], sought[1]), at, range=known_range)
