"""A graph as arrays, and what is asked of one: nodes in range, no self-loop, no edge twice, not empty."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np

from energylang.diagnostics import Diagnostic, DiagnosticError


@dataclass(frozen=True, eq=False)
class Graph:
    """An undirected graph. n: nodes. edges: int64[E, 2], counted from 0. weights: float64[E], None where all are 1."""

    n: int
    edges: np.ndarray
    weights: np.ndarray | None = None

    def __repr__(self) -> str:
        return f"Graph({self.n} nodes, {len(self.edges)} edges{'' if self.weights is None else ', weighted'})"

    @property
    def data(self) -> dict[str, Any]:
        """The data of a model by name: `n`, `edges`, `weights`; without weights each edge weighs 1."""
        weights = np.ones(len(self.edges)) if self.weights is None else self.weights
        return {"n": self.n, "edges": self.edges, "weights": weights}

    @property
    def parts(self) -> int:
        """How many connected components there are; a node without an edge is one."""
        from scipy.sparse import coo_array
        from scipy.sparse.csgraph import connected_components

        one = np.ones(len(self.edges), np.int8)
        adjacency = coo_array((one, (self.edges[:, 0], self.edges[:, 1])), (self.n, self.n))
        return int(connected_components(adjacency, directed=False, return_labels=False))

    @property
    def isolated(self) -> list[int]:
        """The nodes without an edge."""
        return np.flatnonzero(np.bincount(self.edges.ravel(), minlength=self.n) == 0).tolist()

    def complement(self) -> Graph:
        """The graph with an edge wherever this one has none: its cliques are the independent sets of this one."""
        absent = np.triu(np.ones((self.n, self.n), bool), 1)
        absent[self.edges.min(axis=1), self.edges.max(axis=1)] = False
        return Graph(self.n, np.argwhere(absent))


def why_in_parts(graph: Graph) -> str:
    """Why a graph of several parts is one, as the cause of a finding."""
    alone = graph.isolated
    if not alone:
        return "no path leads from one to another"
    shown = ", ".join(map(str, alone[:5]))
    return (
        f"node {shown} has no edge"
        if len(alone) == 1
        else f"nodes {shown}{', …' if len(alone) > 5 else ''} (counted from 0) have no edge"
    )


@dataclass(frozen=True)
class Wording:
    """How problems of one graph are told. place: where the edge of a row stands. remedy: says how to ask for `simplify`.

    base: what the first node is called there; other_base: what to do where that is wrong.
    """

    place: Callable[[int], str]
    remedy: str
    base: int = 0
    other_base: str = ""


def from_edges(
    edges: Any, n: int | None = None, weights: Any = None, *, simplify: bool = False, wording: Wording | None = None
) -> Graph:
    """A graph from int[E, 2], counted from 0, with n nodes: one more than the largest where None.

    simplify: leave self-loops out, and keep the first of several edges between two nodes. Where every edge is listed
    once in each direction, with one weight, it is one edge. Raises DiagnosticError E0711 to E0713, E0715.
    """
    wording = wording or Wording(lambda row: f"edge {row}", "`simplify = True` leaves it out")
    edges, weights = _arrays(edges, weights)
    if not len(edges):
        fail(
            "E0715", "the graph has no edges", cause="nothing would couple its nodes",
            fix="give at least one edge; independent nodes need no graph",
        )  # fmt: skip
    n = int(edges.max()) + 1 if n is None else n
    _check_range(edges, n, wording)
    edges, weights = _without_loops(edges, weights, simplify, wording)
    edges, weights = _each_once(edges, weights, n, simplify, wording)
    return Graph(n, edges, weights)


def _arrays(edges: Any, weights: Any) -> tuple[np.ndarray, np.ndarray | None]:
    """int64[E, 2] and float64[E], or None."""
    found: np.ndarray
    try:
        found = np.asarray(edges)
        found = found.reshape(0, 2) if found.size == 0 else found
        whole = found.dtype.kind in "iu" or (found.dtype.kind == "f" and bool(np.all(found == np.round(found))))
        weights = None if weights is None else np.asarray(weights, dtype=np.float64)
    except (ValueError, TypeError):
        found, whole = np.empty(0), False
    if not whole or found.ndim != 2 or found.shape[1] != 2:
        fail(
            "E0711", "the edges are no pairs of nodes", cause="an edge is two whole numbers, and rows have two entries",
            fix="give an array int[E, 2] such as `[[0, 1], [1, 2]]`; `from_networkx` takes graphs whose nodes have names",
        )  # fmt: skip
    if weights is not None and weights.shape != (len(found),):
        fail(
            "E0711",
            f"there are {len(found):,} edges, and weights of shape {weights.shape}",
            fix="give one weight for each edge",
        )
    return found.astype(np.int64), weights


def fail(code: str, message: str, *, cause: str = "", fix: str = "") -> NoReturn:
    """Raise a DiagnosticError of one finding."""
    raise DiagnosticError([Diagnostic(code, message, cause=cause, fix=fix)])


def _check_range(edges: np.ndarray, n: int, wording: Wording) -> None:
    outside = ((edges < 0) | (edges >= n)).any(axis=1)
    if outside.any():
        row = int(np.argmax(outside))
        node = next(int(v) for v in edges[row] if v < 0 or v >= n) + wording.base
        low, high = wording.base, n - 1 + wording.base
        count = int(outside.sum())
        shifted = edges.min() >= 0 and edges.max() == n and not (edges == 0).any()
        below = edges.min() == -1 and edges.max() < n
        fix = (
            wording.other_base if (shifted or below) and wording.other_base else "mend the edge, or the number of nodes"
        )
        fail(
            "E0711", f"{wording.place(row)} has node {node}, and there are {n} nodes, {low} to {high}",
            cause=f"{count:,} edges are outside" if count > 1 else "", fix=fix,
        )  # fmt: skip


def _without_loops(
    edges: np.ndarray, weights: np.ndarray | None, simplify: bool, wording: Wording
) -> tuple[np.ndarray, np.ndarray | None]:
    loops = edges[:, 0] == edges[:, 1]
    if not loops.any():
        return edges, weights
    if not simplify:
        row, count = int(np.argmax(loops)), int(loops.sum())
        fail(
            "E0712", f"{wording.place(row)} joins node {edges[row, 0] + wording.base} with itself",
            cause=f"{count:,} edges do" if count > 1 else "", fix=f"delete it, or {wording.remedy}",
        )  # fmt: skip
    if loops.all():
        fail("E0715", "the graph has no edges but self-loops", fix="give at least one edge between two nodes")
    return edges[~loops], None if weights is None else weights[~loops]


def _each_once(
    edges: np.ndarray, weights: np.ndarray | None, n: int, simplify: bool, wording: Wording
) -> tuple[np.ndarray, np.ndarray | None]:
    low, high = edges.min(axis=1), edges.max(axis=1)
    _, first, inverse, counts = np.unique(low * n + high, return_index=True, return_inverse=True, return_counts=True)
    if (counts == 1).all():
        return edges, weights
    if not simplify and not _both_ways(edges, weights, inverse, counts):
        again = np.setdiff1d(np.arange(len(edges)), first)
        row = int(again[0])
        earlier = int(first[inverse[row]])
        a, b = edges[row] + wording.base
        fail(
            "E0713", f"{wording.place(row)} joins {a} and {b} again, after {wording.place(earlier)}",
            cause=f"{len(again):,} edges are there again" if len(again) > 1 else "", fix=f"delete it, or {wording.remedy}",
        )  # fmt: skip
    kept = np.sort(first)
    return edges[kept], None if weights is None else weights[kept]


def _both_ways(edges: np.ndarray, weights: np.ndarray | None, inverse: np.ndarray, counts: np.ndarray) -> bool:
    """Whether every edge is listed once in each direction, with one weight: a whole symmetric matrix."""
    if not (counts == 2).all():
        return False
    order = np.argsort(inverse, kind="stable").reshape(-1, 2)
    there, back = edges[order[:, 0]], edges[order[:, 1]]
    same = weights is None or np.array_equal(weights[order[:, 0]], weights[order[:, 1]])
    return bool((there == back[:, ::-1]).all()) and same
