"""Hidden variables of an energy made explicit: sums over discrete variables, written out as terms of a joint energy.

    R(v) - log sum_h exp(-E(v, h))     becomes     R(v) + E(v, h),

of which the sum over h gives the former again. A `marginal` is such a sum, and so is every entry of -softplus(a) =
-log(1 + exp(a)), with -h a as the energy of a binary h: the free energy of a restricted Boltzmann machine (Hinton 2002,
Neural Comput. 14); of -log(exp(a) + exp(b)) it is -(1 - h) a - h b.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from math import prod

from energylang.ir.nodes import Apply, Energy, Expr, Literal, Marginal, Normalisation, Reference, Term, Variable
from energylang.ir.operations import type_of
from energylang.ir.rewrite import replacer
from energylang.ir.terms import Analysis, Summand
from energylang.ir.types import Kind, Space, Type


def with_hidden(energy: Energy, rows: Collection[Expr]) -> tuple[Energy, tuple[Variable, ...]]:
    """(the energy with some summands written out, the hidden variables of these, which come last among its variables).

    rows: `Summand.rows` of what is to be written out where it is a sum; the rest stays as it is. Reports and laws are left
    out, and nothing is said of the normaliser.
    """
    wanted = {id(row) for row in rows}
    analysis = Analysis(*(term.value for term in energy.terms))
    terms: list[Term] = []
    hidden: list[Variable] = []
    for term in energy.terms:
        summands = analysis.split(term)
        if not any(id(s.rows) in wanted and is_sum(s) for s in summands):
            terms.append(term)
            continue
        for summand in summands:
            if id(summand.rows) in wanted and is_sum(summand):
                values, variables = _written_out(summand, term, len(hidden))
                hidden += variables
            else:
                values = [_scaled_sum(summand.scale, summand.rows)]
            terms += [Term(value, term.span, summand.text) for value in values]
    joint = replace(
        energy, variables=(*energy.variables, *hidden), terms=tuple(terms), reports=(), laws=(),
        normalisation=Normalisation.UNKNOWN, reason="",
    )  # fmt: skip
    return joint, tuple(hidden)


def is_sum(summand: Summand) -> bool:
    """Whether a summand is -log of a sum over values of hidden variables, entry by entry."""
    if not all(isinstance(factor, Literal) for factor in summand.scale):
        return False
    scale = prod(factor.value for factor in summand.scale if isinstance(factor, Literal))
    # With any other factor exp(-energy) has a power of the sum.
    if isinstance(summand.rows, Marginal):
        return scale == 1
    return scale == -1 and _logits(summand.rows) is not None


def _logits(rows: Expr) -> tuple[Expr | None, Expr] | None:
    """(a, b) of log(exp(a) + exp(b)), a None where it is zero; None of anything else."""
    if not isinstance(rows, Apply):
        return None
    match rows.operation, rows.arguments:
        case "softplus", (b,):
            return None, b
        case "logaddexp", (a, b):
            return (None, b) if isinstance(a, Literal) and a.value == 0 else (a, b)
        case "log1p", (Apply(operation="exp", arguments=(b,)),):
            return None, b
        case "log", (Apply(operation="add", arguments=(Literal(value=1), Apply(operation="exp", arguments=(b,)))),):
            return None, b
        case "log", (Apply(operation="add", arguments=(Apply(operation="exp", arguments=(a,)), second)),):
            if isinstance(second, Literal) and second.value == 1:
                return None, a
            if isinstance(second, Apply) and second.operation == "exp":
                return a, second.arguments[0]
    return None


def _written_out(summand: Summand, term: Term, number: int) -> tuple[Sequence[Expr], Sequence[Variable]]:
    """(the terms of a sum, its hidden variables), the variables numbered from `number`, which keeps their names apart."""
    if isinstance(summand.rows, Marginal):
        # New variables, as one sum may be there several times; their names are none that could be written.
        fresh = [replace(v, name=f"{v.name} {number + i}") for i, v in enumerate(summand.rows.variables)]
        replaced = replacer({old: _reference(new) for old, new in zip(summand.rows.variables, fresh, strict=True)})
        return [replaced(inner.value) for inner in summand.rows.terms], fresh
    logits = _logits(summand.rows)
    assert logits is not None
    a, b = logits
    h = Variable(f"hidden {number}", Space("binary", summand.rows.type.shape), term.span)
    chosen = [_applied("mul", _reference(h), b)]
    if a is not None:
        one = Literal(Type(Kind.INT), term.span, 1)
        chosen.append(_applied("mul", _applied("sub", one, _reference(h)), a))
    return [_scaled_sum(summand.scale, rows) for rows in chosen], [h]


def _reference(variable: Variable) -> Reference:
    return Reference(variable.space.type, variable.span, variable, range=variable.space.range)


def _scaled_sum(scale: Sequence[Expr], rows: Expr) -> Expr:
    """The product of the factors with the sum of all rows."""
    total = _applied("sum", rows, attributes=tuple(range(len(rows.type.shape)))) if rows.type.shape else rows
    for factor in scale:
        total = _applied("mul", factor, total)
    return total


def _applied(operation: str, *arguments: Expr, attributes: tuple[int, ...] = ()) -> Expr:
    kind, found = type_of(operation, arguments, attributes)
    return Apply(kind, arguments[-1].span, operation, arguments, attributes, range=found)
