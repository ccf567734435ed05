"""Type expressions to spaces, and dims: solved from data, or refused."""

from __future__ import annotations

from energylang.check.bounds import interval
from energylang.check.constants import const, evaluate
from energylang.check.context import Context, Poison, Scope, did_you_mean
from energylang.check.suggestions import SPACES_ELSEWHERE
from energylang.diagnostics import Label
from energylang.ir.nodes import Expr
from energylang.ir.types import LATER_SPACES, SPACES, Dim, Range, Shape, Space
from energylang.source import Span
from energylang.syntax import ast

LARGEST_DIM = 2**48


def space_of(context: Context, node: ast.TypeExpression, scope: Scope, *, data: bool = False) -> Space | None:
    """The space a type expression means; None after a diagnostic."""
    name = node.name.text
    if name not in SPACES:
        if name in LATER_SPACES:
            context.not_yet(f"the space `{name}` is", node.name.span)
        else:
            context.error("E0403", f"`{name}` is not a space", node.name.span, fix=_meant(node, data))
        return None
    info = SPACES[name]
    if info.data_only and not data:
        context.error(
            "E0404",
            f"`{name}` is a type of data, not a space of variables",
            node.name.span,
            fix="use `binary`, `spin` or `cat(k)` for a discrete variable",
        )
        return None
    if len(node.arguments) != info.arguments:
        example = {"interval": "interval(0, 1)", "cat": "cat(4)"}.get(name, name)
        cause = ""
        if name == "cat" and len(node.dims) == 1 and not node.arguments:
            example = f"cat({node.dims[0].span.text})"
            cause = "round brackets hold the number of values, square brackets the shape: `cat(4)[n]`"
        context.error(
            "E0404",
            f"`{name}` takes {info.arguments or 'no'} argument{'s' if info.arguments != 1 else ''}, not {len(node.arguments)}",
            node.span,
            cause=cause,
            fix=f"write `{example}`",
        )
        return None
    dims = [dim_of(context, d, scope) for d in node.dims]
    shape: Shape = tuple(d for d in dims if d is not None)
    if len(shape) < len(dims):
        return None
    if len(shape) < info.declared_rank:
        context.error(
            "E0404",
            f"`{name}` needs its size in brackets",
            node.span,
            fix=f"write `{name}[k]` with the number of entries",
        )
        return None
    if name == "cat":
        return _categorical(context, node, shape, scope)
    if name == "interval":
        return interval(context, node, shape, scope)
    return Space(name, (*shape, shape[-1]) if info.square else shape)


_SHAPED = {"vector": 1, "row_vector": 1, "array": 1, "list": 1, "matrix": 2, "tensor": 2}


def _meant(node: ast.TypeExpression, data: bool) -> str:
    """What to write instead of a space that there is not."""
    name = node.name.text
    axes = _SHAPED.get(name)
    if axes is not None:
        dims = [d.span.text for d in node.dims] or ["n", "m"][:axes]
        return f"write `real[{', '.join(dims)}]`"
    if name in SPACES_ELSEWHERE:
        return f"here it is `{SPACES_ELSEWHERE[name]}`"
    known = [n for n, info in SPACES.items() if data or not info.data_only]
    return did_you_mean(name, known) or f"the spaces are {', '.join(known)}"


def _categorical(context: Context, node: ast.TypeExpression, shape: Shape, scope: Scope) -> Space | None:
    cardinality = dim_of(context, node.arguments[0], scope)
    if cardinality is None:
        return None
    if cardinality.constant is not None and cardinality.constant < 1:
        context.error("E0404", f"`cat({cardinality})` has no values", node.arguments[0].span, fix="give at least 1")
        return None
    return Space("cat", shape, cardinality=cardinality)


def dim_of(context: Context, node: ast.Expression, scope: Scope) -> Dim | None:
    """A dim: integers, int consts, data ints, dim names, and +, -, * of these. None after a diagnostic."""
    found = _dim(context, node, scope)
    if found is not None and found.constant is not None and not 0 <= found.constant <= LARGEST_DIM:
        context.error(
            "E0306", f"an axis cannot have size {found}", node.span,
            fix="sizes are at least 0" if found.constant < 0 else "give a smaller size",
        )  # fmt: skip
        return None
    return found


def known_dim(context: Context, node: ast.Expression, scope: Scope) -> Dim | None:
    """A dim used in an expression: its names must be fixed elsewhere. None after a diagnostic."""
    found = dim_of(context, node, scope)
    if found is None:
        return None
    here = {n for d in scope.dims.values() for n in d.names}
    for name in sorted(found.names - context.solvable - here):
        context.error(
            "E0305", f"the dim `{name}` has no value", node.span, cause=f"no data has `{name}` as one of its dims",
            fix=did_you_mean(name, [*context.solvable, *here, *context.values]) or f"declare it: `const {name} = …`",
        )  # fmt: skip
        return None
    return found


def _dim(context: Context, node: ast.Expression, scope: Scope) -> Dim | None:
    match node:
        case ast.Number(value=int(value)):
            return Dim.of(value)
        case ast.Name(text=name, qualifier=str()):
            module = context.member(node)
            return None if isinstance(module, Poison) else _dim(module, ast.Name(node.span, name), module.top)
        case ast.Name(text=name):
            if name in scope.dims:
                return scope.dims[name]
            if scope.local(name):
                context.error(
                    "E0211", f"a size may not depend on `{name}`", node.span, cause="it differs from turn to turn, and arrays have one size",
                    fix="take the largest size, and select with `if`",
                )  # fmt: skip
                return None
            declaration = context.values.get(name)
            if isinstance(declaration, ast.Const):
                value = const(context, name)
                if value is None:
                    return None
                if isinstance(value, bool) or not isinstance(value, int):
                    context.error(
                        "E0306", f"`{name}` is {value}, and a size is an integer", node.span,
                        related=[Label(declaration.name.span, f"`{name}` is declared here")], fix=f"give it an integer: `const {name} = 3`",
                    )  # fmt: skip
                    return None
                return Dim.of(value)
            if (
                isinstance(declaration, ast.Data)
                and declaration.type.name.text in ("int", "count")
                and not declaration.type.dims
            ):
                context.solvable.add(context.full(name))
                return Dim.of(context.full(name))
            if declaration is not None:
                context.error(
                    "E0306",
                    f"`{name}` cannot be a size",
                    node.span,
                    fix="sizes are consts, data ints, or names of their own",
                )
                return None
            context.dim_sites.setdefault(context.full(name), node.span)
            return Dim.of(context.full(name))
        case ast.Binary(operator="+" | "-" | "*" as operator, left=left, right=right):
            a, b = _dim(context, left, scope), _dim(context, right, scope)
            if a is None or b is None:
                return None
            return a + b if operator == "+" else a - b if operator == "-" else a * b
    value = evaluate(context, node, quiet=True)
    if isinstance(value, int) and not isinstance(value, bool):
        return Dim.of(value)
    context.error(
        "E0306", "this is not a size", node.span, fix="sizes are integers, consts, dim names, and +, -, * of these"
    )
    return None


def names_in(node: ast.Expression) -> list[str]:
    """The names in an expression of a size."""
    match node:
        case ast.Name(text=name):
            return [name]
        case ast.Unary(operand=operand):
            return names_in(operand)
        case ast.Binary(left=left, right=right):
            return [*names_in(left), *names_in(right)]
    return []


def require_solvable(
    context: Context, shape: Shape, cardinality: Dim | None, span: Span, what: str, extra: frozenset[str]
) -> bool:
    """Report dims whose names no data fix. `extra` are names fixed otherwise (by conditions that a task binds)."""
    names = {n for d in (*shape, *([cardinality] if cardinality else [])) for n in d.names}
    missing = sorted(names - context.solvable - extra)
    for name in missing:
        context.error(
            "E0305",
            f"the dim `{name}` of `{what}` has no value",
            context.dim_sites.get(name, span),
            cause=f"no data has `{name}` as one of its dims",
            fix=did_you_mean(name, [*context.solvable, *context.values])
            or f"declare it: `const {name} = …`, or use it in a `data`",
        )
    return not missing


LEVELS = Range(0.0, 1.0)
"""Both ends are levels: the data, and the noise."""


def within(context: Context, value: Expr) -> bool:
    """Whether a value may be a level; False after a diagnostic."""
    low, high = value.range.number_low(), value.range.number_high()
    if (high is not None and high < 0) or (low is not None and low > 1):
        context.error(
            "E0241", "this is no level", value.span, cause="levels run from 0, the data, to 1, the noise",
            fix="a step k of a schedule with n levels is the level k / n",
        )  # fmt: skip
        return False
    return True
