"""`product(a, b, …)`: the sum of the energies; a variable of one factor discharges a condition of another."""

from __future__ import annotations

from collections.abc import Sequence

from energylang.check.compositions.parts import (
    NORMALISED,
    composed,
    conditions_left,
    merged_reports,
    parts_of,
    unify,
)
from energylang.check.context import Context
from energylang.diagnostics import Label
from energylang.ir.nodes import (
    Energy,
    Normalisation,
)
from energylang.syntax import ast


def product(context: Context, node: ast.Call) -> Energy | None:
    parts = parts_of(context, node, 2, None, ("",))
    if parts is None:
        return None
    for part in parts:
        if part.hidden:
            context.error(
                "E0514", f"`{part.name}` cannot be a factor: {part.hidden}", node.span,
                related=[Label(part.span, "declared here")],
                cause="its energy misses a normaliser that varies with its condition, and a product would keep that",
                fix="use the joint energy itself, or a conditional whose normaliser is known",
            )  # fmt: skip
            return None
    unified = unify(context, parts, node.span)
    if unified is None:
        return None
    variables = tuple(dict.fromkeys(v for p in unified for v in p.variables))
    reports = merged_reports(context, unified, variables, node.span)
    if reports is None:
        return None
    normalisation, reason = _product_type(parts)
    return composed(
        unified, node, variables=variables, conditions=conditions_left(unified, variables),
        terms=tuple(t for p in unified for t in p.terms), reports=reports, normalisation=normalisation, reason=reason,
        laws=tuple(law for p in unified for law in p.laws),
    )  # fmt: skip


def _product_type(parts: Sequence[Energy]) -> tuple[Normalisation, str]:
    unknown = [p.name for p in parts if p.normalisation not in NORMALISED]
    if unknown:
        return Normalisation.UNKNOWN, f"a product, and log Z of `{unknown[0]}` is not known"
    owners: dict[str, int] = {}
    for number, part in enumerate(parts):
        for variable in part.variables:
            if variable.name in owners:
                return Normalisation.UNKNOWN, f"a product whose factors share `{variable.name}`"
            owners[variable.name] = number
    needs = [{owners[c.name] for c in p.conditions if c.name in owners} for p in parts]
    done: set[int] = set()
    while len(done) < len(parts):
        ready = [i for i, need in enumerate(needs) if i not in done and need <= done]
        if not ready:
            return Normalisation.UNKNOWN, "a product whose factors condition on each other in a cycle"
        done.update(ready)
    return Normalisation.NORMALISED, "a product of normalised factors without cycles"
