"""Forward filtering, backward sampling: exact joint draws along chains and trees."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple, cast

import jax.numpy as jnp
from jax import Array, lax

from energylang.model import Forested, Info, Phase, Point, PRNGKey, Target, fold


class ForwardBackwardState(NamedTuple):
    """x: the Point; nothing is cached."""

    x: Point


@dataclass(frozen=True)
class ForwardBackward:
    """Draws groups of discrete sites, each jointly from its law given the rest (Carter and Kohn 1994; Scott 2002).

    The compiler finds groups that are forests of couplings in pairs given all other sites, and sums along each (forward
    filtering) before it draws it (backward sampling). Where all sites are one forest, as in a hidden Markov model or a mixture,
    a step is an independent exact draw of them given the other variables. Otherwise a step draws one group after another:
    the chains of a factorial hidden Markov model, every other row of a lattice, induced forests of a graph (Hamze and de
    Freitas 2004).

    Info: acceptance_rate (always one).
    """

    @property
    def scope(self) -> Literal["chain", "ensemble"]:
        return "chain"

    @property
    def moves(self) -> Literal["continuous", "discrete", "any"]:
        return "discrete"

    def init(self, target: Target, x: Point, key: PRNGKey) -> ForwardBackwardState:
        return ForwardBackwardState(x)

    def refresh(self, target: Target, state: ForwardBackwardState) -> ForwardBackwardState:
        return state

    def step(
        self, target: Target, tune: tuple[()], state: ForwardBackwardState, key: PRNGKey
    ) -> tuple[ForwardBackwardState, Info]:
        forested = cast(Forested, target)
        x, tables = state.x, forested.tree_tables(state.x)
        for kind, count in enumerate(forested.trees()):

            def draw(number: Array, x: Point, kind: int = kind) -> Point:
                return forested.redrawn(x, kind, number, tables, fold(key, kind, number))

            x = lax.fori_loop(0, count, draw, x)
        return ForwardBackwardState(x), {"acceptance_rate": jnp.ones(())}

    def tuning(self, target: Target) -> tuple[tuple[()], tuple[()]]:
        cast(Forested, target).trees()
        return (), ()

    def adapt(
        self, phase: Phase, tune: tuple[()], memory: tuple[()], state: ForwardBackwardState, info: Info
    ) -> tuple[tuple[()], tuple[()]]:
        return tune, memory
