"""Functions of linear algebra."""

from __future__ import annotations

from energylang.check.context import POISON, Context, Found, Poison
from energylang.check.expressions import apply
from energylang.check.registry import Site, function
from energylang.diagnostics import Label
from energylang.ir.nodes import Apply, Expr
from energylang.ir.types import Dim, Kind, Range, Type


@function("transpose", "x", "the last two axes exchanged")
def _transpose(context: Context, values: list[Expr], site: Site) -> Found:
    rank = len(values[0].type.shape)
    if rank < 2:
        return context.error("E0303", f"`transpose` takes a matrix, and this is {values[0].type}", site.span)
    order = (*range(rank - 2), rank - 1, rank - 2)
    return apply(context, "transpose", values, site.span, order)


@function("dot", "x y", "the sum of products of two vectors")
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


@function("norm2", "x", "the sum of squares")
def _norm2(context: Context, values: list[Expr], site: Site) -> Found:
    squared = apply(context, "mul", [values[0], values[0]], site.span)
    if isinstance(squared, Poison) or not squared.type.shape:
        return squared
    return apply(context, "sum", [squared], site.span, tuple(range(len(squared.type.shape))))


@function("outer", "x y", "the matrix of products of two vectors")
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


@function("cholesky", "a", "the lower triangular L with L @ transpose(L) = a")
def _cholesky(context: Context, values: list[Expr], site: Site) -> Found:
    return apply(context, "cholesky", values, site.span)


@function("triangular_solve", "L b", "the x with L @ x = b, where L is lower triangular")
def _triangular_solve(context: Context, values: list[Expr], site: Site) -> Found:
    rank = len(values[1].type.shape)
    if rank not in (1, 2) or len(values[0].type.shape) != 2:
        return context.error(
            "E0303", "`triangular_solve` takes a matrix, and a vector or a matrix", site.span,
            related=[Label(v.span, f"this is {v.type}") for v in values],
        )  # fmt: skip
    return apply(context, "triangular_solve", values, site.span, (rank - 1,))


@function("diagonal", "a", "the diagonal of a square matrix")
def _diagonal(context: Context, values: list[Expr], site: Site) -> Found:
    shape = values[0].type.shape
    if len(shape) != 2 or shape[0] != shape[1]:
        return context.error("E0303", f"`diagonal` takes a square matrix, and this is {values[0].type}", site.span)
    places = Apply(
        Type(Kind.INT, (shape[0],)), site.span, "iota", (), (shape[0],), range=Range(Dim.of(0), shape[0] - 1)
    )
    return apply(context, "index", [values[0], places, places], site.span, (("at",), ("at",)))
