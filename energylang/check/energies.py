"""Energies: their variables, the statements of a block, what is known of their normalisation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import partial

from energylang.check import flows
from energylang.check.bounds import hide_later, later
from energylang.check.compositions import composition
from energylang.check.context import POISON, Context, Found, Poison, Scope, literal
from energylang.check.densities import Density, density
from energylang.check.expressions import apply, expression, meaning, taken_apart
from energylang.check.normalisation import counted_from_one, mark_densities, normalisation
from energylang.check.predictive import report_draw
from energylang.check.recorder import read
from energylang.check.schedules import level_of
from energylang.check.spaces import LEVELS, require_solvable, space_of
from energylang.check.supports import base_symbol
from energylang.diagnostics import Label
from energylang.ir.nodes import (
    Apply,
    Condition,
    Data,
    Energy,
    Expr,
    Law,
    Let,
    Reference,
    Report,
    Term,
    Variable,
    symbols,
)
from energylang.ir.types import Kind, Space, show_bound
from energylang.source import Span
from energylang.syntax import ast


@dataclass(frozen=True)
class Tilde:
    """One `target ~ …`: the name that the target is of, the whole of it, and which of the draft's terms it became."""

    name: str
    base: Expr
    target: Expr
    density: Density
    term: int
    span: Span


@dataclass
class Draft:
    """A block as it is being read."""

    terms: list[Term] = field(default_factory=list)
    reports: list[Report] = field(default_factory=list)
    tildes: list[Tilde] = field(default_factory=list)
    increments: list[Span] = field(default_factory=list)
    names: dict[str, Span] = field(default_factory=dict)
    failed: bool = False


def checked(context: Context, declaration: ast.Energy) -> Energy | None:
    """The energy of a declaration, read once, in the context that it is at home in; None after diagnostics."""
    shared = context.shared
    key = id(declaration)
    if key in shared.reading:
        context.error(
            "E0204", f"`{declaration.name.text}` is made of itself", declaration.name.span,
            fix="a flow begins with a base of its own, such as `normal`" if declaration.kind == "flow"
            else "a composition is made of other energies",
        )  # fmt: skip
        return None
    if key not in shared.energies:
        shared.reading.append(key)
        try:
            shared.energies[key] = read(context, declaration, partial(energy, context, declaration))
        finally:
            shared.reading.pop()
    return shared.energies[key]


def energy(context: Context, declaration: ast.Energy) -> Energy | None:
    """A checked energy; None after diagnostics."""
    if declaration.kind == "flow":
        return flows.declare(context, declaration)
    if declaration.kind not in ("energy", "distribution"):
        context.not_yet(f"`{declaration.kind}` is", declaration.name.span)
        return None
    if declaration.signature is None:
        return _composed(context, declaration)
    read = signature_symbols(context, declaration)
    if read is None:
        return None
    variables, conditions, scope, names = read
    draft = Draft(names=names)
    if isinstance(declaration.body, ast.Block):
        read_block(context, declaration.body, scope, draft)
    else:
        _add_term(context, draft, expression(context, declaration.body, scope), declaration.body.span)
    if draft.failed:
        return None
    # The energy of a uniform law does not mention what it is the law of.
    used = {*symbols(*(t.value for t in draft.terms)), *(base_symbol(t.target) for t in draft.tildes)}
    for variable in variables:
        if variable not in used and not variable.space.discrete:
            _flat(context, variable)
        if counted_from_one(variable, draft.tildes) and not draft.increments:
            name = variable.name
            context.diagnostics.add(
                "L0102", f"no `~` gives `{name}[0]` a density, and all others have one", variable.span,
                cause="indices count from 0", fix=f"the first entry is `{name}[0]`, those after it are `{name}[1:]`, those before the last `{name}[:-1]`",
            )  # fmt: skip
    mark_densities(draft)
    state, reason = normalisation(declaration, variables, draft)
    return Energy(
        context.full(declaration.name.text), declaration.name.span, declaration.doc, variables, conditions, tuple(draft.terms),
        tuple(draft.reports), state, reason, laws=tuple(_laws(draft)),
    )  # fmt: skip


def _flat(context: Context, variable: Variable) -> None:
    """A lint for a variable without a density, where that is improper or weighs what bounds it."""
    space = variable.space
    bounding = sorted({s.name for s in symbols(*space.bounds) if isinstance(s, Variable)})
    if not space.bounded:
        context.diagnostics.add(
            "L0102", f"no term mentions `{variable.name}`, so it is flat on {replace(space, shape=())}", variable.span,
            fix=f"give it a density: `{variable.name} ~ …`",
        )  # fmt: skip
    elif bounding:
        context.diagnostics.add(
            "L0102", f"no term mentions `{variable.name}`, so it is flat on {replace(space, shape=())}", variable.span,
            cause=f"the width varies, and the density of `{', '.join(bounding)}` is weighted by it",
            fix=f"for a uniform law given the bounds: `{variable.name} ~ uniform({show_bound(space.low)}, {show_bound(space.high)})`",
        )  # fmt: skip


def _composed(context: Context, declaration: ast.Energy) -> Energy | None:
    assert not isinstance(declaration.body, ast.Block)
    found = composition(context, declaration.body)
    if found is None:
        return None
    extra = frozenset(n for c in found.conditions for d in c.space.shape if (n := d.single_name))
    for variable in found.variables:
        space = variable.space
        if not require_solvable(context, space.shape, space.cardinality, variable.span, variable.name, extra):
            return None
    return replace(found, name=context.full(declaration.name.text), span=declaration.name.span, doc=declaration.doc)


def signature_symbols(
    context: Context, declaration: ast.Energy
) -> tuple[tuple[Variable, ...], tuple[Condition, ...], Scope, dict[str, Span]] | None:
    """Variables, conditions, the scope of the body, and where names were declared; None after diagnostics."""
    signature = declaration.signature
    assert signature is not None
    scope = context.top.child()
    names: dict[str, Span] = {}
    found: dict[bool, list[Variable | Condition]] = {True: [], False: []}
    failed = False
    extra: set[str] = set()
    ordered = [(p, False) for p in signature.conditions] + [(p, True) for p in signature.variables]
    for place, (parameter, random) in enumerate(ordered):
        name = parameter.name.text
        if name in names:
            context.error(
                "E0203", f"`{name}` is declared twice", parameter.name.span, related=[Label(names[name], "first here")]
            )
            failed = True
            continue
        names[name] = parameter.name.span
        if parameter.type is not None:
            hide_later(context, scope, [p for p, _ in ordered[place:] if p.name.text not in names], parameter.type.span)
            scope.entries[name] = later(context, name, parameter.name.span, parameter.type.span)
        space = space_of(context, parameter.type, scope, data=not random) if parameter.type else None
        if space is None:
            scope.entries[name] = POISON
            failed = True
            continue
        if not random:
            # A condition fixes the dims that it names alone, and an int is a dim itself.
            extra |= {n for d in space.shape if (n := d.single_name)}
            extra |= {name} if space.kind in ("int", "count") and not space.shape else set()
            scope.dims |= context.own_dims(extra)
        symbol = Variable(name, space, parameter.name.span) if random else Condition(name, space, parameter.name.span)
        found[random].append(symbol)
        reference = Reference(space.type, parameter.name.span, symbol, range=space.range)
        scope.entries[name] = context.record(parameter.name.span, reference)
    if signature.level is not None:
        failed |= not _level(context, signature.level, scope, names, found[False])
    for symbol in (*found[False], *found[True]):
        space = symbol.space
        if declaration.kind == "distribution":
            extra |= {n for d in space.shape for n in d.names} | (
                space.cardinality.names if space.cardinality else set()
            )
        elif not require_solvable(context, space.shape, space.cardinality, symbol.span, symbol.name, frozenset(extra)):
            failed = True
    scope.dims |= context.own_dims(extra)
    if not signature.variables:
        context.error(
            "E0504",
            f"`{declaration.name.text}` has no variables",
            declaration.name.span,
            fix="name them: `energy e(x: real)`",
        )
        failed = True
    if failed:
        _visit_for_errors(context, declaration, scope, names)
        return None
    return tuple(found[True]), tuple(found[False]), scope, names  # type: ignore[return-value]


def _level(
    context: Context, declared: tuple[ast.Identifier, ast.Name], scope: Scope, names: dict[str, Span],
    conditions: list[Variable | Condition],
) -> bool:  # fmt: skip
    """Put the level beside the conditions; False after diagnostics."""
    name, _ = declared
    if name.text in names:
        context.error(
            "E0203", f"`{name.text}` is declared twice", name.span, related=[Label(names[name.text], "first here")]
        )
        return False
    names[name.text] = name.span
    level = level_of(context, declared)
    if level is None:
        scope.entries[name.text] = POISON
        return False
    conditions.append(level)
    scope.entries[name.text] = context.record(name.span, Reference(level.space.type, name.span, level, range=LEVELS))
    return True


def _visit_for_errors(context: Context, declaration: ast.Energy, scope: Scope, names: dict[str, Span]) -> None:
    """The rest of a declaration whose signature is wrong: its own mistakes are still worth reporting."""
    if isinstance(declaration.body, ast.Block):
        read_block(context, declaration.body, scope, Draft(names=names))
    elif declaration.kind != "flow":
        expression(context, declaration.body, scope)


# --- statements -------------------------------------------------------------------------------------------------


def read_block(context: Context, block: ast.Block, scope: Scope, draft: Draft) -> None:
    """Read every statement into the draft; statements after a wrong one are still read."""
    for statement in block.statements:
        match statement:
            case ast.LetStatement():
                _let(context, statement, scope, draft)
            case ast.Increment(value=value, span=span):
                draft.increments.append(span)
                _add_term(context, draft, expression(context, value, scope), span)
            case ast.Tilde():
                _tilde(context, statement, scope, draft)
            case ast.Report():
                _report(context, statement, scope, draft)


def block_value(context: Context, block: ast.Block, scope: Scope, span: Span) -> Found:
    """The energy of a block as one expression."""
    draft = Draft()
    read_block(context, block, scope, draft)
    if draft.failed:
        return POISON
    if not draft.terms:
        return literal(0, span)
    total: Found = draft.terms[0].value
    for term in draft.terms[1:]:
        if isinstance(total, Poison):
            return POISON
        total = apply(context, "add", [total, term.value], span)
    return total


def _add_term(context: Context, draft: Draft, value: Found, span: Span) -> Term | None:
    if isinstance(value, Poison):
        draft.failed = True
        return None
    if value.type.shape or value.type.kind is Kind.BOOL:
        draft.failed = True
        context.error(
            "E0307", f"an energy is one number, and this is {value.type}", span,
            fix=f"sum it: `{_summed(span)}`" if value.type.shape else "use `if … then … else …`",
        )  # fmt: skip
        return None
    draft.terms.append(Term(value, span, one_line(span.text)))
    return draft.terms[-1]


def _summed(span: Span) -> str:
    """A term with `sum` around it, as it is written."""
    text = one_line(span.text)
    return f"+= sum({text.removeprefix('+=').strip()})" if text.startswith("+=") else f"sum({text})"


def one_line(text: str) -> str:
    """A text on one line, cut to 60 characters."""
    flat = " ".join(text.split())
    return flat if len(flat) <= 60 else flat[:57] + "…"


def _let(context: Context, statement: ast.LetStatement, scope: Scope, draft: Draft) -> None:
    values = taken_apart(context, statement.names, meaning(context, statement.value, scope), statement.value.span)
    for name, value in zip(statement.names, values, strict=True):
        if name.text in draft.names:
            context.error(
                "E0203",
                f"`{name.text}` is declared twice",
                name.span,
                related=[Label(draft.names[name.text], "first here")],
            )
            draft.failed = True
        draft.names[name.text] = name.span
        scope.entries[name.text] = context.record(name.span, value)
        draft.failed |= isinstance(value, Poison)


def _leaves_a_batch(context: Context, node: ast.Expression, target: Expr) -> bool:
    """Whether the energy of the distribution `node` at `target` has axes: those beyond the event's."""
    found = context.callable(node.function) if isinstance(node, ast.Call) else None
    declaration = found[0] if isinstance(found, tuple) else None
    event = 0
    if isinstance(declaration, ast.Energy) and declaration.signature is not None:
        event = max(len(v.type.dims) for v in declaration.signature.variables if v.type)
    return len(target.type.shape) > event


def _tilde(context: Context, statement: ast.Tilde, scope: Scope, draft: Draft) -> None:
    target = expression(context, statement.target, scope)
    node = statement.distribution
    if isinstance(target, Expr) and not _can_be_given(statement.target, target):
        draft.failed = True
        given = target.symbol.name if isinstance(target, Reference) and isinstance(statement.target, ast.Name) else ""
        name = node.function.text if isinstance(node, ast.Call) else "d"
        arguments = ", ".join(one_line(a.span.text) for a in node.arguments) if isinstance(node, ast.Call) else "…"
        added = f"{name}({one_line(statement.target.span.text)} | {arguments})"
        added = f"sum({added})" if _leaves_a_batch(context, node, target) else added
        context.error(
            "E0501", "this cannot stand left of `~`", statement.target.span,
            cause=f"`{given}` is neither random nor data" if given
            else "it is computed, and its density would need a Jacobian that EnergyLang never invents",
            fix=f"write `+= {added}` to add the energy as it is",
        )  # fmt: skip
        return
    found = density(context, target, node, scope)
    if isinstance(found, Poison) or isinstance(target, Poison):
        draft.failed = True
        return
    value: Found = found.value
    if found.value.type.shape:
        value = apply(context, "sum", [value], statement.span, tuple(range(len(found.value.type.shape))))
    tilde = _add_term(context, draft, value, statement.span)
    if tilde is not None:
        draft.tildes.append(
            Tilde(*_base(statement.target, target, scope), target, found, len(draft.terms) - 1, statement.span)
        )


def _base(node: ast.Expression, target: Expr, scope: Scope) -> tuple[str, Expr]:
    """The name that a target of `~` is an index or slice of, and the whole of what it names."""
    while isinstance(node, ast.Index):
        node = node.base
    assert isinstance(node, ast.Name)
    named = scope.find(node.text)
    while isinstance(target, Apply) and target.operation == "index" and target is not named:
        target = target.arguments[0]
    return node.text, target


def _laws(draft: Draft) -> Iterator[Law]:
    """What each `~` says, over the terms as they are at last."""
    for t in draft.tildes:
        yield Law(t.name, t.base, t.target, draft.terms[t.term], t.density.value, t.density.draw, t.density.why, t.span)


def _can_be_given(node: ast.Expression, target: Expr) -> bool:
    """Whether a target is a variable, data, a `let` of data, or an index or slice of one, and is written so."""
    named = node
    while isinstance(named, ast.Index):
        named = named.base
    return isinstance(named, ast.Name) and (base_symbol(target) is not None or _names_data(node, target))


def _names_data(node: ast.Expression, value: Expr) -> bool:
    """Whether a target is a `let` that is made of data alone, or an index or slice of one."""
    while isinstance(node, ast.Index):
        node = node.base
    return isinstance(node, ast.Name) and all(isinstance(s, Data | Let) for s in symbols(value))


def _report(context: Context, statement: ast.Report, scope: Scope, draft: Draft) -> None:
    name = statement.name.text
    if statement.value is None and statement.distribution is None:
        value = expression(context, ast.Name(statement.name.span, name), scope)
    else:
        if statement.distribution is not None:
            value = report_draw(context, statement.distribution, scope)
        else:
            assert statement.value is not None
            value = expression(context, statement.value, scope)
        if name in draft.names:
            context.error(
                "E0203",
                f"`{name}` is declared twice",
                statement.name.span,
                related=[Label(draft.names[name], "first here")],
            )
            draft.failed = True
            return
        draft.names[name] = statement.name.span
    context.record(statement.name.span, value)
    if isinstance(value, Poison):
        draft.failed = True
        return
    draft.reports.append(Report(name, value))


def space_like(value: Expr) -> Space:
    """A space whose type is a value's: what a `let` is to those who refer to it."""
    kind = {Kind.REAL: "real", Kind.INT: "int", Kind.BOOL: "bool"}[value.type.kind]
    return Space(kind, value.type.shape)
