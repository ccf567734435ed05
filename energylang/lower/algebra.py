"""Linear algebra, and what works along an axis, over numpy and JAX."""

from __future__ import annotations

from typing import Any

from energylang.lower.backend import Backend, Implementation


def _matmul(b: Backend, x: Any, y: Any) -> Any:
    return b.xp.matmul(x, y)


def _cholesky(b: Backend, x: Any) -> Any:
    """NaN where the matrix is not positive definite, as JAX has it."""
    if b.name == "jax":
        return b.xp.linalg.cholesky(x)
    xp = b.xp
    found = xp.full(x.shape, xp.nan)
    for place in xp.ndindex(x.shape[:-2]):
        try:
            found[place] = xp.linalg.cholesky(x[place])
        except xp.linalg.LinAlgError:
            continue
    return found


def _triangular_solve(b: Backend, lower: Any, right: Any, columns: int) -> Any:
    """The solution of `lower @ x = right`; the upper triangle is not read."""
    xp = b.xp
    lower, right = xp.asarray(lower) * 1.0, xp.asarray(right) * 1.0
    kind = xp.result_type(lower, right)
    lower, right = lower.astype(kind), right.astype(kind)
    if lower.ndim == 2 and not columns:
        # One matrix, and each vector of a batch is a column.
        flat = right.reshape((-1, right.shape[-1]))
        return _solve(b, lower, flat.T).T.reshape(right.shape)
    right = right if columns else right[..., None]
    batch = xp.broadcast_shapes(lower.shape[:-2], right.shape[:-2])
    wide = xp.broadcast_to(lower, (*batch, *lower.shape[-2:])), xp.broadcast_to(right, (*batch, *right.shape[-2:]))
    found = _solve(b, *wide)
    return found if columns else found[..., 0]


def _solve(b: Backend, lower: Any, right: Any) -> Any:
    if b.name == "jax":
        import jax

        return jax.lax.linalg.triangular_solve(lower, right, left_side=True, lower=True)
    return b.xp.linalg.solve(b.xp.tril(lower), right)


def _inverse(b: Backend, x: Any) -> Any:
    return _whole(b, "inv", x)


def _whole(b: Backend, name: str, *arrays: Any) -> Any:
    """A routine of `linalg`; NaN where numpy says that a matrix is singular, as JAX has it."""
    xp = b.xp
    arrays = tuple(xp.asarray(a) * 1.0 for a in arrays)
    if b.name == "jax":
        return getattr(xp.linalg, name)(*arrays)
    try:
        return getattr(xp.linalg, name)(*arrays)
    except xp.linalg.LinAlgError:
        return xp.full(arrays[-1].shape, xp.nan)


def _linear_solve(b: Backend, a: Any, right: Any, columns: int) -> Any:
    """The solution of `a @ x = right`, for a vector or the columns of a matrix."""
    xp = b.xp
    right = right if columns else xp.asarray(right)[..., None]
    found = _whole(b, "solve", a, right)
    return found if columns else found[..., 0]


def _determinant(b: Backend, x: Any) -> Any:
    return b.xp.linalg.det(b.xp.asarray(x) * 1.0)


def _log_determinant(b: Backend, x: Any) -> Any:
    return b.xp.linalg.slogdet(b.xp.asarray(x) * 1.0)[1]


def _eigh(b: Backend, x: Any) -> Any:
    values, vectors = b.xp.linalg.eigh(b.xp.asarray(x) * 1.0)
    return b.xp.concatenate([values[..., None, :], vectors], axis=-2)


def _along(name: str) -> Implementation:
    return lambda b, x, axis: getattr(b.xp, name)(b.xp.asarray(x), axis=axis)


ALGEBRA: dict[str, Implementation] = {
    "matmul": _matmul,
    "cholesky": _cholesky,
    "triangular_solve": _triangular_solve,
    "solve": _linear_solve,
    "inverse": _inverse,
    "determinant": _determinant,
    "log_determinant": _log_determinant,
    "eigh": _eigh,
    **{name: _along(name) for name in ("cumprod", "sort", "argmax", "argmin")},
}
