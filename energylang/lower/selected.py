"""Conditional energies: some variables of a target, the others fixed."""

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

from energylang.lower.augmentation import OTHERS, no_hidden
from energylang.model import UNBOUNDED, Facts, Outputs, Point, PRNGKey, Scalar, Selection


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
            fields=0,
            groups=0,
            layers=(),
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
        self, x: Point, kind: int, number: int | None, tables: Any, key: PRNGKey, chosen: np.ndarray | None = None
    ) -> tuple[Point, Any]:
        whole, tables = self.base.redrawn(self._whole(x), kind, number, tables, key, self._among(chosen))
        return x._replace(code=tuple(_take(whole.code[g], self.selection.code[g]) for g in self._groups)), tables

    def _among(self, chosen: np.ndarray | None) -> np.ndarray:
        """Sites by the base's numbers; all selected ones where None."""
        return self._sites if chosen is None else self._sites[chosen]

    def augmented(self) -> SelectedTarget:
        raise no_hidden("a part of the variables", "they are found of whole energies only", fix=OTHERS)

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
