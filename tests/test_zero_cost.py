"""Compiled flops and bytes of the language's energies and gradients: at most 1.02 of hand-written JAX."""

from __future__ import annotations

import pytest

from benchmarks.zero_cost import CASES, cost, functions


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_counts(case):
    for name, (ours, hand, (model, arrays, values)) in functions(case).items():
        a, b = cost(ours, model, values), cost(hand, arrays, values)
        assert a.value == pytest.approx(b.value, rel=1e-4), name
        assert a.flops <= 1.02 * b.flops, name
        assert a.bytes <= 1.02 * b.bytes, name
