"""auto: which method it takes for which facts, and that the reason names the numbers."""

from __future__ import annotations

from typing import Any

import pytest

from energylang import catalog
from energylang.catalog import Traits
from energylang.diagnostics import DiagnosticError
from energylang.methods.auto import Auto
from energylang.model import Facts

TRAITS = Traits(continuous=True, discrete=True, normalised=True, params=True)
SCHOOLS = Facts(10, (), (), "none")
SMALL = Facts(0, (2,), (14,), "exact", 2)
LATTICE = Facts(0, (2,), (1024,), "exact", 2)
DENSE = Facts(0, (2,), (1024,), "exact", 1024)
SUMS = Facts(0, (2,), (1024,), "exact", 1024, 1024)
FACTORIAL = Facts(0, (2,), (2000,), "exact", 2000, 0, 10)
SMALL_TREES = Facts(0, (2,), (2000,), "exact", 2000, 0, 500)
UNCOLOURED = Facts(0, (2,), (1024,), "exact", 0)
NET = Facts(0, (2, 10), (784, 1), "estimate", 0)
MIXED = Facts(3, (3,), (50,), "exact", 1)


@pytest.mark.parametrize(
    ("facts", "verb", "expected", "numbers"),
    [
        (SCHOOLS, "sample", "nuts()", ["10"]),
        (SCHOOLS, "evidence", "importance()", ["10"]),
        (SMALL, "sample", "enumerate()", ["16,384"]),
        (SMALL, "evidence", "enumerate()", ["16,384"]),
        (LATTICE, "sample", "gibbs()", ["1,024", "2 colours"]),
        (LATTICE, "evidence", "importance()", ["1,024"]),
        (DENSE, "sample", "dlmc_forward()", ["1,024"]),
        (SUMS, "sample", "gibbs()", ["1,024"]),
        (FACTORIAL, "sample", "forward_backward()", ["2,000", "10 groups"]),
        (SMALL_TREES, "sample", "dlmc_forward()", ["2,000"]),
        (UNCOLOURED, "sample", "dlmc_forward()", ["1,024"]),
        (NET, "sample", "dlmc_forward()", ["785"]),
        (MIXED, "sample", "blocks(gibbs(), nuts())", ["3 unconstrained", "50", "1 colour,"]),
        (MIXED, "train", "mle()", []),
    ],
)
def test_the_choice_and_its_reason(facts: Facts, verb: Any, expected: str, numbers: list[str]) -> None:
    call, reason = Auto().choose(facts, verb, TRAITS)
    assert str(call) == expected
    assert all(number in reason for number in numbers)


def test_every_choice_can_be_built() -> None:
    for facts in (SCHOOLS, SMALL, LATTICE, DENSE, NET, MIXED):
        call, _ = Auto().choose(facts, "sample", TRAITS)
        assert "sample" in catalog.methods()[call.name].tasks
        catalog.build(call)


def test_a_task_without_a_choice_is_said() -> None:
    with pytest.raises(DiagnosticError, match="E0648"):
        Auto().choose(SCHOOLS, "test", TRAITS)


def test_what_optimises() -> None:
    chosen = {
        name: str(Auto().choose(facts, "optimize", TRAITS)[0])
        for name, facts in (("reals", SCHOOLS), ("net", NET), ("mixed", MIXED))
    }
    assert chosen["reals"] == "descent()"
    assert chosen["net"].startswith("anneal(gwg")
    assert chosen["mixed"].startswith("anneal(blocks(")
    assert "mala()" in chosen["mixed"]
