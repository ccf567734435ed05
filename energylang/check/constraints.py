"""Constraints: comparisons that the points of `optimize` must satisfy, and whether they fit an energy.

`a <= b` is missed by max(0, a - b), `a == b` by |a - b|, entry by entry; other truth values of discrete variables by one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from energylang.check.context import POISON, Context, Poison, Scope, literal
from energylang.check.expressions import apply, expression
from energylang.diagnostics import Diagnostic, Label, suggest
from energylang.ir.compare import equal_spaces
from energylang.ir.nodes import (
    Apply,
    Condition,
    Constraint,
    Energy,
    Expr,
    Level,
    Requirement,
    Variable,
    symbols,
)
from energylang.ir.types import Kind
from energylang.syntax import ast

FORM = "write `constraint name(x: …) = left <= right`, or `>=`, `==`"


def declared(context: Context, declaration: ast.Energy) -> Constraint | None:
    """A checked constraint; None after diagnostics."""
    from energylang.check.energies import signature_symbols

    if declaration.signature is None:
        context.error(
            "E0660", f"`{declaration.name.text}` names no variables", declaration.name.span,
            cause="a constraint is a comparison of expressions in its variables", fix=FORM,
        )  # fmt: skip
        return None
    found = signature_symbols(context, declaration)
    if found is None:
        return None
    variables, conditions, scope, _ = found
    level = next((c for c in conditions if isinstance(c, Level)), None)
    if level is not None:
        context.error("E0660", "a constraint has no level", level.span, fix="leave `@ …` out: points are the data's")
        return None
    if isinstance(declaration.body, ast.Block):
        context.error(
            "E0660", "the body of a constraint is one comparison, and this is a block", declaration.name.span, fix=FORM
        )
        return None
    requirements = _body(context, declaration.body, scope)
    if requirements is None:
        return None
    used = set(symbols(*(r.violation for r in requirements)))
    if not used & set(variables):
        context.error(
            "E0660", f"`{declaration.name.text}` says nothing of {_named(variables)}", declaration.body.span,
            fix="compare an expression in its variables, or remove the constraint",
        )  # fmt: skip
        return None
    return Constraint(
        context.full(declaration.name.text), declaration.name.span, declaration.doc, variables, conditions, requirements
    )


def _named(variables: Sequence[Variable]) -> str:
    return ", ".join(f"`{v.name}`" for v in variables)


def _body(context: Context, node: ast.Expression, scope: Scope) -> tuple[Requirement, ...] | None:
    value = expression(context, node, scope)
    if isinstance(value, Poison):
        return None
    if value.type.kind is not Kind.BOOL:
        context.error(
            "E0660", f"a constraint is a comparison, and this is {value.type}", node.span,
            fix="compare it: `… <= 1`, `… == 0`",
        )  # fmt: skip
        return None
    found = [_requirement(context, part) for part in _conjuncts(value)]
    good = tuple(r for r in found if r is not None)
    return good if len(good) == len(found) else None


def _conjuncts(value: Expr) -> Iterator[Expr]:
    """What must all be true where a value is."""
    pending = [value]
    while pending:
        part = pending.pop()
        if isinstance(part, Apply) and part.operation == "and":
            pending += reversed(part.arguments)
        else:
            yield part


def _requirement(context: Context, value: Expr) -> Requirement | None:
    """How much a truth value misses being true; None after a diagnostic."""

    def of(operation: str, *operands: Expr | Poison) -> Expr | Poison:
        known = [o for o in operands if isinstance(o, Expr)]
        return apply(context, operation, known, value.span) if len(known) == len(operands) else POISON

    one, zero = literal(1, value.span), literal(0, value.span)
    excess: Expr | Poison | None = None
    equality = False
    if isinstance(value, Apply) and value.operation in ("le", "lt", "ge", "gt", "eq"):
        left, right = value.arguments
        whole = all(a.type.kind is Kind.INT for a in (left, right))
        equality = value.operation == "eq"
        low, high = (right, left) if value.operation in ("ge", "gt") else (left, right)
        if value.operation in ("le", "ge") or (equality and Kind.BOOL not in (left.type.kind, right.type.kind)):
            excess = of("sub", low, high)
        elif not equality and whole:
            # Between integers `a < b` is `a + 1 <= b`.
            excess = of("add", of("sub", low, high), one)
    if excess is None:
        continuous = [s.name for s in symbols(value) if isinstance(s, Variable) and not s.space.discrete]
        if continuous:
            strict = isinstance(value, Apply) and value.operation in ("lt", "gt")
            context.error(
                "E0662", f"nothing says how far this is from true, and `{continuous[0]}` is continuous", value.span,
                cause="the points that satisfy a strict inequality have no edge on which a lowest one could lie" if strict
                else "what can only hold or not hold has no slope to follow",
                fix="write `<=` or `>=`" if strict else "compare with `<=`, `>=` or `==`, several joined by `and`",
            )  # fmt: skip
            return None
        violation = penalty = of("where", value, zero, one)
    elif equality:
        violation, penalty = of("abs", excess), of("pow", excess, literal(2, value.span))
    else:
        violation = penalty = of("maximum", excess, zero)
    if not isinstance(violation, Expr) or not isinstance(penalty, Expr) or isinstance(excess, Poison):
        return None
    text = " ".join(value.span.text.split())
    return Requirement(violation, penalty, excess, equality, value.span, text)


def no_energy(context: Context, node: ast.Name) -> Poison:
    """Says that a name is of a constraint where an energy is needed."""
    name = node.text
    return context.error(
        "E0661", f"`{name}` is a constraint, and an energy is needed here", node.span,
        cause="a constraint says which points `optimize` may give; it has no energy",
        fix=f"name it in a task: `optimize …, constraints = [{name}]`",
    )  # fmt: skip


# --- constraints of a task --------------------------------------------------------------------------------------


def names_of(text: str) -> list[str]:
    """The names in the text of the option `constraints`."""
    return [name.strip() for name in text.split(",") if name.strip()]


def about(constraint: Constraint, energy: Energy) -> bool:
    """Whether a constraint shares a variable's name with an energy."""
    return bool({v.name for v in constraint.variables} & {v.name for v in energy.variables})


def meant(energy: Energy, table: Mapping[str, Constraint], names: str | None, own: str = "") -> list[Constraint]:
    """The constraints of `optimize`: those named, or else those of the model itself that are about the energy.

    own: what names in the module of the energy begin with. Unknown names are left out: `unfit` says so.
    """
    if names is not None:
        return [table[name] for name in names_of(names) if name in table]
    prefix = energy.name.rpartition(".")[0]
    return [c for name, c in table.items() if name.rpartition(".")[0] == prefix and about(c, energy)]


def unknown(table: Mapping[str, Constraint | None], names: str | None) -> list[tuple[str, str]]:
    """Names that no constraint has, each with what could have been meant."""
    found = []
    for name in names_of(names or ""):
        if name not in table:
            near = suggest(name, table)
            listed = (
                f"the constraints are {', '.join(table)}" if table else f"declare it: `constraint {name}(x: …) = …`"
            )
            found.append((name, f"did you mean `{near}`?" if near else listed))
    return found


def unfit(constraint: Constraint, energy: Energy) -> Diagnostic | None:
    """What keeps a constraint from being one of an energy: its variables and conditions are those of that, by name."""
    places: dict[str, Variable | Condition] = {s.name: s for s in (*energy.variables, *energy.conditions)}
    for symbol in (*constraint.variables, *constraint.conditions):
        other = places.get(symbol.name)
        label = [Label(energy.span, f"its variables are {', '.join(v.name for v in energy.variables)}")]
        if other is None:
            near = suggest(symbol.name, places)
            return Diagnostic(
                "E0663", f"`{constraint.name}` is about `{symbol.name}`, which `{energy.name}` does not have", symbol.span,
                related=tuple(label), cause="variables of one name are one variable",
                fix=f"did you mean `{near}`?" if near else f"name a variable of `{energy.name}`, or leave the constraint out",
            )  # fmt: skip
        if isinstance(symbol, Condition) and isinstance(other, Variable):
            return Diagnostic(
                "E0663", f"`{symbol.name}` is a condition of `{constraint.name}` and a variable of `{energy.name}`", symbol.span,
                related=(Label(other.span, "random here"),), fix=f"write `{symbol.name}: {other.space}` before the bar",
            )  # fmt: skip
        if not equal_spaces(symbol.space, other.space):
            return Diagnostic(
                "E0663", f"`{symbol.name}` is {symbol.space} in `{constraint.name}` and {other.space} in `{energy.name}`",
                symbol.span, related=(Label(other.span, f"this is {other.space}"),),
                cause="variables of one name are one variable",
                fix=f"write `{symbol.name}: {other.space}`; or leave it out where it is about another energy: `constraints = []`",
            )  # fmt: skip
    return None


def lint_unused(
    context: Context, table: Mapping[str, Constraint | None], energies: Mapping[str, Energy | None]
) -> None:
    """An error for each constraint of the model that is about no variable of any of its energies."""
    known = [e for e in energies.values() if e is not None]
    if len(known) < len(energies) or not known:
        return
    for name in context.constraints:
        constraint = table[context.full(name)]
        if constraint is None or any(about(constraint, energy) for energy in known):
            continue
        names = [v.name for e in known for v in e.variables]
        near = suggest(constraint.variables[0].name, names)
        context.error(
            "E0663", f"no energy has a variable `{constraint.variables[0].name}`", constraint.variables[0].span,
            cause="the variables of a constraint are those of the energy that is optimised, by name",
            fix=f"did you mean `{near}`?" if near else f"the energies have {', '.join(dict.fromkeys(names))}",
        )  # fmt: skip
