"""The layers of a flow put together, at given dims: their leaves by name, and values moved through all of them.

A repeated layer is one loop over stacked leaves, so that what is compiled does not grow with the number of repetitions.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from importlib import import_module
from math import prod
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.custom_batching import custom_vmap

from energylang.catalog import LAYERS, LayerCall
from energylang.ir.nodes import Flow, Transport
from energylang.ir.types import Dim, Space
from energylang.lower.flows.bijection import Aux, Bijection, Leaf, Moved, Params, Place, added, folded
from energylang.lower.operations import Backend
from energylang.model import PRNGKey


class Step(Bijection, Protocol):
    """A layer, or several, in a chain: leaves are named by their path."""

    begins: bool

    def begun(
        self, params: Params, x: Array, conditions: Array | None, key: PRNGKey
    ) -> tuple[Mapping[str, Array], Array]:
        """Leaves that depend on a batch on the data's side, and that batch on the base's side."""
        ...

    def settled(self, params: Params) -> Mapping[str, Array]: ...


class Single:
    """One layer."""

    def __init__(self, layer: Bijection) -> None:
        self.layer = layer
        self.leaves, self.tables = layer.leaves, layer.tables
        self.begins = hasattr(layer, "begun")

    def forward(self, params: Params, z: Array, conditions: Array | None, key: PRNGKey | None) -> Moved:
        return self.layer.forward(params, z, conditions, key)

    def inverse(self, params: Params, x: Array, conditions: Array | None, key: PRNGKey | None) -> Moved:
        return self.layer.inverse(params, x, conditions, key)

    def begun(
        self, params: Params, x: Array, conditions: Array | None, key: PRNGKey
    ) -> tuple[Mapping[str, Array], Array]:
        begin: Any = getattr(self.layer, "begun", None)
        found = params if begin is None else begin(params, x, conditions, key)
        return found, self.layer.inverse(found, x, conditions, None).value

    def settled(self, params: Params) -> Mapping[str, Array]:
        settle: Any = getattr(self.layer, "settled", None)
        return params if settle is None else settle(params)


class Series:
    """Steps one after another, the first next to the base. A leaf of step i is `i.name`, of a step alone its own name."""

    def __init__(self, steps: Sequence[Step], numbered: bool = True) -> None:
        self.steps = list(zip([f"{i}." if numbered else "" for i in range(len(steps))], steps, strict=True))
        self.leaves = {f"{p}{name}": leaf for p, step in self.steps for name, leaf in step.leaves.items()}
        self.tables = {f"{p}{name}": table for p, step in self.steps for name, table in step.tables.items()}
        self.begins = any(step.begins for step in steps)

    @staticmethod
    def _own(params: Params, prefix: str, step: Step) -> dict[str, Array]:
        return {name: params[f"{prefix}{name}"] for name in (*step.leaves, *step.tables)}

    def _run(self, params: Params, value: Array, conditions: Array | None, key: PRNGKey | None, back: bool) -> Moved:
        log_det: Array = jnp.zeros(value.shape[-1], value.dtype)
        aux: Aux = {}
        for number, (prefix, step) in list(enumerate(self.steps))[:: -1 if back else 1]:
            move = step.inverse if back else step.forward
            moved = move(self._own(params, prefix, step), value, conditions, folded(key, number))
            value, log_det, aux = moved.value, log_det + moved.log_det, added(aux, moved.aux)
        return Moved(value, log_det, aux)

    def forward(self, params: Params, z: Array, conditions: Array | None, key: PRNGKey | None) -> Moved:
        return self._run(params, z, conditions, key, back=False)

    def inverse(self, params: Params, x: Array, conditions: Array | None, key: PRNGKey | None) -> Moved:
        return self._run(params, x, conditions, key, back=True)

    def begun(
        self, params: Params, x: Array, conditions: Array | None, key: PRNGKey
    ) -> tuple[Mapping[str, Array], Array]:
        found = dict(params)
        for number, (prefix, step) in reversed(list(enumerate(self.steps))):
            own, x = step.begun(self._own(params, prefix, step), x, conditions, jax.random.fold_in(key, number))
            found |= {f"{prefix}{name}": leaf for name, leaf in own.items()}
        return found, x

    def settled(self, params: Params) -> Mapping[str, Array]:
        own = [(p, step.settled(self._own(params, p, step))) for p, step in self.steps]
        return {**params, **{f"{p}{name}": leaf for p, leaves in own for name, leaf in leaves.items()}}


class Repeated:
    """A step so many times: every leaf with that axis in front."""

    def __init__(self, steps: Sequence[Step]) -> None:
        self.step, self.count = steps[0], len(steps)
        self.leaves = {name: leaf._replace(shape=(self.count, *leaf.shape)) for name, leaf in self.step.leaves.items()}
        self.tables = {name: np.stack([s.tables[name] for s in steps]) for name in self.step.tables}
        self.begins = self.step.begins

    def _run(self, params: Params, value: Array, conditions: Array | None, key: PRNGKey | None, back: bool) -> Moved:
        def turn(carry: tuple[Array, Array], given: tuple[Any, Array]) -> tuple[tuple[Array, Array], Aux]:
            own, number = given
            move = self.step.inverse if back else self.step.forward
            moved = move(own, carry[0], conditions, folded(key, number))
            return (moved.value, carry[1] + moved.log_det), moved.aux

        start = (value, jnp.zeros(value.shape[-1], value.dtype))
        (value, log_det), aux = jax.lax.scan(turn, start, (dict(params), jnp.arange(self.count)), reverse=back)
        return Moved(value, log_det, {name: jnp.sum(part, axis=0) for name, part in aux.items()})

    def forward(self, params: Params, z: Array, conditions: Array | None, key: PRNGKey | None) -> Moved:
        return self._run(params, z, conditions, key, back=False)

    def inverse(self, params: Params, x: Array, conditions: Array | None, key: PRNGKey | None) -> Moved:
        return self._run(params, x, conditions, key, back=True)

    def begun(
        self, params: Params, x: Array, conditions: Array | None, key: PRNGKey
    ) -> tuple[Mapping[str, Array], Array]:
        def turn(x: Array, given: tuple[Any, Array]) -> tuple[Array, Any]:
            own, number = given
            found, x = self.step.begun(own, x, conditions, jax.random.fold_in(key, number))
            return x, dict(found)

        x, found = jax.lax.scan(turn, x, (dict(params), jnp.arange(self.count)), reverse=True)
        return found, x

    def settled(self, params: Params) -> Mapping[str, Array]:
        return jax.vmap(lambda own: dict(self.step.settled(own)))(dict(params))


# --- a flow at given dims ---------------------------------------------------------------------------------------


def chain(flow: Flow, dims: Mapping[str, int]) -> Series:
    """The layers of a flow; made once for all sizes of one kind."""
    return _chain(flow, _sizes(flow.event, dims), sum(width(space, dims) for space in flow.conditions))


@lru_cache(maxsize=256)
def _chain(flow: Flow, event: tuple[int, ...], conditions: int) -> Series:
    return Series([_step(layer, event, conditions, f"{flow.name}.{i}") for i, layer in enumerate(flow.layers)])


def _step(call: LayerCall, event: tuple[int, ...], conditions: int, path: str) -> Step:
    if call.inner:
        count = dict(call.options)["count"]
        assert isinstance(count, int)
        several = len(call.inner) > 1

        def turn(number: int) -> Step:
            inner = [_step(c, event, conditions, f"{path}.{number}.{i}") for i, c in enumerate(call.inner)]
            return Series(inner, numbered=several)

        return Repeated([turn(number) for number in range(count)])
    module, attribute = LAYERS[call.name].factory.split(":")
    place = Place(event, conditions, zlib.crc32(path.encode()))
    return Single(getattr(import_module(module), attribute)(place, **dict(call.options)))


def leaves(flow: Flow, dims: Mapping[str, int]) -> dict[str, Leaf]:
    """The params of a flow, by their names in the model."""
    return {f"{flow.name}.{name}": leaf for name, leaf in chain(flow, dims).leaves.items()}


def own(flow: Flow, dims: Mapping[str, int], params: Mapping[str, Array]) -> dict[str, Array]:
    """The leaves and tables of a chain by their paths, from params by their names in the model."""
    made = chain(flow, dims)
    tables = {name: jnp.asarray(table) for name, table in made.tables.items()}
    return {**{name: params[f"{flow.name}.{name}"] for name in made.leaves}, **tables}


def width(space: Space, dims: Mapping[str, int]) -> int:
    """How many numbers a condition is to the nets of layers: of a `cat(k)` k, 1 for the value it has and 0 for the others."""
    each = space.cardinality.evaluate(dims) if space.kind == "cat" and space.cardinality is not None else 1
    return prod(_sizes(space.shape, dims)) * each


def _sizes(shape: Sequence[Dim], dims: Mapping[str, int]) -> tuple[int, ...]:
    return tuple(dim.evaluate(dims) for dim in shape)


def conditions_of(flow: Flow, values: Sequence[Any], batch: tuple[int, ...], dims: Mapping[str, int]) -> Array | None:
    """float[*batch, K]: the conditions of a flow side by side; None where it has none."""
    parts = []
    real = jnp.result_type(float)
    for space, given in zip(flow.conditions, values, strict=True):
        value = jnp.asarray(given)
        own_batch = value.shape[: value.ndim - len(space.shape)]
        if space.kind == "cat" and space.cardinality is not None:
            value = jax.nn.one_hot(value, space.cardinality.evaluate(dims), dtype=real)
        flat = value.astype(real).reshape(*own_batch, width(space, dims))
        parts.append(jnp.broadcast_to(flat, (*batch, flat.shape[-1])))
    return jnp.concatenate(parts, axis=-1) if parts else None


def rows_last(value: Array, rank: int) -> Array:
    """float[*batch, *event] as float[*event, B]."""
    event = value.shape[value.ndim - rank :]
    return jnp.moveaxis(value.reshape(-1, *event), 0, -1)


def transported(
    expr: Transport, arguments: Sequence[Any], dims: Mapping[str, int], backend: Backend, together: bool = False
) -> tuple[Any, Any]:
    """The value moved and the log-determinant, float[*batch, *event] and float[*batch]; on the host too JAX computes them.

    together: see `energylang.lower.evaluate.TOGETHER`.
    """
    flow, rank = expr.flow, len(expr.flow.event)
    count = 1 + len(flow.conditions)
    value = jnp.asarray(arguments[0], jnp.result_type(float))
    batch = value.shape[: value.ndim - rank]
    conditions = conditions_of(flow, arguments[1:count], batch, dims)
    given = {name: jnp.asarray(leaf) for name, leaf in zip(expr.leaves, arguments[count:], strict=True)}
    made = chain(flow, dims)

    def run(given: Any, value: Array, conditions: Array | None) -> tuple[Array, Array]:
        batch = value.shape[: value.ndim - rank]
        beside = None if conditions is None else rows_last(conditions, 1)
        move = made.inverse if expr.inverse else made.forward
        moved = move(own(flow, dims, given), rows_last(value, rank), beside, None)
        return jnp.moveaxis(moved.value, -1, 0).reshape(value.shape), moved.log_det.reshape(batch)

    found = (_together(run) if together else run)(given, value, conditions)
    return tuple(np.asarray(part, np.float64) for part in found) if backend.name == "numpy" else found  # type: ignore[return-value]


def _together(run: Callable[..., tuple[Array, Array]]) -> Callable[..., tuple[Array, Array]]:
    """The function with a map over its rows as one batch more."""
    found = custom_vmap(run)

    @found.def_vmap
    def rule(size: int, batched: Any, given: Any, value: Array, conditions: Array | None) -> Any:
        own_params, at_value, at_conditions = batched
        if any(jax.tree.leaves(own_params)):
            axes = jax.tree.map(lambda mapped: 0 if mapped else None, (own_params, at_value, at_conditions))
            return jax.vmap(run, in_axes=axes, axis_size=size)(given, value, conditions), (True, True)
        wide = value if at_value else jnp.broadcast_to(value, (size, *value.shape))
        if conditions is not None and not at_conditions:
            conditions = jnp.broadcast_to(conditions, (size, *conditions.shape))
        return run(given, wide, conditions), (True, True)

    return found
