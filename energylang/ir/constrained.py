"""An energy and its constraints as one energy: weighted objective, weighted penalties, and reports of what is missed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from energylang.ir.nodes import Apply, Condition, Constraint, Energy, Expr, Normalisation, Reference, Report, Term
from energylang.ir.operations import type_of
from energylang.ir.rewrite import replacer
from energylang.ir.types import Space
from energylang.source import Span

OBJECTIVE, PENALTY = "weight of the objective", "weight of the penalty"
"""Names of the two conditions: no model can declare names with spaces."""
MISSED, EXCESS = "missed", "excess"
"""What the names of internal reports begin with."""


@dataclass(frozen=True)
class Constrained:
    """energy: has the terms of the objective first, `objective` of them. names: of the constraints."""

    energy: Energy
    objective: int
    names: tuple[str, ...]
    excesses: tuple[tuple[str, bool], ...]
    """Names of the reports that must not be above zero, or (True) be zero; of those requirements that have one."""


def constrained(energy: Energy, constraints: Sequence[Constraint]) -> Constrained:
    """The energy u E + w P: u and w are conditions, P is the sum of all penalties. Without constraints E alone."""
    if not constraints:
        return Constrained(energy, len(energy.terms), (), ())
    span = energy.span
    real = Space("real", ())
    weights = {name: Condition(name, real, span) for name in (OBJECTIVE, PENALTY)}
    u, w = (Reference(real.type, span, weights[name]) for name in (OBJECTIVE, PENALTY))
    terms = [replace(t, value=_applied("mul", t.span, u, t.value), density_of=None) for t in energy.terms]
    reports, excesses = list(energy.reports), []
    for constraint in constraints:
        places = {s.name: s for s in (*energy.variables, *energy.conditions)}
        replaced = replacer(
            {
                s: Reference(s.space.type, s.span, places[s.name], range=places[s.name].space.range)
                for s in (*constraint.variables, *constraint.conditions)
            }
        )
        for number, part in enumerate(constraint.mapped(replaced)):
            penalty = _applied("mul", part.span, w, _total(part.penalty, part.span))
            terms.append(Term(penalty, part.span, part.text))
            where = f"{constraint.name} {number}"
            reports.append(Report(f"{MISSED} {where}", _total(part.violation, part.span)))
            if part.excess is not None:
                reports.append(Report(f"{EXCESS} {where}", part.excess))
                excesses.append((f"{EXCESS} {where}", part.equality))
    whole = replace(
        energy, conditions=(*energy.conditions, *weights.values()), terms=tuple(terms), reports=tuple(reports),
        normalisation=Normalisation.UNKNOWN, reason="an objective with penalties", laws=(),
    )  # fmt: skip
    return Constrained(whole, len(energy.terms), tuple(c.name for c in constraints), tuple(excesses))


def _applied(operation: str, span: Span, *operands: Expr, attributes: tuple[int, ...] = ()) -> Expr:
    kind, found = type_of(operation, operands, attributes)
    return Apply(kind, span, operation, operands, attributes, range=found)


def _total(value: Expr, span: Span) -> Expr:
    rank = len(value.type.shape)
    return _applied("sum", span, value, attributes=tuple(range(rank))) if rank else value
