"""The no-U-turn sampler with Stan's warm-up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jax.scipy.linalg import solve_triangular

from energylang.methods._adaptation import (
    DualAveraging,
    Moments,
    average,
    no_moments,
    observe,
    regularised,
    shrunk,
    start_averaging,
)
from energylang.methods._gradient import value_and_gradient
from energylang.model import Info, Phase, Point, PRNGKey, Target


class NutsState(NamedTuple):
    """x: the Point. log_density: scalar and gradient: float[R], both at x."""

    x: Point
    log_density: Array
    gradient: Array


class NutsTuning(NamedTuple):
    """step_size: scalar. covariance: float[R] or float[R, R], the inverse mass matrix.

    factor: what makes momenta of normal numbers: its inverse root, float[R], or the inverse transpose of its Cholesky factor.
    """

    step_size: Array
    covariance: Array
    factor: Array


class NutsMemory(NamedTuple):
    """What warm-up remembers: of the step size, and of the draws in the slow window."""

    averaging: DualAveraging
    moments: Moments


FEW = 64
"""Reals up to which a dense metric costs little beside a gradient, and a window of warm-up has draws enough for it."""


@dataclass(frozen=True)
class Nuts:
    """NUTS: multinomial, iterative, with the generalised U-turn criterion (Hoffman and Gelman 2014; Betancourt 2017).

    Warm-up is Stan's: dual averaging of the step size to `target_acceptance`, the inverse mass matrix from the draws
    of each slow window. No step size is searched for at the start, which would compile the gradient once more:
    from `step_size` dual averaging falls by a factor of five a step, and a trajectory that diverges costs one gradient.

    metric: "diagonal" or "dense" as Stan's, or "auto": up to 64 reals a dense matrix whose correlations are shrunk as far as
    they are noise (`shrunk`), diagonal beyond.

    Info: acceptance_rate (mean over the trajectory), diverging (energy error above 1000), step_size, n_steps
    (gradients), tree_depth, reached_max_tree_depth, energy (the Hamiltonian at the new state), energy_error.
    """

    target_acceptance: float = 0.8
    max_tree_depth: int = 10
    metric: Literal["auto", "diagonal", "dense"] = "auto"
    step_size: float = 1.0

    @property
    def scope(self) -> Literal["chain", "ensemble"]:
        return "chain"

    @property
    def moves(self) -> Literal["continuous", "discrete", "any"]:
        return "continuous"

    def init(self, target: Target, x: Point, key: PRNGKey) -> NutsState:
        return NutsState(x, *value_and_gradient(target, x.real, x.code))

    def refresh(self, target: Target, state: NutsState) -> NutsState:
        return NutsState(state.x, *value_and_gradient(target, state.x.real, state.x.code))

    def step(self, target: Target, tune: NutsTuning, state: NutsState, key: PRNGKey) -> tuple[NutsState, Info]:
        from energylang.methods import _blackjax

        def slope(real: Array) -> tuple[Array, Array]:
            return value_and_gradient(target, real, state.x.code)

        end = _blackjax.nuts_step(
            slope, state.x.real, state.log_density, state.gradient, *tune, self.max_tree_depth, key
        )
        info: dict[str, Any] = {
            "acceptance_rate": end.acceptance_rate,
            "diverging": end.diverging,
            "step_size": tune.step_size,
            "n_steps": end.n_steps,
            "tree_depth": end.tree_depth,
            "reached_max_tree_depth": end.tree_depth >= self.max_tree_depth,
            "energy": end.energy,
            "energy_error": end.energy_error,
        }
        return NutsState(Point(end.position, state.x.code), end.log_density, end.gradient), info

    def tuning(self, target: Target) -> tuple[NutsTuning, NutsMemory]:
        reals = target.facts.reals
        dense = self.metric == "dense" or (self.metric == "auto" and 1 < reals <= FEW)
        unit = jnp.eye(reals) if dense else jnp.ones(reals)
        step_size = jnp.asarray(self.step_size, unit.dtype)
        return NutsTuning(step_size, unit, unit), NutsMemory(start_averaging(step_size), no_moments(reals, dense))

    def adapt(
        self, phase: Phase, tune: NutsTuning, memory: NutsMemory, state: NutsState, info: Info
    ) -> tuple[NutsTuning, NutsMemory]:
        averaging = average(memory.averaging, info["acceptance_rate"], self.target_acceptance)
        seen = observe(memory.moments, state.x.real)
        moments = jax.tree.map(lambda new, old: jnp.where(phase.slow, new, old), seen, memory.moments)

        def learn(_: Any) -> tuple[Array, Array, DualAveraging, Moments]:
            dense = tune.covariance.ndim == 2
            covariance = shrunk(moments) if dense and self.metric == "auto" else regularised(moments)
            fresh = start_averaging(jnp.exp(averaging.log_average))
            return covariance, _factor(covariance), fresh, no_moments(tune.covariance.shape[0], dense)

        def keep(_: Any) -> tuple[Array, Array, DualAveraging, Moments]:
            return tune.covariance, tune.factor, averaging, moments

        covariance, factor, averaging, moments = jax.lax.cond(phase.window_end, learn, keep, None)
        log_step = jnp.where(phase.last, averaging.log_average, averaging.log_step)
        return NutsTuning(jnp.exp(log_step), covariance, factor), NutsMemory(averaging, moments)


def _factor(covariance: Array) -> Array:
    if covariance.ndim == 1:
        return 1.0 / jnp.sqrt(covariance)
    unit = jnp.eye(covariance.shape[0], dtype=covariance.dtype)
    return solve_triangular(jnp.linalg.cholesky(covariance), unit, lower=True).T
