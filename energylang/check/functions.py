"""Calls in expressions: the functions of the language, `fn` declarations, and energies called with a bar."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from energylang.check.constants import evaluate
from energylang.check.context import POISON, Context, Found, Poison, Scope, did_you_mean, literal
from energylang.check.expressions import apply, expression, module_as_value
from energylang.check.spaces import dim_of, known_dim, space_of
from energylang.diagnostics import Label
from energylang.ir.nodes import Apply, Expr
from energylang.ir.types import SPACES, Dim, Kind, Range, Type
from energylang.source import Span
from energylang.syntax import ast


@dataclass(frozen=True)
class Site:
    """Where a function is called, with its static arguments (those given) and the scope to read them in."""

    span: Span
    static: dict[str, ast.Expression]
    scope: Scope
    generated: int = 0
    """How many leading axes of the first argument a generator made."""


@dataclass(frozen=True)
class Function:
    """A function of the language: its parameter names, those of them that are static, and how it is made.

    `make(context, values, site)`: the other arguments in order, and the call.
    """

    parameters: tuple[str, ...]
    static: tuple[str, ...]
    make: Callable[[Context, list[Expr], Site], Found]
    doc: str


FUNCTIONS: dict[str, Function] = {}


def call(context: Context, node: ast.Call, scope: Scope) -> Found:
    """A call used as a value."""
    name = node.function.text
    schedule = context.values.get(node.function.qualifier or "")
    if isinstance(schedule, ast.Schedule):
        from energylang.check.schedules import schedule_call

        return schedule_call(context, schedule, node, scope)
    found = context.callable(node.function)
    if isinstance(found, Poison):
        return POISON
    declaration = found[0] if found else None
    if isinstance(declaration, ast.Fn):
        return _call_fn(context, declaration, node, scope)
    if isinstance(declaration, ast.Energy):
        from energylang.check.distributions import energy_call

        return energy_call(context, declaration, node, scope)
    if isinstance(found, tuple) and isinstance(declaration, ast.Net):
        from energylang.check.nets import net_call

        return net_call(context, found[1], declaration, node, scope)
    if name in FUNCTIONS and node.function.qualifier is None:
        return _call_function(context, name, FUNCTIONS[name], node, scope)
    if scope.find(name) is not None or name in context.values:
        return context.error(
            "E0208",
            f"`{name}` is a value, and it is called here",
            node.function.span,
            fix=f"multiply with `{name} * (…)`, index with `{name}[…]`",
        )
    if name in context.modules:
        return module_as_value(context, node.function)
    candidates = [*FUNCTIONS, *context.callable_names()]
    return context.error(
        "E0202", f"there is no function `{name}`", node.function.span, fix=did_you_mean(name, candidates)
    )


def _call_function(context: Context, name: str, function: Function, node: ast.Call, scope: Scope) -> Found:
    if node.conditions is not None:
        return context.error(
            "E0206", f"`{name}` is a function, and only energies are called with a bar", node.span,
            fix="separate the arguments by commas",
        )  # fmt: skip
    bound: dict[str, ast.Expression] = {}
    positional = [a for a in node.arguments if a.name is None]
    variadic = function.parameters[-1:] == ("*",)
    names = function.parameters[:-1] if variadic else function.parameters
    extra: list[ast.Expression] = []
    for i, argument in enumerate(positional):
        if i < len(names):
            bound[names[i]] = argument.value
        elif variadic:
            extra.append(argument.value)
        else:
            return _wrong_call(
                context, name, function, node, f"takes at most {_arguments(len(names))}, not {len(positional)}"
            )
    for argument in node.arguments:
        if argument.name is None:
            continue
        if argument.name.text not in names or argument.name.text in bound:
            known = argument.name.text in names
            return _wrong_call(
                context,
                name,
                function,
                node,
                f"gets `{argument.name.text}` twice" if known else f"has no argument `{argument.name.text}`",
            )
        bound[argument.name.text] = argument.value
    values: list[Found] = []
    for parameter in names:
        if parameter in function.static:
            continue
        if parameter not in bound:
            return _wrong_call(context, name, function, node, f"needs `{parameter}`")
        value = bound[parameter]
        if isinstance(value, ast.Tuple) and name not in _TAKES_SEVERAL:
            return _wrong_call(
                context, name, function, node, f"takes one value as `{parameter}`: write `[a, b]` for an array"
            )
        items = value.items if isinstance(value, ast.Tuple) else (value,)
        values += [expression(context, item, scope) for item in items]
    values += [expression(context, e, scope) for e in extra]
    known = [v for v in values if not isinstance(v, Poison)]
    if len(known) < len(values):
        return POISON
    given = {p: bound[p] for p in function.static if p in bound}
    first = positional[0].value if positional else None
    generated = len(first.bindings) if isinstance(first, ast.Generator) else 0
    return function.make(context, known, Site(node.span, given, scope, generated))


_TAKES_SEVERAL = frozenset({"concatenate"})
"""Functions whose first argument is several values in brackets."""


def _arguments(count: int) -> str:
    return "1 argument" if count == 1 else f"{count} arguments"


def _wrong_call(context: Context, name: str, function: Function, node: ast.Call, what: str) -> Poison:
    shown = ", ".join("…" if p == "*" else f"{p} = …" if p in function.static else p for p in function.parameters)
    return context.error("E0206", f"`{name}` {what}", node.span, fix=f"its form is `{name}({shown})`: {function.doc}")


def _call_fn(context: Context, declaration: ast.Fn, node: ast.Call, scope: Scope) -> Found:
    name = declaration.name.text
    names = [p.name.text for p in declaration.parameters]
    home = context.home(declaration)
    inner = home.top.child()
    values: dict[str, Found] = {}
    for i, argument in enumerate(node.arguments):
        parameter = argument.name.text if argument.name else names[i] if i < len(names) else None
        if parameter not in names or parameter in values:
            return context.error(
                "E0206",
                f"`{name}` takes {_arguments(len(names))}",
                node.span,
                related=[Label(declaration.name.span, "declared here")],
                fix=f"its form is `{name}({', '.join(names)})`",
            )
        values[parameter] = expression(context, argument.value, scope)
    missing = [n for n in names if n not in values]
    if missing or node.conditions is not None:
        return context.error(
            "E0206", f"`{name}` needs `{', '.join(missing)}`" if missing else f"`{name}` is a function, and only energies are called with a bar",
            node.span, related=[Label(declaration.name.span, "declared here")],
            fix=f"its form is `{name}({', '.join(names)})`",
        )  # fmt: skip
    if any(isinstance(v, Poison) for v in values.values()):
        return POISON
    fits = True
    for parameter in declaration.parameters:
        value = values[parameter.name.text]
        if parameter.type is not None and isinstance(value, Expr):
            fits = _parameter_fits(home, name, parameter, parameter.type, value, inner) and fits
    if not fits:
        return POISON
    inner.entries.update(values)
    with home.expansion(f"fn {name}", name, node.span) as allowed:
        found = expression(home, declaration.value, inner) if allowed else POISON
    if isinstance(found, Poison) or declaration.result is None:
        return found
    result = space_of(home, declaration.result, inner, data=True)
    if result is None or (result.type.kind >= found.type.kind and result.shape == found.type.shape):
        return POISON if result is None else found
    return context.error(
        "E0303" if result.type.kind >= found.type.kind else "E0302", f"`{name}` promises {result.type}, and its value is {found.type}", node.span,
        related=[Label(declaration.result.span, "promised here")], fix="change the type after `->`, or leave it away",
    )  # fmt: skip


def _parameter_fits(
    context: Context, name: str, parameter: ast.Parameter, declared: ast.TypeExpression, value: Expr, inner: Scope
) -> bool:
    """Whether an argument has the type of its parameter; dims that the type names get their value in `inner`."""
    shape = value.type.shape
    wanted: list[Dim] = []
    for pattern, dim in zip(declared.dims, shape, strict=False):
        if isinstance(pattern, ast.Name) and pattern.text not in inner.dims and pattern.text not in context.values:
            inner.dims[pattern.text] = dim
        found = dim_of(context, pattern, inner)
        if found is None:
            return False
        wanted.append(found)
    if declared.name.text not in SPACES:
        return space_of(context, declared, inner, data=True) is not None
    kind = SPACES[declared.name.text].kind
    if len(shape) == len(declared.dims) and wanted == list(shape) and value.type.kind <= kind:
        return True
    shown = f"{kind}[{', '.join(d.span.text for d in declared.dims)}]" if declared.dims else str(kind)
    code = "E0302" if value.type.kind > kind else "E0303" if len(shape) != len(declared.dims) else "E0301"
    context.error(
        code, f"`{parameter.name.text}` of `{name}` is {shown}, and this is {value.type}", value.span,
        related=[Label(parameter.span, "declared here")],
        fix="leave the parameter's type away, and the function takes arrays of every shape" if code != "E0302" else "",
    )  # fmt: skip
    return False


# --- the functions of the language ------------------------------------------------------------------------------


def _function(
    name: str, parameters: str, doc: str, static: str = ""
) -> Callable[[Callable[..., Found]], Callable[..., Found]]:
    def register(make: Callable[..., Found]) -> Callable[..., Found]:
        FUNCTIONS[name] = Function(tuple(parameters.split()), tuple(static.split()), make, doc)
        return make

    return register


def _elementwise(name: str, operation: str, parameters: str, doc: str) -> None:
    def make(context: Context, values: list[Expr], site: Site) -> Found:
        return apply(context, operation, values, site.span)

    FUNCTIONS[name] = Function(tuple(parameters.split()), (), make, doc)


for _name in [
    "exp",
    "log",
    "log1p",
    "expm1",
    "sqrt",
    "sin",
    "cos",
    "tan",
    "asin",
    "acos",
    "atan",
    "sinh",
    "cosh",
    "tanh",
    "erf",
    "erfc",
    "lgamma",
    "digamma",
    "logit",
    "inv_logit",
    "log_inv_logit",
    "softplus",
    "std_normal_cdf",
    "log_std_normal_cdf",
    "log_bessel_i0",
    "log_bessel_i0e",
    "abs",
    "sign",
    "floor",
    "ceil",
    "round",
]:
    _elementwise(_name, _name, "x", "elementwise")
_elementwise("sigmoid", "inv_logit", "x", "1 / (1 + exp(-x)), elementwise")
for _name in ("atan2", "logaddexp", "lbeta", "minimum", "maximum"):
    _elementwise(_name, _name, "x y", "elementwise")
_elementwise("kl_div", "kl_div", "x y", "x log(x / y) - x + y, without cancellation, elementwise")
_elementwise("kl_div_log", "kl_div_log", "x log_y", "kl_div(x, exp(log_y)), elementwise")
_elementwise(
    "stirling_excess", "stirling_excess", "x", "lgamma(x + 1) - x log(x) + x, without cancellation, elementwise"
)


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


def _reduction(name: str, doc: str) -> None:
    def make(context: Context, values: list[Expr], site: Site) -> Found:
        (value,) = values
        rank = len(value.type.shape)
        if rank == 0:
            return context.error(
                "E0303", f"`{name}` takes an array, and this is one number", site.span,
                fix="use `minimum(a, b)` and `maximum(a, b)` for two numbers" if name in ("min", "max")
                else f"remove `{name}(…)`, or give it an array",
            )  # fmt: skip
        axes = tuple(range(site.generated or rank))
        if "axis" in site.static and site.generated:
            return context.error(
                "E0206", f"`{name}` of a generator is over what it runs over, and takes no axis", site.static["axis"].span,
                fix=f"make an array of it: `{name}([for … in …: …], axis = …)`",
            )  # fmt: skip
        if "axis" in site.static:
            node = site.static["axis"]
            nodes = node.items if isinstance(node, ast.Tuple | ast.Array) else (node,)
            found = [_axis(context, n, value) for n in nodes]
            if None in found:
                return POISON
            axes = tuple(sorted({a for a in found if a is not None}))
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


@_function(
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
_along("softmax", "exp(x) over its sum along an axis")
_along("log_softmax", "x minus its log-sum-exp along an axis")


@_function("reverse", "x axis", "an axis turned round", "axis")
def _reverse(context: Context, values: list[Expr], site: Site) -> Found:
    (value,) = values
    axis = _one_axis(context, value, site, "reverse")
    if axis is None:
        return POISON
    dim = value.type.shape[axis]
    order = Apply(Type(Kind.INT, (dim,)), site.span, "iota", (), (dim,), range=Range(Dim.of(0), dim - 1))
    last = literal(0, site.span) if dim.constant is None else literal(dim.constant - 1, site.span)
    if dim.constant is None:
        from energylang.ir.nodes import DimValue

        last = DimValue(Type(Kind.INT), site.span, dim - 1, range=Range(dim - 1, dim - 1))
    flipped = apply(context, "sub", [last, order], site.span)
    if isinstance(flipped, Poison):
        return POISON
    whole = tuple(("slice", Dim.of(0), d, 1) for d in value.type.shape[:axis])
    return apply(context, "index", [value, flipped], site.span, (*whole, ("at",)))


@_function("transpose", "x", "the last two axes exchanged")
def _transpose(context: Context, values: list[Expr], site: Site) -> Found:
    rank = len(values[0].type.shape)
    if rank < 2:
        return context.error("E0303", f"`transpose` takes a matrix, and this is {values[0].type}", site.span)
    order = (*range(rank - 2), rank - 1, rank - 2)
    return apply(context, "transpose", values, site.span, order)


@_function("reshape", "x shape", "the same entries in another shape: `reshape(x, [n, 2])`", "shape")
def _reshape(context: Context, values: list[Expr], site: Site) -> Found:
    shape = _shape(context, "shape", site)
    return POISON if shape is None else apply(context, "reshape", values, site.span, shape)


def _shape(context: Context, name: str, site: Site) -> tuple[Dim, ...] | None:
    node = site.static.get(name)
    if node is None:
        context.error("E0206", "a shape is needed", site.span, fix="write `[n]` or `[n, m]`")
        return None
    nodes = node.items if isinstance(node, ast.Array | ast.Tuple) else (node,)
    dims = [known_dim(context, n, site.scope) for n in nodes]
    known = tuple(d for d in dims if d is not None)
    return known if len(known) == len(dims) else None


@_function("concatenate", "x axis", "joins arrays along an axis: `concatenate((a, b), axis = 0)`", "axis")
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


@_function("zeros", "shape", "an array of zeros: `zeros([n, m])`", "shape")
def _zeros(context: Context, values: list[Expr], site: Site) -> Found:
    shape = _shape(context, "shape", site)
    return POISON if shape is None else apply(context, "broadcast", [literal(0.0, site.span)], site.span, shape)


@_function("ones", "shape", "an array of ones: `ones([n, m])`", "shape")
def _ones(context: Context, values: list[Expr], site: Site) -> Found:
    shape = _shape(context, "shape", site)
    return POISON if shape is None else apply(context, "broadcast", [literal(1.0, site.span)], site.span, shape)


@_function("range", "n", "the integers 0 to n - 1", "n")
def _range(context: Context, values: list[Expr], site: Site) -> Found:
    dims = _shape(context, "n", site)
    return POISON if dims is None else apply(context, "iota", [], site.span, dims[:1])


@_function("dot", "x y", "the sum of products of two vectors")
def _dot(context: Context, values: list[Expr], site: Site) -> Found:
    for value in values:
        if len(value.type.shape) != 1:
            return context.error(
                "E0303", f"`dot` takes vectors, and this is {value.type}", site.span, related=[Label(value.span, f"this is {value.type}")],
                fix="`@` multiplies matrices; `sum(a * b)` works for any shape",
            )  # fmt: skip
    if values[0].type.shape != values[1].type.shape:
        return apply(context, "matmul", values, site.span)
    product = apply(context, "mul", values, site.span)
    return POISON if isinstance(product, Poison) else apply(context, "sum", [product], site.span, (0,))


@_function("norm2", "x", "the sum of squares")
def _norm2(context: Context, values: list[Expr], site: Site) -> Found:
    squared = apply(context, "mul", [values[0], values[0]], site.span)
    if isinstance(squared, Poison) or not squared.type.shape:
        return squared
    return apply(context, "sum", [squared], site.span, tuple(range(len(squared.type.shape))))


@_function("outer", "x y", "the matrix of products of two vectors")
def _outer(context: Context, values: list[Expr], site: Site) -> Found:
    for value in values:
        if len(value.type.shape) != 1:
            return context.error("E0303", f"`outer` takes vectors, and this is {value.type}", site.span)
    one = Dim.of(1)
    column = apply(context, "reshape", [values[0]], site.span, (values[0].type.shape[0], one))
    row = apply(context, "reshape", [values[1]], site.span, (one, values[1].type.shape[0]))
    return (
        POISON
        if isinstance(column, Poison) or isinstance(row, Poison)
        else apply(context, "mul", [column, row], site.span)
    )


@_function("cholesky", "a", "the lower triangular L with L @ transpose(L) = a")
def _cholesky(context: Context, values: list[Expr], site: Site) -> Found:
    return apply(context, "cholesky", values, site.span)


@_function("triangular_solve", "L b", "the x with L @ x = b, where L is lower triangular")
def _triangular_solve(context: Context, values: list[Expr], site: Site) -> Found:
    rank = len(values[1].type.shape)
    if rank not in (1, 2) or len(values[0].type.shape) != 2:
        return context.error(
            "E0303", "`triangular_solve` takes a matrix, and a vector or a matrix", site.span,
            related=[Label(v.span, f"this is {v.type}") for v in values],
        )  # fmt: skip
    return apply(context, "triangular_solve", values, site.span, (rank - 1,))


@_function("diagonal", "a", "the diagonal of a square matrix")
def _diagonal(context: Context, values: list[Expr], site: Site) -> Found:
    shape = values[0].type.shape
    if len(shape) != 2 or shape[0] != shape[1]:
        return context.error("E0303", f"`diagonal` takes a square matrix, and this is {values[0].type}", site.span)
    places = Apply(
        Type(Kind.INT, (shape[0],)), site.span, "iota", (), (shape[0],), range=Range(Dim.of(0), shape[0] - 1)
    )
    return apply(context, "index", [values[0], places, places], site.span, (("at",), ("at",)))
