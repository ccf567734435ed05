"""Which sites a row may depend on: against which it does depend on, by changing every site; and a twin that says less."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import energylang
from energylang.ir.nodes import Variable
from energylang.lower.evaluate import evaluate
from energylang.lower.operations import NUMPY
from energylang.lower.scopes import scopes

DATA = {"W": np.arange(1.0, 13.0).reshape(3, 4) / 7, "v": np.array([0.3, -1.2, 0.8, 2.0]), "at": np.array([2, 0, 1, 1])}
HEAD = "data W: real[3, 4]\ndata v: real[4]\ndata at: cat(3)[4]\n"
ROWS: dict[str, tuple[str, int]] = {
    "a matrix and a vector": ("(s @ v - 0.5)^2", 4),
    "a vector and a matrix": ("sin(v[:3] @ s)", 3),
    "two matrices": ("exp((s @ transpose(W))[0, :] / 9)", 4),
    "a matrix of data first": ("tanh(W @ s[0, :])", 4),
    "sums along the rows": ("(sum(s * W, axis = 1) - 1)^2", 4),
    "sums along the columns": ("cos(sum(s, axis = 0))", 3),
    "rows that are looked up": ("(sum(s, axis = 1)[at] - v)^2", 4),
    "neighbours after a sum": ("logaddexp(roll(sum(s, axis = 1), 1), sum(s, axis = 1))", 8),
    "side by side": ("concatenate((sum(s[:, :2], axis = 1), prod(s[:, 2:], axis = 1)), axis = 0)^3", 2),
    "two columns": ("(s[:, 0] * s[:, 3] + s[:, 1])^2", 3),
    "running sums": ("sin(cumsum(s[:, 0]))", 3),
    "a table": ("v[s[:, 1] + s[:, 2] * 2] * sum(s, axis = 1)", 4),
    "the largest": ("max(s * W, axis = 1)", 4),
}


def rows_of(text: str) -> tuple[Any, Any, dict[Variable, Any]]:
    kind = "binary" if "v[s" in text else "spin"
    source = f"{HEAD}energy e(s: {kind}[3, 4]) = {text}"
    used = {name: value for name, value in DATA.items() if name in text}
    program = energylang.compile(source, data=DATA | used)["e"].compiled.target().program
    (summand,) = program.structured
    return program, summand.summand.rows, program.numbered


@pytest.mark.parametrize("case", ROWS)
def test_rows_depend_on_what_is_said_and_on_nothing_else(case: str) -> None:
    text, width = ROWS[case]
    program, rows, slots = rows_of(f"sum({text})")
    found = scopes(rows, slots, program.known, program.dims)
    ((variable, slot),) = slots.items()

    def values(codes: np.ndarray) -> np.ndarray:
        inner = {**program.known, variable: slot.decode(codes.reshape(slot.shape))}
        return np.asarray(evaluate([rows], inner, program.dims, NUMPY)[0]).reshape(-1)

    depends = np.zeros((len(found), slot.size), bool)
    generator = np.random.default_rng(1)
    for _ in range(64):
        codes = generator.integers(0, 2, slot.size)
        before = values(codes)
        for site in range(slot.size):
            moved = codes.copy()
            moved[site] = 1 - moved[site]
            depends[:, site] |= np.abs(values(moved) - before) > 1e-9
    said = np.zeros_like(depends)
    for row, sites in enumerate(found):
        said[row, sites[sites >= 0]] = True
    assert found.shape[1] == width
    assert not (depends & ~said).any()
    # What runs along an axis is said to depend on all of it.
    assert np.array_equal(said, depends) or case == "running sums"


def test_what_is_not_followed_depends_on_everything() -> None:
    program, rows, slots = rows_of("fold(fn(a, b): tanh(a) + sum(b), 0.0, s)")
    assert np.array_equal(scopes(rows, slots, program.known, program.dims), np.arange(12)[None])
