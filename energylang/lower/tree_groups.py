"""Groups of sites that are trees given all others: how they are found, and what is known of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from jax import Array
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from energylang.ir.nodes import Variable
from energylang.lower.factors import Factors
from energylang.lower.forest import Forest, forest_of
from energylang.lower.spaces import CodeSlot

MOST_TRIED = 4
"""Groups that a unit is tried in before it begins one of its own."""

Indices = dict[str, np.ndarray]


@dataclass(frozen=True, eq=False)
class Kind:
    """Groups that differ in index arrays alone.

    total: of all sites. forest: over the sites of a group in their order. parts: per factor with a site in the group its number, which of
    its columns are in it (one or two), and for two whether the first is the child. indices: int[groups, …] each.
    """

    total: int
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

    def on_every_edge(self, part: int) -> bool:
        """Whether a part is on each edge once."""
        where, edges = self.indices[f"where/{part}"], self.forest.edges
        return where.shape[1] == edges and bool((np.sort(where, axis=1) == np.arange(edges)).all())

    def of_all(self, array: Any) -> Any:
        """[groups, n, …]: the entries of each group's sites, of [sites, …]."""
        if self._turned is None:
            return array[self.indices["sites"]]
        rest = array.shape[1:]
        return array.reshape(*self._turned, *rest).swapaxes(1, 2).reshape(*self.indices["sites"].shape, *rest)

    def put(self, array: Array, values: Array) -> Array:
        """[sites] with [groups, n] values at the groups' sites."""
        if self._turned is None:
            return array.at[self.indices["sites"]].set(values)
        slices, count, groups = self._turned
        return values.reshape(slices, groups, count).swapaxes(1, 2).reshape(array.shape)

    @cached_property
    def _turned(self) -> tuple[int, int, int] | None:
        """A shape of all sites whose groups are along the middle axis, as chains in a matrix are; None where there is none."""
        sites = self.indices["sites"]
        count = sites.shape[1]
        groups = int(sites[0, 1] - sites[0, 0]) if count > 1 else 1
        if sites.size != self.total or sites.size % (count * groups):
            return None
        shape = sites.size // (count * groups), count, groups
        turned = np.arange(self.total).reshape(shape).swapaxes(1, 2).reshape(sites.shape)
        return shape if np.array_equal(sites, turned) else None


@dataclass(frozen=True, eq=False)
class Couplings:
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


def groups_of(couplings: Couplings, slots: Mapping[Variable, CodeSlot], chosen: np.ndarray) -> list[np.ndarray]:
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


def _units(couplings: Couplings, slot: CodeSlot, chosen: np.ndarray) -> list[np.ndarray] | None:
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


def _greedy(couplings: Couplings, loose: list[int]) -> list[np.ndarray]:
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


def kinds_of(groups: Sequence[np.ndarray], factors: Factors, read: Mapping[int, np.ndarray]) -> tuple[Kind, ...]:
    """Groups, bool[total] each, as kinds: those that follow each other and differ in index arrays alone are one.

    read: of each summand computed by rows the sites that each row reads, int[rows, width], -1 for none.
    """
    kinds: list[tuple[Kind, list[Indices]]] = []
    for inside in groups:
        kind, indices = _kind(np.flatnonzero(inside), factors, read)
        if kinds and _alike(kinds[-1][0], kinds[-1][1][0], kind, indices):
            kinds[-1][1].append(indices)
        else:
            kinds.append((kind, [indices]))
    return tuple(
        replace(kind, indices={name: np.stack([i[name] for i in every]) for name in every[0]}) for kind, every in kinds
    )


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
    return Kind(len(local), forest, tuple(parts), {}), indices


def _alike(a: Kind, first: Indices, b: Kind, second: Indices) -> bool:
    """Whether two groups differ in indices alone."""
    same = a.parts == b.parts and {n: i.shape for n, i in first.items()} == {n: i.shape for n, i in second.items()}
    if not same or not np.array_equal(a.forest.pairs, b.forest.pairs) or len(a.forest.groups) != len(b.forest.groups):
        return False
    return all(
        np.array_equal(x.sites, y.sites) and np.array_equal(x.edges, y.edges) and np.array_equal(x.parents, y.parents)
        for x, y in zip(a.forest.groups, b.forest.groups, strict=True)
    )
