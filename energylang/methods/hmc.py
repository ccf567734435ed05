"""Hamiltonian Monte Carlo with trajectories of a length that does not depend on where they go."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import jax
import jax.numpy as jnp
from jax import Array

from energylang.methods._trajectories import (
    DIVERGENCE,
    Place,
    Trajectories,
    TrajectoryState,
    TrajectoryTuning,
    leapfrog,
    number_of_steps,
)
from energylang.model import Info, Point, PRNGKey, Target, fold


def transition(
    target: Target,
    tune: TrajectoryTuning,
    state: TrajectoryState,
    wanted: Array,
    key: PRNGKey,
    accepts: Callable[[Array, PRNGKey], Array],
) -> tuple[TrajectoryState, Place, Info]:
    """A trajectory of `wanted` leapfrog steps from a fresh momentum, kept or not: the state after, where it ended, the statistics.

    accepts: whether an end is kept, from its energy error.
    """
    step_size, root = tune
    start = state.x.real
    momentum = jax.random.normal(fold(key, 1), start.shape, start.dtype)

    def going(at: tuple[Array, Place]) -> Array:
        # Without a density there is no way on, from either end of the trajectory.
        return (at[0] < wanted) & jnp.isfinite(at[1].log_density)

    def advance(at: tuple[Array, Place]) -> tuple[Array, Place]:
        return at[0] + 1, leapfrog(target, state.x.code, root, step_size, at[1])

    begin = Place(start, momentum, state.gradient, state.log_density)
    steps, end = jax.lax.while_loop(going, advance, (jnp.zeros((), jnp.int32), begin))
    before = 0.5 * momentum @ momentum - state.log_density
    after = 0.5 * end.momentum @ end.momentum - end.log_density
    error = jnp.where(jnp.isnan(after - before), jnp.inf, after - before)
    accept = accepts(error, fold(key, 2))
    proposed = TrajectoryState(Point(end.real, state.x.code), end.log_density, end.gradient)
    kept = jax.tree.map(lambda new, old: jnp.where(accept, new, old), proposed, state)
    info: dict[str, Any] = {
        "acceptance_rate": jnp.exp(-jnp.maximum(error, 0.0)),
        "diverging": error > DIVERGENCE,
        "step_size": step_size,
        "n_steps": steps,
        "energy": jnp.where(accept, after, before),
        "energy_error": error,
    }
    return kept, end, info


def metropolis(error: Array, key: PRNGKey) -> Array:
    """Whether a proposal with this energy error is taken: the Metropolis rule."""
    return jnp.log(jax.random.uniform(key, (), error.dtype)) < -error


@dataclass(frozen=True)
class Hmc(Trajectories):
    """HMC (Duane et al. 1987; Neal 2011): leapfrog steps along a trajectory, then Metropolis on its end.

    A trajectory takes the time `trajectory_length` in the space scaled by the metric, where a well-scaled target has unit
    variances; with `leapfrog`, that many steps. Either is drawn anew for each trajectory, uniformly within `jitter` times
    itself on both sides: no direction comes back to where it began each time (Mackenzie 1989; Neal 2011, section 3.2).
    Warm-up is Stan's: dual averaging of the step size to `target_acceptance`, the metric from the slow windows; "low_rank" is
    diagonal but for a few directions, learned from draws and gradients (`_low_rank.learned`).

    Info: acceptance_rate (the probability), diverging (energy error above 1000, or no density on the way), step_size,
    n_steps (gradients), energy (the Hamiltonian at the new state), energy_error (of the proposal).
    """

    metric: Literal["diagonal", "dense", "low_rank"] = "diagonal"
    trajectory_length: float = 1.5707963
    leapfrog: int | None = None
    jitter: float = 0.5

    def dense(self, reals: int) -> bool:
        return self.metric == "dense"

    @property
    def low_rank(self) -> bool:
        return self.metric == "low_rank"

    def step(
        self, target: Target, tune: TrajectoryTuning, state: TrajectoryState, key: PRNGKey
    ) -> tuple[TrajectoryState, Info]:
        length = jnp.asarray(self.leapfrog if self.leapfrog else self.trajectory_length / tune.step_size)
        wanted = number_of_steps(length.astype(state.x.real.dtype), self.jitter, fold(key, 0))
        kept, _, info = transition(target, tune, state, wanted, key, self.accepts)
        return kept, info

    def accepts(self, error: Array, key: PRNGKey) -> Array:
        """Whether an end is kept."""
        return metropolis(error, key)
