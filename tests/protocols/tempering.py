"""Parallel tempering as a Kernel: S and P of an inner kernel, stacked over inverse temperatures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from energylang.model import Info, Kernel, Phase, Point, PRNGKey, Target, fold


class TemperingState(NamedTuple):
    """x: the Point at inverse temperature 1. replicas: the inner states, stacked [K]. parity: which pairs swap next."""

    x: Point
    replicas: Any
    parity: Array


class TemperingTuning(NamedTuple):
    """betas: float[K], from 1 down to the hottest. inner: the inner tunings, stacked [K]."""

    betas: Array
    inner: Any


@dataclass(frozen=True)
class Tempering:
    """Replica exchange (Swendsen and Wang 1986; Geyer 1991), neighbours swapping even and odd pairs in turn.

    `at` scales the energy and never the log Jacobian, so the ratio of a swap is exp((b_i - b_j) (E_i - E_j)).
    """

    inner: Kernel[Any, Any, Any]
    levels: int = 4
    hottest: float = 0.1

    @property
    def scope(self) -> Literal["chain", "ensemble"]:
        return "chain"

    @property
    def moves(self) -> Literal["continuous", "discrete", "counts", "any"]:
        return self.inner.moves

    def init(self, target: Target, x: Point, key: PRNGKey) -> TemperingState:
        start = jax.vmap(lambda beta: self.inner.init(target.at(beta), x, key))
        return TemperingState(x, start(self._betas()), jnp.zeros((), jnp.int32))

    def refresh(self, target: Target, state: TemperingState) -> TemperingState:
        replicas = self._refreshed(target, self._betas(), state.replicas)
        return state._replace(replicas=replicas)

    def _betas(self) -> Array:
        return jnp.geomspace(1.0, self.hottest, self.levels)

    def _refreshed(self, target: Target, betas: Array, replicas: Any) -> Any:
        return jax.vmap(lambda beta, replica: self.inner.refresh(target.at(beta), replica))(betas, replicas)

    def step(
        self, target: Target, tune: TemperingTuning, state: TemperingState, key: PRNGKey
    ) -> tuple[TemperingState, Info]:
        keys = jax.vmap(lambda k: fold(key, 0, k))(jnp.arange(self.levels))
        move = jax.vmap(lambda beta, own, replica, k: self.inner.step(target.at(beta), own, replica, k))
        replicas, info = move(tune.betas, tune.inner, state.replicas, keys)

        energies = jax.vmap(target.at(jnp.ones(())).energy)(replicas.x)
        lower = jnp.arange(self.levels)
        partner = jnp.where((lower + state.parity) % 2 == 0, lower + 1, lower - 1)
        partner = jnp.where((partner < 0) | (partner >= self.levels), lower, partner)
        log_ratio = (tune.betas - tune.betas[partner]) * (energies - energies[partner])
        # Both of a pair must decide alike: one uniform for each pair, taken from its first member.
        uniforms = jax.random.uniform(fold(key, 1), (self.levels,))[jnp.minimum(lower, partner)]
        source = jnp.where(jnp.log(uniforms) < log_ratio, partner, lower)
        swapped = jax.tree.map(lambda leaf: leaf[source], replicas.x)
        replicas = self._refreshed(target, tune.betas, replicas._replace(x=swapped))

        statistics = {f"{name}_{k}": value[k] for name, value in info.items() for k in range(self.levels)}
        statistics["acceptance_rate"] = info["acceptance_rate"][0]
        statistics["swap_rate"] = jnp.exp(jnp.minimum(log_ratio, 0.0)).mean()
        cold = jax.tree.map(lambda leaf: leaf[0], swapped)
        return TemperingState(cold, replicas, 1 - state.parity), statistics

    def tuning(self, target: Target) -> tuple[TemperingTuning, Any]:
        inner, memory = jax.vmap(lambda beta: self.inner.tuning(target.at(beta)), axis_size=self.levels)(self._betas())
        return TemperingTuning(self._betas(), inner), memory

    def adapt(
        self, phase: Phase, tune: TemperingTuning, memory: Any, state: TemperingState, info: Info
    ) -> tuple[TemperingTuning, Any]:
        names = {name.removesuffix("_0") for name in info if name.endswith("_0")}
        own = {name: jnp.stack([info[f"{name}_{k}"] for k in range(self.levels)]) for name in names}
        adapt = jax.vmap(self.inner.adapt, in_axes=(None, 0, 0, 0, 0))
        inner, memory = adapt(phase, tune.inner, memory, state.replicas, own)
        return TemperingTuning(tune.betas, inner), memory


def conforms(inner: Kernel[Any, Any, Any]) -> Kernel[TemperingState, TemperingTuning, Any]:
    return Tempering(inner)
