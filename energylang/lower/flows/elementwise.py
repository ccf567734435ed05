"""Layers that move every entry by itself."""

from __future__ import annotations

from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from energylang.lower.flows import nets
from energylang.lower.flows.bijection import Leaf, Moved, Params, Place
from energylang.model import PRNGKey


def _summed(log_slopes: Array) -> Array:
    """Over the axes of the event, those of the rows left."""
    return jnp.sum(log_slopes.reshape(-1, log_slopes.shape[-1]), axis=0)


class _Scaled:
    """x = z exp(log_scale) + shift."""

    tables: Mapping[str, np.ndarray] = {}

    def _numbers(self, params: Params, conditions: Array | None) -> tuple[Array, Array]:
        return params["shift"][..., None], params["log_scale"][..., None]

    def forward(self, params: Params, z: Array, conditions: Array | None, key: PRNGKey | None) -> Moved:
        shift, log_scale = self._numbers(params, conditions)
        return Moved(z * jnp.exp(log_scale) + shift, _summed(jnp.broadcast_to(log_scale, z.shape)))

    def inverse(self, params: Params, x: Array, conditions: Array | None, key: PRNGKey | None) -> Moved:
        shift, log_scale = self._numbers(params, conditions)
        return Moved((x - shift) * jnp.exp(-log_scale), -_summed(jnp.broadcast_to(log_scale, x.shape)))


class Affine(_Scaled):
    """A shift and a scale of every entry; with conditions a net of them adds to both."""

    def __init__(self, place: Place, hidden: tuple[int, ...], act: str) -> None:
        self.place, self.act = place, act
        found = {"shift": Leaf(place.event), "log_scale": Leaf(place.event)}
        if place.conditions:
            found |= nets.leaves(place.conditions, hidden, 2 * place.entries, act)
        self.leaves: Mapping[str, Leaf] = found

    def _numbers(self, params: Params, conditions: Array | None) -> tuple[Array, Array]:
        shift, log_scale = super()._numbers(params, conditions)
        if conditions is None:
            return shift, log_scale
        more = nets.value(nets.own(params), conditions, self.act)
        more = more.reshape(2, *self.place.event, more.shape[-1])
        return shift + more[0], log_scale + more[1]


class ActNorm(_Scaled):
    """A shift and a scale of every entry that start from the first batch (Kingma and Dhariwal 2018, arXiv:1807.03039)."""

    def __init__(self, place: Place) -> None:
        self.leaves: Mapping[str, Leaf] = {"shift": Leaf(place.event), "log_scale": Leaf(place.event)}

    def begun(self, params: Params, x: Array, conditions: Array | None, key: PRNGKey) -> Params:
        # One row, or an entry that is the same in all of them, has no scale.
        spread = jnp.std(x, axis=-1)
        return {**params, "shift": jnp.mean(x, axis=-1), "log_scale": jnp.log(jnp.where(spread > 1e-6, spread, 1.0))}


class _Fixed:
    """A map without params, given by its way out, its way back, and the log of the slope of the way out."""

    leaves: Mapping[str, Leaf] = {}
    tables: Mapping[str, np.ndarray] = {}

    def __init__(self, place: Place) -> None:
        pass

    def out(self, z: Array) -> Array:
        raise NotImplementedError

    def back(self, x: Array) -> Array:
        raise NotImplementedError

    def log_slope(self, z: Array, x: Array) -> Array:
        raise NotImplementedError

    def forward(self, params: Params, z: Array, conditions: Array | None, key: PRNGKey | None) -> Moved:
        x = self.out(z)
        return Moved(x, _summed(self.log_slope(z, x)))

    def inverse(self, params: Params, x: Array, conditions: Array | None, key: PRNGKey | None) -> Moved:
        z = self.back(x)
        return Moved(z, -_summed(self.log_slope(z, x)))


class Exp(_Fixed):
    def out(self, z: Array) -> Array:
        return jnp.exp(z)

    def back(self, x: Array) -> Array:
        return jnp.log(x)

    def log_slope(self, z: Array, x: Array) -> Array:
        return z


class Log(_Fixed):
    def out(self, z: Array) -> Array:
        return jnp.log(z)

    def back(self, x: Array) -> Array:
        return jnp.exp(x)

    def log_slope(self, z: Array, x: Array) -> Array:
        return -x


class Sigmoid(_Fixed):
    def out(self, z: Array) -> Array:
        return jax.nn.sigmoid(z)

    def back(self, x: Array) -> Array:
        return jnp.log(x) - jnp.log1p(-x)

    def log_slope(self, z: Array, x: Array) -> Array:
        return jax.nn.log_sigmoid(z) + jax.nn.log_sigmoid(-z)


class Logit(_Fixed):
    def out(self, z: Array) -> Array:
        return jnp.log(z) - jnp.log1p(-z)

    def back(self, x: Array) -> Array:
        return jax.nn.sigmoid(x)

    def log_slope(self, z: Array, x: Array) -> Array:
        return -jax.nn.log_sigmoid(x) - jax.nn.log_sigmoid(-x)
