"""The discrete targets of the library, as `examples/targets` uses them: energies and gains against plain loops in numpy."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats
from scipy.special import log_softmax, logsumexp

import energylang
from energylang.model import Point

FOLDER = Path(__file__).parents[1] / "examples" / "targets"
STATES = 6
"""Random configurations that each target is looked at."""

Values = dict[str, np.ndarray]


def neighbours(shape: tuple[int, ...], periodic: bool):
    """Every bond of a lattice, as two indices."""
    for site in np.ndindex(shape):
        for axis, size in enumerate(shape):
            if periodic or site[axis] + 1 < size:
                other = list(site)
                other[axis] = (site[axis] + 1) % size
                yield site, tuple(other)


def ising_fields(s: np.ndarray, data: Values) -> float:
    return -0.5 * sum(s[a] * s[b] for a, b in neighbours(s.shape, False)) - float((data["h"] * s).sum())


def ising_3d(s: np.ndarray, data: Values) -> float:
    return -0.2 * sum(s[a] * s[b] for a, b in neighbours(s.shape, True)) - 0.05 * float(s.sum())


def potts_2d(s: np.ndarray, data: Values) -> float:
    return -0.8 * sum(s[a] == s[b] for a, b in neighbours(s.shape, False)) - sum(data["h"][v] for v in s.ravel())


def potts_3d(s: np.ndarray, data: Values) -> float:
    return -0.4 * sum(s[a] == s[b] for a, b in neighbours(s.shape, True))


def bernoulli_product(x: np.ndarray, data: Values) -> float:
    return -float(stats.bernoulli.logpmf(x, 1 / (1 + np.exp(-data["log_odds"]))).sum())


def categorical_product(x: np.ndarray, data: Values) -> float:
    return -sum(log_softmax(row)[v] for row, v in zip(data["scores"], x, strict=True))


def spin_glass(s: np.ndarray, data: Values) -> float:
    return -sum(J * s[a] * s[b] for (a, b), J in zip(data["edges"], data["weights"], strict=True))


def max_cut(s: np.ndarray, data: Values) -> float:
    return -sum(w for (a, b), w in zip(data["edges"], data["weights"], strict=True) if s[a] != s[b])


def independent_set(x: np.ndarray, data: Values) -> float:
    return -x.sum() + 1.1 * sum(1 for a, b in data["edges"] if x[a] and x[b])


def max_clique(x: np.ndarray, data: Values) -> float:
    there = {frozenset(map(int, edge)) for edge in data["edges"]}
    chosen = np.flatnonzero(x)
    missing = [1 for i in chosen for j in chosen if i < j and frozenset((int(i), int(j))) not in there]
    return -len(chosen) + 1.1 * sum(missing)


def balanced_cut(x: np.ndarray, data: Values) -> float:
    cut = sum(w for (a, b), w in zip(data["edges"], data["weights"], strict=True) if x[a] != x[b])
    return cut + 0.3 * sum((np.count_nonzero(x == part) - len(x) / 3) ** 2 for part in range(3))


def rbm_visible(v: np.ndarray, data: Values) -> float:
    """The hidden units summed over one configuration after another."""
    W, b, c = data["W"], data["b"], data["c"]
    hidden = np.array(list(np.ndindex(*(2,) * len(c))))
    return -float(logsumexp(hidden @ (v @ W + c)) + b @ v)


def factorial_hmm(x: np.ndarray, data: Values) -> float:
    log_p = stats.bernoulli.logpmf(x[0], 0.1).sum()
    for before, now in pairwise(x):
        log_p += np.log(np.where(before == now, 0.8, 0.2)).sum()
    return -float(log_p + stats.norm.logpdf(data["y"], x @ data["w"], 0.5).sum())


def factorial_hmm_categorical(x: np.ndarray, data: Values) -> float:
    start, transition = [0.7, 0.2, 0.1], [[0.8, 0.1, 0.1], [0.2, 0.6, 0.2], [0.1, 0.2, 0.7]]
    log_p = 0.0
    for t, row in enumerate(x):
        for chain, value in enumerate(row):
            log_p += np.log(start[value] if t == 0 else transition[x[t - 1, chain]][value])
        mean = sum(data["w"][chain, value] for chain, value in enumerate(row))
        log_p += stats.norm.logpdf(data["y"][t], mean, 0.5)
    return -float(log_p)


def net(x: np.ndarray, params: Values, act: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """A multilayer perceptron from its weights."""
    layers = sum(name.startswith("f.weight") for name in params)
    for i in range(layers):
        x = np.asarray(params[f"f.weight{i}"], float).T @ x + np.asarray(params[f"f.bias{i}"], float)
        x = act(x) if i + 1 < layers else x
    return x


def swish(x: np.ndarray) -> np.ndarray:
    return x / (1 + np.exp(-x))


def relu(x: np.ndarray) -> np.ndarray:
    return np.maximum(x, 0)


def deep_binary(x: np.ndarray, data: Values) -> float:
    return -float(net(x, data, swish).item() + data["base"] @ x)


def deep_categorical(x: np.ndarray, data: Values) -> float:
    flat = np.eye(3)[x].ravel()
    return -float(net(flat, data, swish).item() + data["base"].ravel() @ flat)


def infill(x: np.ndarray, data: Values) -> float:
    text, r = np.concatenate([data["left"], x, data["right"]]), len(data["left"])
    total = 0.0
    for i in range(r, len(text) - r):
        around = np.concatenate([text[i - r : i], text[i + 1 : i + 1 + r]])
        total -= log_softmax(net(np.eye(4)[around].ravel(), data, relu))[text[i]]
    return total


@dataclass(frozen=True)
class Case:
    """A target: its energy in numpy, the energy's name where the file has several, and the structure one expects."""

    energy: Callable[[np.ndarray, Values], float]
    kinds: tuple[str, ...]
    name: str | None = None
    sizes: tuple[tuple[str, int], ...] = ()


CASES = {
    "bernoulli_product": Case(bernoulli_product, ("gather",)),
    "categorical_product": Case(categorical_product, ("gather",)),
    "ising_fields": Case(ising_fields, ("gather",)),
    "ising_3d": Case(ising_3d, ("gather",), sizes=(("n", 3),)),
    "potts_2d": Case(potts_2d, ("gather",), sizes=(("n", 4),)),
    "potts_3d": Case(potts_3d, ("gather",), sizes=(("n", 3),)),
    "spin_glass": Case(spin_glass, ("gather",)),
    "rbm_visible": Case(rbm_visible, ("gather", "opaque"), "visible"),
    "factorial_hmm": Case(factorial_hmm, ("gather", "quadratic")),
    "factorial_hmm_categorical": Case(factorial_hmm_categorical, ("gather", "opaque")),
    "deep_binary": Case(deep_binary, ("gather", "opaque")),
    "deep_categorical": Case(deep_categorical, ("gather", "opaque")),
    "max_cut": Case(max_cut, ("gather",)),
    "independent_set": Case(independent_set, ("gather",)),
    "max_clique": Case(max_clique, ("gather", "sums")),
    "balanced_cut": Case(balanced_cut, ("gather", "opaque")),
    "infill": Case(infill, ("opaque",), "gap"),
}


@pytest.fixture(scope="module")
def targets():
    found = {}
    for name, case in CASES.items():
        model = energylang.load(FOLDER / f"{name}.energy", set=dict(case.sizes))
        found[name] = model[case.name or next(iter(model))]
    return found


def known(energy) -> Values:
    """Data and params by name."""
    return {**energy.model.data, **{name: np.asarray(value) for name, value in energy.params.items()}}


def states(name: str, energy) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Random configurations: codes [STATES, sites], the values of a code, and values [STATES, *shape]."""
    ((_, slot),) = energy.compiled.program.code_slots.items()
    generator = np.random.default_rng(zlib.crc32(name.encode()))
    codes = generator.integers(0, slot.cardinality, (STATES, slot.size))
    levels = np.asarray(slot.decode(np.arange(slot.cardinality)))
    return codes, levels, levels[codes].reshape(STATES, *slot.shape)


def test_every_example_is_tested():
    assert set(CASES) == {path.stem for path in FOLDER.glob("*.energy")}


@pytest.mark.parametrize("name", CASES)
def test_every_example_is_right_and_finite(name):
    text = (FOLDER / f"{name}.energy").read_text()
    assert "sample" in text
    assert not energylang.load(FOLDER / f"{name}.energy").diagnostics


@pytest.mark.parametrize("name", CASES)
def test_energies_and_gains(targets, name):
    """The energy at random configurations, and its change at every site and value: exact, or an estimate that says so."""
    case, energy = CASES[name], targets[name]
    codes, levels, values = states(name, energy)
    data, shape = known(energy), values.shape[1:]
    expected = np.array([case.energy(v, data) for v in values])
    target = energy.target()
    points = Point(jnp.zeros((STATES, 0)), (jnp.asarray(codes, jnp.int32),))
    found, (gains,) = jax.jit(jax.vmap(lambda p: (target.energy(p), target.gains(p))))(points)
    np.testing.assert_allclose(found, expected, rtol=2e-5, atol=2e-5)
    estimated = "opaque" in case.kinds
    assert energy.compiled.program.facts.gains == ("estimate" if estimated else "exact")
    for state in range(STATES if not estimated else 0):
        for site in range(codes.shape[1]):
            for code, level in enumerate(levels):
                moved = values[state].copy().ravel()
                moved[site] = level
                gain = expected[state] - case.energy(moved.reshape(shape), data)
                assert float(gains[state, site, code]) == pytest.approx(gain, rel=1e-4, abs=1e-4), (site, code)


@pytest.mark.parametrize("name", CASES)
def test_structure_is_what_one_expects(targets, name):
    kinds = {s.kind for s in targets[name].compiled.program.structured if s.kind != "continuous"}
    assert tuple(sorted(kinds)) == CASES[name].kinds


@pytest.mark.parametrize("name", ["spin_glass", "max_cut", "independent_set", "max_clique", "balanced_cut"])
def test_a_forgotten_edge_is_noticed(targets, name):
    """The broken twin: the same graph without its last edge has other energies."""
    energy = targets[name]
    _, levels, values = states(name, energy)
    values = np.concatenate([values, np.full_like(values[:1], levels[-1])])
    fewer = {key: value[:-1] if key in ("edges", "weights") else value for key, value in energy.model.data.items()}
    found = np.array([float(energy(**{next(iter(energy.node.variables)).name: v})) for v in values])
    broken = np.array([CASES[name].energy(v, fewer) for v in values])
    assert np.abs(found - broken).max() > 0.1


def test_summing_the_hidden_units_out():
    """`marginal(joint, over = h)` and the free energy written by hand are one energy; a layer of the joint is a colour."""
    text = (FOLDER / "rbm_visible.energy").read_text()
    model = energylang.compile(text + "\nenergy summed = marginal(joint, over = h)\n")
    assert model["joint"].compiled.program.facts.colours == 2
    for v in np.random.default_rng(0).integers(0, 2, (3, 6)):
        assert float(model["summed"](v=v)) == pytest.approx(float(model["visible"](v=v)), abs=1e-4)


def test_infilling_learns_its_text():
    """What surrounds a symbol settles it, but for the 2 and the 3 of "012013…": each of these costs log 2 at best."""
    model = energylang.load(FOLDER / "infill.energy")
    training = model["symbol"].train(steps=400)
    gap = model["gap"].with_params(training.params)
    right, wrong = np.array([2, 0, 1, 3, 0]), np.array([2, 0, 1, 1, 0])
    assert float(gap(x=right)) == pytest.approx(2 * np.log(2), abs=0.15)
    assert float(gap(x=wrong)) > float(gap(x=right)) + 2
    assert float(model["gap"](x=right)) > 3
