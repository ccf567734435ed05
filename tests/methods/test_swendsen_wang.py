"""Clusters: connected components, the couplings that the compiler finds, and the law of every kind of model.

LANES lanes, Pearson's chi-square at level 1e-6 over at most 81 configurations (w = 0.097 detected with power 0.999). The
oracles are numpy sums over all configurations of energies written by hand below, which never see the compiler. Twins: bonds
of half the strength, fields left out.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from itertools import product
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

import energylang
from energylang.diagnostics import DiagnosticError
from energylang.methods.blocks import Blocks
from energylang.methods.slice import Slice
from energylang.methods.swendsen_wang import SwendsenWang, components
from energylang.methods.tempering import Tempering
from energylang.model import Point
from tests.support import invariance
from tests.support.targets import numbers

LANES = 16384
EFFECT = 0.097


class Loose(SwendsenWang):
    """Binds with probability 1 - exp(-J / 2)."""

    def _bound(self, strength: Any, agree: Any, uniform: Any) -> Any:
        return super()._bound(0.5 * strength, agree, uniform)


class NoField:
    """A target that forgets the energies of single sites."""

    def __init__(self, law: Any) -> None:
        self.law, self.facts, self.pairs = law, law.facts, law.pairs

    def couplings(self, x: Point) -> Any:
        return self.law.couplings(x)[0], None


class Fieldless(SwendsenWang):
    def step(self, target: Any, tune: Any, state: Any, key: Any) -> Any:
        return super().step(NoField(target), tune, state, key)  # type: ignore[arg-type]


EDGES = [[0, 1], [1, 2], [2, 0], [2, 3], [3, 4], [1, 4]]
J = [0.3, 0.9, 0.0, 0.5, 0.7, 0.2]
H = [0.4, -0.2, 0.1, 0.0, -0.6]
GRAPH = "data edges: cat(5)[E, 2]\ndata J: real[E]\ndata h: real[5]\n"
DATA: dict[str, Any] = {"edges": EDGES, "J": J, "h": H}

Weigh = Callable[[np.ndarray], float]


def graph_energy(agree: Callable[[int, int], float], field: Callable[[int, int], float]) -> Weigh:
    return lambda s: (
        -sum(j * agree(s[a], s[b]) for (a, b), j in zip(EDGES, J, strict=True))
        + sum(field(i, v) for i, v in enumerate(s))
    )


MODELS: dict[str, tuple[str, dict[str, Any], list[Any], Weigh]] = {
    "spins on a graph": (
        GRAPH + "energy e(s: spin[5]) = -sum(J * s[edges[:, 0]] * s[edges[:, 1]]) - dot(h, s)",
        DATA,
        [(-1, 1)] * 5,
        graph_energy(lambda a, b: a * b, lambda i, v: -H[i] * v),
    ),
    "binary with a field of its coupling": (
        GRAPH + "energy e(s: binary[5]) = -2 * sum(J * s[edges[:, 0]] * s[edges[:, 1]]) + sum(h * s)",
        DATA,
        [(0, 1)] * 5,
        graph_energy(lambda a, b: 2 * a * b, lambda i, v: H[i] * v),
    ),
    "potts with fields": (
        "data edges: cat(4)[E, 2]\ndata J: real[E]\ndata g: real[3] = [0.5, 0, -0.4]\n"
        "energy e(s: cat(3)[4]) = -sum(J * (s[edges[:, 0]] == s[edges[:, 1]])) + sum(g[s])",
        {"edges": EDGES[:4], "J": J[:4]},
        [(0, 1, 2)] * 4,
        lambda s: (
            -sum(j * (s[a] == s[b]) for (a, b), j in zip(EDGES[:4], J[:4], strict=True))
            + sum((0.5, 0.0, -0.4)[v] for v in s)
        ),
    ),
    "torus of length two": (
        "energy e(s: spin[2, 3]) = -0.3 * (sum(s * roll(s, 1, axis = 0)) + sum(s * roll(s, 1, axis = 1)))",
        {},
        [(-1, 1)] * 6,
        lambda s: (
            -0.3 * sum(2 * s[i] * s[3 + i] for i in range(3))
            - 0.3 * sum(s[3 * r + i] * s[3 * r + (i + 1) % 3] for r in range(2) for i in range(3))
        ),
    ),
    "antiferromagnet": (
        "energy e(s: spin[5]) = 0.6 * sum(s[1:] * s[:-1]) + 0.3 * s[0]",
        {},
        [(-1, 1)] * 5,
        lambda s: 0.6 * sum(s[i] * s[i + 1] for i in range(4)) + 0.3 * s[0],
    ),
    "several variables": (
        "energy e(a: spin[2], b: binary[2], c: cat(3)[2]) ="
        " -0.8 * (a[0] == 2 * b[0] - 1) - 0.5 * sum(a * (2 * b - 1)) - 0.9 * (c[0] == c[1]) + 0.3 * (c[1] == 2)",
        {},
        [(-1, 1)] * 2 + [(0, 1)] * 2 + [(0, 1, 2)] * 2,
        lambda s: (
            -0.8 * (s[0] == 2 * s[2] - 1)
            - 0.5 * (s[0] * (2 * s[2] - 1) + s[1] * (2 * s[3] - 1))
            - 0.9 * (s[4] == s[5])
            + 0.3 * (s[5] == 2)
        ),
    ),
}


@cache
def target(model: str) -> Any:
    source, data, _, _ = MODELS[model]
    return energylang.compile(source, data=data or None)["e"].target()


@cache
def oracle(model: str) -> tuple[np.ndarray, np.ndarray]:
    """(codes int[N, sites] in the order of `numbers`, their energies)."""
    _, _, values, energy = MODELS[model]
    codes = np.asarray(list(product(*(range(len(v)) for v in values))))
    return codes, np.asarray([energy(np.asarray([v[c] for v, c in zip(values, row, strict=True)])) for row in codes])


def points(model: str, codes: np.ndarray) -> Point:
    sizes = np.cumsum(target(model).facts.sites)[:-1]
    return Point(
        jnp.zeros((len(codes), 0)), tuple(jnp.asarray(part, jnp.int32) for part in np.split(codes, sizes, axis=1))
    )


def misfit(kernel: Any, model: str, begin: str) -> float:
    """Pearson's statistic over its threshold, after a run from exact draws or from the least likely configuration."""
    codes, energies = oracle(model)
    weights = np.exp(-energies)
    weights /= weights.sum()
    number = invariance.seed(f"{type(kernel).__name__}/{model}/{begin}")
    if begin == "exact":
        rows = np.random.default_rng(number).choice(len(weights), size=LANES, p=weights)
    else:
        rows = np.full(LANES, np.argmin(weights))
    steps = 3 if begin == "exact" else 30
    x = points(model, codes[rows])
    ends, _ = invariance.evolve(kernel, target(model), (), x, jax.random.key(number), steps)
    statistic, threshold = invariance.chi_square(numbers(target(model).facts, ends.code), weights)
    return statistic / threshold


def test_the_stated_effect() -> None:
    assert invariance.chi_square_effect(LANES, 81) <= EFFECT


@pytest.mark.parametrize("model", MODELS)
def test_couplings_and_fields_are_the_energy(model: str) -> None:
    """Of every configuration, up to one constant; the couplings are those of pairs that differ from each other."""
    law = target(model)
    codes, energies = oracle(model)
    pairs = np.asarray(law.pairs())
    assert len(np.unique(np.sort(pairs, axis=1), axis=0)) == len(pairs)
    strength, field = law.couplings(jax.tree.map(lambda leaf: leaf[0], points(model, codes[:1])))
    found = -((codes[:, pairs[:, 0]] == codes[:, pairs[:, 1]]) @ np.asarray(strength, np.float64))
    if field is not None:
        found = found + np.asarray(field, np.float64)[np.arange(codes.shape[1]), codes].sum(axis=1)
    assert np.ptp(found - energies) < 1e-5
    assert (field is None) == (model == "torus of length two")


@pytest.mark.parametrize("begin", invariance.mostly_long(("exact", "mass"), "exact"))
@pytest.mark.parametrize("model", invariance.mostly_long(MODELS, "potts with fields"))
def test_the_law_is_kept_and_found(model: str, begin: str) -> None:
    assert misfit(SwendsenWang(), model, begin) < 1


@pytest.mark.parametrize(
    "model",
    invariance.mostly_long(("spins on a graph", "potts with fields", "torus of length two"), "potts with fields"),
)
def test_loose_bonds_are_rejected(model: str) -> None:
    assert misfit(Loose(), model, "exact") > 1


@pytest.mark.parametrize(
    "model", invariance.mostly_long(("spins on a graph", "potts with fields"), "potts with fields")
)
def test_fields_left_out_are_rejected(model: str) -> None:
    assert misfit(Fieldless(), model, "exact") > 1


@pytest.mark.parametrize("density", [0.0, 0.5, 1.0, 3.0])
def test_components_are_those_of_scipy(density: float) -> None:
    """Random graphs below, at and above the point where a giant component appears, and a path numbered at random."""
    count = 500
    generator = np.random.default_rng(invariance.seed(f"components {density}"))
    pairs = generator.integers(0, count, (int(density * count), 2))
    path = generator.permutation(count)
    for edges in (pairs, np.stack([path[:-1], path[1:]], axis=1)):
        bound = generator.random(len(edges)) < 0.9
        found = np.asarray(components(count, edges, jnp.asarray(bound)))
        graph = coo_matrix((np.ones(bound.sum()), tuple(edges[bound].T)), shape=(count, count))
        _, wanted = connected_components(graph, directed=False)
        least = np.asarray([np.flatnonzero(wanted == label)[0] for label in wanted])
        assert np.array_equal(found, least)


# --- in company ---------------------------------------------------------------------------------------------------

MIXED = """
energy e(s: spin[4], t: spin[2], beta: positive) {
  beta ~ gamma(2, 8)
  += -beta * (sum(s[1:] * s[:-1]) + s[0] * t[0] + t[0] * t[1])
}
"""


def test_parts_of_a_model_in_blocks() -> None:
    """s and t each by clusters of their own given the other, beta by slices: its law by quadrature, and that of t given it."""
    law = energylang.compile(MIXED)["e"].target()
    kernel = Blocks((("s", SwendsenWang()), ("t", SwendsenWang()), (None, Slice())))
    lanes = 4096
    x = Point(jnp.zeros((lanes, 1)), (jnp.zeros((lanes, 6), jnp.int32),))
    tune = jax.jit(lambda law: kernel.tuning(law)[0])(law)
    ends, _ = invariance.evolve(kernel, law, tune, x, jax.random.key(invariance.seed("blocks")), 60)
    grid = (np.arange(400_000) + 0.5) * 1e-4
    spins = 2 * np.asarray(list(product((0, 1), repeat=6))) - 1
    bonds = (spins[:, 1:4] * spins[:, :3]).sum(axis=1) + spins[:, 0] * spins[:, 4] + spins[:, 4] * spins[:, 5]
    sizes, counts = np.unique(bonds, return_counts=True)
    density = grid * np.exp(-8 * grid) * (counts * np.exp(np.outer(grid, sizes))).sum(axis=1)
    probabilities = np.asarray([(c * grid * np.exp((b - 8) * grid)).sum() for b, c in zip(sizes, counts, strict=True)])
    found = 2 * np.asarray(ends.code[0]) - 1
    seen = (found[:, 1:4] * found[:, :3]).sum(axis=1) + found[:, 0] * found[:, 4] + found[:, 4] * found[:, 5]
    statistic, threshold = invariance.chi_square(np.searchsorted(sizes, seen), probabilities / probabilities.sum())
    assert statistic < threshold
    cumulative = np.cumsum(density) / density.sum()
    beta = np.exp(np.asarray(ends.real)[:, 0])
    assert invariance.distance(beta, lambda b: np.interp(b, grid, cumulative)) < invariance.dkwm_threshold(lanes)


def test_temperatures_scale_couplings_and_fields() -> None:
    law = target("spins on a graph")
    x = jax.tree.map(lambda leaf: leaf[0], points("spins on a graph", oracle("spins on a graph")[0][:1]))
    whole, half = law.couplings(x), law.at(jnp.asarray(0.5)).couplings(x)
    assert np.allclose(half[0], 0.5 * whole[0])
    assert np.allclose(half[1], 0.5 * whole[1])
    run = energylang.compile(MODELS["spins on a graph"][0], data=DATA)["e"].sample(
        method="tempering(swendsen_wang(), levels = 3)", draws=50, warmup=20, chains=2
    )
    assert "clusters" in run.data.names("sample_stats")
    assert isinstance(Tempering(SwendsenWang()).moves, str)


# --- what is refused ----------------------------------------------------------------------------------------------

REFUSED: dict[str, tuple[str, dict[str, Any], str, str]] = {
    "three at once": ("energy e(s: spin[4]) = -sum(s[2:] * s[1:-1] * s[:-2])", {}, "E0655", "couples 3 sites"),
    "a matrix": (
        "data A: real[n, n]\nenergy e(s: spin[n]) = -dot(s, A @ s)", {"A": np.ones((3, 3))}, "E0655", "list of edges",
    ),
    "frustrated": (
        "energy e(s: spin[3]) = sum(s * roll(s, 1))", {}, "E0655", "go round a cycle",
    ),
    "frustrated by data": (
        GRAPH + "energy e(s: spin[5]) = -sum(J * s[edges[:, 0]] * s[edges[:, 1]]) - dot(h, s)",
        DATA | {"J": [0.3, 0.9, -0.4, 0.5, 0.7, 0.2]}, "E0655", "go round a cycle",
    ),
    "potts that differs": ("energy e(s: cat(3)[4]) = sum(s[1:] == s[:-1])", {}, "E0655", "asked to differ"),
    "a clock": ("energy e(s: cat(4)[3]) = -sum(cos(pi / 2 * (s[1:] - s[:-1])))", {}, "E0655", "more than whether"),
    "unequal sites": ("energy e(a: spin, c: cat(3)) = -a * (c == 1)", {}, "E0655", "sites of 2 and 3 values"),
    "many values": ("energy e(c: cat(100)[3]) = -sum(c[1:] == c[:-1])", {}, "E0655", "more than 64 values"),
    "forbidden values": (
        "energy e(c: cat(3)[4]) = sum(if c[1:] == c[:-1] then 0.0 else 1.0 / 0.0)", {}, "E0655", "forbids some values",
    ),
    "an unknown sign": (
        "energy e(s: cat(3)[4], b: real) {\n  b ~ normal(0, 1)\n  += -b * sum(s[1:] == s[:-1])\n}", {}, "E0656", "sign",
    ),
    "an unknown table": (
        "energy e(s: cat(3)[4], W: real[3, 3]) {\n  W ~ normal(0, 1)\n  += -sum(W[s[1:], s[:-1]])\n}", {}, "E0656", "factor",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_other_energies_are_refused_with_the_reason(case: str) -> None:
    source, data, code, fragment = REFUSED[case]
    energy = energylang.compile(source, data=data or None)["e"]
    method = "swendsen_wang()" if "real" not in source.split("energy")[1] else "blocks(swendsen_wang(), slice())"
    with pytest.raises(DiagnosticError) as caught:
        energy.sample(method=method, draws=2, warmup=2, chains=1)
    (found,) = caught.value.diagnostics
    assert found.code == code
    assert fragment in f"{found.message} {found.cause} {found.fix}"


def test_signs_that_the_space_shows() -> None:
    source = "energy e(s: cat(3)[4], b: positive[3]) {\n  b ~ gamma(2, 2)\n  += -sum(b * (s[1:] == s[:-1]))\n}"
    law = energylang.compile(source)["e"].target()
    assert law.pairs().tolist() == [[0, 1], [1, 2], [2, 3]]
    strength, field = law.couplings(Point(jnp.log(jnp.asarray([1.0, 2.0, 3.0])), (jnp.zeros(4, jnp.int32),)))
    assert np.allclose(strength, [1, 2, 3])
    assert field is None
