"""A random walk on discrete variables: some sites take another value, whatever the energy says of it."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate
from math import log
from typing import NamedTuple

import jax.numpy as jnp
from jax import Array

from energylang.methods._adaptation import Search, search, start_search
from energylang.methods._balanced import accepted, require_choice
from energylang.methods._discrete import Discrete
from energylang.model import Info, Phase, Point, PRNGKey, Target
from energylang.threefry import uniforms


class WalkState(NamedTuple):
    """x: the Point. log_density: scalar, at x."""

    x: Point
    log_density: Array


class WalkTuning(NamedTuple):
    """flips: scalar, how many sites are expected to move."""

    flips: Array


@dataclass(frozen=True)
class RandomWalk(Discrete):
    """Metropolis sampling (Metropolis et al. 1953): each of the D sites moves with probability R / D, to another value
    drawn uniformly. One evaluation of the log density a step, and no gradient: the base line of informed proposals.

    Warm-up learns R, between 1 and D, so as to accept `target_acceptance`, by default the optimum of random walks in many
    dimensions (Roberts, Gelman and Gilks 1997), and keeps the mean of log R over its second half.

    Info: acceptance_rate (the probability, zero where no site moves), flips (sites that the proposal changes).
    """

    target_acceptance: float = 0.234

    def init(self, target: Target, x: Point, key: PRNGKey) -> WalkState:
        return WalkState(x, target.log_density(x))

    def refresh(self, target: Target, state: WalkState) -> WalkState:
        return WalkState(state.x, target.log_density(state.x))

    def step(self, target: Target, tune: WalkTuning, state: WalkState, key: PRNGKey) -> tuple[WalkState, Info]:
        facts = target.facts
        sites = facts.discrete
        many = any(k > 2 for k in facts.cardinalities)
        numbers = uniforms(key, (2 if many else 1) * sites + 1)
        code = []
        for old, values, end in zip(state.x.code, facts.cardinalities, accumulate(facts.sites), strict=True):
            start = end - old.shape[0]
            moving = numbers[start:end] * sites < tune.flips
            step = jnp.ones_like(old)
            if values != 2:
                step += jnp.floor(numbers[sites + start : sites + end] * (values - 1)).astype(old.dtype)
            code.append(jnp.where(moving, (old + step) % values, old))
        x = Point(state.x.real, tuple(code))
        proposed = WalkState(x, target.log_density(x))
        kept, rate = accepted(proposed.log_density - state.log_density, numbers[-1], proposed, state)
        flips = jnp.asarray(sum((new != old).sum() for new, old in zip(code, state.x.code, strict=True)), rate.dtype)
        return kept, {"acceptance_rate": jnp.where(flips > 0, rate, 0.0), "flips": flips}

    def tuning(self, target: Target) -> tuple[WalkTuning, Search]:
        require_choice("random_walk", target.facts)
        flips = jnp.ones(())
        return WalkTuning(flips), start_search(jnp.log(flips))

    def adapt(
        self, phase: Phase, tune: WalkTuning, memory: Search, state: WalkState, info: Info
    ) -> tuple[WalkTuning, Search]:
        sites = sum(code.shape[0] for code in state.x.code)
        log_flips, memory = search(phase, memory, info["acceptance_rate"] - self.target_acceptance, 0.0, log(sites))
        return WalkTuning(jnp.exp(log_flips)), memory
