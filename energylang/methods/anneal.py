"""Simulated annealing: any Markov chain, at an inverse temperature that rises."""

from __future__ import annotations

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
GROWING = 0.9
"""The part of the steps after which the weight falls no more, and its ceiling holds no more."""
PACE, LAST_PACE = 40.0, 100.0
"""The log by which it would grow, or fall, in all steps together; and by which it grows after that part."""
ABOVE = 1.0001
"""The first penalty, times the most that a single change can gain: what is missed never pays, and hardly costs."""


class AnnealState(NamedTuple):
    """x: the Point. inner: the state of the kernel, tune and memory: its own. hot, cold, beta: temperatures (and inverse).
    progress: at the level, weight: of the penalties, ceiling: the most that it is before the last part of the steps."""

    x: Point
    inner: Any
    tune: Any
    memory: Any
    hot: Array
    cold: Array
    beta: Array
    progress: Array
    weight: Array
    ceiling: Array


@dataclass(frozen=True)
class Anneal:
    """Simulated annealing (Kirkpatrick, Gelatt and Vecchi 1983): a kernel on exp(-E / T), T falling from `start` to `end`.

    The kernel goes on learning what it learns in warm-up, as what suits it changes with the temperature. Constraints
    enter as weighted penalties. Where none is given the temperatures follow from the mean change of the energy by a
    single change of the first point, the first weight a little more than the largest. The weight then grows at each level that
    ends off the constraints and falls at each that does not, so that the search goes to and fro over their edge (Glover
    1989's strategic oscillation); in the last tenth it only grows. Up to there a ceiling holds: the first weight, or what
    makes no single change off the constraints pay, if that is more. At any temperature some of many constraints are missed,
    and a weight that grew until none is would freeze what the temperature leaves free.

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
        typical, largest, dearest = scale(problem, x)
        hot = jnp.asarray(self.start if self.start is not None else HOTTEST * typical, typical.dtype)
        cold = jnp.asarray(self.end if self.end is not None else COLDEST * hot, typical.dtype)
        weight = jnp.asarray(self.penalty if self.penalty is not None else ABOVE * largest, typical.dtype)
        ceiling = jnp.maximum(weight, ABOVE * dearest)
        beta = 1.0 / hot
        target = _at(problem, beta, weight)
        tune, memory = self.inner.tuning(target)
        inner = self.inner.init(target, x, fold(key, 0))
        zero = jnp.zeros_like(hot)
        return AnnealState(inner.x, inner, tune, memory, hot, jnp.minimum(cold, hot), beta, zero, weight, ceiling)

    def enter(self, problem: Problem, state: AnnealState, progress: Array, measure: Measure) -> AnnealState:
        if self.cooling == "geometric":
            temperature = state.hot * (state.cold / state.hot) ** progress
        else:
            temperature = state.hot + (state.cold - state.hot) * progress
        beta, weight = 1.0 / temperature, state.weight
        if problem.constrained:
            swaying, passed = progress < GROWING, progress - state.progress
            rate = jnp.where(swaying, PACE, LAST_PACE) * passed
            eased = jnp.where(swaying, -rate, 0.0)
            weight = weight * jnp.exp(jnp.where(measure.violation > problem.tolerance, rate, eased))
            weight = jnp.where(swaying, jnp.minimum(weight, state.ceiling), weight)
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


def scale(problem: Problem, x: Point) -> tuple[Array, Array, Array]:
    """The mean and the largest change of the energy at a point, by single changes and by unit moves of the reals; and the
    largest gain of energy over what it adds to the penalty, by single changes: infinite where there are reals.

    Where the energy does not change at all, or no change is known (counts), all are one.
    """
    energies, penalties = ([jnp.ravel(change) for change in changes] for changes in problem.changes(x))
    parts, one = [jnp.abs(change) for change in energies if change.size], jnp.ones(())
    if x.real.shape[0]:
        slope = jax.grad(lambda real: problem.measure(Point(real, x.code)).energy)(x.real)
        parts.append(jnp.abs(slope))
    if not parts:
        return one, one, one
    found = jnp.concatenate(parts)
    found = jnp.where(jnp.isfinite(found), found, 0.0)
    count = jnp.sum(found > 0)
    some = count > 0
    mean = jnp.where(some, jnp.sum(found) / jnp.maximum(count, 1), 1.0)
    largest = jnp.where(some, jnp.max(found), 1.0)
    rates = [
        jnp.where((penalty > 0) & jnp.isfinite(energy), -energy / jnp.where(penalty > 0, penalty, 1.0), 0.0)
        for energy, penalty in zip(energies, penalties, strict=True)
    ]
    dearest = jnp.max(jnp.concatenate(rates), initial=0.0) if not x.real.shape[0] else jnp.asarray(jnp.inf, mean.dtype)
    return mean, largest, dearest
