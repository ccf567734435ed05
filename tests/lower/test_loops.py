"""`scan` and `fold` against Python's loops, through JAX and numpy; what discrete values make of them."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import energylang
from energylang.ir.bodies import invariants
from energylang.ir.nodes import Apply, Loop, walk
from energylang.lower.evaluate import evaluate
from energylang.lower.operations import JAX, NUMPY
from energylang.model import Point

Y = np.array([0.5, -1.2, 2.0, 0.3])
X = np.array([0.4, -0.9])


def running(step, state):
    states = []
    for turn, y in enumerate(Y):
        state = step(state, y, turn)
        states.append(state)
    return states


CASES = {
    "scan(fn(s, v): x[0] * s + v, 0, y)": running(lambda s, v, i: X[0] * s + v, 0.0),
    "scan(fn(s, v): s + v * x, x, y)": running(lambda s, v, i: s + v * X, X),
    "fold(fn(s, v): x[0] * s + v, x[1], y)": running(lambda s, v, i: X[0] * s + v, X[1])[-1],
    "fold(fn(s, v): s, x[1], y)": X[1],
    "scan(fn(s, i): s + i, 0, N)": np.cumsum(np.arange(4)),
    "scan(fn(s, i): s * y[i] + x[0], 1, range(N))": running(lambda s, v, i: s * v + X[0], 1.0),
    "fold(fn(s, a, b): s + a * b, 0, (y, N))": sum(v * i for i, v in enumerate(Y)),
    "fold(fn(s, row): A @ s + row, x, B)": None,
    "scan(maximum, x[0], y)": np.maximum(np.maximum.accumulate(Y), X[0]),
    "scan(add, x[0], y)": np.cumsum(Y) + X[0],
    "scan(fn(s, v): add(s, twice(fn(a): a * v, s)), 1, y)": running(lambda s, v, i: s + s * v * v, 1.0),
    "[for row in B: fold(fn(s, v): s * x[0] + v, 0, row)]": None,
    "fold(fn(s, i): s + fold(fn(r, j): r + x[0] * j * i, 0, 3), 0, N)": 3 * X[0] * 6,
    "scan(fn(m, v): m or v > 1, false, y)": [False, False, True, True],
    "fold(fn(s, v): s + (if v > x[0] then log(v) * x[1] else 0), 0, y)": X[1] * np.log(Y[X[0] < Y]).sum(),
    "scan(fn(s, v): s + fib(v), 0, y)": np.cumsum(Y + 1),
}  # fmt: skip
A = np.array([[0.5, 0.1], [-0.3, 0.8]])
B = np.array([[1.0, 2.0], [0.5, -1.0], [0.3, 0.7]])
state = X
for row in B:
    state = A @ state + row
CASES["fold(fn(s, row): A @ s + row, x, B)"] = state
CASES["[for row in B: fold(fn(s, v): s * x[0] + v, 0, row)]"] = [a * X[0] + b for a, b in B]
HEADER = """
data y: real[N]
data A: real[2, 2]
data B: real[M, 2]
fn add(a, b) = a + b
fn twice(f, a) = f(f(a))
fn fib(a: real) -> real = a + 1
"""
DATA = {"y": Y, "A": A, "B": B}


def compiled(text: str, data=DATA):
    return energylang.compile(f"{HEADER}{text}", data=data)["e"].compiled


def values(compiled, given):
    """The reports through JAX, and through numpy."""
    program = compiled.program
    environment = program.environment(compiled.arrays, {}) | {v: given[v.name] for v in program.energy.variables}
    roots = [r.value for r in program.energy.reports]
    plain = {s: np.asarray(v, np.float64 if np.asarray(v).dtype.kind == "f" else int) for s, v in environment.items()}
    with np.errstate(invalid="ignore", divide="ignore"):
        return evaluate(roots, environment, program.dims, JAX), evaluate(roots, plain, program.dims, NUMPY)


@pytest.mark.parametrize("text", CASES)
def test_values(text):
    made = compiled(f"energy e(x: real[2]) {{\n+= norm2(x)\nlet r = {text}\nreport r\n}}")
    for found in values(made, {"x": jnp.asarray(X)}):
        np.testing.assert_allclose(found[0], CASES[text], rtol=1e-5, atol=1e-6)
        assert np.shape(found[0]) == np.shape(CASES[text])


def test_tuples_are_taken_apart():
    """States of several parts, functions that give tuples, and lets of them at the top level."""
    made = compiled("""
fn pair(a, b) = (a + b, a * b)
fn step(s, m, v) = (s + v, if s > m then s else m)
let (total, largest) = fold(step, (0, 0.0), y)
energy e(x: real[2]) {
  let (u, w) = pair(x[0], x[1])
  let (a, b) = scan(fn(a, b, v): (b, a * x[0] + v), (u, w), y)
  let (c, d) = (a[0], 3)
  += u
  report a
  report b
  report r = u + w + total + largest + c + d
}
""")
    a, b = X[0] + X[1], X[0] * X[1]
    rows = []
    for v in Y:
        a, b = b, a * X[0] + v
        rows.append((a, b))
    partial = np.concatenate([[0], np.cumsum(Y)[:-1]])
    r = X.sum() + X.prod() + Y.sum() + max(0, partial.max()) + rows[0][0] + 3
    for found in values(made, {"x": jnp.asarray(X)}):
        for part, wanted in zip(found, (*np.transpose(rows), r), strict=True):
            np.testing.assert_allclose(part, wanted, rtol=1e-5)


def test_gradients_through_loops():
    """Reverse mode through a scan and a fold inside it, against central differences in float64."""
    made = compiled("""
energy e(x: real[2], w: positive) {
  let s = scan(fn(s, v): x[0] * tanh(s) + fold(fn(r, j): r * w + j, v, 3), x[1], y)
  += sum(s^2)
}
""")
    point = {"x": X, "w": np.float64(0.7)}
    with jax.enable_x64(True):
        found = jax.grad(lambda p: made(p))({k: jnp.asarray(v) for k, v in point.items()})
        for name, index in (("x", 0), ("x", 1), ("w", ())):
            ends = []
            for sign in (1, -1):
                moved = {k: np.array(v) for k, v in point.items()}
                moved[name][index] += sign * 1e-5
                ends.append(float(made(moved)))
            assert float(found[name][index]) == pytest.approx((ends[0] - ends[1]) / 2e-5, rel=1e-6)


def test_what_stays_the_same_is_computed_once():
    """A product of matrices that no turn changes is an operand of the loop; what a branch guards stays in the branch."""
    program = compiled("""
energy e(x: real[2]) {
  let m = A @ (A @ x)
  += fold(fn(s, v): s + sum(m * v) + (if v > 0 then log(x[0]) * v else 0), 0, y)
}
""").program
    (loop,) = [n for n in walk(*program.energy.roots) if isinstance(n, Loop)]
    operations = {n.operation for n in invariants(loop) if isinstance(n, Apply)}
    assert operations == {"matmul", "index"}
    zero = "energy e(x: real) = fold(fn(s, v): s + (if v > 3 then log(x) else x), 0, y)"
    assert float(jax.grad(lambda x: compiled(zero)(x=x))(0.0)) == pytest.approx(4.0)


def test_a_sum_of_large_integers_does_not_wrap_around():
    energy = energylang.compile(
        "data k: int[3] = [2_000_000_000, 2_000_000_000, 5]\nenergy e(x: real) = x * fold(fn(s, v): s + v, 0, k)"
    )
    assert float(energy["e"](x=1.0)) == pytest.approx(4_000_000_005, rel=1e-6)


DISCRETE = {
    "a loop": "log(1 + exp(fold(fn(a, v): a * 0.5 + v * h[2], 0, s))) - fold(fn(a, i): a + (if s[i] == s[0] then h[i] else 0), 0, 4)",
    "a loop of integers": "fold(fn(a, v): (a + v) % 3, 0, z) * 0.7 + h[fold(fn(a, v): (a + v) % 3, 0, z)]",
    "a map": "sum([for i in 4: (M[z[i]] @ M[z[(i + 1) % 4]])^2])",
    "elements of a map": "sum([for v in z: M[v] @ M[v] * h[v]])",
}


@pytest.mark.parametrize("name", DISCRETE)
def test_discrete_values_in_bodies(name):
    """They are opaque, and the extension agrees with the energy at the vertices: no gain of the current value."""
    text = f"data h: real[4]\ndata M: real[3, 2]\nenergy e(s: spin[4], z: cat(3)[4]) = {DISCRETE[name]} + 0 * sum(s)"
    random = np.random.default_rng(5)
    energy = energylang.compile(text, data={"h": random.normal(size=4), "M": random.normal(size=(3, 2))})["e"]
    assert energy.compiled.program.facts.gains == ("exact" if name == "elements of a map" else "estimate")
    target = energy.target()
    codes = tuple(jnp.asarray(random.integers(0, k, 4), jnp.int32) for k in (2, 3))
    for gain, code in zip(jax.jit(target.gains)(Point(jnp.zeros(0), codes)), codes, strict=True):
        current = jnp.take_along_axis(gain, code[:, None], axis=1)
        assert float(jnp.abs(current).max()) < 1e-5
        assert np.isfinite(np.asarray(gain)).all()
    spins, values_ = 2 * np.asarray(codes[0]) - 1, np.asarray(codes[1])
    extension = jax.jit(lambda s, z: _extension(energy, s, z))(spins, values_)
    assert float(extension) == pytest.approx(float(energy(s=spins, z=values_)), rel=1e-5)


def _extension(energy, spins, values_):
    """The relaxed energy at a vertex."""
    from energylang.lower.extension import Relaxed, evaluate_relaxed

    compiled = energy.compiled
    program = compiled.program
    environment = program.environment(compiled.arrays, {})
    s, z = program.energy.variables
    environment |= {s: jnp.asarray(spins, float), z: Relaxed(jax.nn.one_hot(values_, 3))}
    return sum(evaluate_relaxed([t.value for t in program.energy.terms], environment, program.dims))
