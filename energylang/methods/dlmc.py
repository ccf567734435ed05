"""Discrete Langevin Monte Carlo: sites that follow a Markov jump process of their own for a time."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

import jax.numpy as jnp
from jax import Array

from energylang.methods._factorised import Factorised, added


@dataclass(frozen=True)
class _Jumps(Factorised):
    """Sites that jump at rates g(t), t = exp(gain), the others held: the stationary law nu is the site's conditional.

    nu of a value is t over the sum of t, one for the current value among them; of two values t / (1 + t).
    """

    @abstractmethod
    def moved(self, step_size: Array, weight: Array, share: Array, rate: Array) -> tuple[Array, Array]:
        """The probability of a value, and the rest of its share nu.

        weight: g. share: nu. rate: g / nu.
        """

    def pair(self, step_size: Array, odds: Array) -> tuple[Array, Array]:
        none, weight = 1.0 / (1.0 + odds), self.weigh(odds)
        move, rest = self.moved(step_size, weight, odds * none, weight + weight / odds)
        return move, none + rest

    def several(self, step_size: Array, odds: Array, current: Array) -> Array:
        total, weight = added(odds), self.weigh(odds)
        share = odds / total
        move, rest = self.moved(step_size, weight, share, weight / share)
        stay = added(jnp.where(current, share, rest))
        return jnp.where(current, stay, move)


@dataclass(frozen=True)
class Dlmc(_Jumps):
    """Discrete Langevin Monte Carlo (Sun et al. 2023), every site at once.

    A site has value c with probability nu (1 - exp(-tau g / nu)): of two values the exact law of its jump process after
    the time tau, which tends to the conditional nu as tau grows. What is learned, and what `_factorised` says of the
    cost, holds here.

    Info: acceptance_rate (the probability), step_size (tau), flips (sites that the proposal changes).
    """

    @property
    def name(self) -> str:
        return "dlmc"

    def moved(self, step_size: Array, weight: Array, share: Array, rate: Array) -> tuple[Array, Array]:
        # What 1 - exp loses to rounding the way back loses too: the ratio is that of the proposal as it is made.
        rest = share * jnp.exp(-step_size * rate)
        return share - rest, rest


@dataclass(frozen=True)
class DlmcForward(_Jumps):
    """Discrete Langevin Monte Carlo by a forward Euler step (Sun et al. 2023): value c with probability min(tau g, nu).

    Info: acceptance_rate (the probability), step_size (tau), flips (sites that the proposal changes).
    """

    @property
    def name(self) -> str:
        return "dlmc_forward"

    def moved(self, step_size: Array, weight: Array, share: Array, rate: Array) -> tuple[Array, Array]:
        move = jnp.minimum(step_size * weight, share)
        return move, share - move
