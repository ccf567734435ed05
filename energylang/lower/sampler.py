"""What samplers have in common: their form, arguments at full shape, and the nearest float inside a support.

A sampler takes a key, the conditions by name (each of shape batch_i + event, batch_i broadcasting to the batch) and the
batch shape; it returns batch + event of the variable: int32 for discrete variables, in the language's values, and the
default float type otherwise. What a float cannot hold is the nearest number inside the support.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax.numpy as jnp
from jax import Array

from energylang.lower.noise import Shape

Sampler = Callable[[Array, Mapping[str, Any], Shape], Array]


def real(value: Any) -> Array:
    return jnp.asarray(value, jnp.result_type(float))


def scalars(draw: Callable[..., Array], *names: str) -> Sampler:
    """A sampler of single numbers: `draw(key, shape, *arguments)` with the arguments at full shape."""

    def sampler(key: Array, arguments: Mapping[str, Any], batch: Shape) -> Array:
        return draw(key, batch, *(jnp.broadcast_to(real(arguments[name]), batch) for name in names))

    return sampler


def _bounds() -> tuple[float, float, float]:
    """(the smallest positive number, the largest number, the largest number below 1)."""
    info = jnp.finfo(jnp.result_type(float))
    return float(info.tiny), float(info.max), 1.0 - float(info.epsneg)


def clip_finite(x: Array) -> Array:
    largest = _bounds()[1]
    return jnp.clip(x, -largest, largest)


def clip_positive(x: Array) -> Array:
    tiny, largest, _ = _bounds()
    return jnp.clip(x, tiny, largest)


def clip_unit(x: Array) -> Array:
    tiny, _, below = _bounds()
    return jnp.clip(x, tiny, below)
