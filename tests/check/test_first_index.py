"""A variable whose entries get their densities from index 1 on: the habit of languages that count from 1."""

import pytest

from energylang.check import check
from energylang.diagnostics import Diagnostics
from energylang.source import Source
from energylang.syntax.parser import parse


@pytest.mark.parametrize(
    ("block", "warned"),
    [
        ("x[1] ~ normal(0, 10)\n  x[2:T] ~ normal(x[1:T - 1], 1)", True),
        ("x[2:] ~ normal(x[1:-1], 1)\n  x[1] ~ normal(0, 10)", True),
        ("x[0] ~ normal(0, 10)\n  x[1] ~ normal(0, 10)\n  x[2:] ~ normal(x[1:-1], 1)", False),
        ("x[0] ~ normal(0, 10)\n  x[1:] ~ normal(x[:-1], 1)", False),
        ("x[1:] ~ normal(x[:-1], 1)", False),
        ("x[1] ~ normal(0, 10)", False),
        ("x[1] ~ normal(0, 10)\n  x[2:] ~ normal(x[1:-1], 1)\n  += x[0]^2", False),
        ("x ~ normal(0, 1)\n  x[1] ~ normal(0, 10)\n  x[2:] ~ normal(x[1:-1], 1)", False),
    ],
)
def test_the_first_entry_is_missed(block, warned):
    text = f"data y: real[T] = [1, 2, 3]\nenergy e(x: real[T]) {{\n  {block}\n  y ~ normal(x, 1)\n}}\n"
    diagnostics = Diagnostics()
    assert check(parse(Source("model.energy", text), diagnostics), diagnostics) is not None
    assert [(d.code, "x[0]" in d.message) for d in diagnostics.found] == [("L0102", True)] * warned
