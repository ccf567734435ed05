"""Threefry-2x32-20 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"), written out.

Keys are `jax.random`'s. XLA runs JAX's own rounds on a CPU as a loop through memory, and JAX keeps one word of the two that
a block makes; written out, the rounds are one fused kernel and both words are used. Keys are folded by JAX: of one number the
loop compiles sooner, and is no slower.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
PARITY = 0x1BD11BDA


Shift = Callable[[Any, Any], Any]


def block(
    key: Any, high: Any, low: Any, left: Shift = lax.shift_left, right: Shift = lax.shift_right_logical
) -> tuple[Any, Any]:
    """The two words, uint32, of counter (high, low) under the key uint32[2]; counters may have any shape.

    left, right: how words are shifted, by which NumPy computes the same on the host.

    Folding a key has zero as the first word of its counters: streams begin at one, to be apart from keys derived so.
    """
    first, second = key[0], key[1]
    schedule = (first, second, first ^ second ^ np.uint32(PARITY))
    high, low = high + schedule[0], low + schedule[1]
    for group in range(5):
        for rotation in ROTATIONS[group % 2]:
            high = high + low
            low = left(low, np.uint32(rotation)) | right(low, np.uint32(32 - rotation))
            low = low ^ high
        high = high + schedule[(group + 1) % 3]
        low = low + schedule[(group + 2) % 3] + np.uint32(group + 1)
    return high, low


def folded(key: np.ndarray, *numbers: int) -> np.ndarray:
    """uint32[2]: `jax.random.fold_in` of each number in turn, on the host."""
    for number in numbers:
        pair = _on_host(key, np.zeros(1, np.uint32), np.full(1, number, np.uint32))
        key = np.concatenate(pair)
    return key


def permutation(key: np.ndarray, count: int) -> np.ndarray:
    """int64[count]: the numbers from 0 on in random order, on the host, whatever NumPy makes of its own generators.

    They are sorted by 64 random bits each; that two of them are the same happens once in 2^64 / count^2.
    """
    counter = np.arange(count, dtype=np.uint32)
    high, low = _on_host(key, np.ones(count, np.uint32), counter)
    return np.argsort(high.astype(np.uint64) << np.uint64(32) | low, kind="stable")


def _on_host(key: np.ndarray, high: np.ndarray, low: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    with np.errstate(over="ignore"):
        return block(np.asarray(key, np.uint32).reshape(2, 1), high, low, np.left_shift, np.right_shift)


def uniforms(key: Array, count: int, stream: int | Array = 1) -> Array:
    """float[count] in [0, 1), multiples of 2^-24 in float32, one 32-bit word each (in float64 JAX's own).

    stream: from 1, or computed, then from 2; each gives other numbers of the same key. Sixteen bits would not do: an event
    whose probability is not a multiple of 2^-16 would be off by up to that much, on every site of every sweep.
    """
    if jnp.result_type(float) != jnp.float32:
        return jax.random.uniform(_other(key, stream), (count,))
    return _uniform(words(key, count, stream))


def normals(key: Array, count: int, stream: int = 1) -> Array:
    """float[count] of the standard normal law, by inversion of a uniform of 24 bits (in float64 JAX's own)."""
    if jnp.result_type(float) != jnp.float32:
        return jax.random.normal(_other(key, stream), (count,))
    # Midpoints of 2^24 intervals: symmetric, and never at the ends, where the inverse is infinite.
    centred = 2.0 * _uniform(words(key, count, stream)) - np.float32(1 - 2**-24)
    return np.float32(np.sqrt(2)) * lax.erf_inv(centred)


def words(key: Array, count: int, stream: int | Array = 1) -> Array:
    """uint32[count]: random words."""
    if not _is_threefry(key):
        return jax.random.bits(_other(key, stream), (count,), jnp.uint32)
    counter = jnp.arange(-(-count // 2), dtype=jnp.uint32)
    pair = block(jax.random.key_data(key), jnp.full_like(counter, stream), counter)
    return jnp.concatenate(pair)[:count]


def two_uniforms(key: Array, stream: int, counter: Array) -> tuple[Array, Array]:
    """Two numbers in [0, 1) for each counter, an int32 scalar: for loops that draw as they go. Multiples of 2^-24."""
    if not _is_threefry(key):
        pair = jax.random.bits(jax.random.fold_in(_other(key, stream), counter), (2,), jnp.uint32)
    else:
        pair = block(jax.random.key_data(key), jnp.full((), stream, jnp.uint32), counter.astype(jnp.uint32))
    dtype = jnp.result_type(float)
    return _uniform(pair[0]).astype(dtype), _uniform(pair[1]).astype(dtype)


def _uniform(words: Array) -> Array:
    return lax.shift_right_logical(words, np.uint32(8)).astype(jnp.float32) * np.float32(2**-24)


def _other(key: Array, stream: int | Array) -> Array:
    """A key of its own for each stream but the first, whose is the key itself."""
    return key if isinstance(stream, int) and stream == 1 else jax.random.fold_in(key, stream)


def _is_threefry(key: Array) -> bool:
    return jnp.issubdtype(key.dtype, jax.dtypes.prng_key) and str(jax.random.key_impl(key)) == "threefry2x32"
