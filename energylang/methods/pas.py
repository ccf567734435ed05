"""The path auxiliary sampler: many flips a step, drawn without replacement in an order that the way back reverses."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate
from math import ceil, log
from typing import Any, Literal, NamedTuple

import jax.numpy as jnp
from jax import Array, lax

from energylang.lower.inversion import finite_peak, invert_logits
from energylang.methods._adaptation import Search, search, start_search
from energylang.methods._balanced import Informed, accepted, informed, require_choice, rise, site_weights
from energylang.methods._categorical import distinct
from energylang.methods._discrete import Discrete
from energylang.model import Info, Phase, Point, PRNGKey, Target
from energylang.threefry import uniforms


class PasState(NamedTuple):
    """at: the Point and the gains there. weights: float[D], of moving each site, over exp(log_peak).

    values: for each code array of more than two values float[D_k, k], log weights with minus infinity at the current
    value; else empty.
    """

    at: Informed
    weights: Array
    log_peak: Array
    values: tuple[Any, ...]

    @property
    def x(self) -> Point:
        return self.at.x


class Draws(NamedTuple):
    """Moves in their order. sites: int32[K], numbered through the code arrays. used: bool[K], the first R."""

    sites: Array
    used: Array


class PasTuning(NamedTuple):
    """flips: scalar, the mean length of a path."""

    flips: Array


@dataclass(frozen=True)
class Pas(Discrete):
    """The path auxiliary sampler (Sun, Dai, Xia and Ramamurthy 2022), in its fast form with gains at both ends only.

    A path changes R different sites, R drawn within one of its mean. Each is drawn from the sites that are left with
    probability proportional to the sum over its other values of g(exp(gain)), then its value, all with the gains at x. The
    way back visits the same sites in the reverse order with the gains at y, and the Metropolis ratio has both paths and
    the probabilities of values. A step costs one evaluation of the gains, and of the log density where it does not
    follow from them.

    Warm-up learns the mean of R, between 1 and `flips` (by default a third of the number of sites to the power 2/3, at
    least 16), so as to accept `target_acceptance`, on a logarithmic scale, and keeps the mean over its second half. A
    large bound costs time.

    Info: acceptance_rate (the probability), flips.
    """

    weight: Literal["sqrt", "ratio", "max", "min"] = "sqrt"
    flips: int | None = None
    target_acceptance: float = 0.574

    def longest(self, sites: int) -> int:
        """The most moves of a path."""
        return min(self.flips or max(16, ceil(sites ** (2 / 3) / 3)), sites)

    def _at(self, target: Target, x: Point) -> PasState:
        at = informed(target, x)
        site, values = site_weights(at, self.weight)
        peak = finite_peak(site)
        return PasState(at, jnp.exp(site - peak), peak[0], values)

    def init(self, target: Target, x: Point, key: PRNGKey) -> PasState:
        return self._at(target, x)

    def refresh(self, target: Target, state: PasState) -> PasState:
        return self._at(target, state.x)

    def step(self, target: Target, tune: PasTuning, state: PasState, key: PRNGKey) -> tuple[PasState, Info]:
        sites = target.facts.discrete
        longest = self.longest(sites)
        many = any(k > 2 for k in target.facts.cardinalities)
        numbers = uniforms(key, (longest if many else 0) + 2)
        # Two flips each time would never change the parity of a sum of spins: lengths of both parities are drawn.
        length = jnp.clip(jnp.floor(tune.flips + 2.0 * numbers[-2] - 0.5), 1, longest)
        drawn, count = distinct(state.weights, longest, length, lambda turn, n: uniforms(key, n, stream=2 + turn))
        draws = Draws(drawn, jnp.arange(longest) < length)
        proposed = self._at(target, _moved(state, draws, numbers[:-2]))
        log_ratio = rise(state.at, proposed.at)
        log_ratio += self.path(proposed, state.x, draws, reverse=True) - self.path(
            state, proposed.x, draws, reverse=False
        )
        # With fewer sites that can move there is no such path.
        log_ratio = jnp.where(count >= length, log_ratio, -jnp.inf)
        kept, rate = accepted(log_ratio, numbers[-1], proposed, state)
        return kept, {"acceptance_rate": rate, "flips": length}

    def path(self, state: PasState, end: Point, draws: Draws, reverse: bool) -> Array:
        """The log probability of the draws, in their order or the reverse, and of their values, from a state to an end.

        Denominators, the weights of the sites that are left, are sums: those of sites that no draw moves, and those drawn
        later. Subtracting what was drawn from the total would lose all digits where little is left.
        """
        still = [old == new for old, new in zip(state.x.code, end.code, strict=True)]
        rest = jnp.where(jnp.concatenate(still), state.weights, 0.0).sum()
        own = jnp.where(draws.used, state.weights[draws.sites], 0.0)
        left = rest + lax.cumsum(own, reverse=not reverse)
        weight = jnp.log(own)
        for group, place, here in _places(state.x, draws):
            values = state.values[group]
            if not isinstance(values, tuple):
                weight = jnp.where(here, values[place, end.code[group][place]] - state.log_peak, weight)
        return jnp.where(draws.used, weight - jnp.log(left), 0.0).sum()

    def tuning(self, target: Target) -> tuple[PasTuning, Search]:
        require_choice("pas", target.facts)
        flips = jnp.ones(())
        return PasTuning(flips), start_search(jnp.log(flips))

    def adapt(
        self, phase: Phase, tune: PasTuning, memory: Search, state: PasState, info: Info
    ) -> tuple[PasTuning, Search]:
        longest = self.longest(state.weights.shape[0])
        log_flips, memory = search(phase, memory, info["acceptance_rate"] - self.target_acceptance, 0.0, log(longest))
        return PasTuning(jnp.exp(log_flips)), memory


def _places(x: Point, draws: Draws) -> Iterator[tuple[int, Array, Array]]:
    """For each code array its number, where in it a draw falls, and whether it does."""
    for group, end in enumerate(accumulate(code.shape[0] for code in x.code)):
        count = x.code[group].shape[0]
        place = draws.sites - (end - count)
        yield group, jnp.clip(place, 0, max(count - 1, 0)), (place >= 0) & (place < count)


def _moved(state: PasState, draws: Draws, uniform: Array) -> Point:
    """The end of the path: new values at the sites drawn. uniform: float[K]."""
    code = list(state.x.code)
    for group, place, here in _places(state.x, draws):
        old, values = code[group], state.values[group]
        new = 1 - old[place] if isinstance(values, tuple) else invert_logits(values[place], uniform)
        where = jnp.where(here & draws.used, place, old.shape[0])
        code[group] = old.at[where].set(new.astype(old.dtype), mode="drop")
    return Point(state.x.real, tuple(code))
