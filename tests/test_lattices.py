"""The module `lattices` against sums over its bonds, and against the transfer matrix."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import energylang as el

SHAPES = {"ring": (5,), "chain": (5,), "torus": (3, 4), "grid": (3, 4)}
BETA = 0.37


def bonds(lattice: str):
    """Pairs of neighbouring sites, each bond once."""
    shape = SHAPES[lattice]
    for site in itertools.product(*map(range, shape)):
        for axis, size in enumerate(shape):
            if site[axis] + 1 < size or lattice in ("ring", "torus"):
                other = list(site)
                other[axis] = (site[axis] + 1) % size
                yield site, tuple(other)


@pytest.mark.parametrize("lattice", SHAPES)
@pytest.mark.parametrize(("model", "space"), [("ising", "spin"), ("potts", "cat(3)")])
def test_energies(model, space, lattice):
    shape = SHAPES[lattice]
    energy = el.compile(f"import lattices\nenergy e(s: {space}{list(shape)}) = lattices.{model}_{lattice}(s, {BETA})")[
        "e"
    ]
    random = np.random.default_rng(len(model) + 10 * len(lattice))
    for _ in range(5):
        s = random.choice([-1, 1], shape) if model == "ising" else random.integers(0, 3, shape)
        pairs = [s[a] * s[b] if model == "ising" else float(s[a] == s[b]) for a, b in bonds(lattice)]
        assert float(energy(s=s)) == pytest.approx(-BETA * sum(pairs), rel=1e-5)
    assert energy.compiled.program.facts.gains == "exact"


@pytest.mark.parametrize("lattice", ["ring", "chain"])
def test_the_transfer_matrix(lattice):
    """log Z of one dimension: the trace, and the sum, of powers of the transfer matrix."""
    model = el.compile(f"import lattices\nenergy e(s: cat(3)[7]) = lattices.potts_{lattice}(s, {BETA})")
    transfer = np.exp(BETA * np.eye(3))
    power = np.linalg.matrix_power(transfer, 7 if lattice == "ring" else 6)
    exact = np.log(np.trace(power) if lattice == "ring" else power.sum())
    assert model["e"].evidence(method="enumerate").log_z == pytest.approx(exact, rel=1e-6)


def test_a_wrong_shape_is_said_at_the_call():
    with pytest.raises(el.DiagnosticError, match=r"E0303: `s` of `ising_torus` is real\[n, m\]"):
        el.compile("import lattices\nenergy e(s: spin[4]) = lattices.ising_torus(s, 1)")
