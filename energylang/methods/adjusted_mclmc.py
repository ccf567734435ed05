"""Microcanonical Langevin dynamics with a Metropolis correction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
from jax import Array

from energylang.methods._gradient import value_and_gradient
from energylang.methods._low_rank import LowRank
from energylang.methods._trajectories import Trajectories, TrajectoryState, TrajectoryTuning, number_of_steps
from energylang.model import Info, Point, PRNGKey, Target, fold


@dataclass(frozen=True)
class AdjustedMclmc(Trajectories):
    """Metropolis-adjusted microcanonical sampling (Robnik, Cohn-Gordon and Seljak 2025), by blackjax.

    A trajectory of the isokinetic dynamics, in which a momentum keeps its length and only turns, begins in a uniform
    direction, takes McLachlan's steps of two gradients each, and is accepted by the change of energy along it; so the
    draws are those of the target whatever the tuning. Its length is `trajectory_length` times the square root of the number of
    reals, in the space scaled by a diagonal metric, times a number that is uniform between 0 and 2.

    Warm-up is that of hmc: dual averaging of the step size to `target_acceptance`, scales from Stan's slow windows.

    Info: acceptance_rate (the probability), diverging (energy error above 1000), step_size, n_steps (gradients).
    """

    target_acceptance: float = 0.9
    trajectory_length: float = 1.0

    def step(
        self, target: Target, tune: TrajectoryTuning, state: TrajectoryState, key: PRNGKey
    ) -> tuple[TrajectoryState, Info]:
        from energylang.methods import _blackjax

        def slope(real: Array) -> tuple[Array, Array]:
            return value_and_gradient(target, real, state.x.code)

        assert not isinstance(tune.root, LowRank), "its metric is diagonal"
        reals = state.x.real.shape[0]
        length = self.trajectory_length * jnp.sqrt(jnp.asarray(reals, state.x.real.dtype))
        steps = number_of_steps(length / tune.step_size, 1.0, fold(key, 0))
        end = _blackjax.adjusted_mclmc_step(
            slope, state.x.real, state.log_density, state.gradient, tune.step_size, tune.root, steps, fold(key, 1)
        )
        info: dict[str, Any] = {
            "acceptance_rate": end.acceptance_rate,
            "diverging": end.diverging,
            "step_size": tune.step_size,
            "n_steps": 2 * steps,
        }
        return TrajectoryState(Point(end.position, state.x.code), end.log_density, end.gradient), info
