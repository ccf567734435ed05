"""Joint draws of trees: sums from the leaves to the roots (`lower.forest`), then each site given its parent."""

from __future__ import annotations

from functools import reduce
from itertools import accumulate

import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from energylang.lower.forest import Forest, Group, summed_out, taken, upwards
from energylang.lower.inversion import invert_logits
from energylang.lower.operations import JAX, Backend
from energylang.threefry import uniforms

FEW_VALUES = 4
"""Values of a site up to which sums over them are written out."""
MOST_AHEAD = 2**18
"""Entries of the table of draws for each value of a parent, beyond which they are made level by level."""
LARGEST = 1e30
"""Energies of two values are cut here: infinite ones have no differences, and what costs as much has probability zero."""


def drawn(forest: Forest, unary: Array, pairs: Array, key: Array, stream: int | Array = 1) -> Array:
    """int32[sites]: a code for every site, drawn jointly; energies as `Forest.energy` takes them. stream: of the key's numbers."""
    sizes = [group.sites.size for group in forest.groups]
    numbers = jnp.split(uniforms(key, sum(sizes), stream), list(accumulate(sizes))[:-1])
    parts = []
    for group, part in zip(forest.groups, numbers, strict=True):
        own = part.reshape(group.sites.shape)
        here = group.energies(unary, forest.count, JAX)
        if group.depth == 1:
            found = invert_logits(-here, own)
        elif unary.shape[-1] == 2:
            found = _drawn_by_odds(group, here, group.couplings(pairs, forest.edges, JAX), own)
        else:
            joint = group.couplings(pairs, forest.edges, JAX)
            messages, _, below = upwards(group, here, joint, JAX, added_up)
            top = invert_logits(-(here[0] + messages), own[0])
            # What `upwards` keeps goes from the deepest level upwards, and couplings with it.
            found = jnp.concatenate([top[None], _downwards(group, top, below[::-1], joint[::-1], own[1:])])
        parts.append(found.reshape(-1))
    places = np.concatenate([group.sites.reshape(-1) for group in forest.groups])
    return taken(jnp.concatenate(parts), np.argsort(places, kind="stable")[: forest.count])


def _downwards(group: Group, top: Array, below: Array, joint: Array, numbers: Array) -> Array:
    """int32[depth - 1, width]: each level given the one above it.

    below: float[depth - 1, width, K]; joint: [depth - 1 or 1, width or 1, K, K], child before parent; numbers: uniforms
    of each site; all from the roots downwards.
    """
    parents = jnp.asarray(group.parents[1:])
    if below.size * below.shape[-1] <= MOST_AHEAD:
        # What each site would be for every value of its parent, of all levels at once: the loop only looks it up.
        return _looked_up(
            group, top, invert_logits(-(below[:, :, None] + jnp.swapaxes(joint, 2, 3)), numbers[..., None])
        )

    def down(above: Array, level: tuple[Array, Array, Array, Array | None]) -> tuple[Array, Array]:
        energies, places, number, pair = level
        pair = joint[0] if pair is None else pair
        given = jnp.take_along_axis(pair, above[places][:, None, None], axis=2)[:, :, 0]
        found = invert_logits(-(energies + given), number)
        return found, found

    return lax.scan(down, top, (below, parents, numbers, None if len(joint) == 1 else joint))[1]


def _looked_up(group: Group, top: Array, choices: Array | list[Array]) -> Array:
    """int32[depth - 1, width]: the values that sites have, of those for each value of the parent.

    choices: int32[depth - 1, width, K], or K arrays of the other shape.
    """

    def look(above: Array, level: tuple[Array, Array | list[Array]]) -> tuple[Array, Array]:
        places, values = level
        above = above if group.straight else above[places]
        if isinstance(values, list):
            found = reduce(lambda found, k: jnp.where(above == k, values[k], found), range(1, len(values)), values[0])
        else:
            found = jnp.take_along_axis(values, above[:, None], axis=1)[:, 0]
        return found, found

    if not isinstance(choices, list) and choices.shape[-1] <= FEW_VALUES:
        # What the loop reads lies together then.
        choices = [choices[..., k] for k in range(choices.shape[-1])]
    return lax.scan(look, top, (jnp.asarray(group.parents[1:]), choices))[1]


def _drawn_by_odds(group: Group, here: Array, joint: Array, numbers: Array) -> Array:
    """int32[depth, width]: what `drawn` does, of two values, by one number a site: log P(1) / P(0) with all below it.

    here: float[depth, width, 2]; joint: as `Group.couplings` gives it; numbers: uniforms of each site, from the roots.
    """
    here, joint = (jnp.clip(energies, -LARGEST, LARGEST) for energies in (here, joint))
    own = here[..., 0] - here[..., 1]

    def up(messages: Array, level: tuple[Array, Array, Array | None]) -> tuple[Array, Array]:
        own, parents, pair = level
        below = own + messages
        found = _passed_on(below, joint[0] if pair is None else pair)
        return found if group.straight else jnp.zeros_like(found).at[parents].add(found), below

    levels = (own[:0:-1], jnp.asarray(group.parents[:0:-1]), None if len(joint) == 1 else joint)
    messages, below = lax.scan(up, jnp.zeros(group.width, here.dtype), levels)
    top = _coin(own[0] + messages, numbers[0])
    given = joint[::-1, :, 0] - joint[::-1, :, 1]
    found = _looked_up(group, top, [_coin(below[::-1] + given[..., value], numbers[1:]) for value in (0, 1)])
    return jnp.concatenate([top[None], found])


def _passed_on(below: Array, pair: Array) -> Array:
    """float[width]: log odds that children at float[width] give their parents; pair: [width or 1, 2, 2], child first.

    Each log of a sum is its larger term and what the other adds to it, as far as log odds may be from zero.
    """
    none, one = jnp.minimum(-below, 0.0), jnp.minimum(below, 0.0)

    def given(parent: int) -> tuple[Array, Array]:
        first, second = none - pair[:, 0, parent], one - pair[:, 1, parent]
        return jnp.maximum(first, second), 1.0 + jnp.exp(-jnp.abs(first - second))

    (most_none, rest_none), (most_one, rest_one) = given(0), given(1)
    return most_one - most_none + jnp.log(rest_one / rest_none)


def _coin(log_odds: Array, uniform: Array) -> Array:
    """int32: one where a `uniform` of [0, 1), which may be zero, is below 1 / (1 + exp(-log_odds))."""
    return (uniform * (1.0 + jnp.exp(-log_odds)) < 1.0).astype(jnp.int32)


def added_up(backend: Backend, energies: Array, axis: int) -> Array:
    """`summed_out` without a derivative; of few values value by value, which leaves one fused loop over all else."""
    if energies.shape[axis] > FEW_VALUES:
        return summed_out(backend, energies, axis)
    parts = [jnp.take(energies, value, axis=axis) for value in range(energies.shape[axis])]
    low = reduce(jnp.minimum, parts)
    low = jnp.where(jnp.isfinite(low), low, 0.0)
    return low - jnp.log(sum(jnp.exp(low - part) for part in parts))
