"""Params: every continuous space, and every way to start."""

from __future__ import annotations

import numpy as np
import pytest

import energylang as el

SPACES = {
    "real[3]": ("[-1, 0, 2]", lambda v: np.isfinite(v).all()),
    "positive[3]": ("[0.5, 1, 2]", lambda v: (v > 0).all()),
    "unit[3]": ("[0.1, 0.5, 0.9]", lambda v: ((v > 0) & (v < 1)).all()),
    "interval(-2, 5)[3]": ("[-1, 0, 4]", lambda v: ((v > -2) & (v < 5)).all()),
    "simplex[3]": ("[0.2, 0.3, 0.5]", lambda v: (v > 0).all() and v.sum() == pytest.approx(1, rel=1e-5)),
    "ordered[3]": ("[-1, 0, 2]", lambda v: (np.diff(v) > 0).all()),
    "positive_ordered[3]": ("[0.5, 1, 2]", lambda v: v[0] > 0 and (np.diff(v) > 0).all()),
}


def values(space: str, start: str, seed: int = 0) -> np.ndarray:
    model = el.compile(f"param p: {space} {start}\nenergy e(x: real) = x^2 + sum(p)", seed=seed)
    return np.asarray(model["e"].params["p"], np.float64)


@pytest.mark.parametrize("space", SPACES)
def test_every_space_and_start(space):
    value, inside = SPACES[space]
    assert values(space, f"= {value}") == pytest.approx(np.array(eval(value)), rel=1e-5, abs=1e-6)
    for start in ("", "from normal(0, 1)", "from uniform(-1, 1)"):
        assert inside(values(space, start)), start
    drawn = values(space, "from normal(0, 1)")
    assert (drawn == values(space, "from normal(0, 1)")).all()
    assert (drawn != values(space, "from normal(0, 1)", seed=1)).any()


def test_a_start_outside_its_space():
    with pytest.raises(el.DiagnosticError, match="E0704"):
        values("positive[3]", "= -1")


def test_functions_take_dims_data_and_params_and_call_each_other():
    model = el.compile(
        "const k = 2\ndata d: real[N] = [1, 2, 4]\nparam p: real[N] = 0.5\nlet total = sum(d)\n"
        "fn outer_one(x: real[n], y) -> real = inner(x) * y + n + k\nfn inner(x) = dot(x, p) + total\n"
        "fn middle(x: real[N], y: real[N]) -> real[N] = x * y * d\n"
        "energy e(x: real[N]) = outer_one(x, 3) + sum(middle(x, x))"
    )
    x = np.array([1.0, -1.0, 2.0])
    wanted = (0.5 * x.sum() + 7) * 3 + 3 + 2 + np.sum(x * x * [1, 2, 4])
    assert float(model["e"](x=x)) == pytest.approx(wanted, rel=1e-6)
