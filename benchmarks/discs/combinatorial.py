"""Combinatorial problems of DISCS by `optimize`: feasible solutions only, wall times of whole calls beside what was found.

Where the optimum is known it is the reference (satisfiable instances of model RB); for cuts it is what another algorithm found or
proved in so many seconds, if these were asked for, else the upper bound of the semidefinite relaxation, which is above the optimum by
some per cent; and what DISCS prints of independent sets are sizes, so no reference.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import energylang
from benchmarks.discs.references import kept_reference
from energylang import graphs
from energylang.graphs import Graph

APART = """
data n: int
data edges: cat(n)[E, 2]
energy problem(x: binary[n]) = -sum(x)
constraint apart(x: binary[n]) = x[edges[:, 0]] + x[edges[:, 1]] <= 1
"""
"""No edge inside the set. For cliques the edges are those that the graph lacks."""

CUT = """
import graphs
data n: int
data edges: cat(n)[E, 2]
data weights: real[E]
energy problem(s: spin[n]) = graphs.max_cut(s, edges, weights)
"""

GOLDEN = 0.618034
"""Its multiples are spread evenly: sizes of sets grow with the nodes, by 0.05 a node at density .05, so sixteen random
numbers of nodes in 700..800 would move their mean by as much as methods differ."""


@dataclass(frozen=True)
class Problem:
    """make: the graph of a number, and its optimum where it is known, or NaN. published: what DISCS has, and in which unit."""

    model: str
    make: Callable[[int], tuple[Graph, float]]
    method: str
    steps: int
    instances: int
    published: str


@dataclass(frozen=True)
class Solved:
    """One instance. objective: the best of all chains; reference, how: what it is compared with, and where that is from;
    seconds: of the whole call, compiling included."""

    nodes: int
    edges: int
    objective: float
    reference: float
    how: str
    found_by: int
    seconds: float
    sampling: float


def _sparse(p: float) -> Callable[[int], tuple[Graph, float]]:
    def make(number: int) -> tuple[Graph, float]:
        n = 700 + int(101 * ((0.5 + number * GOLDEN) % 1))
        return graphs.erdos_renyi(n, p, seed=number), float("nan")

    return make


def _rigid(number: int) -> tuple[Graph, float]:
    """Model RB with 25 variables of 19 values, 475 nodes: the conflicts, and the optimum."""
    alpha = np.log(19) / np.log(25)
    return graphs.model_rb(25, alpha, 0.8 / np.log(4 / 3), 0.25, seed=number), 25.0


def _open(graph: Graph) -> tuple[Graph, float]:
    return graph, float("nan")


@dataclass(frozen=True)
class Asked:
    """References that other algorithms find: so many seconds each, kept in a folder."""

    folder: Path
    seconds: float


def reference_of(name: str, number: int, graph: Graph, optimum: float, asked: Asked | None) -> tuple[float, str]:
    """What an objective is compared with, or NaN; and in words where it is from."""
    if not math.isnan(optimum):
        return optimum, "optimum"
    if not name.startswith("MaxCut"):
        return optimum, "-"
    if asked is not None:
        found = kept_reference(asked.folder, f"{name} {number}", graph, asked.seconds)
        if not math.isnan(found.value):
            return found.value, f"{found.how}, proven" if found.proven else f"{found.how}, {asked.seconds:g} s"
        return found.bound, f"bound by {found.how}"
    return cut_bound(graph), "bound"


def cut_bound(graph: Graph, sweeps: int = 200) -> float:
    """An upper bound of every cut, by the dual of the semidefinite relaxation (Goemans and Williamson 1995).

    The relaxation is solved with vectors of few entries (Burer and Monteiro 2003), one after another; what that lacks of
    an exact solution is made up by an eigenvalue, so that the bound holds however far the sweeps came.
    """
    weights = np.zeros((graph.n, graph.n))
    low, high = graph.edges.T
    weights[low, high] = weights[high, low] = graph.data["weights"]
    vectors = np.random.default_rng(0).normal(size=(graph.n, int(np.ceil(np.sqrt(2 * graph.n)))))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    for _ in range(sweeps):
        for i in range(graph.n):
            pull = weights[i] @ vectors
            vectors[i] = -pull / max(float(np.linalg.norm(pull)), 1e-12)
    degrees = weights.sum(axis=1)
    multipliers = degrees + np.linalg.norm(weights @ vectors, axis=1)
    rest = np.diag(degrees - multipliers) - weights
    return float(multipliers.sum() + graph.n * max(0.0, np.linalg.eigvalsh(rest)[-1])) / 4


def problems(size: str) -> dict[str, Problem]:
    """By name. small: for a look; default: minutes; paper: DISCS's numbers of graphs, chains and steps."""
    few = {"small": 1, "default": 2, "paper": 16}[size]
    steps = {"small": 100, "default": 1_000, "paper": 10_000}[size]
    published = {0.05: "105.06", 0.15: "44.57", 0.25: "28.50"}
    found = {
        f"MIS ER[700-800] {p}": Problem(
            APART, _sparse(p), "anneal(gibbs(), start = 0.3, end = 0.2)", steps, few, f"size {published[p]}"
        )
        for p in (0.05, 0.15, 0.25)
    }
    found["MaxClique RB 475"] = Problem(
        APART, _rigid, "anneal(gibbs(), start = 0.5, end = 0.1)", steps, few, "ratio .878"
    )
    cut = "anneal(gibbs(), start = 3, end = 0.3)"
    for n in (256, 512, 1_100):
        found[f"MaxCut BA-{n}"] = Problem(
            CUT,
            lambda i, n=n: _open(graphs.barabasi_albert(n, 4, i)),
            cut,
            steps,
            few,
            "ratio 1.018 of Gurobi in 1 h",
        )
    for n in (256, 512, 1_100):
        wide = f"anneal(gibbs(), start = {0.15 * n**0.5:.3g}, end = {0.02 * n**0.5:.3g})"
        found[f"MaxCut ER-{n}"] = Problem(
            CUT,
            lambda i, n=n: _open(graphs.erdos_renyi(n, 0.15, i)),
            wide,
            steps,
            few,
            "ratio 1.002 of Gurobi in 1 h",
        )
    found["MaxCut torus 5³ ±1"] = Problem(
        CUT, lambda i: _open(graphs.torus((5, 5, 5), signs=True, seed=i)), "anneal(gibbs(), start = 2, end = 0.2)", steps, few, "solved"
    )  # fmt: skip
    return found


def solve(name: str, problem: Problem, number: int, chains: int, asked: Asked | None = None) -> Solved:
    graph, optimum = problem.make(number)
    reference, how = reference_of(name, number, graph, optimum, asked)
    began = time.perf_counter()
    data = {name: value for name, value in graph.data.items() if f"data {name}:" in problem.model}
    energy = energylang.compile(problem.model, data=data)["problem"]
    run = energy.optimize(method=problem.method, steps=problem.steps, chains=chains, seed=number)
    seconds = time.perf_counter() - began
    if not run.feasible:
        raise SystemExit(f"no feasible point of {graph}")
    objective = _checked(problem, graph, run.best)
    best = np.asarray(run.restarts)
    return Solved(
        graph.n, len(graph.edges), objective, reference, how, int(np.sum(best <= best.min() + 1e-3)), seconds, run.sampling_time
    )  # fmt: skip


def _checked(problem: Problem, graph: Graph, best: dict[str, np.ndarray]) -> float:
    """The objective of a point, computed here from the graph, whatever the run says of itself."""
    if problem.model is CUT:
        side = np.asarray(best["s"])
        weights = graph.data["weights"]
        return float(weights[side[graph.edges[:, 0]] != side[graph.edges[:, 1]]].sum())
    x = np.asarray(best["x"]).astype(bool)
    assert not (x[graph.edges[:, 0]] & x[graph.edges[:, 1]]).any()
    return float(x.sum())


def solved(
    size: str, chains: int, wanted: list[str] | None, asked: Asked | None
) -> Iterator[tuple[str, Problem, list[Solved]]]:
    """Every problem with all of its instances; names are matched by their beginnings."""
    for name, problem in problems(size).items():
        if wanted is None or any(name.startswith(w) for w in wanted):
            yield name, problem, [solve(name, problem, number, chains, asked) for number in range(problem.instances)]
