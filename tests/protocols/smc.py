"""Sequential Monte Carlo as a Path: the driver resamples between spans, and may choose the levels as it goes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax.numpy as jnp
from jax import Array

from energylang.methods.importance import Importance
from energylang.model import Info, Kernel, Path, Point, PRNGKey, Scalar, Target, fold


class SmcTheta(NamedTuple):
    """levels: float[spans + 1], from 0 to 1. tune: of the inner kernel."""

    levels: Array
    tune: Any


@dataclass(frozen=True)
class Smc:
    """SMC sampler (Del Moral, Doucet and Jasra 2006) of a discrete target, with gamma_t = exp(-t E).

    At t = 0 that is the uniform distribution, from which the particles start. The weight of a span depends on where it
    begins alone, so the driver may resample before the move.
    """

    kernel: Kernel[Any, Any, Any]
    spans: int = 8
    steps: int = 2

    def prepare(self, target: Target, key: PRNGKey) -> SmcTheta:
        tune, _ = self.kernel.tuning(target.at(jnp.ones(())))
        return SmcTheta(jnp.linspace(0.0, 1.0, self.spans + 1), tune)

    def start(self, target: Target, theta: SmcTheta, key: PRNGKey) -> tuple[Point, Scalar]:
        # gamma_0 = exp(-0 E) is 1, so LogQ is the log density of the base.
        return Importance().start(target, (), key)

    def reweight(self, target: Target, theta: SmcTheta, span: Array, level: Array, z: Point) -> Scalar:
        """LogG of a span that ends at `level`; with `with_level`, all that a driver needs to choose levels."""
        return -(level - theta.levels[span]) * target.at(jnp.ones(())).energy(z)

    def with_level(self, theta: SmcTheta, span: Array, level: Array) -> SmcTheta:
        return theta._replace(levels=theta.levels.at[span + 1].set(level))

    def forward(
        self, target: Target, theta: SmcTheta, span: Array, z: Point, key: PRNGKey
    ) -> tuple[Point, Scalar, Info]:
        level = theta.levels[span + 1]
        log_g = self.reweight(target, theta, span, level, z)
        tempered = target.at(level)
        state = self.kernel.init(tempered, z, fold(key, 0))
        rates = []
        for step in range(self.steps):
            state, info = self.kernel.step(tempered, theta.tune, state, fold(key, 1, step))
            rates.append(info["acceptance_rate"])
        return state.x, log_g, {"acceptance_rate": jnp.stack(rates).mean()}

    def finish(self, target: Target, theta: SmcTheta, z: Point) -> tuple[Point, Scalar]:
        return z, jnp.zeros(())


def conforms(kernel: Kernel[Any, Any, Any]) -> Path[Point, SmcTheta]:
    return Smc(kernel)
