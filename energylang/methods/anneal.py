"""Simulated annealing: any Markov chain, at an inverse temperature that rises."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from energylang.diagnostics import Diagnostic, DiagnosticError
from energylang.model import Info, Kernel, Measure, Phase, Point, PRNGKey, Problem, Scalar, Target, fold

HOTTEST, COLDEST = 0.6, 0.17
"""The first temperature over what a single change typically costs, and the last over the first, where none is given: from
where most moves are taken to where few are, on graphs (sets, cuts), lattices and spin glasses."""
GROWING = 0.75
"""The part of the steps after which the weight falls no more."""
PACE = 40.0
"""The log by which it would grow, or fall, in all steps together."""
ABOVE = 1.0001
"""The first penalty, times the most that a single change can gain: what is missed never pays, and hardly costs."""


class AnnealState(NamedTuple):
    """x: the Point. inner: the state of the kernel, tune and memory: its own. hot, cold, beta: temperatures (and inverse).
    progress: at the level, weight: of the penalties."""

    x: Point
    inner: Any
    tune: Any
    memory: Any
    hot: Array
    cold: Array
    beta: Array
    progress: Array
    weight: Array


@dataclass(frozen=True)
class Anneal:
    """Simulated annealing (Kirkpatrick, Gelatt and Vecchi 1983): a kernel on exp(-E / T), T falling from `start` to `end`.

    The kernel goes on learning what it learns in warm-up, as what suits it changes with the temperature. Constraints
    enter as weighted penalties. Where none is given the temperatures follow from the mean change of the energy by a
    single change of the first point, the first weight a little more than the largest. The weight then grows at each level that
    ends off the constraints and falls at each that does not, so that the search goes to and fro over their edge (Glover
    1989's strategic oscillation); in the last quarter it only grows.

    Info: what the kernel says, and temperature, penalty.
    """

    inner: Kernel[Any, Any, Any]
    start: float | None = None
    end: float | None = None
    cooling: Literal["geometric", "linear"] = "geometric"
    penalty: float | None = None

    def __post_init__(self) -> None:
        if self.start is not None and self.end is not None and self.end > self.start:
            raise DiagnosticError(
                [
                    Diagnostic(
                        "E0664", f"annealing cools, and here it starts at {self.start:g} and ends at {self.end:g}",
                        fix=f"`anneal(…, start = {self.end:g}, end = {self.start:g})`",
                    )
                ]
            )  # fmt: skip

    @property
    def descends(self) -> bool:
        return False

    def init(self, problem: Problem, x: Point, key: PRNGKey) -> AnnealState:
        typical, largest = scale(problem, x)
        hot = jnp.asarray(self.start if self.start is not None else HOTTEST * typical, typical.dtype)
        cold = jnp.asarray(self.end if self.end is not None else COLDEST * hot, typical.dtype)
        weight = jnp.asarray(self.penalty if self.penalty is not None else ABOVE * largest, typical.dtype)
        beta = 1.0 / hot
        target = _at(problem, beta, weight)
        tune, memory = self.inner.tuning(target)
        inner = self.inner.init(target, x, fold(key, 0))
        return AnnealState(inner.x, inner, tune, memory, hot, jnp.minimum(cold, hot), beta, jnp.zeros_like(hot), weight)

    def enter(self, problem: Problem, state: AnnealState, progress: Array, measure: Measure) -> AnnealState:
        if self.cooling == "geometric":
            temperature = state.hot * (state.cold / state.hot) ** progress
        else:
            temperature = state.hot + (state.cold - state.hot) * progress
        beta, weight = 1.0 / temperature, state.weight
        if problem.constrained:
            rate = PACE * (progress - state.progress)
            eased = jnp.where(progress < GROWING, -rate, 0.0)
            weight = weight * jnp.exp(jnp.where(measure.violation > problem.tolerance, rate, eased))
        inner = self.inner.refresh(_at(problem, beta, weight), state.inner)
        return state._replace(inner=inner, beta=beta, progress=progress, weight=weight)

    def step(self, problem: Problem, state: AnnealState, key: PRNGKey) -> tuple[AnnealState, Info]:
        target = _at(problem, state.beta, state.weight)
        inner, info = self.inner.step(target, state.tune, state.inner, key)
        off = jnp.zeros((), bool)
        phase = Phase(warming=~off, slow=off, window_end=off, last=off, progress=state.progress)
        tune, memory = self.inner.adapt(phase, state.tune, state.memory, inner, info)
        said = {**info, "temperature": 1.0 / state.beta}
        if problem.constrained:
            said["penalty"] = state.weight
        return state._replace(x=inner.x, inner=inner, tune=tune, memory=memory), said

    def weight(self, state: AnnealState) -> Scalar:
        return state.weight


def _at(problem: Problem, beta: Array, weight: Array) -> Target:
    return problem.target(weight).at(beta)


def scale(problem: Problem, x: Point) -> tuple[Array, Array]:
    """The mean and the largest change of the energy at a point: by single changes, and by unit moves of the reals.

    Where the energy does not change at all, or no change is known (counts), both are one.
    """
    parts = [jnp.abs(jnp.ravel(change)) for change in problem.changes(x)[0] if math.prod(change.shape)]
    if x.real.shape[0]:
        slope = jax.grad(lambda real: problem.measure(Point(real, x.code)).energy)(x.real)
        parts.append(jnp.abs(slope))
    if not parts:
        return jnp.ones(()), jnp.ones(())
    found = jnp.concatenate(parts)
    found = jnp.where(jnp.isfinite(found), found, 0.0)
    count = jnp.sum(found > 0)
    some = count > 0
    mean = jnp.where(some, jnp.sum(found) / jnp.maximum(count, 1), 1.0)
    return mean, jnp.where(some, jnp.max(found), 1.0)
