"""What compositions share: their arguments, the unification of names, the making of an energy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from energylang.check.constants import evaluate
from energylang.check.context import Context, Poison, did_you_mean, literal
from energylang.check.expressions import apply, expression
from energylang.diagnostics import Label
from energylang.ir.compare import equal_spaces
from energylang.ir.nodes import (
    Condition,
    Energy,
    Expr,
    Level,
    Normalisation,
    Reference,
    Report,
    Symbol,
    Term,
    Variable,
    symbols,
)
from energylang.ir.rewrite import with_symbols
from energylang.source import Span
from energylang.syntax import ast

NORMALISED = (Normalisation.NORMALISED, Normalisation.DECLARED)

FORMS = {
    "product": "product(a, b, …)",
    "mixture": "mixture(a, b, weights = w)",
    "temper": "temper(a, beta)",
    "condition": "condition(a, y = 3) or condition(a, given = x)",
    "marginal": "marginal(a, over = z)",
    "rename": "rename(a, x = y)",
}
"""How each composition is written, for messages."""


def parts_of(
    context: Context, node: ast.Call, least: int, most: int | None, options: Sequence[str]
) -> list[Energy] | None:
    """The energies among the arguments, and a check that every named one is known; None after diagnostics."""
    form = FORMS[node.function.text]
    parts = [a for a in node.arguments if a.name is None]
    good = True
    for argument in node.arguments:
        if argument.name is not None and options and argument.name.text not in options:
            context.error(
                "E0206", f"`{node.function.text}` has no argument `{argument.name.text}`", argument.span,
                fix=did_you_mean(argument.name.text, options) or f"its form is `{form}`",
            )  # fmt: skip
            good = False
    if len(parts) < least or (most is not None and len(parts) > most):
        count = f"{least}" if most == least else f"at least {least}" if most is None else f"{least} to {most}"
        what = "energy" if count == "1" else "energies"
        context.error(
            "E0206", f"`{node.function.text}` takes {count} {what}, not {len(parts)}", node.span, fix=f"its form is `{form}`"
        )  # fmt: skip
        good = False
    from energylang.check.compositions import composition

    found = [composition(context, p.value) for p in parts]
    known = [f for f in found if f is not None]
    return known if good and len(known) == len(found) else None


def argument_named(node: ast.Call, name: str) -> ast.Expression | None:
    return next((a.value for a in node.arguments if a.name is not None and a.name.text == name), None)


def names_in(context: Context, node: ast.Expression) -> list[ast.Name] | None:
    """One name, or several in brackets."""
    items = node.items if isinstance(node, ast.Tuple | ast.Array) else (node,)
    names = [i for i in items if isinstance(i, ast.Name) and i.qualifier is None]
    if len(names) == len(items):
        return names
    context.error("E0511", "names of variables stand here", node.span, fix="`over = z`, or `over = (z, w)`")
    return None


def variables_named(context: Context, energy: Energy, node: ast.Expression) -> list[Variable] | None:
    """The variables that an argument names; None after diagnostics."""
    names = names_in(context, node)
    if names is None:
        return None
    table = {v.name: v for v in energy.variables}
    for name in names:
        if name.text not in table:
            condition = name.text in {c.name for c in energy.conditions}
            context.error(
                "E0511", f"`{energy.name}` has no variable `{name.text}`", name.span,
                related=[Label(energy.span, f"its variables are {', '.join(table)}")],
                cause=f"`{name.text}` is a condition of it already" if condition else "",
                fix="leave it out" if condition else did_you_mean(name.text, table) or f"name one of {', '.join(table)}",
            )  # fmt: skip
            return None
    return [table[n.text] for n in names]


def outside_value(context: Context, node: ast.Expression, what: str) -> Expr | None:
    """A value made of consts, data and params."""
    value = expression(context, node, context.top)
    if isinstance(value, Poison):
        return None
    if any(isinstance(s, Variable | Condition) for s in symbols(value)):
        context.error("E0512", f"{what} is made of consts, data and params", node.span)
        return None
    return value


def flag(context: Context, node: ast.Call, name: str, default: bool) -> bool | None:
    argument = argument_named(node, name)
    if argument is None:
        return default
    value = evaluate(context, argument)
    if isinstance(value, bool) or value is None:
        return value
    context.error("E0302", f"`{name}` is `true` or `false`", argument.span)
    return None


def reference(symbol: Symbol) -> Reference:
    return Reference(symbol.space.type, symbol.span, symbol, range=symbol.space.range)


def mentions(term: Term, some: Sequence[Symbol]) -> bool:
    """Whether a term depends on some symbols, or is the density of one (that of a uniform law does not mention it)."""
    return term.density_of in some or any(s in some for s in symbols(term.value))


def same_space(context: Context, first: Symbol, second: Symbol, span: Span) -> bool:
    levels = [s for s in (first, second) if isinstance(s, Level)]
    if levels and (len(levels) == 1 or levels[0].schedule != levels[1].schedule):
        context.error(
            "E0513", f"`{first.name}` is not one level of one schedule in these energies", span,
            related=[Label(s.span, "a level" if isinstance(s, Level) else f"this is {s.space}") for s in (first, second)],
            fix="give both energies the same schedule",
        )  # fmt: skip
        return False
    if equal_spaces(first.space, second.space):
        return True
    code = "E0301" if first.space.kind == second.space.kind else "E0513"
    context.error(
        code, f"`{first.name}` is {first.space} in one energy and {second.space} in another", span,
        related=[Label(first.span, f"this is {first.space}"), Label(second.span, f"this is {second.space}")],
        cause="variables of one name are one variable", fix="give them one space, or rename one: `rename(e, x = y)`",
    )  # fmt: skip
    return False


def unify(context: Context, parts: Sequence[Energy], span: Span) -> list[Energy] | None:
    """The parts over one set of symbols: those of one name are one object, variables before conditions."""
    found: dict[str, Symbol] = {}
    for kind in ("variables", "conditions"):
        for part in parts:
            for symbol in getattr(part, kind):
                other = found.setdefault(symbol.name, symbol)
                if not same_space(context, other, symbol, span):
                    return None
    if not _one_level(context, parts, [s for s in found.values() if isinstance(s, Level)], span):
        return None
    return [
        with_symbols(p, {s: reference(found[s.name]) for s in (*p.variables, *p.conditions) if s is not found[s.name]})
        for p in parts
    ]


def _one_level(context: Context, parts: Sequence[Energy], levels: Sequence[Level], span: Span) -> bool:
    if len(levels) < 2:
        return True
    first, second = (s.name for s in levels[:2])
    part = next(p.name for p in parts if levels[1] in p.conditions)
    context.error(
        "E0513", f"these energies have two levels, `{first}` and `{second}`", span,
        related=[Label(s.span, "a level") for s in levels], cause="an energy has one level",
        fix=f"give them one name: `rename({part}, {second} = {first})`",
    )  # fmt: skip
    return False


def conditions_left(parts: Sequence[Energy], variables: Sequence[Variable]) -> tuple[Condition, ...]:
    """The conditions of all parts, each once, without those that are variables."""
    taken = {v.name for v in variables}
    left = {c.name: c for p in reversed(parts) for c in p.conditions if c.name not in taken}
    return tuple(reversed(left.values()))


def merged_reports(
    context: Context, parts: Sequence[Energy], variables: Sequence[Variable], span: Span
) -> tuple[Report, ...] | None:
    reports: dict[str, Report] = {}
    names = {v.name for v in variables}
    for part in parts:
        for report in part.reports:
            if isinstance(report.value, Reference) and report.value.symbol in variables and report.name in names:
                # A variable is kept anyway: its report matters where it is summed out.
                continue
            if report.name in reports or report.name in names:
                context.error(
                    "E0203", f"`{report.name}` is reported by two of the energies", span,
                    fix=f"rename one: `rename({part.name}, {report.name} = …)`",
                )  # fmt: skip
                return None
            reports[report.name] = report
    return tuple(reports.values())


def composed(parts: Sequence[Energy], node: ast.Call, **fields: object) -> Energy:
    """A new energy; its name and doc are those of its declaration, given later."""
    return replace(parts[0], name=node.function.text, span=node.span, doc="", hidden="", **fields)  # type: ignore[arg-type]


def total_energy(context: Context, energy: Energy, span: Span) -> Expr:
    """The energy as one expression."""
    total: Expr = literal(0.0, span)
    for term in energy.terms:
        added = apply(context, "add", [total, term.value], span)
        assert isinstance(added, Expr)
        total = added
    return total
