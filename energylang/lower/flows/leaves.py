"""The params of flows: made when dims are known, and put beside the values that are moved; begun, and settled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import jax.numpy as jnp
from jax import Array

from energylang.catalog import LAYERS, LayerCall
from energylang.diagnostics import Diagnostic
from energylang.ir.nodes import Energy, Expr, Flow, Param, Reference, Transport, children, flows, walk, with_children
from energylang.ir.types import Dim, Space
from energylang.lower.flows.chain import chain, conditions_of, leaves, own, rows_last
from energylang.model import PRNGKey


def unfit(energy: Energy, dims: Mapping[str, int]) -> list[Diagnostic]:
    """Layers that the sizes of data leave too few entries."""
    found = []
    for flow in flows(*energy.roots):
        entries = 1
        for dim in flow.event:
            entries *= dim.evaluate(dims)
        for layer in _all(flow.layers):
            fewest = LAYERS[layer.name].fewest
            if entries < fewest:
                found.append(too_few(flow.name, layer.name, entries, fewest, flow))
    return found


def too_few(name: str, layer: str, entries: int, fewest: int, flow: Flow) -> Diagnostic:
    what = f"{entries} {'entry' if entries == 1 else 'entries'}"
    return Diagnostic(
        "E0564", f"`{layer}` needs {fewest} entries, and `{name}` has {what}", flow.span,
        fix="`autoregressive(spline(bins = 8), [])` moves one entry too",
    )  # fmt: skip


def _all(layers: tuple[LayerCall, ...]) -> list[LayerCall]:
    return [found for layer in layers for found in (layer, *_all(layer.inner))]


def with_leaves(energy: Energy, dims: Mapping[str, int]) -> Energy:
    """The energy with the params of its flows as arguments of what they move; itself where it has no flow."""
    params: dict[Flow, tuple[Param, ...]] = {}
    for flow in flows(*energy.roots):
        params[flow] = tuple(
            Param(
                name,
                Space("real", tuple(Dim.of(size) for size in leaf.shape)),
                flow.span,
                None if isinstance(leaf.start, tuple) else leaf.start,
                leaf.start if isinstance(leaf.start, tuple) else None,
                leaf.learned,
            )
            for name, leaf in leaves(flow, dims).items()
        )
    if not params:
        return energy
    made: dict[int, Expr] = {}

    def replaced(root: Expr) -> Expr:
        for node in walk(root):
            if id(node) in made:
                continue
            found = with_children(node, tuple(made[id(c)] for c in children(node)))
            if isinstance(found, Transport):
                own_params = params[found.flow]
                given = tuple(Reference(p.space.type, found.span, p) for p in own_params)
                names = tuple(p.name for p in own_params)
                found = replace(found, arguments=(*found.arguments, *given), leaves=names)
            made[id(node)] = found
        return made[id(root)]

    return energy.mapped(replaced)


def begun(
    flow: Flow,
    dims: Mapping[str, int],
    params: Mapping[str, Array],
    value: Array,
    conditions: list[Array],
    key: PRNGKey,
) -> dict[str, Array]:
    """The params that depend on a batch, by their names in the model; none where no layer begins from data.

    value: float[…, *event], on the data's side; conditions: each with as many axes before its own.
    """
    made = chain(flow, dims)
    if not made.begins:
        return {}
    rank = len(flow.event)
    beside = conditions_of(flow, conditions, value.shape[: value.ndim - rank], dims)
    rows = rows_last(jnp.asarray(value, jnp.result_type(float)), rank)
    found, _ = made.begun(own(flow, dims, params), rows, None if beside is None else rows_last(beside, 1), key)
    return {f"{flow.name}.{name}": found[name] for name in made.leaves}


def settled(flow: Flow, dims: Mapping[str, int], params: Mapping[str, Array]) -> dict[str, Array]:
    """The buffers of a flow brought up to its params, by their names in the model."""
    made = chain(flow, dims)
    if all(leaf.learned for leaf in made.leaves.values()):
        return {}
    found = made.settled(own(flow, dims, params))
    return {f"{flow.name}.{name}": found[name] for name, leaf in made.leaves.items() if not leaf.learned}
