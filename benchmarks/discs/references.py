"""References of maximum cuts by other ways than ours: proven optima of small sparse graphs, and long searches for large ones.

Nothing here uses EnergyLang: graphs are edges and weights, searches are numpy, integer programs are HiGHS by scipy.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, OptimizeResult, linprog, milp
from scipy.sparse import csr_array
from scipy.sparse.csgraph import dijkstra

from energylang.graphs import Graph

Cycle = tuple[tuple[int, ...], tuple[int, ...]]
"""Edges of a cycle: an odd number of them, and the others. No cut has all of the first and none of the others."""


@dataclass(frozen=True)
class Reference:
    """value: a cut, or NaN. bound: no cut is above it. how: by which way. seconds: of wall time."""

    value: float
    bound: float
    how: str
    seconds: float

    @property
    def proven(self) -> bool:
        return self.value >= self.bound - 1e-6


# --- proven optima ----------------------------------------------------------------------------------------------------


def proven_cut(graph: Graph, seconds: float = 600.0) -> Reference:
    """The maximum cut by odd-cycle inequalities (Barahona and Mahjoub 1986, Math. Program. 36): edges are variables.

    First the linear program with every violated inequality that shortest paths find, then the integer program, again with
    new inequalities until its solution is a cut. Weights are integers: bounds are rounded down. What is not proven after so
    many seconds has the bound that there is.
    """
    began = time.perf_counter()
    weights = graph.data["weights"]
    cycles: dict[Cycle, None] = {}
    inside = (weights > 0).astype(float)
    bound = float(weights[weights > 0].sum())
    while (left := seconds - (time.perf_counter() - began)) > 0 and (found := _violated(graph, inside, cycles)):
        cycles |= dict.fromkeys(found)
        rows, most = _inequalities(cycles, len(weights))
        solution = linprog(-weights, rows, most, bounds=(0, 1), method="highs-ds", options={"time_limit": left})
        if solution.x is None:
            break
        inside, bound = solution.x, min(bound, np.floor(-solution.fun + 1e-6))
    while (left := seconds - (time.perf_counter() - began)) > 0:
        solved = _integer(weights, cycles, left)
        bound = min(bound, np.floor(-solved.mip_dual_bound + 1e-6)) if solved.mip_dual_bound is not None else bound
        if solved.x is None:
            break
        whole = np.round(solved.x)
        found = _violated(graph, whole, cycles)
        if not found:
            return Reference(float(weights @ whole), float(bound), "HiGHS", time.perf_counter() - began)
        cycles |= dict.fromkeys(found)
    return Reference(float("nan"), float(bound), "HiGHS", time.perf_counter() - began)


def _integer(weights: np.ndarray, cycles: dict[Cycle, None], seconds: float) -> OptimizeResult:
    rows, most = _inequalities(cycles, len(weights))
    return milp(
        -weights,
        constraints=LinearConstraint(rows, -np.inf, most),  # pyright: ignore[reportArgumentType]
        integrality=np.ones(len(weights)), bounds=Bounds(0, 1), options={"time_limit": seconds, "mip_rel_gap": 0.0},
    )  # fmt: skip


def _inequalities(cycles: dict[Cycle, None], edges: int) -> tuple[csr_array, np.ndarray]:
    """A row each: the sum over the odd edges less the sum over the others is at most the number of odd ones less one."""
    places = [np.array(odd + even) for odd, even in cycles]
    signs = [np.repeat([1.0, -1.0], [len(odd), len(even)]) for odd, even in cycles]
    starts = np.concatenate([[0], np.cumsum([len(place) for place in places])])
    rows = csr_array((np.concatenate(signs), np.concatenate(places), starts), shape=(len(cycles), edges))
    return rows, np.array([len(odd) - 1.0 for odd, _ in cycles])


def _violated(graph: Graph, inside: np.ndarray, known: dict[Cycle, None], most: int = 400) -> list[Cycle]:
    """Inequalities that a point misses, the most first: shortest ways from a node to its double.

    In a graph of two layers an edge within a layer is even and costs its value, one between layers is odd and costs the rest
    to one. A way from a node to its double passes an odd number of odd edges, and costs less than one if it is violated.
    """
    n, (low, high) = graph.n, graph.edges.T
    inside = np.clip(inside, 0.0, 1.0)
    ends = np.concatenate([low, low + n, low, high]), np.concatenate([high, high + n, high + n, low + n])
    # A cost of zero would be no edge of a sparse matrix.
    costs = np.concatenate([inside, inside, 1.0 - inside, 1.0 - inside]) + 1e-9
    layers = csr_array((costs, ends), shape=(2 * n, 2 * n))
    lengths, before = dijkstra(layers, directed=False, indices=np.arange(n), return_predecessors=True)
    number = {(int(a), int(b)): place for place, (a, b) in enumerate(np.sort(graph.edges, axis=1))}
    found: dict[Cycle, float] = {}
    for start in np.flatnonzero(lengths[np.arange(n), np.arange(n) + n] < 1.0 - 1e-5):
        way = [int(start) + n]
        while way[-1] != start:
            way.append(int(before[start, way[-1]]))
        steps = [(number[min(a % n, b % n), max(a % n, b % n)], (a < n) != (b < n)) for a, b in pairwise(way)]
        odd = tuple(sorted(edge for edge, between in steps if between))
        even = tuple(sorted(edge for edge, between in steps if not between))
        # A way that takes an edge twice is no cycle; the shorter one in it is found from another node.
        if len({*odd, *even}) == len(steps) and (odd, even) not in known:
            found[odd, even] = float(lengths[start, start + n])
    return sorted(found, key=lambda cycle: found[cycle])[:most]


# --- long searches ----------------------------------------------------------------------------------------------------


def searched_cut(graph: Graph, seconds: float, starts: int = 32, seed: int = 0) -> Reference:
    """The best cut of a search: angles of the rank-two relaxation, rounded, then tabu search, from the best again.

    Burer, Monteiro and Zhang 2002 (SIAM J. Optim. 12) for the angles, with steps of majorisation; Palubeckis 2004 and
    Kochenberger et al. 2013 (J. Heuristics 19) for tabu search. Nothing of it is annealing.
    """
    began = time.perf_counter()
    random = np.random.default_rng(seed)
    weights = np.zeros((graph.n, graph.n), np.float32)
    low, high = graph.edges.T
    weights[low, high] = weights[high, low] = graph.data["weights"]
    best, sides = np.full(starts, -np.inf), np.ones((graph.n, starts), np.float32)
    angles = random.uniform(0, 2 * np.pi, (graph.n, starts)).astype(np.float32)
    while time.perf_counter() - began < seconds:
        cuts, found = _tabu(weights, _rounded(weights, angles, random), random, 2 * graph.n)
        better = cuts >= best
        best[better], sides[:, better] = cuts[better], found[:, better]
        turned = random.uniform(-0.2 * np.pi, 0.2 * np.pi, sides.shape)
        angles = (np.where(sides > 0, 0.0, np.pi) + turned).astype(np.float32)
    top = sides[:, int(best.argmax())]
    value = float(graph.data["weights"][top[low] != top[high]].sum())
    return Reference(value, float("inf"), "rank-two relaxation and tabu search", time.perf_counter() - began)


def _values(weights: np.ndarray, sides: np.ndarray) -> np.ndarray:
    return weights.sum() / 4 - (sides * (weights @ sides)).sum(axis=0) / 4


def _rounded(weights: np.ndarray, angles: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """The best of 16 half planes for each column of angles, after these came near a minimum of the sum of w cos(a_i - a_j)."""
    east, north = np.cos(angles), np.sin(angles)
    columns, shift = angles.shape[1], 0.5 * np.abs(weights).sum(axis=1, keepdims=True)
    for _ in range(60):
        pull = weights @ np.concatenate([east, north], axis=1)
        east, north = shift * east - pull[:, :columns], shift * north - pull[:, columns:]
        length = np.hypot(east, north) + 1e-12
        east, north = east / length, north / length
    planes = random.uniform(0, np.pi) + np.pi * np.arange(16) / 16
    sides = np.stack([np.where(east * np.cos(a) + north * np.sin(a) > 0, 1, -1).astype(np.float32) for a in planes])
    best = np.argmax([_values(weights, side) for side in sides], axis=0)
    return sides[best, :, np.arange(columns)].T


def _tabu(
    weights: np.ndarray, sides: np.ndarray, random: np.random.Generator, moves: int
) -> tuple[np.ndarray, np.ndarray]:
    """The best cuts on the way of so many moves, each the best flip that is not forbidden or that beats the best so far."""
    x = np.ascontiguousarray(sides.T)
    gains = x * (x @ weights)
    cuts = _values(weights, sides)
    best, kept = cuts.copy(), x.copy()
    until, rows = np.zeros(x.shape, np.int32), np.arange(len(x))
    for move in range(moves):
        allowed = (until <= move) | (cuts[:, None] + gains > best[:, None] + 1e-3)
        site = np.where(allowed, gains, -np.inf).argmax(axis=1)
        cuts += gains[rows, site]
        x[rows, site] *= -1
        gains[rows, site] *= -1
        gains += weights[site] * x * (2 * x[rows, site])[:, None]
        until[rows, site] = move + random.integers(10, 20, len(x))
        if (better := cuts > best + 1e-3).any():
            best[better], kept[better] = cuts[better], x[better]
    return best, kept.T


# --- kept -------------------------------------------------------------------------------------------------------------


def kept_reference(folder: Path, name: str, graph: Graph, seconds: float) -> Reference:
    """The reference of a graph, from the file of a former call with as many seconds, or found now and written.

    Proven where the graph has at most 400 edges, else searched.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "references.json"
    known = json.loads(path.read_text()) if path.exists() else {}
    key = f"{name}, {seconds:g} s"
    if key not in known:
        proven = len(graph.edges) <= 400
        reference = proven_cut(graph, seconds) if proven else searched_cut(graph, seconds)
        known[key] = vars(reference)
        path.write_text(json.dumps(known, indent=1) + "\n")
    return Reference(**known[key])
