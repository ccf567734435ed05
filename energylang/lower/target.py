"""Targets: lowered energies as methods see them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from energylang.ir.nodes import Symbol
from energylang.lower.ancestry import draw, log_likelihood
from energylang.lower.augmentation import OTHERS, no_hidden
from energylang.lower.evaluate import evaluate
from energylang.lower.gains import energy_changes
from energylang.lower.neighbours import REACH_TABLE, Carried, Neighbours, rank_table
from energylang.lower.normal_laws import laws_of, mean_and_draw, normal_laws
from energylang.lower.operations import JAX
from energylang.lower.program import EnergyProgram, storage
from energylang.lower.selected import SelectedTarget
from energylang.model import UNBOUNDED, Facts, Outputs, Point, PRNGKey, Scalar, Selection, fold


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["params", "arrays", "tables", "level"],
    meta_fields=["program", "keep"],
)
@dataclass(frozen=True)
class EnergyTarget:
    """One energy with everything but its variables in place.

    params: constrained values by name. arrays: data, lets and conditions by name. tables: index tables and colours.
    level: an inverse temperature, or None for 1 (then nothing is multiplied). keep: what `outputs` has beside variables and
    reports, of "predictive" (data drawn anew) and "log_likelihood".
    """

    program: EnergyProgram
    params: dict[str, Array]
    arrays: dict[str, Array]
    tables: dict[str, Array]
    level: Array | None = None
    keep: tuple[str, ...] = ()

    @property
    def facts(self) -> Facts:
        return self.program.facts

    @property
    def variables(self) -> Mapping[str, Selection]:
        return self.program.variables

    @property
    def colouring(self) -> tuple[Array, ...]:
        return tuple(self.tables[f"colour/{group}"] for group in range(len(self.program.cardinalities)))

    def values(self, x: Point) -> tuple[dict[Symbol, Any], Scalar]:
        """Every variable at its value in its space, and the log-Jacobian."""
        program = self.program
        values: dict[Symbol, Any] = {v: code.value(x.code) for v, code in program.code_slots.items()}
        jacobian: Any = jnp.zeros((), jnp.result_type(float))
        # Bounds are made of what stands before them in the signature, and the slots are in its order.
        given = program.environment(self.arrays, self.params) if program.varying else {}
        for variable, slot in program.real_slots.items():
            values[variable], part = slot.at({**given, **values}, program.dims).constrain(x.real)
            if slot.kind != "real":
                jacobian = jacobian + part
        return values, jacobian

    def _environment(self, values: Mapping[Symbol, Any]) -> dict[Symbol, Any]:
        return {**self.program.environment(self.arrays, self.params), **values}

    def environment(self, x: Point) -> dict[Symbol, Any]:
        """The value of every symbol at a point."""
        return self._environment(self.values(x)[0])

    def _scaled(self, energy: Scalar) -> Scalar:
        return energy if self.level is None else self.level * energy

    def energy(self, x: Point) -> Scalar:
        values, _ = self.values(x)
        return self._scaled(self.program.total(self._environment(values)))

    def log_jacobian(self, x: Point) -> Scalar:
        return self.values(x)[1]

    def log_density(self, x: Point) -> Scalar:
        values, jacobian = self.values(x)
        return jacobian - self._scaled(self.program.total(self._environment(values)))

    def gains(self, x: Point) -> tuple[Array, ...]:
        values, _ = self.values(x)
        program = self.program
        changes = energy_changes(
            program.structured, self._environment(values), program.dims, program.code_slots, self.tables
        )
        # Before they are joined, so that who wants those of one variable has no others computed.
        return program.collect({variable: -self._scaled(change) for variable, change in changes.items()})

    def carried(self, x: Point) -> Carried:
        return self._near.carried(x.code, self.environment(x), self.program.dims, self.tables)

    def carried_after(self, x: Point, carried: Carried, colour: int | Array, values: tuple[Array, ...]) -> Carried:
        if not carried.totals.shape[0] and not carried.fields:
            return carried
        environment = self.environment(x)
        for group, new in zip(self._finite, values, strict=True):
            carried = self._near.moved(group, colour, x.code, carried, new, environment, self.program.dims, self.tables)
        return carried

    def gains_of_colour(
        self, x: Point, colour: int | Array, carried: Carried | None = None
    ) -> tuple[tuple[Array, Any, Array], ...]:
        near = self._near
        places = [near.of_colour(group, colour, self.tables) for group in self._finite]
        gains = self._gains_at(x, places, carried)
        return tuple((sites, ranks, gain) for (sites, ranks), gain in zip(places, gains, strict=True))

    def gains_at(self, x: Point, sites: tuple[Array, ...], carried: Carried | None = None) -> tuple[Array, ...]:
        return self._gains_at(x, self._ranked(sites), carried)

    def _ranked(self, sites: tuple[Array, ...]) -> list[tuple[Array, Array]]:
        ranks = [self.tables[rank_table(group)] for group in self._finite]
        kept = [jnp.minimum(s, max(r.shape[0] - 1, 0)) for s, r in zip(sites, ranks, strict=True)]
        return [(s, r[k]) for s, r, k in zip(sites, ranks, kept, strict=True)]

    def reached(self, site: Array) -> tuple[Array, ...]:
        found, offset = self.tables[REACH_TABLE][:, site], 0
        parts = []
        for group in self._finite:
            count = self.facts.sites[group]
            inside = (found >= offset) & (found < offset + count)
            parts.append(jnp.where(inside, found - offset, count))
            offset += count
        return tuple(parts)

    @property
    def _near(self) -> Neighbours:
        assert self.program.near is not None, "facts.reach is 0"
        return self.program.near

    @property
    def _finite(self) -> list[int]:
        """The code arrays of sites with finitely many values; counts, if there are any, are the last."""
        return [g for g, k in enumerate(self.facts.cardinalities) if k != UNBOUNDED]

    def _gains_at(self, x: Point, places: Sequence[tuple[Array, Any]], carried: Carried | None) -> tuple[Array, ...]:
        near, dims = self._near, self.program.dims
        level = 1.0 if self.level is None else self.level
        environment = self._environment(self.values(x)[0])
        return tuple(
            near.gains(group, sites, ranks, x.code, carried, level, environment, dims, self.tables)
            for group, (sites, ranks) in zip(self._finite, places, strict=True)
        )

    def pairs(self) -> np.ndarray:
        return self.program.pairs.edges

    def couplings(self, x: Point) -> tuple[Array, Array | None]:
        pairs = self.program.pairs
        strength, field = pairs.couplings(self._environment(self.values(x)[0]), JAX)
        return self._scaled(strength), self._scaled(field) if pairs.fields else None

    def trees(self, chosen: np.ndarray | None = None) -> tuple[int, ...]:
        return tuple(kind.count for kind in self.program.trees(chosen).kinds)

    def tree_tables(self, x: Point, chosen: np.ndarray | None = None) -> Any:
        return self.program.trees(chosen).tables(self._environment(self.values(x)[0]))

    def redrawn(
        self, x: Point, kind: int, number: int | None, tables: Any, key: PRNGKey, chosen: np.ndarray | None = None
    ) -> tuple[Point, Any]:
        finite = [x.code[g] for g in self._finite]
        level = 1.0 if self.level is None else self.level
        environment = self._environment(self.values(x)[0])
        plan = self.program.trees(chosen)
        codes, tables = plan.redrawn(kind, number, jnp.concatenate(finite), tables, level, environment, key)
        parts = jnp.split(codes, np.cumsum([len(part) for part in finite])[:-1])
        return x._replace(code=(*parts, *x.code[len(finite) :])), tables

    def augmented(self) -> EnergyTarget:
        if self.level is not None:
            why = "at another temperature a sum is raised to a power, and is none"
            raise no_hidden(self.program.energy.name, why, fix=OTHERS)
        program = self.program.augmented
        return EnergyTarget(program, self.params, self.arrays, {n: jnp.asarray(t) for n, t in program.tables.items()})

    def normal_laws(self, free: Collection[str] | None = None) -> tuple[str, ...]:
        return tuple(normal_laws(self.program.energy, free))

    def mean_and_draw(self, names: Sequence[str], x: Point, key: PRNGKey) -> tuple[Array, Array]:
        laws = laws_of(self.program.energy, names)
        return mean_and_draw(laws, self._environment(self.values(x)[0]), self.program.dims, key)

    def remainder(self, names: Sequence[str], x: Point) -> Scalar:
        values, jacobian = self.values(x)
        environment = self._environment(values)
        terms = [law.term for law in laws_of(self.program.energy, names)]
        rest = jacobian - self._scaled(self.program.total(environment, without=terms))
        if self.level is None:
            return rest
        # The laws are divided out whole, though the energy is scaled.
        given = sum(evaluate([term.value for term in terms], environment, self.program.dims))
        return rest + (1.0 - self.level) * given

    def outputs(self, x: Point, key: PRNGKey) -> Outputs:
        values, _ = self.values(x)
        kept: dict[str, Array] = {}
        for variable in self.program.energy.variables:
            value = values[variable]
            if variable in self.program.code_slots:
                value = value.astype(storage(self.program.code_slots[variable].cardinality))
            kept[variable.name] = value
        environment = self._environment(values)
        program = self.program
        computed, drawn = program.reports(environment, fold(key, 0))
        if "predictive" in self.keep:
            # A report of the data's own name says how they are to be drawn.
            drawn = draw(program.data_steps, environment, program.dims, fold(key, 1))[0] | drawn
        likelihood: dict[str, Array] = {}
        if "log_likelihood" in self.keep:
            likelihood = log_likelihood(program.energy.observations, environment, program.dims)
        return Outputs(kept | computed, drawn, likelihood)

    def draw(self, key: PRNGKey) -> Point:
        program = self.program
        values, known = draw(program.variable_steps, self._environment({}), program.dims, key)
        slots = program.real_slots.items()
        real = [slot.at(known, program.dims).unconstrain(values[variable.name]) for variable, slot in slots]
        code: list[list[Array]] = [[] for _ in program.cardinalities]
        for variable, slot in program.code_slots.items():
            code[slot.group].append(slot.encode(values[variable.name]).ravel())
        vector = jnp.concatenate(real) if real else jnp.zeros(0)
        return Point(vector, tuple(jnp.concatenate(part).astype(jnp.int32) for part in code))

    def at(self, level: Array) -> EnergyTarget:
        return replace(self, level=jnp.asarray(level, jnp.result_type(float)))

    def select(self, selection: Selection, rest: Point) -> SelectedTarget:
        return SelectedTarget(selection, self, rest)

    def given(self, rest: Point) -> EnergyTarget:
        """Nothing is fixed here, so there is nothing to exchange."""
        return self
