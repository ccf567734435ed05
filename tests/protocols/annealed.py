"""Annealed MALA as a Path: P stacked by level, learned in `prepare`; the weights are those of AIS."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from energylang.methods.mala import Mala, MalaTuning
from energylang.model import Info, Path, Phase, Point, PRNGKey, Scalar, Target, fold


class AnnealedTheta(NamedTuple):
    """levels: float[spans + 1], from 0 to 1. tune: of MALA at levels 1 to spans, stacked."""

    levels: Array
    tune: MalaTuning


@dataclass(frozen=True)
class AnnealedMala:
    """Annealed importance sampling (Neal 2001) with MALA, on unit-like spaces.

    gamma_t = exp(-t E + log Jacobian): at t = 0 the Jacobian of a sigmoid alone, which is the logistic density, up to
    the Jacobian of what is held fixed.
    """

    spans: int = 8
    warmup: int = 100
    kernel: Mala = field(default_factory=Mala)

    def prepare(self, target: Target, key: PRNGKey) -> AnnealedTheta:
        """The step size and scales of every level, learned by one chain that visits the levels in order."""
        levels = jnp.linspace(0.0, 1.0, self.spans + 1)
        number = jnp.arange(self.warmup)
        slow = (number >= self.warmup // 4) & (number < 3 * self.warmup // 4)
        ends = (number == 3 * self.warmup // 4 - 1, number == self.warmup - 1)
        phases = Phase(jnp.ones(self.warmup, bool), slow, *ends, (number + 1) / self.warmup)

        def visit(x: Point, level: Array) -> tuple[Point, MalaTuning]:
            tempered = target.at(level)

            def warm(carry: Any, scanned: tuple[Phase, Array]) -> tuple[Any, None]:
                tune, memory, state = carry
                phase, step = scanned
                state, info = self.kernel.step(tempered, tune, state, fold(key, 0, step))
                return (*self.kernel.adapt(phase, tune, memory, state, info), state), None

            start = (*self.kernel.tuning(tempered), self.kernel.init(tempered, x, key))
            (tune, _, state), _ = jax.lax.scan(warm, start, (phases, number))
            return state.x, tune

        x, _ = self.start(target, AnnealedTheta(levels, self.kernel.tuning(target)[0]), fold(key, 1))
        _, tune = jax.lax.scan(visit, x, levels[1:])
        return AnnealedTheta(levels, tune)

    def start(self, target: Target, theta: AnnealedTheta, key: PRNGKey) -> tuple[Point, Scalar]:
        real = jax.random.logistic(key, (target.facts.reals,))
        x = Point(real, ())
        return x, jax.scipy.stats.logistic.logpdf(real).sum() - target.at(theta.levels[0]).log_density(x)

    def forward(
        self, target: Target, theta: AnnealedTheta, span: Array, z: Point, key: PRNGKey
    ) -> tuple[Point, Scalar, Info]:
        before, after = target.at(theta.levels[span]), target.at(theta.levels[span + 1])
        log_g = after.log_density(z) - before.log_density(z)
        tune = jax.tree.map(lambda leaf: leaf[span], theta.tune)
        state, info = self.kernel.step(after, tune, self.kernel.init(after, z, key), key)
        return state.x, log_g, info

    def finish(self, target: Target, theta: AnnealedTheta, z: Point) -> tuple[Point, Scalar]:
        return z, jnp.zeros(())


def conforms() -> Path[Point, AnnealedTheta]:
    return AnnealedMala()
