"""`gwg` that follows its flips: the carried weights are those made afresh, and the law is the exact one."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import energylang
from energylang.methods._ledger import Ledger
from energylang.methods.gibbs import Gibbs
from energylang.methods.gwg import Gwg
from energylang.model import Point
from tests.support import invariance

_random = np.random.default_rng(17)
MODELS = {
    "spins": (
        "data J: real[8]\ndata b: real[8]\nenergy e(s: spin[8]) = -sum(J * s * roll(s, 1)) - sum(b * s)",
        {"J": _random.normal(size=8), "b": _random.normal(size=8)},
    ),
    "mixed": (
        "data T: real[3, 2]\nenergy e(a: cat(3)[4], s: spin[4]) = -sum(T[a, (s + 1) // 2]) - 0.7 * sum(a[1:] == a[:-1])",
        {"T": _random.normal(size=(3, 2))},
    ),
}
LANES = 16384


@cache
def compiled(name: str) -> Any:
    text, data = MODELS[name]
    return energylang.compile(text, data=data)["e"].target()


@cache
def law(name: str) -> tuple[Point, np.ndarray]:
    """Every configuration and its probability, from the energies."""
    target = compiled(name)
    facts = target.facts
    sizes = [k for k, n in zip(facts.cardinalities, facts.sites, strict=True) for _ in range(n)]
    grid = np.stack(np.unravel_index(np.arange(facts.states), sizes), axis=1).astype(np.int32)
    codes = np.split(grid, np.cumsum(facts.sites)[:-1], axis=1)
    points = Point(jnp.zeros((facts.states, 0)), tuple(jnp.asarray(code) for code in codes))
    weights = np.exp(-np.asarray(jax.jit(jax.vmap(target.energy))(points), np.float64))
    return points, weights / weights.sum()


def misfit(name: str, kernel: Any, begin: str, target: Any = None) -> float:
    """Pearson's statistic over its threshold at 1e-6, after steps from exact draws or from the least likely point."""
    points, probabilities = law(name)
    number = invariance.seed(f"ledger/{name}/{begin}/{type(kernel).__name__}")
    rows = np.full(LANES, np.argmin(probabilities))
    if begin == "exact":
        rows = np.random.default_rng(number).choice(len(probabilities), LANES, p=probabilities)
    x = jax.tree.map(lambda leaf: leaf[rows], points)
    target = target or compiled(name)
    tune, _ = kernel.tuning(target)
    steps = 8 if begin == "exact" else 150
    ends, _ = invariance.evolve(kernel, target, tune, x, jax.random.key(number), steps)
    sizes = [k for k, n in zip(target.facts.cardinalities, target.facts.sites, strict=True) for _ in range(n)]
    flat = np.concatenate([np.asarray(code) for code in ends.code], axis=1)
    statistic, threshold = invariance.chi_square(np.asarray(np.ravel_multi_index(tuple(flat.T), sizes)), probabilities)
    return statistic / threshold


@pytest.mark.parametrize("begin", ["exact", "mass"])
@pytest.mark.parametrize("name", MODELS)
def test_following_keeps_the_law(name: str, begin: str) -> None:
    assert misfit(name, Gwg(), begin) < 1


@pytest.mark.parametrize("begin", ["exact", "mass"])
def test_sweeps_of_neighbours_keep_the_law(begin: str) -> None:
    assert misfit("mixed", Gibbs(), begin) < 1


@pytest.mark.parametrize("name", MODELS)
def test_carried_weights_are_those_made_afresh(name: str) -> None:
    state, fresh = walked(compiled(name))
    assert isinstance(state.proposal, Ledger)
    assert differ(state.proposal, fresh.proposal) < 1e-5


def test_what_a_flip_reaches_must_be_followed() -> None:
    """The broken twin: only the flipped site itself is made again."""
    target = compiled("spins")
    lame = replace(target, tables=target.tables | {"reach": target.tables["reach"].at[1:].set(8)})
    own = jnp.arange(8, dtype=jnp.int32)
    lame = replace(lame, tables=lame.tables | {"reach": lame.tables["reach"].at[0].set(own)})
    state, fresh = walked(lame)
    assert differ(state.proposal, fresh.proposal) > 0.1
    assert misfit("spins", Gwg(), "exact", lame) > 1


def walked(target: Any) -> tuple[Any, Any]:
    """The state after 300 steps, and one made afresh at its point."""
    kernel = Gwg()
    tune, _ = kernel.tuning(target)
    x = Point(jnp.zeros(0), tuple(jnp.zeros(n, jnp.int32) for n in target.facts.sites))

    @jax.jit
    def run(target: Any) -> tuple[Any, Any]:
        key = jax.random.key(invariance.seed("walk"))
        start = kernel.init(target, x, key)
        state = jax.lax.fori_loop(
            0, 300, lambda i, s: kernel.step(target, tune, s, jax.random.fold_in(key, i))[0], start
        )
        return state, kernel.init(target, state.x, key)

    return run(target)


def differ(carried: Ledger, fresh: Ledger) -> float:
    return max(
        float(jnp.max(jnp.where(jnp.isfinite(b), jnp.abs(a - b), 0.0)))
        for a, b in zip(jax.tree.leaves(carried), jax.tree.leaves(fresh), strict=True)
    )
