"""Random graphs by networkx, lattices and model RB, each the same for the same seed; and any networkx graph."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np

from energylang.graphs.graph import Graph, fail, from_edges


def erdos_renyi(n: int, p: float, seed: int = 0) -> Graph:
    """G(n, p): each of the n (n - 1) / 2 edges with probability p (Erdős and Rényi 1959; Gilbert 1959)."""
    _require(n >= 2 and 0 < p <= 1, f"erdos_renyi({n}, {p})", "n is at least 2, and p above 0 and at most 1")
    return from_networkx(_networkx().fast_gnp_random_graph(n, p, seed=seed))


def barabasi_albert(n: int, m: int, seed: int = 0) -> Graph:
    """Nodes added one after another, each with m edges to nodes by their degree (Barabási and Albert 1999, Science 286)."""
    _require(1 <= m < n, f"barabasi_albert({n}, {m})", "m is at least 1 and below n")
    return from_networkx(_networkx().barabasi_albert_graph(n, m, seed=seed))


def torus(shape: Sequence[int], *, signs: bool = False, seed: int = 0) -> Graph:
    """A lattice with periodic boundaries. signs: weights -1 and 1 with equal probability, a spin glass (Edwards and Anderson 1975).

    Each axis has at least 3 nodes: with 2, an edge and its way round would be one.
    """
    shape = tuple(shape)
    _require(bool(shape) and min(shape) >= 3, f"torus({shape})", "every axis has at least 3 nodes")
    site = np.arange(np.prod(shape)).reshape(shape)
    pairs = [np.stack([site, np.roll(site, -1, axis)], axis=-1).reshape(-1, 2) for axis in range(len(shape))]
    edges = np.concatenate(pairs)
    weights = np.random.default_rng(seed).choice([-1.0, 1.0], len(edges)) if signs else None
    return from_edges(edges, site.size, weights)


def model_rb(n: int, alpha: float, r: float, p: float, seed: int = 0, *, satisfiable: bool = True) -> Graph:
    """Model RB (Xu and Li 2000, JAIR 12; Xu et al. 2007, Artif. Intell. 171) as a graph of its conflicts.

    n variables of d = n^alpha values, each variable a clique of its d values; r n log n times two random variables, with
    p d^2 random pairs of their values in conflict. An independent set of n nodes is a solution, and no set is larger.
    satisfiable: no conflict falls on one random assignment, so that there is a set of n nodes. The graph has n d nodes;
    its `complement()` is the graph for maximum clique. It is hardest near p = 1 - exp(-alpha / r).
    """
    _require(
        n >= 2 and alpha > 0 and r > 0 and 0 < p < 1, f"model_rb({n}, {alpha}, {r}, {p})",
        "n is at least 2, alpha and r are above 0, p between 0 and 1",
    )  # fmt: skip
    generator = np.random.default_rng(seed)
    d = round(n**alpha)
    solution = generator.integers(0, d, n) if satisfiable else np.full(n, -1)
    edges = {(d * v + a, d * v + b) for v in range(n) for a, b in combinations(range(d), 2)}
    for _ in range(round(r * n * np.log(n))):
        u, v = sorted(generator.choice(n, 2, replace=False))
        allowed = [c for c in range(d * d) if c != solution[u] * d + solution[v] or not satisfiable]
        for code in generator.choice(allowed, min(round(p * d * d), len(allowed)), replace=False):
            a, b = divmod(int(code), d)
            edges.add((int(d * u + a), int(d * v + b)))
    return from_edges(np.array(sorted(edges)), n * d)


def from_networkx(graph: Any, weight: str = "weight", *, simplify: bool = False) -> Graph:
    """A networkx graph, its nodes numbered in their order; weights from this attribute where any edge has it (1 without).

    Raises DiagnosticError E0712, E0713 and E0715 as `from_edges`, and E0718 for a directed graph.
    """
    if graph.is_directed():
        fail("E0718", "the graph is directed, and energies on graphs have no directions", fix="`graph.to_undirected()`")
    number = {node: place for place, node in enumerate(graph.nodes)}
    listed = list(graph.edges(data=True))
    edges = np.array([(number[u], number[v]) for u, v, _ in listed], dtype=np.int64).reshape(-1, 2)
    weighted = any(weight in attributes for _, _, attributes in listed)
    weights = [float(attributes.get(weight, 1.0)) for _, _, attributes in listed] if weighted else None
    return from_edges(edges, len(number), weights, simplify=simplify)


def edges_of(graph: Any) -> np.ndarray:
    """The edges of a networkx graph, int64[E, 2], its nodes numbered in their order; as `from_networkx`."""
    return from_networkx(graph).edges


def _networkx() -> Any:
    try:
        import networkx
    except ImportError:
        fail("E0904", "random graphs need networkx, which is not installed", fix="`pip install 'energylang[graphs]'`")
    else:
        return networkx


def _require(good: bool, call: str, fix: str) -> None:
    if not good:
        fail("E0718", f"there is no graph `{call}`", fix=fix)
