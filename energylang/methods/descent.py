"""Gradient descent on continuous energies, constraints by augmented Lagrangians."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from energylang.methods import _optax
from energylang.model import Info, Measure, Point, PRNGKey, Problem, Scalar

ROUNDS = 24
"""How often the multipliers are made better."""
ENOUGH = 0.5
"""What is missed must fall to this part in a round, or the penalty grows."""
FACTOR = 4.0
MOST = 1e5
"""By how much it grows then, and how often in all: beyond, float32 has no digits left for the energy."""


class DescentState(NamedTuple):
    """x: the Point. optimizer: its state. below, equal: multipliers of what must not be above zero, or be zero. penalty:
    the weight of the squares, first: of the first round. missed: the norm of what was missed a round ago. progress: at
    the level."""

    x: Point
    optimizer: Any
    below: Array
    equal: Array
    penalty: Array
    first: Array
    missed: Array
    progress: Array


@dataclass(frozen=True)
class Descent:
    """Descent on the unconstrained vector, of the energy without the Jacobian of the map to the spaces.

    lbfgs: Liu and Nocedal 1989 with a zoom line search; adam: Kingma and Ba 2015. Constraints c <= 0 and c = 0 by the
    augmented Lagrangian sum of (max(0, l + m c)^2 - l^2) / 2m (Rockafellar 1974; Birgin and Martinez 2014, algorithm
    4.1): in each of a few rounds l becomes max(0, l + m c), and m grows where c did not shrink.

    Info: penalty, where there are constraints.
    """

    optimizer: Literal["lbfgs", "adam"] = "lbfgs"
    learning_rate: float = 0.05
    penalty: float | None = None

    @property
    def descends(self) -> bool:
        return True

    def _objective(self, problem: Problem, state: DescentState) -> _optax.Objective:
        def value(real: Array) -> Array:
            x = Point(real, state.x.code)
            energy = problem.measure(x).energy
            if not problem.constrained:
                return energy
            below, equal = problem.excess(x)
            weight = state.penalty
            above = jnp.maximum(0.0, state.below + weight * below)
            squares = jnp.sum(above**2 - state.below**2) + jnp.sum((state.equal + weight * equal) ** 2 - state.equal**2)
            return energy + squares / (2.0 * weight)

        return value

    def init(self, problem: Problem, x: Point, key: PRNGKey) -> DescentState:
        real = x.real
        zero, one = jnp.zeros((), real.dtype), jnp.ones((), real.dtype)
        below, equal, penalty = jnp.zeros(0, real.dtype), jnp.zeros(0, real.dtype), one
        if problem.constrained:
            over, off = problem.excess(x)
            below, equal = jnp.zeros_like(over), jnp.zeros_like(off)
            squares = jnp.sum(jnp.maximum(over, 0.0) ** 2) + jnp.sum(off**2)
            energy = jnp.abs(problem.measure(x).energy)
            balanced = jnp.clip(2.0 * energy / jnp.maximum(squares, 1e-6), 1.0, 100.0)
            penalty = jnp.asarray(self.penalty, real.dtype) if self.penalty is not None else balanced
        optimizer = _optax.start(self.optimizer, self.learning_rate, real)
        return DescentState(x, optimizer, below, equal, penalty, penalty, jnp.full_like(one, jnp.inf), zero)

    def enter(self, problem: Problem, state: DescentState, progress: Array, measure: Measure) -> DescentState:
        if not problem.constrained:
            return state._replace(progress=progress)
        due = jnp.floor(progress * ROUNDS) > jnp.floor(state.progress * ROUNDS)
        over, off = problem.excess(state.x)
        below = jnp.maximum(0.0, state.below + state.penalty * over)
        equal = state.equal + state.penalty * off
        # What is not active is missed by nothing, and what is active by as much as it is off.
        slack = jnp.maximum(over, -state.below / state.penalty)
        missed = jnp.sqrt(jnp.sum(slack**2) + jnp.sum(off**2))
        growing = missed > ENOUGH * state.missed
        penalty = jnp.where(growing, jnp.minimum(FACTOR * state.penalty, MOST * state.first), state.penalty)
        fresh = _optax.start(self.optimizer, self.learning_rate, state.x.real)
        new = DescentState(state.x, fresh, below, equal, penalty, state.first, missed, progress)
        kept = state._replace(progress=progress)
        return _either(due, new, kept)

    def step(self, problem: Problem, state: DescentState, key: PRNGKey) -> tuple[DescentState, Info]:
        objective = self._objective(problem, state)
        real, optimizer = _optax.step(self.optimizer, self.learning_rate, objective, state.x.real, state.optimizer)
        moved = state._replace(x=Point(real, state.x.code), optimizer=optimizer)
        return moved, {"penalty": state.penalty} if problem.constrained else {}

    def weight(self, state: DescentState) -> Scalar:
        return state.penalty


def _either(which: Array, new: DescentState, old: DescentState) -> DescentState:
    return jax.tree.map(lambda a, b: jnp.where(which, a, b), new, old)
