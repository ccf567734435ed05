"""Groups of sites that are trees given all others, and joint draws of each: forward filtering, backward sampling.

Every site is in one group. Given the sites outside of it a group is a forest of couplings in pairs (`lower.forest`), whose
energies are made of two kinds of summands: tables over few sites (`lower.factors`), of which those outside are fixed, and
rows that read at most one site of the group, which are computed for each value that the sites can have.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from energylang.diagnostics import Diagnostic, DiagnosticError
from energylang.ir.nodes import Energy, Symbol, Variable, symbols
from energylang.lower.affine import Affine, affine_of
from energylang.lower.evaluate import evaluate
from energylang.lower.factors import Factor, Factors, factors_of, product
from energylang.lower.forest_draws import drawn
from energylang.lower.operations import JAX
from energylang.lower.scopes import narrowed, scopes
from energylang.lower.spaces import CodeSlot
from energylang.lower.structure import Gather, Structured
from energylang.lower.tree_groups import Couplings, Kind, groups_of, kinds_of

MOST_PAIRS = 2**24
"""The most entries of the tables of all coupled pairs."""
MOST_TANGENTS = 2**19
"""Entries of directions along which parts are differentiated at once."""


class TreeTables(NamedTuple):
    """What redrawing goes by.

    unary: float[sites, K] energies of single sites. coupling: per coupling factor float[joint values, rows or 1]. No value of
    a site changes these two. parts: of each affine summand beside them what its parts are, float[parts, rows]. slopes: per
    kind of groups and affine summand float[groups, parts, rows], what one more of the code of the group's site in a row adds.
    """

    unary: Array
    coupling: tuple[Array, ...]
    parts: tuple[Array, ...]
    slopes: tuple[tuple[Array, ...], ...]


@dataclass(frozen=True, eq=False)
class Trees:
    """All groups of an energy.

    beside: the summands computed by rows, with the sites that each row reads. affine: those of them that follow from parts
    which are carried from group to group.
    """

    factors: Factors
    kinds: tuple[Kind, ...]
    beside: tuple[int, ...]
    affine: Mapping[int, Affine]

    def tables(self, environment: Mapping[Any, Any]) -> TreeTables:
        """Those at a point."""
        _, unary, tables = self.factors.tables(environment, JAX, evaluate)
        parts = tuple(one.values(environment, self.factors.dims) for one in self.affine.values())
        slopes = tuple(
            tuple(self._slopes(one, group, environment) for one in self.affine.values()) for group in self.kinds
        )
        return TreeTables(unary, tuple(tables), parts, slopes)

    def redrawn(
        self, kind: int, number: int | None, codes: Array, tables: TreeTables, level: Any,
        environment: Mapping[Any, Any], key: Array,
    ) -> tuple[Array, TreeTables]:  # fmt: skip
        """int32[sites] codes with one group of a kind, or all in turn (None), drawn anew, and the tables there.

        Each group is drawn jointly, given all others. Groups may share a key: each has numbers of its own.
        """
        group, first = self.kinds[kind], 2 + sum(k.count for k in self.kinds[:kind])
        index = {name: jnp.asarray(values) for name, values in group.indices.items()}
        of = (
            index,
            group.of_all(codes),
            group.of_all(tables.unary),
            tables.slopes[kind],
            first + jnp.arange(group.count),
        )
        if number is not None:
            of = jax.tree.map(lambda every: every[number : number + 1], of)
        reads = self._reads(group)

        def draw(now: tuple[Any, tuple[Array, ...]], own: Any) -> tuple[tuple[Any, tuple[Array, ...]], Array]:
            (at, parts), (index, before, unary, slopes, stream) = now, own
            moved = tuple(map(_moved, parts, slopes, (before,) * len(parts), self._places(group, index)))
            unary, pairs = self._energies(group, index, unary, moved, at if reads else codes, tables, environment)
            values = drawn(group.forest, level * unary, level * pairs, key, stream).astype(codes.dtype)
            return (at.at[index["sites"]].set(values) if reads else (), tuple(part(values) for part in moved)), values

        (at, parts), values = lax.scan(draw, (codes if reads else (), tables.parts), of)
        if not reads:
            at = group.put(codes, values) if number is None else codes.at[of[0]["sites"][0]].set(values[0])
        return at, tables._replace(parts=parts)

    def _reads(self, group: Kind) -> bool:
        """Whether the energies of groups are computed from the values of others, not from carried parts alone."""
        given = any(len(free) < self.factors.coupling[factor].sites.shape[1] for factor, free, _ in group.parts)
        return given or any(summand not in self.affine for summand in self.beside)

    def _places(self, group: Kind, index: Mapping[str, Array]) -> list[Array | None]:
        """Per affine summand the place of the site that each row reads, int[rows]; None where row i reads site i."""
        count = group.forest.count
        return [
            None if group.in_order(f"place/{one}", count) else jnp.minimum(index[f"place/{one}"], count - 1)
            for one in self.affine
        ]

    def _energies(
        self, group: Kind, index: Mapping[str, Array], unary: Array, parts: Sequence[Callable[[Array], Array]],
        codes: Array, tables: TreeTables, environment: Mapping[Any, Any],
    ) -> tuple[Array, Array]:  # fmt: skip
        """Those of a group given all others: float[n, K], and float[edges or 1, K, K], child before parent.

        unary: float[n, K], of the sites alone. parts: per affine summand its parts where the sites have codes int[n].
        """
        own = dict(zip(self.affine, parts, strict=True))
        for summand in self.beside:
            place = index[f"place/{summand}"]
            if summand in own:
                energies = self._by_parts(summand, own[summand], index["sites"], environment)
            else:
                energies = self._by_rows(summand, index["sites"], codes, environment)
            # One place for many rows: it is not known what each reads.
            energies = energies.sum(axis=0, keepdims=True) if len(place) < len(energies) else energies
            ordered = group.in_order(f"place/{summand}", len(unary))
            unary = unary + energies if ordered else unary.at[place].add(energies, mode="drop")
        most = self.factors.most_values
        pairs = jnp.zeros((1, most, most), unary.dtype)
        for part, (number, free, turned) in enumerate(group.parts):
            factor, table, where = self.factors.coupling[number], tables.coupling[number], index[f"where/{part}"]
            # Of one table for all edges one entry is enough.
            equal = table.shape[1] == 1 and len(factor.cardinalities) == 2 and group.on_every_edge(part)
            rows = index[f"rows/{part}"][:1] if equal else index[f"rows/{part}"]
            found = self._given(factor, table, free, rows, codes)
            found = jnp.pad(found, [(0, 0), *((0, most - size) for size in found.shape[1:])])
            found = jnp.swapaxes(found, 1, 2) if turned else found
            if len(free) == 1:
                unary = unary.at[where].add(found)
            elif equal:
                pairs = pairs + found
            else:
                pairs = jnp.broadcast_to(pairs, (group.forest.edges, most, most)).at[where].add(found)
        return unary, pairs

    def _slopes(self, one: Affine, group: Kind, environment: Mapping[Any, Any]) -> Array:
        """float[groups, parts, rows], as `TreeTables` has them."""
        factors = self.factors
        zeros = jnp.zeros(len(factors.cardinalities), jnp.result_type(float))

        def parts(codes: Array) -> Array:
            values = {v: slot.value((codes,)) for v, slot in factors.slots.items()}
            return one.values({**environment, **values}, factors.dims)

        def along(sites: Array) -> Array:
            # With one site of the group in each row, the slope in all of them is that in the one.
            return jax.jvp(parts, (zeros,), (zeros.at[sites].set(1.0),))[1]

        sites, batch = jnp.asarray(group.indices["sites"]), max(1, MOST_TANGENTS // len(zeros))
        return jax.vmap(along)(sites) if batch >= group.count else lax.map(along, sites, batch_size=batch)

    def _by_parts(
        self, number: int, parts: Callable[[Array], Array], sites: Array, environment: Mapping[Any, Any]
    ) -> Array:
        """Like `_by_rows`, of an affine summand."""
        scale = self._scale(number, environment)
        ks = jnp.asarray(self.factors.cardinalities)[sites]

        def rows(value: Array) -> Array:
            return scale * self.affine[number].at(parts(jnp.minimum(value, ks - 1)), environment, self.factors.dims)

        return jax.vmap(rows, out_axes=1)(jnp.arange(self.factors.most_values))

    def _scale(self, number: int, environment: Mapping[Any, Any]) -> Any:
        return product(evaluate(self.factors.structured[number].summand.scale, environment, self.factors.dims))

    def _given(self, factor: Factor, table: Array, free: tuple[int, ...], rows: Array, codes: Array) -> Array:
        """float[rows, k (, k)]: some rows of a table as functions of the `free` columns, the others at `codes`."""
        sites, ks = jnp.asarray(factor.sites)[rows], factor.cardinalities
        strides = np.cumprod([1, *ks[:0:-1]])[::-1]
        place = jnp.zeros((len(rows),) + (1,) * len(free), jnp.int32)
        for column, (k, stride) in enumerate(zip(ks, strides, strict=True)):
            if column in free:
                shape = [1] * (1 + len(free))
                shape[1 + free.index(column)] = k
                value = jnp.arange(k).reshape(shape)
            else:
                value = codes[sites[:, column]].reshape((len(rows),) + (1,) * len(free))
            place = place + int(stride) * value
        row = (rows if table.shape[1] > 1 else jnp.zeros_like(rows)).reshape((len(rows),) + (1,) * len(free))
        return table[place, row]

    def _by_rows(self, number: int, sites: Array, codes: Array, environment: Mapping[Any, Any]) -> Array:
        """float[rows, K]: each row of a summand where all sites of a group have one value."""
        summand, factors = self.factors.structured[number], self.factors
        scale = self._scale(number, environment)
        ks = jnp.asarray(factors.cardinalities)

        def rows(value: Array) -> Array:
            moved = codes.at[sites].set(jnp.minimum(value, ks[sites] - 1).astype(codes.dtype))
            inner = {**environment, **{v: slot.value((moved,)) for v, slot in factors.slots.items()}}
            found = jnp.asarray(evaluate([summand.summand.rows], inner, factors.dims)[0]) * 1.0
            return scale * jnp.broadcast_to(
                found, tuple(d.evaluate(factors.dims) for d in summand.summand.rows.type.shape)
            ).reshape(-1)

        return jax.vmap(rows, out_axes=1)(jnp.arange(factors.most_values))


def _moved(now: Array, slopes: Array, before: Array, place: Array | None) -> Callable[[Array], Array]:
    """The parts of an affine summand, float[parts, rows], as a function of the codes of a group's sites; now: at `before`."""
    return lambda codes: now + slopes * ((codes - before) if place is None else (codes - before)[place])


# --- finding them ---------------------------------------------------------------------------------------------------


def trees_of(
    energy: Energy,
    structured: Sequence[Structured],
    slots: dict[Variable, CodeSlot],
    environment: Mapping[Symbol, Any],
    dims: Mapping[str, int],
    chosen: np.ndarray,
) -> Trees:
    """The groups of some sites (bool, as `slots` number them through) of an energy, the others fixed.

    A variable that is a forest given the others is one unit; else its slices along the axis that has most couplings
    inside; else each site. Units are put together first come, first served, while they stay forests: the chains of a
    factorial hidden Markov model become a group each, the rows of a lattice two groups, a graph a few induced forests.

    Raises DiagnosticError E0657 where no two coupled sites can be drawn together.
    """
    bounding = [v.name for v in slots if v in symbols(*energy.bounds)]
    if bounding:
        raise _refused(energy, f"`{bounding[0]}` bounds the interval of another variable")
    factors = factors_of(structured, slots, dims)
    read = {n: _scopes(structured[n], slots, environment, dims) for n in factors.rest}
    total = len(factors.cardinalities)
    links = [np.zeros((0, 2), int)]
    for factor in factors.coupling:
        count = factor.sites.shape[1]
        links += [factor.sites[:, [i, j]] for i in range(count) for j in range(i + 1, count)]
    merged = np.unique(np.sort(np.concatenate(links), axis=1), axis=0)
    rows, sites, offset = [np.zeros(0, int)], [np.zeros(0, int)], 0
    for scope in read.values():
        row, column = np.nonzero(scope >= 0)
        rows.append(row + offset)
        sites.append(scope[row, column])
        offset += len(scope)
    couplings = Couplings(total, merged, (np.concatenate(rows), np.concatenate(sites)))
    groups = groups_of(couplings, slots, chosen)
    if len(groups) > 1 and not any(len(couplings.within(g)) for g in groups):
        wide = max(read, key=lambda n: read[n].shape[1], default=None)
        why = "no two coupled sites can be drawn together"
        if wide is not None:
            why = f"`{structured[wide].summand.text}` couples {read[wide].shape[1]:,} sites in a row, and is no table over pairs"
        raise _refused(energy, why)
    largest = max((len(couplings.within(g)) for g in groups), default=0)
    if largest * factors.most_values**2 > MOST_PAIRS:
        raise _refused(energy, f"the tables of {largest:,} pairs of {factors.most_values:,} values are too large")
    affine = {}
    for number, scope in read.items():
        found = affine_of(structured[number])
        if found is not None and len(scope) == prod(d.evaluate(dims) for d in found.rows.type.shape):
            affine[number] = found
    return Trees(factors, kinds_of(groups, factors, read), tuple(read), affine)


def _refused(energy: Energy, why: str) -> DiagnosticError:
    message = f"`{energy.name}` has no trees to draw along: {why}"
    return DiagnosticError([Diagnostic("E0657", message, energy.span, fix="use `gibbs()` or `gwg()`")])


def _scopes(
    summand: Structured, slots: Mapping[Variable, CodeSlot], environment: Mapping[Symbol, Any], dims: Mapping[str, int]
) -> np.ndarray:
    """int[rows, width]: the sites that each row of a summand reads, -1 for none."""
    if isinstance(summand, Gather):
        mine = [c for c in summand.columns if c.variable in slots]
        starts = [slots[c.variable].start for c in mine]
        flat = [np.where(c.sites < 0, -1, c.sites + s).reshape(-1) for c, s in zip(mine, starts, strict=True)]
        return narrowed(np.stack(flat, axis=-1))
    return scopes(summand.summand.rows, slots, environment, dims)
