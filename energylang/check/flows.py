"""Flows: declarations to energies of known normaliser, calls, and draws.

`base |> layer |> layer` is read in the direction of sampling. The energy of a value is that of the base at the value moved
back, minus the log of the absolute determinant of that move.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from energylang.check.bases import Base, base_of
from energylang.check.composed import fitted
from energylang.check.context import POISON, Context, Found, Poison, Scope, literal
from energylang.check.densities import Density
from energylang.check.distributions import Form, match
from energylang.check.expressions import apply, shaped
from energylang.check.layers import fitting_layers, layers_of
from energylang.check.supports import base_symbol
from energylang.check.values import fitting_value
from energylang.diagnostics import Label
from energylang.ir.nodes import (
    Condition,
    Energy,
    Expr,
    Flow,
    Law,
    Local,
    Normalisation,
    Output,
    Reference,
    Term,
    Transport,
    Variable,
)
from energylang.ir.operations import OperationError, broadcast_shapes
from energylang.ir.types import Kind, Shape, Type
from energylang.source import Span
from energylang.syntax import ast


@dataclass(frozen=True, eq=False)
class Declared:
    """A checked flow: its layers, its base, and the energy that it is."""

    flow: Flow
    base: Base
    energy: Energy

    @property
    def variable(self) -> Variable:
        return self.energy.variables[0]

    @property
    def conditions(self) -> tuple[Condition, ...]:
        return self.energy.conditions

    @property
    def form(self) -> Form:
        level = self.energy.level.name if self.energy.level is not None else None
        return Form(self.energy.name, (self.variable.name,), tuple(c.name for c in self.conditions), level)


def declare(context: Context, declaration: ast.Energy) -> Energy | None:
    """The energy that a flow is; None after diagnostics."""
    from energylang.check.energies import signature_symbols

    name = declaration.name.text
    example = f"`flow {name}(z: real[2]) = normal |> repeat(8, coupling(spline(bins = 8), [64, 64]))`"
    if declaration.signature is None:
        context.error(
            "E0560", f"`{name}` does not say what it is a flow of", declaration.name.span,
            fix=f"name its variable: {example}",
        )  # fmt: skip
        return None
    read = signature_symbols(context, declaration)
    if read is None:
        return None
    (variable, *others), conditions, _, _ = read
    if others:
        context.error(
            "E0560", f"a flow has one variable, and `{name}` has {1 + len(others)}", others[0].span,
            fix="put them in one vector, or take a product of flows",
        )  # fmt: skip
        return None
    if variable.space.kind not in ("real", "positive", "unit"):
        discrete = variable.space.discrete
        context.error(
            "E0560", f"a flow moves {'continuous numbers' if discrete else 'reals'}, and `{variable.name}` is {variable.space}",
            variable.span, fix="declare it `real`, `positive` or `unit`",
        )  # fmt: skip
        return None
    if isinstance(declaration.body, ast.Block):
        context.error(
            "E0560", "a flow is no block, but a base and layers", declaration.body.span, fix=f"for example {example}"
        )
        return None
    body = declaration.body
    first, *rest = body.stages if isinstance(body, ast.Pipe) else (body,)
    locals_ = tuple(Local(c.name, c.space, c.span) for c in conditions)
    base = base_of(context, first, name, variable.space.shape, locals_)
    layers = layers_of(context, rest)
    if base is None or layers is None or not fitting_layers(context, layers, base.kind, variable):
        return None
    spaces = tuple(c.space for c in conditions)
    calls = tuple(layer.call for layer in layers)
    flow = Flow(context.full(name), declaration.name.span, base.text, calls, variable.space.shape, spaces)
    found = _energy(context, declaration, flow, base, variable, conditions)
    if found is not None:
        context.shared.flows[id(declaration)] = Declared(flow, base, found)
    return found


def _energy(
    context: Context, declaration: ast.Energy, flow: Flow, base: Base, variable: Variable,
    conditions: tuple[Condition, ...],
) -> Energy | None:  # fmt: skip
    span = declaration.name.span
    target = Reference(variable.space.type, span, variable, range=variable.space.range)
    given = [Reference(c.space.type, span, c, range=c.space.range) for c in conditions]
    value = _value(context, flow, base, target, given, (), span)
    if isinstance(value, Poison):
        return None
    draw, why = _draw(context, flow, base, given, (), span)
    term = Term(value, span, flow.name, density_of=variable)
    law = Law(variable.name, target, target, term, value, draw, why, span)
    reason = "a flow: the density of its base, and the determinants of its layers"
    return Energy(
        flow.name, span, declaration.doc, (variable,), conditions, (term,), (), Normalisation.NORMALISED, reason, laws=(law,)
    )  # fmt: skip


def _value(
    context: Context, flow: Flow, base: Base, value: Expr, conditions: Sequence[Expr], batch: Shape, span: Span
) -> Found:
    """Minus the log density of every element of a batch."""
    moved = Transport(Type(Kind.REAL, value.type.shape), span, flow, True, (value, *conditions))
    z = Output(moved.type, span, moved, 0, range=base.local.space.range)
    log_determinant = Output(Type(Kind.REAL, batch), span, moved, 1)
    found = base.value(context, z, conditions, batch, span)
    return POISON if isinstance(found, Poison) else apply(context, "sub", [found, log_determinant], span)


def _draw(
    context: Context, flow: Flow, base: Base, conditions: Sequence[Expr], batch: Shape, span: Span
) -> tuple[Expr | None, str]:
    """A draw for every element of a batch; None, and why as a clause, where there is none."""
    drawn, why = base.draw(context, conditions, batch, span)
    if drawn is None:
        return None, why
    moved = Transport(drawn.type, span, flow, False, (drawn, *conditions))
    return Output(moved.type, span, moved, 0), ""


# --- calls ------------------------------------------------------------------------------------------------------


def declared(context: Context, declaration: ast.Energy) -> Declared | None:
    """A flow that is mentioned; None after diagnostics."""
    from energylang.check.energies import checked

    return context.shared.flows.get(id(declaration)) if checked(context.home(declaration), declaration) else None


def flow_call(context: Context, declaration: ast.Energy, node: ast.Call, scope: Scope) -> Found:
    """`f(x | c)` as a value: minus the log density, batch dims kept."""
    found = declared(context, declaration)
    if found is None:
        return POISON
    targets: dict[str, Expr] = {}
    conditions: dict[str, Expr] = {}
    before, after = found.form.split(node)
    good = match(context, found.form, node.span, before, found.form.before, targets, scope)
    if not match(context, found.form, node.span, after, found.form.after, conditions, scope) or not good:
        return POISON
    return _called(context, found, targets[found.variable.name], conditions, node.span)


def _called(context: Context, found: Declared, target: Expr, conditions: dict[str, Expr], span: Span) -> Found:
    fit = fitted(context, found.energy, {found.variable.name: target}, conditions, span)
    if isinstance(fit, Poison):
        return POISON
    one = fit.elements if fit.batch else dict(zip(fit.symbols, fit.values, strict=True))
    if any(fitting_value(context, symbol, value) is None for symbol, value in one.items()):
        return POISON
    value, *given = fit.values
    if value.type.kind is not Kind.REAL:
        real = apply(context, "mul", [value, literal(1.0, span)], span)
        if isinstance(real, Poison):
            return POISON
        value = real
    return _value(context, found.flow, found.base, value, given, fit.batch, span)


def flow_density(
    context: Context, target: Expr, declaration: ast.Energy, node: ast.Call, scope: Scope
) -> Density | Poison:
    """`x ~ f(c)`."""
    found = declared(context, declaration)
    if found is None:
        return POISON
    conditions = _arguments(context, found, node, scope)
    if conditions is None or not _supported(context, found, target):
        return POISON
    value = _called(context, found, target, conditions, node.span)
    if isinstance(value, Poison):
        return POISON
    given = tuple(conditions[c.name] for c in found.conditions)
    draw = _draw(context, found.flow, found.base, given, value.type.shape, node.span)
    return Density(value, found.energy.name, given, True, *draw)


def _arguments(context: Context, found: Declared, node: ast.Call, scope: Scope) -> dict[str, Expr] | None:
    """What stands in the brackets after `~`: the conditions; None after diagnostics."""
    if node.conditions is not None:
        context.error(
            "E0206", f"after `~` the arguments of `{found.energy.name}` stand alone, without a bar", node.span,
            fix=f"write `{found.energy.name}({', '.join(found.form.after)})`",
        )  # fmt: skip
        return None
    conditions: dict[str, Expr] = {}
    good = match(context, found.form, node.span, node.arguments, found.form.after, conditions, scope)
    return conditions if good else None


def _supported(context: Context, found: Declared, target: Expr) -> bool:
    """Whether every value of a target has a density under a flow, and a variable no others; False after a diagnostic."""
    symbol = base_symbol(target)
    kind = found.variable.space.kind
    if symbol is None or symbol.space.kind == kind or isinstance(symbol, Local):
        return True
    if not isinstance(symbol, Variable) and kind == "real":
        return True
    context.error(
        "E0401", f"`{found.energy.name}` lives on {kind}, and `{symbol.name}` is {symbol.space}", target.span,
        related=[Label(symbol.span, "declared here"), Label(found.variable.span, "the variable of the flow")],
        cause=f"values of `{symbol.name}` outside of it have no density" if kind != "real"
        else "a density of all reals is not one of these alone",
        fix=f"declare `{symbol.name}: {kind}`, or let the flow end where it lives",
    )  # fmt: skip
    return False


@dataclass(frozen=True)
class FlowDraw:
    """`report a ~ f(c)`: its batch is what the conditions broadcast to."""

    found: Declared
    conditions: tuple[Expr, ...]
    batch: Shape
    span: Span

    @classmethod
    def read(cls, context: Context, declaration: ast.Energy, node: ast.Call, scope: Scope) -> FlowDraw | Poison:
        found = declared(context, declaration)
        if found is None:
            return POISON
        named = _arguments(context, found, node, scope)
        if named is None:
            return POISON
        given = tuple(named[c.name] for c in found.conditions)
        batches: list[Shape] = []
        for condition, value in zip(found.conditions, given, strict=True):
            shape, rank = value.type.shape, len(condition.space.shape)
            if len(shape) < rank or shape[len(shape) - rank :] != condition.space.shape:
                return context.error(
                    "E0301", f"`{condition.name}` of `{found.energy.name}` is {condition.space}, and this is {shaped(value)}",
                    value.span, related=[Label(condition.span, "declared here")], fix="batch axes stand before those of the space",
                )  # fmt: skip
            batches.append(shape[: len(shape) - rank])
        try:
            batch = broadcast_shapes(batches)
        except OperationError as problem:
            return context.error(
                "E0301", f"the arguments of `{found.energy.name}` do not fit together", node.span,
                related=[Label(given[i].span, f"this is {shaped(given[i])}") for i in problem.blame], cause=problem.cause,
                fix="give them one batch shape in front",
            )  # fmt: skip
        return cls(found, given, batch, node.span)

    def drawn(self, context: Context, batch: Shape) -> Found:
        draw, why = _draw(context, self.found.flow, self.found.base, self.conditions, batch, self.span)
        if draw is None:
            return context.error(
                "E0530", f"`{self.found.energy.name}` cannot be drawn from here: {why}", self.span,
                fix="give it a base such as `normal`",
            )  # fmt: skip
        return draw
