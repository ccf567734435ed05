"""Sites coupled in pairs without cycles: sums along the trees, from the leaves to the roots, all trees at once.

A chain is the tree of a hidden Markov model, and this its forward algorithm (run from the far end); sites without
partners are trees of one. Trees of about the same depth go through one recursion together.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from energylang.lower.operations import Backend


@dataclass(frozen=True, eq=False)
class Group:
    """Trees of similar depth, level by level: int[depth, width] each, the roots first.

    sites: the sites of a level (the number of sites where there is none). edges: the edge to the site's parent.
    parents: the parent's place in the level before.
    """

    sites: np.ndarray
    edges: np.ndarray
    parents: np.ndarray

    @property
    def depth(self) -> int:
        return len(self.sites)

    @property
    def width(self) -> int:
        return self.sites.shape[1]

    @cached_property
    def straight(self) -> bool:
        """Whether every parent stands in its child's place, as in chains."""
        return np.array_equal(self.parents[1:], np.broadcast_to(np.arange(self.width), self.parents[1:].shape))

    def energies(self, unary: Any, count: int, backend: Backend) -> Any:
        """float[depth, width, K] of each place: where there is no site, one value that costs nothing."""
        places = self.sites.reshape(-1)
        if (places == count).any():
            nobody = np.where(np.arange(unary.shape[-1]) == 0, 0.0, np.inf)[None]
            unary = backend.xp.concatenate([unary, backend.xp.asarray(nobody, unary.dtype)])
        return taken(unary, places).reshape(*self.sites.shape, -1)

    def couplings(self, pairs: Any, count: int, backend: Backend) -> Any:
        """float[depth - 1, width, K, K] from the deepest level upwards, zero where there is no edge; [1, 1, K, K] where
        all are equal."""
        edges = self.edges[:0:-1].reshape(-1)
        missing = edges == count
        if len(pairs) == 1 and not missing.any():
            return pairs[None]
        if len(pairs) == 1:
            return backend.xp.where(missing.reshape(*self.edges[1:].shape, 1, 1), 0.0, pairs)
        if missing.any():
            pairs = backend.xp.concatenate([pairs, backend.xp.zeros((1, *pairs.shape[1:]), pairs.dtype)])
        return taken(pairs, edges).reshape(self.depth - 1, self.width, *pairs.shape[1:])


@dataclass(frozen=True, eq=False)
class Forest:
    """Trees over sites. pairs: int[edges, 2], the child and the parent of each edge."""

    count: int
    pairs: np.ndarray
    groups: tuple[Group, ...]

    @property
    def edges(self) -> int:
        return len(self.pairs)

    @property
    def depth(self) -> int:
        return max((g.depth for g in self.groups), default=1)

    @property
    def shape(self) -> str:
        degrees = np.bincount(self.pairs.reshape(-1), minlength=self.count)
        return "chain" if degrees.max(initial=0) <= 2 else "tree"

    def edges_of(self, sites: np.ndarray, turned: bool) -> tuple[np.ndarray, np.ndarray]:
        """(rows, their edges) of int[rows, 2] sites whose first site is the child; `turned`: whose second is."""
        keys = [(b, a) if turned else (a, b) for a, b in sites.tolist()]
        rows = [i for i, key in enumerate(keys) if key in self._numbers]
        return np.asarray(rows, int), np.asarray([self._numbers[keys[i]] for i in rows], int)

    @cached_property
    def _numbers(self) -> dict[tuple[int, int], int]:
        return {(a, b): i for i, (a, b) in enumerate(self.pairs.tolist())}

    def energy(self, unary: Any, pairs: Any, backend: Backend) -> Any:
        """-log of the sum over all values. unary: float[sites, K]. pairs: float[edges, K, K], child before parent; one
        where all are equal."""
        total: Any = 0.0
        for group in self.groups:
            here = group.energies(unary, self.count, backend)
            if group.depth > 1:
                messages, offset, _ = upwards(group, here, group.couplings(pairs, self.edges, backend), backend)
                here, total = here[0] + messages, total + offset
            total = total + backend.xp.sum(summed_out(backend, here, -1))
        return total


def summed_out(backend: Backend, energies: Any, axis: int) -> Any:
    """-log of the sum of exp(-energies) along an axis; its derivative is zero where all of them are infinite."""
    xp = backend.xp
    impossible = xp.all(energies == np.inf, axis=axis, keepdims=True)
    found = -backend.special.logsumexp(-xp.where(impossible, 0.0, energies), axis=axis)
    return xp.where(xp.squeeze(impossible, axis), np.inf, found)


def upwards(
    group: Group, here: Any, joint: Any, backend: Backend, sum_out: Callable[[Backend, Any, int], Any] = summed_out
) -> tuple[Any, Any, Any]:
    """(messages to the roots float[width, K], their common offset, per level from the deepest the energies of its
    sites with everything below them). joint: as `Group.couplings` gives it."""
    xp = backend.xp
    width, most = group.width, here.shape[-1]

    def up(messages: Any, level: Any) -> tuple[Any, Any]:
        energies, parents, pair = level
        pair = joint[0] if pair is None else pair
        energies = energies + messages
        found = sum_out(backend, energies[:, :, None] + pair, 1)
        # Messages stay near zero, so that long chains lose no digits: what is taken away is added to the total.
        low = xp.min(found, axis=-1, keepdims=True)
        low = xp.where(xp.isfinite(low), low, 0.0)
        if backend.name == "jax":
            import jax

            low = jax.lax.stop_gradient(low)
        found = found - low
        if not group.straight:
            if backend.name == "jax":
                found = xp.zeros((width, most), found.dtype).at[parents].add(found)
            else:
                collected = np.zeros((width, most))
                np.add.at(collected, parents, found)
                found = collected
        return found, (xp.sum(low), energies)

    levels = (here[:0:-1], group.parents[:0:-1], None if len(joint) == 1 else joint)
    start = xp.zeros((width, most), here.dtype)
    if backend.name == "jax":
        import jax

        messages, (offsets, below) = jax.lax.scan(up, start, levels)
        return messages, xp.sum(offsets), below
    messages, kept = start, []
    for place in range(group.depth - 1):
        messages, found = up(messages, tuple(None if part is None else part[place] for part in levels))
        kept.append(found)
    return messages, sum(k[0] for k in kept), np.stack([k[1] for k in kept])


def taken(array: Any, places: np.ndarray) -> Any:
    """Rows by number; a view where they follow each other."""
    count = len(array)
    if np.array_equal(places, np.arange(count)):
        return array
    return array[::-1] if np.array_equal(places, np.arange(count)[::-1]) else array[places]


# --- finding it -----------------------------------------------------------------------------------------------------


def forest_of(count: int, scopes: Sequence[np.ndarray]) -> Forest | None:
    """The forest whose edges are all pairs of sites in `scopes` (int[rows, sites each]); None where there is none."""
    if any(s.shape[1] > 2 for s in scopes):
        return None
    edges = np.unique(np.sort(np.concatenate([np.zeros((0, 2), int), *scopes]), axis=1), axis=0)
    around: list[list[int]] = [[] for _ in range(count)]
    for a, b in edges.tolist():
        around[a].append(b)
        around[b].append(a)
    if len(edges) >= max(count, 1):
        return None
    numbers: dict[tuple[int, int], int] = {}
    trees: list[list[list[tuple[int, int, int]]]] = []
    seen = np.zeros(count, bool)
    # Trees hang from an end, so that a chain is one site wide.
    for root in sorted(range(count), key=lambda s: (len(around[s]) > 1, s)):
        if seen[root]:
            continue
        seen[root] = True
        level = [(root, -1, 0)]
        levels = [level]
        while level:
            deeper: list[tuple[int, int, int]] = []
            for place, (site, parent, _) in enumerate(level):
                for other in around[site]:
                    if other == parent:
                        continue
                    if seen[other]:
                        return None
                    seen[other] = True
                    numbers[other, site] = len(numbers)
                    deeper.append((other, site, place))
            level = deeper
            if level:
                levels.append(level)
        trees.append(levels)
    pairs = np.asarray(list(numbers), int).reshape(-1, 2)
    depths: dict[int, list[list[list[tuple[int, int, int]]]]] = {}
    for levels in trees:
        depths.setdefault((len(levels) - 1).bit_length(), []).append(levels)
    groups = tuple(_group(members, numbers, count) for _, members in sorted(depths.items()))
    return Forest(count, pairs, groups)


def _group(trees: list[list[list[tuple[int, int, int]]]], numbers: dict[tuple[int, int], int], count: int) -> Group:
    depth = max(map(len, trees))
    widths = [sum(len(t[level]) for t in trees if level < len(t)) for level in range(depth)]
    shape = (depth, max(widths))
    sites = np.full(shape, count)
    edges = np.full(shape, len(numbers))
    parents = np.zeros(shape, int)
    starts = [0] * len(trees)
    for level in range(depth):
        place, began = 0, []
        for tree, start in zip(trees, starts, strict=True):
            began.append(place)
            for site, parent, above in tree[level] if level < len(tree) else ():
                sites[level, place] = site
                if level:
                    edges[level, place] = numbers[site, parent]
                    parents[level, place] = start + above
                place += 1
        starts = began
    return Group(sites, edges, parents)
