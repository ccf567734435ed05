"""Compositions: energies made of energies. Each is an energy like any other: variables, conditions, terms.

Variables unify by name and must have equal spaces.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from energylang.check.constants import evaluate
from energylang.check.context import Context, Poison, did_you_mean, literal
from energylang.check.expressions import apply, expression, shaped
from energylang.check.values import fitting_value
from energylang.diagnostics import Label
from energylang.ir.nodes import (
    Condition,
    Energy,
    Expr,
    Level,
    Literal,
    Marginal,
    Normalisation,
    Recovered,
    Reference,
    Report,
    Symbol,
    Term,
    Variable,
    symbols,
)
from energylang.ir.rewrite import replacer, summed_out, with_symbols
from energylang.ir.types import Dim, Kind
from energylang.source import Span
from energylang.syntax import ast

NORMALISED = (Normalisation.NORMALISED, Normalisation.DECLARED)


@dataclass(frozen=True)
class Composition:
    """One way to make an energy of energies; `form` is shown in messages."""

    form: str
    build: Callable[[Context, ast.Call], Energy | None]


COMPOSITIONS: dict[str, Composition] = {}

LATER = ("negate", "guide", "guide_free", "bridge")


def composition(context: Context, node: ast.Expression) -> Energy | None:
    """The energy that an expression of energies means; None after diagnostics."""
    from energylang.check.energies import checked

    if isinstance(node, ast.Name):
        found = context.callable(node)
        if isinstance(found, Poison):
            return None
        if found is None or not isinstance(found[0], ast.Energy):
            context.error(
                "E0510", f"there is no energy `{node.text}`", node.span,
                fix=did_you_mean(node.text, context.callable_names(ast.Energy)),
            )  # fmt: skip
            return None
        return checked(found[1], found[0])
    if isinstance(node, ast.Call):
        name = node.function.text
        if name in COMPOSITIONS and node.function.qualifier is None and context.callable(node.function) is None:
            if node.conditions is not None:
                context.error(
                    "E0206", f"`{name}` has no bar", node.span, fix=f"its form is `{COMPOSITIONS[name].form}`"
                )
                return None
            return COMPOSITIONS[name].build(context, node)
        if name in LATER:
            context.not_yet(f"`{name}` is", node.span)
            return None
        if isinstance(found := context.callable(node.function), tuple) and isinstance(found[0], ast.Energy):
            context.error(
                "E0510", f"`{name}` is called here, and a composition takes energies by name", node.span,
                fix=f"write `{name}`, or fix its conditions with `condition({name}, … = …)`",
            )  # fmt: skip
            return None
    context.error(
        "E0510", "this is not an energy", node.span,
        cause="without variables in brackets, an energy is made of other energies",
        fix=f"name its variables, `energy e(x: real) = …`; compositions are {', '.join(COMPOSITIONS)}",
    )  # fmt: skip
    return None


# --- arguments ------------------------------------------------------------------------------------------------------


def _energies(
    context: Context, node: ast.Call, least: int, most: int | None, options: Sequence[str]
) -> list[Energy] | None:
    """The energies among the arguments, and a check that every named one is known; None after diagnostics."""
    form = COMPOSITIONS[node.function.text].form
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
    found = [composition(context, p.value) for p in parts]
    known = [f for f in found if f is not None]
    return known if good and len(known) == len(found) else None


def _named(node: ast.Call, name: str) -> ast.Expression | None:
    return next((a.value for a in node.arguments if a.name is not None and a.name.text == name), None)


def _names(context: Context, node: ast.Expression) -> list[ast.Name] | None:
    """One name, or several in brackets."""
    items = node.items if isinstance(node, ast.Tuple | ast.Array) else (node,)
    names = [i for i in items if isinstance(i, ast.Name) and i.qualifier is None]
    if len(names) == len(items):
        return names
    context.error("E0511", "names of variables stand here", node.span, fix="`over = z`, or `over = (z, w)`")
    return None


def _variables(context: Context, energy: Energy, node: ast.Expression) -> list[Variable] | None:
    """The variables that an argument names; None after diagnostics."""
    names = _names(context, node)
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
                fix="" if condition else did_you_mean(name.text, table),
            )  # fmt: skip
            return None
    return [table[n.text] for n in names]


def _value(context: Context, node: ast.Expression, what: str) -> Expr | None:
    """A value made of consts, data and params."""
    value = expression(context, node, context.top)
    if isinstance(value, Poison):
        return None
    if any(isinstance(s, Variable | Condition) for s in symbols(value)):
        context.error("E0512", f"{what} is made of consts, data and params", node.span)
        return None
    return value


def _reference(symbol: Symbol) -> Reference:
    return Reference(symbol.space.type, symbol.span, symbol, range=symbol.space.range)


def _mentions(term: Term, some: Sequence[Symbol]) -> bool:
    return any(s in some for s in symbols(term.value))


# --- unification ----------------------------------------------------------------------------------------------------


def _same_space(context: Context, first: Symbol, second: Symbol, span: Span) -> bool:
    levels = [s for s in (first, second) if isinstance(s, Level)]
    if levels and (len(levels) == 1 or levels[0].schedule != levels[1].schedule):
        context.error(
            "E0513", f"`{first.name}` is not one level of one schedule in these energies", span,
            related=[Label(s.span, "a level" if isinstance(s, Level) else f"this is {s.space}") for s in (first, second)],
            fix="give both energies the same schedule",
        )  # fmt: skip
        return False
    if first.space == second.space:
        return True
    code = "E0301" if first.space.kind == second.space.kind else "E0513"
    context.error(
        code, f"`{first.name}` is {first.space} in one energy and {second.space} in another", span,
        related=[Label(first.span, f"this is {first.space}"), Label(second.span, f"this is {second.space}")],
        cause="variables of one name are one variable", fix="give them one space, or rename one: `rename(e, x = y)`",
    )  # fmt: skip
    return False


def _unified(context: Context, parts: Sequence[Energy], span: Span) -> list[Energy] | None:
    """The parts over one set of symbols: those of one name are one object, variables before conditions."""
    found: dict[str, Symbol] = {}
    for kind in ("variables", "conditions"):
        for part in parts:
            for symbol in getattr(part, kind):
                other = found.setdefault(symbol.name, symbol)
                if not _same_space(context, other, symbol, span):
                    return None
    return [
        replace(
            with_symbols(
                p, {s: _reference(found[s.name]) for s in (*p.variables, *p.conditions) if s is not found[s.name]}
            ),
            variables=tuple(found[v.name] for v in p.variables),
        )
        for p in parts
    ]  # type: ignore[misc]


def _conditions_left(parts: Sequence[Energy], variables: Sequence[Variable]) -> tuple[Condition, ...]:
    """The conditions of all parts, each once, without those that are variables."""
    taken = {v.name for v in variables}
    left = {c.name: c for p in reversed(parts) for c in p.conditions if c.name not in taken}
    return tuple(reversed(left.values()))


def _merged_reports(
    context: Context, parts: Sequence[Energy], variables: Sequence[Variable], span: Span
) -> tuple[Report, ...] | None:
    reports: dict[str, Report] = {}
    for part in parts:
        for report in part.reports:
            if report.name in reports or report.name in {v.name for v in variables}:
                context.error(
                    "E0203", f"`{report.name}` is reported by two of the energies", span,
                    fix=f"rename one: `rename({part.name}, {report.name} = …)`",
                )  # fmt: skip
                return None
            reports[report.name] = report
    return tuple(reports.values())


def _energy(parts: Sequence[Energy], node: ast.Call, **fields: object) -> Energy:
    """A new energy; its name and doc are those of its declaration, given later."""
    return replace(parts[0], name=node.function.text, span=node.span, doc="", hidden="", **fields)  # type: ignore[arg-type]


# --- product --------------------------------------------------------------------------------------------------------


def _product(context: Context, node: ast.Call) -> Energy | None:
    parts = _energies(context, node, 2, None, ("",))
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
    unified = _unified(context, parts, node.span)
    if unified is None:
        return None
    variables = tuple(dict.fromkeys(v for p in unified for v in p.variables))
    reports = _merged_reports(context, unified, variables, node.span)
    if reports is None:
        return None
    normalisation, reason = _product_type(unified)
    return _energy(
        unified, node, variables=variables, conditions=_conditions_left(unified, variables),
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


# --- mixture and temper ---------------------------------------------------------------------------------------------


def _mixture(context: Context, node: ast.Call) -> Energy | None:
    parts = _energies(context, node, 1, None, ("weights", "relative"))
    relative = _flag(context, node, "relative", False)
    if parts is None or relative is None:
        return None
    unified = _unified(context, parts, node.span)
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
    totals = [_total(context, p, node.span) for p in unified]
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
    return _energy(
        unified, node, variables=variables, conditions=_conditions_left(unified, variables),
        terms=(Term(value, node.span, "the mixture"),), reports=(), normalisation=state[0], reason=state[1],
    )  # fmt: skip


def _flag(context: Context, node: ast.Call, name: str, default: bool) -> bool | None:
    argument = _named(node, name)
    if argument is None:
        return default
    value = evaluate(context, argument)
    if isinstance(value, bool) or value is None:
        return value
    context.error("E0302", f"`{name}` is `true` or `false`", argument.span)
    return None


def _total(context: Context, energy: Energy, span: Span) -> Expr:
    """The energy as one expression."""
    total: Expr = literal(0.0, span)
    for term in energy.terms:
        added = apply(context, "add", [total, term.value], span)
        assert isinstance(added, Expr)
        total = added
    return total


def _log_weights(context: Context, node: ast.Call, count: int, relative: bool) -> Expr | None:
    from energylang.check.supports import sums_to_one

    argument = _named(node, "weights")
    if argument is None:
        value: Expr | None = literal(1.0, node.span)
        equal = apply(context, "stack", [literal(1.0 if relative else 1.0 / count, node.span)] * count, node.span)
        value = equal if isinstance(equal, Expr) else None
    else:
        value = _value(context, argument, "a weight")
    if value is None:
        return None
    if value.type.shape != (Dim.of(count),):
        context.error(
            "E0301", f"a mixture of {count} energies needs {count} weights, and this is {shaped(value)}", value.span
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


def _temper(context: Context, node: ast.Call) -> Energy | None:
    positional = [a for a in node.arguments if a.name is None]
    named = _named(node, "beta")
    if len(positional) != (1 if named is not None else 2):
        context.error("E0206", "`temper` takes an energy and `beta`", node.span, fix="its form is `temper(e, 0.5)`")
        return None
    part = composition(context, positional[0].value)
    beta = _value(context, named if named is not None else positional[1].value, "`beta`")
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
    return _energy(
        [part], node, terms=tuple(terms), normalisation=Normalisation.UNKNOWN,
        reason=f"`{part.name}` at another temperature",
    )  # fmt: skip


# --- condition ------------------------------------------------------------------------------------------------------


def _condition(context: Context, node: ast.Call) -> Energy | None:
    parts = _energies(context, node, 1, 1, ())
    if parts is None:
        return None
    (part,) = parts
    given = _named(node, "given")
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
        context.error(
            "E0206", "`condition` fixes something", node.span, fix=f"its form is `{COMPOSITIONS['condition'].form}`"
        )
        return None
    table: dict[str, Symbol] = {s.name: s for s in (*part.conditions, *part.variables)}
    values: dict[Symbol, Expr] = {}
    for argument in fixed:
        assert argument.name is not None
        name = argument.name.text
        if name not in table:
            context.error(
                "E0511", f"`{part.name}` has no variable or condition `{name}`", argument.name.span,
                related=[Label(part.span, f"it has {', '.join(table)}")], fix=did_you_mean(name, table),
            )  # fmt: skip
            return None
        value = _value(context, argument.value, "a fixed value")
        value = None if value is None else fitting_value(context, table[name], value)
        if value is None:
            return None
        values[table[name]] = value
    variables = tuple(v for v in part.variables if v not in values)
    if not variables:
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
        _energy(
            [with_symbols(part, values)], node, variables=variables,
            conditions=tuple(c for c in part.conditions if c not in values), normalisation=state[0], reason=state[1],
        ),
        hidden=part.hidden,
    )  # fmt: skip


def _given(context: Context, node: ast.Call, part: Energy, argument: ast.Expression) -> Energy | None:
    """E(rest | x) = E(rest, x) + log Z(x), where log Z(x) is known."""
    given = _variables(context, part, argument)
    normalise = _flag(context, node, "normalise", True)
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
    terms = [t for t in part.terms if _mentions(t, rest)]
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
    made = with_symbols(replace(part, terms=tuple(terms)), {v: _reference(c) for v, c in moved.items()})
    return replace(
        _energy(
            [made], node, variables=tuple(rest), conditions=(*part.conditions, *moved.values()), normalisation=state[0],
            reason=state[1],
        ),
        hidden=hidden,
    )  # fmt: skip


# --- marginal and rename --------------------------------------------------------------------------------------------


def _marginal(context: Context, node: ast.Call) -> Energy | None:
    parts = _energies(context, node, 1, 1, ("over",))
    if parts is None:
        return None
    (part,) = parts
    over = _named(node, "over")
    if over is None:
        context.error(
            "E0206", "`marginal` needs `over`", node.span, fix=f"its form is `{COMPOSITIONS['marginal'].form}`"
        )
        return None
    summed = _variables(context, part, over)
    if summed is None:
        return None
    variables = tuple(v for v in part.variables if v not in summed)
    if not variables:
        context.error(
            "E0512", f"no variable of `{part.name}` is left", node.span,
            fix="the sum over all of them is log Z: `energylang evidence` computes it",
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
        inner = [t for t in terms if _mentions(t, left)]
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
        _energy(
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
            mine = [t for t in terms if _mentions(t, [variable])]
            if len(mine) == 1 and mine[0].density_of is variable:
                terms.remove(mine[0])
                left.remove(variable)
                again = True
    return left


def _intractable(context: Context, part: Energy, variable: Variable, terms: Sequence[Term], span: Span) -> None:
    mine = sum(1 for t in terms if _mentions(t, [variable]))
    what = "an integral" if not variable.space.discrete else "an unbounded sum"
    context.error(
        "E0516", f"`{variable.name}` cannot be summed out: it is {variable.space}", span,
        related=[Label(variable.span, "declared here")],
        cause=f"that is {what} over {shaped(_reference(variable))} with {mine} {'term' if mine == 1 else 'terms'}, which has no closed form here",
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


def _rename(context: Context, node: ast.Call) -> Energy | None:
    parts = _energies(context, node, 1, 1, ())
    if parts is None:
        return None
    (part,) = parts
    table: dict[str, Symbol] = {s.name: s for s in (*part.variables, *part.conditions)}
    reports = {r.name for r in part.reports}
    new: dict[str, str] = {}
    for argument in node.arguments:
        if argument.name is None:
            continue
        if argument.name.text not in table and argument.name.text not in reports:
            context.error(
                "E0511", f"`{part.name}` has no `{argument.name.text}` to rename", argument.name.span,
                related=[Label(part.span, f"it has {', '.join([*table, *reports])}")],
                fix=did_you_mean(argument.name.text, [*table, *reports]),
            )  # fmt: skip
            return None
        if not isinstance(argument.value, ast.Name) or argument.value.qualifier is not None:
            context.error("E0511", "a new name stands here", argument.value.span, fix="`rename(e, x = y)`: x becomes y")
            return None
        new[argument.name.text] = argument.value.text
    names = [new.get(n, n) for n in (*table, *reports)]
    doubled = [n for n in names if names.count(n) > 1]
    if doubled or not new:
        context.error(
            "E0203" if doubled else "E0206", f"`{doubled[0]}` would name two things" if doubled else "`rename` needs a new name",
            node.span, fix="" if doubled else f"its form is `{COMPOSITIONS['rename'].form}`",
        )  # fmt: skip
        return None
    fresh: dict[Symbol, Symbol] = {s: replace(s, name=new[s.name]) for s in table.values() if s.name in new}
    made = with_symbols(part, {s: _reference(f) for s, f in fresh.items()})
    return replace(
        made, name=node.function.text, span=node.span, doc="",
        variables=tuple(fresh.get(v, v) for v in part.variables),
        conditions=tuple(fresh.get(c, c) for c in part.conditions),
        reports=tuple(replace(r, name=new.get(r.name, r.name)) for r in made.reports),
    )  # type: ignore[arg-type]  # fmt: skip


COMPOSITIONS |= {
    "product": Composition("product(a, b, …)", _product),
    "mixture": Composition("mixture(a, b, weights = w)", _mixture),
    "temper": Composition("temper(a, beta)", _temper),
    "condition": Composition("condition(a, y = 3) or condition(a, given = x)", _condition),
    "marginal": Composition("marginal(a, over = z)", _marginal),
    "rename": Composition("rename(a, x = y)", _rename),
}
