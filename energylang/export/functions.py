"""The functions of an exported energy: of dictionaries of arrays, batched, with data and params as arguments.

Each takes `batched`, arrays with a leading batch dim (values of variables and conditions by name, and "flat" for the
unconstrained vector), and `shared`, {"data": arrays by key, "params": constrained values by name}.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from energylang.lower.energy import CompiledEnergy
from energylang.lower.flat import constrained, point_of, unconstrained
from energylang.lower.target import EnergyTarget

Arrays = dict[str, Array]
Function = Callable[[Arrays, Any], Any]


def functions(compiled: CompiledEnergy) -> dict[str, tuple[Function, tuple[str, ...]]]:
    """The functions by name, each with the names of its batched arguments."""
    program = compiled.program
    energy = program.energy
    reals = tuple(v.name for v in program.real_slots)
    discrete = tuple(v.name for v in program.code_slots)
    conditions = tuple(c.name for c in energy.conditions if c.key not in compiled.arrays)

    def target(values: Mapping[str, Array], shared: Any) -> EnergyTarget:
        given = {c.key: values[c.name] for c in energy.conditions if c.name in conditions and c.name in values}
        return EnergyTarget(program, shared["params"], {**shared["data"], **given}, {})

    def energy_at(values: Arrays, shared: Any) -> Array:
        here = target(values, shared)
        environment = program.environment(here.arrays, here.params)
        return program.total({**environment, **{v: values[v.name] for v in energy.variables}})

    def log_density(values: Arrays, shared: Any) -> Array:
        here = target(values, shared)
        return here.log_density(point_of(here, values["flat"], values))

    def with_gradient(function: Function) -> Function:
        """With the gradient by every real argument, so that nothing is differentiated wrongly as a constant."""

        def both(values: Arrays, shared: Any) -> tuple[Array, Arrays]:
            moved = {name: value for name, value in values.items() if jnp.issubdtype(value.dtype, jnp.floating)}
            return jax.value_and_grad(lambda moved: function({**values, **moved}, shared))(moved)

        return both

    def constrain(values: Arrays, shared: Any) -> Arrays:
        codes = {v.name: jnp.zeros(slot.shape, jnp.int32) for v, slot in program.code_slots.items()}
        return constrained(target(values, shared), values["flat"], {**codes, **values})

    def unconstrain(values: Arrays, shared: Any) -> Array:
        return unconstrained(target(values, shared), values)

    def params_gradient(batched: Arrays, shared: Any) -> Arrays:
        """The gradient by the params of the sum over the batch of weights times energies."""
        values = {name: value for name, value in batched.items() if name != "weights"}

        def total(params: Any) -> Array:
            energies = jax.vmap(lambda one: energy_at(one, {**shared, "params": params}))(values)
            return jnp.sum(batched["weights"] * energies)

        return jax.grad(total)(shared["params"])

    beside = (*discrete, *conditions)
    # Only bounds that are expressions make the map to the spaces depend on anything else.
    around = beside if program.varying else ()
    found: dict[str, tuple[Function, tuple[str, ...]]] = {"energy": (_mapped(energy_at), (*reals, *beside))}
    if reals:
        found["energy_and_gradient"] = (_mapped(with_gradient(energy_at)), (*reals, *beside))
        found["log_density"] = (_mapped(log_density), ("flat", *beside))
        found["log_density_and_gradient"] = (_mapped(with_gradient(log_density)), ("flat", *beside))
        found["constrain"] = (_mapped(constrain), ("flat", *around))
        found["unconstrain"] = (_mapped(unconstrain), (*reals, *around))
    if program.param_slots:
        found["params_gradient"] = (params_gradient, (*reals, *beside, "weights"))
    return found


def _mapped(one: Function) -> Function:
    return jax.vmap(one, in_axes=(0, None))
