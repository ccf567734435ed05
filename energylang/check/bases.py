"""What a flow begins with: a law that is known, and that draws come from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import log, pi

from energylang.catalog import BASES
from energylang.check.context import Context, Found, Poison, Scope, did_you_mean, literal
from energylang.check.densities import FORMS, checked, density
from energylang.check.expressions import apply
from energylang.check.layers import LAYERS, MEANINGS, chosen, name_of
from energylang.check.mapping import mapped
from energylang.diagnostics import Label
from energylang.ir.nodes import Energy, Expr, Local, Normalisation, Param, Random, Reference, symbols
from energylang.ir.rewrite import replacer
from energylang.ir.types import Dim, Kind, Range, Shape, Space, Type
from energylang.source import Span
from energylang.syntax import ast

ONE = Dim.of(1)


@dataclass(frozen=True, eq=False)
class Base:
    """A base over `event` numbers of a space: its energy, one number, over `local` and the `conditions` of the flow."""

    text: str
    kind: str
    event: Shape
    node: ast.Expression
    local: Local
    conditions: tuple[Local, ...]
    energy: Expr
    mixture: tuple[Param, Param, Param] | None = None
    """Weights, means and scales of a learned mixture."""

    def value(self, context: Context, z: Expr, conditions: Sequence[Expr], batch: Shape, span: Span) -> Found:
        """The energy of every element of a batch."""
        values = dict(zip((self.local, *self.conditions), (z, *conditions), strict=True))
        batched = frozenset(s for s, v in values.items() if len(v.type.shape) > len(s.space.shape))
        return mapped(context, self.energy, values, batched, batch, span)

    def draw(self, context: Context, conditions: Sequence[Expr], batch: Shape, span: Span) -> tuple[Expr | None, str]:
        """A draw for every element of a batch; None, and why as a clause, where there is none."""
        if self.mixture is not None:
            return _mixture_draw(context, self.mixture, batch, self.event, span), ""
        if batch and any(c in symbols(self.energy) for c in self.conditions):
            return None, f"the base `{self.text}` depends on conditions, and is drawn from one at a time"
        said = len(context.diagnostics.found)
        scope = _scope(context, self.conditions)
        found = _read(context, self.node, self.kind, (*batch, *self.event), scope)
        del context.diagnostics.found[said:]  # said already, when the base was read over one event
        if found is None:
            return None, f"the base `{self.text}` cannot be drawn from"
        _, drawn, why = found
        if drawn is None or drawn.type.shape != (*batch, *self.event):
            return None, why or f"the base `{self.text}` is drawn from one at a time"
        return replacer(dict(zip(self.conditions, conditions, strict=True)))(drawn), ""


def base_of(
    context: Context, node: ast.Expression, name: str, event: Shape, conditions: Sequence[Local]
) -> Base | None:
    """The base that a stage means; None after diagnostics. name: of the flow, whose params those of a base are."""
    kind = _kind(context, node)
    if kind is None:
        return None
    text = " ".join(node.span.text.split())
    local = Local("z", Space(kind, event), node.span)
    if _learned_mixture(node):
        made = _mixture(context, node, name, local)
        if made is None:
            return None
        energy, params = made
        return Base(text, kind, event, node, local, tuple(conditions), energy, params)
    found = _read(context, node, kind, event, _scope(context, conditions), local)
    if found is None:
        return None
    value, _, _ = found
    total = (
        apply(context, "sum", [value], node.span, tuple(range(len(value.type.shape)))) if value.type.shape else value
    )
    return None if isinstance(total, Poison) else Base(text, kind, event, node, local, tuple(conditions), total)


def _scope(context: Context, conditions: Sequence[Local]) -> Scope:
    scope = context.top.child()
    for local in conditions:
        scope.entries[local.name] = Reference(local.space.type, local.span, local, range=local.space.range)
    return scope


def _read(
    context: Context, node: ast.Expression, kind: str, shape: Shape, scope: Scope, local: Local | None = None
) -> tuple[Expr, Expr | None, str] | None:
    """The energy of numbers of a shape, batch dims kept, their draw, and why there is none; None after diagnostics."""
    name = name_of(node)
    home = context
    if name in ("normal", "uniform") and isinstance(node, ast.Name):
        while home.outer is not None:
            home = home.outer
        function = "std_normal" if name == "normal" else "uniform"
        bounds = () if name == "normal" else (ast.Number(node.span, 0, "0"), ast.Number(node.span, 1, "1"))
        arguments = tuple(ast.Argument(node.span, None, bound) for bound in bounds)
        call = ast.Call(node.span, ast.Name(node.span, function), arguments)
    else:
        call = node if isinstance(node, ast.Call) else ast.Call(node.span, node, ())  # type: ignore[arg-type]
    local = local or Local("z", Space(kind, shape), node.span)
    target = Reference(local.space.type, node.span, local, range=local.space.range)
    found = density(home, target, call, scope)
    if isinstance(found, Poison):
        return None
    if found.draw is None and (whole := _whole_draw(context, call, shape)) is not None:
        return found.value, whole, ""
    return found.value, found.draw, found.why


def _whole_draw(context: Context, call: ast.Call, shape: Shape) -> Expr | None:
    """The draw of an energy's only variable, where it has one law and no conditions."""
    found = context.callable(call.function)
    if not isinstance(found, tuple) or not isinstance(found[0], ast.Energy) or found[0].kind == "distribution":
        return None
    energy = checked(context.home(found[0]), found[0])
    if energy is None or energy.conditions or len(energy.laws) != 1 or not energy.laws[0].whole:
        return None
    drawn = energy.laws[0].draw
    return drawn if drawn is not None and drawn.type.shape == shape else None


def _kind(context: Context, node: ast.Expression) -> str | None:
    """The kind of space that a base lives on; None after a diagnostic."""
    name = name_of(node)
    if isinstance(node, ast.Name) and name in BASES and name != "mixture":
        return "unit" if name == "uniform" else "real"
    if _learned_mixture(node):
        return "real"
    if isinstance(node, ast.Call) and name == "mixture" and context.callable(node.function) is None:
        parts = [a.value for a in node.arguments if a.name is None]
        return _kind(context, parts[0])
    function = node.function if isinstance(node, ast.Call) else node
    found = context.callable(function) if isinstance(function, ast.Name) else None
    if isinstance(found, Poison):
        return None
    declaration = found[0] if found is not None else None
    if found is None or not isinstance(declaration, ast.Energy) or declaration.kind == "constraint":
        _no_base(context, node, name)
        return None
    variables = declaration.signature.variables if declaration.signature is not None else ()
    kind = ""
    if declaration.kind == "distribution":
        kind = variables[0].type.name.text if len(variables) == 1 and variables[0].type else ""
    else:
        energy: Energy | None = checked(found[1], declaration)
        if energy is None:
            return None
        if energy.normalisation is Normalisation.UNKNOWN:
            context.error(
                "E0561", f"`{name}` cannot be the base of a flow", node.span, related=[Label(energy.span, energy.reason)],
                cause="its log Z is not known", fix="take a law that is normalised, such as `normal`",
            )  # fmt: skip
            return None
        kind = energy.variables[0].space.kind if len(energy.variables) == 1 else ""
    if kind in MEANINGS:
        return kind
    context.error(
        "E0561", f"`{name}` cannot be the base of a flow", node.span,
        cause=f"it lives on {kind}" if kind else "it has several variables",
        fix="a base lives on `real`, `positive` or `unit`, such as `normal` or `uniform`; layers move and scale it",
    )  # fmt: skip
    return None


def _no_base(context: Context, node: ast.Expression, name: str) -> None:
    layer = name in LAYERS
    candidates = [*BASES, *context.callable_names(ast.Energy), *FORMS]
    context.error(
        "E0561", f"`{name}` is a layer, and a flow begins with its base" if layer
        else f"there is no base `{name}`" if name else "this is not the base of a flow", node.span,
        cause="" if not name or layer else "a flow is read in the direction of sampling: its base, then what moves the draws",
        fix=f"write `normal |> {' '.join(node.span.text.split())}`" if layer
        else did_you_mean(name, candidates) or "begin with `normal`, or with whatever may stand right of `~`",
    )  # fmt: skip


# --- the learned mixture ----------------------------------------------------------------------------------------


def _learned_mixture(node: ast.Expression) -> bool:
    """Whether it is `mixture(4)`, and not the mixture of given distributions."""
    if name_of(node) != "mixture":
        return False
    given = node.arguments if isinstance(node, ast.Call) else ()
    return not any(isinstance(a.value, ast.Call) for a in given) and not any(
        a.name is not None and a.name.text == "weights" for a in given
    )


def _mixture(
    context: Context, node: ast.Expression, flow: str, local: Local
) -> tuple[Expr, tuple[Param, Param, Param]] | None:
    """-log of the weighted sum of independent normals: weights simplex[k], means real[k, *event], scales positive[k, *event]."""
    call = chosen(context, BASES["mixture"], node)
    if call is None:
        return None
    (count,) = (Dim.of(value) for _, value in call.options if isinstance(value, int))
    event, span = local.space.shape, node.span

    def param(what: str, space: Space, value: float | None, start: tuple[str, float, float] | None) -> Param:
        found = Param(context.full(f"{flow}.base.{what}"), space, span, value, start)
        context.params[f"{flow}.base.{what}"] = found
        return found

    weights = param("weights", Space("simplex", (count,)), None, None)
    means = param("means", Space("real", (count, *event)), None, ("normal", 0.0, 1.0))
    scales = param("scales", Space("positive", (count, *event)), 1.0, None)
    work = _Work(context, span)
    weight, mean, scale = (Reference(p.space.type, span, p, range=p.space.range) for p in (weights, means, scales))
    z = work.made("reshape", Reference(local.space.type, span, local), attributes=(ONE, *event))
    away = work.made("div", work.made("sub", z, mean), scale)
    half = work.made("mul", literal(0.5, span), work.made("mul", away, away))
    each = work.made("add", work.made("add", half, work.made("log", scale)), literal(0.5 * log(2 * pi), span))
    axes = tuple(range(1, 1 + len(event)))
    total = work.made("sum", each, attributes=axes) if axes else each
    logs = work.made("sub", work.made("log", weight), total)
    return work.made("neg", work.made("logsumexp", logs, attributes=(0,))), (weights, means, scales)


def _mixture_draw(context: Context, params: tuple[Param, Param, Param], batch: Shape, event: Shape, span: Span) -> Expr:
    weights, means, scales = (Reference(p.space.type, span, p, range=p.space.range) for p in params)
    (count,) = params[0].space.shape
    which = Range(Dim.of(0), count - 1)
    component = Random(Type(Kind.INT, batch), span, "categorical", ("theta",), (weights,), 0, range=which)
    noise = Random(Type(Kind.REAL, (*batch, *event)), span, "std_normal", (), (), 0)
    work = _Work(context, span)
    mean, scale = (work.made("index", p, component, attributes=(("at",),)) for p in (means, scales))
    return work.made("add", mean, work.made("mul", scale, noise))


@dataclass(frozen=True)
class _Work:
    """Operations that fit by construction."""

    context: Context
    span: Span

    def made(self, operation: str, *operands: Expr, attributes: tuple[object, ...] = ()) -> Expr:
        found = apply(self.context, operation, operands, self.span, attributes)
        assert not isinstance(found, Poison), f"{operation} inside a base"
        return found
