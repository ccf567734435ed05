"""Continuous flows: values that follow a velocity for a time."""

from __future__ import annotations

from collections.abc import Mapping
from math import log

import jax.numpy as jnp
import numpy as np
from jax import Array

from energylang.catalog import LayerCall
from energylang.lower.flows import fields
from energylang.lower.flows.bijection import Leaf, Moved, Params, Place
from energylang.model import PRNGKey


class Continuous:
    """dz/ds = T f(z, s) for s from 0, at the data, to 1, at the base (Chen et al. 2018, arXiv:1806.07366; Grathwohl et al. 2019).

    T = exp(log_time) is learned. The log-determinant of the way to the base is the integral of T tr df/dz beside it, the trace
    exact, one derivative for each entry. Draws solve the way back, without a trace: their log-determinant is NaN. Solving
    there and back agrees to the tolerance only. The whole batch is NaN where the solver needs more than `max_steps`.
    """

    tables: Mapping[str, np.ndarray] = {}

    def __init__(
        self, place: Place, field: LayerCall, solver: str, rtol: float, atol: float, time: float, max_steps: int
    ) -> None:
        self.field = fields.made(field, place.entries, place.conditions)
        self.solver, self.rtol, self.atol, self.max_steps = solver, rtol, atol, max_steps
        self.leaves: Mapping[str, Leaf] = {**self.field.leaves, "log_time": Leaf((), log(time))}

    def _followed(self, velocity: object, start: Array, first: float, last: float, known: object) -> Array:
        from energylang.lower._diffrax import followed

        limits = (self.solver, self.rtol, self.atol, self.max_steps)
        return followed(velocity, start, first, last, known, *limits)  # type: ignore[arg-type]

    def forward(self, params: Params, z: Array, conditions: Array | None, key: PRNGKey | None) -> Moved:
        def velocity(time: Array, state: Array, known: tuple[Params, Array | None]) -> Array:
            params, conditions = known
            return jnp.exp(params["log_time"]) * self.field.velocity(params, time, state, conditions)

        x = self._followed(velocity, z, 1.0, 0.0, (dict(params), conditions))
        return Moved(x, jnp.full(z.shape[-1], jnp.nan, z.dtype))

    def inverse(self, params: Params, x: Array, conditions: Array | None, key: PRNGKey | None) -> Moved:
        def velocity(time: Array, state: Array, known: tuple[Params, Array | None]) -> Array:
            params, conditions = known
            value, divergence = self.field.with_divergence(params, time, state[:-1], conditions)
            return jnp.exp(params["log_time"]) * jnp.concatenate([value, divergence[None]])

        start = jnp.concatenate([x, jnp.zeros((1, x.shape[-1]), x.dtype)])
        end = self._followed(velocity, start, 0.0, 1.0, (dict(params), conditions))
        return Moved(end[:-1], end[-1])
