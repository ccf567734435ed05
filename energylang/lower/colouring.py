"""Colouring of the conflict graph: sites of one colour can be updated at once, given the rest.

Two sites conflict where some row reads both. Sites are numbered through: variable after variable.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from energylang.ir.nodes import Variable
from energylang.lower.structure import Continuous, Gather, Opaque, Structured, Sums

MANY = 10_000
"""Sites from which whole arrays are coloured at once: a loop over sites takes microseconds for each."""
FEW = 4
"""Colours up to which layers are looked for: each is compiled by itself."""


def conflicts(
    structured: Sequence[Structured], starts: Mapping[Variable, int], total: int
) -> tuple[np.ndarray, set[tuple[Variable, Variable]]]:
    """(int64[m, 2] pairs of sites, each once, smaller first; pairs of variables all of whose sites conflict)."""
    codes: list[np.ndarray] = []
    dense: set[tuple[Variable, Variable]] = set()
    for summand in structured:
        if isinstance(summand, Gather):
            columns = summand.columns
            for i, first in enumerate(columns):
                for second in columns[i + 1 :]:
                    codes.append(
                        _pairs(first.sites, starts[first.variable], second.sites, starts[second.variable], total)
                    )
        elif isinstance(summand, Opaque | Sums):
            dense |= {(u, v) for u in summand.variables for v in summand.variables}
        elif not isinstance(summand, Continuous):
            dense |= set(summand.pairs) | {(v, u) for u, v in summand.pairs}
    merged = _distinct(np.concatenate(codes)) if codes else np.zeros(0, np.int64)
    return np.stack([merged // total, merged % total], axis=1), dense


def _pairs(first: np.ndarray, start: int, second: np.ndarray, other: int, total: int) -> np.ndarray:
    keep = (first >= 0) & (second >= 0)
    a, b = first[keep] + start, second[keep] + other
    low, high = np.minimum(a, b), np.maximum(a, b)
    return _distinct((low * total + high)[low != high])


def _distinct(codes: np.ndarray) -> np.ndarray:
    """Each once, in order. numpy's `unique` hashes, which is slow where nearly all differ (numpy 2.3)."""
    ordered = np.sort(codes)
    return ordered[np.concatenate([[True], ordered[1:] != ordered[:-1]])] if len(ordered) else ordered


def colour(
    edges: np.ndarray,
    dense: set[tuple[Variable, Variable]],
    starts: Mapping[Variable, int],
    sizes: Mapping[Variable, int],
) -> np.ndarray:
    """int32[total]: a colour for each site, neighbours different. Greedy in breadth-first order: 2 where bipartite."""
    total = sum(sizes.values())
    if total >= MANY and not dense:
        two = _two_colours(edges, total)
        return _rounds(edges, total) if two is None else two
    both = np.concatenate([edges, edges[:, ::-1]]) if len(edges) else np.zeros((0, 2), np.int64)
    order = np.argsort(both[:, 0], kind="stable")
    neighbours = both[order, 1].tolist()
    offsets = np.searchsorted(both[order, 0], np.arange(total + 1)).tolist()
    owner: list[Variable] = [v for v, size in sizes.items() for _ in range(size)]
    partners = {v: [u for u in sizes if (u, v) in dense] for v in sizes}
    used: dict[Variable, set[int]] = {v: set() for v in sizes}
    colours = [-1] * total
    seen = bytearray(total)
    for root in range(total):
        if seen[root]:
            continue
        seen[root] = 1
        queue = [root]
        for site in queue:
            around = neighbours[offsets[site] : offsets[site + 1]]
            taken = {colours[n] for n in around}
            for partner in partners[owner[site]]:
                taken |= used[partner]
            chosen = 0
            while chosen in taken:
                chosen += 1
            colours[site] = chosen
            used[owner[site]].add(chosen)
            for n in around:
                if not seen[n]:
                    seen[n] = 1
                    queue.append(n)
    return np.array(colours, np.int32)


def _two_colours(edges: np.ndarray, total: int) -> np.ndarray | None:
    """int32[total] of 0 and 1, neighbours different; None where there is an odd cycle.

    Every site has two copies, every pair joins unequal copies: without an odd cycle the two copies of a site lie in
    different components, and which of them in the one of the smaller number says the colour.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    low, high = edges[:, 0], edges[:, 1]
    ends = np.concatenate([low, high]), np.concatenate([high, low]) + total
    cover = coo_array((np.ones(2 * len(edges), np.int8), ends), (2 * total, 2 * total))
    _, label = connected_components(cover, directed=False)
    first, second = label[:total], label[total:]
    return None if (first == second).any() else (first > second).astype(np.int32)


def _rounds(edges: np.ndarray, total: int) -> np.ndarray:
    """int32[total], neighbours different: each site takes the least colour that its neighbours before it left.

    The order is by falling degree, then random; all sites whose neighbours before them are done are coloured at once
    (Jones and Plassmann 1993, SIAM J. Sci. Comput. 14), which takes a few tens of rounds.
    """
    degree = np.bincount(edges.ravel(), minlength=total)
    order = np.lexsort((np.random.default_rng(0).permutation(total), -degree))
    place = np.empty(total, np.int64)
    place[order] = np.arange(total)
    swap = place[edges[:, 0]] > place[edges[:, 1]]
    before, after = np.where(swap, edges[:, 1], edges[:, 0]), np.where(swap, edges[:, 0], edges[:, 1])
    by_before, by_after = np.argsort(before, kind="stable"), np.argsort(after, kind="stable")
    followers, leaders = after[by_before], before[by_after]
    first_follower = np.searchsorted(before[by_before], np.arange(total + 1))
    first_leader = np.searchsorted(after[by_after], np.arange(total + 1))
    pending = np.diff(first_leader)
    colours = np.zeros(total, np.int32)
    ready = np.flatnonzero(pending == 0)
    while len(ready):
        sites, leading = _ranges(ready, first_leader)
        colours[ready] = _least_absent(sites, colours[leaders[leading]], len(ready))
        _, following = _ranges(ready, first_follower)
        reached = followers[following]
        np.subtract.at(pending, reached, 1)
        ready = _distinct(reached[pending[reached] == 0])
    return colours


def _ranges(sites: np.ndarray, starts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(which of `sites`, which entry) for every entry from starts[site] to starts[site + 1]."""
    counts = starts[sites + 1] - starts[sites]
    owner = np.repeat(np.arange(len(sites)), counts)
    return owner, np.arange(len(owner)) - np.repeat(np.cumsum(counts) - counts, counts) + starts[sites][owner]


def _least_absent(owner: np.ndarray, taken: np.ndarray, count: int) -> np.ndarray:
    """int32[count]: for each owner the least number from 0 that is none of those taken beside it."""
    most = int(taken.max(initial=0)) + 2
    pairs = _distinct(owner * most + taken)
    owner, taken = pairs // most, pairs % most
    sizes = np.bincount(owner, minlength=count)
    rank = np.arange(len(owner)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    found = sizes.astype(np.int32)
    gap = np.flatnonzero(taken != rank)
    np.minimum.at(found, owner[gap], rank[gap].astype(np.int32))
    return found


def layers(colours: Sequence[np.ndarray], count: int) -> tuple[tuple[tuple[int, int], ...], ...]:
    """Of `Facts.layers`, from the colour of each site of each code array; nothing where some colour has sites apart."""
    if count > FEW:
        return ()
    found = []
    for number in range(count):
        places = [np.flatnonzero(colour == number) for colour in colours]
        if any(p.size and p[-1] - p[0] >= p.size for p in places):
            return ()
        found.append(tuple((int(p[0]), int(p[-1]) + 1) if p.size else (0, 0) for p in places))
    return tuple(found)
