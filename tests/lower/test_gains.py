"""Gains, colours and normal forms of discrete models against the plain energy, at every configuration."""

from __future__ import annotations

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import energylang
from energylang.lower.structure import Gather, Quadratic, Sums
from energylang.lower.verify import verify_structure
from energylang.methods.enumerate import Enumerate
from energylang.model import Point
from tests.support.discrete_models import EXACT, MODELS


@pytest.fixture(scope="module")
def compiled():
    table = {}
    for name, (text, data) in MODELS.items():
        table[name] = energylang.compile(text, data=data)["e"]
    return table


def every_point(target) -> Point:
    """All configurations: a Point with one leading dim."""
    facts = target.facts
    sizes = [k for k, n in zip(facts.cardinalities, facts.sites, strict=True) for _ in range(n)]
    grid = np.stack(np.unravel_index(np.arange(facts.states), sizes), axis=1).astype(np.int32)
    codes, start = [], 0
    for count in facts.sites:
        codes.append(jnp.asarray(grid[:, start : start + count]))
        start += count
    return Point(jnp.zeros((facts.states, 0)), tuple(codes))


def brute_gains(energies: np.ndarray, sizes: list[int]) -> list[np.ndarray]:
    """Per site float[states, k]: log density with the site at each value minus log density, from the table alone."""
    cube = -energies.reshape(sizes)
    found = []
    for site, k in enumerate(sizes):
        moved = np.moveaxis(cube, site, -1)
        gain = moved[..., None, :] - moved[..., :, None]
        found.append(np.moveaxis(gain, -2, site).reshape(-1, k))
    return found


@pytest.mark.parametrize("name", list(MODELS))
def test_gains_are_energy_differences(compiled, name):
    """Exact gains equal differences of energies at every configuration; estimates are zero at the current value."""
    target = compiled[name].target()
    points = every_point(target)
    energies = np.asarray(jax.vmap(target.energy)(points), np.float64)
    gains = jax.vmap(target.gains)(points)
    facts = target.facts
    sizes = [k for k, n in zip(facts.cardinalities, facts.sites, strict=True) for _ in range(n)]
    expected = brute_gains(energies, sizes)
    flat = [np.asarray(g[:, i]) for g in gains for i in range(g.shape[1])]
    scale = 1e-5 * (1 + np.abs(energies).max())
    if name in EXACT:
        assert facts.gains == "exact"
        for site, (found, wanted) in enumerate(zip(flat, expected, strict=True)):
            np.testing.assert_allclose(found, wanted, atol=scale, err_msg=f"site {site}")
    else:
        assert facts.gains == "estimate"
        codes = np.concatenate([np.asarray(c) for c in points.code], axis=1)
        for site, found in enumerate(flat):
            np.testing.assert_allclose(found[np.arange(len(codes)), codes[:, site]], 0.0, atol=scale)


@pytest.mark.parametrize("name", [name for name in EXACT if name not in ("dense quadratic", "comprehension of spins")])
def test_a_forgotten_summand_is_noticed(compiled, name):
    """The broken twin: gains without one summand differ from the energies."""
    energy = compiled[name]
    program = energy.compiled.program
    place = next(i for i, s in enumerate(program.structured) if isinstance(s, Gather))
    whole = list(program.structured)
    broken = list(whole)
    del broken[place]
    target = energy.target()
    points = every_point(target)
    before = jax.vmap(target.gains)(points)
    program.structured[:] = broken
    try:
        after = jax.vmap(target.gains)(points)
    finally:
        program.structured[:] = whole
    assert max(float(jnp.abs(a - b).max()) for a, b in zip(before, after, strict=True)) > 1e-3


def test_a_forgotten_diagonal_is_noticed(compiled):
    """The broken twin of quadratics: squares of sums without their diagonal are off by the constant of the flip."""
    energy = compiled["squares of sums of columns"]
    target = energy.target()
    tables = {n: jnp.zeros_like(t) if n.startswith("diagonal") else t for n, t in target.tables.items()}
    assert tables.keys() == target.tables.keys()
    assert any(n.startswith("diagonal") for n in tables)
    broken = type(target)(target.program, target.params, target.arrays, tables)
    point = jax.tree.map(lambda a: a[3], every_point(target))
    assert float(jnp.abs(broken.gains(point)[0] - target.gains(point)[0]).max()) > 0.1


def test_a_forgotten_part_of_a_sum_is_noticed(compiled):
    """The broken twin of functions of sums: of `sum(w * x) + sum(s)` only the first is known to change."""
    target = compiled["functions of sums"].target()
    program = target.program
    point = jax.tree.map(lambda a: a[7], every_point(target))
    right = target.gains(point)
    whole = list(program.structured)
    broken = [
        replace(s, sums=(replace(s.sums[0], gathers=()), *s.sums[1:])) if isinstance(s, Sums) else s for s in whole
    ]
    program.structured[:] = broken
    try:
        wrong = target.gains(point)
    finally:
        program.structured[:] = whole
    assert max(float(jnp.abs(a - b).max()) for a, b in zip(right, wrong, strict=True)) > 0.1


@pytest.mark.parametrize("name", list(MODELS))
def test_colours_separate_what_interacts(compiled, name):
    """Sites of one colour: the second difference of the energy vanishes at every configuration."""
    target = compiled[name].target()
    facts = target.facts
    sizes = [k for k, n in zip(facts.cardinalities, facts.sites, strict=True) for _ in range(n)]
    colours = np.concatenate([np.asarray(c) for c in target.colouring])
    energies = np.asarray(jax.vmap(target.energy)(every_point(target)), np.float64).reshape(sizes)
    scale = 1e-4 * (1 + np.abs(energies).max())
    for i in range(len(sizes)):
        for j in range(i + 1, len(sizes)):
            second = np.diff(np.diff(energies, axis=i), axis=j)
            if colours[i] == colours[j]:
                assert np.abs(second).max() < scale, f"sites {i} and {j} share colour {colours[i]} and interact"
    assert facts.colours == colours.max() + 1


def test_structure_is_found(compiled):
    """What each model is found to be; a change here is a change of speed or of exactness."""
    kinds = {
        name: sorted({s.kind for s in e.compiled.program.structured if s.kind != "continuous"})
        for name, e in compiled.items()
    }
    colours = {name: e.compiled.program.facts.colours for name, e in compiled.items()}
    assert kinds["rbm"] == ["gather", "quadratic"]
    assert kinds["squares of sums of columns"] == ["gather", "quadratic"]
    assert kinds["squared sum"] == kinds["functions of sums"] == ["gather", "sums"]
    assert kinds["three-body"] == kinds["potts open"] == kinds["density of labels"] == ["gather"]
    assert kinds["opaque"] == ["gather", "opaque"]
    assert colours["rbm"] == colours["ising open with field"] == colours["potts open"] == 2
    assert colours["density of labels"] == 2
    assert colours["dense quadratic"] == 7
    quadratic = next(s for s in compiled["rbm"].compiled.program.structured if isinstance(s, Quadratic))
    assert not quadratic.diagonal


@pytest.mark.parametrize("name", ["ising torus with field", "rbm", "table of two categoricals"])
def test_log_z_by_enumeration(compiled, name):
    """The enumerate path's log Z is the log of the sum over the table."""
    energy = compiled[name]
    target = energy.target()
    energies = np.asarray(jax.vmap(target.energy)(every_point(target)), np.float64)
    exact = np.logaddexp.reduce(-energies)
    run = energy.evidence(method="enumerate", draws=16)
    assert run.log_z == pytest.approx(exact, abs=1e-4)
    assert Enumerate().spans == 0


def test_structure_is_verified_on_every_compile(compiled):
    """A wrong index table is refused: the verifier is no formality."""
    from energylang.ir.verify import VerificationError

    energy = compiled["ising open with field"]
    program = energy.compiled.program
    place = next(i for i, s in enumerate(program.structured) if isinstance(s, Gather) and len(s.columns) == 2)
    summand = program.structured[place]
    assert isinstance(summand, Gather)
    column = summand.columns[0]
    wrong = type(column)(column.locals, column.variable, column.chain, np.roll(column.sites, 1, axis=1), column.direct)
    broken = type(summand)(summand.summand, summand.rows, (wrong, *summand.columns[1:]), {}, summand.shape)
    whole = list(program.structured)
    program.structured[place] = broken
    try:
        with pytest.raises(VerificationError):
            verify_structure(program, energy.model.bound, {})
    finally:
        program.structured[:] = whole


def test_a_diagonal_is_not_spoilt_by_large_constants():
    """(sum(x) - mu)^2 with mu large: in float32, differences of the squares would lose the curvature."""
    energy = energylang.compile("energy e(x: binary[6], mu: real) = 0.001 * (sum(x) - mu)^2")["e"]
    gains = energy.target().gains(Point(jnp.array([30_000.37]), (jnp.zeros(6, jnp.int32),)))
    assert float(gains[0][0, 1]) == pytest.approx(0.001 * (2 * 30_000.37 - 1), rel=1e-5)
    quiet = energylang.compile("energy e(x: binary[6], mu: real) = (sum(x) - mu)^2 + 2 * mu * sum(x)")["e"]
    gains = quiet.target().gains(Point(jnp.array([4096.0]), (jnp.zeros(6, jnp.int32),)))
    assert float(gains[0][0, 1]) == pytest.approx(-1.0)


def test_selections_in_opaque_terms():
    energy = energylang.compile(
        "energy e(s: cat(3)[4]) = log(1 + exp(sum(if s > 0 then log(2 + s) else 1 / (1 + s))))"
    )["e"]
    gains = energy.target().gains(Point(jnp.zeros(0), (jnp.zeros(4, jnp.int32),)))
    assert np.isfinite(np.asarray(gains[0])).all()


@pytest.mark.parametrize(
    ("rows", "linear"),
    [
        ("sum(s[1:] * s[:-1])", True),
        ("sum(x[1:] * s[:-1] * c[2] + 2 * s[1:])", True),
        ("sum(c[1:] * x[1:])", True),
        ("sum(x * x)", False),
        ("sum((s[1:] + s[:-1])^2)", False),
        ("sum(s * roll(s, 4))", False),
        ("sum(c[1:] == c[:-1])", False),
        ("sum(tanh(s))", False),
    ],
)
def test_what_is_linear_in_each_column(rows, linear):
    """Only such rows may have their changes from a gradient: x * x has not, nor has a row that reads a site twice."""
    energy = energylang.compile(f"energy e(s: spin[4], x: binary[4], c: cat(3)[4]) = {rows}")["e"]
    found = [s.multilinear for s in energy.compiled.program.structured if isinstance(s, Gather)]
    assert found
    assert all(found) == linear
