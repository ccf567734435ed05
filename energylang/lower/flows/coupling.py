"""Coupling layers: half of the entries moved by numbers that a net makes of the others."""

from __future__ import annotations

from collections.abc import Mapping

import jax.numpy as jnp
import numpy as np
from jax import Array

from energylang.catalog import LayerCall
from energylang.lower.flows import nets, transformers
from energylang.lower.flows.bijection import Leaf, Moved, Params, Place
from energylang.model import PRNGKey


class Coupling:
    """(a, b) to (T(b; net(a)), a) with a the first half of the entries, the larger one where their number is odd.

    What was moved comes first in what it gives, so that the next layer moves the others and every layer of a `repeat` has
    the same shapes. Dinh et al. 2017, arXiv:1605.08803, eq. 4 and 5.
    """

    tables: Mapping[str, np.ndarray] = {}

    def __init__(self, place: Place, transformer: LayerCall, hidden: tuple[int, ...], act: str) -> None:
        self.entries, self.act = place.entries, act
        self.moving = self.entries // 2
        self.map = transformers.made(transformer)
        inputs = self.entries - self.moving + place.conditions
        self.leaves: Mapping[str, Leaf] = nets.leaves(inputs, hidden, self.moving * self.map.size, act)

    def _numbers(self, params: Params, fixed: Array, conditions: Array | None) -> Array:
        raw = nets.value(params, nets.beside(fixed, conditions), self.act)
        return raw.reshape(self.moving, self.map.size, raw.shape[-1])

    def forward(self, params: Params, z: Array, conditions: Array | None, key: PRNGKey | None) -> Moved:
        fixed, moving = z[: self.entries - self.moving], z[self.entries - self.moving :]
        x, log_slopes = self.map.outward(moving, self._numbers(params, fixed, conditions))
        return Moved(jnp.concatenate([x, fixed]), jnp.sum(log_slopes, axis=0))

    def inverse(self, params: Params, x: Array, conditions: Array | None, key: PRNGKey | None) -> Moved:
        moved, fixed = x[: self.moving], x[self.moving :]
        z, log_slopes = self.map.inward(moved, self._numbers(params, fixed, conditions))
        return Moved(jnp.concatenate([fixed, z]), jnp.sum(log_slopes, axis=0))
