"""Points of a target from the values of its variables by name, and the values from points."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
from jax import Array

from energylang.ir.nodes import Symbol
from energylang.lower.target import EnergyTarget
from energylang.model import Point


def point_of(target: EnergyTarget, flat: Array, discrete: Mapping[str, Any]) -> Point:
    """The point of a flat unconstrained vector float[R], and of values of the discrete variables in their spaces."""
    program = target.program
    code: list[list[Array]] = [[] for _ in program.cardinalities]
    for variable, slot in program.code_slots.items():
        code[slot.group].append(slot.encode(jnp.asarray(discrete[variable.name])).ravel().astype(jnp.int32))
    return Point(jnp.asarray(flat, jnp.result_type(float)), tuple(jnp.concatenate(part) for part in code))


def constrained(target: EnergyTarget, flat: Array, discrete: Mapping[str, Any]) -> dict[str, Array]:
    """The continuous variables in their spaces, by name, from the flat vector float[R]."""
    values = target.values(point_of(target, flat, discrete))[0]
    return {variable.name: values[variable] for variable in target.program.real_slots}


def unconstrained(target: EnergyTarget, values: Mapping[str, Any]) -> Array:
    """The flat vector float[R] from values of the variables; discrete ones are read where bounds depend on them."""
    program = target.program
    given: dict[Symbol, Any] = {v: jnp.asarray(values[v.name]) for v in program.energy.variables if v.name in values}
    environment = {**(program.environment(target.arrays, target.params) if program.varying else {}), **given}
    kind = jnp.result_type(float)
    parts = [
        slot.at(environment, program.dims).unconstrain(given[variable].astype(kind))
        for variable, slot in program.real_slots.items()
    ]
    return jnp.concatenate(parts) if parts else jnp.zeros(0, kind)
