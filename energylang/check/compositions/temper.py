"""`temper(a, beta)`: the energy times beta."""

from __future__ import annotations

from dataclasses import replace

from energylang.check.compositions.parts import (
    argument_named,
    composed,
    outside_value,
)
from energylang.check.context import Context
from energylang.check.expressions import apply
from energylang.ir.nodes import (
    Energy,
    Expr,
    Normalisation,
)
from energylang.ir.types import Kind
from energylang.syntax import ast


def temper(context: Context, node: ast.Call) -> Energy | None:
    positional = [a for a in node.arguments if a.name is None]
    named = argument_named(node, "beta")
    if len(positional) != (1 if named is not None else 2):
        context.error("E0206", "`temper` takes an energy and `beta`", node.span, fix="its form is `temper(e, 0.5)`")
        return None
    from energylang.check.compositions import composition

    part = composition(context, positional[0].value)
    beta = outside_value(context, named if named is not None else positional[1].value, "`beta`")
    if part is None or beta is None:
        return None
    if beta.type.shape or beta.type.kind is Kind.BOOL:
        context.error("E0303", f"`beta` is one number, and this is {beta.type}", beta.span)
        return None
    terms = []
    for term in part.terms:
        value = apply(context, "mul", [beta, term.value], term.span)
        assert isinstance(value, Expr)
        terms.append(replace(term, value=value, density_of=None))
    return composed(
        [part], node, terms=tuple(terms), normalisation=Normalisation.UNKNOWN,
        reason=f"`{part.name}` at another temperature",
    )  # fmt: skip
