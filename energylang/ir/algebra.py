"""Reductions, what works along an axis, and linear algebra: how these operations are typed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from energylang.ir.nodes import Expr
from energylang.ir.operations import OperationError, Rule, broadcast_shapes, define, mismatch
from energylang.ir.types import ANYWHERE, NONNEGATIVE, POSITIVE, Dim, Kind, Range, Shape, Type, show_shape


def _reduced(shape: Shape, axes: tuple[int, ...]) -> Shape:
    return tuple(d for i, d in enumerate(shape) if i not in axes)


def _reduce(name: str) -> Rule:
    """attributes: the axes, counted from 0."""

    def rule(arguments: Sequence[Expr], attributes: tuple[Any, ...]) -> tuple[Type, Range]:
        (a,) = arguments
        shape = _reduced(a.type.shape, attributes)
        if name in ("any", "all"):
            if a.type.kind is not Kind.BOOL:
                raise OperationError(
                    "E0302",
                    f"`{name}` takes bool values, and this is {a.type.kind}",
                    blame=(0,),
                    fix="compare it first",
                )
            return Type(Kind.BOOL, shape), Range(Dim.of(0), Dim.of(1))
        if name in ("mean", "logsumexp"):
            return Type(Kind.REAL, shape), a.range if name == "mean" else ANYWHERE
        low = a.range.number_low()
        found = ANYWHERE
        if name in ("max", "min"):
            found = a.range
        elif low is not None and low >= 0:
            sizes = [a.type.shape[i].constant for i in attributes]
            filled = bool(sizes) and all(s is not None and s > 0 for s in sizes)
            found = POSITIVE if a.range.open_low and filled else NONNEGATIVE
        return Type(max(Kind.INT, a.type.kind), shape), found

    return rule


def _matmul(name: str) -> Rule:
    """Vectors, matrices, and batches of matrices that broadcast against each other."""

    def rule(arguments: Sequence[Expr], attributes: tuple[Any, ...]) -> tuple[Type, Range]:
        a, b = (x.type.shape for x in arguments)
        for i, shape in enumerate((a, b)):
            if not shape:
                raise OperationError(
                    "E0303",
                    "`@` takes vectors and matrices, and this has 0 axes",
                    blame=(i,),
                    fix="use `*` for scalars",
                )
        inner_a, inner_b = a[-1], b[-2:][0]
        if inner_a != inner_b:
            raise OperationError(
                "E0301",
                f"cannot multiply {show_shape(a)} by {show_shape(b)}",
                blame=(0, 1),
                cause=mismatch(inner_a, inner_b),
                fix="transpose one side, or rename the dim",
            )
        kind = max(Kind.INT, *(x.type.kind for x in arguments))
        batch = broadcast_shapes([a[:-2], b[:-2]])
        return Type(kind, (*batch, *a[-2:-1], *(b[-1:] if len(b) > 1 else ()))), ANYWHERE

    return rule


def _square(arguments: Sequence[Expr], name: str) -> Shape:
    """The shape of the first argument, which is a square matrix, or a batch of them."""
    shape = arguments[0].type.shape
    if len(shape) < 2:
        raise OperationError("E0303", f"`{name}` takes a matrix, and this is {arguments[0].type}", blame=(0,))
    if shape[-2] != shape[-1]:
        raise OperationError(
            "E0301",
            f"`{name}` takes a square matrix, and this is {show_shape(shape[-2:])}",
            blame=(0,),
            cause=mismatch(shape[-2], shape[-1]),
        )
    return shape


def _cholesky(name: str) -> Rule:
    return lambda arguments, attributes: (Type(Kind.REAL, _square(arguments, name)), ANYWHERE)


def _triangular_solve(name: str) -> Rule:
    """attributes: (columns,), 1 where the right-hand side is a matrix, 0 where it is a vector; batches before it."""

    def rule(arguments: Sequence[Expr], attributes: tuple[Any, ...]) -> tuple[Type, Range]:
        (columns,) = attributes
        shape = _square(arguments, name)
        right = arguments[1].type.shape
        if right[-1 - columns] != shape[-1]:
            raise OperationError(
                "E0301",
                f"`{name}` of {show_shape(shape)} and {show_shape(right)} does not fit",
                blame=(0, 1),
                cause=mismatch(shape[-1], right[-1 - columns]),
            )
        batch = broadcast_shapes([shape[:-2], right[: len(right) - 1 - columns]])
        return Type(Kind.REAL, (*batch, *right[len(right) - 1 - columns :])), ANYWHERE

    return rule


def _along(name: str) -> Rule:
    """attributes: (axis,)."""

    def rule(arguments: Sequence[Expr], attributes: tuple[Any, ...]) -> tuple[Type, Range]:
        a = arguments[0]
        kind = max(Kind.INT, a.type.kind) if name in ("cumsum", "cumprod", "sort") else Kind.REAL
        return Type(kind, a.type.shape), Range(
            0.0, 1.0
        ) if name == "softmax" else a.range if name == "sort" else ANYWHERE

    return rule


def _iota(name: str) -> Rule:
    """attributes: (size,)."""
    return lambda arguments, attributes: (Type(Kind.INT, (attributes[0],)), Range(Dim.of(0), attributes[0] - 1))


def _one_number(name: str) -> Rule:
    """Of each matrix of a batch."""
    return lambda arguments, attributes: (Type(Kind.REAL, _square(arguments, name)[:-2]), ANYWHERE)


def _eigh(name: str) -> Rule:
    """The eigenvalues in the first row, below them the matrix whose columns are the eigenvectors."""

    def rule(arguments: Sequence[Expr], attributes: tuple[Any, ...]) -> tuple[Type, Range]:
        shape = _square(arguments, name)
        return Type(Kind.REAL, (*shape[:-2], shape[-1] + 1, shape[-1])), ANYWHERE

    return rule


def _extreme_place(name: str) -> Rule:
    """attributes: (axis,)."""

    def rule(arguments: Sequence[Expr], attributes: tuple[Any, ...]) -> tuple[Type, Range]:
        shape = arguments[0].type.shape
        found = Range(Dim.of(0), shape[attributes[0]] - 1)
        return Type(Kind.INT, _reduced(shape, attributes)), found

    return rule


define("sum prod mean max min any all logsumexp", "reduce", 1, _reduce)
define("matmul", "linear", 2, _matmul)
define("cholesky inverse", "other", 1, _cholesky)
define("triangular_solve solve", "other", 2, _triangular_solve)
define("determinant log_determinant", "other", 1, _one_number)
define("eigh", "other", 1, _eigh)
define("argmax argmin", "reduce", 1, _extreme_place)
define("cumsum cumprod sort softmax log_softmax", "along", 1, _along)
define("iota", "other", 0, _iota)
