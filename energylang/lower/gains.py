"""Gains: the change of the energy when one site takes another value, for every site and value at once.

Gather summands: replace one column at a time in all rows, and collect the changes of the rows to the sites they read.
Functions of sums: the function at the sums as they would be. Quadratics: E(x + d e_i) - E(x) = d g_i + d^2 H_ii / 2, exact; multilinear gathers likewise, without a diagonal. Opaque ones: the gradient of the extension, an estimate.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from energylang.ir.nodes import Expr, Reference, Symbol, Variable
from energylang.lower import sums
from energylang.lower.evaluate import evaluate
from energylang.lower.extension import Relaxed, evaluate_relaxed
from energylang.lower.spaces import CodeSlot
from energylang.lower.structure import Column, Gather, Opaque, Quadratic, Structured, Sums
from energylang.model import UNBOUNDED

Tables = Mapping[str, Array]
Changes = dict[Variable, Array]
"""Per variable: float[*shape, k], the change of the energy at each value."""


def energy_changes(
    structured: Sequence[Structured], environment: Mapping[Symbol, Any], dims: Mapping[str, int],
    slots: Mapping[Variable, CodeSlot], tables: Tables,
) -> Changes:  # fmt: skip
    """The changes of all summands added up. `environment` holds the current integer values of the variables."""
    changes: Changes = {}
    for number, summand in enumerate(structured):
        if isinstance(summand, Gather) and not summand.multilinear:
            scale = scaled(summand, environment, dims)
            for variable, change in _gather(str(number), summand, environment, dims, slots, tables).items():
                _add(changes, variable, scale * change)
        elif isinstance(summand, Sums):
            for variable, change in _sums(number, summand, environment, dims, slots, tables).items():
                _add(changes, variable, change)
    smooth = [s for s in structured if isinstance(s, Quadratic) or (isinstance(s, Gather) and s.multilinear)]
    if smooth:
        for variable, change in _from_gradient(smooth, environment, dims, slots, tables).items():
            _add(changes, variable, change)
    opaque = [s for s in structured if isinstance(s, Opaque)]
    if opaque:
        for variable, change in _opaque(opaque, environment, dims, slots).items():
            _add(changes, variable, change)
    return changes


def scaled(summand: Structured, environment: Mapping[Symbol, Any], dims: Mapping[str, int]) -> Any:
    """The product of a summand's scale factors."""
    product: Any = 1.0
    for factor in evaluate(summand.summand.scale, environment, dims):
        product = product * factor
    return product


def _add(changes: Changes, variable: Variable, change: Array) -> None:
    changes[variable] = changes[variable] + change if variable in changes else change


# --- gather -----------------------------------------------------------------------------------------------------


def _gather(
    key: str, summand: Gather, environment: Mapping[Symbol, Any], dims: Mapping[str, int],
    slots: Mapping[Variable, CodeSlot], tables: Tables,
) -> Changes:  # fmt: skip
    current = evaluate([c.chain for c in summand.columns], environment, dims)
    base = {local: v for c, v in zip(summand.columns, current, strict=True) for local in c.locals}

    def rows(replaced: Mapping[int, Any]) -> Array:
        inner = {**environment, **base}
        for place, value in replaced.items():
            inner.update(dict.fromkeys(summand.columns[place].locals, value))
        return jnp.asarray(evaluate([summand.rows], inner, dims)[0]) * 1

    before = rows({})
    changes: Changes = {}
    for place, column in enumerate(summand.columns):
        slot = slots[column.variable]
        if slot.cardinality == UNBOUNDED:
            continue

        def change(value: Array, place: int = place) -> Array:
            replaced = {place: value}
            for (i, j), _ in summand.overlaps.items():
                if place in (i, j):
                    other = j if place == i else i
                    replaced[other] = jnp.where(tables[f"overlap/{key}/{i}/{j}"], value, current[other])
            difference = (rows(replaced) - before) * 1.0
            for i, j in summand.overlaps:
                # A row that reads the site through an earlier column was counted there.
                if j == place:
                    difference = jnp.where(tables[f"overlap/{key}/{i}/{j}"], 0.0, difference)
            return difference

        def collect(difference: Array, column: Column = column, place: int = place) -> Array:
            return _collect(column, f"sites/{key}/{place}", difference, environment, dims, slots, tables)

        value = jnp.asarray(current[place])
        if slot.cardinality == 2:
            flipped = collect(change(slot.decode(1 - slot.encode(value))))
            now = slot.encode(environment[column.variable])
            found = jnp.stack([jnp.where(now == 0, 0.0, flipped), jnp.where(now == 1, 0.0, flipped)], axis=-1)
        else:
            codes = jnp.arange(slot.cardinality, dtype=value.dtype)
            found = jax.vmap(lambda c, shape=value.shape: collect(change(jnp.full(shape, c))), out_axes=-1)(codes)
        _add(changes, column.variable, found)
    return changes


def _collect(
    column: Column, table: str, difference: Array, environment: Mapping[Symbol, Any], dims: Mapping[str, int],
    slots: Mapping[Variable, CodeSlot], tables: Tables,
) -> Array:  # fmt: skip
    """Changes of rows to changes of sites: the transpose of the reading."""
    slot = slots[column.variable]
    if not column.direct:
        flat = jnp.zeros(slot.size, difference.dtype).at[tables[table]].add(difference, mode="drop")
        return flat.reshape(slot.shape)
    shape = tuple(d.evaluate(dims) for d in column.shape)
    extra = difference.ndim - len(shape)
    stretched = tuple(i + extra for i, size in enumerate(shape) if size == 1 and difference.shape[i + extra] != 1)
    reduced = jnp.sum(difference, axis=(*range(extra), *stretched)).reshape(shape)
    if isinstance(column.chain, Reference):
        return reduced

    def read(values: Array) -> Array:
        return evaluate([column.chain], {**environment, column.variable: values}, dims)[0]

    (collected,) = jax.linear_transpose(read, jax.ShapeDtypeStruct(slot.shape, difference.dtype))(reduced)
    return collected


# --- functions of sums ------------------------------------------------------------------------------------------


def _sums(
    number: int, summand: Sums, environment: Mapping[Symbol, Any], dims: Mapping[str, int],
    slots: Mapping[Variable, CodeSlot], tables: Tables,
) -> Changes:  # fmt: skip
    steps: dict[int, Changes] = {}
    for place, total in enumerate(summand.sums):
        steps[place] = {}
        for part, gather in enumerate(total.gathers):
            scale = scaled(gather, environment, dims)
            found = _gather(sums.part_key(number, place, part), gather, environment, dims, slots, tables)
            for variable, change in found.items():
                _add(steps[place], variable, scale * change)
    return sums.change(summand, scaled(summand, environment, dims), steps, environment, dims)


# --- quadratic and multilinear ----------------------------------------------------------------------------------


def _from_gradient(
    summands: Sequence[Quadratic | Gather], environment: Mapping[Symbol, Any], dims: Mapping[str, int],
    slots: Mapping[Variable, CodeSlot], tables: Tables,
) -> Changes:  # fmt: skip
    variables = sorted(frozenset().union(*(s.variables for s in summands)), key=lambda v: v.name)
    real = jnp.result_type(float)

    def total(values: Mapping[Variable, Array], chosen: Sequence[Quadratic | Gather]) -> Array:
        inner = {**environment, **values}
        parts = evaluate([s.summand.rows for s in chosen], inner, dims)
        return sum(
            (scaled(s, environment, dims) * jnp.sum(p) for s, p in zip(chosen, parts, strict=True)), jnp.zeros((), real)
        )

    current = {v: jnp.asarray(environment[v], real) for v in variables}
    gradients = jax.grad(lambda values: total(dict(zip(variables, values, strict=True)), summands))(
        [current[v] for v in variables]
    )
    diagonal = _diagonals(summands, variables, total, slots, environment, dims, tables)
    changes: Changes = {}
    for variable, gradient in zip(variables, gradients, strict=True):
        slot = slots[variable]
        if slot.cardinality == UNBOUNDED:
            continue
        values = slot.decode(jnp.arange(slot.cardinality, dtype=real))
        step = values - current[variable][..., None]
        change = step * gradient[..., None]
        if variable in diagonal:
            change = change + 0.5 * step**2 * diagonal[variable][..., None]
        changes[variable] = change
    return changes


def coupled(summands: Sequence[Quadratic]) -> list[Variable]:
    """The variables whose own entries are coupled with each other: those whose diagonal can differ from zero."""
    return sorted({u for s in summands for u, v in s.pairs if u is v}, key=lambda v: v.name)


def diagonal_table(number: int, variable: Variable) -> str:
    """The name of the table that holds the diagonal of the rows of the quadratic of a number, where data alone fix it.

    number: counted among those that have a diagonal.
    """
    return f"diagonal/{number}/{variable.name}"


def _diagonals(
    summands: Sequence[Quadratic | Gather],
    variables: Sequence[Variable],
    total: Any,
    slots: Mapping[Variable, CodeSlot],
    environment: Mapping[Symbol, Any],
    dims: Mapping[str, int],
    tables: Tables,
) -> dict[Variable, Array]:
    """H_ii of the coupled variables: the derivative of the gradient, which no cancellation spoils."""
    found: dict[Variable, Array] = {}
    real = jnp.result_type(float)
    zeros = {v: jnp.zeros(slots[v].shape, real) for v in variables}
    curved = [s for s in summands if isinstance(s, Quadratic) and s.diagonal]
    for number, summand in enumerate(curved):
        for variable in coupled([summand]):
            slot, table = slots[variable], diagonal_table(number, variable)
            if table in tables:
                _add(found, variable, scaled(summand, environment, dims) * tables[table])
                continue

            def second(
                i: Array, variable: Variable = variable, slot: CodeSlot = slot, summand: Quadratic = summand
            ) -> Array:
                unit = (jnp.arange(slot.size) == i).astype(real).reshape(slot.shape)
                gradient = jax.grad(lambda value: total({**zeros, variable: value}, [summand]))
                return jnp.sum(unit * jax.jvp(gradient, (zeros[variable],), (unit,))[1])

            diagonal = jax.lax.map(second, jnp.arange(slot.size), batch_size=min(slot.size, 64))
            _add(found, variable, diagonal.reshape(slot.shape))
    return found


# --- opaque -----------------------------------------------------------------------------------------------------


def _opaque(
    summands: Sequence[Opaque],
    environment: Mapping[Symbol, Any],
    dims: Mapping[str, int],
    slots: Mapping[Variable, CodeSlot],
) -> Changes:
    mentioned = frozenset().union(*(s.variables for s in summands))
    variables = sorted((v for v in mentioned if slots[v].cardinality != UNBOUNDED), key=lambda v: v.name)
    real = jnp.result_type(float)
    roots: list[Expr] = [s.summand.rows for s in summands]

    def total(points: list[Array]) -> Array:
        inner = dict(environment)
        for variable, point in zip(variables, points, strict=True):
            inner[variable] = point if slots[variable].cardinality == 2 else Relaxed(point)
        parts = evaluate_relaxed(roots, inner, dims)
        return sum(
            (scaled(s, environment, dims) * jnp.sum(p) for s, p in zip(summands, parts, strict=True)),
            jnp.zeros((), real),
        )

    points = []
    for variable in variables:
        slot, value = slots[variable], jnp.asarray(environment[variable])
        points.append(
            value.astype(real) if slot.cardinality == 2 else jax.nn.one_hot(value, slot.cardinality, dtype=real)
        )
    changes: Changes = {}
    for variable, point, gradient in zip(variables, points, jax.grad(total)(points), strict=True):
        slot = slots[variable]
        if slot.cardinality == 2:
            values = slot.decode(jnp.arange(2, dtype=real))
            changes[variable] = (values - point[..., None]) * gradient[..., None]
        else:
            changes[variable] = gradient - jnp.sum(gradient * point, axis=-1, keepdims=True)
    return changes
