"""What stands right of `~`: distributions, normalised energies, mixtures of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from energylang.check.composed import composed_call
from energylang.check.context import POISON, Context, Found, Poison, Scope, did_you_mean, literal
from energylang.check.distributions import Form, match, tilde_call
from energylang.check.expressions import apply, expression, shaped
from energylang.check.predictive import mixed, tilde_draw
from energylang.check.supports import base_symbol, sums_to_one
from energylang.diagnostics import Label
from energylang.ir.nodes import Energy, Expr, Literal, Normalisation
from energylang.ir.types import Dim, Shape
from energylang.source import Span
from energylang.syntax import ast


@dataclass(frozen=True)
class Density:
    """What `target ~ …` means.

    value: the energy, batch dims kept. arguments: what it depends on beside the target. exact_support: whether it is
    whole on the target's space; else it is a density up to a constant. draw: the target drawn anew; None where `why`,
    a clause, says that it cannot be.
    """

    value: Expr
    name: str
    arguments: tuple[Expr, ...]
    exact_support: bool
    draw: Expr | None = None
    why: str = "what stands right of `~` cannot be drawn from"


Maker = Callable[[Context, Expr, ast.Call, Scope], Density | Poison]

FORMS: dict[str, Maker] = {}
"""Densities that are made of others, by the name that stands right of `~`; a declaration of that name comes first."""


def checked(context: Context, declaration: ast.Energy) -> Energy | None:
    """As in `energies`, which reads blocks by means of this module."""
    from energylang.check import energies

    return energies.checked(context, declaration)


def density(context: Context, target: Found, node: ast.Expression, scope: Scope) -> Density | Poison:
    """The meaning of what stands right of `~`; POISON after a diagnostic."""
    if not isinstance(node, ast.Call):
        return context.error(
            "E0502",
            "the right of `~` is a distribution with its arguments",
            node.span,
            fix=_with_arguments(context, node),
        )
    found = context.callable(node.function)
    if isinstance(found, Poison):
        return POISON
    name = node.function.text
    declaration = found[0] if found else None
    if isinstance(target, Expr) and declaration is None and node.function.qualifier is None and name in FORMS:
        return FORMS[name](context, target, node, scope)
    if not isinstance(declaration, ast.Energy):
        candidates = [*context.callable_names(ast.Energy), *FORMS]
        context.error(
            "E0202", f"there is no distribution `{name}`", node.function.span, fix=did_you_mean(name, candidates)
        )
    if isinstance(target, Poison) or not isinstance(declaration, ast.Energy):
        for argument in node.arguments:
            expression(context, argument.value, scope)
        return POISON
    if declaration.kind == "flow":
        from energylang.check.flows import flow_density

        return flow_density(context, target, declaration, node, scope)
    if declaration.kind != "distribution" or declaration.signature is None:
        problem = _not_normalised(context, declaration, node)
        if problem or declaration.signature is None:
            return POISON if problem else _composed(context, target, declaration, node, scope)
    value, call = tilde_call(context, target, node, declaration, scope)
    if isinstance(value, Poison) or call is None:
        return POISON
    return Density(value, call.name, tuple(call.conditions.values()), call.exact_support, *tilde_draw(context, call))


def _with_arguments(context: Context, node: ast.Expression) -> str:
    """`x ~ normal` lacks only its arguments."""
    found = context.callable(node) if isinstance(node, ast.Name) and node.qualifier is None else None
    if isinstance(found, tuple) and isinstance(found[0], ast.Energy) and found[0].signature is not None:
        declaration = found[0]
        return f"write `{declaration.name.text}({', '.join(p.name.text for p in found[0].signature.conditions)})`"
    return "for example `normal(0, 1)`"


def _not_normalised(context: Context, declaration: ast.Energy, node: ast.Call) -> bool:
    """Whether an energy cannot stand right of `~`; says why."""
    energy = checked(context.home(declaration), declaration)
    if energy is None:
        return True
    if energy.normalisation is Normalisation.UNKNOWN:
        context.error(
            "E0517", f"`{energy.name}` is not known to be normalised", node.span,
            related=[Label(energy.span, energy.reason)], cause="what stands right of `~` is a density",
            fix=f"write `+= {energy.name}(… | …)` to add its energy as it is",
        )  # fmt: skip
        return True
    if len(energy.variables) != 1:
        names = ", ".join(v.name for v in energy.variables)
        context.error("E0502", f"`{energy.name}` has the variables {names}, and `~` gives one", node.span)
        return True
    return False


def _composed(
    context: Context, target: Expr, declaration: ast.Energy, node: ast.Call, scope: Scope
) -> Density | Poison:
    """`x ~ e(c)` where e is a composition."""
    energy = checked(context.home(declaration), declaration)
    assert energy is not None
    (variable,) = energy.variables
    symbol = base_symbol(target)
    if symbol is not None and symbol.space.kind != variable.space.kind:
        return context.error(
            "E0401", f"`{energy.name}` lives on {variable.space.kind}, and `{symbol.name}` is {symbol.space}", target.span,
            related=[Label(variable.span, "declared here")], fix=f"declare `{symbol.name}: {variable.space}`",
        )  # fmt: skip
    form = Form(energy.name, (), tuple(c.name for c in energy.conditions))
    conditions: dict[str, Expr] = {}
    if not match(context, form, node.span, node.arguments, form.after, conditions, scope):
        return POISON
    value = composed_call(context, energy, {variable.name: target}, conditions, node.span)
    return value if isinstance(value, Poison) else Density(value, energy.name, tuple(conditions.values()), True)


def _mixture(context: Context, target: Expr, node: ast.Call, scope: Scope) -> Density | Poison:
    """`y ~ mixture(a(…), b(…), weights = w)`: -log of the weighted sum of densities, element by element."""
    parts = [a.value for a in node.arguments if a.name is None]
    named = {a.name.text: a for a in node.arguments if a.name is not None}
    form = "`mixture(normal(m1, s1), normal(m2, s2), weights = w)`"
    unknown = [a for name, a in named.items() if name != "weights"]
    if not parts or unknown or node.conditions is not None:
        return context.error(
            "E0206", "a mixture takes distributions, and `weights`", unknown[0].span if unknown else node.span,
            fix=f"its form is {form}",
        )  # fmt: skip
    densities = [density(context, target, part, scope) for part in parts]
    weights = _weights(context, named.get("weights"), len(parts), target, node, scope)
    known = [d for d in densities if isinstance(d, Density)]
    if len(known) < len(densities) or isinstance(weights, Poison):
        return POISON
    span = node.span
    stacked = apply(context, "stack", [d.value for d in known], span)
    logs = apply(context, "log", [weights], span)
    if isinstance(stacked, Poison) or isinstance(logs, Poison):
        return POISON
    rank = len(stacked.type.shape)
    if len(logs.type.shape) > 1:
        logs = apply(context, "transpose", [logs], span, (rank - 1, *range(rank - 1)))
    elif rank > 1:
        logs = apply(context, "reshape", [logs], span, (Dim.of(len(parts)), *[Dim.of(1)] * (rank - 1)))
    total: Found = logs
    for operation, other, attributes in (("sub", stacked, ()), ("logsumexp", None, (0,)), ("neg", None, ())):
        if isinstance(total, Poison):
            return POISON
        total = apply(context, operation, [total, other] if other is not None else [total], span, attributes)
    if isinstance(total, Poison):
        return POISON
    arguments = (weights, *(a for d in known for a in d.arguments))
    batch = total.type.shape
    return Density(
        total,
        "mixture",
        arguments,
        all(d.exact_support for d in known),
        *mixture_draw(context, known, weights, batch, span),
    )


def mixture_draw(
    context: Context, parts: list[Density], weights: Expr, batch: Shape, span: Span
) -> tuple[Expr | None, str]:
    """A component for each element of the batch, then a draw of that; None, and why, where one cannot be drawn from."""
    draws = [part.draw for part in parts if part.draw is not None]
    if len(draws) < len(parts):
        return None, next(part.why for part in parts if part.draw is None)
    found = mixed(context, draws, weights, batch, span)
    return (None, "its parts are drawn with different types") if isinstance(found, Poison) else (found, "")


def _weights(
    context: Context, argument: ast.Argument | None, count: int, target: Expr, node: ast.Call, scope: Scope
) -> Found:
    """The weights of `count` parts: one event, or one for every element of the target; equal where none are given."""
    if argument is None:
        return apply(context, "stack", [literal(1.0 / count, node.span)] * count, node.span)
    value = expression(context, argument.value, scope)
    if isinstance(value, Poison):
        return POISON
    shape = value.type.shape
    if not shape or shape[-1] != Dim.of(count) or (len(shape) > 1 and shape[:-1] != target.type.shape):
        return context.error(
            "E0301", f"a mixture of {count} needs {count} weights, and this is {shaped(value)}", value.span,
            related=[Label(target.span, f"the target is {shaped(target)}")],
            fix=f"declare them `simplex[{count}]`; weights of every element have the target's axes before",
        )  # fmt: skip
    negative = value.range.number_high()
    if not sums_to_one(value) or (negative is not None and negative <= 0) or _negative(value):
        return context.error(
            "E0405", "the weights of a mixture are positive and sum to one, and these do not", value.span,
            fix="declare them `simplex[k]`, or divide them by their sum",
        )  # fmt: skip
    return value


def _negative(value: Expr) -> bool:
    return any(isinstance(a, Literal) and a.value < 0 for a in getattr(value, "arguments", ()))


def _truncate(context: Context, target: Expr, node: ast.Call, scope: Scope) -> Density | Poison:
    from energylang.check.truncation import truncated

    return truncated(context, target, node, scope)


FORMS["mixture"] = _mixture
FORMS["truncate"] = _truncate
