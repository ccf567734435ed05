"""Slice sampling of one unconstrained real after another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from energylang.model import Info, Phase, Point, PRNGKey, Target, fold

DECAY = 0.6
"""The gain of the adaptation falls as the number of steps to the power -0.6 (Andrieu and Thoms 2008)."""
LEFT, RIGHT, INSIDE = 0, 1, 2
"""What is evaluated next: the end on the left, the end on the right, or a candidate between the two."""


class SliceState(NamedTuple):
    """x: the Point. log_density: scalar, at x. grown, shrunk: float[R], of each interval in the last step, how often."""

    x: Point
    log_density: Array
    grown: Array
    shrunk: Array


class SliceTuning(NamedTuple):
    """log_width: float[R], of the interval that each slice is first looked for in."""

    log_width: Array


class SliceMemory(NamedTuple):
    """log_width: float[R], the moving iterate. mean: its mean over the second half of warm-up. steps, count: scalars."""

    log_width: Array
    mean: Array
    steps: Array
    count: Array


class _Search(NamedTuple):
    """Between two evaluations, of coordinate `site`. low, high: the interval. left, right: how often it may still grow.

    tries: evaluations for this coordinate. total: in this step.
    """

    site: Array
    real: Array
    log_density: Array
    level: Array
    low: Array
    high: Array
    left: Array
    right: Array
    stage: Array
    tries: Array
    total: Array
    grown: Array
    shrunk: Array


@dataclass(frozen=True)
class Slice:
    """Univariate slice sampling within Gibbs, with stepping out and shrinkage (Neal 2003, figures 3 and 5).

    A step moves every unconstrained real once, in order: a level under the density, an interval of a random place that grows by
    its width until both ends are below the level, `max_growth` times at most, then candidates from it, the interval shrunk
    to those that are below. It needs no gradient, and no tuning makes it wrong. Cost: about six densities for each real.

    Warm-up learns the widths: they follow the ratio of growths among growths and shrinkages to one half (Tibbits et al.
    2014, section 3.1), and become the mean of their logarithms over the second half.

    Info: acceptance_rate (the fraction of reals that moved), n_steps (densities).
    """

    width: float = 1.0
    max_growth: int = 32

    @property
    def scope(self) -> Literal["chain", "ensemble"]:
        return "chain"

    @property
    def moves(self) -> Literal["continuous"]:
        return "continuous"

    def init(self, target: Target, x: Point, key: PRNGKey) -> SliceState:
        return SliceState(x, target.log_density(x), jnp.zeros_like(x.real), jnp.zeros_like(x.real))

    def refresh(self, target: Target, state: SliceState) -> SliceState:
        return state._replace(log_density=target.log_density(state.x))

    def step(self, target: Target, tune: SliceTuning, state: SliceState, key: PRNGKey) -> tuple[SliceState, Info]:
        start = state.x.real
        reals, dtype = start.shape[0], start.dtype
        if not reals:
            return state, {"acceptance_rate": jnp.ones((), dtype), "n_steps": jnp.int32(0)}
        zeros, width = jnp.zeros_like(start), jnp.exp(tune.log_width)
        draws = jax.random.uniform(fold(key, 0), (3, reals), dtype)

        def aim(search: _Search) -> _Search:
            """The level and the first interval of a coordinate."""
            site = jnp.minimum(search.site, reals - 1)
            low = search.real[site] - width[site] * draws[1, site]
            left = jnp.floor(self.max_growth * draws[2, site]).astype(jnp.int32)
            return search._replace(
                level=self.level(search.log_density, draws[0, site]), low=low, high=low + width[site],
                left=left, right=self.max_growth - 1 - left, stage=jnp.int32(LEFT), tries=jnp.int32(0),
            )  # fmt: skip

        def look(search: _Search) -> _Search:
            site, here = search.site, search.real[search.site]
            uniform = jax.random.uniform(fold(key, 1, site, search.tries), (), dtype)
            between = search.low + uniform * (search.high - search.low)
            place = jnp.where(search.stage == LEFT, search.low, jnp.where(search.stage == RIGHT, search.high, between))
            real = search.real.at[site].set(place)
            log_density = target.log_density(Point(real, state.x.code))
            # Where there is no density, the slice is not.
            above = log_density > search.level
            inside = search.stage == INSIDE
            grow_left = (search.stage == LEFT) & above & (search.left > 0)
            grow_right = (search.stage == RIGHT) & above & (search.right > 0)
            # An interval that has shrunk to one float leaves nothing but to stay.
            stuck = inside & ~above & (place == here)
            taken = inside & above
            low = jnp.where(grow_left, search.low - width[site], search.low)
            high = jnp.where(grow_right, search.high + width[site], search.high)
            shrinks = inside & ~above
            low = jnp.where(shrinks & (place < here), place, low)
            high = jnp.where(shrinks & (place > here), place, high)
            growing = grow_left | grow_right
            found = search._replace(
                real=jnp.where(taken, real, search.real),
                log_density=jnp.where(taken, log_density, search.log_density),
                low=low,
                high=high,
                left=search.left - grow_left,
                right=search.right - grow_right,
                stage=jnp.where(inside | growing, search.stage, search.stage + 1),
                tries=search.tries + 1,
                total=search.total + 1,
                grown=search.grown.at[site].add(growing.astype(dtype)),
                shrunk=search.shrunk.at[site].add(shrinks.astype(dtype)),
                site=site + (taken | stuck),
            )
            following = aim(found)
            return jax.tree.map(lambda new, old: jnp.where(taken | stuck, new, old), following, found)

        nothing, none = jnp.zeros((), dtype), jnp.int32(0)
        begin = _Search(
            none, start, jnp.asarray(state.log_density, dtype), nothing, nothing, nothing, none, none, none, none, none,
            zeros, zeros,
        )  # fmt: skip
        end = jax.lax.while_loop(lambda search: search.site < reals, look, aim(begin))
        moved = jnp.mean((end.real != start).astype(dtype))
        info: dict[str, Any] = {"acceptance_rate": moved, "n_steps": end.total}
        return SliceState(Point(end.real, state.x.code), end.log_density, end.grown, end.shrunk), info

    def level(self, log_density: Array, uniform: Array) -> Array:
        """The log of a height under the density."""
        return log_density + jnp.log1p(-uniform)

    def tuning(self, target: Target) -> tuple[SliceTuning, SliceMemory]:
        log_width = jnp.full(target.facts.reals, jnp.log(self.width))
        return SliceTuning(log_width), SliceMemory(log_width, jnp.zeros_like(log_width), jnp.zeros(()), jnp.zeros(()))

    def adapt(
        self, phase: Phase, tune: SliceTuning, memory: SliceMemory, state: SliceState, info: Info
    ) -> tuple[SliceTuning, SliceMemory]:
        steps = memory.steps + 1.0
        # Where neither happened the width was right.
        ratio = (state.grown + 1e-3) / (state.grown + state.shrunk + 2e-3)
        log_width = memory.log_width + 3.0 * steps**-DECAY * (ratio - 0.5)
        counted = phase.progress > 0.5
        count = memory.count + counted
        mean = memory.mean + jnp.where(counted, (log_width - memory.mean) / jnp.maximum(count, 1.0), 0.0)
        return SliceTuning(jnp.where(phase.last, mean, log_width)), SliceMemory(log_width, mean, steps, count)
