"""Gibbs sweeps over discrete variables: a colour at a time, a site, or a block of sites."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate
from typing import Any, Literal, cast

import jax.numpy as jnp
from jax import Array, lax

from energylang.diagnostics import Diagnostic, DiagnosticError
from energylang.lower.inversion import invert_logits
from energylang.methods._conditional import gains_at, grid, logits, require_few, with_values
from energylang.methods._uncached import Uncached, UncachedState
from energylang.model import Info, Local, Point, PRNGKey, Target
from energylang.threefry import uniforms


@dataclass(frozen=True)
class Gibbs(Uncached):
    """Gibbs sampling (Geman and Geman 1984): a step draws as many sites as there are, and rejects nothing.

    scan: "colour" draws all sites of a colour at once, colours in turn (Gonzalez et al. 2011), for a bipartite model such as
    an RBM a layer at a time. "systematic" draws one site after another in their order, "random" sites that are chosen anew,
    uniformly among those of one cardinality. None: colours where gains are exact and the conflict graph is coloured, else in
    order. block: how many consecutive sites of one cardinality are drawn jointly, from all their joint values; with more than
    one, "colour" is refused (E0651).

    Conditionals are softmax over values of exact gains: where the target is `Local` those of the sites that are drawn, else
    of all at once. Where gains are estimates, and for blocks of a target that is not `Local`, each value costs an evaluation
    of the log density.

    Info: acceptance_rate (always one).
    """

    scan: Literal["colour", "systematic", "random"] | None = None
    block: int = 1

    def __post_init__(self) -> None:
        if self.scan == "colour" and self.block > 1:
            raise DiagnosticError(
                [
                    Diagnostic(
                        "E0651",
                        f"`gibbs(scan = colour, block = {self.block})`: sites of a colour are drawn each by itself",
                        fix="leave `scan` out, or write `scan = systematic` or `scan = random`",
                    )
                ]
            )

    def step(self, target: Target, tune: tuple[()], state: UncachedState, key: PRNGKey) -> tuple[UncachedState, Info]:
        facts = target.facts
        coloured = facts.gains == "exact" and facts.colours > 0 and self.scan in (None, "colour") and self.block == 1
        # A site is drawn once a sweep, so one uniform each serves all colours, and one more to choose it.
        count = facts.discrete * (2 if self.scan == "random" else 1)
        parts = tuple(jnp.split(uniforms(key, count), list(accumulate(facts.sites))))
        code = by_colour(target, state.x, parts[:-1]) if coloured else self._by_block(target, state.x, parts)
        return UncachedState(Point(state.x.real, code)), {"acceptance_rate": jnp.ones(())}

    def tuning(self, target: Target) -> tuple[tuple[()], tuple[()]]:
        for cardinality, count in zip(target.facts.cardinalities, target.facts.sites, strict=True):
            block = min(self.block, count)
            if block > 1:
                require_few("gibbs", cardinality**block, f"{block} sites of {cardinality} values")
        return (), ()

    def _by_block(self, target: Target, x: Point, parts: tuple[Array, ...]) -> tuple[Array, ...]:
        """Blocks of each code array; the last of them ends where the array does, though it may begin in the one before."""
        facts = target.facts
        starts = jnp.split(parts[-1], list(accumulate(facts.sites))[:-1]) if self.scan == "random" else None
        for group, (cardinality, count) in enumerate(zip(facts.cardinalities, facts.sites, strict=True)):
            if not count:
                continue
            block = min(self.block, count)
            values = jnp.asarray(grid(cardinality, block))

            def update(
                turn: Array,
                x: Point,
                group: int = group,
                count: int = count,
                block: int = block,
                values: Array = values,
            ) -> Point:
                if starts is None:
                    start = jnp.minimum(turn * block, count - block)
                else:
                    start = jnp.floor(starts[group][turn] * (count - block + 1)).astype(jnp.int32)
                sites = start + jnp.arange(block)
                if block == 1 and facts.gains == "exact":
                    weights = gains_at(target, x, group, sites)[0]
                else:
                    weights = logits(target, x, group, sites, values)
                drawn = values[invert_logits(weights, parts[group][turn])]
                return with_values(x, group, sites, drawn)

            x = lax.fori_loop(0, -(-count // block), update, x)
        return x.code


def by_colour(target: Target, x: Point, uniforms: tuple[Array, ...]) -> tuple[Array, ...]:
    """The codes after a sweep over colours in their order, from exact gains. uniforms: float[D_k] per code array."""
    if target.facts.reach:
        return _by_neighbours(cast(Local, target), x, uniforms)
    return (_by_layer if target.facts.layers else _by_turn)(target, x, uniforms)


def _by_turn(target: Target, x: Point, uniforms: tuple[Array, ...]) -> tuple[Array, ...]:
    colouring = target.colouring

    def update(colour: Array | int, code: tuple[Array, ...]) -> tuple[Array, ...]:
        gains = target.gains(Point(x.real, code))
        return tuple(
            jnp.where(mine == colour, invert_logits(gain, uniform).astype(old.dtype), old)
            for gain, uniform, mine, old in zip(gains, uniforms, colouring, code, strict=True)
        )

    return lax.fori_loop(0, target.facts.colours, update, x.code)


def _by_layer(target: Target, x: Point, uniforms: tuple[Array, ...]) -> tuple[Array, ...]:
    """Colours of consecutive sites: what is not asked of the gains is not computed, such as those of the other layer."""
    code = list(x.code)
    for ranges in target.facts.layers:
        gains = target.gains(Point(x.real, tuple(code)))
        for group, (start, end) in enumerate(ranges):
            drawn = invert_logits(gains[group][start:end], uniforms[group][start:end])
            code[group] = code[group].at[start:end].set(drawn.astype(code[group].dtype))
    return tuple(code)


MOST_UNROLLED = 8
"""Colours up to which each is written out, with exactly the sites that it has."""


def _by_neighbours(target: Local, x: Point, uniforms: tuple[Array, ...]) -> tuple[Array, ...]:
    def update(colour: Array | int, now: tuple[Point, Any]) -> tuple[Point, Any]:
        x, carried = now
        found = target.gains_of_colour(x, colour, carried)
        values = tuple(
            invert_logits(gains, uniforms[group][ranks]).astype(x.code[group].dtype)
            for group, (_, ranks, gains) in enumerate(found)
        )
        carried = target.carried_after(x, carried, colour, values)
        drawn = list(x.code)
        for group, ((sites, _, _), value) in enumerate(zip(found, values, strict=True)):
            drawn[group] = x.code[group].at[sites].set(value, mode="drop", wrap_negative_indices=False)
        return Point(x.real, tuple(drawn)), carried

    # Made afresh for every sweep, so that no rounding error grows.
    now, colours = (x, target.carried(x)), target.facts.colours
    if colours > MOST_UNROLLED:
        return lax.fori_loop(0, colours, update, now)[0].code
    for colour in range(colours):
        now = update(colour, now)
    return now[0].code
