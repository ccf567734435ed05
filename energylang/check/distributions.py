"""Energies called with a bar: distributions inlined, their arguments and supports checked.

A distribution's variables and conditions have trailing event dims, named in its signature; what stands before them is
the batch. Arguments broadcast to the target's batch and never enlarge it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from energylang.check.constraints import no_energy
from energylang.check.context import POISON, Context, Found, Poison, Scope, did_you_mean
from energylang.check.expressions import expression, shaped
from energylang.check.mapping import mapped, plain_space
from energylang.check.spaces import dim_of, within
from energylang.check.supports import base_symbol, sums_to_one, supported
from energylang.diagnostics import Label
from energylang.ir.nodes import Apply, Expr, Let, Literal, Local, Reference
from energylang.ir.operations import OperationError, broadcast_shapes
from energylang.ir.types import ANYWHERE, SPACES, Dim, Range, Shape, Space, show_shape
from energylang.source import Span
from energylang.syntax import ast


@dataclass(frozen=True)
class Form:
    """How something is called: its name, what stands before the bar and after it. `level`: which of these is a level."""

    name: str
    before: tuple[str, ...]
    after: tuple[str, ...]
    level: str | None = None

    def __str__(self) -> str:
        conditions = [name for name in self.after if name != self.level]
        after = f" | {', '.join(conditions)}" if conditions else ""
        return f"{self.name}({', '.join(self.before)}{after}{f', {self.level} = …' if self.level else ''})"

    def split(self, node: ast.Call) -> tuple[tuple[ast.Argument, ...], tuple[ast.Argument, ...]]:
        """The arguments before the bar and after it; a level is given by name, on either side."""
        given = tuple(a for a in node.arguments if self.level and a.name is not None and a.name.text == self.level)
        return tuple(a for a in node.arguments if a not in given), (*(node.conditions or ()), *given)


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
    cut: bool = False
    """Whether a space smaller than the support is no concern of the call."""

    @property
    def name(self) -> str:
        return self.declaration.name.text

    @property
    def form(self) -> Form:
        before = tuple(p.name.text for p in self.signature.variables)
        declared = self.declaration.signature
        level = declared.level[0].text if declared is not None and declared.level is not None else None
        return Form(self.name, before, tuple(p.name.text for p in self.signature.conditions), level)


def energy_call(context: Context, declaration: ast.Energy, node: ast.Call, scope: Scope) -> Found:
    """`e(x | c)` as a value: the energy, batch dims kept."""
    if declaration.kind == "flow":
        from energylang.check.flows import flow_call

        return flow_call(context, declaration, node, scope)
    if declaration.signature is None:
        return _composed_call(context, declaration, node, scope)
    call = _start(context, declaration, node.span)
    if isinstance(call, Poison):
        return POISON
    before, after = call.form.split(node)
    if not match(context, call.form, node.span, before, call.form.before, call.targets, scope):
        return POISON
    if not match(context, call.form, node.span, after, call.form.after, call.conditions, scope):
        return POISON
    return _inlined(context, call)


def tilde_call(
    context: Context, target: Expr, node: ast.Call, declaration: ast.Energy, scope: Scope, cut: bool = False
) -> tuple[Found, Call | None]:
    """`target ~ d(…)`: the energy with its batch dims, and the call that it was made of.

    cut: the target's space may be smaller than the support, since the caller sees to the mass that is left.
    """
    call = _start(context, declaration, node.span)
    if isinstance(call, Poison):
        return POISON, None
    call.cut = cut
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
    if not match(context, call.form, node.span, node.arguments, call.form.after, call.conditions, scope):
        return POISON, None
    return _inlined(context, call), call


def predictive_call(context: Context, node: ast.Call, declaration: ast.Energy, scope: Scope) -> Call | Poison:
    """`report a ~ d(…)`: a call without a target, whose batch is what the arguments broadcast to."""
    call = _start(context, declaration, node.span)
    if isinstance(call, Poison) or not match(
        context, call.form, node.span, node.arguments, call.form.after, call.conditions, scope
    ):
        return POISON
    values = [call.conditions[p.name.text] for p in call.signature.conditions]
    batches = [_fit(context, call, p, value) for p, value in zip(call.signature.conditions, values, strict=True)]
    found = [batch for batch in batches if batch is not None]
    if len(found) < len(batches):
        return POISON
    try:
        call.batch = broadcast_shapes(found)
    except OperationError as problem:
        return context.error(
            "E0301", f"the arguments of `{call.name}` do not fit together", node.span,
            related=[Label(values[i].span, f"this is {shaped(values[i])}") for i in problem.blame],
            cause=problem.cause, fix="give them one batch shape, event dims last",
        )  # fmt: skip
    return call


def call_energy(context: Context, call: Call) -> Found:
    """The energy of a call whose arguments are in place, batch dims kept."""
    return _inlined(context, call)


def _start(context: Context, declaration: ast.Energy, span: Span) -> Call | Poison:
    if declaration.kind == "constraint":
        return no_energy(context, ast.Name(span, declaration.name.text))
    if declaration.signature is None or declaration.kind not in ("distribution", "energy"):
        return context.not_yet(f"calling `{declaration.name.text}`, a composition or {declaration.kind}, is", span)
    return Call(declaration, _with_level(declaration.signature), span)


def _with_level(signature: ast.Signature) -> ast.Signature:
    """The level as the last condition: one number for each element of the batch."""
    if signature.level is None:
        return signature
    name, _ = signature.level
    bounds = (ast.Number(name.span, 0, "0"), ast.Number(name.span, 1, "1"))
    space = ast.TypeExpression(name.span, ast.Identifier(name.span, "interval"), bounds, ())
    return replace(signature, conditions=(*signature.conditions, ast.Parameter(name.span, name, space)), level=None)


def _composed_call(context: Context, declaration: ast.Energy, node: ast.Call, scope: Scope) -> Found:
    from energylang.check.composed import composed_call
    from energylang.check.energies import checked

    energy = checked(context.home(declaration), declaration)
    if energy is None:
        return POISON
    level = energy.level.name if energy.level is not None else None
    form = Form(energy.name, tuple(v.name for v in energy.variables), tuple(c.name for c in energy.conditions), level)
    targets: dict[str, Expr] = {}
    conditions: dict[str, Expr] = {}
    before, after = form.split(node)
    good = match(context, form, node.span, before, form.before, targets, scope)
    if not match(context, form, node.span, after, form.after, conditions, scope) or not good:
        return POISON
    return composed_call(context, energy, targets, conditions, node.span)


def match(
    context: Context, form: Form, span: Span, arguments: tuple[ast.Argument, ...], names: Sequence[str],
    into: dict[str, Expr], scope: Scope,
) -> bool:  # fmt: skip
    """Read arguments, by position or name, into a table; False after diagnostics."""
    good = True
    for i, argument in enumerate(arguments):
        value = expression(context, argument.value, scope)
        if argument.name is None and i >= len(names):
            context.error(
                "E0206",
                f"`{form.name}` takes {_count(len(names))}, not {len(arguments)}",
                argument.span,
                fix=_with_bar(form, arguments, names) or f"its form is `{form}`",
            )
            return False
        name = argument.name.text if argument.name else names[i]
        if name not in names or name in into:
            context.error(
                "E0206",
                f"`{form.name}` gets `{name}` twice" if name in names else f"`{form.name}` has no argument `{name}`",
                argument.span,
                fix=("" if name in names else did_you_mean(name, names)) or f"its form is `{form}`",
            )
            good = False
            continue
        if isinstance(value, Poison):
            good = False
        else:
            into[name] = value
    missing = [n for n in names if n not in into]
    if good and missing:
        context.error("E0206", f"`{form.name}` needs `{', '.join(missing)}`", span, fix=f"its form is `{form}`")
        return False
    return good


def _with_bar(form: Form, arguments: tuple[ast.Argument, ...], names: Sequence[str]) -> str:
    """`normal(x, 0, 1)` as a value has its bar forgotten."""
    if tuple(names) != form.before or len(arguments) != len(names) + len(form.after):
        return ""
    shown = [a.span.text for a in arguments]
    return f"write `{form.name}({', '.join(shown[: len(names)])} | {', '.join(shown[len(names) :])})`"


def _count(n: int) -> str:
    return "no arguments" if n == 0 else "1 argument" if n == 1 else f"{n} arguments"


# --- fitting the arguments to the signature ---------------------------------------------------------------------


def _inlined(context: Context, call: Call) -> Found:
    good = True
    batches: list[Shape] = []
    for parameter in call.signature.variables:
        batch = _fit(context, call, parameter, call.targets[parameter.name.text])
        if batch is None:
            good = False
        else:
            batches.append(batch)
    if not good:
        return POISON
    try:
        call.batch = broadcast_shapes(batches)
    except OperationError as problem:
        values = list(call.targets.values())
        return context.error(
            "E0301", f"the variables of `{call.name}` do not fit together", call.span,
            related=[Label(values[i].span, f"this is {shaped(values[i])}") for i in problem.blame],
            cause=problem.cause, fix="give them one batch shape, event dims last",
        )  # fmt: skip
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
                fix=_smaller(value, call.batch),
            )  # fmt: skip
            good = False
    if not good:
        return POISON
    for parameter in call.signature.variables:
        good = supported(context, call, parameter, call.targets[parameter.name.text]) and good
    return _body(context, call) if good else POISON


def _smaller(value: Expr, batch: Shape) -> str:
    """What to do about an argument that would enlarge its target: perhaps a matrix product was meant."""
    if isinstance(value, Apply) and value.operation == "mul":
        matrix, vector = value.arguments
        if matrix.type.shape == (*batch, *vector.type.shape) and len(batch) == len(vector.type.shape) == 1:
            return f"`*` works element by element; the product of a matrix and a vector is `{matrix.span.text} @ {vector.span.text}`"
    return (
        "arguments broadcast to the target's shape and never enlarge it: declare the target with these dims, or index"
    )


def _declared_as(value: Expr, declared: ast.TypeExpression) -> str:
    """How to declare what an integer is wanted of."""
    root = base_symbol(value)
    space = "cat(k)" if declared.name.text == "cat" else declared.name.text
    if root is None:
        return f"give a value of {space}"
    return f"declare `{root.name}: {space}{show_shape(root.space.shape)}`"


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
            cause="real values are never rounded silently",
            fix=_declared_as(value, declared),
        )
        return None
    argument = parameter not in call.signature.variables
    patterns = (*declared.dims, declared.dims[-1]) if info.square else declared.dims
    rank = len(patterns)
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
    for pattern, dim in zip(patterns, event, strict=True):
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
    level = call.declaration.signature.level if call.declaration.signature is not None else None
    if level is not None and level[0].text == name and not within(context, value):
        return None
    if argument and not _argument_inside(context, call, name, info.range, value):
        return None
    if argument and declared.name.text == "simplex" and not sums_to_one(value):
        context.error(
            "E0405", f"`{name}` of `{call.name}` is on the simplex, and this does not sum to one", value.span,
            fix="declare it `simplex[k]`, or divide it by its sum",
        )  # fmt: skip
        return None
    call.batches[name] = shape[: len(shape) - rank]
    return call.batches[name]


def _axes(rank: int) -> str:
    return "1 axis" if rank == 1 else f"{rank} axes"


def _unify(context: Context, call: Call, pattern: ast.Expression, dim: Dim, value: Expr) -> bool:
    home = context.home(call.declaration)
    unknown = isinstance(pattern, ast.Name) and pattern.qualifier is None and pattern.text not in home.values
    if isinstance(pattern, ast.Name) and unknown and pattern.text not in call.dims:
        call.dims[pattern.text] = dim
        return True
    wanted = dim_of(home, pattern, Scope(dims=call.dims))
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
        if wanted != ANYWHERE:
            _doubtful(context, call, name, value)
        return True
    shown = f"{value.value:g}" if isinstance(value, Literal) else "this"
    limit = f"above {bottom:g}" if below else f"below {top:g}"
    if (bottom, top) == (0.0, 1.0):
        limit = "between 0 and 1"
    context.error(
        "E0405",
        f"`{name}` of `{call.name}` must be {limit}, and {shown} is not",
        value.span,
        fix=f"give a value {limit}",
    )
    return False


def _doubtful(context: Context, call: Call, name: str, value: Expr) -> None:
    """A lint where what is declared `real` stands for a scale, a rate or a probability."""
    root = value
    while isinstance(root, Apply) and root.operation == "index":
        root = root.arguments[0]
    if isinstance(root, Reference) and not isinstance(root.symbol, Local | Let) and root.symbol.space.kind == "real":
        declared = next(p.type for p in call.signature.conditions if p.name.text == name)
        wanted = declared.name.text if declared is not None else "positive"
        context.diagnostics.add(
            "L0103", f"`{name}` of `{call.name}` is {wanted}, and `{root.symbol.name}` is declared real", value.span,
            related=[Label(root.symbol.span, "declared here")], fix=f"declare `{root.symbol.name}: {wanted}{show_shape(root.symbol.space.shape)}`",
        )  # fmt: skip


# --- the body ---------------------------------------------------------------------------------------------------


def _body(context: Context, call: Call) -> Found:
    """The body with its arguments in place: directly where it works elementwise, by a `Map` over the batch otherwise.

    The body is read once, over locals that have the shapes of one event; what it means does not depend on the batch.
    """
    home = context.home(call.declaration)
    arguments = {**call.targets, **call.conditions}
    scope = home.top.child()
    scope.dims = dict(call.dims)
    locals_: dict[str, Local] = {}
    for name, value in arguments.items():
        event = value.type.shape[len(call.batches[name]) :]
        local = Local(name, Space(plain_space(value.type.kind), event), value.span)
        locals_[name] = local
        scope.entries[name] = Reference(local.space.type, value.span, local, range=value.range)
    with home.expansion(f"energy {call.name}", call.name, call.span) as allowed:
        if not allowed:
            return POISON
        if isinstance(call.declaration.body, ast.Block):
            from energylang.check.energies import block_value

            body = block_value(home, call.declaration.body, scope, call.span)
        else:
            body = expression(home, call.declaration.body, scope)
    if isinstance(body, Poison):
        return POISON
    if body.type.shape:
        return context.error(
            "E0307", f"the energy of `{call.name}` is {body.type}, and should be one number", call.declaration.span
        )
    values = {local: arguments[name] for name, local in locals_.items()}
    batched = frozenset(local for name, local in locals_.items() if call.batches[name])
    return mapped(context, body, values, batched, call.batch, call.span)
