"""Nets: declarations to params, calls to ordinary operations, so that every analysis and gradient sees through them.

A multilayer perceptron with widths n_0 (all inputs side by side), n_1, … has the params `f.weight0: real[n_0, n_1]`,
`f.bias0: real[n_1]` and so on. A weight starts normal with standard deviation gain / sqrt(fan-in): gain sqrt(2) before
`relu` and its smooth relatives (He et al. 2015, arXiv:1502.01852, eq. 10), 1 otherwise (LeCun et al. 1998, Efficient
BackProp, eq. 16); a bias starts at 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from math import sqrt

from energylang.catalog import NETS, Value
from energylang.check.constants import evaluate
from energylang.check.context import POISON, Context, Found, Poison, Scope, did_you_mean, literal
from energylang.check.expressions import apply, expression, shaped
from energylang.check.spaces import require_solvable, space_of
from energylang.check.tasks import options_of
from energylang.diagnostics import Label
from energylang.ir.nodes import Apply, Expr, Extern, ExternNet, Param, Reference
from energylang.ir.operations import OperationError, broadcast_shapes
from energylang.ir.types import Dim, Kind, Range, Shape, Space, Type
from energylang.source import Span
from energylang.syntax import ast

WIDEST = 2**20
"""Entries of one layer."""

ONE = Dim.of(1)


@dataclass(frozen=True)
class Net:
    """A declared net. `layers`: weight and bias (None without) of each; `frequencies` of its last input, 0 for none."""

    declaration: ast.Net
    inputs: tuple[Space, ...]
    output: Space
    layers: tuple[tuple[Param, Param | None], ...]
    activation: str
    frequencies: int


def declare(context: Context, declaration: ast.Net) -> None:
    """Put a net, and its params, into the tables of its module; None there after diagnostics."""
    name = declaration.name.text
    context.nets[name] = None
    spaces = [_space(context, t, declaration) for t in (*declaration.type.inputs, declaration.type.output)]
    form = ([], {}, 0) if declaration.extern else _form(context, declaration)
    known = [s for s in spaces if s is not None]
    if form is None or len(known) < len(spaces):
        return
    widths, options, frequencies = form
    *inputs, output = known
    if output.kind != "real":
        context.error(
            "E0237", f"`{name}` gives `{output.kind}`, and a net gives reals", declaration.type.output.span,
            fix="let it give `real`, and call `exp`, `softplus` or `inv_logit` with its value",
        )  # fmt: skip
        return
    if declaration.extern:
        context.nets[name] = ExternNet(context.full(name), tuple(inputs), output, declaration.name.span)
        return
    if frequencies and inputs[-1].shape:
        context.error(
            "E0237", f"`time` is the last input of `{name}`, and that is no number", declaration.type.inputs[-1].span,
            fix="add a number to the inputs: `(…, real) -> …`",
        )  # fmt: skip
        return
    sizes = [s.shape[0] if s.shape else ONE for s in inputs]
    if frequencies:
        sizes[-1] = Dim.of(2 * frequencies)
    total = Dim.of(0)
    for size in sizes:
        total = total + size
    dims = [total, *map(Dim.of, widths), output.shape[0] if output.shape else ONE]
    gain = sqrt(2) if options["act"] in ("relu", "swish", "gelu") else 1.0
    layers: list[tuple[Param, Param | None]] = []
    for i, (inside, outside) in enumerate(pairwise(dims)):
        start = ("fan_in", gain if i < len(widths) else 1.0, 0.0)
        weight = _param(context, declaration, f"weight{i}", (inside, outside), start)
        bias = _param(context, declaration, f"bias{i}", (outside,), None) if options["bias"] else None
        layers.append((weight, bias))
    context.nets[name] = Net(declaration, tuple(inputs), output, tuple(layers), str(options["act"]), frequencies)


def _param(
    context: Context, declaration: ast.Net, name: str, shape: Shape, start: tuple[str, float, float] | None
) -> Param:
    own = f"{declaration.name.text}.{name}"
    found = Param(context.full(own), Space("real", shape), declaration.name.span, None if start else 0.0, start)
    context.params[own] = found
    return found


def _space(context: Context, node: ast.TypeExpression, declaration: ast.Net) -> Space | None:
    space = space_of(context, node, context.top, data=True)
    if space is None:
        return None
    if len(space.shape) > 1 and not declaration.extern:
        context.error(
            "E0237", f"a net takes and gives numbers and vectors, and this has {len(space.shape)} axes", node.span,
            fix="reshape what it is called with: `reshape(x, [n * m])`",
        )  # fmt: skip
        return None
    solved = require_solvable(context, space.shape, None, node.span, declaration.name.text, frozenset())
    return space if solved else None


def _form(context: Context, declaration: ast.Net) -> tuple[list[int], dict[str, Value | None], int] | None:
    """The widths, options and time frequencies that a net's right side gives; None after diagnostics."""
    node = declaration.value
    assert node is not None
    name = node.function.text if isinstance(node, ast.Call) else node.text if isinstance(node, ast.Name) else ""
    spec = NETS.get(name)
    if spec is None or not isinstance(node, ast.Call) or node.function.qualifier is not None:
        context.error(
            "E0236", f"`{name}` is no kind of net" if name and spec is None else "this is not a net", node.span,
            fix=did_you_mean(name, NETS) or f"for example `net {declaration.name.text}: … = mlp([64, 64])`",
        )  # fmt: skip
        return None
    arguments = list(node.arguments)
    hidden = [a for a in arguments if a.name is None or a.name.text == "hidden"]
    time = [a for a in arguments if a.name is not None and a.name.text == "time"]
    rest = tuple(a for a in arguments if a not in hidden and a not in time)
    chosen = options_of(context, rest, spec.options, f"`{name}`")
    widths = _widths(context, hidden, node.span)
    frequencies = _frequencies(context, time[0].value) if time else 0
    if chosen is None or widths is None or frequencies is None:
        return None
    return widths, {o.name: o.default for o in spec.options} | dict(chosen), frequencies


def _widths(context: Context, given: list[ast.Argument], span: Span) -> list[int] | None:
    value = given[0].value if len(given) == 1 else None
    if not isinstance(value, ast.Array):
        context.error(
            "E0236", "the widths of the hidden layers come first, in brackets", given[1].span if len(given) > 1 else span,
            fix="for example `mlp([64, 64])`, or `mlp([])` for one linear layer",
        )  # fmt: skip
        return None
    widths = [_count(context, item, "a width") for item in value.items]
    return None if None in widths else [w for w in widths if w is not None]


def _frequencies(context: Context, node: ast.Expression) -> int | None:
    if isinstance(node, ast.Call) and node.function.text == "fourier" and len(node.arguments) == 1:
        return _count(context, node.arguments[0].value, "the number of frequencies")
    context.error("E0236", "this is no embedding of the time", node.span, fix="write `time = fourier(32)`")
    return None


def _count(context: Context, node: ast.Expression, what: str) -> int | None:
    value = evaluate(context, node)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= WIDEST:
        context.error("E0236", f"{what} is an integer from 1 to {WIDEST:,}, not {value}", node.span)
        return None
    return value


# --- calls ------------------------------------------------------------------------------------------------------


def net_call(context: Context, home: Context, declaration: ast.Net, node: ast.Call, scope: Scope) -> Found:
    """`f(x, t)`: one event of each input, or a batch of them in front; the batches broadcast to each other."""
    name = declaration.name.text
    values = [expression(context, argument.value, scope) for argument in node.arguments]
    net = home.nets.get(name)
    if net is None:
        return POISON
    named = next((a for a in node.arguments if a.name is not None), None)
    if named is not None or len(values) != len(net.inputs) or node.conditions is not None:
        count = f"{len(net.inputs)} inputs" if len(net.inputs) != 1 else "1 input"
        return context.error(
            "E0206", f"`{name}` takes {count}, by position", node.span, related=[Label(declaration.name.span, "declared here")],
            fix=f"write `{name}({', '.join(str(s) for s in net.inputs)})`",
        )  # fmt: skip
    known = [v for v in values if not isinstance(v, Poison)]
    if len(known) < len(values):
        return POISON
    batches: list[Shape] = []
    for value, space, written in zip(known, net.inputs, declaration.type.inputs, strict=True):
        batch = _batch(context, name, value, space, written)
        if batch is None:
            return POISON
        batches.append(batch)
    try:
        batch = broadcast_shapes(batches)
    except OperationError as problem:
        return context.error(
            "E0301", f"the inputs of `{name}` do not fit together", node.span, cause=problem.cause,
            related=[Label(known[i].span, f"this is {shaped(known[i])}") for i in problem.blame],
            fix="give them one batch shape in front",
        )  # fmt: skip
    if isinstance(net, ExternNet):
        return Extern(Type(Kind.REAL, (*batch, *net.output.shape)), node.span, net, tuple(known))
    return _Lowering(context, node.span).value(net, known, batch)


def _batch(context: Context, name: str, value: Expr, space: Space, written: ast.TypeExpression) -> Shape | None:
    """The batch shape in front of an input; None after a diagnostic."""
    shape, rank = value.type.shape, len(space.shape)
    if value.type.kind > space.type.kind or shape[len(shape) - rank :] != space.shape:
        context.error(
            "E0302" if value.type.kind > space.type.kind else "E0301",
            f"`{name}` takes {space}, and this is {value.type}", value.span, related=[Label(written.span, "declared here")],
            fix="an input may have batch axes in front of its own" if shape else "",
        )  # fmt: skip
        return None
    return shape[: len(shape) - rank]


@dataclass(frozen=True)
class _Lowering:
    """Operations at the place of one call. What they are applied to fits, by the checks before."""

    context: Context
    span: Span

    def made(self, operation: str, *operands: Expr, attributes: tuple[object, ...] = ()) -> Expr:
        found = apply(self.context, operation, operands, self.span, attributes)
        assert not isinstance(found, Poison), f"{operation} inside a net"
        return found

    def value(self, net: Net, values: list[Expr], batch: Shape) -> Expr:
        parts = []
        for i, (value, space) in enumerate(zip(values, net.inputs, strict=True)):
            last = i == len(values) - 1
            if not space.shape:
                value = self.reshaped(value, (*value.type.shape, ONE))
            if last and net.frequencies:
                value = self.fourier(value, net.frequencies)
            wide = (*batch, value.type.shape[-1])
            parts.append(value if value.type.shape == wide else self.made("broadcast", value, attributes=wide))
        value = parts[0] if len(parts) == 1 else self.made("concatenate", *parts, attributes=(len(batch),))
        if len(batch) > 1:
            rows = ONE
            for dim in batch:
                rows = rows * dim
            value = self.reshaped(value, (rows, value.type.shape[-1]))
        for i, (weight, bias) in enumerate(net.layers):
            value = self.made("matmul", value, _reference(weight, self.span))
            if bias is not None:
                value = self.made("add", value, _reference(bias, self.span))
            if i < len(net.layers) - 1:
                value = self.activated(net.activation, value)
        return self.reshaped(value, (*batch, *net.output.shape))

    def reshaped(self, value: Expr, shape: Shape) -> Expr:
        return value if value.type.shape == shape else self.made("reshape", value, attributes=shape)

    def fourier(self, time: Expr, count: int) -> Expr:
        """sin and cos of j pi t for j = 1 … count: [..., 1] to [..., 2 count] (Tancik et al. 2020, arXiv:2006.10739)."""
        size = Dim.of(count)
        order = Apply(Type(Kind.INT, (size,)), self.span, "iota", (), (size,), range=Range(Dim.of(0), size - 1))
        pi = literal(3.141592653589793, self.span)
        angles = self.made("mul", time, self.made("mul", self.made("add", order, literal(1, self.span)), pi))
        axis = len(angles.type.shape) - 1
        return self.made("concatenate", self.made("sin", angles), self.made("cos", angles), attributes=(axis,))

    def activated(self, name: str, x: Expr) -> Expr:
        match name:
            case "relu":
                zero = literal(0.0, self.span)
                return self.made("where", self.made("gt", x, zero), x, zero)
            case "swish":
                return self.made("mul", x, self.made("inv_logit", x))
            case "gelu":
                return self.made("mul", x, self.made("std_normal_cdf", x))
            case "sigmoid":
                return self.made("inv_logit", x)
        return self.made(name, x)


def _reference(param: Param, span: Span) -> Reference:
    return Reference(param.space.type, span, param, range=param.space.range)
