"""Contrastive divergence: the energy of data falls, that of particles which follow the model rises."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

from energylang.methods._particles import Tuned, moved, scattered, untuned
from energylang.model import Batch, Kernel, Metrics, Player, PRNGKey, Scalar, Target, Trainable, fold


class Particles(NamedTuple):
    """states: of the kernel, stacked [particles]. tuned: what it has learned."""

    states: Any
    tuned: Tuned


@dataclass(frozen=True)
class Pcd:
    """Persistent contrastive divergence (Tieleman 2008), stochastic maximum likelihood (Younes 1999).

    The gradient of the mean energy of the batch minus the mean energy of the particles, which is that of minus log likelihood
    where the particles have the model's law. They stay from step to step, and move `steps` times under a kernel that leaves the
    model of the moment invariant: as params move slowly they follow. No gradient goes through their moves.

    The loss itself is a difference of energies about zero, and says little of the fit.
    """

    sampler: Kernel[Any, Any, Any]
    particles: int = 256
    steps: int = 1

    @property
    def players(self) -> tuple[Player, ...]:
        return (Player("model"),)

    def init(self, model: Trainable, key: PRNGKey) -> Particles:
        target = model.target({})
        return Particles(scattered(self.sampler, target, self.particles, key), untuned(self.sampler, target))

    def loss(
        self, player: Player, model: Trainable, memory: Particles, batch: Batch, key: PRNGKey
    ) -> tuple[Scalar, tuple[Particles, Metrics]]:
        still = model.with_params(lax.stop_gradient(model.params)).target({})
        # The params are others than at the last step: caches are made again, particles stay.
        states = jax.vmap(lambda state: self.sampler.refresh(still, state))(memory.states)
        states, tuned, info = lax.stop_gradient(
            moved(self.sampler, lambda _: still, states, memory.tuned, self.steps, key)
        )
        data = jnp.mean(model.rows(batch))
        particles = jnp.mean(jax.vmap(model.target({}).energy)(states.x))
        return _gap(data, particles, info, Particles(states, tuned))


@dataclass(frozen=True)
class Cd:
    """Contrastive divergence (Hinton 2002): the particles begin at the rows of the batch at every step.

    Biased, as `steps` moves from the data do not reach the model's law, but nothing is carried along, so that conditions may
    differ from row to row.
    """

    sampler: Kernel[Any, Any, Any]
    steps: int = 1

    @property
    def players(self) -> tuple[Player, ...]:
        return (Player("model"),)

    def init(self, model: Trainable, key: PRNGKey) -> tuple[()]:
        return ()

    def loss(
        self, player: Player, model: Trainable, memory: tuple[()], batch: Batch, key: PRNGKey
    ) -> tuple[Scalar, tuple[tuple[()], Metrics]]:
        still = model.with_params(lax.stop_gradient(model.params))
        numbers = jnp.arange(next(iter(batch.values())).shape[0])

        def row(number: Array | int) -> Batch:
            return {name: values[number] for name, values in batch.items()}

        def target(number: Array | int) -> Target:
            return still.target(model.conditions(row(number)))

        def begin(number: Array) -> Any:
            return self.sampler.init(target(number), still.point(row(number)), fold(key, 0, number))

        tuned = untuned(self.sampler, target(0))
        states = jax.vmap(begin)(numbers)
        states, _, info = lax.stop_gradient(moved(self.sampler, target, states, tuned, self.steps, fold(key, 1)))
        data = jnp.mean(model.rows(batch))
        particles = jax.vmap(lambda n, x: model.target(model.conditions(row(n))).energy(x))(numbers, states.x)
        return _gap(data, jnp.mean(particles), info, memory)


def _gap(data: Scalar, particles: Scalar, info: Any, memory: Any) -> Any:
    metrics = {"energy_of_data": data, "energy_of_particles": particles}
    if "acceptance_rate" in info:
        metrics["acceptance_rate"] = info["acceptance_rate"]
    return data - particles, (memory, metrics)
