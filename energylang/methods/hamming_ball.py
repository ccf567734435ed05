"""The Hamming ball sampler: joint draws from all values near an auxiliary point, a block of sites at a time."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import accumulate, combinations, product
from math import comb

import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from energylang.lower.inversion import invert_logits
from energylang.methods._conditional import gains_at, logits, require_few, with_values
from energylang.methods._uncached import Uncached, UncachedState
from energylang.model import Info, Point, PRNGKey, Target
from energylang.threefry import uniforms


@dataclass(frozen=True)
class HammingBall(Uncached):
    """The Hamming ball sampler (Titsias and Yau 2017): a step goes through all blocks of consecutive sites.

    Of a block an auxiliary u is drawn uniformly from the ball of `radius` around x, the joint values that differ from x in
    at most so many sites, and then a new x from the target restricted to the ball around u. Every ball has the same
    size, so this is Gibbs sampling of (x, u), and rejects nothing. Blocks have sites of one cardinality; the last of them
    ends where these do, though it may begin in the block before.

    A block costs one evaluation of gains where they are exact and the radius is one. Else each value in a ball costs the
    gains of `block` sites where the target is `Local`, and a log density where it is not.

    Info: acceptance_rate (always one).
    """

    block: int = 10
    radius: int = 1

    def step(self, target: Target, tune: tuple[()], state: UncachedState, key: PRNGKey) -> tuple[UncachedState, Info]:
        facts, x = target.facts, state.x
        # Of each block one uniform for u, and one for x.
        turns = [-(-count // min(self.block, count)) if count else 0 for count in facts.sites]
        parts = jnp.split(uniforms(key, 2 * sum(turns)).reshape(-1, 2), list(accumulate(turns))[:-1])
        for group, (cardinality, count) in enumerate(zip(facts.cardinalities, facts.sites, strict=True)):
            block = min(self.block, count)

            def update(turn: Array, x: Point, group: int = group, block: int = block, count: int = count) -> Point:
                sites = jnp.minimum(turn * block, count - block) + jnp.arange(block)
                return self.draw(target, x, group, sites, parts[group][turn])

            if cardinality > 1:
                x = lax.fori_loop(0, turns[group], update, x)
        return UncachedState(x), {"acceptance_rate": jnp.ones(())}

    def draw(self, target: Target, x: Point, group: int, sites: Array, uniform: Array) -> Point:
        """The point with a block drawn anew. sites: int32[block]; uniform: float[2]."""
        facts = target.facts
        cardinality, block = facts.cardinalities[group], sites.shape[0]
        shifts = jnp.asarray(ball(cardinality, block, min(self.radius, block)))
        shift = shifts[jnp.floor(uniform[0] * shifts.shape[0]).astype(jnp.int32)]
        centre = (x.code[group][sites] + shift) % cardinality
        values = (centre + shifts) % cardinality
        x = with_values(x, group, sites, centre)
        if facts.gains == "exact" and self.radius == 1:
            # Of x at u: each value that differs in one site has its gain there.
            gains = gains_at(target, x, group, sites)
            place, turned = np.nonzero(np.asarray(ball(cardinality, block, 1)))[1], jnp.arange(1, shifts.shape[0])
            weights = jnp.concatenate([jnp.zeros(1), gains[place, values[turned, place]]])
        else:
            weights = logits(target, x, group, sites, values)
        return with_values(x, group, sites, values[invert_logits(weights, uniform[1])])

    def tuning(self, target: Target) -> tuple[tuple[()], tuple[()]]:
        for cardinality, count in zip(target.facts.cardinalities, target.facts.sites, strict=True):
            block = min(self.block, count)
            size = sum(comb(block, r) * (cardinality - 1) ** r for r in range(min(self.radius, block) + 1))
            what = f"{block} sites of {cardinality} values at most {self.radius} of which differ"
            require_few("hamming_ball", size, what)
        return (), ()


@cache
def ball(cardinality: int, block: int, radius: int) -> np.ndarray:
    """int32[M, block]: what to add, modulo the cardinality, to reach every joint value at most `radius` sites away."""
    rows = []
    for changed in range(radius + 1):
        for places in combinations(range(block), changed):
            for shift in product(range(1, cardinality), repeat=changed):
                row = np.zeros(block, np.int32)
                row[list(places)] = shift
                rows.append(row)
    return np.stack(rows)
