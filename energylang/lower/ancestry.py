"""Targets of `~` drawn from their laws, one after another; and what each observation contributes to the energy."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import prod
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from energylang.diagnostics import Diagnostic, DiagnosticError
from energylang.ir.ancestry import Step
from energylang.ir.nodes import Condition, Data, Expr, Law, Let, randoms, symbols
from energylang.ir.types import Kind
from energylang.lower.evaluate import evaluate
from energylang.lower.operations import NUMPY
from energylang.model import PRNGKey, fold

Dims = Mapping[str, int]


def draw(
    steps: Sequence[Step], environment: Mapping[Any, Any], dims: Dims, key: PRNGKey
) -> tuple[dict[str, Array], dict[Any, Any]]:
    """Each target drawn given those before it: values by name, and the environment with them in it.

    environment: a value for everything that the laws mention and no step draws; data keep the values they have there
    until a step draws them anew. The draw of number i among all (`randoms`) has the key fold(key, i).
    """
    keys = {
        node: fold(key, number)
        for node, number in randoms(*(law.draw for step in steps for law in step.laws if law.draw is not None)).items()
    }
    inner: dict[Any, Any] = {**environment, **keys}
    drawn: dict[str, Array] = {}
    for step in steps:
        drawn[step.name] = value = _drawn(step, inner, dims)
        if step.symbol is not None:
            inner[step.symbol] = value
    return drawn, inner


def _drawn(step: Step, environment: Mapping[Any, Any], dims: Dims) -> Array:
    if step.laws[0].whole:
        return _values(step.laws[0], environment, dims)
    shape = _shape(step.base, dims)
    if step.symbol is not None and step.symbol in environment:
        start = jnp.asarray(environment[step.symbol])  # entries that no law draws stay as they are given
    else:
        start = jnp.zeros(shape, jnp.int32 if step.base.type.kind is not Kind.REAL else jnp.result_type(float))

    def sweep(value: Array) -> Array:
        inner = environment if step.symbol is None else {**environment, step.symbol: value}
        for law in step.laws:
            places = _places(law, inner, dims)
            entries = _values(law, inner, dims).ravel().astype(value.dtype)
            value = value.ravel().at[places.ravel()].set(entries).reshape(shape)
        return value

    if not step.recursive:
        return sweep(start)
    # With the keys fixed a sweep is a function, and entry t of its result depends on entries before t alone: after t
    # sweeps it no longer changes, and what does not change is the draw.
    return jax.lax.fori_loop(0, shape[0], lambda _, value: sweep(value), start)


def _values(law: Law, environment: Mapping[Any, Any], dims: Dims) -> Array:
    assert law.draw is not None
    value = jnp.asarray(evaluate([law.draw], environment, dims)[0])
    return jnp.broadcast_to(value, _shape(law.target, dims))


def _shape(expr: Expr, dims: Dims) -> tuple[int, ...]:
    return tuple(d.evaluate(dims) for d in expr.type.shape)


def _places(law: Law, environment: Mapping[Any, Any], dims: Dims) -> Array:
    """Which entries of the flattened base the entries of the target are."""
    shape = _shape(law.base, dims)
    numbers = np.arange(prod(shape), dtype=np.int32).reshape(shape)
    return jnp.asarray(evaluate([law.target], environment, dims, known={id(law.base): numbers})[0])


def require_covered(steps: Sequence[Step], values: Mapping[str, Any], dims: Dims) -> None:
    """Raise E0535 where variables that have densities in parts are not given one for each entry. values: of data, by key."""
    problems = []
    for step in steps:
        if step.laws[0].whole:
            continue
        shape = _shape(step.base, dims)
        count = np.zeros(prod(shape), int)
        for law in step.laws:
            inputs = [s for s in symbols(law.target) if s is not step.symbol]
            if not all(isinstance(s, Data | Let | Condition) and s.key in values for s in inputs):
                problems.append(
                    Diagnostic("E0535", f"which entries of `{step.name}` this is depends on variables", law.span)
                )
                break
            numbers = np.arange(prod(shape)).reshape(shape)
            known = {id(law.base): numbers}
            environment = {s: values[s.key] for s in inputs}
            np.add.at(count, np.ravel(evaluate([law.target], environment, dims, NUMPY, known)[0]), 1)
        else:
            if np.any(count != 1):
                place = int(np.argmax(count != 1))
                entry = ", ".join(map(str, np.unravel_index(place, shape)))
                problems.append(
                    Diagnostic(
                        "E0535", f"`{step.name}[{entry}]` has {'no' if not count[place] else count[place]} density", step.laws[0].span,
                        fix="give each entry one `~`",
                    )
                )  # fmt: skip
    if problems:
        raise DiagnosticError(problems)


def log_likelihood(laws: Iterable[Law], environment: Mapping[Any, Any], dims: Dims) -> dict[str, Array]:
    """Minus the energy of each observation by the name of its data, float[batch].

    Data that several `~` observe in parts have one array of the batch of the whole; what several say of one entry is
    added up. Entries that none observes are 0.
    """
    grouped: dict[str, list[Law]] = {}
    for law in laws:
        grouped.setdefault(law.name, []).append(law)
    found: dict[str, Array] = {}
    for name, own in grouped.items():
        energies = evaluate([law.energy for law in own], environment, dims)
        if len(own) == 1:
            found[name] = -jnp.asarray(energies[0], jnp.result_type(float))
            continue
        event = len(own[0].target.type.shape) - len(own[0].energy.type.shape)
        shape = _shape(own[0].base, dims)
        batch = shape[: len(shape) - event]
        size = prod(shape[len(shape) - event :])
        total = jnp.zeros(prod(batch), jnp.result_type(float))
        for law, energy in zip(own, energies, strict=True):
            places = _places(law, environment, dims).reshape(-1, size)[:, 0] // size
            total = total.at[places].add(-jnp.ravel(energy))
        found[name] = total.reshape(batch)
    return found
