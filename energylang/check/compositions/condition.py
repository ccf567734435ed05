"""`condition(a, y = 3)`: variables or conditions fixed; `condition(a, given = x)`: the conditional energy of the rest."""

from __future__ import annotations

from dataclasses import replace

from energylang.check.compositions.parts import (
    FORMS,
    NORMALISED,
    argument_named,
    composed,
    flag,
    mentions,
    outside_value,
    parts_of,
    reference,
    variables_named,
)
from energylang.check.context import Context, did_you_mean
from energylang.check.expressions import apply
from energylang.check.values import fitting_value
from energylang.diagnostics import Label
from energylang.ir.nodes import (
    Condition,
    Energy,
    Expr,
    Normalisation,
    Symbol,
    Term,
)
from energylang.ir.rewrite import summed_out, with_symbols
from energylang.syntax import ast


def condition(context: Context, node: ast.Call) -> Energy | None:
    parts = parts_of(context, node, 1, 1, ())
    if parts is None:
        return None
    (part,) = parts
    given = argument_named(node, "given")
    if given is not None and "given" not in {s.name for s in (*part.variables, *part.conditions)}:
        others = [a for a in node.arguments if a.name is not None and a.name.text not in ("given", "normalise")]
        if others:
            context.error(
                "E0206", "`given` stands alone: values are fixed by a `condition` of their own", others[0].span,
                fix=f"write `condition(condition({part.name}, given = …), {others[0].span.text})`",
            )  # fmt: skip
            return None
        return _given(context, node, part, given)
    fixed = [a for a in node.arguments if a.name is not None]
    if not fixed:
        context.error("E0206", "`condition` fixes something", node.span, fix=f"its form is `{FORMS['condition']}`")
        return None
    table: dict[str, Symbol] = {s.name: s for s in (*part.conditions, *part.variables)}
    values: dict[Symbol, Expr] = {}
    for argument in fixed:
        assert argument.name is not None
        name = argument.name.text
        if name not in table:
            context.error(
                "E0511", f"`{part.name}` has no variable or condition `{name}`", argument.name.span,
                related=[Label(part.span, f"it has {', '.join(table)}")], fix=did_you_mean(name, table) or f"name one of {', '.join(table)}",
            )  # fmt: skip
            return None
        value = outside_value(context, argument.value, "a fixed value")
        value = None if value is None else fitting_value(context, table[name], value)
        if value is None:
            return None
        values[table[name]] = value
    if all(v in values for v in part.variables):
        context.error(
            "E0512", f"nothing of `{part.name}` is left random", node.span,
            fix=f"to get its energy at a point write `{part.name}(…)` in an expression",
        )  # fmt: skip
        return None
    names = [v.name for v in part.variables if v in values]
    state = (part.normalisation, part.reason)
    if names:
        state = (Normalisation.UNKNOWN, f"`{', '.join(names)}` is fixed: log Z is the evidence")
    return replace(
        composed(
            [with_symbols(part, values)], node, normalisation=state[0], reason=state[1],
        ),
        hidden=part.hidden,
    )  # fmt: skip


def _given(context: Context, node: ast.Call, part: Energy, argument: ast.Expression) -> Energy | None:
    """E(rest | x) = E(rest, x) + log Z(x), where log Z(x) is known."""
    given = variables_named(context, part, argument)
    normalise = flag(context, node, "normalise", True)
    if given is None or normalise is None:
        return None
    rest = [v for v in part.variables if v not in given]
    if not rest:
        context.error(
            "E0512", f"nothing of `{part.name}` is left random", node.span, fix="leave a variable out of `given`"
        )
        return None
    moved = {v: Condition(v.name, v.space, v.span) for v in given}
    # What mentions none of the rest is part of the normaliser, and cancels.
    terms = [t for t in part.terms if mentions(t, rest)]
    own = [t for t in terms if t.density_of in rest]
    hidden = part.hidden
    if part.normalisation in NORMALISED and len(own) == len(terms) == len(rest):
        state = (Normalisation.NORMALISED, "each of its variables has a density, given the others")
    elif not normalise or not all(v.space.values is not None for v in rest):
        names = ", ".join(v.name for v in given)
        state = (Normalisation.UNKNOWN, f"its normaliser depends on `{names}` and is not known")
        hidden = f"its normaliser depends on `{names}`"
    else:
        total, _ = summed_out(terms, rest)
        minus = apply(context, "neg", [total], node.span)
        assert isinstance(minus, Expr)
        terms = [*terms, Term(minus, node.span, f"log Z given {', '.join(v.name for v in given)}")]
        state = (Normalisation.NORMALISED, f"the sum over `{', '.join(v.name for v in rest)}` is exact")
    made = with_symbols(replace(part, terms=tuple(terms)), {v: reference(c) for v, c in moved.items()})
    return replace(
        composed(
            [made], node, normalisation=state[0],
            reason=state[1],
        ),
        hidden=hidden,
    )  # fmt: skip
