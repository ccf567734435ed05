"""The discrete Metropolis-adjusted Langevin algorithm."""

from __future__ import annotations

from dataclasses import dataclass

import jax.numpy as jnp
from jax import Array

from energylang.methods._factorised import Factorised


@dataclass(frozen=True)
class Dmala(Factorised):
    """The discrete Langevin proposal with a Metropolis correction (Zhang, Liu and Liu 2022), every site at once.

    A site moves to another value with odds tau g(exp(gain)) against staying; with g = sqrt that is the paper's kernel,
    whose quadratic term is -log tau. What is learned, and what `_factorised` says of the cost, holds here.

    Info: acceptance_rate (the probability), step_size (tau), flips (sites that the proposal changes).
    """

    @property
    def name(self) -> str:
        return "dmala"

    def pair(self, step_size: Array, odds: Array) -> tuple[Array, Array]:
        return step_size * self.weigh(odds), jnp.ones_like(odds)

    def several(self, step_size: Array, odds: Array, current: Array) -> Array:
        return jnp.where(current, 1.0, step_size * self.weigh(odds))
