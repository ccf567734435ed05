"""What kernels that follow a trajectory share: their state, a scaled space to move in, and Stan's warm-up of both."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
from jax import Array

from energylang.methods._adaptation import (
    DualAveraging,
    Moments,
    average,
    no_moments,
    observe,
    regularised,
    start_averaging,
)
from energylang.methods._gradient import value_and_gradient
from energylang.methods._low_rank import LowRank, Seen, learned, nothing_seen, plain, see
from energylang.model import Info, Phase, Point, PRNGKey, Target

DIVERGENCE = 1000.0
"""An energy error above which a trajectory is said to diverge, as Stan does."""
FUSED = 32
"""Reals up to which a dense root is multiplied elementwise: a small product fuses with what stands around it, and a call of
a library costs more than the product."""
Root: TypeAlias = Array | LowRank
MOST_STEPS = 1024
"""Gradients of one trajectory at most, those of a tree of NUTS of the default depth. The number is drawn without looking
at the state, so that a limit on it takes nothing from exactness."""


class TrajectoryState(NamedTuple):
    """x: the Point. log_density: scalar and gradient: float[R], both at x."""

    x: Point
    log_density: Array
    gradient: Array


class TrajectoryTuning(NamedTuple):
    """step_size: scalar, in the scaled space. root: float[R], lower float[R, R] or LowRank, real = root @ scaled."""

    step_size: Array
    root: Root


class TrajectoryMemory(NamedTuple):
    """What warm-up remembers: of the step size, and of the draws in the slow window."""

    averaging: DualAveraging
    moments: Moments | Seen


def forward(root: Root, vector: Array) -> Array:
    """root @ vector: a velocity of the scaled space in the space of the reals."""
    if isinstance(root, LowRank):
        return root.forward(vector)
    if root.ndim == 1:
        return root * vector
    return jnp.sum(root * vector, axis=1) if vector.size <= FUSED else root @ vector


def backward(root: Root, gradient: Array) -> Array:
    """root.T @ gradient: a gradient in the reals as one in the scaled space."""
    if isinstance(root, LowRank):
        return root.backward(gradient)
    if root.ndim == 1:
        return root * gradient
    return jnp.sum(root * gradient[:, None], axis=0) if gradient.size <= FUSED else gradient @ root


class Place(NamedTuple):
    """A point of a trajectory: float[R] each, the momentum in the scaled space. log_density: scalar."""

    real: Array
    momentum: Array
    gradient: Array
    log_density: Array


def leapfrog(target: Target, code: tuple[Array, ...], root: Root, step: Array, start: Place) -> Place:
    """The point a step further, back in time where `step` is below zero."""
    half = start.momentum + 0.5 * step * backward(root, start.gradient)
    real = start.real + step * forward(root, half)
    density, gradient = value_and_gradient(target, real, code)
    return Place(real, half + 0.5 * step * backward(root, gradient), gradient, density)


def number_of_steps(mean: Array, jitter: float, key: PRNGKey) -> Array:
    """int32 from 1 to MOST_STEPS: uniform around the mean within `jitter` times it, rounded up."""
    factor = 1.0 + jitter * jax.random.uniform(key, (), mean.dtype, -1.0, 1.0)
    # The maximum before the conversion: a step size of 0 makes the mean infinite.
    return jnp.clip(jnp.ceil(mean * factor), 1.0, MOST_STEPS).astype(jnp.int32)


@dataclass(frozen=True)
class Trajectories:
    """A kernel that carries a gradient and learns a step size and a root of the covariance, in the windows of Stan."""

    target_acceptance: float = 0.8
    step_size: float = 1.0

    def dense(self, reals: int) -> bool:
        """Whether the root is a matrix."""
        return False

    @property
    def low_rank(self) -> bool:
        """Whether the root is a LowRank."""
        return False

    def covariance(self, moments: Moments) -> Array:
        """What a slow window teaches, float[R] or float[R, R]."""
        return regularised(moments)

    @property
    def scope(self) -> Literal["chain", "ensemble"]:
        return "chain"

    @property
    def moves(self) -> Literal["continuous", "discrete", "any"]:
        return "continuous"

    def init(self, target: Target, x: Point, key: PRNGKey) -> TrajectoryState:
        return TrajectoryState(x, *value_and_gradient(target, x.real, x.code))

    def refresh(self, target: Target, state: TrajectoryState) -> TrajectoryState:
        return TrajectoryState(state.x, *value_and_gradient(target, state.x.real, state.x.code))

    def tuning(self, target: Target) -> tuple[TrajectoryTuning, TrajectoryMemory]:
        reals = target.facts.reals
        step_size = jnp.asarray(self.step_size, jnp.result_type(float))
        memory = TrajectoryMemory(start_averaging(step_size), self._nothing(reals))
        if self.low_rank:
            return TrajectoryTuning(step_size, plain(reals)), memory
        return TrajectoryTuning(step_size, jnp.eye(reals) if self.dense(reals) else jnp.ones(reals)), memory

    def adapt(
        self, phase: Phase, tune: TrajectoryTuning, memory: TrajectoryMemory, state: TrajectoryState, info: Info
    ) -> tuple[TrajectoryTuning, TrajectoryMemory]:
        real, reals = state.x.real, state.x.real.shape[0]
        averaging = average(memory.averaging, info["acceptance_rate"], self.target_acceptance)
        before = memory.moments
        seen = see(before, real, state.gradient) if isinstance(before, Seen) else observe(before, real)
        moments = jax.tree.map(lambda new, old: jnp.where(phase.slow, new, old), seen, memory.moments)

        def learn(_: Any) -> tuple[Root, DualAveraging, Moments | Seen]:
            return self._root(moments), start_averaging(jnp.exp(averaging.log_average)), self._nothing(reals)

        def keep(_: Any) -> tuple[Root, DualAveraging, Moments | Seen]:
            return tune.root, averaging, moments

        root, averaging, moments = jax.lax.cond(phase.window_end, learn, keep, None)
        log_step = jnp.where(phase.last, averaging.log_average, averaging.log_step)
        return TrajectoryTuning(jnp.exp(log_step), root), TrajectoryMemory(averaging, moments)

    def _nothing(self, reals: int) -> Moments | Seen:
        return nothing_seen(reals) if self.low_rank else no_moments(reals, self.dense(reals))

    def _root(self, moments: Moments | Seen) -> Root:
        if isinstance(moments, Seen):
            return learned(moments)
        covariance = self.covariance(moments)
        return jnp.linalg.cholesky(covariance) if covariance.ndim == 2 else jnp.sqrt(covariance)
