"""`marginal(a, over = z)`: variables summed out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from energylang.check.compositions.parts import (
    FORMS,
    argument_named,
    composed,
    mentions,
    parts_of,
    reference,
    variables_named,
)
from energylang.check.context import Context
from energylang.check.expressions import shaped
from energylang.diagnostics import Label
from energylang.ir.nodes import (
    Energy,
    Expr,
    Marginal,
    Recovered,
    Report,
    Symbol,
    Term,
    Variable,
    symbols,
)
from energylang.ir.rewrite import replacer, summed_out
from energylang.source import Span
from energylang.syntax import ast


def marginal(context: Context, node: ast.Call) -> Energy | None:
    parts = parts_of(context, node, 1, 1, ("over",))
    if parts is None:
        return None
    (part,) = parts
    over = argument_named(node, "over")
    if over is None:
        context.error("E0206", "`marginal` needs `over`", node.span, fix=f"its form is `{FORMS['marginal']}`")
        return None
    summed = variables_named(context, part, over)
    if summed is None:
        return None
    variables = tuple(v for v in part.variables if v not in summed)
    if not variables:
        context.error(
            "E0512", f"no variable of `{part.name}` is left", node.span,
            fix="the sum over all of them is log Z: `energylang evidence` computes it",
        )  # fmt: skip
        return None
    bound = [v for v in variables if any(s in summed for s in symbols(*v.space.bounds))]
    if bound:
        context.error(
            "E0516", f"the bounds of `{bound[0].name}` depend on what is summed out", node.span,
            related=[Label(bound[0].span, "declared here")], fix=f"sum `{bound[0].name}` out first, or keep both",
        )  # fmt: skip
        return None
    terms = list(part.terms)
    left = _without_leaves(terms, summed)
    for variable in left:
        if variable.space.values is None:
            _intractable(context, part, variable, terms, node.span)
            return None
    reports = part.reports
    if left:
        inner = [t for t in terms if mentions(t, left)]
        outer = [t for t in terms if t not in inner]
        # Sums inside of the sum are one sum.
        nested = [t for t in inner if isinstance(t.value, Marginal)]
        flat = [t for t in inner if t not in nested]
        more: list[Variable] = []
        for term in nested:
            assert isinstance(term.value, Marginal)
            flat += term.value.terms
            more += term.value.variables
        total, _ = summed_out(flat, [*left, *more])
        names = ", ".join(v.name for v in left)
        terms = [*outer, Term(total, node.span, f"the sum over {names}")]
        reports = _recovered(part.reports, left, total)
    return replace(
        composed(
            [part], node, variables=variables, terms=tuple(terms), reports=reports, normalisation=part.normalisation,
            reason=part.reason,
        ),
        hidden=part.hidden,
    )  # fmt: skip


def _without_leaves(terms: list[Term], summed: list[Variable]) -> list[Variable]:
    """Takes out of `terms` densities of variables that nothing else mentions: they integrate to one. What is left."""
    left = list(summed)
    again = True
    while again:
        again = False
        for variable in list(left):
            mine = [t for t in terms if mentions(t, [variable])]
            if len(mine) == 1 and mine[0].density_of is variable:
                terms.remove(mine[0])
                left.remove(variable)
                again = True
    return left


def _intractable(context: Context, part: Energy, variable: Variable, terms: Sequence[Term], span: Span) -> None:
    mine = sum(1 for t in terms if mentions(t, [variable]))
    what = "an integral" if not variable.space.discrete else "an unbounded sum"
    context.error(
        "E0516", f"`{variable.name}` cannot be summed out: it is {variable.space}", span,
        related=[Label(variable.span, "declared here")],
        cause=f"that is {what} over {shaped(reference(variable))} with {mine} {'term' if mine == 1 else 'terms'}, which has no closed form here",
        fix=f"sample `{part.name}` and use its draws without `{variable.name}`; `condition` fixes a value, `evidence` estimates log Z",
    )  # fmt: skip


def _recovered(reports: Sequence[Report], left: Sequence[Variable], total: Marginal) -> tuple[Report, ...]:
    """Reports that mention what is summed out see it drawn from its law given the rest."""
    copies = {v.name: v for v in total.variables}
    draws: dict[Symbol, Expr] = {
        v: Recovered(v.space.type, v.span, total, copies[v.name], range=v.space.range) for v in left
    }
    replaced = replacer(draws)
    return tuple(replace(r, value=replaced(r.value)) for r in reports)
