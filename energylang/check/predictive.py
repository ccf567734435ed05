"""Draws: `report a ~ d(…)`, and how each target of `~` is drawn anew, as expressions that are random."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from energylang.check.context import POISON, Context, Found, Poison, Scope, did_you_mean, literal
from energylang.check.distributions import Call, call_energy, predictive_call
from energylang.check.draws import DRAWABLE
from energylang.check.expressions import apply, expression, shaped
from energylang.check.spaces import dim_of
from energylang.check.supports import sums_to_one
from energylang.check.truncation import Truncation
from energylang.diagnostics import Label
from energylang.ir.nodes import Expr, Random
from energylang.ir.operations import OperationError, broadcast_shapes
from energylang.ir.types import ANYWHERE, SPACES, Dim, Range, Shape, Type
from energylang.source import Span
from energylang.syntax import ast

if TYPE_CHECKING:
    from energylang.check.flows import FlowDraw


def report_draw(context: Context, node: ast.Expression, scope: Scope) -> Found:
    """What `report a ~ …` draws, for every element of what its arguments broadcast to."""
    parts = _Mixture.read(context, node, scope) if _calls(node, "mixture") else _component(context, node, scope)
    return POISON if isinstance(parts, Poison) else _required(context, parts, parts.batch)


def tilde_draw(context: Context, call: Call) -> tuple[Expr | None, str]:
    """The target of `~` drawn anew given the arguments; or None, and why it cannot be, as a clause."""
    if not call.exact_support:
        return None, f"`{call.name}` is cut by the space of its target"
    found = _drawn(context, call, call.batch)
    if isinstance(found, Poison):
        return None, f"`{call.name}` cannot be evaluated"
    return (None, f"`{call.name}` cannot be drawn from: {found}") if isinstance(found, str) else (found, "")


def _calls(node: ast.Expression, name: str) -> bool:
    return isinstance(node, ast.Call) and node.function.qualifier is None and node.function.text == name


def _component(context: Context, node: ast.Expression, scope: Scope) -> Call | Truncation | FlowDraw | Poison:
    """A distribution with its arguments, truncated or not; POISON after a diagnostic."""
    if not isinstance(node, ast.Call):
        return context.error(
            "E0502",
            "the right of `~` is a distribution with its arguments",
            node.span,
            fix="for example `normal(0, 1)`",
        )
    found = context.callable(node.function)
    if isinstance(found, Poison):
        return POISON
    if found is None or not isinstance(found[0], ast.Energy):
        name = node.function.text
        if _calls(node, "truncate"):
            return Truncation.read(context, node, scope)
        context.error(
            "E0202", f"there is no distribution `{name}`", node.function.span,
            fix=did_you_mean(name, context.callable_names(ast.Energy)),
        )  # fmt: skip
        for argument in node.arguments:
            expression(context, argument.value, scope)
        return POISON
    if found[0].kind == "flow":
        from energylang.check.flows import FlowDraw

        return FlowDraw.read(context, found[0], node, scope)
    return predictive_call(context, node, found[0], scope)


# --- one distribution -------------------------------------------------------------------------------------------


def _required(context: Context, call: Call | Truncation | FlowDraw | _Mixture, batch: Shape) -> Found:
    """`_drawn`, a reason against it as a diagnostic."""
    if not isinstance(call, Call):
        return call.drawn(context, batch)
    found = _drawn(context, call, batch)
    if isinstance(found, str):
        return context.error(
            "E0530", f"`{call.name}` cannot be drawn from: {found}", call.span,
            fix="draw from a distribution of the standard library (`docs/language.md` lists them)",
        )  # fmt: skip
    return found


def _drawn(context: Context, call: Call, batch: Shape) -> Found | str:
    """A draw for every element of a batch; a text, the end of a sentence, says why there is none."""
    if call.declaration.kind != "distribution":
        return "it is an energy, and only a `distribution` promises to be normalised"
    if len(call.signature.variables) != 1:
        return f"it has {len(call.signature.variables)} variables"
    declared = call.signature.variables[0].type
    if declared is None or declared.name.text not in SPACES:
        return "the type of its variable is not known"
    home = context.home(call.declaration)
    parts = (*declared.dims, *declared.arguments)
    unsolved = [d.text for d in parts if isinstance(d, ast.Name) and d.text not in {*call.dims, *home.values}]
    if unsolved and declared.name.text != "interval":
        return f"its arguments do not say what `{unsolved[0]}` is"
    dims = [dim_of(home, d, Scope(dims=call.dims)) for d in declared.dims]
    event = tuple(d for d in dims if d is not None)
    if len(event) < len(dims):
        return POISON
    # A Cholesky factor of size k is a matrix of k rows.
    event += event[-1:] * (SPACES[declared.name.text].event_rank - len(event))
    if home.outer is not None or call.name not in DRAWABLE:
        return _enumerated(context, call, declared, batch, event)
    kind = Type(SPACES[declared.name.text].kind, (*batch, *event))
    names = tuple(p.name.text for p in call.signature.conditions)
    values = tuple(call.conditions[name] for name in names)
    range_ = _range(home, call, declared)
    return Random(kind, call.span, call.name, names, values, len(event), range=range_)


def _range(home: Context, call: Call, declared: ast.TypeExpression) -> Range:
    values = _values(home, call, declared)
    if values is not None and declared.name.text != "spin":
        return Range(Dim.of(0), values - 1)
    return SPACES[declared.name.text].range if declared.name.text != "interval" else ANYWHERE


def _values(home: Context, call: Call, declared: ast.TypeExpression) -> Dim | None:
    """How many values one element has, where they can be counted."""
    if declared.name.text == "cat":
        return dim_of(home, declared.arguments[0], Scope(dims=call.dims))
    return Dim.of(2) if declared.name.text in ("binary", "spin") else None


def _enumerated(
    context: Context, call: Call, declared: ast.TypeExpression, batch: Shape, event: Shape
) -> Found | str:  # fmt: skip
    """A draw from a model's own distribution on finitely many values: the energy of each, and one of them by its weight."""
    values = _values(context.home(call.declaration), call, declared)
    if values is None or event:
        return "it has no sampler, and its values cannot be listed"
    span = call.span
    listed: Found = apply(context, "iota", [], span, (values,))
    if declared.name.text == "spin":
        listed = _spins(context, listed, span)
    spread = apply(context, "broadcast", [_known(listed)], span, (*batch, values))
    conditions: dict[str, Expr] = {}
    for name, value in call.conditions.items():
        own = call.batches[name]
        shape = (*own, Dim.of(1), *value.type.shape[len(own) :])
        wide = apply(context, "reshape", [value], span, shape) if own else value
        conditions[name] = _known(wide)
    inner = replace(
        call,
        targets={call.signature.variables[0].name.text: _known(spread)},
        conditions=conditions,
        dims={},
        batches={},
    )
    said = len(context.diagnostics.found)
    energies = call_energy(context, inner)
    if isinstance(energies, Poison):
        return POISON
    del context.diagnostics.found[said:]  # lints about the arguments, which were said of the call itself
    weights = apply(context, "neg", [energies], span)
    kind = Type(SPACES["cat"].kind, batch)
    drawn = Random(
        kind, span, "categorical_logit", ("beta",), (_known(weights),), 0, range=Range(Dim.of(0), values - 1)
    )
    return _spins(context, drawn, span) if declared.name.text == "spin" else drawn


def _spins(context: Context, codes: Found, span: Span) -> Found:
    """2 code - 1."""
    twice = apply(context, "mul", [literal(2, span), _known(codes)], span)
    return apply(context, "sub", [_known(twice), literal(1, span)], span)


def _known(found: Found) -> Expr:
    """An expression that this module made itself and that cannot be wrong."""
    assert not isinstance(found, Poison)
    return found


# --- mixtures ---------------------------------------------------------------------------------------------------


class _Mixture:
    """`mixture(d, e, …, weights = w)`: each element draws a component by its weight, then from the component."""

    def __init__(self, span: Span, components: list[Call | Truncation | FlowDraw], weights: Expr, batch: Shape) -> None:
        self.span, self.components, self.weights, self.batch = span, components, weights, batch

    @classmethod
    def read(cls, context: Context, node: ast.Expression, scope: Scope) -> _Mixture | Poison:
        """The parts of a mixture, its batch what they all broadcast to; POISON after diagnostics."""
        assert isinstance(node, ast.Call)
        plain = [a.value for a in node.arguments if a.name is None]
        named = {a.name.text: a for a in node.arguments if a.name is not None}
        components = [_component(context, part, scope) for part in plain]
        if len(plain) < 2 or list(named) != ["weights"] or node.conditions is not None:
            return context.error(
                "E0206", "a mixture has two or more distributions, and their weights", node.span,
                fix="its form is `mixture(normal(0, 1), normal(4, 1), weights = [0.3, 0.7])`",
            )  # fmt: skip
        weights = expression(context, named["weights"].value, scope)
        calls = [c for c in components if not isinstance(c, Poison)]
        if isinstance(weights, Poison) or len(calls) < len(components):
            return POISON
        count = Dim.of(len(calls))
        if not weights.type.shape or weights.type.shape[-1] != count:
            return context.error(
                "E0301", f"{len(calls)} distributions need as many weights", weights.span,
                label=f"this is {shaped(weights)}", fix="the last axis of `weights` runs over the distributions",
            )  # fmt: skip
        if not sums_to_one(weights):
            return context.error(
                "E0405", "the weights of a mixture are on the simplex, and these do not sum to one", weights.span,
                fix="declare them `simplex[k]`, or divide them by their sum",
            )  # fmt: skip
        try:
            batch = broadcast_shapes([*(c.batch for c in calls), weights.type.shape[:-1]])
        except OperationError as problem:
            spans = [*(c.span for c in calls), weights.span]
            return context.error(
                "E0301", "the parts of this mixture do not fit together", node.span,
                related=[Label(spans[i], "this is one of them") for i in problem.blame], cause=problem.cause,
                fix="give them one batch shape, event dims last",
            )  # fmt: skip
        return cls(node.span, calls, weights, batch)

    def drawn(self, context: Context, batch: Shape) -> Found:
        """A draw for every element of a batch."""
        parts: list[Expr] = []
        for call in self.components:
            part = _required(context, call, batch)
            if isinstance(part, Poison):
                return POISON
            parts.append(part)
        odd = next((p for p in parts if p.type != parts[0].type), None)
        if odd is not None:
            return context.error(
                "E0301", "the distributions of this mixture are of different types", self.span,
                related=[Label(p.span, f"this draws {p.type}") for p in (parts[0], odd)],
                fix="mix distributions of one space",
            )  # fmt: skip
        return mixed(context, parts, self.weights, batch, self.span)


def mixed(context: Context, parts: Sequence[Expr], weights: Expr, batch: Shape, span: Span) -> Found:
    """One of some draws [batch, event…], chosen for each element of the batch by weights whose last axis runs over them."""
    highest = Range(Dim.of(0), Dim.of(len(parts) - 1))
    chosen = Random(Type(SPACES["cat"].kind, batch), span, "categorical", ("theta",), (weights,), 0, range=highest)
    event = len(parts[0].type.shape) - len(batch)
    number: Found = chosen
    if event:
        number = apply(context, "reshape", [chosen], span, (*batch, *[Dim.of(1)] * event))
    found: Found = parts[-1]
    for place, part in reversed(list(enumerate(parts[:-1]))):
        here = apply(context, "eq", [_known(number), literal(place, span)], span)
        found = apply(context, "where", [_known(here), part, _known(found)], span)
    return found
