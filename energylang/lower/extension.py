"""The natural extension of an energy to relaxed discrete values, for terms whose structure is unknown.

Spins and binaries become real numbers; a categorical becomes a point of the simplex, indexed and compared as the
expectation over it. On the vertices the extension is the energy; gradients through it are estimates of gains.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from energylang.ir.nodes import Apply, Expr, Loop, Map, Marginal
from energylang.ir.operations import OPERATIONS
from energylang.lower.bodies import compute_body
from energylang.lower.evaluate import Environment, evaluate, numbers, operands, operands_first
from energylang.lower.operations import JAX, Backend, compute


@partial(jax.tree_util.register_dataclass, data_fields=["weights"], meta_fields=[])
@dataclass(frozen=True)
class Relaxed:
    """Weights over the values 0..k-1 along a last axis of their own."""

    weights: Array

    @property
    def expectation(self) -> Array:
        return self.weights @ jnp.arange(self.weights.shape[-1], dtype=self.weights.dtype)


def evaluate_relaxed(
    roots: Sequence[Expr], environment: Environment, dims: Mapping[str, int], known: Mapping[int, Any] | None = None
) -> list[Any]:
    """As `evaluate`, with `Relaxed` values allowed in the environment and among the known ones."""
    values: dict[int, Any] = dict(known or {})
    for expr in operands_first(roots, values):
        if isinstance(expr, Apply):
            arguments = [values[id(a)] for a in expr.arguments]
            if any(isinstance(a, Relaxed) for a in arguments):
                values[id(expr)] = _relaxed(expr.operation, arguments, numbers(expr.attributes, dims))
                continue
        if isinstance(expr, Marginal):
            values[id(expr)] = environment[expr].energy(environment, JAX, _relaxing)
            continue
        if isinstance(expr, Map | Loop):
            values[id(expr)] = compute_body(expr, values, environment, dims, JAX, _relaxing, relaxed=True)
            continue
        below = {id(a): values[id(a)] for a in operands(expr)}
        hardened = {key: v.expectation if isinstance(v, Relaxed) else v for key, v in below.items()}
        values[id(expr)] = evaluate([expr], environment, dims, JAX, known=hardened)[0]
    return [v.expectation if isinstance(v, Relaxed) else v for v in (values[id(root)] for root in roots)]


def _relaxing(
    roots: Sequence[Expr], environment: Environment, dims: Mapping[str, int], backend: Backend,
    known: Mapping[int, Any] | None = None,
) -> list[Any]:  # fmt: skip
    return evaluate_relaxed(roots, environment, dims, known)


def _relaxed(operation: str, arguments: list[Any], attributes: tuple[Any, ...]) -> Any:
    first = arguments[0]
    if operation in ("eq", "ne"):
        same = _agreement(arguments[0], arguments[1])
        return same if operation == "eq" else 1.0 - same
    if operation == "index" and not isinstance(first, Relaxed):
        return _look_up(jnp.asarray(first), arguments[1:], attributes)
    if OPERATIONS[operation].group == "gather" and isinstance(first, Relaxed) and len(arguments) == 1:
        k = first.weights.shape[-1]
        if operation in ("reshape", "broadcast"):
            attributes = (*attributes, k)
        if operation == "transpose":
            attributes = (*attributes, first.weights.ndim - 1)
        return Relaxed(compute(JAX, operation, [first.weights], attributes))
    if operation == "index" and not any(isinstance(a, Relaxed) for a in arguments[1:]):
        return Relaxed(compute(JAX, "index", [first.weights, *arguments[1:]], attributes))
    return compute(JAX, operation, [a.expectation if isinstance(a, Relaxed) else a for a in arguments], attributes)


def _agreement(a: Any, b: Any) -> Array:
    """The probability that two independent values are equal."""
    if isinstance(a, Relaxed) and isinstance(b, Relaxed):
        return jnp.sum(a.weights * b.weights, axis=-1)
    relaxed, fixed = (a, b) if isinstance(a, Relaxed) else (b, a)
    values = jnp.arange(relaxed.weights.shape[-1])
    return jnp.sum(relaxed.weights * (jnp.asarray(fixed)[..., None] == values), axis=-1)


def _look_up(table: Array, indices: list[Any], attributes: tuple[Any, ...]) -> Array:
    """The expectation of `table[…]` over independent indices, axis after axis."""
    slices = tuple(item if item[0] == "slice" else ("slice", 0, table.shape[i], 1) for i, item in enumerate(attributes))
    table = compute(JAX, "index", [table], slices)
    before = next(i for i, item in enumerate(attributes) if item[0] == "at")
    shapes = [i.weights.shape[:-1] if isinstance(i, Relaxed) else jnp.shape(i) for i in indices]
    batch = jnp.broadcast_shapes(*shapes)
    moved = jnp.moveaxis(table, tuple(range(before, before + len(indices))), tuple(range(len(indices))))
    found = jnp.broadcast_to(moved, (*batch, *moved.shape))
    for index in indices:
        k = found.shape[len(batch)]
        if isinstance(index, Relaxed):
            # The axis may be longer than the values are many, and a range of an index wider than the axis.
            weights = jnp.broadcast_to(index.weights, (*batch, index.weights.shape[-1]))[..., :k]
            found = jax.lax.slice_in_dim(found, 0, weights.shape[-1], axis=len(batch))
        else:
            weights = (jnp.broadcast_to(index, batch)[..., None] == jnp.arange(k)).astype(found.dtype)
        spread = weights.reshape(weights.shape + (1,) * (found.ndim - weights.ndim))
        found = jnp.sum(found * spread, axis=len(batch))
    return jnp.moveaxis(found, tuple(range(len(batch))), tuple(range(before, before + len(batch))))
