"""Proposals that move every site by itself, given the gains: what `dmala`, `dlmc` and `dlmc_forward` share."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from functools import reduce
from itertools import accumulate
from math import log
from typing import Literal, NamedTuple

import jax.numpy as jnp
from jax import Array

from energylang.lower.inversion import FEW_VALUES, invert
from energylang.methods._adaptation import Search, search, start_search
from energylang.methods._balanced import BALANCED, Informed, accepted, informed, require_choice, rise
from energylang.methods._discrete import Discrete
from energylang.model import Info, Phase, Point, PRNGKey, Target
from energylang.threefry import uniforms

STEEPEST = 30.0
"""Gains are cut here, up and down, by proposals: products of two weights, and ratios of products, stay within float32."""


class FactorisedState(NamedTuple):
    """at: the Point and the gains there. odds: for each code array exp(gain), cut, float[D], or float[k, D] of several values.

    A step makes one exponential for a site. Values come first, so that what is computed of them is a loop over sites.
    """

    at: Informed
    odds: tuple[Array, ...]

    @property
    def x(self) -> Point:
        return self.at.x


class FactorisedTuning(NamedTuple):
    """step_size: scalar, the time tau that sites have to move."""

    step_size: Array


@dataclass(frozen=True)
class Factorised(Discrete):
    """A Metropolis step that proposes a value for every site at once, each from its own law.

    The law of a site is made of the gains of its values alone, so the proposal is a product over sites, and so is that of
    the way back, made of the gains at the proposed point. These are carried: a step costs one evaluation of the gains, and
    of the log density where it does not follow from them. Subclasses give the law.

    Warm-up learns the step size, on a logarithmic scale, that accepts `target_acceptance` of the proposals, and keeps
    the mean over its second half. Without `step_size` it starts where about one site moves.

    Info: acceptance_rate (the probability, zero where the proposal is x itself), step_size, flips (sites that the proposal
    changes).
    """

    weight: Literal["sqrt", "ratio", "max", "min"] = "sqrt"
    target_acceptance: float = 0.574
    step_size: float | None = None

    @property
    @abstractmethod
    def name(self) -> str:
        """The method's name in the catalog."""

    @abstractmethod
    def pair(self, step_size: Array, odds: Array) -> tuple[Array, Array]:
        """Weights of the other value and of staying, float[D], of sites of two values; odds: float[D]."""

    @abstractmethod
    def several(self, step_size: Array, odds: Array, current: Array) -> Array:
        """Weights float[k, D] of every value; odds: float[k, D], one where current: bool[k, D] says that the value is."""

    def weigh(self, odds: Array) -> Array:
        """The locally balanced g."""
        return BALANCED[self.weight](odds)

    def _at(self, target: Target, x: Point) -> FactorisedState:
        at = informed(target, x)
        return FactorisedState(at, tuple(jnp.exp(jnp.clip(g.T, -STEEPEST, STEEPEST)) for g in at.gains))

    def init(self, target: Target, x: Point, key: PRNGKey) -> FactorisedState:
        return self._at(target, x)

    def refresh(self, target: Target, state: FactorisedState) -> FactorisedState:
        return self._at(target, state.x)

    def laws(self, step_size: Array, state: FactorisedState) -> list[tuple[Array, ...]]:
        """For each code array the weights of `pair`, or those of `several` alone."""
        found: list[tuple[Array, ...]] = []
        for odds, code in zip(state.odds, state.x.code, strict=True):
            if odds.ndim == 1:
                found.append(self.pair(step_size, odds))
            else:
                current = jnp.arange(odds.shape[0])[:, None] == code
                found.append((self.several(step_size, odds, current),))
        return found

    def step(
        self, target: Target, tune: FactorisedTuning, state: FactorisedState, key: PRNGKey
    ) -> tuple[FactorisedState, Info]:
        facts = target.facts
        # One uniform for each site, and one to accept.
        numbers = uniforms(key, facts.discrete + 1)
        forward = self.laws(tune.step_size, state)
        code = []
        for law, old, end in zip(forward, state.x.code, accumulate(facts.sites), strict=True):
            own = numbers[end - old.shape[0] : end]
            if len(law) == 2:
                move, stay = law
                code.append(jnp.where(own * (move + stay) < move, 1 - old, old))
            else:
                code.append(invert(law[0].T, own).astype(old.dtype))
        proposed = self._at(target, Point(state.x.real, tuple(code)))
        backward = self.laws(tune.step_size, proposed)
        log_ratio = rise(state.at, proposed.at) + self.log_ratio(forward, backward, state.x, proposed.x)
        kept, rate = accepted(log_ratio, numbers[-1], proposed, state)
        flips = sum((new != old).sum() for new, old in zip(code, state.x.code, strict=True))
        flips = jnp.asarray(flips, rate.dtype)
        info = {
            "acceptance_rate": jnp.where(flips > 0, rate, 0.0),
            "step_size": tune.step_size,
            "flips": flips,
        }
        return kept, info

    def log_ratio(
        self, forward: list[tuple[Array, ...]], backward: list[tuple[Array, ...]], x: Point, y: Point
    ) -> Array:
        """log q(x | y) - log q(y | x)."""
        total = jnp.zeros(())
        for there, back, old, new in zip(forward, backward, x.code, y.code, strict=True):
            if len(there) == 2:
                went, every = jnp.where(new != old, there[0], there[1]), there[0] + there[1]
                returned, all_back = jnp.where(new != old, back[0], back[1]), back[0] + back[1]
            else:
                went, every = _at_value(there[0], new), added(there[0])
                returned, all_back = _at_value(back[0], old), added(back[0])
            total += jnp.log((returned * every) / (went * all_back)).sum()
        return total

    def tuning(self, target: Target) -> tuple[FactorisedTuning, Search]:
        require_choice(self.name, target.facts)
        start = self.step_size if self.step_size is not None else 1.0 / max(target.facts.discrete, 1)
        log_step = jnp.log(jnp.asarray(start))
        return FactorisedTuning(jnp.exp(log_step)), start_search(log_step)

    def adapt(
        self, phase: Phase, tune: FactorisedTuning, memory: Search, state: FactorisedState, info: Info
    ) -> tuple[FactorisedTuning, Search]:
        # A step too small to propose anything must grow.
        rate = jnp.where(info["flips"] > 0, info["acceptance_rate"], 1.0)
        log_step, memory = search(phase, memory, rate - self.target_acceptance, log(1e-12), log(1e4))
        return FactorisedTuning(jnp.exp(log_step)), memory


def added(table: Array) -> Array:
    """float[D]: the sum over values of float[k, D]; of few values written out, which leaves one loop over sites."""
    return reduce(jnp.add, list(table)) if len(table) <= FEW_VALUES else table.sum(axis=0)


def _at_value(table: Array, code: Array) -> Array:
    """float[D]: the entry of each site's value, of float[k, D]."""
    return added(jnp.where(jnp.arange(len(table))[:, None] == code, table, 0.0))
