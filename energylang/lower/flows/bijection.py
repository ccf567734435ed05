"""The protocol of a layer of a flow, and what layers are told and tell.

Rows come last: values are float[*event, B], conditions float[K, B], and what is one number a row is float[B]. So every
product of a net is one product of matrices, and what is done entry by entry runs along the rows, which is how a CPU is quick.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol, TypeAlias

import numpy as np
from jax import Array

from energylang.model import PRNGKey, fold

Params: TypeAlias = Mapping[str, Array]
"""The leaves and tables of one layer, by name."""

Aux: TypeAlias = dict[str, Array]
"""What a move tells beside its value, float[B] by name: regularisers, evaluations, residuals. Layers add theirs up."""


class Place(NamedTuple):
    """Where a layer stands: the shape of its event, how many numbers of conditions a row has, a seed of its own."""

    event: tuple[int, ...]
    conditions: int
    seed: int

    @property
    def entries(self) -> int:
        return int(np.prod(self.event, dtype=np.int64))


class Leaf(NamedTuple):
    """A param of a layer: its shape, and how it starts, at a number or ("normal", mean, scale).

    learned: False of a buffer, which no optimiser moves and `settled` brings up to date.
    """

    shape: tuple[int, ...]
    start: float | tuple[str, float, float] = 0.0
    learned: bool = True


class Moved(NamedTuple):
    """A value moved, float[*event, B]; the log of the absolute determinant of that move, float[B]; and what else there is to tell."""

    value: Array
    log_det: Array
    aux: Aux = {}  # noqa: RUF012 - never changed


class Bijection(Protocol):
    """A layer in its place. It begins near the identity, so that an untrained flow is a proper density.

    A layer may also have `begun(params, x, conditions, key) -> Params`, new leaves that depend on the first batch as it stands
    on the data's side of the layer, and `settled(params) -> Params`, its buffers brought up to its params.
    """

    @property
    def leaves(self) -> Mapping[str, Leaf]:
        """Its params by name."""
        ...

    @property
    def tables(self) -> Mapping[str, np.ndarray]:
        """Constants that differ between repetitions of the layer; they come among the params."""
        ...

    def forward(self, params: Params, z: Array, conditions: Array | None, key: PRNGKey | None) -> Moved:
        """From the base to the data. Draws need no log-determinant: where it would cost more than the value it may be NaN."""
        ...

    def inverse(self, params: Params, x: Array, conditions: Array | None, key: PRNGKey | None) -> Moved:
        """From the data to the base. key: None where the log-determinant must be a function of x alone."""
        ...


def added(first: Aux, second: Aux) -> Aux:
    return {**first, **{name: part + first[name] if name in first else part for name, part in second.items()}}


def folded(key: PRNGKey | None, number: Any) -> PRNGKey | None:
    return None if key is None else fold(key, number)
