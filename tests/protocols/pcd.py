"""Persistent contrastive divergence as an Objective: particles in O, moved by a kernel under `stop_gradient`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from energylang.methods.importance import Importance
from energylang.model import Batch, Kernel, Metrics, Objective, Player, PRNGKey, Scalar, Trainable, fold


class Particles(NamedTuple):
    """states: of the kernel, stacked [particles]. tune: of the kernel, shared."""

    states: Any
    tune: Any


@dataclass(frozen=True)
class Pcd:
    """PCD (Tieleman 2008): the gradient of mean E(data) - mean E(particles), the particles following the model."""

    sampler: Kernel[Any, Any, Any]
    particles: int = 64
    steps: int = 1

    @property
    def players(self) -> tuple[Player, ...]:
        return (Player("model"),)

    def init(self, model: Trainable, key: PRNGKey) -> Particles:
        target = model.target({})
        tune, _ = self.sampler.tuning(target)

        def begin(number: Any) -> Any:
            x, _ = Importance().start(target, (), fold(key, 0, number))
            return self.sampler.init(target, x, fold(key, 1, number))

        return Particles(jax.vmap(begin)(jnp.arange(self.particles)), tune)

    def loss(
        self, player: Player, model: Trainable, memory: Particles, batch: Batch, key: PRNGKey
    ) -> tuple[Scalar, tuple[Particles, Metrics]]:
        still = model.with_params(jax.lax.stop_gradient(model.params)).target({})

        def move(state: Any, number: Any) -> Any:
            # The params changed since the last step: caches are rebuilt, particles stay.
            state = self.sampler.refresh(still, state)
            for step in range(self.steps):
                state, _ = self.sampler.step(still, memory.tune, state, fold(key, number, step))
            return state

        states = jax.lax.stop_gradient(jax.vmap(move)(memory.states, jnp.arange(self.particles)))
        positive = jax.vmap(model)(dict(batch)).mean()
        negative = jax.vmap(model.target({}).energy)(states.x).mean()
        metrics = {"energy_of_data": positive, "energy_of_particles": negative}
        return positive - negative, (Particles(states, memory.tune), metrics)


def conforms(sampler: Kernel[Any, Any, Any]) -> Objective[Particles]:
    return Pcd(sampler)
