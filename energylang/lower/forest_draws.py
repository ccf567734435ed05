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
        ahead = invert_logits(-(below[:, :, None] + jnp.swapaxes(joint, 2, 3)), numbers[..., None])

        def look(above: Array, level: tuple[Array, Array]) -> tuple[Array, Array]:
            choices, places = level
            found = _entry(choices, above if group.straight else above[places])
            return found, found

        return lax.scan(look, top, (ahead, parents))[1]

    def down(above: Array, level: tuple[Array, Array, Array, Array | None]) -> tuple[Array, Array]:
        energies, places, number, pair = level
        pair = joint[0] if pair is None else pair
        given = jnp.take_along_axis(pair, above[places][:, None, None], axis=2)[:, :, 0]
        found = invert_logits(-(energies + given), number)
        return found, found

    return lax.scan(down, top, (below, parents, numbers, None if len(joint) == 1 else joint))[1]


def _entry(choices: Array, values: Array) -> Array:
    """[width]: of [width, K] the entry of each value."""
    count = choices.shape[1]
    if count > FEW_VALUES:
        return jnp.take_along_axis(choices, values[:, None], axis=1)[:, 0]
    return reduce(lambda found, k: jnp.where(values == k, choices[:, k], found), range(1, count), choices[:, 0])


def added_up(backend: Backend, energies: Array, axis: int) -> Array:
    """`summed_out` without a derivative; of few values value by value, which leaves one fused loop over all else."""
    if energies.shape[axis] > FEW_VALUES:
        return summed_out(backend, energies, axis)
    parts = [jnp.take(energies, value, axis=axis) for value in range(energies.shape[axis])]
    low = reduce(jnp.minimum, parts)
    low = jnp.where(jnp.isfinite(low), low, 0.0)
    return low - jnp.log(sum(jnp.exp(low - part) for part in parts))
