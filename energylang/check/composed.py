"""Compositions called with a bar: their terms with arguments in place of variables and conditions."""

from __future__ import annotations

from dataclasses import dataclass

from energylang.check.context import POISON, Context, Found, Poison
from energylang.check.expressions import apply, shaped
from energylang.check.values import fitting_value
from energylang.diagnostics import Label
from energylang.ir.nodes import Energy, Expr, Local, Map, Reference, Symbol
from energylang.ir.operations import OperationError, broadcast_shapes
from energylang.ir.rewrite import with_symbols
from energylang.ir.types import Shape, Space, Type, show_shape
from energylang.source import Span


@dataclass(frozen=True)
class Fitted:
    """Arguments of a call that fit: the values of the variables, then of the conditions, and the batch of the former.

    one: what stands for an element of each, with the range of the whole.
    """

    symbols: tuple[Symbol, ...]
    values: tuple[Expr, ...]
    one: tuple[Local, ...]
    batch: Shape

    @property
    def elements(self) -> dict[Symbol, Expr]:
        """An element of each argument, by its symbol."""
        pairs = zip(self.symbols, self.values, self.one, strict=True)
        return {s: Reference(local.space.type, v.span, local, range=v.range) for s, v, local in pairs}


def fitted(
    context: Context, energy: Energy, targets: dict[str, Expr], conditions: dict[str, Expr], span: Span
) -> Fitted | Poison:
    """Values of the variables and conditions of an energy, their shapes checked; arguments broadcast to those of variables."""
    batches: list[Shape] = []
    wanted: list[tuple[Symbol, Expr, Shape]] = []
    for symbol in (*energy.variables, *energy.conditions):
        value = {**targets, **conditions}[symbol.name]
        rank = len(symbol.space.shape)
        shape = value.type.shape
        batch = shape[: len(shape) - rank]
        if len(shape) < rank or shape[len(batch) :] != symbol.space.shape:
            return context.error(
                "E0301", f"`{symbol.name}` of `{energy.name}` is {symbol.space}, and this is {shaped(value)}", value.span,
                related=[Label(symbol.span, "declared here")], fix="batch axes stand before those of the space",
            )  # fmt: skip
        wanted.append((symbol, value, batch))
        if symbol.name in targets:
            batches.append(batch)
    try:
        whole = broadcast_shapes(batches)
        fits = all(broadcast_shapes([whole, b]) == whole for _, _, b in wanted)
    except OperationError:
        whole, fits = (), False
    if not fits:
        return context.error(
            "E0301", f"the arguments of `{energy.name}` do not fit together", span,
            related=[Label(v.span, f"{s.name} has the batch {show_shape(b) or 'of one'}") for s, v, b in wanted],
            fix="conditions broadcast to the batch of the variables, and never enlarge it",
        )  # fmt: skip
    one = []
    for symbol, value, _ in wanted:
        kind = {"BOOL": "bool", "INT": "int", "REAL": "real"}[value.type.kind.name]
        one.append(Local(symbol.name, Space(kind, symbol.space.shape), value.span))
    return Fitted(tuple(s for s, _, _ in wanted), tuple(v for _, v, _ in wanted), tuple(one), whole)


def composed_call(
    context: Context, energy: Energy, targets: dict[str, Expr], conditions: dict[str, Expr], span: Span
) -> Found:
    """The energy at values of its variables and conditions, batch dims kept: arguments broadcast to those of the variables."""
    fit = fitted(context, energy, targets, conditions, span)
    if isinstance(fit, Poison):
        return POISON
    if not fit.batch:
        return _total(context, energy, dict(zip(fit.symbols, fit.values, strict=True)), span)
    body = _total(context, energy, fit.elements, span)
    if isinstance(body, Poison):
        return POISON
    shape = fit.batch
    return Map(Type(body.type.kind, shape), span, fit.one, fit.values, body, len(shape), range=body.range)


def _total(context: Context, energy: Energy, values: dict[Symbol, Expr], span: Span) -> Found:
    fitting: dict[Symbol, Expr] = {}
    for symbol, value in values.items():
        found = fitting_value(context, symbol, value)
        if found is None:
            return POISON
        fitting[symbol] = found
    terms = with_symbols(energy, fitting).terms
    total: Found = terms[0].value
    for term in terms[1:]:
        if isinstance(total, Poison):
            return POISON
        total = apply(context, "add", [total, term.value], span)
    return total
