"""Spaces on the flat unconstrained vector: one bijector a space, each with its inverse and log-Jacobian.

Maps act on the trailing event axis and broadcast over the batch before it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array


@dataclass(frozen=True)
class Bijector:
    """forward: unconstrained to (constrained, summed log |Jacobian|). inverse: the way back, in numpy.

    drop: how many entries the unconstrained event is shorter by.
    """

    forward: Callable[[Array, float, float], tuple[Array, Array]]
    inverse: Callable[[Any, float, float], Any]
    drop: int = 0


def _real(u: Array, low: float, high: float) -> tuple[Array, Array]:
    return u, jnp.zeros((), u.dtype)


def _positive(u: Array, low: float, high: float) -> tuple[Array, Array]:
    return jnp.exp(u), jnp.sum(u)


def _interval(u: Array, low: float, high: float) -> tuple[Array, Array]:
    # log sigmoid'(u) = -|u| - 2 log(1 + exp(-|u|)), finite for every finite u
    width = high - low
    size = jnp.abs(u)
    jacobian = jnp.sum(np.log(width) - size - 2.0 * jnp.log1p(jnp.exp(-size)))
    return low + width * jax.nn.sigmoid(u), jacobian


def _ordered(u: Array, low: float, high: float) -> tuple[Array, Array]:
    steps = jnp.concatenate([u[..., :1], jnp.exp(u[..., 1:])], axis=-1)
    return jnp.cumsum(steps, axis=-1), jnp.sum(u[..., 1:])


def _positive_ordered(u: Array, low: float, high: float) -> tuple[Array, Array]:
    return jnp.cumsum(jnp.exp(u), axis=-1), jnp.sum(u)


def _simplex(u: Array, low: float, high: float) -> tuple[Array, Array]:
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


def _inverse_interval(x: Any, low: float, high: float) -> Any:
    part = (x - low) / (high - low)
    return np.log(part) - np.log1p(-part)


def _inverse_ordered(x: Any, low: float, high: float) -> Any:
    return np.concatenate([x[..., :1], np.log(np.diff(x, axis=-1))], axis=-1)


def _inverse_positive_ordered(x: Any, low: float, high: float) -> Any:
    return np.log(np.concatenate([x[..., :1], np.diff(x, axis=-1)], axis=-1))


def _inverse_simplex(x: Any, low: float, high: float) -> Any:
    k = x.shape[-1]
    before = np.concatenate([np.zeros_like(x[..., :1]), np.cumsum(x, axis=-1)[..., :-2]], axis=-1)
    part = x[..., :-1] / (1.0 - before)
    return np.log(part) - np.log1p(-part) + np.log(np.arange(k - 1, 0, -1.0))


BIJECTORS: dict[str, Bijector] = {
    "real": Bijector(_real, lambda x, low, high: x),
    "positive": Bijector(_positive, lambda x, low, high: np.log(x)),
    "unit": Bijector(_interval, _inverse_interval),
    "interval": Bijector(_interval, _inverse_interval),
    "ordered": Bijector(_ordered, _inverse_ordered),
    "positive_ordered": Bijector(_positive_ordered, _inverse_positive_ordered),
    "simplex": Bijector(_simplex, _inverse_simplex, drop=1),
}


@dataclass(frozen=True)
class RealSlot:
    """A continuous variable in the flat vector: `size` numbers from `start`."""

    name: str
    kind: str
    shape: tuple[int, ...]
    start: int
    low: float = 0.0
    high: float = 1.0

    @property
    def free_shape(self) -> tuple[int, ...]:
        drop = BIJECTORS[self.kind].drop
        return (*self.shape[:-1], self.shape[-1] - drop) if drop else self.shape

    @property
    def size(self) -> int:
        return prod(self.free_shape)

    def constrain(self, vector: Array) -> tuple[Array, Array]:
        """(value in the space, log-Jacobian) from the flat vector."""
        u = vector[self.start : self.start + self.size].reshape(self.free_shape)
        return BIJECTORS[self.kind].forward(u, self.low, self.high)

    def unconstrain(self, value: Any) -> Any:
        """float64[size] from a value in the space."""
        value = np.asarray(value, np.float64)
        return np.reshape(BIJECTORS[self.kind].inverse(value, self.low, self.high), -1)


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
