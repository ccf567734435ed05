"""From a point to one that no single change improves: what misses constraints first, then the energy; reals descend."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

from energylang.methods import _optax
from energylang.model import UNBOUNDED, Measure, Point, Problem

ROUNDING = 1e-5
"""A change below this part of the largest is rounding."""
STEPS = 64
"""Of descent."""
SWEEPS = 64
"""Sweeps at most, where changes are estimates and each is measured."""


def better(new: Measure, old: Measure, tolerance: Array) -> Array:
    """Whether a point is better: feasible where the other is not, else of lower energy, or nearer where neither is."""
    feasible, was = new.violation <= tolerance, old.violation <= tolerance
    lower = jnp.where(feasible, new.energy < old.energy, new.violation < old.violation)
    return jnp.where(feasible == was, lower, feasible)


def refine(problem: Problem, x: Point, descended: bool = False) -> Point:
    """The point after the best single changes of discrete sites, until none is left, and after descent of the reals.

    It is not worse than it was. Reals that are constrained stay. descended: whether the reals lie in a valley already.
    """
    facts = problem.facts
    free = facts.reals and not descended and (facts.discrete or not problem.constrained)
    found = x
    if facts.discrete:
        found = _not_worse(problem, _discrete(problem, found), found)
    if free:
        found = _not_worse(problem, _descended(problem, found), found)
    if facts.discrete and free:
        found = _not_worse(problem, _discrete(problem, found), found)
    return found


def _not_worse(problem: Problem, new: Point, old: Point) -> Point:
    kept = better(problem.measure(new), problem.measure(old), problem.tolerance)
    return jax.tree.map(lambda a, b: jnp.where(kept, a, b), new, old)


def _descended(problem: Problem, x: Point) -> Point:
    """The reals after some steps of L-BFGS, the discrete variables where they are."""

    def energy(real: Array) -> Array:
        return problem.measure(Point(real, x.code)).energy

    def step(_: Array, both: tuple[Array, Any]) -> tuple[Array, Any]:
        return _optax.step("lbfgs", 1.0, energy, *both)

    real, _ = lax.fori_loop(0, STEPS, step, (x.real, _optax.start("lbfgs", 1.0, x.real)))
    return Point(real, x.code)


def _discrete(problem: Problem, x: Point) -> Point:
    return Point(x.real, _greedy(problem, x) if problem.facts.gains == "exact" else _swept(problem, x))


class _Walk(NamedTuple):
    code: tuple[Array, ...]
    moves: Array
    done: Array


def _greedy(problem: Problem, x: Point) -> tuple[Array, ...]:
    """The best of all single changes, again and again: most of the penalty first, then of the energy."""
    sizes = [(place, k, n) for place, (k, n) in enumerate(zip(problem.facts.cardinalities, problem.facts.sites, strict=True)) if k != UNBOUNDED]  # fmt: skip
    most = 20 * sum(n for _, _, n in sizes) + 100

    def step(walk: _Walk) -> _Walk:
        energies, penalties = problem.changes(Point(x.real, walk.code))
        energy = jnp.concatenate([jnp.ravel(energies[place]) for place, _, _ in sizes])
        penalty = jnp.concatenate([jnp.ravel(penalties[place]) for place, _, _ in sizes])
        energy = jnp.where(jnp.isfinite(energy), energy, jnp.inf)
        penalty = jnp.where(jnp.isfinite(penalty), penalty, jnp.inf)
        near = ROUNDING * (1.0 + _largest(penalty))
        least = jnp.min(penalty)
        repairing = least < -near
        # Ties of what is missed are decided by the energy; once nothing can be repaired, no change may undo that.
        allowed = penalty <= jnp.where(repairing, least + near, near)
        score = jnp.where(allowed, energy, jnp.inf)
        chosen = jnp.argmin(score)
        moving = repairing | (score[chosen] < -ROUNDING * (1.0 + _largest(energy)))
        return _Walk(_changed(walk.code, chosen, moving, sizes), walk.moves + 1, ~moving)

    begin = _Walk(x.code, jnp.zeros((), jnp.int32), jnp.zeros((), bool))
    return lax.while_loop(lambda walk: ~walk.done & (walk.moves < most), step, begin).code


def _largest(changes: Array) -> Array:
    return jnp.max(jnp.where(jnp.isfinite(changes), jnp.abs(changes), 0.0))


def _changed(code: tuple[Array, ...], chosen: Array, moving: Array, sizes: Any) -> tuple[Array, ...]:
    """The codes with one of the changes made, counted through sites and values of the code arrays."""
    found, start = list(code), 0
    for place, cardinality, count in sizes:
        own = chosen - start
        here = moving & (own >= 0) & (own < cardinality * count)
        site = jnp.where(here, own // cardinality, count)
        found[place] = code[place].at[site].set((own % cardinality).astype(code[place].dtype), mode="drop")
        start += cardinality * count
    return tuple(found)


def _swept(problem: Problem, x: Point) -> tuple[Array, ...]:
    """Each site at its best value in turn, measured and not estimated, until a sweep changes nothing."""

    def sweep(walk: _Walk) -> _Walk:
        code = walk.code
        for place, (cardinality, count) in enumerate(
            zip(problem.facts.cardinalities, problem.facts.sites, strict=True)
        ):
            if cardinality == UNBOUNDED:
                continue

            def site(i: Array, code: tuple[Array, ...], place: int = place, cardinality: int = cardinality) -> Any:
                def with_value(value: Array) -> tuple[Array, ...]:
                    return (*code[:place], code[place].at[i].set(value), *code[place + 1 :])

                values = jnp.arange(cardinality, dtype=code[place].dtype)
                measures = jax.vmap(lambda value: problem.measure(Point(x.real, with_value(value))))(values)
                least = jnp.maximum(jnp.min(measures.violation), problem.tolerance)
                near = least + ROUNDING * jnp.abs(least)
                energy = jnp.where(measures.violation <= near, measures.energy, jnp.inf)
                now = code[place][i]
                best = jnp.argmin(energy).astype(values.dtype)
                # Among equals the present value stays, so that a sweep that gains nothing changes nothing.
                return with_value(jnp.where(energy[now] <= energy[best], now, best))

            code = lax.fori_loop(0, count, site, code)
        same = jnp.array([jnp.all(a == b) for a, b in zip(code, walk.code, strict=True)]).all()
        return _Walk(code, walk.moves + 1, same)

    begin = _Walk(x.code, jnp.zeros((), jnp.int32), jnp.zeros((), bool))
    return lax.while_loop(lambda walk: ~walk.done & (walk.moves < SWEEPS), sweep, begin).code
