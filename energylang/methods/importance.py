"""Plain importance sampling from a fixed base."""

from __future__ import annotations

from dataclasses import dataclass
from math import log, pi

import jax
import jax.numpy as jnp
from jax import Array

from energylang.model import Info, Point, PRNGKey, Scalar, Target, fold


@dataclass(frozen=True)
class Importance:
    """Importance sampling as a path without spans: unconstrained reals from normal(0, scale), codes uniform.

    E[w] = Z exactly, whatever the base. The variance of w grows exponentially with the distance of base and target,
    so trust it in a few dimensions and read the effective sample size of the weights (Owen 2013, chapter 9).
    """

    scale: float = 1.0

    @property
    def spans(self) -> int:
        return 0

    def prepare(self, target: Target, key: PRNGKey) -> tuple[()]:
        return ()

    def start(self, target: Target, theta: tuple[()], key: PRNGKey) -> tuple[Point, Scalar]:
        facts = target.facts
        noise = jax.random.normal(fold(key, 0), (facts.reals,))
        code = tuple(
            jax.random.randint(fold(key, 1, position), (count,), 0, cardinality, jnp.int32)
            for position, (cardinality, count) in enumerate(zip(facts.cardinalities, facts.sites, strict=True))
        )
        constant = facts.reals * (log(self.scale) + 0.5 * log(2 * pi)) + sum(
            count * log(cardinality) for cardinality, count in zip(facts.cardinalities, facts.sites, strict=True)
        )
        return Point(self.scale * noise, code), -0.5 * jnp.sum(noise**2) - constant

    def forward(
        self, target: Target, theta: tuple[()], span: Array, z: Point, key: PRNGKey
    ) -> tuple[Point, Scalar, Info]:
        return z, jnp.zeros(()), {}

    def finish(self, target: Target, theta: tuple[()], z: Point) -> tuple[Point, Scalar]:
        return z, target.log_density(z)
