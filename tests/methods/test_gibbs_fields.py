"""Sweeps that carry fields: exact draws of a dense model stay exact, a point mass spreads, stale fields are noticed.

LANES lanes, Pearson's chi-square over the 512 configurations of nine spins that are all coupled; level 1e-6. A law with Cohen's
w above 0.14 (sqrt sum (p - q)^2 / q) fails with probability 0.999 (`test_the_stated_effect`).
"""

from __future__ import annotations

from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import energylang
from energylang.methods.enumerate import log_probabilities
from energylang.methods.gibbs import Gibbs
from energylang.model import Point
from tests.support import invariance
from tests.support.targets import numbers

LANES = 16384
_random = np.random.default_rng(23)
_pairs = np.array([[i, j] for i in range(9) for j in range(i)])
MODEL = """
data edges: cat(9)[E, 2]
data J: real[E]
energy e(s: spin[9]) = -sum(J * s[edges[:, 0]] * s[edges[:, 1]]) - 0.2 * sum(s)
"""
DATA = {"edges": _pairs, "J": 0.4 * _random.normal(size=len(_pairs))}


@cache
def target() -> Any:
    return energylang.compile(MODEL, data=DATA)["e"].target()


class Stale:
    """The broken twin of a target: what is carried does not follow the moves."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def carried_after(self, x: Point, carried: Any, colour: Any, values: Any) -> Any:
        return carried


jax.tree_util.register_pytree_node(Stale, lambda s: ((s.inner,), None), lambda _, inner: Stale(*inner))


def misfit(begin: str, law: Any) -> float:
    """Pearson's statistic over its threshold, after sweeps from exact draws or from a point mass."""
    number = invariance.seed(f"fields/{begin}")
    codes, log_probability = log_probabilities(target())
    weights = np.exp(np.asarray(log_probability, np.float64))
    probabilities = weights / weights.sum()
    if begin == "exact":
        rows = np.random.default_rng(number).choice(len(probabilities), size=LANES, p=probabilities)
    else:
        rows = np.full(LANES, np.argmin(probabilities))
    x = Point(jnp.zeros((LANES, 0)), tuple(jnp.asarray(np.asarray(code)[rows]) for code in codes))
    steps = 3 if begin == "exact" else 25
    ends, _ = invariance.evolve(Gibbs(), law, (), x, jax.random.key(number), steps)
    statistic, threshold = invariance.chi_square(numbers(law.facts, ends.code), probabilities)
    return statistic / threshold


def test_the_stated_effect() -> None:
    assert invariance.chi_square_effect(LANES, 512) <= 0.14


@pytest.mark.parametrize("begin", ["exact", "mass"])
def test_the_law_of_a_dense_model_is_kept_and_reached(begin: str) -> None:
    assert target().facts.fields == 9
    assert misfit(begin, target()) < 1


def test_fields_that_do_not_follow_are_rejected() -> None:
    assert misfit("exact", Stale(target())) > 1
