"""Random walks on counts: Metropolis with symmetric integer steps of heavy tails."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

from energylang.methods._adaptation import Search, search, start_search
from energylang.model import UNBOUNDED, Info, Phase, Point, PRNGKey, Target

LONGEST = 2**30
"""Steps are cut here, so that a proposal beyond 32 bits wraps to a negative number, which has no mass."""


class MetropolisState(NamedTuple):
    """x: the Point. log_density: scalar, at x. accepted: float[D], the acceptance probability of each site's last step."""

    x: Point
    log_density: Array
    accepted: Array


class MetropolisTuning(NamedTuple):
    """log_scale: float[D], of the steps of each site."""

    log_scale: Array


@dataclass(frozen=True)
class Metropolis:
    """Metropolis sampling (Metropolis et al. 1953) of counts: one step proposes a move of every site, in order.

    A proposal adds or subtracts 1 + floor(scale (1 / u - 1)) with u uniform: integers with the tail of a Cauchy law, so
    that single steps and long jumps both happen. It is symmetric, negative numbers have no mass, and the ratio is that
    of the true densities; so the step is exact whatever the scale. Cost: one evaluation of the log density for each site.

    Warm-up learns a scale for each site that accepts `target_acceptance` of its proposals (Robbins and Monro 1951), the
    optimum of one-dimensional random walks by default (Gelman, Roberts and Gilks 1996), and keeps the mean of log scales
    over the second half.

    Info: acceptance_rate (the mean over sites).
    """

    target_acceptance: float = 0.44

    @property
    def scope(self) -> Literal["chain", "ensemble"]:
        return "chain"

    @property
    def moves(self) -> Literal["counts"]:
        return "counts"

    def init(self, target: Target, x: Point, key: PRNGKey) -> MetropolisState:
        return MetropolisState(x, target.log_density(x), jnp.zeros(target.facts.counts))

    def refresh(self, target: Target, state: MetropolisState) -> MetropolisState:
        return state._replace(log_density=target.log_density(state.x))

    def step(
        self, target: Target, tune: MetropolisTuning, state: MetropolisState, key: PRNGKey
    ) -> tuple[MetropolisState, Info]:
        place = target.facts.cardinalities.index(UNBOUNDED)
        sites = target.facts.sites[place]
        uniforms = jax.random.uniform(key, (sites, 3))
        steps = self.steps(tune, uniforms[:, 0], uniforms[:, 1])

        def update(site: Array, state: MetropolisState) -> MetropolisState:
            old = state.x.code[place]
            new = old[site] + steps[site]
            moved = (*state.x.code[:place], old.at[site].set(jnp.maximum(new, 0)), *state.x.code[place + 1 :])
            x = Point(state.x.real, moved)
            log_density = target.log_density(x)
            log_ratio = log_density - state.log_density
            # Not a number: neither point has a density. Such a proposal, like a negative one, is never accepted.
            log_ratio = jnp.where(jnp.isnan(log_ratio) | (new < 0), -jnp.inf, log_ratio)
            accept = jnp.log(uniforms[site, 2]) < log_ratio
            rates = state.accepted.at[site].set(jnp.exp(jnp.minimum(log_ratio, 0.0)))
            proposed = MetropolisState(x, log_density, rates)
            kept = jax.tree.map(lambda new, old: jnp.where(accept, new, old), proposed, state)
            return kept._replace(accepted=rates)

        state = lax.fori_loop(0, sites, update, state)
        return state, {"acceptance_rate": state.accepted.mean()}

    def steps(self, tune: MetropolisTuning, size: Array, sign: Array) -> Array:
        """int32[D]: the proposed changes, from uniforms."""
        length = 1.0 + jnp.floor(jnp.exp(tune.log_scale) * (1.0 / (1.0 - size) - 1.0))
        whole = jnp.minimum(length, LONGEST).astype(jnp.int32)
        return jnp.where(sign < 0.5, -whole, whole)

    def tuning(self, target: Target) -> tuple[MetropolisTuning, Search]:
        zeros = jnp.zeros(target.facts.counts)
        return MetropolisTuning(zeros), start_search(zeros)

    def adapt(
        self, phase: Phase, tune: MetropolisTuning, memory: Search, state: MetropolisState, info: Info
    ) -> tuple[MetropolisTuning, Search]:
        log_scale, memory = search(phase, memory, state.accepted - self.target_acceptance, -5.0, 20.0)
        return MetropolisTuning(log_scale), memory
