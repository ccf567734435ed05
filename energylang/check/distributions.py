"""Energies called with a bar: distributions inlined, their arguments and supports checked.

A distribution's variables and conditions have trailing event dims, named in its signature; what stands before them is
the batch. Arguments broadcast to the target's batch and never enlarge it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from energylang.check.context import POISON, Context, Found, Poison, Scope, did_you_mean
from energylang.check.expressions import apply, expression, shaped
from energylang.check.spaces import dim_of
from energylang.check.supports import supported
from energylang.diagnostics import Label
from energylang.ir.nodes import Expr, Literal, Local, Map, Reference
from energylang.ir.operations import OperationError, broadcast_shapes
from energylang.ir.types import SPACES, Dim, Kind, Range, Shape, Space, Type, show_shape
from energylang.source import Span
from energylang.syntax import ast


@dataclass
class Call:
    """A call of a conditional energy, its arguments matched to the signature."""

    declaration: ast.Energy
    signature: ast.Signature
    span: Span
    targets: dict[str, Expr] = field(default_factory=dict)
    conditions: dict[str, Expr] = field(default_factory=dict)
    dims: dict[str, Dim] = field(default_factory=dict)
    batches: dict[str, Shape] = field(default_factory=dict)
    batch: Shape = ()
    exact_support: bool = True

    @property
    def name(self) -> str:
        return self.declaration.name.text

    @property
    def form(self) -> str:
        before = ", ".join(p.name.text for p in self.signature.variables)
        after = ", ".join(p.name.text for p in self.signature.conditions)
        return f"{self.name}({before} | {after})" if after else f"{self.name}({before})"

    def normalised(self) -> bool:
        return self.declaration.kind == "distribution"


def energy_call(context: Context, declaration: ast.Energy, node: ast.Call, scope: Scope) -> Found:
    """`e(x | c)` as a value: the energy, batch dims kept."""
    call = _start(context, declaration, node.span)
    if isinstance(call, Poison):
        return POISON
    before, after = node.arguments, node.conditions
    if after is None and call.signature.conditions:
        after = ()
    if not _match(context, call, before, call.signature.variables, call.targets, scope):
        return POISON
    if not _match(context, call, after or (), call.signature.conditions, call.conditions, scope):
        return POISON
    return _inlined(context, call)


def tilde_call(
    context: Context, target: Expr, node: ast.Call, declaration: ast.Energy, scope: Scope
) -> tuple[Found, Call | None]:
    """`target ~ d(…)`: the energy with its batch dims, and the call that it was made of."""
    call = _start(context, declaration, node.span)
    if isinstance(call, Poison):
        return POISON, None
    if declaration.kind != "distribution":
        context.not_yet("`~` with an energy that is not a `distribution` is", node.span)
        return POISON, None
    if len(call.signature.variables) != 1:
        context.error(
            "E0502", f"`{call.name}` has {len(call.signature.variables)} variables, and `~` gives one", node.span
        )
        return POISON, None
    if node.conditions is not None:
        context.error(
            "E0206", f"after `~` the arguments of `{call.name}` stand alone, without a bar", node.span,
            fix=f"write `{call.name}({', '.join(p.name.text for p in call.signature.conditions)})`",
        )  # fmt: skip
        return POISON, None
    call.targets[call.signature.variables[0].name.text] = target
    if not _match(context, call, node.arguments, call.signature.conditions, call.conditions, scope):
        return POISON, None
    return _inlined(context, call), call


def _start(context: Context, declaration: ast.Energy, span: Span) -> Call | Poison:
    if declaration.signature is None or declaration.kind not in ("distribution", "energy"):
        return context.not_yet(f"calling `{declaration.name.text}`, a composition or {declaration.kind}, is", span)
    if declaration.signature.level is not None:
        return context.not_yet("energies with levels are", span)
    return Call(declaration, declaration.signature, span)


def _match(
    context: Context,
    call: Call,
    arguments: tuple[ast.Argument, ...],
    parameters: tuple[ast.Parameter, ...],
    into: dict[str, Expr],
    scope: Scope,
) -> bool:
    names = [p.name.text for p in parameters]
    good = True
    for i, argument in enumerate(arguments):
        value = expression(context, argument.value, scope)
        if argument.name is None and i >= len(names):
            context.error(
                "E0206",
                f"`{call.name}` takes {_count(len(names))}, not {len(arguments)}",
                argument.span,
                fix=f"its form is `{call.form}`",
            )
            return False
        name = argument.name.text if argument.name else names[i]
        if name not in names or name in into:
            problem = "got twice" if name in names else "unknown to it"
            context.error(
                "E0206",
                f"`{call.name}` has `{name}` {problem}",
                argument.span,
                fix=did_you_mean(name, names) or f"its form is `{call.form}`",
            )
            good = False
            continue
        if isinstance(value, Poison):
            good = False
        else:
            into[name] = value
    missing = [n for n in names if n not in into]
    if good and missing:
        context.error(
            "E0206", f"`{call.name}` needs `{', '.join(missing)}`", call.span, fix=f"its form is `{call.form}`"
        )
        return False
    return good


def _count(n: int) -> str:
    return "no arguments" if n == 0 else "1 argument" if n == 1 else f"{n} arguments"


# --- fitting the arguments to the signature ---------------------------------------------------------------------


def _inlined(context: Context, call: Call) -> Found:
    good = True
    target_batch: Shape | None = None
    for parameter in call.signature.variables:
        value = call.targets[parameter.name.text]
        batch = _fit(context, call, parameter, value)
        good = good and batch is not None
        if batch is not None:
            target_batch = batch if target_batch is None or len(batch) > len(target_batch) else target_batch
    if not good or target_batch is None:
        return POISON
    call.batch = target_batch
    for parameter in call.signature.conditions:
        value = call.conditions[parameter.name.text]
        batch = _fit(context, call, parameter, value)
        if batch is None:
            good = False
            continue
        try:
            wide = broadcast_shapes([call.batch, batch])
        except OperationError as problem:
            wide, cause = None, problem.cause
        else:
            cause = f"`{parameter.name.text}` would enlarge it to {show_shape(wide)}"
        if wide != call.batch:
            target = next(iter(call.targets.values()))
            context.error(
                "E0301", f"`{parameter.name.text}` of `{call.name}` does not fit the target", value.span, label=f"this is {shaped(value)}",
                related=[Label(target.span, f"the target is {shaped(target)}")], cause=cause,
                fix="arguments broadcast to the target's shape and never enlarge it",
            )  # fmt: skip
            good = False
    if not good:
        return POISON
    for parameter in call.signature.variables:
        good = supported(context, call, parameter, call.targets[parameter.name.text]) and good
    return _body(context, call) if good else POISON


def _fit(context: Context, call: Call, parameter: ast.Parameter, value: Expr) -> Shape | None:
    """The batch shape of one argument, its event dims unified with the signature's; None after a diagnostic."""
    declared = parameter.type
    name = parameter.name.text
    if declared is None or declared.name.text not in SPACES:
        context.not_yet(f"the type of `{name}` is", parameter.span)
        return None
    info = SPACES[declared.name.text]
    if value.type.kind > info.kind:
        context.error(
            "E0302",
            f"`{name}` of `{call.name}` is {info.kind}, and this is {value.type.kind}",
            value.span,
            fix="real values are never rounded silently",
        )
        return None
    rank = len(declared.dims)
    shape = value.type.shape
    if len(shape) < rank:
        context.error(
            "E0303",
            f"`{name}` of `{call.name}` needs {_axes(rank)}, and this is {shaped(value)}",
            value.span,
            fix=f"its form is `{call.form}`",
        )
        return None
    event = shape[len(shape) - rank :]
    for pattern, dim in zip(declared.dims, event, strict=True):
        if not _unify(context, call, pattern, dim, value):
            return None
    if declared.name.text == "cat":
        high = value.range.high
        if not isinstance(high, Dim):
            context.error(
                "E0401",
                f"`{name}` of `{call.name}` takes a `cat(k)`, and the number of values here is not known",
                value.span,
                fix="declare it as `cat(k)`",
            )
            return None
        if not _unify(context, call, declared.arguments[0], high + 1, value):
            return None
    if parameter not in call.signature.variables and not _argument_inside(context, call, name, info.range, value):
        return None
    call.batches[name] = shape[: len(shape) - rank]
    return call.batches[name]


def _axes(rank: int) -> str:
    return "1 axis" if rank == 1 else f"{rank} axes"


def _unify(context: Context, call: Call, pattern: ast.Expression, dim: Dim, value: Expr) -> bool:
    if isinstance(pattern, ast.Name) and pattern.text not in call.dims and pattern.text not in context.values:
        call.dims[pattern.text] = dim
        return True
    wanted = dim_of(context, pattern, Scope(dims=call.dims))
    if wanted is None:
        return False
    if wanted == dim:
        return True
    context.error(
        "E0301", f"an axis of `{call.name}` should have size {wanted}, and here it is {dim}", value.span, label=f"this is {shaped(value)}",
        related=[Label(v.span, f"this is {shaped(v)}") for v in (*call.targets.values(), *call.conditions.values()) if v is not value and v.type.shape],
        cause=f"`{wanted}` and `{dim}` are different sizes", fix=f"its form is `{call.form}`",
    )  # fmt: skip
    return False


def _argument_inside(context: Context, call: Call, name: str, wanted: Range, value: Expr) -> bool:
    """Refuses what can be shown to lie outside; what cannot be shown is left to the run."""
    low, high = value.range.number_low(), value.range.number_high()
    bottom, top = wanted.number_low(), wanted.number_high()
    below = bottom is not None and high is not None and (high < bottom or (high == bottom and wanted.open_low))
    above = top is not None and low is not None and (low > top or (low == top and wanted.open_high and top != 1.0))
    if not below and not above:
        return True
    shown = f"{value.value:g}" if isinstance(value, Literal) else "this"
    limit = f"above {bottom:g}" if below else f"below {top:g}"
    context.error("E0405", f"`{name}` of `{call.name}` must be {limit}, and {shown} is not", value.span)
    return False


# --- the body ---------------------------------------------------------------------------------------------------


def _body(context: Context, call: Call) -> Found:
    """The body with its arguments in place: directly where it works elementwise, by a `Map` over the batch otherwise."""
    key = f"energy {call.name}"
    if key in context.expanding:
        return context.error("E0204", f"`{call.name}` uses itself", call.span)
    arguments = {**call.targets, **call.conditions}
    simple = isinstance(call.declaration.body, ast.Block) is False and all(
        not p.type.dims for p in call.signature.variables if p.type is not None
    )
    unbatched = all(
        not call.batches[p.name.text] for p in call.signature.conditions if p.type is not None and p.type.dims
    )
    direct = not call.batch or (simple and unbatched)
    scope = context.top.child()
    scope.dims = dict(call.dims)
    locals_: list[Local] = []
    if direct:
        scope.entries.update(arguments)
    else:
        for name, value in arguments.items():
            event = value.type.shape[len(call.batches[name]) :]
            local = Local(
                name,
                Space(
                    "real" if value.type.kind is Kind.REAL else "int" if value.type.kind is Kind.INT else "bool", event
                ),
                value.span,
            )
            locals_.append(local)
            scope.entries[name] = Reference(Type(value.type.kind, event), value.span, local, range=value.range)
    context.expanding.append(key)
    try:
        if isinstance(call.declaration.body, ast.Block):
            from energylang.check.energies import block_value

            body = block_value(context, call.declaration.body, scope, call.span)
        else:
            body = expression(context, call.declaration.body, scope)
    finally:
        context.expanding.pop()
    if isinstance(body, Poison):
        return POISON
    if direct:
        if body.type.shape == call.batch:
            return body
        return apply(context, "broadcast", [body], call.span, call.batch)
    if body.type.shape:
        return context.error(
            "E0307", f"the energy of `{call.name}` is {body.type}, and should be one number", call.declaration.span
        )
    return Map(
        Type(body.type.kind, call.batch),
        call.span,
        tuple(locals_),
        tuple(arguments.values()),
        body,
        len(call.batch),
        range=body.range,
    )
