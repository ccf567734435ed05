"""Functions of linear algebra."""

from __future__ import annotations

from energylang.check.arrays import shape_of
from energylang.check.context import POISON, Context, Found, Meaning, Poison, Several, literal
from energylang.check.expressions import apply
from energylang.check.generators import indices
from energylang.check.registry import Site, function
from energylang.diagnostics import Label
from energylang.ir.nodes import Expr
from energylang.ir.types import Dim


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
    places = indices(shape[0], site.span)
    return apply(context, "index", [values[0], places, places], site.span, (("at",), ("at",)))


@function("solve", "a b", "the x with a @ x = b, for a square matrix a and a vector or the columns of a matrix b")
def _solve(context: Context, values: list[Expr], site: Site) -> Found:
    rank = len(values[1].type.shape)
    if rank not in (1, 2) or len(values[0].type.shape) != 2:
        return context.error(
            "E0303", "`solve` takes a matrix, and a vector or a matrix", site.span,
            related=[Label(v.span, f"this is {v.type}") for v in values],
        )  # fmt: skip
    return apply(context, "solve", values, site.span, (rank - 1,))


def _of_matrix(name: str, doc: str) -> None:
    def make(context: Context, values: list[Expr], site: Site) -> Found:
        return apply(context, name, values, site.span)

    function(name, "a", doc)(make)


_of_matrix("inverse", "the inverse of a square matrix; `solve(a, b)` is more exact than `inverse(a) @ b`")
_of_matrix("determinant", "the determinant of a square matrix")
_of_matrix("log_determinant", "the log of the absolute value of the determinant of a square matrix")


@function(
    "eigh",
    "a",
    "the eigenvalues of a symmetric matrix, increasing, and its eigenvectors as columns: `let (values, vectors) = eigh(a)`",
)
def _eigh(context: Context, values: list[Expr], site: Site) -> Meaning:
    both = apply(context, "eigh", values, site.span)
    if isinstance(both, Poison):
        return POISON
    n = both.type.shape[-1]
    whole = tuple(("slice", Dim.of(0), d, 1) for d in both.type.shape[:-2])
    eigenvalues = apply(context, "index", [both, literal(0, site.span)], site.span, (*whole, ("at",)))
    vectors = apply(context, "index", [both], site.span, (*whole, ("slice", Dim.of(1), n + 1, 1)))
    if isinstance(eigenvalues, Poison) or isinstance(vectors, Poison):
        return POISON
    return Several((eigenvalues, vectors), site.span)


@function("identity", "n", "the identity matrix of n rows", "n")
def _identity(context: Context, values: list[Expr], site: Site) -> Found:
    shape = shape_of(context, "n", site)
    return POISON if shape is None else _diagonal_of(context, literal(1.0, site.span), shape[0], site)


@function("diagonal_matrix", "x", "the matrix with a vector on its diagonal")
def _diagonal_matrix(context: Context, values: list[Expr], site: Site) -> Found:
    shape = values[0].type.shape
    if len(shape) != 1:
        return context.error("E0303", f"`diagonal_matrix` takes a vector, and this is {values[0].type}", site.span)
    return _diagonal_of(context, values[0], shape[0], site)


def _diagonal_of(context: Context, value: Expr, n: Dim, site: Site) -> Found:
    row = indices(n, site.span)
    column = apply(context, "reshape", [row], site.span, (n, Dim.of(1)))
    same = POISON if isinstance(column, Poison) else apply(context, "eq", [column, row], site.span)
    return (
        POISON
        if isinstance(same, Poison)
        else apply(context, "where", [same, value, literal(0.0, site.span)], site.span)
    )


@function("trace", "a", "the sum of the diagonal of a square matrix")
def _trace(context: Context, values: list[Expr], site: Site) -> Found:
    entries = _diagonal(context, values, site)
    return apply(context, "sum", [entries], site.span, (0,)) if isinstance(entries, Expr) else POISON


@function("quadratic_form", "a x", "x @ a @ x")
def _quadratic_form(context: Context, values: list[Expr], site: Site) -> Meaning:
    a, x = values
    product = apply(context, "matmul", [a, x], site.span)
    return POISON if isinstance(product, Poison) else _dot(context, [x, product], site)


@function("norm", "x", "the square root of the sum of squares")
def _norm(context: Context, values: list[Expr], site: Site) -> Found:
    squares = _norm2(context, values, site)
    return apply(context, "sqrt", [squares], site.span) if isinstance(squares, Expr) else POISON


@function("cross", "x y", "the cross product of two vectors of 3 entries")
def _cross(context: Context, values: list[Expr], site: Site) -> Found:
    for value in values:
        if value.type.shape != (Dim.of(3),):
            return context.error("E0303", f"`cross` takes vectors of 3 entries, and this is {value.type}", site.span)
    turned = [apply(context, "roll", [v], site.span, (shift, 0)) for shift in (-1, 1) for v in values]
    known = [t for t in turned if not isinstance(t, Poison)]
    x_next, y_next, x_last, y_last = known
    products = [apply(context, "mul", pair, site.span) for pair in ([x_next, y_last], [x_last, y_next])]
    parts = [p for p in products if not isinstance(p, Poison)]
    return apply(context, "sub", parts, site.span) if len(parts) == 2 else POISON


# --- covariances ------------------------------------------------------------------------------------------------


@function(
    "squared_distance",
    "x y",
    "of every point of x to every point of y: their first axes; numbers, or vectors of one length",
)
def _squared_distance(context: Context, values: list[Expr], site: Site) -> Found:
    one = Dim.of(1)
    spread = []
    for place, value in enumerate(values):
        if len(value.type.shape) not in (1, 2):
            return context.error(
                "E0303", f"`squared_distance` takes points as [n] or [n, d], and this is {value.type}", site.span,
                related=[Label(value.span, f"this is {value.type}")],
            )  # fmt: skip
        n, *rest = value.type.shape
        spread.append(apply(context, "reshape", [value], site.span, (n, one, *rest) if place == 0 else (one, n, *rest)))
    known = [s for s in spread if not isinstance(s, Poison)]
    if len(known) < 2:
        return POISON
    difference = apply(context, "sub", known, site.span)
    squares = (
        POISON
        if isinstance(difference, Poison)
        else apply(context, "pow", [difference, literal(2, site.span)], site.span)
    )
    if isinstance(squares, Poison) or len(squares.type.shape) == 2:
        return squares
    return apply(context, "sum", [squares], site.span, (2,))


@function(
    "exp_quad", "x alpha rho", "the matrix alpha^2 exp(-d^2 / (2 rho^2)) of the distances d between the points of x"
)
def _exp_quad(context: Context, values: list[Expr], site: Site) -> Found:
    x, alpha, rho = values
    distance = _squared_distance(context, [x, x], site)
    if not isinstance(distance, Expr):
        return POISON
    squares = [apply(context, "pow", [v, literal(2, site.span)], site.span) for v in (alpha, rho)]
    known = [s for s in squares if not isinstance(s, Poison)]
    if len(known) < 2:
        return POISON
    scaled = apply(context, "div", [distance, known[1]], site.span)
    half = (
        POISON if isinstance(scaled, Poison) else apply(context, "mul", [literal(-0.5, site.span), scaled], site.span)
    )
    value = POISON if isinstance(half, Poison) else apply(context, "exp", [half], site.span)
    return POISON if isinstance(value, Poison) else apply(context, "mul", [known[0], value], site.span)
