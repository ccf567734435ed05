"""Distribution functions inverted by halving: over the floats in their order, over the integers in theirs.

Between two floats lie as many as their bit patterns are apart, so the search ends, after as many halvings as a float
has bits, at the very float, whatever its magnitude; an infinite bound is one like any other.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array


def quantile(
    log_tails: Callable[[Array], list[Any]], low: Any, high: Any, log_below: Any, log_above: Any,
    shape: tuple[int, ...], integers: bool,
) -> Array:  # fmt: skip
    """The least x in (low, high) (of integers: in [low, high]) whose distribution function is as large as is sought.

    log_tails: of an array of `shape`, the logs of the distribution function and of its complement, either of which is
    compared with what is sought where that is the smaller one: what is nearly 1 says nothing of its distance from it.
    """
    lower_tail = jnp.less(log_below, log_above)

    def reached(x: Array) -> tuple[Array, Array]:
        below, above = log_tails(x)
        unknown = jnp.isnan(jnp.where(lower_tail, below + log_below, above + log_above))
        return jnp.where(lower_tail, jnp.greater_equal(below, log_below), jnp.less_equal(above, log_above)), unknown

    kind = jnp.result_type(float)
    whole = jnp.int32 if integers or jnp.finfo(kind).bits == 32 else jnp.int64
    if integers:
        largest = 2.0**31 - 256  # a float below 2^31, so that nothing wraps around
        ends = (jnp.clip(f(jnp.asarray(b, kind)), -largest, largest) for f, b in ((jnp.ceil, low), (jnp.floor, high)))
        first, last = (jnp.broadcast_to(end.astype(whole), shape) for end in ends)
        first = first - 1
    else:
        floats = [jnp.broadcast_to(jnp.asarray(b, kind), shape) for b in (low, high)]
        first, last = (_place(b, whole) for b in floats)
        last = jnp.maximum(last - 1, first + 1)

    def at(place: Array) -> Array:
        return place if integers else _float(place, kind)

    # Distribution functions of counts take long where counts are large: their search begins in steps that double.
    widest = jnp.iinfo(whole).max // 2
    step = jnp.full_like(first, 1 if integers else widest)

    def half(first: Array, last: Array) -> Array:
        return (last >> 1) - (first >> 1) - (first & ~last & 1)

    def narrow(state: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        first, last, step = state
        width = half(first, last)
        middle = first + jnp.minimum(width, step)
        enough = reached(at(middle))[0]
        step = jnp.where(enough, widest, jnp.minimum(step, widest // 2) * 2)
        return jnp.where(enough, first, middle), jnp.where(enough & (width > 0), middle, last), step

    _, last, _ = jax.lax.while_loop(lambda state: jnp.any(half(*state[:2]) > 0), narrow, (first, last, step))
    found = at(last)
    if integers:
        return found
    # Arithmetic takes numbers below the least normal one for zero, which may be no part of the support.
    tiny = jnp.finfo(kind).tiny
    found = jnp.where(jnp.abs(found) < tiny, jnp.where(floats[1] > 0, tiny, -tiny), found)
    return jnp.where(reached(found)[1], jnp.nan, found)


def _place(value: Array, whole: Any) -> Array:
    """The place of a float among all floats in their order; both zeros have one place."""
    pattern = jax.lax.bitcast_convert_type(value, whole)
    return jnp.where(pattern < 0, jnp.iinfo(whole).min - pattern, pattern)


def _float(place: Array, kind: Any) -> Array:
    pattern = jnp.where(place < 0, jnp.iinfo(place.dtype).min - place, place)
    return jax.lax.bitcast_convert_type(pattern, kind)
