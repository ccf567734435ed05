"""Variational entropy regularised training as an Objective with two players, the energy and a generator."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jax import Array

from energylang.model import Batch, Metrics, Objective, Params, Player, PRNGKey, Scalar, Trainable, fold

Generator = Callable[[Params, Array], Array]


@dataclass(frozen=True)
class Vera:
    """VERA (Grathwohl, Kelly et al. 2021): a generator stands in for the sampler.

    The energy descends mean E(data) - mean E(generated). The generator g(noise) + sigma e descends mean E minus its
    entropy, whose gradient is -E[grad_x log q(x) dx], with grad log q(x) averaged over posterior draws of the noise by
    importance weights (equations 9 to 12). The generator is a net of the model: its params are the model's.
    """

    generate: Generator
    energy_params: tuple[str, ...]
    generator_params: tuple[str, ...]
    variable: str
    noise: int
    sigma: float = 0.5
    particles: int = 64
    posterior_draws: int = 32
    posterior_deviation: float = 0.6

    @property
    def players(self) -> tuple[Player, ...]:
        return Player("energy", self.energy_params), Player("generator", self.generator_params)

    def init(self, model: Trainable, key: PRNGKey) -> tuple[()]:
        return ()

    def _log_joint(self, params: Params, x: Array, noise: Array) -> Scalar:
        residual = (x - self.generate(params, noise)) / self.sigma
        return -0.5 * jnp.sum(residual**2) - 0.5 * jnp.sum(noise**2)

    def _score(self, params: Params, x: Array, noise: Array, key: PRNGKey) -> Array:
        """grad_x log q(x): importance weighted over noise near the one that made x."""
        jitter = self.posterior_deviation * jax.random.normal(key, (self.posterior_draws, self.noise))
        near = noise + jitter
        log_weight = jax.vmap(lambda n: self._log_joint(params, x, n))(near)
        log_weight += 0.5 * jnp.sum((jitter / self.posterior_deviation) ** 2, axis=1)
        slopes = jax.vmap(lambda n: (self.generate(params, n) - x) / self.sigma**2)(near)
        return jax.nn.softmax(log_weight) @ slopes

    def loss(
        self, player: Player, model: Trainable, memory: tuple[()], batch: Batch, key: PRNGKey
    ) -> tuple[Scalar, tuple[tuple[()], Metrics]]:
        params = model.params
        noise = jax.random.normal(fold(key, 0), (self.particles, self.noise))
        clean = jax.vmap(lambda n: self.generate(params, n))(noise)
        made = clean + self.sigma * jax.random.normal(fold(key, 1), clean.shape)
        energy_of_made = jax.vmap(lambda x: model({self.variable: x}))(made).mean()
        if player.name == "energy":
            energy_of_data = jax.vmap(model)(dict(batch)).mean()
            return energy_of_data - energy_of_made, (memory, {"energy_of_data": energy_of_data})
        keys = jax.vmap(lambda number: fold(key, 2, number))(jnp.arange(self.particles))
        still = jax.lax.stop_gradient(params)
        scores = jax.vmap(lambda x, n, k: self._score(still, x, n, k))(jax.lax.stop_gradient(made), noise, keys)
        negative_entropy = jnp.mean(jnp.sum(jax.lax.stop_gradient(scores) * made, axis=1))
        return energy_of_made + negative_entropy, (memory, {"energy_of_generated": energy_of_made})


def conforms(generate: Generator) -> Objective[tuple[()]]:
    return Vera(generate, ("energy",), ("generator",), "x", 2)
