"""Gains of some sites alone against all gains, and the reach of a site against what changes when it is flipped."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import energylang
from energylang.model import Point
from tests.support import invariance
from tests.support.discrete_models import MODELS

LOCAL = (
    "ising torus with field", "ising open with field", "potts torus", "potts open", "three-body",
    "table of two categoricals", "density of labels", "comprehension of a ring", "comprehension of a grid",
    "squared sum", "squares of sums of columns", "functions of sums",
)  # fmt: skip
POINTS = 24


@cache
def compiled(name: str) -> Any:
    text, data = MODELS[name]
    return energylang.compile(text, data=data)["e"].target()


def points(target: Any) -> Point:
    random = np.random.default_rng(3)
    facts = target.facts
    codes = (random.integers(0, k, (POINTS, n)) for k, n in zip(facts.cardinalities, facts.sites, strict=True))
    return Point(jnp.zeros((POINTS, 0)), tuple(jnp.asarray(code, jnp.int32) for code in codes))


@jax.jit
def everything(target: Any, x: Point) -> Any:
    """All gains, those of every site by itself, and those of every colour, known and traced."""

    def at(x: Point) -> Any:
        sites = tuple(jnp.arange(n, dtype=jnp.int32) for n in target.facts.sites)
        colours = range(target.facts.colours)
        static = [[(s, g) for s, _, g in target.gains_of_colour(x, colour)] for colour in colours]
        traced = [[(s, g) for s, _, g in target.gains_of_colour(x, jnp.int32(colour))] for colour in colours]
        return target.gains(x), target.gains_at(x, sites), static, traced

    return jax.vmap(at)(x)


def misfit(target: Any, x: Point) -> float:
    """The largest difference of any gain from what all gains at once say; infinite where a colour lacks a site."""
    whole, single, static, traced = everything(target, x)
    worst = max(float(jnp.abs(a - b).max()) for a, b in zip(whole, single, strict=True))
    for colours in (static, traced):
        for colour, parts in enumerate(colours):
            for group, (sites, gains) in enumerate(parts):
                own = np.asarray(sites[0])
                real = own < target.facts.sites[group]
                if sorted(own[real]) != list(np.flatnonzero(np.asarray(target.colouring[group]) == colour)):
                    return float("inf")
                if real.any():
                    worst = max(worst, float(jnp.abs(gains[:, real] - whole[group][:, own[real]]).max()))
    return worst


@pytest.mark.parametrize(
    "name", invariance.mostly_long(LOCAL, "functions of sums", "potts torus", "ising torus with field")
)
def test_gains_of_some_sites_are_those_of_all(name: str) -> None:
    assert misfit(compiled(name), points(compiled(name))) < 1e-5


@pytest.mark.parametrize("name", ["ising torus with field", "table of two categoricals"])
def test_wrong_neighbours_are_noticed(name: str) -> None:
    """The broken twin: a table that is one site off."""
    target = compiled(name)
    moved = next(n for n in target.tables if n.startswith("near/") and n[-1].isdigit())
    broken = replace(target, tables=target.tables | {moved: jnp.roll(target.tables[moved], 1, axis=1)})
    assert misfit(broken, points(target)) > 0.1


@jax.jit
def followed(target: Any, x: Point, carried: Any, colour: Any, site: Any, moved: Point) -> Any:
    """The sums carried to another point and made there, and gains there with those that were carried, and all gains."""
    values = tuple(
        jnp.where(sites == at, new[jnp.minimum(sites, len(new) - 1)], old[jnp.minimum(sites, len(old) - 1)])
        for (sites, _, _), at, old, new in zip(target.gains_of_colour(x, colour), site, x.code, moved.code, strict=True)
    )
    after = target.carried_after(x, carried, colour, values)
    everywhere = tuple(jnp.arange(n, dtype=jnp.int32) for n in target.facts.sites)
    return after, target.carried(moved), target.gains_at(moved, everywhere, after), target.gains(moved)


@pytest.mark.parametrize("name", ["squared sum", "functions of sums"])
def test_sums_follow_what_sites_add_to_them(name: str) -> None:
    """After each of a few moves of one site the carried sums are those of the new point, and gains with them are all gains."""
    target = compiled(name)
    facts = target.facts
    random = np.random.default_rng(5)
    x = jax.tree.map(lambda a: a[0], points(target))
    carried = target.carried(x)
    assert carried.totals.shape[0] > 0
    for _ in range(6):
        group = int(random.integers(len(facts.sites)))
        site, value = (int(random.integers(n)) for n in (facts.sites[group], facts.cardinalities[group]))
        places = jnp.asarray([site if g == group else -1 for g in range(len(facts.sites))])
        moved = Point(x.real, tuple(c.at[site].set(value) if g == group else c for g, c in enumerate(x.code)))
        colour = jnp.asarray(target.colouring[group])[site]
        carried, afresh, some, all_gains = followed(target, x, carried, colour, places, moved)
        np.testing.assert_allclose(carried.totals, afresh.totals, atol=1e-5)
        for found, whole in zip(some, all_gains, strict=True):
            np.testing.assert_allclose(found, whole, atol=1e-4)
        x = moved


@pytest.mark.parametrize("name", ["ising open with field", "three-body", "table of two categoricals"])
def test_a_site_reaches_those_whose_gains_it_changes(name: str) -> None:
    target = compiled(name)
    facts = target.facts
    x = points(target)
    gains = jax.jit(jax.vmap(target.gains))
    before = gains(x)
    reach = jax.jit(jax.vmap(target.reached))(jnp.arange(sum(facts.sites)))
    number = 0
    for group, (cardinality, count) in enumerate(zip(facts.cardinalities, facts.sites, strict=True)):
        for site in range(count):
            reached = [np.asarray(part[number]) for part in reach]
            codes = list(x.code)
            codes[group] = codes[group].at[:, site].set((codes[group][:, site] + 1) % cardinality)
            after = gains(Point(x.real, tuple(codes)))
            for a, b, sites in zip(before, after, reached, strict=True):
                outside = np.setdiff1d(np.arange(a.shape[1]), sites)
                assert np.abs(a - b)[:, outside].max(initial=0.0) < 1e-5
            assert int(sum((s < n).sum() for s, n in zip(reached, facts.sites, strict=True))) <= facts.reach
            number += 1


def test_what_has_no_neighbours_says_so() -> None:
    """Rows that read a site twice, and quadratics of few sites, whose couplings are no matrix."""
    assert {name for name in MODELS if not compiled(name).facts.reach} == set(MODELS) - set(LOCAL)
