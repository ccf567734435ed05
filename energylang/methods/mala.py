"""The Metropolis-adjusted Langevin algorithm."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from energylang.methods._adaptation import (
    DualAveraging,
    Moments,
    average,
    no_moments,
    observe,
    regularised,
    start_averaging,
)
from energylang.methods._gradient import value_and_gradient
from energylang.model import Info, Phase, Point, PRNGKey, Target, fold


class MalaState(NamedTuple):
    """x: the Point. log_density: scalar and gradient: float[R], both at x."""

    x: Point
    log_density: Array
    gradient: Array


class MalaTuning(NamedTuple):
    """step_size: scalar. variance: float[R], the diagonal preconditioner."""

    step_size: Array
    variance: Array


class MalaMemory(NamedTuple):
    """What warm-up remembers: of the step size, and of the draws in the slow window."""

    averaging: DualAveraging
    moments: Moments


@dataclass(frozen=True)
class Mala:
    """MALA: y = x + h^2/2 V grad log p(x) + h V^(1/2) noise, then Metropolis (Roberts and Tweedie 1996).

    The step size h is learned to accept 57.4 % of proposals, the optimum in high dimensions (Roberts and Rosenthal
    1998), the variances V from the slow windows; both are frozen afterwards.

    Info: acceptance_rate (the probability), diverging (the proposal had no finite density), step_size.
    """

    target_acceptance: float = 0.574
    step_size: float = 1.0

    @property
    def scope(self) -> Literal["chain", "ensemble"]:
        return "chain"

    @property
    def moves(self) -> Literal["continuous", "discrete", "any"]:
        return "continuous"

    def init(self, target: Target, x: Point, key: PRNGKey) -> MalaState:
        return MalaState(x, *value_and_gradient(target, x.real, x.code))

    def refresh(self, target: Target, state: MalaState) -> MalaState:
        return MalaState(state.x, *value_and_gradient(target, state.x.real, state.x.code))

    def step(self, target: Target, tune: MalaTuning, state: MalaState, key: PRNGKey) -> tuple[MalaState, Info]:
        spread = tune.step_size**2 * tune.variance

        def log_proposal(to: Array, at: Array, gradient: Array) -> Array:
            return -0.5 * jnp.sum((to - at - 0.5 * spread * gradient) ** 2 / spread)

        x = state.x.real
        noise = jax.random.normal(fold(key, 0), x.shape, x.dtype)
        y = x + 0.5 * spread * state.gradient + jnp.sqrt(spread) * noise
        log_density, gradient = value_and_gradient(target, y, state.x.code)
        log_ratio = log_density - state.log_density + log_proposal(x, y, gradient) - log_proposal(y, x, state.gradient)
        # A ratio that is not a number means no density or no gradient at the proposal: it is never accepted.
        log_ratio = jnp.where(jnp.isnan(log_ratio), -jnp.inf, log_ratio)
        accept = jnp.log(jax.random.uniform(fold(key, 1), (), x.dtype)) < log_ratio
        proposed = MalaState(Point(y, state.x.code), log_density, gradient)
        kept = jax.tree.map(lambda new, old: jnp.where(accept, new, old), proposed, state)
        info = {
            "acceptance_rate": jnp.exp(jnp.minimum(log_ratio, 0.0)),
            "diverging": ~jnp.isfinite(log_density),
            "step_size": tune.step_size,
        }
        return kept, info

    def tuning(self, target: Target) -> tuple[MalaTuning, MalaMemory]:
        reals = target.facts.reals
        variance = jnp.ones(reals)
        # Roberts and Rosenthal: h^2 shrinks with the cube root of the dimension.
        step_size = jnp.asarray(self.step_size * max(reals, 1) ** (-1 / 6), variance.dtype)
        return MalaTuning(step_size, variance), MalaMemory(start_averaging(step_size), no_moments(reals, dense=False))

    def adapt(
        self, phase: Phase, tune: MalaTuning, memory: MalaMemory, state: MalaState, info: Info
    ) -> tuple[MalaTuning, MalaMemory]:
        def either(condition: Array, new: MalaMemory, old: MalaMemory) -> MalaMemory:
            return jax.tree.map(lambda a, b: jnp.where(condition, a, b), new, old)

        averaging = average(memory.averaging, info["acceptance_rate"], self.target_acceptance)
        seen = MalaMemory(averaging, observe(memory.moments, state.x.real))
        memory = either(phase.slow, seen, MalaMemory(averaging, memory.moments))
        variance = jnp.where(phase.window_end, regularised(memory.moments), tune.variance)
        reals = state.x.real.shape[0]
        fresh = MalaMemory(start_averaging(jnp.exp(averaging.log_average)), no_moments(reals, dense=False))
        memory = either(phase.window_end, fresh, memory)
        log_step = jnp.where(phase.last, memory.averaging.log_average, memory.averaging.log_step)
        return MalaTuning(jnp.exp(log_step), variance), memory
