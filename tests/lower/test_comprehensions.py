"""Comprehensions against Python's own, through JAX and through numpy, and what they become."""

from __future__ import annotations

import jax
import numpy as np
import pytest

import energylang
from energylang.ir.nodes import Map, walk
from energylang.lower.evaluate import evaluate
from energylang.lower.operations import NUMPY

random = np.random.default_rng(3)
A = random.normal(size=(4, 3))
K = np.array([2, 0, 1, 2])
X = np.array([0.4, -1.1, 0.8, 1.7])
B = A @ A.T

CASES = {
    "[for i in N: x[i]^2 + i]": [X[i] ** 2 + i for i in range(4)],
    "[for i in N: 2.5]": [2.5] * 4,
    "[for v in x: v * sum(x)]": [v * X.sum() for v in X],
    "[for row in A: sum(row * row)]": [(r * r).sum() for r in A],
    "[for row in A: row * row[0]]": [r * r[0] for r in A],
    "[for i in N, j in M: A[i, j] * x[i]]": [[A[i, j] * X[i] for j in range(3)] for i in range(4)],
    "[for i in N, row in A: x[i] * row]": [[X[i] * r for r in A] for i in range(4)],
    "[for i in N: [for j in N: x[i] - x[j]]]": [[X[i] - X[j] for j in range(4)] for i in range(4)],
    "[for i in N: A[i]]": A,
    "[for i in N: A[i][k[i]]]": [A[i][K[i]] for i in range(4)],
    "[for i in N: A[:, k[i]]]": [A[:, K[i]] for i in range(4)],
    "[for i in N - 1: x[i + 1] - x[i]]": np.diff(X),
    "[for i in range(N): x[N - 1 - i]]": X[::-1],
    "[for i in N: B @ x * x[i]]": [B @ X * X[i] for i in range(4)],
    "[for row in A: logsumexp(row) + cumsum(row)]": [np.log(np.exp(r).sum()) + np.cumsum(r) for r in A],
    "[for row in A: [max(row), row[1], 3]]": [[r.max(), r[1], 3] for r in A],
    "[for row in A: concatenate((row, x))]": [np.concatenate([r, X]) for r in A],
    "[for row in B: roll(row, 1) + reverse(row)]": [np.roll(r, 1) + r[::-1] for r in B],
    "[for i in N: outer(A[i], A[i])]": [np.outer(r, r) for r in A],
    "[for i in N: transpose(outer(A[i], A[0]))]": [np.outer(r, A[0]).T for r in A],
    "[for i in N: reshape(outer(A[i], A[0]), [M * M])]": [np.outer(r, A[0]).ravel() for r in A],
    "[for i in N: zeros([M]) + x[i]]": [np.zeros(3) + v for v in X],
    "[for v in x: if v > 0 then log(v) else v]": [np.log(v) if v > 0 else v for v in X],
    "sum(for i in N, j in M: A[i, j] * j)": (A * np.arange(3)).sum(),
    "sum(for row in A: row)": A.sum(0),
    "prod(for v in x: v)": X.prod(),
    "mean(for v in x: v^2)": (X**2).mean(),
    "max(for i in N, j in N: x[i] * x[j])": np.outer(X, X).max(),
    "min(for v in x: v)": X.min(),
    "logsumexp(for v in x: 2 * v)": np.log(np.exp(2 * X).sum()),
    "any(for v in x: v > 1.5) and all(for v in x: v < 2)": True,
    "sum(for i in N: sum(for j in N: if j < i then x[j] else 0))": sum(X[:i].sum() for i in range(4)),
    "cumsum(for v in x: v)": np.cumsum(X),
}  # fmt: skip
DATA = {"A": A, "B": B, "k": K}


def report(text: str):
    model = energylang.compile(
        f"data A: real[N, M]\ndata B: real[N, N]\ndata k: cat(3)[N]\nenergy e(x: real[N]) {{\n+= 0\nlet r = {text}\nreport r\n+= sum(x)\n}}", data=DATA,
    )  # fmt: skip
    return model["e"].compiled


@pytest.mark.parametrize("text", CASES)
def test_values(text):
    compiled = report(text)
    environment = compiled.program.environment(compiled.arrays, {})
    (variable,) = compiled.program.energy.variables
    roots = [compiled.program.energy.reports[0].value]
    (found,) = evaluate(roots, {**environment, variable: X.astype(np.float32)}, compiled.program.dims)
    np.testing.assert_allclose(found, CASES[text], rtol=2e-5, atol=1e-6)
    inputs = {s: np.asarray(v) for s, v in environment.items()} | {variable: X}
    with np.errstate(invalid="ignore"):
        plain = evaluate(roots, inputs, compiled.program.dims, NUMPY)[0]
    np.testing.assert_allclose(plain, CASES[text], rtol=1e-6)
    assert np.shape(plain) == np.shape(CASES[text]) == np.shape(found)


def test_an_index_is_known_to_stay_inside():
    """`i + 1` fits where i runs over one less, and nowhere else; data decide the rest."""
    energylang.compile("energy e(x: real[5]) = sum(for i in 4: x[i + 1] * x[i])")
    with pytest.raises(energylang.DiagnosticError, match="the axis has 5 entries"):
        energylang.compile("energy e(x: real[5]) = sum(for i in 5: x[i + 1] * x[i])")


def test_whole_arrays_where_possible():
    """Elementwise bodies and those that move entries need no map; a matrix product of the body does."""

    def maps(text):
        model = energylang.compile(f"energy e(x: real[4], y: real[4, 4]) = {text}")
        return sum(isinstance(n, Map) for n in walk(*model["e"].compiled.program.energy.roots))

    assert maps("sum(for i in 4: x[i] * x[(i + 1) % 4])") == 0
    assert maps("sum(for row in y: sum(row) * logsumexp(row + x))") == 0


def test_gradients():
    energy = energylang.compile("energy e(x: real[4]) = sum(for i in 3, j in 4: if j > i then x[i] * x[j]^2 else 0)")[
        "e"
    ]
    found = jax.grad(lambda x: energy(x=x))(X.astype(np.float32))
    for place in range(4):
        step = np.zeros(4)
        step[place] = 1e-5
        values = [sum(v[i] * v[j] ** 2 for i in range(3) for j in range(4) if j > i) for v in (X + step, X - step)]
        assert float(found[place]) == pytest.approx((values[0] - values[1]) / 2e-5, rel=1e-4)


@pytest.mark.parametrize("head", ["data r: int = 2", "const r = 2", "data w: real[r] = [1, 2]"])
def test_a_multiple_of_a_size_is_a_size(head: str) -> None:
    """In a function too, whose parameter is a size of the caller."""
    source = "fn first(x: real[n], k) = sum(for j in 2 * k: (1 + j) * x[j % n])\nenergy e(x: real[6]) = first(x, r) + norm2(x)"
    energy = energylang.compile(f"{head}\n{source}")["e"]
    x = np.arange(6.0)
    assert float(energy(x=x)) == 1 * 0 + 2 * 1 + 3 * 2 + 4 * 3 + 55
