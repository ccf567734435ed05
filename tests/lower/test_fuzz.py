"""A fuzzer of small random models: structure, gains and colours against the energy by brute force.

1,000 models are compared in float64 on the host (every summand against the plain energy, every site at every value);
every 10th also through JAX, whose gains are another implementation of the same change.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import energylang
from energylang.check import check_source
from energylang.diagnostics import Diagnostics
from energylang.lower.data import bind
from energylang.lower.program import EnergyProgram, lower
from energylang.lower.structure import Gather, Opaque, Quadratic, Sums
from energylang.lower.verify import _summand, plain, random_value, rows_change, sums_change, verify_structure
from energylang.model import Point
from energylang.source import Source
from tests.support.random_models import Writer

MODELS = 1_000
PARTS = 10


def lowered(seed: int):
    writer = Writer(seed)
    diagnostics = Diagnostics()
    _, program = check_source(Source(f"model {seed}", writer.text), diagnostics)
    assert program is not None, f"{writer.text}\n{[d.message for d in diagnostics.found]}"
    bound = bind(program, writer.data, diagnostics)
    assert bound is not None, f"{writer.text}\n{[d.message for d in diagnostics.found]}"
    return lower(program.energies["e"], bound), bound, writer


def changes_at(program: EnergyProgram, environment: dict, variable, site: int, value) -> float | None:
    """The change of the exact summands from their normal forms: rows that read the site, or the quadratic's identity."""
    total = 0.0
    for summand in program.structured:
        if variable not in summand.variables:
            continue
        if isinstance(summand, Opaque):
            return None
        if isinstance(summand, Gather):
            total += rows_change(program, summand, environment, variable, site, value)
        elif isinstance(summand, Sums):
            total += sums_change(program, summand, environment, variable, site, value)
        elif isinstance(summand, Quadratic):
            total += quadratic_change(program, summand, environment, variable, site, value)
    return total


def quadratic_change(
    program: EnergyProgram, summand: Quadratic, environment: dict, variable, site: int, value
) -> float:
    """d g + d^2 H / 2 by central differences, exact for a quadratic; H must vanish where no diagonal was found."""

    def at(step: float) -> float:
        moved = np.array(environment[variable], np.float64)
        moved.reshape(-1)[site] += step
        return _summand(program, summand, {**environment, variable: moved})

    step = float(value) - float(np.reshape(environment[variable], -1)[site])
    gradient, curvature = (at(1.0) - at(-1.0)) / 2, at(1.0) + at(-1.0) - 2 * at(0.0)
    if (variable, variable) not in summand.pairs:
        assert abs(curvature) < 1e-8 * (1 + abs(at(0.0)))
    return step * gradient + 0.5 * step**2 * curvature


def compare(program: EnergyProgram, bound, text: str, seed: int) -> int:
    """Every site at every value at one random point; returns how many changes were compared."""
    verify_structure(program, bound, {}, seed)
    random = np.random.default_rng(seed)
    fixed = program.environment(bound.values, {})
    values = {v: random_value(v, program, fixed, random) for v in program.code_slots}
    environment = {**fixed, **values}
    before = plain(program, environment)
    compared = 0
    for variable, slot in program.code_slots.items():
        for site in range(slot.size):
            for code in range(slot.cardinality):
                value = slot.decode(code)
                moved = values[variable].copy()
                moved.reshape(-1)[site] = value
                wanted = plain(program, {**environment, variable: moved}) - before
                found = changes_at(program, environment, variable, site, value)
                if found is not None:
                    compared += 1
                    assert abs(found - wanted) < 1e-7 * (1 + abs(before)), f"{text}\n{variable.name}[{site}] = {value}"
    check_colours(program, environment, values, before, random, text)
    return compared


def check_colours(program: EnergyProgram, environment: dict, values: dict, before: float, random, text: str) -> None:
    """A random pair of sites of one colour has no second difference."""
    places = []
    offsets = [0] * len(program.cardinalities)
    for variable, slot in program.code_slots.items():
        colours = program.tables[f"colour/{slot.group}"][slot.start : slot.start + slot.size]
        places += [(variable, site, int(c)) for site, c in enumerate(colours)]
        offsets[slot.group] += slot.size
    pairs = [(a, b) for i, a in enumerate(places) for b in places[i + 1 :] if a[2] == b[2]]
    for a, b in random.permutation(np.array(pairs, object)).tolist()[:4] if pairs else []:

        def flipped(*sites, values=values) -> float:
            moved = {v: np.array(x) for v, x in values.items()}
            for variable, site, _ in sites:
                slot = program.code_slots[variable]
                code = slot.encode(moved[variable].reshape(-1)[site])
                moved[variable].reshape(-1)[site] = slot.decode((code + 1) % slot.cardinality)
            return plain(program, {**environment, **moved})

        second = flipped(a, b) - flipped(a) - flipped(b) + before
        assert abs(second) < 1e-7 * (1 + abs(before)), (
            f"{text}\n{a[0].name}[{a[1]}] and {b[0].name}[{b[1]}] share a colour"
        )


def parts(numbers: range, quick: int) -> list[Any]:
    """Every `quick`-th at every run of the tests, all by `pytest -m long`."""
    return [pytest.param(n, marks=() if place % quick == 0 else pytest.mark.long) for place, n in enumerate(numbers)]


@pytest.mark.parametrize("part", parts(range(PARTS), 3))
def test_random_models(part):
    compared = 0
    for seed in range(part * MODELS // PARTS, (part + 1) * MODELS // PARTS):
        program, bound, writer = lowered(seed)
        compared += compare(program, bound, writer.text, seed)
    assert compared > 500


def test_functions_of_sums_are_among_them():
    """Some that are polynomials, and some that would be opaque."""
    found = [s.pairwise for seed in range(60) for s in lowered(seed)[0].structured if isinstance(s, Sums)]
    assert {True, False} == set(found)


@pytest.mark.parametrize("seed", parts(range(0, MODELS, 10), 4))
def test_gains_through_jax(seed):
    import jax
    import jax.numpy as jnp

    writer = Writer(seed)
    energy = energylang.compile(writer.text, data=writer.data)["e"]
    target = energy.target()
    facts = target.facts
    random = np.random.default_rng(seed)
    codes = tuple(
        jnp.asarray(random.integers(0, k, n), jnp.int32) for k, n in zip(facts.cardinalities, facts.sites, strict=True)
    )
    point = Point(jnp.zeros(0), codes)
    moves, owners = [], []
    for group, (k, n) in enumerate(zip(facts.cardinalities, facts.sites, strict=True)):
        for site in range(n):
            for value in range(k):
                moves.append(tuple(c.at[site].set(value) if g == group else c for g, c in enumerate(codes)))
                owners.append((group, site, value))
    stacked = Point(jnp.zeros((len(moves), 0)), jax.tree.map(lambda *a: jnp.stack(a), *moves))

    @jax.jit
    def both(target, point, stacked):
        return target.energy(point), target.gains(point), jax.vmap(target.energy)(stacked)

    before, gains, after = both(target, point, stacked)
    if facts.gains == "exact":
        for (group, site, value), energy_there in zip(owners, np.asarray(after), strict=True):
            assert abs(float(gains[group][site, value]) - float(before - energy_there)) < 2e-4 * (
                1 + abs(float(before))
            ), writer.text
    else:
        for group, code in enumerate(codes):
            current = jnp.take_along_axis(gains[group], code[:, None], axis=1)
            assert float(jnp.abs(current).max()) < 1e-5
