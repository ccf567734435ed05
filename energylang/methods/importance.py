"""Plain importance sampling from a fixed base."""

from __future__ import annotations

from dataclasses import dataclass
from math import log

import jax
import jax.numpy as jnp
from jax import Array

from energylang.model import UNBOUNDED, Info, Point, PRNGKey, Scalar, Target, fold


@dataclass(frozen=True)
class Importance:
    """Importance sampling as a path without spans: unconstrained reals from Student's t, codes uniform, counts 1 / u.

    The base is scale times a t of four degrees of freedom in each coordinate, and not a normal, because the bijectors
    of bounded spaces make exponential tails (a gamma on `positive`, a beta on `unit`), under which weights against a
    normal base have no variance, and their error bar no meaning. Against the t they are bounded.

    E[w] = Z exactly, whatever the base. The variance of w grows exponentially with the dimension, so trust it in a few
    dimensions and read the effective sample size of the weights (Owen 2013, chapter 9).
    """

    scale: float = 1.0

    @property
    def spans(self) -> int:
        return 0

    def prepare(self, target: Target, key: PRNGKey) -> tuple[()]:
        return ()

    def start(self, target: Target, theta: tuple[()], key: PRNGKey) -> tuple[Point, Scalar]:
        facts = target.facts
        # A chi-square of four degrees of freedom is twice the sum of two exponentials.
        halves = jax.random.exponential(fold(key, 0), (2, facts.reals)).sum(axis=0)
        t = jax.random.normal(fold(key, 1), (facts.reals,)) / jnp.sqrt(0.5 * halves)
        log_q = -2.5 * jnp.sum(jnp.log1p(0.25 * t**2)) - facts.reals * (log(self.scale) - log(3 / 8))
        code = []
        for position, (cardinality, count) in enumerate(zip(facts.cardinalities, facts.sites, strict=True)):
            if cardinality == UNBOUNDED:
                # P(n >= t) = 1 / (t + 1): heavier tails than any law of counts with a mean.
                uniform = 1.0 - jax.random.uniform(fold(key, 2, position), (count,))
                drawn = (jnp.floor(1.0 / uniform) - 1.0).astype(jnp.int32)
                log_q -= jnp.sum(jnp.log(drawn + 1.0) + jnp.log(drawn + 2.0))
            else:
                drawn = jax.random.randint(fold(key, 2, position), (count,), 0, cardinality, jnp.int32)
                log_q -= count * log(cardinality)
            code.append(drawn)
        return Point(self.scale * t, tuple(code)), log_q

    def forward(
        self, target: Target, theta: tuple[()], span: Array, z: Point, key: PRNGKey
    ) -> tuple[Point, Scalar, Info]:
        return z, jnp.zeros(()), {}

    def finish(self, target: Target, theta: tuple[()], z: Point) -> tuple[Point, Scalar]:
        return z, target.log_density(z)
