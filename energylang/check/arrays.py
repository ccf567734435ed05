"""Functions of whole arrays: reductions, along an axis, moved entries, shapes."""

from __future__ import annotations

from energylang.check.constants import evaluate
from energylang.check.context import POISON, Context, Found, Poison, literal
from energylang.check.expressions import apply
from energylang.check.registry import FUNCTIONS, Function, Site, function
from energylang.check.spaces import known_dim
from energylang.diagnostics import Label
from energylang.ir.nodes import Apply, DimValue, Expr
from energylang.ir.types import Dim, Kind, Range, Type
from energylang.source import Span
from energylang.syntax import ast


def _integer(context: Context, node: ast.Expression, what: str) -> int | None:
    value = evaluate(context, node)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int):
        context.error("E0302", f"`{what}` is an integer, not {value}", node.span)
        return None
    return value


def _axis(context: Context, node: ast.Expression, value: Expr, what: str = "axis") -> int | None:
    axis = _integer(context, node, what)
    rank = len(value.type.shape)
    if axis is not None and not -rank <= axis < rank:
        context.error(
            "E0303", f"there is no axis {axis} in {value.type}", node.span, related=[Label(value.span, f"this is {value.type}")],
            fix=f"axes count from 0 to {rank - 1}" if rank else "a scalar has no axes",
        )  # fmt: skip
        return None
    return None if axis is None else axis % rank


def _axes(context: Context, value: Expr, site: Site, name: str) -> tuple[int, ...] | None:
    """The axes that a reduction is over; None after a diagnostic."""
    rank = len(value.type.shape)
    if rank == 0:
        context.error(
            "E0303", f"`{name}` takes an array, and this is one number", site.span,
            fix="use `minimum(a, b)` and `maximum(a, b)` for two numbers" if name in ("min", "max")
            else f"remove `{name}(…)`, or give it an array",
        )  # fmt: skip
        return None
    if "axis" not in site.static:
        return tuple(range(site.generated or rank))
    node = site.static["axis"]
    if site.generated:
        context.error(
            "E0206", f"`{name}` of a generator is over what it runs over, and takes no axis", node.span,
            fix=f"make an array of it: `{name}([for … in …: …], axis = …)`",
        )  # fmt: skip
        return None
    nodes = node.items if isinstance(node, ast.Tuple | ast.Array) else (node,)
    found = [_axis(context, n, value) for n in nodes]
    return None if None in found else tuple(sorted({a for a in found if a is not None}))


def size(dim: Dim, span: Span) -> Expr:
    """A size as a number."""
    if dim.constant is not None:
        return literal(dim.constant, span)
    return DimValue(Type(Kind.INT), span, dim, range=Range(dim, dim))


def _reduction(name: str, doc: str) -> None:
    def make(context: Context, values: list[Expr], site: Site) -> Found:
        (value,) = values
        axes = _axes(context, value, site, name)
        if axes is None:
            return POISON
        return apply(context, name, [value], site.span, axes)

    FUNCTIONS[name] = Function(("x", "axis"), ("axis",), make, doc)


for _name in ("sum", "prod", "mean", "max", "min", "any", "all", "logsumexp"):
    _reduction(_name, "over all axes, or over `axis` (one, or several in brackets)")


def _one_axis(context: Context, value: Expr, site: Site, name: str) -> int | None:
    rank = len(value.type.shape)
    if "axis" in site.static:
        return _axis(context, site.static["axis"], value)
    if rank == 1:
        return 0
    context.error(
        "E0303", f"`{name}` needs an axis: this has {rank}" if rank else f"`{name}` takes an array, and this is one number", site.span,
        related=[Label(value.span, f"this is {value.type}")], fix="name it: `axis = 0`" if rank else "",
    )  # fmt: skip
    return None


@function(
    "roll", "x shift axis", "moves entries along an axis, those pushed out come back in at the other end", "shift axis"
)
def _roll(context: Context, values: list[Expr], site: Site) -> Found:
    axis = _one_axis(context, values[0], site, "roll")
    shift = _integer(context, site.static["shift"], "shift") if "shift" in site.static else 1
    return POISON if axis is None or shift is None else apply(context, "roll", values, site.span, (shift, axis))


def _along(name: str, doc: str) -> None:
    def make(context: Context, values: list[Expr], site: Site) -> Found:
        axis = _one_axis(context, values[0], site, name)
        return POISON if axis is None else apply(context, name, values, site.span, (axis,))

    FUNCTIONS[name] = Function(("x", "axis"), ("axis",), make, doc)


_along("cumsum", "running sums along an axis")
_along("cumprod", "running products along an axis")
_along("sort", "the entries along an axis in increasing order")
_along("argmax", "where along an axis the largest entry is")
_along("argmin", "where along an axis the smallest entry is")
_along("softmax", "exp(x) over its sum along an axis")
_along("log_softmax", "x minus its log-sum-exp along an axis")


@function("reverse", "x axis", "an axis turned round", "axis")
def _reverse(context: Context, values: list[Expr], site: Site) -> Found:
    (value,) = values
    axis = _one_axis(context, value, site, "reverse")
    if axis is None:
        return POISON
    dim = value.type.shape[axis]
    order = Apply(Type(Kind.INT, (dim,)), site.span, "iota", (), (dim,), range=Range(Dim.of(0), dim - 1))
    flipped = apply(context, "sub", [size(dim - 1, site.span), order], site.span)
    if isinstance(flipped, Poison):
        return POISON
    whole = tuple(("slice", Dim.of(0), d, 1) for d in value.type.shape[:axis])
    return apply(context, "index", [value, flipped], site.span, (*whole, ("at",)))


@function("reshape", "x shape", "the same entries in another shape: `reshape(x, [n, 2])`", "shape")
def _reshape(context: Context, values: list[Expr], site: Site) -> Found:
    shape = shape_of(context, "shape", site)
    return POISON if shape is None else apply(context, "reshape", values, site.span, shape)


def shape_of(context: Context, name: str, site: Site) -> tuple[Dim, ...] | None:
    node = site.static.get(name)
    if node is None:
        context.error("E0206", "a shape is needed", site.span, fix="write `[n]` or `[n, m]`")
        return None
    nodes = node.items if isinstance(node, ast.Array | ast.Tuple) else (node,)
    dims = [known_dim(context, n, site.scope) for n in nodes]
    known = tuple(d for d in dims if d is not None)
    return known if len(known) == len(dims) else None


@function("concatenate", "x axis", "joins arrays along an axis: `concatenate((a, b), axis = 0)`", "axis")
def _concatenate(context: Context, values: list[Expr], site: Site) -> Found:
    axis = (
        _axis(context, site.static["axis"], values[0]) if "axis" in site.static else 0 if values[0].type.shape else None
    )
    if axis is None:
        return (
            POISON
            if "axis" in site.static
            else context.error("E0303", "`concatenate` takes arrays, and this is one number", values[0].span)
        )
    return apply(context, "concatenate", values, site.span, (axis,))


@function("zeros", "shape", "an array of zeros: `zeros([n, m])`", "shape")
def _zeros(context: Context, values: list[Expr], site: Site) -> Found:
    shape = shape_of(context, "shape", site)
    return POISON if shape is None else apply(context, "broadcast", [literal(0.0, site.span)], site.span, shape)


@function("ones", "shape", "an array of ones: `ones([n, m])`", "shape")
def _ones(context: Context, values: list[Expr], site: Site) -> Found:
    shape = shape_of(context, "shape", site)
    return POISON if shape is None else apply(context, "broadcast", [literal(1.0, site.span)], site.span, shape)


@function("range", "n", "the integers 0 to n - 1", "n")
def _range(context: Context, values: list[Expr], site: Site) -> Found:
    dims = shape_of(context, "n", site)
    return POISON if dims is None else apply(context, "iota", [], site.span, dims[:1])


@function("diff", "x axis", "each entry less the one before it", "axis")
def _diff(context: Context, values: list[Expr], site: Site) -> Found:
    (value,) = values
    axis = _one_axis(context, value, site, "diff")
    if axis is None:
        return POISON
    size = value.type.shape[axis]
    whole = tuple(("slice", Dim.of(0), d, 1) for d in value.type.shape[:axis])
    parts = [
        apply(context, "index", [value], site.span, (*whole, ("slice", start, stop, 1)))
        for start, stop in ((Dim.of(1), size), (Dim.of(0), size - 1))
    ]
    known = [p for p in parts if not isinstance(p, Poison)]
    return apply(context, "sub", known, site.span) if len(known) == 2 else POISON


def _spread(name: str, doc: str) -> None:
    def make(context: Context, values: list[Expr], site: Site) -> Found:
        (value,) = values
        axes = _axes(context, value, site, name)
        if axes is None:
            return POISON
        shape = value.type.shape
        kept = tuple(Dim.of(1) if axis in axes else d for axis, d in enumerate(shape))
        count = Dim.of(1)
        for axis in axes:
            count = count * shape[axis]
        mean = apply(context, "mean", [value], site.span, axes)
        around = POISON if isinstance(mean, Poison) else apply(context, "reshape", [mean], site.span, kept)
        rest = POISON if isinstance(around, Poison) else apply(context, "sub", [value, around], site.span)
        squares = (
            POISON if isinstance(rest, Poison) else apply(context, "pow", [rest, literal(2, site.span)], site.span)
        )
        total = POISON if isinstance(squares, Poison) else apply(context, "sum", [squares], site.span, axes)
        if isinstance(total, Poison):
            return POISON
        found = apply(context, "div", [total, size(count - 1, site.span)], site.span)
        return found if name == "variance" or isinstance(found, Poison) else apply(context, "sqrt", [found], site.span)

    FUNCTIONS[name] = Function(("x", "axis"), ("axis",), make, doc)


_spread("variance", "of a sample: squares around the mean, over their number less 1; over all axes, or over `axis`")
_spread("sd", "the standard deviation of a sample, the root of `variance`")
