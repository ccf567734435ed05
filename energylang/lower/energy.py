"""A lowered energy with its params and data in place: callable, differentiable, a pytree."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from energylang.diagnostics import Diagnostic, DiagnosticError, suggest
from energylang.ir.nodes import Condition, Expr, Level, Param, Symbol, Variable, symbols
from energylang.ir.nodes import Energy as EnergyNode
from energylang.lower.data import Bound, outside_space
from energylang.lower.evaluate import TOGETHER, evaluate
from energylang.lower.flat import constrained, point_of, unconstrained
from energylang.lower.operations import NUMPY
from energylang.lower.program import EnergyProgram, lower
from energylang.lower.spaces import RealSlot
from energylang.lower.target import EnergyTarget
from energylang.model import Point, PRNGKey, Scalar


@partial(jax.tree_util.register_dataclass, data_fields=["free", "arrays", "tables"], meta_fields=["program"])
@dataclass(frozen=True)
class CompiledEnergy:
    """An energy as a function of its variables and conditions.

    free: params on their unconstrained scale (a `real` param as it is), the leaves that optimisers move. arrays: data
    and lets by name. tables: index tables. program: everything static.
    """

    program: EnergyProgram
    free: dict[str, Array]
    arrays: dict[str, Array]
    tables: dict[str, Array]

    @property
    def params(self) -> dict[str, Array]:
        """The params as optimisers see them: unconstrained."""
        return self.free

    @property
    def buffers(self) -> tuple[str, ...]:
        """Names of params that no optimiser moves: those of layers of flows that declare them so."""
        return tuple(param.name for param in self.program.param_slots if not param.learned)

    def with_params(self, params: Mapping[str, Array]) -> CompiledEnergy:
        """The same energy at other unconstrained params."""
        return replace(self, free=dict(params))

    def begun(self, batch: Mapping[str, Array], key: PRNGKey) -> CompiledEnergy:
        """The energy at the params that training starts from: layers of flows may start from the first rows."""
        moved = self.program.moved
        if not moved:
            return self
        from energylang.lower.flows import leaves

        dims, free = self.program.dims, dict(self.free)
        for node in moved:
            given = node.arguments[: 1 + len(node.flow.conditions)]
            now = replace(self, free=free)
            value, *conditions = jax.vmap(lambda row, now=now, given=given: now.evaluated(given, row))(dict(batch))
            free |= leaves.begun(node.flow, dims, free, value, conditions, key)
        return replace(self, free=free)

    def settled(self) -> CompiledEnergy:
        """The energy with its buffers brought up to its params."""
        if not self.buffers:
            return self
        from energylang.lower.flows import leaves

        dims, free = self.program.dims, dict(self.free)
        for flow in dict.fromkeys(node.flow for node in self.program.moved):
            free |= leaves.settled(flow, dims, free)
        return replace(self, free=free)

    @property
    def values(self) -> dict[str, Array]:
        """The params in their spaces."""
        found: dict[str, Array] = {}
        for param, slot in self.program.param_slots.items():
            given = {s: found[s.name] if isinstance(s, Param) else self.arrays[s.key] for s in symbols(*slot.bounds)}
            found[param.name] = slot.at(given, self.program.dims).constrain(jnp.ravel(self.free[param.name]))[0]
        return found

    def __call__(self, given: Mapping[str, Any] | None = None, /, **named: Any) -> Scalar:
        """The energy at `given`: a value, in its space, for each variable and condition."""
        return self.program.total(self._environment({**(given or {}), **named}))

    def rows(self, values: Mapping[str, Array]) -> Array:
        """float[B]: the energy of every row of `values`, each with one leading dim of rows.

        Flows move all rows as one batch, which is quicker than `vmap` of the energy: the result can be differentiated, but
        its derivative cannot be mapped.
        """
        together: dict[Any, Any] = {TOGETHER: True} if self.program.moved else {}
        return jax.vmap(lambda row: self.program.total({**together, **self._environment(row)}))(dict(values))

    def evaluated(self, expressions: Sequence[Expr], given: Mapping[str, Any]) -> list[Array]:
        """The values of expressions of the energy, at a value for each variable and condition."""
        found = evaluate(expressions, self._environment(given), self.program.dims)
        return [jnp.asarray(value) for value in found]

    def _environment(self, given: Mapping[str, Any]) -> dict[Any, Any]:
        found: dict[Any, Any] = dict(self.program.environment(self._arrays(given), self.values))
        for variable in self.program.energy.variables:
            found[variable] = self._checked(variable, given)
        return found

    def target(self, conditions: Mapping[str, Any] | None = None, keep: tuple[str, ...] = ()) -> EnergyTarget:
        """The target over the variables, the conditions fixed. keep: as of `EnergyTarget`."""
        return EnergyTarget(self.program, self.values, self._arrays(conditions or {}), self.tables, keep=keep)

    def conditions(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Those of the values by name that are of conditions."""
        return {c.name: values[c.name] for c in self.program.energy.conditions if c.name in values}

    def point(self, values: Mapping[str, Any]) -> Point:
        """The Point of values of the variables, and of the conditions where bounds depend on them."""
        target = self._target(self.conditions(values), bool(self.program.varying))
        checked = {v.name: self._checked(v, values) for v in self.program.energy.variables}
        return point_of(target, unconstrained(target, checked), checked)

    def log_density(self, flat: Any, given: Mapping[str, Any]) -> Scalar:
        """The log density of the flat unconstrained vector float[R], discrete variables and conditions `given`."""
        target, discrete = self._beside(given, needed=True)
        return target.log_density(point_of(target, self._flat(flat), discrete))

    def constrain(self, flat: Any, given: Mapping[str, Any]) -> dict[str, Array]:
        """The continuous variables in their spaces. given: what their bounds depend on."""
        # Where no bound is an expression nothing but the vector matters.
        target, discrete = self._beside(given, needed=bool(self.program.varying))
        return constrained(target, self._flat(flat), discrete)

    def unconstrain(self, values: Mapping[str, Any]) -> Array:
        """The flat unconstrained vector float[R]. values: of the variables, and of conditions that bounds depend on."""
        energy = self.program.energy
        needed = energy.variables if self.program.varying else tuple(self.program.real_slots)
        conditions = {name: value for name, value in values.items() if name in {c.name for c in energy.conditions}}
        self._only(values, [*energy.variables, *energy.conditions])
        checked = {v.name: self._checked(v, values) for v in needed}
        return unconstrained(self._target(conditions, bool(self.program.varying)), checked)

    def _beside(self, given: Mapping[str, Any], needed: bool) -> tuple[EnergyTarget, dict[str, Any]]:
        """The target, and the discrete variables; what is not given and not needed is zeros."""
        energy, slots = self.program.energy, self.program.code_slots
        self._only(given, [*slots, *energy.conditions])
        discrete = {
            v.name: self._checked(v, given) if needed or v.name in given else jnp.zeros(slot.shape, jnp.int32)
            for v, slot in slots.items()
        }
        conditions = {c.name: given[c.name] for c in energy.conditions if c.name in given}
        return self._target(conditions, needed), discrete

    def _target(self, conditions: Mapping[str, Any], needed: bool) -> EnergyTarget:
        arrays = self._arrays(conditions) if needed else self.arrays
        return EnergyTarget(self.program, self.values, arrays, self.tables)

    def _flat(self, flat: Any) -> Array:
        real, size = jnp.asarray(flat, jnp.result_type(float)), self.program.facts.reals
        if real.shape != (size,):
            raise DiagnosticError(
                [
                    Diagnostic(
                        "E0710", f"the flat vector of `{self.program.energy.name}` has shape [{size}], and this has {list(real.shape)}",
                        cause=", ".join(f"{s.name}: {s.size}" for s in self.program.real_slots.values()) or "no variable is continuous",
                        fix="`jax.vmap` maps over a batch",
                    )
                ]
            )  # fmt: skip
        return real

    def _arrays(self, given: Mapping[str, Any]) -> dict[str, Array]:
        energy = self.program.energy
        self._only(given, [*energy.variables, *energy.conditions])
        bound = {
            c.key: self._checked(c, given) for c in energy.conditions if c.key not in self.arrays or c.name in given
        }
        return {**self.arrays, **bound}

    def _only(self, given: Mapping[str, Any], symbols: Sequence[Symbol]) -> None:
        """Raise E0710 for a name that is none of these."""
        energy, known = self.program.energy, {s.name for s in symbols}
        continuous = any(isinstance(s, Variable) and s in self.program.real_slots for s in symbols)
        what = (
            "variable or condition" if continuous or not self.program.real_slots else "discrete variable or condition"
        )
        for name in given:
            if name not in known:
                near = suggest(name, known)
                raise DiagnosticError(
                    [
                        Diagnostic(
                            "E0710", f"`{energy.name}` has no {what} `{name}`",
                            fix=f"did you mean `{near}`?" if near else f"it has {', '.join(sorted(known)) or 'none'}",
                        )
                    ]
                )  # fmt: skip

    def _checked(self, symbol: Variable | Condition, given: Mapping[str, Any]) -> Array:
        energy = self.program.energy.name
        if isinstance(symbol, Level) and symbol.name not in given:
            return jnp.zeros(())
        if symbol.name not in given:
            code = "E0608" if isinstance(symbol, Condition) else "E0710"
            raise DiagnosticError([Diagnostic(code, f"`{energy}` needs a value for `{symbol.name}`", symbol.span)])
        value = jnp.asarray(given[symbol.name])
        shape = tuple(d.evaluate(self.program.dims) for d in symbol.space.shape)
        if value.shape != shape:
            raise DiagnosticError(
                [
                    Diagnostic(
                        "E0710", f"`{symbol.name}` of `{energy}` is {symbol.space} with shape {list(shape)}, and got {list(value.shape)}",
                        symbol.span, fix="`jax.vmap` maps an energy over a batch",
                    )
                ]
            )  # fmt: skip
        if symbol.space.discrete and jnp.issubdtype(value.dtype, jnp.integer):
            # int8 draws would overflow in sums of products
            return value.astype(jnp.int32)
        return value


def start_of(param: Param, slot: RealSlot, dims: Mapping[str, int], seed: int = 0) -> np.ndarray:
    """Where a param starts, unconstrained: its value, or a draw (numpy, keyed by the name) from its `from`.

    slot: its place, bounds in numbers.
    """
    if param.start is None and param.value is None:
        return np.zeros(slot.free_shape)
    if param.start is None:
        value = np.broadcast_to(np.asarray(param.value, np.float64), slot.shape)
        with np.errstate(all="ignore"):
            free = slot.unconstrain(value).reshape(slot.free_shape)
        outside, wanted = outside_space(param.space, value, dims, (slot.low, slot.high))
        if not np.isfinite(free).all() or (outside is not None and np.any(outside)):
            problem = f"`{param.name}` starts outside {param.space.kind}, or on its edge"
            cause = f"it should be {wanted}" if wanted else ""
            raise DiagnosticError(
                [Diagnostic("E0704", problem, param.span, cause=cause, fix="start it inside its space")]
            )
        return free
    kind, first, second = param.start
    draw = np.random.default_rng([seed, zlib.crc32(param.name.encode())])
    if kind == "normal":
        return draw.normal(first, second, slot.free_shape)
    if kind == "fan_in":
        return draw.normal(0.0, first / max(slot.shape[0], 1) ** 0.5, slot.free_shape)
    return draw.uniform(first, second, slot.free_shape)


def compile_energy(
    energy: EnergyNode, bound: Bound, params: Mapping[str, Any] | None = None, seed: int = 0
) -> CompiledEnergy:
    """Lower an energy and put data and params in place. `params`: unconstrained values instead of the starts."""
    program = lower(energy, bound)
    free: dict[str, Array] = {}
    arrays: dict[str, Array] = {}
    # A condition that is only a dim, or that nothing mentions, is bound all the same.
    for symbol in dict.fromkeys((*program.inputs, *energy.conditions)):
        if not isinstance(symbol, Param) and symbol.key in bound.values:
            arrays[symbol.key] = as_array(bound.values[symbol.key])
    started: dict[Symbol, Any] = {}
    for param, slot in program.param_slots.items():
        given = {s: started[s] if isinstance(s, Param) else bound.values[s.key] for s in symbols(*slot.bounds)}
        placed = slot.at(given, bound.dims, NUMPY)
        value = (params or {}).get(param.name)
        start = start_of(param, placed, bound.dims, seed) if value is None else value
        free[param.name] = as_array(start) if value is None else jnp.asarray(value)
        if any(param in symbols(*other.bounds) for other in program.param_slots.values()):
            started[param] = np.asarray(placed.constrain(jnp.ravel(jnp.asarray(start)))[0], np.float64)
    return CompiledEnergy(program, free, arrays, {name: as_array(t) for name, t in program.tables.items()})


def as_array(value: Any) -> Array:
    """On the device, at the precision of the run: float32 and int32, or float64 under `--x64`.

    Integers beyond 32 bits become reals.

    Converted by numpy, and put there rather than made there: `jnp.asarray` compiles a program for each shape.
    """
    value = np.asarray(value)
    if value.dtype.kind == "i" and value.size and max(-int(value.min()), int(value.max())) >= 2**31:
        value = value.astype(np.float64)
    kinds = {"f": jnp.result_type(float), "i": np.int32, "u": np.int32}
    return jax.device_put(value.astype(kinds.get(value.dtype.kind, value.dtype)))
