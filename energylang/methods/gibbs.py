"""Gibbs sweeps over discrete variables, a colour at a time."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate
from typing import Literal, NamedTuple, cast

import jax
import jax.numpy as jnp
from jax import Array, lax

from energylang.methods._categorical import invert_logits
from energylang.model import Info, Local, Phase, Point, PRNGKey, Target
from energylang.threefry import uniforms


class GibbsState(NamedTuple):
    """x: the Point; nothing is cached."""

    x: Point


@dataclass(frozen=True)
class Gibbs:
    """Gibbs sampling (Geman and Geman 1984): one step visits every discrete site once and rejects nothing.

    Where the gains are exact and the conflict graph is coloured, all sites of a colour are drawn at once from their
    conditionals, softmax over values of the gains, colours in turn (Gonzalez et al. 2011): for a bipartite model such as
    an RBM a layer at a time. Where the target is `Local` a colour costs the gains of its own sites, else those of all.
    Without colours the sites are visited in order, each with one evaluation of the log density for each of its values.

    Info: acceptance_rate (always one).
    """

    @property
    def scope(self) -> Literal["chain", "ensemble"]:
        return "chain"

    @property
    def moves(self) -> Literal["continuous", "discrete", "any"]:
        return "discrete"

    def init(self, target: Target, x: Point, key: PRNGKey) -> GibbsState:
        return GibbsState(x)

    def refresh(self, target: Target, state: GibbsState) -> GibbsState:
        return state

    def step(self, target: Target, tune: tuple[()], state: GibbsState, key: PRNGKey) -> tuple[GibbsState, Info]:
        facts = target.facts
        # A site is drawn once a sweep, so one uniform each serves all colours.
        parts = tuple(jnp.split(uniforms(key, facts.discrete), list(accumulate(facts.sites))[:-1]))
        if facts.gains != "exact" or not facts.colours:
            code = _by_site(target, state.x, parts)
        elif facts.reach:
            code = _by_neighbours(cast(Local, target), state.x, parts)
        else:
            code = _by_colour(target, state.x, parts)
        return GibbsState(Point(state.x.real, code)), {"acceptance_rate": jnp.ones(())}

    def tuning(self, target: Target) -> tuple[tuple[()], tuple[()]]:
        return (), ()

    def adapt(
        self, phase: Phase, tune: tuple[()], memory: tuple[()], state: GibbsState, info: Info
    ) -> tuple[tuple[()], tuple[()]]:
        return tune, memory


def _by_colour(target: Target, x: Point, uniforms: tuple[Array, ...]) -> tuple[Array, ...]:
    colouring = target.colouring

    def update(colour: Array | int, code: tuple[Array, ...]) -> tuple[Array, ...]:
        gains = target.gains(Point(x.real, code))
        return tuple(
            jnp.where(mine == colour, invert_logits(gain, uniform).astype(old.dtype), old)
            for gain, uniform, mine, old in zip(gains, uniforms, colouring, code, strict=True)
        )

    return lax.fori_loop(0, target.facts.colours, update, x.code)


MOST_UNROLLED = 8
"""Colours up to which each is written out, with exactly the sites that it has."""


def _by_neighbours(target: Local, x: Point, uniforms: tuple[Array, ...]) -> tuple[Array, ...]:
    def update(colour: Array | int, code: tuple[Array, ...]) -> tuple[Array, ...]:
        drawn = list(code)
        for group, (sites, ranks, gains) in enumerate(target.gains_of_colour(Point(x.real, code), colour)):
            value = invert_logits(gains, uniforms[group][ranks]).astype(code[group].dtype)
            drawn[group] = code[group].at[sites].set(value, mode="drop", wrap_negative_indices=False)
        return tuple(drawn)

    code, colours = x.code, target.facts.colours
    if colours > MOST_UNROLLED:
        return lax.fori_loop(0, colours, update, code)
    for colour in range(colours):
        code = update(colour, code)
    return code


def _by_site(target: Target, x: Point, uniforms: tuple[Array, ...]) -> tuple[Array, ...]:
    code = x.code
    for position, (cardinality, count) in enumerate(zip(target.facts.cardinalities, target.facts.sites, strict=True)):
        values = jnp.arange(cardinality, dtype=code[position].dtype)

        def update(site: Array, code: tuple[Array, ...], position: int = position, values: Array = values):
            def with_value(value: Array) -> tuple[Array, ...]:
                return (*code[:position], code[position].at[site].set(value), *code[position + 1 :])

            logits = jax.vmap(lambda value: target.log_density(Point(x.real, with_value(value))))(values)
            return with_value(invert_logits(logits, uniforms[position][site]).astype(values.dtype))

        code = lax.fori_loop(0, count, update, code)
    return code
