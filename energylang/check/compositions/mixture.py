"""`mixture(a, b, weights = w)`: -log of the weighted sum of densities of the same variables."""

from __future__ import annotations

from energylang.check.compositions.parts import (
    NORMALISED,
    argument_named,
    composed,
    conditions_left,
    flag,
    outside_value,
    parts_of,
    total_energy,
    unify,
)
from energylang.check.context import Context, Poison, literal
from energylang.check.expressions import apply, shaped
from energylang.check.supports import sums_to_one
from energylang.diagnostics import Label
from energylang.ir.nodes import (
    Energy,
    Expr,
    Literal,
    Normalisation,
    Term,
)
from energylang.ir.types import Dim
from energylang.syntax import ast


def mixture(context: Context, node: ast.Call) -> Energy | None:
    parts = parts_of(context, node, 1, None, ("weights", "relative"))
    relative = flag(context, node, "relative", False)
    if parts is None or relative is None:
        return None
    unified = unify(context, parts, node.span)
    if unified is None:
        return None
    names = [sorted(v.name for v in p.variables) for p in unified]
    if any(n != names[0] for n in names):
        context.error(
            "E0513", f"the parts of a mixture have different variables: {', '.join(names[0])} and "
            f"{', '.join(next(n for n in names if n != names[0]))}", node.span,
            fix="a mixture chooses between laws of the same variables; `product` joins different ones",
        )  # fmt: skip
        return None
    unknown = [p for p in unified if p.normalisation not in NORMALISED]
    if unknown and not relative:
        context.error(
            "E0514", f"log Z of `{unknown[0].name}` is not known, so the weights would mean nothing", node.span,
            related=[Label(unknown[0].span, unknown[0].reason)],
            fix="say `relative = true` to weigh the unnormalised densities; `evidence` estimates log Z",
        )  # fmt: skip
        return None
    logs = _log_weights(context, node, len(unified), relative)
    totals = [total_energy(context, p, node.span) for p in unified]
    if logs is None:
        return None
    stacked = apply(context, "stack", totals, node.span)
    difference = stacked if isinstance(stacked, Poison) else apply(context, "sub", [logs, stacked], node.span)
    joined = (
        difference if isinstance(difference, Poison) else apply(context, "logsumexp", [difference], node.span, (0,))
    )
    value = joined if isinstance(joined, Poison) else apply(context, "neg", [joined], node.span)
    if isinstance(value, Poison):
        return None
    kept = [p.name for p in unified if p.reports]
    if kept:
        context.diagnostics.add("N0703", f"what `{kept[0]}` reports is not kept by the mixture", node.span)
    variables = unified[0].variables
    state = (Normalisation.UNKNOWN, "a mixture with relative weights") if unknown else (
        Normalisation.NORMALISED, "a mixture of normalised energies",
    )  # fmt: skip
    return composed(
        unified, node, variables=variables, conditions=conditions_left(unified, variables),
        terms=(Term(value, node.span, "the mixture"),), reports=(), normalisation=state[0], reason=state[1],
    )  # fmt: skip


def _log_weights(context: Context, node: ast.Call, count: int, relative: bool) -> Expr | None:
    argument = argument_named(node, "weights")
    if argument is None:
        value: Expr | None = literal(1.0, node.span)
        equal = apply(context, "stack", [literal(1.0 if relative else 1.0 / count, node.span)] * count, node.span)
        value = equal if isinstance(equal, Expr) else None
    else:
        value = outside_value(context, argument, "a weight")
    if value is None:
        return None
    if value.type.shape != (Dim.of(count),):
        context.error(
            "E0301",
            f"a mixture of {count} energies needs {count} weights, and this is {shaped(value)}",
            value.span,
            fix="give one for each, in the order of the energies; they sum to one",
        )
        return None
    negative = any(isinstance(a, Literal) and a.value < 0 for a in getattr(value, "arguments", ()))
    if negative or not (relative or sums_to_one(value)):
        context.error(
            "E0405", "the weights of a mixture are positive and sum to one, and these do not", value.span,
            fix="declare them `simplex[k]`, or divide them by their sum",
        )  # fmt: skip
        return None
    logs = apply(context, "log", [value], node.span)
    return logs if isinstance(logs, Expr) else None
