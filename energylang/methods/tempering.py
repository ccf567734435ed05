"""Parallel tempering: replicas of any kernel at rising temperatures, exchanging their places."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

from energylang.model import Info, Kernel, Phase, Point, PRNGKey, Target, fold

FIRST_ROUND = 16
"""Steps after which the ladder is spread for the first time; each round is twice as long as the one before."""
LADDER_ENDS = 0.5
"""The fraction of warm-up after which the ladder stands still, so that the inner kernels settle on it."""
LEAST_REJECTION = 1e-3
"""Added to every rejection rate, so that a ladder of levels that never reject keeps them apart."""


class TemperingState(NamedTuple):
    """x: the Point at inverse temperature 1. replicas: the inner states, stacked [K], coldest first.

    The caches of the replicas are rebuilt before they move. parity: which neighbours exchange next. visited: bool[K],
    whether what is now at a level was at the hottest since it last was at the coldest. told: what the inner kernel said
    of its last step, stacked [K], and rejection: float[K - 1], the probability that neighbours kept their places; both
    for `adapt`.
    """

    x: Point
    replicas: Any
    parity: Array
    visited: Array
    told: Info
    rejection: Array


class TemperingTuning(NamedTuple):
    """betas: float[K], inverse temperatures from 1 down. inner: the inner tunings, stacked [K]."""

    betas: Array
    inner: Any


class TemperingMemory(NamedTuple):
    """inner: the inner memories, stacked [K]. rejected: float[K - 1], summed over a round. count, length: of the round."""

    inner: Any
    rejected: Array
    count: Array
    length: Array


@dataclass(frozen=True)
class Tempering:
    """Parallel tempering (Geyer 1991), non-reversible (Syed et al. 2022), over any kernel of one chain.

    Replica k has the law exp(-beta_k E) (times the Jacobian, which `at` leaves alone). A step moves each `steps` times
    by the inner kernel, tuned for each level, then exchanges neighbours, even and odd pairs in turn: with probability
    min(1, exp((beta_i - beta_j) (E_i - E_j))). The turns make replicas travel instead of diffusing.

    Warm-up spreads the ladder so that all neighbours reject alike (algorithm 2 there), in rounds of doubling length up to
    its middle; then it is frozen, and the inner tunings settle. Its ends stay: 1 and `lowest`. At 0 nothing would be left
    of the energy, and an unbounded variable would have no law; where a tail falls like |x|^-a there is one only while
    beta a > 1, so that heavy tails want a `lowest` near 1.

    Info: that of the inner kernel at the coldest level, and swap_rate, the mean probability that neighbours exchange;
    restart, whether the coldest level has received a replica that came from the hottest.
    """

    inner: Kernel[Any, Any, Any]
    levels: int = 8
    lowest: float = 0.1
    steps: int = 1

    @property
    def scope(self) -> Literal["chain", "ensemble"]:
        return self.inner.scope

    @property
    def moves(self) -> Literal["continuous", "discrete", "counts", "any"]:
        return self.inner.moves

    def init(self, target: Target, x: Point, key: PRNGKey) -> TemperingState:
        betas = self._ladder()

        def start(beta: Array, level: Array) -> Any:
            return self.inner.init(target.at(beta), x, fold(key, level))

        replicas = jax.vmap(start)(betas, jnp.arange(self.levels))
        tune, _ = self.tuning(target)
        _, told = jax.eval_shape(lambda: self._each(target, tune, replicas, key))
        return TemperingState(
            x,
            replicas,
            jnp.zeros((), jnp.int32),
            jnp.zeros(self.levels, bool),
            {name: jnp.zeros(leaf.shape, leaf.dtype) for name, leaf in told.items()},
            jnp.zeros(self.levels - 1, betas.dtype),
        )

    def refresh(self, target: Target, state: TemperingState) -> TemperingState:
        return state

    def step(
        self, target: Target, tune: TemperingTuning, state: TemperingState, key: PRNGKey
    ) -> tuple[TemperingState, Info]:
        betas = tune.betas
        replicas = jax.vmap(lambda beta, replica: self.inner.refresh(target.at(beta), replica))(betas, state.replicas)
        if self.steps == 1:
            replicas, told = self._each(target, tune, replicas, fold(key, 0))
        else:

            def again(number: Array, both: tuple[Any, Info]) -> tuple[Any, Info]:
                moved, found = self._each(target, tune, both[0], fold(key, 0, number))
                # What was true of one step, such as a divergence, is said of all.
                return moved, {n: both[1][n] | leaf if leaf.dtype == bool else leaf for n, leaf in found.items()}

            nothing = jax.tree.map(jnp.zeros_like, state.told)
            replicas, told = lax.fori_loop(0, self.steps, again, (replicas, nothing))
        energies = jax.vmap(target.at(jnp.ones(())).energy)(replicas.x)
        log_ratio = _log_ratio(betas, energies)
        source = self._source(log_ratio, state.parity, fold(key, 1))
        replicas = jax.tree.map(lambda leaf: leaf[source], replicas)
        visited = state.visited[source].at[-1].set(True)
        x = jax.tree.map(lambda leaf: leaf[0], replicas.x)
        rejection = 1.0 - jnp.exp(jnp.minimum(log_ratio, 0.0))
        info = {name: leaf[0] for name, leaf in told.items()}
        info |= {"swap_rate": 1.0 - rejection.mean(), "restart": visited[0]}
        return TemperingState(x, replicas, 1 - state.parity, visited.at[0].set(False), told, rejection), info

    def _each(self, target: Target, tune: TemperingTuning, replicas: Any, key: PRNGKey) -> tuple[Any, Info]:
        """A step of the inner kernel at every level."""

        def move(beta: Array, own: Any, replica: Any, level: Array) -> tuple[Any, Info]:
            moved, told = self.inner.step(target.at(beta), own, replica, fold(key, level))
            return jax.tree.map(lambda new, old: jnp.asarray(new, jnp.asarray(old).dtype), moved, replica), {
                name: jnp.asarray(leaf, jnp.asarray(leaf).dtype) for name, leaf in told.items()
            }

        return jax.vmap(move)(tune.betas, tune.inner, replicas, jnp.arange(self.levels))

    def _source(self, log_ratio: Array, parity: Array, key: PRNGKey) -> Array:
        """int32[K]: for each level the level whose replica it has after the exchanges."""
        level = jnp.arange(self.levels)
        pair = jnp.arange(self.levels - 1)
        # One uniform for a pair: both sides decide alike.
        swapped = (jnp.log(jax.random.uniform(key, pair.shape)) < log_ratio) & (pair % 2 == parity)
        none = jnp.zeros(1, bool)
        down, up = jnp.concatenate([swapped, none]), jnp.concatenate([none, swapped])
        return level + down.astype(level.dtype) - up.astype(level.dtype)

    def _ladder(self) -> Array:
        return jnp.geomspace(1.0, self.lowest, self.levels, dtype=jnp.result_type(float))

    def tuning(self, target: Target) -> tuple[TemperingTuning, TemperingMemory]:
        betas = self._ladder()
        inner, memory = jax.vmap(lambda beta: self.inner.tuning(target.at(beta)))(betas)
        rejected = jnp.zeros(self.levels - 1, betas.dtype)
        count, length = jnp.zeros((), jnp.int32), jnp.asarray(FIRST_ROUND, jnp.int32)
        return TemperingTuning(betas, inner), TemperingMemory(memory, rejected, count, length)

    def adapt(
        self, phase: Phase, tune: TemperingTuning, memory: TemperingMemory, state: TemperingState, info: Info
    ) -> tuple[TemperingTuning, TemperingMemory]:
        each = jax.vmap(self.inner.adapt, in_axes=(None, 0, 0, 0, 0))
        inner, remembered = each(phase, tune.inner, memory.inner, state.replicas, state.told)
        rejected, count = memory.rejected + state.rejection, memory.count + 1
        over = count == memory.length
        spreading = over & (phase.progress <= LADDER_ENDS)
        betas = jnp.where(spreading, spread(tune.betas, rejected / jnp.maximum(count, 1)), tune.betas)
        return TemperingTuning(betas, inner), TemperingMemory(
            remembered,
            jnp.where(over, 0.0, rejected),
            jnp.where(over, 0, count),
            jnp.where(over, 2 * memory.length, memory.length),
        )


def _log_ratio(betas: Array, energies: Array) -> Array:
    """float[K - 1]: log of the density of both replicas exchanged, over that of both where they are.

    Where neither replica has an energy nothing is exchanged.
    """
    ratio = (betas[:-1] - betas[1:]) * (energies[:-1] - energies[1:])
    return jnp.where(jnp.isnan(ratio), -jnp.inf, ratio)


def spread(betas: Array, rejection: Array) -> Array:
    """The ladder, float[K], on which neighbours reject alike, given how they reject on this one: float[K - 1].

    The barrier between 1 and beta, the sum of the rejection rates on the way (Syed et al. 2022, eq. 19), is taken to be
    linear between the levels; its inverse at equal distances gives the new ones. The ends stay.
    """
    barrier = jnp.concatenate([jnp.zeros(1, betas.dtype), jnp.cumsum(rejection + LEAST_REJECTION)])
    found = jnp.interp(jnp.linspace(0.0, barrier[-1], betas.shape[0], dtype=betas.dtype), barrier, betas)
    return found.at[0].set(betas[0]).at[-1].set(betas[-1])
