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
from jax import Array
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from energylang.diagnostics import Diagnostic, DiagnosticError
from energylang.ir.nodes import Energy, Symbol, Variable, symbols
from energylang.lower.affine import Affine, affine_of
from energylang.lower.evaluate import evaluate
from energylang.lower.factors import Factor, Factors, factors_of, product
from energylang.lower.forest import Forest, forest_of
from energylang.lower.forest_draws import drawn
from energylang.lower.operations import JAX
from energylang.lower.scopes import narrowed, scopes
from energylang.lower.spaces import CodeSlot
from energylang.lower.structure import Gather, Structured

MOST_TRIED = 4
"""Groups that a unit is tried in before it begins one of its own."""
MOST_PAIRS = 2**24
"""The most entries of the tables of all coupled pairs."""

Indices = dict[str, np.ndarray]


@dataclass(frozen=True, eq=False)
class Kind:
    """Groups that differ in index arrays alone.

    forest: over the sites of a group in their order. parts: per factor with a site in the group its number, which of
    its columns are in it (one or two), and for two whether the first is the child. indices: int[groups, …] each.
    """

    forest: Forest
    parts: tuple[tuple[int, tuple[int, ...], bool], ...]
    indices: Indices

    @property
    def count(self) -> int:
        return len(self.indices["sites"])

    def in_order(self, name: str, count: int) -> bool:
        """Whether an index array is 0, 1, 2 … `count` - 1 in every group: then nothing need be collected by it."""
        values = self.indices[name]
        return values.shape[1:] == (count,) and bool((values == np.arange(count)).all())


class TreeTables(NamedTuple):
    """What redrawing goes by.

    unary: float[sites, K] energies of single sites. coupling: per coupling factor float[joint values, rows or 1]. No value of
    a site changes these two. parts: of each affine summand beside them what its parts are, float[parts, rows].
    """

    unary: Array
    coupling: tuple[Array, ...]
    parts: tuple[Array, ...]


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
        return TreeTables(unary, tuple(tables), parts)

    def redrawn(
        self, kind: int, number: Any, codes: Array, tables: TreeTables, level: Any, environment: Mapping[Any, Any],
        key: Array,
    ) -> tuple[Array, TreeTables]:  # fmt: skip
        """int32[sites] codes with one group drawn anew, jointly, given all others, and the tables there.

        Groups may share a key: each has numbers of its own.
        """
        group = self.kinds[kind]
        index = {name: jnp.asarray(values)[number] for name, values in group.indices.items()}
        sites, most = index["sites"], self.factors.most_values
        unary = tables.unary[sites]
        # Per affine summand its parts at a point of the group's sites, int[n].
        parts: list[Callable[[Array], Array]] = []
        for summand in self.beside:
            place = index[f"place/{summand}"]
            if summand in self.affine:
                now = tables.parts[len(parts)]
                parts.append(self._parts(summand, now, sites, place, codes, environment))
                energies = self._by_parts(summand, parts[-1], sites, environment)
            else:
                energies = self._by_rows(summand, sites, codes, environment)
            # One place for many rows: it is not known what each reads.
            energies = energies.sum(axis=0, keepdims=True) if len(place) < len(energies) else energies
            ordered = group.in_order(f"place/{summand}", len(unary))
            unary = unary + energies if ordered else unary.at[place].add(energies, mode="drop")
        pairs = jnp.zeros((max(1, group.forest.edges), most, most), unary.dtype)
        for part, (factor, free, turned) in enumerate(group.parts):
            found = self._given(
                self.factors.coupling[factor], tables.coupling[factor], free, index[f"rows/{part}"], codes
            )
            where = index[f"where/{part}"]
            widths = [(0, most - size) for size in found.shape[1:]]
            found = jnp.pad(found, [(0, 0), *widths])
            if len(free) == 1:
                unary = unary.at[where].add(found)
            else:
                pairs = pairs.at[where].add(jnp.swapaxes(found, 1, 2) if turned else found)
        stream = 2 + sum(k.count for k in self.kinds[:kind]) + number
        values = drawn(group.forest, level * unary, level * pairs, key, stream).astype(codes.dtype)
        carried = tables._replace(parts=tuple(part(values) for part in parts))
        return codes.at[sites].set(values), carried

    def _parts(
        self, number: int, now: Array, sites: Array, place: Array, codes: Array, environment: Mapping[Any, Any]
    ) -> Callable[[Array], Array]:
        """The parts of an affine summand, float[parts, rows], as a function of the codes of a group's sites.

        now: at `codes`. place: the one site of the group, by its place there, that each row reads.
        """
        factors, one = self.factors, self.affine[number]

        def parts(codes: Array) -> Array:
            values = {v: slot.value((codes,)) for v, slot in factors.slots.items()}
            return one.values({**environment, **values}, factors.dims)

        zeros = jnp.zeros(codes.shape, now.dtype)
        # With one site of the group in each row, the slope in all of them is that in the one.
        _, slopes = jax.jvp(parts, (zeros,), (zeros.at[sites].set(1.0),))
        place = jnp.minimum(place, len(sites) - 1)
        old = codes[sites][place]
        return lambda values: now + slopes * (values[place] - old)

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


# --- finding them ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Couplings:
    """links: int[m, 2], pairs that may be in one group, as long as they close no cycle. apart: (rows, sites), of each row
    a group may hold one site at most."""

    total: int
    links: np.ndarray
    apart: tuple[np.ndarray, np.ndarray]

    def forest(self, inside: np.ndarray) -> bool:
        """Whether sites, bool[total], are a forest given the others."""
        rows, sites = self.apart
        if len(rows) and np.bincount(rows[inside[sites]]).max(initial=0) > 1:
            return False
        links = self.within(inside)
        if len(links) == 0:
            return True
        graph = coo_matrix((np.ones(len(links)), (links[:, 0], links[:, 1])), shape=(self.total, self.total))
        components, _ = connected_components(graph, directed=False)
        return self.total - components == len(links)

    def within(self, inside: np.ndarray) -> np.ndarray:
        return self.links[inside[self.links].all(axis=1)]


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
    couplings = _Couplings(total, merged, (np.concatenate(rows), np.concatenate(sites)))
    groups = _groups(couplings, slots, chosen)
    if len(groups) > 1 and not any(len(couplings.within(g)) for g in groups):
        wide = max(read, key=lambda n: read[n].shape[1], default=None)
        why = "no two coupled sites can be drawn together"
        if wide is not None:
            why = f"`{structured[wide].summand.text}` couples {read[wide].shape[1]:,} sites in a row, and is no table over pairs"
        raise _refused(energy, why)
    largest = max((len(couplings.within(g)) for g in groups), default=0)
    if largest * factors.most_values**2 > MOST_PAIRS:
        raise _refused(energy, f"the tables of {largest:,} pairs of {factors.most_values:,} values are too large")
    kinds: list[tuple[Kind, list[Indices]]] = []
    for inside in groups:
        kind, indices = _kind(np.flatnonzero(inside), factors, read)
        if kinds and _alike(kinds[-1][0], kinds[-1][1][0], kind, indices):
            kinds[-1][1].append(indices)
        else:
            kinds.append((kind, [indices]))
    stacked = tuple(
        Kind(kind.forest, kind.parts, {name: np.stack([i[name] for i in every]) for name in every[0]})
        for kind, every in kinds
    )
    affine = {}
    for number, scope in read.items():
        found = affine_of(structured[number])
        if found is not None and len(scope) == prod(d.evaluate(dims) for d in found.rows.type.shape):
            affine[number] = found
    return Trees(factors, stacked, tuple(read), affine)


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


def _groups(couplings: _Couplings, slots: Mapping[Variable, CodeSlot], chosen: np.ndarray) -> list[np.ndarray]:
    """bool[total] each: forests that hold every chosen site once."""
    if couplings.forest(chosen):
        return [chosen]
    groups: list[np.ndarray] = []
    loose: list[int] = []
    for slot in slots.values():
        units = _units(couplings, slot, chosen)
        if units is None:
            loose += [s for s in range(slot.start, slot.start + slot.size) if chosen[s]]
        for unit in units or ():
            for place, group in list(enumerate(groups))[:MOST_TRIED]:
                if couplings.forest(group | unit):
                    groups[place] = group | unit
                    break
            else:
                groups.append(unit)
    return groups + _greedy(couplings, loose)


def _units(couplings: _Couplings, slot: CodeSlot, chosen: np.ndarray) -> list[np.ndarray] | None:
    """A variable as a whole, or its slices along an axis, each a forest with couplings inside; None where there are none."""
    whole = np.zeros(couplings.total, bool)
    whole[slot.start : slot.start + slot.size] = True
    whole &= chosen
    if not whole.any():
        return []
    if couplings.forest(whole):
        return [whole]
    places = (slot.start + np.arange(slot.size)).reshape(slot.shape)
    best: tuple[int, list[np.ndarray]] = (0, [])
    for axis in range(len(slot.shape)):
        units = []
        for sites in np.moveaxis(places, axis, 0):
            unit = np.zeros(couplings.total, bool)
            unit[sites.reshape(-1)] = True
            units.append(unit)
        inside = [len(couplings.within(unit)) for unit in units]
        if sum(inside) > best[0] and all(couplings.forest(unit) for unit in units):
            best = (sum(inside), units)
    return best[1] or None


def _greedy(couplings: _Couplings, loose: list[int]) -> list[np.ndarray]:
    """Induced forests that hold some sites: each joins the first group in which it closes no cycle."""
    around: dict[int, set[int]] = {s: set() for s in loose}
    for a, b in couplings.links.tolist():
        if a in around and b in around:
            around[a].add(b)
            around[b].add(a)
    rows, sites = couplings.apart
    rows_of: dict[int, list[int]] = {s: [] for s in loose}
    for row, site in zip(rows.tolist(), sites.tolist(), strict=True):
        if site in rows_of:
            rows_of[site].append(row)
    parents: list[dict[int, int]] = []
    taken: list[set[int]] = []

    def root(parent: dict[int, int], site: int) -> int:
        while parent[site] != site:
            parent[site] = parent[parent[site]]
            site = parent[site]
        return site

    for site in loose:
        for parent, used in zip(parents, taken, strict=True):
            roots = [root(parent, other) for other in around[site] if other in parent]
            if len(set(roots)) == len(roots) and used.isdisjoint(rows_of[site]):
                break
        else:
            parent, used, roots = {}, set(), []
            parents.append(parent)
            taken.append(used)
        parent[site] = site
        used.update(rows_of[site])
        for other in roots:
            parent[other] = site
    groups = []
    for parent in parents:
        group = np.zeros(couplings.total, bool)
        group[list(parent)] = True
        groups.append(group)
    return groups


def _kind(sites: np.ndarray, factors: Factors, read: Mapping[int, np.ndarray]) -> tuple[Kind, Indices]:
    """A group of sites, int[n] in ascending order."""
    local = np.full(len(factors.cardinalities), -1)
    local[sites] = np.arange(len(sites))
    found: list[tuple[int, tuple[int, ...], np.ndarray]] = []
    pairs = []
    for number, factor in enumerate(factors.coupling):
        inside = local[factor.sites] >= 0
        patterns, which = np.unique(inside, axis=0, return_inverse=True)
        for place, pattern in enumerate(patterns):
            free = tuple(np.flatnonzero(pattern).tolist())
            if free:
                rows = np.flatnonzero(which.reshape(-1) == place)
                found.append((number, free, rows))
                pairs += [local[factor.sites[rows][:, free]]] if len(free) == 2 else []
    forest = forest_of(len(sites), pairs)
    assert forest is not None, "groups are forests"
    parts: list[tuple[int, tuple[int, ...], bool]] = []
    indices: Indices = {"sites": sites}

    def add(number: int, free: tuple[int, ...], turned: bool, rows: np.ndarray, where: np.ndarray) -> None:
        indices[f"rows/{len(parts)}"], indices[f"where/{len(parts)}"] = rows, where
        parts.append((number, free, turned))

    for number, free, rows in found:
        ends = local[factors.coupling[number].sites[rows][:, free]]
        if len(free) == 1:
            add(number, free, False, rows, ends[:, 0])
            continue
        for turned in (False, True):
            mine, edges = forest.edges_of(ends, turned)
            if len(mine):
                add(number, free, turned, rows[mine], edges)
    for number, scope in read.items():
        place = np.where(scope >= 0, local[scope], -1).max(axis=1, initial=-1)
        indices[f"place/{number}"] = np.where(place < 0, len(sites), place)
    return Kind(forest, tuple(parts), {}), indices


def _alike(a: Kind, first: Indices, b: Kind, second: Indices) -> bool:
    """Whether two groups differ in indices alone."""
    same = a.parts == b.parts and {n: i.shape for n, i in first.items()} == {n: i.shape for n, i in second.items()}
    if not same or not np.array_equal(a.forest.pairs, b.forest.pairs) or len(a.forest.groups) != len(b.forest.groups):
        return False
    return all(
        np.array_equal(x.sites, y.sites) and np.array_equal(x.edges, y.edges) and np.array_equal(x.parents, y.parents)
        for x, y in zip(a.forest.groups, b.forest.groups, strict=True)
    )
