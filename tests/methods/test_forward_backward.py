"""Draws along trees: the groups that are found, the law of every kind of model, smoothing along a long chain.

LANES lanes, Pearson's chi-square at level 1e-6 over at most 144 configurations (w = 0.107 detected with power 0.999). The
oracles are numpy sums over all configurations of energies written by hand below, which never see the compiler. Where all
sites are one tree a single step from one point must give the law. Twins: groups drawn from what stood before the step,
couplings left out, energies halved.
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

import energylang
from energylang.diagnostics import DiagnosticError
from energylang.methods._uncached import UncachedState
from energylang.methods.blocks import Blocks
from energylang.methods.forward_backward import ForwardBackward
from energylang.methods.mala import Mala, MalaTuning
from energylang.model import Point
from tests.methods.test_compiled import MIXED
from tests.support import invariance
from tests.support.targets import Mixture, numbers

LANES = 16384
EFFECT = 0.107


class Stale(ForwardBackward):
    """Draws every group given what stood before the step: all at once."""

    def step(self, target: Any, tune: Any, state: Any, key: Any) -> Any:
        tables, code = target.tree_tables(state.x), state.x.code
        for kind, count in enumerate(target.trees()):
            for number in range(count):
                drawn, _ = target.redrawn(state.x, kind, number, tables, key)
                code = jax.tree.map(lambda a, b, old: jnp.where(b != old, b, a), code, drawn.code, state.x.code)
        return UncachedState(Point(state.x.real, code)), {"acceptance_rate": jnp.ones(())}


class Changed:
    """A target with other tables."""

    def __init__(self, law: Any, single: float, coupling: float) -> None:
        self.law, self.trees, self.redrawn = law, law.trees, law.redrawn
        self.single, self.coupling = single, coupling

    def tree_tables(self, x: Point) -> Any:
        tables = self.law.tree_tables(x)
        coupling = tuple(self.coupling * table for table in tables.coupling)
        return tables._replace(unary=self.single * tables.unary, coupling=coupling)


class Uncoupled(ForwardBackward):
    def step(self, target: Any, tune: Any, state: Any, key: Any) -> Any:
        return super().step(Changed(target, 1.0, 0.0), tune, state, key)  # type: ignore[arg-type]


class Halved(ForwardBackward):
    def step(self, target: Any, tune: Any, state: Any, key: Any) -> Any:
        return super().step(Changed(target, 0.5, 0.5), tune, state, key)  # type: ignore[arg-type]


def normal(y: float, mean: Any, sigma: float) -> Any:
    return 0.5 * ((y - mean) / sigma) ** 2


Y = [0.4, 2.1, 1.3]
THETA = np.array([[0.7, 0.3], [0.2, 0.8]])
W3 = np.array([[0.0, 1.0, 2.5], [0.0, 0.7, 1.4]])
START = np.array([0.5, 0.3, 0.2])
STEP = np.array([[0.8, 0.1, 0.1], [0.2, 0.6, 0.2], [0.1, 0.2, 0.7]])


def chain(z: np.ndarray) -> Any:
    y = [2.5, 4.0, 8.0, 9.5, 7.0]
    moves = -sum(np.log(THETA[z[i], z[i + 1]]) for i in range(4))
    return moves + sum(normal(y[i], (3.0, 9.0)[z[i]], 2.5) for i in range(5))


def factorial(x: np.ndarray) -> float:
    grid = x.reshape(3, 2)
    first: Any = -sum(np.log(0.2) if v else np.log(0.8) for v in grid[0])
    moves = -sum(np.log(0.7) if grid[t, k] == grid[t + 1, k] else np.log(0.3) for t in range(2) for k in range(2))
    return first + moves + sum(normal(Y[t], grid[t] @ [1.0, 1.6], 0.6) for t in range(3))


def beside_spins(x: np.ndarray) -> float:
    grid, (a, b) = x[:4].reshape(2, 2), x[4:]
    first: Any = -sum(np.log(0.2) if v else np.log(0.8) for v in grid[0])
    moves = -sum(np.log(0.7) if grid[0, k] == grid[1, k] else np.log(0.3) for k in range(2))
    seen = sum(normal(Y[t], grid[t] @ [1.0, 1.6], 0.6) for t in range(2))
    return first + moves + seen - 0.8 * a * b - 0.5 * a * grid[0, 0] - 0.9 * b * grid[0, 1]


def categorical(x: np.ndarray) -> float:
    grid = x.reshape(2, 2)
    first: Any = -sum(np.log(START[v]) for v in grid[0])
    moves = -sum(np.log(STEP[grid[0, k], grid[1, k]]) for k in range(2))
    return first + moves + sum(normal(Y[t], W3[0, grid[t, 0]] + W3[1, grid[t, 1]], 0.6) for t in range(2))


def torus(s: np.ndarray) -> float:
    grid = s.reshape(2, 3)
    return -0.4 * sum(grid[r, c] * (grid[1 - r, c] + grid[r, (c + 1) % 3]) for r in range(2) for c in range(3))


Weigh = Callable[[np.ndarray], float]
MODELS: dict[str, tuple[str, dict[str, Any], list[Any], Weigh, int]] = {
    "a hidden Markov model": (
        "data y: real[5]\ndata theta: real[2, 2]\nlet mu = [3.0, 9.0]\n"
        "energy e(z: cat(2)[5]) = -sum(log(theta[z[:-1], z[1:]])) + sum(0.5 * ((y - mu[z]) / 2.5)^2)",
        {"y": [2.5, 4.0, 8.0, 9.5, 7.0], "theta": THETA},
        [(0, 1)] * 5,
        chain,
        1,
    ),
    "two trees of several variables": (
        "data edges: cat(4)[E, 2] = [[0, 1], [0, 2]]\n"
        "energy e(s: spin[4], c: cat(3)[2]) = -0.7 * sum(s[edges[:, 0]] * s[edges[:, 1]]) + 0.3 * s[1]"
        " - 0.9 * (s[3] == 1) * (c[0] == 2) - 0.5 * abs(c[0] - c[1])",
        {},
        [(-1, 1)] * 4 + [(0, 1, 2)] * 2,
        lambda s: -0.7 * s[0] * (s[1] + s[2]) + 0.3 * s[1] - 0.9 * (s[3] == 1) * (s[4] == 2) - 0.5 * abs(s[4] - s[5]),
        1,
    ),
    "a factorial hidden Markov model": (
        "import sequences\ndata y: real[3]\nlet w = [1.0, 1.6]\n"
        "energy e(x: binary[3, 2]) = sequences.factorial_hmm(x, y, w, 0, 0.6, 0.2, 0.7)",
        {"y": Y},
        [(0, 1)] * 6,
        factorial,
        2,
    ),
    "a factorial model beside spins": (
        "import sequences\ndata y: real[2]\nlet w = [1.0, 1.6]\n"
        "energy e(x: binary[2, 2], s: spin[2]) = sequences.factorial_hmm(x, y, w, 0, 0.6, 0.2, 0.7)"
        " - 0.8 * s[0] * s[1] - 0.5 * s[0] * x[0, 0] - 0.9 * s[1] * x[0, 1]",
        {"y": Y[:2]},
        [(0, 1)] * 4 + [(-1, 1)] * 2,
        beside_spins,
        2,
    ),
    "its categorical sister": (
        "import sequences\ndata y: real[2]\ndata w: real[2, 3]\ndata start: real[3]\ndata step: real[3, 3]\n"
        "energy e(x: cat(3)[2, 2]) = sequences.factorial_hmm_categorical(x, y, w, 0.6, start, step)",
        {"y": Y[:2], "w": W3, "start": START, "step": STEP},
        [(0, 1, 2)] * 4,
        categorical,
        2,
    ),
    "a torus": (
        "energy e(s: spin[2, 3]) = -0.4 * (sum(s * roll(s, 1, axis = 0)) / 2 + sum(s * roll(s, 1, axis = 1)))",
        {},
        [(-1, 1)] * 6,
        lambda s: torus(s) + 0.2 * sum(s[i] * s[i + 3] for i in range(3)) * 2,
        3,
    ),
    "rows of three": (
        "data edges: cat(6)[E, 2] = [[0, 1], [1, 2], [2, 3], [3, 0], [3, 4], [4, 5]]\n"
        "energy e(s: spin[6]) = -0.6 * sum(s[edges[:, 0]] * s[edges[:, 1]]) + 0.8 * s[1] * s[4] * s[5]",
        {},
        [(-1, 1)] * 6,
        lambda s: -0.6 * sum(s[a] * s[b] for a, b in ((0, 1), (1, 2), (2, 3), (3, 0), (3, 4), (4, 5)))
        + 0.8 * s[1] * s[4] * s[5],
        2,
    ),
}  # fmt: skip
ONE_TREE = [name for name, model in MODELS.items() if model[4] == 1]
SEVERAL = [name for name, model in MODELS.items() if model[4] > 1]


@cache
def target(model: str) -> Any:
    source, data, *_ = MODELS[model]
    return energylang.compile(source, data=data or None)["e"].target()


@cache
def oracle(model: str) -> tuple[np.ndarray, np.ndarray]:
    """(codes int[N, sites] in the order of `numbers`, their probabilities)."""
    _, _, values, energy, _ = MODELS[model]
    codes = np.asarray(list(product(*(range(len(v)) for v in values))))
    energies = [energy(np.asarray([v[c] for v, c in zip(values, row, strict=True)])) for row in codes]
    weights = np.exp(-np.asarray(energies))
    return codes, weights / weights.sum()


def points(model: str, codes: np.ndarray) -> Point:
    parts = np.split(codes, np.cumsum(target(model).facts.sites)[:-1], axis=1)
    return Point(jnp.zeros((len(codes), 0)), tuple(jnp.asarray(part, jnp.int32) for part in parts))


def misfit(kernel: Any, model: str, begin: str, steps: int) -> float:
    """Pearson's statistic over its threshold, after a run from exact draws or from the least likely configuration."""
    codes, probabilities = oracle(model)
    number = invariance.seed(f"{type(kernel).__name__}/{model}/{begin}/{steps}")
    if begin == "exact":
        rows = np.random.default_rng(number).choice(len(codes), size=LANES, p=probabilities)
    else:
        rows = np.full(LANES, np.argmin(probabilities))
    x = points(model, codes[rows])
    ends, _ = invariance.evolve(kernel, target(model), (), x, jax.random.key(number), steps)
    statistic, threshold = invariance.chi_square(numbers(target(model).facts, ends.code), probabilities)
    return statistic / threshold


def test_the_stated_effect() -> None:
    assert invariance.chi_square_effect(LANES, 144) <= EFFECT


@pytest.mark.parametrize("model", MODELS)
def test_how_many_groups_there_are(model: str) -> None:
    assert sum(target(model).trees()) == MODELS[model][4]


@pytest.mark.parametrize("model", invariance.mostly_long(MODELS, "a factorial hidden Markov model"))
def test_exact_draws_stay_exact(model: str) -> None:
    assert misfit(ForwardBackward(), model, "exact", 3) < 1


@pytest.mark.parametrize("model", invariance.mostly_long(ONE_TREE, "a hidden Markov model"))
def test_one_step_along_one_tree_is_a_draw(model: str) -> None:
    assert misfit(ForwardBackward(), model, "mass", 1) < 1


@pytest.mark.long
@pytest.mark.parametrize("model", SEVERAL)
def test_several_groups_find_the_law(model: str) -> None:
    assert misfit(ForwardBackward(), model, "mass", 60) < 1


@pytest.mark.parametrize("model", invariance.mostly_long(SEVERAL, "a factorial hidden Markov model"))
def test_groups_drawn_all_at_once_are_rejected(model: str) -> None:
    assert misfit(Stale(), model, "exact", 3) > 1


@pytest.mark.parametrize("twin", [Uncoupled(), Halved()], ids=["uncoupled", "halved"])
@pytest.mark.parametrize(
    "model",
    invariance.mostly_long(
        ("a hidden Markov model", "a factorial hidden Markov model"), "a factorial hidden Markov model"
    ),
)
def test_wrong_tables_are_rejected(twin: Any, model: str) -> None:
    assert misfit(twin, model, "exact", 3) > 1


def test_what_is_carried_from_group_to_group_is_what_is_there() -> None:
    law = target("a factorial hidden Markov model")
    x = points("a factorial hidden Markov model", oracle("a factorial hidden Markov model")[0][-1:])
    begin = x = Point(x.real[0], tuple(code[0] for code in x.code))
    first = tables = law.tree_tables(x)
    key = jax.random.key(invariance.seed("carried"))
    for kind, count in enumerate(law.trees()):
        for number in range(count):
            x, tables = law.redrawn(x, kind, number, tables, key)
    kernel = ForwardBackward()
    whole = kernel.step(law, (), kernel.init(law, begin, key), key)[0].x
    assert all(np.array_equal(a, b) for a, b in zip(whole.code, x.code, strict=True))
    assert len(first.parts) == 1
    assert not np.allclose(first.parts[0], tables.parts[0], rtol=1e-3)
    np.testing.assert_allclose(tables.parts[0], law.tree_tables(x).parts[0], rtol=1e-5, atol=1e-5)


def test_a_long_chain_is_smoothed() -> None:
    """60 steps of three values: of one draw of each lane every site, and every pair of neighbours, has its exact law."""
    length, lanes = 60, 4096
    generator = np.random.default_rng(invariance.seed("smoothing"))
    y = generator.normal(size=length).round(3)
    source = (
        f"data y: real[{length}]\ndata step: real[3, 3]\nlet mu = [-1.0, 0.0, 1.5]\n"
        f"energy e(z: cat(3)[{length}]) = -sum(log(step[z[:-1], z[1:]])) + sum(normal(y | mu[z], 0.8))"
    )
    law = energylang.compile(source, data={"y": y, "step": STEP})["e"].target()
    likelihood = np.exp(-0.5 * ((y[:, None] - [-1.0, 0.0, 1.5]) / 0.8) ** 2)
    forward, backward = np.ones((length, 3)), np.ones((length, 3))
    for t in range(length):
        forward[t] = likelihood[t] * (forward[t - 1] @ STEP if t else 1.0)
        forward[t] /= forward[t].sum()
    for t in range(length - 2, -1, -1):
        backward[t] = STEP @ (likelihood[t + 1] * backward[t + 1])
        backward[t] /= backward[t].sum()
    x = Point(jnp.zeros((lanes, 0)), (jnp.zeros((lanes, length), jnp.int32),))
    ends, _ = invariance.evolve(ForwardBackward(), law, (), x, jax.random.key(invariance.seed("smoothing")), 1)
    z = np.asarray(ends.code[0])
    for t in range(length - 1):
        joint = forward[t][:, None] * STEP * likelihood[t + 1] * backward[t + 1]
        statistic, threshold = invariance.chi_square(3 * z[:, t] + z[:, t + 1], (joint / joint.sum()).ravel())
        # A level of 1e-6 for all of the pairs together would be more lenient still.
        assert statistic < threshold


def test_with_a_continuous_kernel_in_blocks() -> None:
    """s and z each have a tree of their own given x and y."""
    law = energylang.compile(MIXED)["mixture"].target()
    kernel = Blocks((("z", ForwardBackward()), (None, ForwardBackward()), (None, Mala())))
    lanes = 4096
    x = invariance.repeat(Point(jnp.asarray([4.0, 1.0]), (jnp.ones(1, jnp.int32), jnp.zeros(1, jnp.int32))), lanes)
    tune = ((), (), MalaTuning(jnp.asarray(0.8), jnp.ones(2)))
    ends, _ = invariance.evolve(kernel, law, tune, x, jax.random.key(invariance.seed("blocks")), 100)
    statistic, threshold = invariance.chi_square(numbers(law.facts, ends.code), Mixture().probabilities())
    assert statistic < threshold
    furthest = max(invariance.distance(values, cdf) for values, cdf in Mixture().projections(ends))
    assert furthest < invariance.dkwm_threshold(lanes, 2)


def test_a_part_of_a_chain_given_the_rest() -> None:
    """In blocks a variable is drawn given the others: here odd and even sites, which are variables of their own."""
    source = "energy e(a: spin[3], b: spin[2]) = -0.8 * (sum(a[:-1] * b) + sum(a[1:] * b)) + 0.3 * a[0]"
    law = energylang.compile(source)["e"].target()
    kernel = Blocks((("a", ForwardBackward()), ("b", ForwardBackward())))
    lanes = 4096
    x = Point(jnp.zeros((lanes, 0)), (jnp.zeros((lanes, 5), jnp.int32),))
    ends, _ = invariance.evolve(kernel, law, ((), ()), x, jax.random.key(invariance.seed("part")), 60)
    spins = 2 * np.asarray(list(product((0, 1), repeat=5))) - 1
    couplings = sum(spins[:, i] * spins[:, 3 + j] for i, j in ((0, 0), (1, 0), (1, 1), (2, 1)))
    weights = np.exp(0.8 * couplings - 0.3 * spins[:, 0])
    statistic, threshold = invariance.chi_square(numbers(law.facts, ends.code), weights / weights.sum())
    assert statistic < threshold


def test_groups_of_many_chains_have_one_program() -> None:
    source = (
        "import sequences\ndata y: real[30]\ndata w: real[8]\n"
        "energy e(x: binary[30, 8]) = sequences.factorial_hmm(x, y, w, 0, 0.6, 0.2, 0.7)"
    )
    given = {"y": np.zeros(30), "w": np.arange(8.0)}
    assert energylang.compile(source, data=given)["e"].target().trees() == (8,)


def test_lines_of_a_lattice_are_two_groups() -> None:
    source = "import lattices\nenergy e(s: spin[8, 7]) = lattices.ising_grid(s, 0.4)"
    plan = energylang.compile(source)["e"].compiled.target().program.trees()
    assert [kind.forest.edges for kind in plan.kinds for _ in range(kind.count)] == [4 * 7, 3 * 7]


REFUSED: dict[str, tuple[str, dict[str, Any], str]] = {
    "a matrix": ("data A: real[n, n]\nenergy e(s: spin[n]) = -dot(s, A @ s)", {"A": np.ones((4, 4))}, "4 sites"),
    "a square": ("energy e(s: spin[4]) = sum(s)^2 - sum(s[1:] * s[:-1])", {}, "`sum(s)^2"),
    "a loop": ("energy e(s: spin[4]) = fold(fn(a, b): tanh(a) + b, 0.0, s)", {}, "4 sites"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_couples_all_is_refused_with_the_reason(case: str) -> None:
    source, data, fragment = REFUSED[case]
    with pytest.raises(DiagnosticError) as caught:
        energylang.compile(source, data=data or None)["e"].sample(method="forward_backward", draws=2, chains=1)
    (found,) = caught.value.diagnostics
    assert found.code == "E0657"
    assert fragment in found.message
