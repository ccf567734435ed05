"""Threefry-2x32-20 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"), written out.

Keys are `jax.random`'s. XLA runs JAX's own rounds on a CPU as a loop through memory, and JAX keeps one word of the two that
a block makes; written out, the rounds are one fused kernel and both words are used. Keys are folded by JAX: of one number the
loop compiles sooner, and is no slower.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
PARITY = 0x1BD11BDA


def block(key: Array, high: Array, low: Array) -> tuple[Array, Array]:
    """The two words, uint32, of counter (high, low) under the key uint32[2]; counters may have any shape.

    Folding a key has zero as the first word of its counters: streams begin at one, to be apart from keys derived so.
    """
    first, second = key[0], key[1]
    schedule = (first, second, first ^ second ^ np.uint32(PARITY))
    high, low = high + schedule[0], low + schedule[1]
    for group in range(5):
        for rotation in ROTATIONS[group % 2]:
            high = high + low
            low = lax.shift_left(low, np.uint32(rotation)) | lax.shift_right_logical(low, np.uint32(32 - rotation))
            low = low ^ high
        high = high + schedule[(group + 1) % 3]
        low = low + schedule[(group + 2) % 3] + np.uint32(group + 1)
    return high, low


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
