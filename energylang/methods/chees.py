"""Hamiltonian Monte Carlo of many chains that learn the length of their trajectories together: ChEES."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from energylang.methods._adaptation import (
    DualAveraging,
    Moments,
    average,
    no_moments,
    observe_all,
    regularised,
    start_averaging,
)
from energylang.methods._gradient import value_and_gradient
from energylang.methods._trajectories import MOST_STEPS, TrajectoryState, TrajectoryTuning
from energylang.methods.hmc import metropolis, transition
from energylang.model import Info, Phase, Point, PRNGKey, Target

RATE, DECAY = 0.025, 0.95
"""Of Adam, without momentum: the learning rate of the log length, and what is kept of the squared slopes at each step."""
LARGEST_CHANGE = 0.35
"""Of the log length in one step."""
EARLY_STEPS = 64
"""Leapfrog steps of a trajectory at most, before there are scales."""
FAR = 10.0
"""Distances of the lower quartile from the median of log densities, below which a chain is on its way."""


class Flight(NamedTuple):
    """The last trajectory, of which its length is learned: both ends in the reals, the momentum at its end. float[R]."""

    start: Array
    end: Array
    momentum: Array


class CheesState(NamedTuple):
    """x: the Point. log_density: scalar and gradient: float[R], both at x. steps: int32, those done, alike in all chains."""

    x: Point
    log_density: Array
    gradient: Array
    steps: Array
    flight: Flight


class CheesTuning(NamedTuple):
    """step_size and trajectory_length: scalars, in the scaled space. root: float[R], real = root * scaled.

    most: leapfrog steps of a trajectory at most, a float.
    """

    step_size: Array
    trajectory_length: Array
    most: Array
    root: Array


class Length(NamedTuple):
    """Memory of what is learned of the length: its logarithm, now and averaged, that of the size of slopes, updates done."""

    log_length: Array
    log_average: Array
    log_size: Array
    count: Array


class CheesMemory(NamedTuple):
    """What warm-up remembers: of the step size, of the length, and of the draws of all chains in the slow window."""

    averaging: DualAveraging
    length: Length
    moments: Moments


@dataclass(frozen=True)
class Chees:
    """ChEES-HMC (Hoffman, Radul and Sountsov 2021): chains that move in step, with one tuning.

    The trajectories of a step take the time h T, h from Halton's sequence on (0, 1) and the same for all chains, so that no
    chain waits for another. T follows the gradient of the Change in the Estimator of the Expected Square, the mean over chains
    of (|q' - m'|^2 - |q - m|^2)^2 / 4 from the beginning q to the end q' of a trajectory, m and m' their means (equation 10);
    the step size is averaged to the harmonic mean of acceptance (section 3.3), and a diagonal metric comes from the draws of
    all chains in Stan's slow windows. The criterion is that of the scaled space, so that no unit of a variable decides.
    All is frozen after warm-up.

    Info: acceptance_rate (the probability), diverging (energy error above 1000, or no density on the way), step_size,
    trajectory_length (T, of which h is a part), n_steps (gradients), energy (the Hamiltonian at the new state), energy_error.
    """

    target_acceptance: float = 0.651
    step_size: float = 1.0

    @property
    def scope(self) -> Literal["chain", "ensemble"]:
        return "ensemble"

    @property
    def moves(self) -> Literal["continuous", "discrete", "any"]:
        return "continuous"

    def init(self, target: Target, x: Point, key: PRNGKey) -> CheesState:
        value, slope = value_and_gradient(target, x.real, x.code)
        nowhere = Flight(x.real, x.real, jnp.zeros_like(x.real))
        return CheesState(x, value, slope, jnp.zeros((), jnp.int32), nowhere)

    def refresh(self, target: Target, state: CheesState) -> CheesState:
        value, slope = value_and_gradient(target, state.x.real, state.x.code)
        return state._replace(log_density=value, gradient=slope)

    def step(self, target: Target, tune: CheesTuning, state: CheesState, key: PRNGKey) -> tuple[CheesState, Info]:
        steps = state.steps + 1
        wanted = jnp.ceil(halton(steps) * tune.trajectory_length / tune.step_size)
        # The maximum before the conversion: a step size of 0 makes the number infinite.
        wanted = jnp.clip(wanted, 1.0, tune.most).astype(jnp.int32)
        scaled = TrajectoryTuning(tune.step_size, tune.root)
        begin = TrajectoryState(state.x, state.log_density, state.gradient)
        kept, end, info = transition(target, scaled, begin, wanted, key, self.accepts)
        flight = Flight(state.x.real, end.real, end.momentum)
        return CheesState(*kept, steps, flight), {**info, "trajectory_length": tune.trajectory_length}

    def accepts(self, error: Array, key: PRNGKey) -> Array:
        """Whether an end is kept."""
        return metropolis(error, key)

    def tuning(self, target: Target) -> tuple[CheesTuning, CheesMemory]:
        root = jnp.ones(target.facts.reals)
        step_size = jnp.asarray(self.step_size, root.dtype)
        memory = CheesMemory(
            start_averaging(step_size), start_learning(jnp.log(step_size)), no_moments(target.facts.reals, dense=False)
        )
        return CheesTuning(step_size, step_size, jnp.asarray(EARLY_STEPS, root.dtype), root), memory

    def adapt(
        self, phase: Phase, tune: CheesTuning, memory: CheesMemory, state: CheesState, info: Info
    ) -> tuple[CheesTuning, CheesMemory]:
        """state and info have a leading dim of chains."""
        acceptance = info["acceptance_rate"]
        averaging = average(memory.averaging, harmonic_mean(acceptance), self.target_acceptance)
        flight = Flight(state.flight.start / tune.root, state.flight.end / tune.root, state.flight.momentum)
        # The time is h T, and the slope is that in log T.
        time = halton(state.steps[0]) * tune.trajectory_length
        there = arrived(state.log_density)
        slope, error = slope_of_criterion(flight, jnp.where(there, acceptance, 0.0))
        length = ascend(memory.length, time * slope, time * error)
        seen = observe_all(memory.moments, state.x.real, there)
        moments = jax.tree.map(lambda new, old: jnp.where(phase.slow, new, old), seen, memory.moments)

        def learn(_: Any) -> tuple[Array, DualAveraging, Length, Moments]:
            root = jnp.sqrt(regularised(moments))
            # Until there were scales, lengths were those of chains on their way. The criterion has several maxima: the search
            # begins below the first.
            log_length = jnp.where(tune.most < MOST_STEPS, 0.0, length.log_average - log_widening(root / tune.root))
            fresh = start_averaging(jnp.exp(averaging.log_average))
            return root, fresh, start_learning(log_length), no_moments(root.shape[0], dense=False)

        def keep(_: Any) -> tuple[Array, DualAveraging, Length, Moments]:
            return tune.root, averaging, length, moments

        root, averaging, length, moments = jax.lax.cond(phase.window_end, learn, keep, None)
        log_step = jnp.where(phase.last, averaging.log_average, averaging.log_step)
        log_length = jnp.where(phase.last, length.log_average, length.log_length)
        most = jnp.where(phase.window_end, jnp.asarray(MOST_STEPS, root.dtype), tune.most)
        tune = CheesTuning(jnp.exp(log_step), jnp.exp(log_length), most, root)
        return tune, CheesMemory(averaging, length, moments)


def halton(number: Array) -> Array:
    """The number-th of Halton's sequence in base 2 (van der Corput 1935), from 1: 1/2, 1/4, 3/4, 1/8, … in (0, 1)."""
    bits = number.astype(jnp.uint32)
    for width, mask in ((1, 0x55555555), (2, 0x33333333), (4, 0x0F0F0F0F), (8, 0x00FF00FF), (16, 0x0000FFFF)):
        bits = ((bits >> width) & mask) | ((bits & mask) << width)
    return bits.astype(float) * 2.0**-32


def harmonic_mean(rates: Array) -> Array:
    """Of acceptance rates, float[N]; one that is not a number counts as a rejection."""
    least = jnp.finfo(rates.dtype).tiny
    return 1.0 / jnp.mean(1.0 / jnp.where(rates > least, rates, least))


def arrived(log_density: Array) -> Array:
    """bool[N]: the chains whose log density is not FAR below the others'. One that is still on its way to where the rest are
    would decide scales and lengths for all."""
    ordered = jnp.sort(log_density)
    count = log_density.shape[0]
    median, quartile = ordered[count // 2], ordered[count // 4]
    return log_density >= median - FAR * (median - quartile)


def slope_of_criterion(flight: Flight, weights: Array) -> tuple[Array, Array]:
    """The derivative of ChEES in the time of the trajectories, and its standard error over chains: scalars.

    flight: float[N, R], in the scaled space, where a momentum is a velocity. weights: float[N]; chains of weight 0, and those
    whose trajectory ended without a density, are not looked at. Both in units of the squared mean of |q - m|^2.
    """
    usable = jnp.all(jnp.isfinite(flight.end) & jnp.isfinite(flight.momentum), axis=1) & (weights > 0)
    weights = jnp.where(usable, weights, 0.0)
    tiny = jnp.finfo(weights.dtype).tiny
    share = weights / jnp.maximum(jnp.sum(weights), tiny)
    start, end, velocity = (jnp.where(usable[:, None], part, 0.0) for part in flight)
    start, end, velocity = (part - share @ part for part in (start, end, velocity))
    size = jnp.sum(jnp.square(start), axis=1)
    change = jnp.sum(jnp.square(end), axis=1) - size
    unit = jnp.maximum(share @ size, tiny)
    slopes = change / unit * jnp.sum(end * velocity, axis=1) / unit
    slope = share @ slopes
    return slope, jnp.sqrt(jnp.sum(jnp.square(share * (slopes - slope))))


def log_widening(ratios: Array) -> Array:
    """The logarithm by which times change where scales grow by these ratios, float[R], scalar.

    A variance v is seen by the criterion as v^2: their mean so weighted is that of the widest direction where it stands out,
    and does not follow the noise of the largest where all are alike.
    """
    largest = jnp.max(ratios)
    variances = jnp.square(ratios / largest)
    return jnp.log(largest) + 0.5 * jnp.log(jnp.sum(variances**3) / jnp.sum(variances**2))


def start_learning(log_length: Array) -> Length:
    zero = jnp.zeros_like(log_length)
    return Length(log_length, log_length, zero, zero)


def ascend(length: Length, slope: Array, error: Array) -> Length:
    """One step up the criterion, and the running average of where they led (section 3.2).

    A step is RATE times the slope over its usual size, as one of Adam (Kingma and Ba 2015); but sizes are averaged as logarithms,
    since those of the first steps, far from where the density is, would outweigh the squares of hundreds that follow.
    """
    size = jnp.hypot(slope, error)
    sound = jnp.isfinite(size) & (size > 0)
    count = length.count + sound
    weight = jnp.maximum(1.0 / jnp.maximum(count, 1.0), 1.0 - DECAY)
    log_size = length.log_size + weight * (jnp.log(jnp.where(sound, size, 1.0)) - length.log_size)
    change = jnp.clip(RATE * slope / jnp.exp(log_size), -LARGEST_CHANGE, LARGEST_CHANGE)
    log_length = length.log_length + change
    recent = jnp.maximum(count, 1.0) ** -0.5
    log_average = recent * log_length + (1.0 - recent) * length.log_average
    moved = Length(log_length, log_average, log_size, count)
    return jax.tree.map(lambda new, old: jnp.where(sound, new, old), moved, length)
