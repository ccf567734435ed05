"""Colouring of the conflict graph: sites of one colour can be updated at once, given the rest.

Two sites conflict where some row reads both. Sites are numbered through: variable after variable.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from energylang.ir.nodes import Variable
from energylang.lower.structure import Continuous, Gather, Opaque, Structured


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
        elif isinstance(summand, Opaque):
            dense |= {(u, v) for u in summand.variables for v in summand.variables}
        elif not isinstance(summand, Continuous):
            dense |= set(summand.pairs) | {(v, u) for u, v in summand.pairs}
    merged = np.unique(np.concatenate(codes)) if codes else np.zeros(0, np.int64)
    return np.stack([merged // total, merged % total], axis=1), dense


def _pairs(first: np.ndarray, start: int, second: np.ndarray, other: int, total: int) -> np.ndarray:
    keep = (first >= 0) & (second >= 0)
    a, b = first[keep] + start, second[keep] + other
    low, high = np.minimum(a, b), np.maximum(a, b)
    return np.unique((low * total + high)[low != high])


def colour(
    edges: np.ndarray,
    dense: set[tuple[Variable, Variable]],
    starts: Mapping[Variable, int],
    sizes: Mapping[Variable, int],
) -> np.ndarray:
    """int32[total]: a colour for each site, neighbours different. Greedy in breadth-first order: 2 where bipartite."""
    total = sum(sizes.values())
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
