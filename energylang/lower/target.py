"""Targets: lowered energies as methods see them, and the conditional energies of some of their variables."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from energylang.ir.nodes import Symbol
from energylang.lower.ancestry import draw, log_likelihood
from energylang.lower.evaluate import evaluate
from energylang.lower.gains import energy_changes
from energylang.lower.neighbours import REACH_TABLE, Neighbours, rank_table
from energylang.lower.normal_laws import laws_of, mean_and_draw, normal_laws
from energylang.lower.operations import JAX
from energylang.lower.program import EnergyProgram, storage
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
        return tuple(-self._scaled(g) for g in program.collect(changes))

    def gains_of_colour(self, x: Point, colour: int | Array) -> tuple[tuple[Array, Any, Array], ...]:
        near = self._near
        places = [near.of_colour(group, colour, self.tables) for group in self._finite]
        gains = self._gains_at(x, places)
        return tuple((sites, ranks, gain) for (sites, ranks), gain in zip(places, gains, strict=True))

    def gains_at(self, x: Point, sites: tuple[Array, ...]) -> tuple[Array, ...]:
        ranks = [self.tables[rank_table(group)] for group in self._finite]
        kept = [jnp.minimum(s, max(r.shape[0] - 1, 0)) for s, r in zip(sites, ranks, strict=True)]
        return self._gains_at(x, [(s, r[k]) for s, r, k in zip(sites, ranks, kept, strict=True)])

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

    def _gains_at(self, x: Point, places: Sequence[tuple[Array, Any]]) -> tuple[Array, ...]:
        near, dims = self._near, self.program.dims
        level = 1.0 if self.level is None else self.level
        environment = self._environment(self.values(x)[0])
        return tuple(
            near.gains(group, sites, ranks, x.code, level, environment, dims, self.tables)
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
        self, x: Point, kind: int, number: Array, tables: Any, key: PRNGKey, chosen: np.ndarray | None = None
    ) -> Point:
        finite = [x.code[g] for g in self._finite]
        level = 1.0 if self.level is None else self.level
        environment = self._environment(self.values(x)[0])
        plan = self.program.trees(chosen)
        codes = plan.redrawn(kind, number, jnp.concatenate(finite), tables, level, environment, key)
        parts = jnp.split(codes, np.cumsum([len(part) for part in finite])[:-1])
        return x._replace(code=(*parts, *x.code[len(finite) :]))

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


@partial(jax.tree_util.register_dataclass, data_fields=["base", "rest"], meta_fields=["selection"])
@dataclass(frozen=True)
class SelectedTarget:
    """The conditional energy of some variables of a target, the others at `rest`."""

    selection: Selection
    base: Any
    rest: Point

    @property
    def _groups(self) -> tuple[int, ...]:
        """The code arrays of the base that have a selected site."""
        return tuple(g for g, places in enumerate(self.selection.code) if places)

    @property
    def facts(self) -> Facts:
        facts: Facts = self.base.facts
        groups = self._groups
        return replace(
            facts,
            reals=len(self.selection.real),
            cardinalities=tuple(facts.cardinalities[g] for g in groups),
            sites=tuple(len(self.selection.code[g]) for g in groups),
            gains=facts.gains if any(facts.cardinalities[g] != UNBOUNDED for g in groups) else "none",
            colours=facts.colours if groups else 0,
            reach=0,
        )

    @property
    def variables(self) -> Mapping[str, Selection]:
        found: dict[str, Selection] = {}
        real = {place: i for i, place in enumerate(self.selection.real)}
        code = {g: {place: i for i, place in enumerate(self.selection.code[g])} for g in self._groups}
        for name, where in self.base.variables.items():
            inside = all(p in real for p in where.real) and all(
                p in code.get(g, {}) for g, places in enumerate(where.code) for p in places
            )
            if inside:
                found[name] = Selection(
                    tuple(real[p] for p in where.real),
                    tuple(tuple(code[g][p] for p in where.code[g]) for g in self._groups),
                )
        return found

    @property
    def colouring(self) -> tuple[Array, ...]:
        whole = self.base.colouring
        return tuple(_take(whole[g], self.selection.code[g]) for g in self._groups)

    def _whole(self, x: Point) -> Point:
        code = list(self.rest.code)
        for part, group in zip(x.code, self._groups, strict=True):
            code[group] = _put(code[group], self.selection.code[group], part)
        return Point(_put(self.rest.real, self.selection.real, x.real), tuple(code))

    def energy(self, x: Point) -> Scalar:
        return self.base.energy(self._whole(x))

    def log_jacobian(self, x: Point) -> Scalar:
        return self.base.log_jacobian(self._whole(x))

    def log_density(self, x: Point) -> Scalar:
        return self.base.log_density(self._whole(x))

    def gains(self, x: Point) -> tuple[Array, ...]:
        whole = self.base.gains(self._whole(x))
        return tuple(_take(whole[g], self.selection.code[g]) for g in self._groups)

    @property
    def _sites(self) -> np.ndarray:
        """The selected sites of finitely many values, as the base numbers them through."""
        kept = [(g, s) for g, (k, s) in enumerate(self._base_sizes) if k != UNBOUNDED]
        starts = np.cumsum([0, *(size for _, size in kept)])
        parts = [start + np.asarray(self.selection.code[g], int) for start, (g, _) in zip(starts, kept, strict=False)]
        return np.concatenate([np.zeros(0, int), *parts])

    @property
    def _base_sizes(self) -> list[tuple[int, int]]:
        return list(zip(self.base.facts.cardinalities, self.base.facts.sites, strict=True))

    def _ends(self) -> tuple[np.ndarray, np.ndarray]:
        """(int[E, 2] the base's pairs as the selection numbers sites, -1 for those at `rest`; bool[E], both selected)."""
        places = np.full(sum(size for k, size in self._base_sizes if k != UNBOUNDED), -1)
        places[self._sites] = np.arange(len(self._sites))
        ends = places[self.base.pairs()]
        return ends, np.asarray((ends >= 0).all(axis=1))

    def pairs(self) -> np.ndarray:
        ends, inside = self._ends()
        return ends[inside].astype(np.int32)

    def couplings(self, x: Point) -> tuple[Array, Array | None]:
        whole = self._whole(x)
        strength, field = self.base.couplings(whole)
        ends, inside = self._ends()
        here = None if field is None else field[self._sites]
        crossing = np.nonzero((ends >= 0).sum(axis=1) == 1)[0]
        if len(crossing):
            finite = [c for c, (k, _) in zip(whole.code, self._base_sizes, strict=True) if k != UNBOUNDED]
            codes, pairs = jnp.concatenate(finite), self.base.pairs()[crossing]
            mine = ends[crossing, 0] >= 0
            fixed = codes[np.where(mine, pairs[:, 1], pairs[:, 0])]
            most = max(k for k, _ in self._base_sizes if k != UNBOUNDED)
            if here is None:
                here = jnp.zeros((len(self._sites), most), strength.dtype)
            here = here.at[ends[crossing].max(axis=1), fixed].add(-strength[crossing])
        return strength[np.nonzero(inside)[0]], here

    def trees(self, chosen: np.ndarray | None = None) -> tuple[int, ...]:
        return self.base.trees(self._among(chosen))

    def tree_tables(self, x: Point, chosen: np.ndarray | None = None) -> Any:
        return self.base.tree_tables(self._whole(x), self._among(chosen))

    def redrawn(
        self, x: Point, kind: int, number: Array, tables: Any, key: PRNGKey, chosen: np.ndarray | None = None
    ) -> Point:
        whole = self.base.redrawn(self._whole(x), kind, number, tables, key, self._among(chosen))
        return x._replace(code=tuple(_take(whole.code[g], self.selection.code[g]) for g in self._groups))

    def _among(self, chosen: np.ndarray | None) -> np.ndarray:
        """Sites by the base's numbers; all selected ones where None."""
        return self._sites if chosen is None else self._sites[chosen]

    def normal_laws(self, free: Collection[str] | None = None) -> tuple[str, ...]:
        real = set(self.selection.real)
        moving = {
            name
            for name, where in self.base.variables.items()
            if (free is None or name in free)
            and (
                real & set(where.real)
                or any(set(a) & set(b) for a, b in zip(where.code, self.selection.code, strict=True))
            )
        }
        whole = self.variables
        return tuple(name for name in self.base.normal_laws(moving) if name in whole)

    def mean_and_draw(self, names: Sequence[str], x: Point, key: PRNGKey) -> tuple[Array, Array]:
        return self.base.mean_and_draw(names, self._whole(x), key)

    def remainder(self, names: Sequence[str], x: Point) -> Scalar:
        return self.base.remainder(names, self._whole(x))

    def outputs(self, x: Point, key: PRNGKey) -> Outputs:
        return self.base.outputs(self._whole(x), key)

    def at(self, level: Array) -> SelectedTarget:
        return replace(self, base=self.base.at(level))

    def select(self, selection: Selection, rest: Point) -> SelectedTarget:
        return SelectedTarget(selection, self, rest)

    def given(self, rest: Point) -> SelectedTarget:
        return replace(self, rest=rest)


def _consecutive(places: tuple[int, ...]) -> bool:
    return all(b == a + 1 for a, b in pairwise(places))


def _take(array: Array, places: tuple[int, ...]) -> Array:
    if len(places) == array.shape[0] and _consecutive(places):
        return array
    if places and _consecutive(places):
        return array[places[0] : places[-1] + 1]
    return array[jnp.asarray(places, jnp.int32)]


def _put(array: Array, places: tuple[int, ...], part: Array) -> Array:
    if not places:
        return array
    if len(places) == array.shape[0] and _consecutive(places):
        return part
    if _consecutive(places):
        return array.at[places[0] : places[-1] + 1].set(part)
    return array.at[jnp.asarray(places, jnp.int32)].set(part)
