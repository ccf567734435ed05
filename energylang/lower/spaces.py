"""Spaces on the flat unconstrained vector: one bijector a space, each with its inverse and log-Jacobian.

Maps act on the trailing event axes and broadcast over the batch before them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf, isqrt, prod
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from energylang.ir.nodes import Expr, Symbol
from energylang.lower.evaluate import evaluate
from energylang.lower.operations import JAX, Backend


@dataclass(frozen=True)
class Bijector:
    """forward: unconstrained to (constrained, summed log |Jacobian|). inverse: the way back, in the library of its argument.

    Both take the bounds, numbers or arrays that broadcast to the value. free: from the shape of a value to that of the
    unconstrained numbers.
    """

    forward: Callable[[Array, Any, Any], tuple[Array, Array]]
    inverse: Callable[[Any, Any, Any], Any]
    free: Callable[[tuple[int, ...]], tuple[int, ...]] = lambda shape: shape


def _real(u: Array, low: Any, high: Any) -> tuple[Array, Array]:
    return u, jnp.zeros((), u.dtype)


def _positive(u: Array, low: Any, high: Any) -> tuple[Array, Array]:
    return jnp.exp(u), jnp.sum(u)


def _interval(u: Array, low: Any, high: Any) -> tuple[Array, Array]:
    # log sigmoid'(u) = -|u| - 2 log(1 + exp(-|u|)), finite for every finite u
    width = high - low
    # Bounds in the wrong order make the energy infinite; the Jacobian stays a number, so that it is that and not NaN.
    log_width = jnp.log(jnp.where(width > 0, width, 1.0)) if isinstance(width, Array) else np.log(width)
    size = jnp.abs(u)
    jacobian = jnp.sum(log_width - size - 2.0 * jnp.log1p(jnp.exp(-size)))
    return low + width * jax.nn.sigmoid(u), jacobian


def _above(u: Array, low: Any, high: Any) -> tuple[Array, Array]:
    return low + jnp.exp(u), jnp.sum(u)


def _below(u: Array, low: Any, high: Any) -> tuple[Array, Array]:
    return high - jnp.exp(u), jnp.sum(u)


def _ordered(u: Array, low: Any, high: Any) -> tuple[Array, Array]:
    steps = jnp.concatenate([u[..., :1], jnp.exp(u[..., 1:])], axis=-1)
    return jnp.cumsum(steps, axis=-1), jnp.sum(u[..., 1:])


def _positive_ordered(u: Array, low: Any, high: Any) -> tuple[Array, Array]:
    return jnp.cumsum(jnp.exp(u), axis=-1), jnp.sum(u)


def _simplex(u: Array, low: Any, high: Any) -> tuple[Array, Array]:
    """Stick breaking, centred so that u = 0 is the uniform point (Stan reference manual, simplex transform)."""
    k = u.shape[-1] + 1
    shift = jnp.asarray(-np.log(np.arange(k - 1, 0, -1.0)), u.dtype)
    logits = u + shift
    log_part = jax.nn.log_sigmoid(logits)
    none = jnp.zeros((*u.shape[:-1], 1), u.dtype)
    log_rest = jnp.concatenate([none, jnp.cumsum(jax.nn.log_sigmoid(-logits), axis=-1)], axis=-1)
    before = log_rest[..., :-1]
    point = jnp.exp(jnp.concatenate([log_part + before, log_rest[..., -1:]], axis=-1))
    return point, jnp.sum(log_part + jax.nn.log_sigmoid(-logits) + before)


def _corr_cholesky(u: Array, low: Any, high: Any) -> tuple[Array, Array]:
    """Row by row, each entry a tanh of what the ones before it leave (Stan reference manual, Cholesky factors of
    correlation matrices). The log-Jacobian is that of the entries below the diagonal."""
    k = _rows_of_strict(u.shape[-1])
    below = np.tril(np.ones((k, k), bool), -1)
    matrix = _lower(u, k, -1)
    # log(1 - tanh(u)^2) = 2 log sech(u), without cancellation
    size = jnp.abs(matrix)
    log_left = jnp.where(below, 2.0 * (np.log(2.0) - size - jnp.log1p(jnp.exp(-2.0 * size))), 0.0)
    log_before = jnp.cumsum(log_left, axis=-1) - log_left
    value = (jnp.tanh(matrix) + jnp.eye(k, dtype=u.dtype)) * jnp.exp(0.5 * log_before)
    return value, jnp.sum(log_left) + 0.5 * jnp.sum(jnp.where(below, log_before, 0.0))


def _cov_cholesky(u: Array, low: Any, high: Any) -> tuple[Array, Array]:
    """The lower triangle, its diagonal by exp (Stan reference manual, Cholesky factors of covariance matrices)."""
    k = _rows_of_strict(u.shape[-1]) - 1
    matrix = _lower(u, k, 0)
    diagonal = np.eye(k, dtype=bool)
    return jnp.where(diagonal, jnp.exp(matrix), matrix), jnp.sum(jnp.where(diagonal, matrix, 0.0))


def _rows_of_strict(free: int) -> int:
    """The k of which k (k - 1) / 2 entries lie below the diagonal."""
    return (1 + isqrt(1 + 8 * free)) // 2


def _lower(u: Array, k: int, offset: int) -> Array:
    """float[…, k, k] from the entries of its triangle, row by row; zeros elsewhere."""
    rows, columns = np.tril_indices(k, offset)
    return jnp.zeros((*u.shape[:-1], k, k), u.dtype).at[..., rows, columns].set(u)


def _library(x: Any) -> Any:
    """The library of an array: draws are mapped inside programs, values of params and data on the host in float64."""
    return jnp if isinstance(x, Array) else np


def _inverse_positive(x: Any, low: Any, high: Any) -> Any:
    return _library(x).log(x)


def _inverse_interval(x: Any, low: Any, high: Any) -> Any:
    xp = _library(x)
    return xp.log(x - low) - xp.log(high - x)


def _inverse_ordered(x: Any, low: Any, high: Any) -> Any:
    xp = _library(x)
    return xp.concatenate([x[..., :1], xp.log(xp.diff(x, axis=-1))], axis=-1)


def _inverse_positive_ordered(x: Any, low: Any, high: Any) -> Any:
    xp = _library(x)
    return xp.log(xp.concatenate([x[..., :1], xp.diff(x, axis=-1)], axis=-1))


def _inverse_simplex(x: Any, low: Any, high: Any) -> Any:
    xp = _library(x)
    rest = xp.flip(xp.cumsum(xp.flip(x, -1), axis=-1), -1)[..., 1:]
    return xp.log(x[..., :-1]) - xp.log(rest) + np.log(np.arange(x.shape[-1] - 1, 0, -1.0))


def _inverse_above(x: Any, low: Any, high: Any) -> Any:
    return _library(x).log(x - low)


def _inverse_below(x: Any, low: Any, high: Any) -> Any:
    return _library(x).log(high - x)


def _inverse_corr_cholesky(x: Any, low: Any, high: Any) -> Any:
    xp = _library(x)
    # sinh(u) is the entry over the root of what is left after it, which is the sum of squares to its right.
    squares = xp.flip(xp.cumsum(xp.flip(xp.square(x), -1), axis=-1), -1)
    after = xp.concatenate([squares[..., 1:], xp.ones_like(squares[..., :1])], axis=-1)
    rows, columns = np.tril_indices(x.shape[-1], -1)
    return xp.arcsinh(x[..., rows, columns] / xp.sqrt(after[..., rows, columns]))


def _inverse_cov_cholesky(x: Any, low: Any, high: Any) -> Any:
    xp = _library(x)
    rows, columns = np.tril_indices(x.shape[-1])
    entries = x[..., rows, columns]
    return xp.where(rows == columns, xp.log(xp.where(rows == columns, entries, 1.0)), entries)


def _triangle(offset: int) -> Callable[[tuple[int, ...]], tuple[int, ...]]:
    return lambda shape: (*shape[:-2], shape[-1] * (shape[-1] + 1 + 2 * offset) // 2)


BIJECTORS: dict[str, Bijector] = {
    "real": Bijector(_real, lambda x, low, high: x),
    "positive": Bijector(_positive, _inverse_positive),
    "unit": Bijector(_interval, _inverse_interval),
    "interval": Bijector(_interval, _inverse_interval),
    "above": Bijector(_above, _inverse_above),
    "below": Bijector(_below, _inverse_below),
    "ordered": Bijector(_ordered, _inverse_ordered),
    "positive_ordered": Bijector(_positive_ordered, _inverse_positive_ordered),
    "simplex": Bijector(_simplex, _inverse_simplex, lambda shape: (*shape[:-1], shape[-1] - 1)),
    "corr_cholesky": Bijector(_corr_cholesky, _inverse_corr_cholesky, _triangle(-1)),
    "cov_cholesky": Bijector(_cov_cholesky, _inverse_cov_cholesky, _triangle(0)),
}
"""By the kind of space; `above` and `below` are intervals with one bound."""


@dataclass(frozen=True)
class RealSlot:
    """A continuous variable in the flat vector: `size` numbers from `start`.

    low, high: numbers, or expressions that `at` gives values to.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    start: int
    low: Any = 0.0
    high: Any = 1.0

    @staticmethod
    def of(symbol: Symbol, dims: Mapping[str, int], start: int = 0) -> RealSlot:
        """Where a variable or param lies from `start` of an unconstrained vector."""
        space = symbol.space
        shape = tuple(d.evaluate(dims) for d in space.shape)
        low, high = (0.0 if space.low is None else space.low, 1.0 if space.high is None else space.high)
        return RealSlot(symbol.name, space.kind, shape, start, low, high)

    @property
    def _bijector(self) -> Bijector:
        if self.kind == "interval" and isinstance(self.high, float) and self.high == inf:
            return BIJECTORS["above"]
        if self.kind == "interval" and isinstance(self.low, float) and self.low == -inf:
            return BIJECTORS["below"]
        return BIJECTORS[self.kind]

    @property
    def bounds(self) -> tuple[Expr, ...]:
        """The bounds that have no value yet."""
        return tuple(b for b in (self.low, self.high) if isinstance(b, Expr))

    def at(self, environment: Mapping[Any, Any], dims: Mapping[str, int], backend: Backend = JAX) -> RealSlot:
        """With its bounds at the values of the symbols that they mention; itself where they are numbers."""
        if not self.bounds:
            return self
        kind = jnp.result_type(float) if backend.name == "jax" else np.float64
        values = evaluate(self.bounds, environment, dims, backend)
        return self.with_bounds([backend.xp.asarray(v, kind) for v in values])

    def with_bounds(self, bounds: Sequence[Any]) -> RealSlot:
        """With others in the places of `bounds`."""
        given = iter(bounds)
        low, high = (next(given) if isinstance(b, Expr) else b for b in (self.low, self.high))
        return replace(self, low=low, high=high)

    @property
    def free_shape(self) -> tuple[int, ...]:
        return self._bijector.free(self.shape)

    @property
    def size(self) -> int:
        return prod(self.free_shape)

    def constrain(self, vector: Array) -> tuple[Array, Array]:
        """(value in the space, log-Jacobian) from the flat vector."""
        u = vector[self.start : self.start + self.size].reshape(self.free_shape)
        return self._bijector.forward(u, self.low, self.high)

    def unconstrain(self, value: Any) -> Any:
        """The numbers of the flat vector, [size], from a value in the space: of JAX's arrays inside a program, else float64."""
        value = value if isinstance(value, Array) else np.asarray(value, np.float64)
        return self._bijector.inverse(value, self.low, self.high).reshape(-1)


@dataclass(frozen=True)
class CodeSlot:
    """A discrete variable in the code array of its cardinality: `size` codes from `start` of array `group`."""

    name: str
    kind: str
    shape: tuple[int, ...]
    cardinality: int
    group: int
    start: int

    @property
    def size(self) -> int:
        return prod(self.shape)

    def value(self, codes: Any) -> Any:
        """The values in the language (spins are -1 and +1) from the code arrays, as integers."""
        return self.decode(codes[self.group][self.start : self.start + self.size].reshape(self.shape))

    def decode(self, code: Any) -> Any:
        return 2 * code - 1 if self.kind == "spin" else code

    def encode(self, value: Any) -> Any:
        return (value + 1) // 2 if self.kind == "spin" else value
