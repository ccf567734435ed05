"""Velocities that depend on the time, for continuous flows: nets with rows last."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise
from math import sqrt

import jax
import jax.numpy as jnp
from jax import Array

from energylang.catalog import LayerCall
from energylang.lower.flows.bijection import Leaf, Params

SMOOTH = {"tanh": jnp.tanh, "softplus": jax.nn.softplus, "swish": jax.nn.swish, "sigmoid": jax.nn.sigmoid}
"""Kinks would make a solver take small steps."""

Shapes = tuple[int, int]
Dense = Callable[[Params, int, Array, Array], Array]
"""Layer i of a net: float[to, B] of params, i, the time and float[from, B]."""


def _weights(shape: Shapes, last: bool) -> dict[str, Leaf]:
    inside, outside = shape
    return {
        "weight": Leaf(shape, 0.0 if last else ("normal", 0.0, 1.0 / sqrt(max(inside, 1)))),
        "bias": Leaf((outside,)),
    }


def _gate(shape: Shapes) -> dict[str, Leaf]:
    spread = ("normal", 0.0, 1.0)
    return {"gate": Leaf((shape[1],), spread), "gate_bias": Leaf((shape[1],), spread)}


def _product(params: Params, i: int, x: Array) -> Array:
    return params[f"weight{i}"].T @ x + params[f"bias{i}"][:, None]


def _open(params: Params, i: int, time: Array) -> Array:
    return jax.nn.sigmoid(params[f"gate{i}"] * time + params[f"gate_bias{i}"])[:, None]


def _concatsquash(params: Params, i: int, time: Array, x: Array) -> Array:
    return _product(params, i, x) * _open(params, i, time) + (params[f"drift{i}"] * time)[:, None]


def _squash(params: Params, i: int, time: Array, x: Array) -> Array:
    return _product(params, i, x) * _open(params, i, time)


def _concat(params: Params, i: int, time: Array, x: Array) -> Array:
    # The time as one more input: its weights times it.
    return _product(params, i, x) + (params[f"drift{i}"] * time)[:, None]


def _hyper(params: Params, i: int, time: Array, x: Array) -> Array:
    weight = params[f"weight{i}"] + time * params[f"weight_slope{i}"]
    return weight.T @ x + (params[f"bias{i}"] + time * params[f"bias_slope{i}"])[:, None]


def _blend(params: Params, i: int, time: Array, x: Array) -> Array:
    weight = (1.0 - time) * params[f"weight{i}"] + time * params[f"weight_after{i}"]
    return weight.T @ x + ((1.0 - time) * params[f"bias{i}"] + time * params[f"bias_after{i}"])[:, None]


def _more(kind: str, shape: Shapes, last: bool) -> dict[str, Leaf]:
    """What a layer has beside weights and biases. Each starts so that the last layer gives zero at every time."""
    drift = Leaf((shape[1],), 0.0 if last else ("normal", 0.0, 1.0))
    match kind:
        case "concatsquash":
            return {**_gate(shape), "drift": drift}
        case "squash":
            return _gate(shape)
        case "concat":
            return {"drift": drift}
        case "hyper":
            return {"weight_slope": Leaf(shape), "bias_slope": Leaf((shape[1],))}
    own = _weights(shape, last)
    return {"weight_after": own["weight"], "bias_after": own["bias"]}


DENSE: Mapping[str, Dense] = {
    "concatsquash": _concatsquash, "squash": _squash, "concat": _concat, "hyper": _hyper, "blend": _blend,
}  # fmt: skip


class Field:
    """A velocity of `entries` numbers, at rest before it is trained. Time runs from 0 to 1 over the whole way."""

    def __init__(self, kind: str, entries: int, conditions: int, hidden: tuple[int, ...], act: str) -> None:
        self.potential = kind == "potential"
        self.kind = "concatsquash" if self.potential else kind
        self.act = act
        widths = (entries + conditions, *hidden, 1 if self.potential else entries)
        self.count = len(widths) - 1
        self.leaves: dict[str, Leaf] = {}
        for i, shape in enumerate(pairwise(widths)):
            last = i == self.count - 1
            own = {**_weights(shape, last), **_more(self.kind, shape, last)}
            self.leaves |= {f"{name}{i}": leaf for name, leaf in own.items()}

    def _net(self, params: Params, time: Array, x: Array) -> Array:
        for i in range(self.count):
            x = DENSE[self.kind](params, i, time, x)
            if i < self.count - 1:
                x = SMOOTH[self.act](x)
        return x

    def velocity(self, params: Params, time: Array, x: Array, conditions: Array | None) -> Array:
        """float[D, B] at float[D, B]; conditions: float[K, B]."""

        def net(x: Array) -> Array:
            return self._net(params, time, x if conditions is None else jnp.concatenate([x, conditions]))

        # Rows do not meet, so the gradient of the sum has each row's own.
        return -jax.grad(lambda x: jnp.sum(net(x)))(x) if self.potential else net(x)

    def with_divergence(self, params: Params, time: Array, x: Array, conditions: Array | None) -> tuple[Array, Array]:
        """The velocity, and the trace of its Jacobian, float[B]: one derivative along each axis, the net computed once."""
        entries = x.shape[0]
        value, push = jax.linearize(lambda x: self.velocity(params, time, x, conditions), x)
        axes = jnp.broadcast_to(jnp.eye(entries, dtype=x.dtype)[:, :, None], (entries, *x.shape))
        return value, jnp.einsum("iib->b", jax.vmap(push)(axes))


def made(call: LayerCall, entries: int, conditions: int) -> Field:
    return Field(call.name, entries, conditions, **dict(call.options))  # type: ignore[arg-type]
