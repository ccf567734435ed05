"""`check --verify`: every distribution of the library has mass one, and broken twins have not."""

from __future__ import annotations

import numpy as np
import pytest

from energylang.check import check_source
from energylang.diagnostics import Diagnostics
from energylang.lower.normalisation import masses, normalisation
from energylang.source import Source
from energylang.syntax import ast
from energylang.syntax.library import parse_library
from tests.cli.conftest import Cli, cli

__all__ = ["cli"]

LIBRARY = {d.name.text: d for d in parse_library("distributions").declarations if isinstance(d, ast.Energy)}
LARGE = ("multi_normal", "multi_normal_precision", "multi_student_t", "wishart_cholesky", "inv_wishart_cholesky")
"""Like `multi_normal_cholesky`, or of three free entries: their densities are compared with scipy's."""


def program_of(text):
    diagnostics = Diagnostics()
    _, program = check_source(Source("model.energy", text), diagnostics, {})
    assert program is not None, diagnostics.found
    return program


def wrapped(name):
    """A distribution of one's own that is one of the library's."""
    signature = LIBRARY[name].signature
    given = ", ".join(p.name.text for p in signature.conditions)
    call = f"{name}({signature.variables[0].name.text}{' | ' if given else ''}{given})"
    return f"distribution mine{signature.span.text} = {call}"


@pytest.mark.parametrize("name", [name for name in LIBRARY if name not in LARGE])
def test_the_library_keeps_its_promise(name):
    (energy,) = program_of(wrapped(name)).distributions
    found = masses(energy)
    assert not [mass for mass in found if mass.wrong]
    assert min(mass.error for mass in found) < 2e-4
    constant = program_of(wrapped(name).replace(" = ", " = log(1.001) + ", 1)).distributions[0]
    if energy.variables[0].space.event_rank == 0 and not energy.variables[0].space.shape:
        assert any(mass.wrong for mass in masses(constant)), "a constant that is wrong by a thousandth is not seen"


TWINS = {
    "a missing log(sigma)": "distribution d(x: real | mu: real, sigma: positive) = 0.5 * ((x - mu) / sigma)^2 + 0.5 * log(2 * pi)",
    "no constant on the unit interval": "distribution d(x: unit | a: positive) = (1 - a) * log(x)",
    "counts": "distribution d(x: count | l: positive) = l - x * log(l) + lgamma(x + 2)",
    "a category too few": "distribution d(x: cat(k) | b: real[k]) = logsumexp(b[1:]) - b[x]",
    "a square root of a determinant": "distribution d(x: simplex[k] | a: positive[k]) = dirichlet(x | a) + 0.01",
    "nothing at all": "distribution d(x: real | m: real) = infinity + m",
}


@pytest.mark.parametrize("twin", TWINS)
def test_broken_twins_are_rejected(twin):
    (found,) = normalisation(program_of(TWINS[twin]))
    assert found.code == "E0423"


def test_says_by_how_much_and_where():
    (found,) = normalisation(program_of("distribution d(x: real | s: positive) = 0.5 * (x / s)^2 + 0.5 * log(2 * pi)"))
    scale = float(found.cause.split("s = ")[1])
    assert float(found.message.split("is ")[1].split(" ")[0]) == pytest.approx(scale, rel=1e-3)
    assert float(found.fix.split("here ")[1].split(",")[0]) == pytest.approx(np.log(scale), abs=1e-3)


def test_what_cannot_be_integrated_is_said():
    text = "distribution d(x: real[4] | m: real) = sum(normal(x | m, 1))\ndata a: real\ndistribution e(x: real) = normal(x | a, 1)"
    found = normalisation(program_of(text))
    assert [d.code for d in found] == ["L0120", "L0120"]
    assert "4 free entries" in found[0].message
    assert "depends on `a`" in found[1].message


def test_command_line(cli: Cli, tmp_path):
    good, bad = tmp_path / "good.energy", tmp_path / "bad.energy"
    good.write_text("distribution d(x: real | m: real) = normal(x | m, 1)\n")
    bad.write_text("distribution d(x: real | m: real) = 1 + normal(x | m, 1)\n")
    assert cli("check", "--verify", str(good)).code == 0
    assert cli("check", str(bad)).code == 0
    result = cli("check", "--verify", str(bad))
    assert result.code == 1
    assert "E0423" in result.err
    assert "0.367879" in result.err
