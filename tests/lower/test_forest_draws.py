"""Joint draws along trees: sites of two values, of which log odds are passed on, against enumeration and the general form.

LANES draws, Pearson's chi-square at level 1e-6 over at most 128 configurations (w = 0.105 detected with power 0.999). Energies
are given as tables, so that nothing of the compiler is in between. Twin: couplings of another sign.
"""

from __future__ import annotations

from functools import cache
from itertools import product
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from energylang.lower.forest import Forest, forest_of
from energylang.lower.forest_draws import _passed_on, drawn
from tests.support import invariance

LANES = 16384
EFFECT = 0.105
EDGES = {
    "a chain": [[0, 1], [1, 2], [2, 3], [3, 4], [4, 5], [5, 6]],
    "a bush": [[0, 1], [0, 2], [2, 3], [2, 4], [0, 5]],
}


@cache
def tables(name: str, same: bool, hard: bool) -> tuple[Forest, np.ndarray, np.ndarray]:
    """float[7, 2] energies of sites, float[edges or 1, 2, 2] of edges. hard: a move that is impossible, and a value.

    Sites that are strongly for one value beside a coupling that is as strong: odds alone would overflow.
    """
    forest = forest_of(7, [np.asarray(EDGES[name])])
    assert forest is not None
    generator = np.random.default_rng(invariance.seed(f"{name}/{same}"))
    unary = generator.normal(size=(7, 2)) + 1000.0
    pairs = generator.normal(size=(1 if same else forest.edges, 2, 2))
    unary[3] += [0.0, 200.0]
    unary[4] += [201.0, 0.0]
    if not same:
        pairs[:, 0, 1] += 200.0
    if hard:
        pairs[0, 1, 0] = np.inf
        unary[1, 1] = np.inf
    return forest, unary, pairs


def law(forest: Forest, unary: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """float[2 ** 7]: probabilities by enumeration, the first site the highest digit."""
    found = []
    for x in product((0, 1), repeat=7):
        table = np.broadcast_to(pairs, (forest.edges, 2, 2))
        found.append(sum(unary[i, v] for i, v in enumerate(x)) + sum(
            table[e, x[a], x[b]] for e, (a, b) in enumerate(forest.pairs.tolist())
        ))  # fmt: skip
    weights = np.exp(np.min(found) - np.asarray(found))
    return weights / weights.sum()


@cache
def sampler(name: str, values: int) -> Any:
    forest, *_ = tables(name, False, False)

    def configurations(key: Any, unary: Any, pairs: Any) -> Any:
        x = jax.vmap(lambda key: drawn(forest, unary, pairs, key))(jax.random.split(key, LANES))
        return (x * 2 ** jnp.arange(6, -1, -1)).sum(axis=1), x.max() < 2

    return jax.jit(configurations)


def misfit(name: str, unary: np.ndarray, pairs: np.ndarray, probabilities: np.ndarray, values: int = 2) -> float:
    """Pearson's statistic over its threshold. values: of a site, those from the third on being impossible."""
    widened = [(0, values - 2)]
    unary = np.pad(unary, [(0, 0), *widened], constant_values=np.inf)
    pairs = np.pad(pairs, [(0, 0), *widened, *widened])
    key = jax.random.key(invariance.seed(f"{name}/{values}/{len(pairs)}"))
    x, possible = sampler(name, values)(key, jnp.asarray(unary, jnp.float32), jnp.asarray(pairs, jnp.float32))
    assert possible
    statistic, threshold = invariance.chi_square(np.asarray(x), probabilities)
    return statistic / threshold


def test_the_stated_effect() -> None:
    assert invariance.chi_square_effect(LANES, 128) <= EFFECT


@pytest.mark.parametrize("hard", [False, True], ids=["soft", "hard"])
@pytest.mark.parametrize("same", [False, True], ids=["a table for each edge", "one table"])
@pytest.mark.parametrize("name", EDGES)
def test_draws_have_the_law(name: str, same: bool, hard: bool) -> None:
    forest, unary, pairs = tables(name, same, hard)
    assert misfit(name, unary, pairs, law(forest, unary, pairs)) < 1


@pytest.mark.parametrize("name", EDGES)
def test_the_general_form_has_the_same_law(name: str) -> None:
    forest, unary, pairs = tables(name, False, True)
    assert misfit(name, unary, pairs, law(forest, unary, pairs), values=3) < 1


def test_couplings_of_another_sign_are_rejected() -> None:
    forest, unary, pairs = tables("a bush", True, False)
    assert misfit("a bush", unary, -pairs, law(forest, unary, pairs)) > 1


@pytest.mark.parametrize("scale", [1.0, 30.0, 1000.0])
def test_log_odds_that_are_passed_on(scale: float) -> None:
    generator = np.random.default_rng(invariance.seed(f"passed on/{scale}"))
    below, pair = scale * generator.normal(size=50), scale * generator.normal(size=(50, 2, 2))
    logs = np.logaddexp(-pair[:, 0], below[:, None] - pair[:, 1])
    found = _passed_on(jnp.asarray(below), jnp.asarray(pair))
    np.testing.assert_allclose(found, logs[:, 1] - logs[:, 0], rtol=1e-5, atol=1e-6 * scale)


def test_what_is_impossible_has_odds_without_end() -> None:
    pair = jnp.asarray([[[0.0, 1e30], [0.5, 0.0]]])
    # A child that must be zero leaves zero to its parent alone; one that must be one has its odds of the pair.
    found = _passed_on(jnp.asarray([-1e30, 1e30]), pair)
    assert found[0] < -1e29
    assert found[1] == pytest.approx(0.5)
