"""Draws from unnormalised discrete distributions by inversion: no Gumbel noise for every outcome of every draw."""

from __future__ import annotations

from collections.abc import Callable

import jax.numpy as jnp
import numpy as np
from jax import Array, lax


def summed(weights: Array) -> Array:
    """A binary tree of sums over float[n], none negative: what `draw` goes down, the sum of all being entry 0.

    The levels lie one after another, from the root. A node i of a level with s nodes has the children i and i + s of the next,
    which has 2 s places, the last of them zero where there is one child less.
    """
    levels = [weights]
    while (size := levels[-1].shape[0]) > 1:
        half = -(-size // 2)
        levels[-1] = jnp.pad(levels[-1], (0, 2 * half - size))
        levels.append(levels[-1][:half] + levels[-1][half:])
    return jnp.concatenate(levels[::-1])


def draw(sums: Array, count: int, uniform: Array, second: Array) -> Array:
    """Outcomes, int32[...], of `count`, from their `summed` weights and two uniforms of [0, 1) for each, float[...].

    O(log count) a draw, and a rounding error of an ulp for each decision, where one cumulative sum over all outcomes would
    lose `count` ulp of a probability. Two uniforms, since one of 24 bits is too coarse for millions of outcomes. An outcome
    of weight zero is never drawn unless all weights are zero.
    """
    if count == 1:
        return jnp.zeros(uniform.shape, jnp.int32)
    sizes = [count]
    while sizes[-1] > 1:
        sizes.append(-(-sizes[-1] // 2))
    widths = np.array(sizes[:0:-1], np.int32)
    starts = jnp.asarray(1 + 2 * (np.cumsum(widths) - widths))
    depth = len(widths)

    def down(level: Array, at: tuple[Array, Array]) -> tuple[Array, Array]:
        place, rest = at
        width = jnp.asarray(widths)[level]
        left = sums.at[starts[level] + place].get(mode="promise_in_bounds")
        right = sums.at[starts[level] + place + width].get(mode="promise_in_bounds")
        rest = jnp.where(level == depth // 2, second * (left + right), rest)
        stays = (rest < left) | (right == 0.0)
        return jnp.where(stays, place, place + width), jnp.where(stays, rest, rest - left)

    # A loop: unrolled, every level would be fused with all levels below it, and so computed again in each.
    return lax.fori_loop(0, depth, down, (jnp.zeros(uniform.shape, jnp.int32), uniform * sums[0]))[0]


def distinct(weights: Array, most: int, wanted: Array, numbers: Callable[[Array, int], Array]) -> tuple[Array, Array]:
    """Outcomes in the order of draws without replacement, int32[most], n beyond the last, and how many, an int32 scalar.

    They are at least `wanted`, a number up to `most`, or all of positive weight. weights: float[n]. numbers: a function
    of a round, from 0, and of how many, that gives so many in [0, 1).

    Draws with replacement, without what was drawn before, have this law (Plackett and Luce). A round makes many at once;
    where they are too few, the next is among the outcomes that are left.
    """
    none = weights.shape[0]
    # Who learns `wanted` needs about half of a bound well chosen, or nearly all of a tight one, which takes two rounds.
    batch = -(-5 * most // 8)
    order = jnp.arange(batch, dtype=jnp.int32)

    def unfinished(at: tuple[Array, Array, Array]) -> Array:
        _, count, turn = at
        return (count < wanted) & (turn < most)

    def another(at: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        outcomes, count, turn = at
        left = weights.at[outcomes].set(0.0, mode="drop")
        uniforms = numbers(turn, 2 * batch)
        drawn = draw(summed(left), none, uniforms[:batch], uniforms[batch:])
        first = jnp.full(none, batch, jnp.int32).at[drawn].min(order, mode="drop")
        # Where all weights are zero an outcome beyond the last may be drawn.
        possible = left.at[drawn].get(mode="fill", fill_value=0.0) > 0.0
        fresh = possible & (first.at[drawn].get(mode="fill", fill_value=batch) == order)
        place = jnp.where(fresh, count + jnp.cumsum(fresh, dtype=jnp.int32) - 1, most)
        outcomes = outcomes.at[place].set(drawn, mode="drop")
        return outcomes, jnp.minimum(count + fresh.sum(dtype=jnp.int32), most), jnp.where(fresh.any(), turn + 1, most)

    zero = jnp.zeros((), jnp.int32)
    outcomes, count, _ = lax.while_loop(unfinished, another, (jnp.full(most, none, jnp.int32), zero, zero))
    return outcomes, count
