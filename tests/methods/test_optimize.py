"""Annealing with constraints, against the best of all configurations; and searches that forget, which are rejected.

Covers energylang.methods.anneal:Anneal and energylang.methods._refine.
"""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import energylang as el
from energylang.diagnostics import DiagnosticError
from energylang.methods._refine import refine
from energylang.model import Point
from energylang.run import optimize
from energylang.run.optimum import Optimum

pytestmark = pytest.mark.long

SMALL: dict[str, Any] = {"steps": 120, "chains": 8}


def random_of(name: str) -> np.random.Generator:
    return np.random.default_rng(zlib.crc32(name.encode()))


def best_of(values: tuple[int, ...], size: int, energy: Callable[..., Any], feasible: Callable[..., Any]) -> float:
    """The lowest energy of all feasible configurations, by listing them."""
    points = np.array(list(itertools.product(values, repeat=size)))
    return float(min(energy(x) for x in points if feasible(x)))


# --- known optima -----------------------------------------------------------------------------------------------------

MIS = """
data N: int
data edges: int[E, 2]
energy size(x: binary[N]) = -sum(x)
constraint independent(x: binary[N]) = x[edges[:, 0]] + x[edges[:, 1]] <= 1
"""


def graph(size: int, density: float, seed: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    return np.array([(i, j) for i in range(size) for j in range(i) if random.random() < density])


EDGES = graph(14, 0.3, 5)
mis = el.compile(MIS, data={"N": 14, "edges": EDGES})


def independent(x: np.ndarray) -> bool:
    return not np.any(x[EDGES[:, 0]] & x[EDGES[:, 1]])


def maximal(x: np.ndarray) -> bool:
    """Whether no node can be added to an independent set."""
    return all(x[i] or not independent(np.where(np.arange(14) == i, 1, x)) for i in range(14))


@pytest.fixture(scope="module")
def sets() -> Optimum:
    return mis.optimize(**SMALL)


def test_independent_sets(sets: Optimum) -> None:
    best = best_of((0, 1), 14, lambda x: -x.sum(), independent)
    assert sets.method == "anneal(gibbs())"
    assert (sets.best_energy, sets.feasible, sets.violation) == (best, True, 0.0)
    assert sets.best["x"].sum() == -best
    assert independent(sets.best["x"])
    assert all(independent(x) and maximal(x) for x in sets["x"][:, 0])
    assert sets.violations == {"independent": 0.0}
    assert not sets.warnings


def test_the_trace(sets: Optimum) -> None:
    trace = sets.trace
    assert all(values.shape == (8, 120) for values in trace.values())
    assert np.array_equal(trace["best"], np.minimum.accumulate(trace["best"], axis=1))
    feasible = np.where(trace["violation"] == 0, trace["objective"], np.inf)
    # The first entry may be that of the starting point.
    assert np.all(trace["best"] <= np.minimum.accumulate(feasible, axis=1))
    assert trace["temperature"][0, 0] == pytest.approx(0.6)
    assert trace["temperature"][0, -1] == pytest.approx(0.17 * 0.6)
    assert np.all(np.diff(trace["temperature"]) < 0)


def test_a_penalty_that_is_too_small_grows() -> None:
    found = mis["size"].optimize(method="anneal(gibbs(), penalty = 0.01)", **SMALL)
    assert found.best_energy == best_of((0, 1), 14, lambda x: -x.sum(), independent)
    assert found.trace["penalty"][0, 0] == pytest.approx(0.01)
    assert np.all(found.trace["penalty"].max(axis=1) > 0.3)


def test_a_penalty_stays_where_it_need_not_grow(sets: Optimum) -> None:
    weight = sets.trace["penalty"]
    swaying = int(0.9 * weight.shape[1]) - 1
    assert np.all(weight[:, :swaying] <= 1.0002)
    assert np.any(np.diff(weight[:, :swaying]) < 0)
    assert np.all(np.diff(weight[:, swaying + 2 :]) >= 0)


GLASS = """
data N: int
data edges: int[E, 2]
data J: real[E]
data h: real[N]
energy glass(s: spin[N]) = -sum(J * s[edges[:, 0]] * s[edges[:, 1]]) - dot(h, s)
constraint balanced(s: spin[N]) = sum(s) == 0
"""


@pytest.mark.parametrize("constrained", [False, True])
def test_spin_glasses(constrained: bool) -> None:
    random = random_of("glass")
    edges = graph(12, 0.5, 3)
    J, h = random.normal(size=len(edges)), random.normal(size=12)
    model = el.compile(GLASS, data={"N": 12, "edges": edges, "J": J, "h": h})

    def energy(s: np.ndarray) -> float:
        return -np.sum(J * s[edges[:, 0]] * s[edges[:, 1]]) - h @ s

    best = best_of((-1, 1), 12, energy, lambda s: s.sum() == 0 or not constrained)
    found = model.optimize(constraints=None if constrained else [], **SMALL)
    assert found.best_energy == pytest.approx(best, rel=1e-5)
    assert found.constraints == (("balanced",) if constrained else ())
    assert energy(found.best["s"].astype(int)) == pytest.approx(best, rel=1e-5)


def test_a_ring_of_colours() -> None:
    weight = random_of("colours").normal(size=(7, 3))
    model = el.compile(
        "data w: real[7, 3]\nenergy cost(c: cat(3)[7]) = sum([for i in 7: w[i, c[i]]])\n"
        "constraint differ(c: cat(3)[7]) = c != roll(c, 1, axis = 0)\n",
        data={"w": weight},
    )
    best = best_of((0, 1, 2), 7, lambda c: weight[np.arange(7), c].sum(), lambda c: np.all(c != np.roll(c, 1)))
    assert model.optimize(**SMALL).best_energy == pytest.approx(best, rel=1e-5)


def test_a_knapsack() -> None:
    random = random_of("knapsack")
    value, weight = random.uniform(1, 5, 9), random.integers(1, 9, 9)
    model = el.compile(
        "data v: real[9]\ndata w: int[9]\nenergy worth(x: binary[9]) = -dot(v, x)\n"
        "constraint carried(x: binary[9]) = sum(w * x) <= 20\n",
        data={"v": value, "w": weight},
    )
    found = model.optimize(**SMALL)
    best = best_of((0, 1), 9, lambda x: -(value @ x), lambda x: weight @ x <= 20)
    assert weight @ found.best["x"] <= 20
    assert found.best_energy == pytest.approx(best, rel=1e-5)


def test_changes_that_are_estimates() -> None:
    factor = random_of("estimates").normal(1, 0.5, 9)
    model = el.compile(
        "data f: real[9]\nenergy e(x: binary[9]) = prod(1 + (f - 1) * x)\n"
        "constraint even(x: binary[9]) = sum(x) % 2 == 0\n",
        data={"f": factor},
    )
    assert model.plan("optimize").problem().facts.gains == "estimate"
    best = best_of((0, 1), 9, lambda x: np.prod(np.where(x, factor, 1)), lambda x: x.sum() % 2 == 0)
    found = model.optimize(**SMALL)
    assert found.best["x"].sum() % 2 == 0
    assert found.best_energy == pytest.approx(best, rel=1e-4)


def test_reals_beside_choices() -> None:
    """For each z the lowest energy is at x = 3 z - 1: then 0.5 where z = 0 and 0 where z = 1."""
    model = el.compile("energy e(x: real, z: binary) = (x - 3 * z + 1)^2 + 0.5 * (1 - z)")
    found = model.optimize(**SMALL)
    assert found.best_energy == pytest.approx(0.0, abs=1e-6)
    assert found.best["x"] == pytest.approx(2.0, abs=1e-3)
    assert found.best["z"] == 1


# --- what can be wrong ------------------------------------------------------------------------------------------------


def test_constraints_that_contradict_each_other() -> None:
    model = el.compile(
        "energy e(x: binary[6]) = -sum(x)\nconstraint many(x: binary[6]) = x >= 1\nconstraint few(x: binary[6]) = sum(x) == 2\n"
    )
    found = model.optimize(**SMALL)
    assert not found.feasible
    assert found.violation == 4
    assert sum(found.violations.values()) == 4
    assert np.all(np.isinf(found.restarts))
    assert np.all(np.isinf(found.trace["best"]))
    assert "no restart found a point that satisfies the constraints" in found.warnings[0]


def test_refused() -> None:
    model = el.compile(
        "energy e(x: real[2], z: binary[2]) = sum((x - z)^2)\nconstraint c(x: real[2]) = x <= 0.5\n"
        "constraint d(z: binary[2]) = sum(z) <= 1\n"
    )
    with pytest.raises(DiagnosticError, match="E0665: `c` constrains `x`, which is continuous"):
        model.plan("optimize")
    with pytest.raises(DiagnosticError, match="E0663: there is no constraint `f`"):
        model.plan("optimize", options={"constraints": ["d", "f"]})
    with pytest.raises(DiagnosticError, match="E0664: annealing cools"):
        model.optimize(method="anneal(blocks(gibbs(), mala()), start = 1, end = 2)", constraints=["d"])
    for method in (
        "anneal()",
        "anneal(gibbs(), mala())",
        "anneal(enumerate())",
        "anneal(tempering(gibbs()))",
        "anneal(z = gibbs())",
    ):
        with pytest.raises(DiagnosticError, match=r"E0206|E0658|E0604|E0602"):
            model.plan("optimize", method=method, options={"constraints": []})


# --- what is missed ---------------------------------------------------------------------------------------------------


def test_by_how_much_constraints_are_missed() -> None:
    names = {
        "a": ("x <= 1", lambda x, z: np.maximum(0, x - 1).sum()),
        "b": ("x >= z", lambda x, z: np.maximum(0, z - x).sum()),
        "c": ("sum(x) == 4", lambda x, z: abs(x.sum() - 4)),
        "d": ("x < z", lambda x, z: np.maximum(0, x - z + 1).sum()),
        "e": ("x > 1", lambda x, z: np.maximum(0, 2 - x).sum()),
        "f": ("x != z", lambda x, z: (x == z).sum()),
        "g": ("x <= 1 and z >= 1", lambda x, z: np.maximum(0, x - 1).sum() + np.maximum(0, 1 - z).sum()),
        "h": ("x == 0 or z == 0", lambda x, z: ((x > 0) & (z > 0)).sum()),
        "i": ("0.5 * x[0] < 0.6", lambda x, z: int(0.5 * x[0] >= 0.6)),
    }
    text = "energy size(x: cat(4)[3], z: cat(4)[3]) = sum(x * z)\n"
    text += "".join(f"constraint {n}(x: cat(4)[3], z: cat(4)[3]) = {body}\n" for n, (body, _) in names.items())
    problem = el.compile(text).plan("optimize").problem()
    missed = jax.jit(problem.missed)
    random = random_of("missed")
    for _ in range(20):
        x, z = random.integers(0, 4, 3), random.integers(0, 4, 3)
        measure, found = missed(Point(jnp.zeros(0), (jnp.concatenate([x, z]).astype(jnp.int32),)))
        assert measure.energy == (x * z).sum()
        wanted = {name: float(of(x, z)) for name, (_, of) in names.items()}
        assert {name: float(value) for name, value in found.items()} == wanted
        assert measure.violation == sum(wanted.values())


def test_refined_points_have_no_better_neighbour() -> None:
    problem = mis.plan("optimize").problem()
    starts = random_of("refined").integers(0, 2, (64, 14)).astype(np.int32)
    refined = jax.jit(jax.vmap(lambda code: refine(problem, Point(jnp.zeros(0), (code,))).code[0]))
    for x in np.asarray(refined(starts)):
        assert independent(x)
        assert maximal(x)


# --- searches that forget -----------------------------------------------------------------------------------------------

HOT: dict[str, Any] = {"method": "anneal(gibbs(), start = 50, end = 50)", "steps": 60, "chains": 4, "refine": False}


def remembers(found: Optimum) -> bool:
    """Whether what restarts end with is the lowest that they saw."""
    return bool(np.all(found.restarts <= found.trace["objective"].min(axis=1)))


def test_the_best_so_far_is_kept_and_a_search_that_forgets_it_is_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    model = el.compile("energy e(s: spin[40]) = -sum(s * roll(s, 1, axis = 0))")
    assert remembers(model.optimize(**HOT))
    monkeypatch.setattr(optimize, "better", lambda new, old, tolerance: jnp.ones((), bool))
    other = el.compile("energy e(s: spin[39]) = -sum(s * roll(s, 1, axis = 0))")
    assert not remembers(other.optimize(**HOT))
