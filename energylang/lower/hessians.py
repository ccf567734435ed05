"""The matrix of a quadratic that data alone fix: its second derivatives, all of them, in float64."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from energylang.ir.nodes import Expr, Symbol, Variable
from energylang.lower.evaluate import evaluate

BATCH = 64


def derivatives(
    rows: Sequence[Expr], variables: Sequence[Variable], point: Mapping[Variable, np.ndarray],
    environment: Mapping[Symbol, Any], dims: Mapping[str, int],
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """(float64[n] gradient at a point, float64[n, n] second derivatives) of the sum of a product of expressions.

    The product is at most quadratic in `variables`, whose entries are flat and one after another. environment: the values
    of everything else.
    """
    shapes = [np.shape(point[v]) for v in variables]
    places = np.cumsum([np.size(point[v]) for v in variables])[:-1]
    symbols = list(environment)
    with jax.enable_x64(True):

        def total(flat: Array, given: list[Any]) -> Array:
            parts = [part.reshape(shape) for part, shape in zip(jnp.split(flat, places), shapes, strict=True)]
            inner = dict(zip(symbols, given, strict=True)) | dict(zip(variables, parts, strict=True))
            product: Any = 1.0
            for value in evaluate(rows, inner, dims):
                product = product * value
            return jnp.sum(product)

        @jax.jit
        def found(flat: Array, given: list[Any]) -> tuple[Array, Array]:
            def along(direction: Array) -> Array:
                return jax.jvp(lambda x: jax.grad(total)(x, given), (flat,), (direction,))[1]

            def row(i: Array) -> Array:
                return along((jnp.arange(len(flat)) == i).astype(flat.dtype))

            return jax.grad(total)(flat, given), lax.map(row, jnp.arange(len(flat)), batch_size=BATCH)

        start = jnp.concatenate([jnp.ravel(jnp.asarray(point[v], jnp.float64)) for v in variables])
        gradient, second = found(start, [jnp.asarray(environment[s]) for s in symbols])
        return np.asarray(gradient), np.asarray(second)
