"""Expressions: values through JAX against numpy, and derivatives that stay finite through `if`."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import energylang
from energylang.lower.evaluate import evaluate
from energylang.lower.operations import NUMPY

EXPRESSIONS = [
    "sum(x + 2 * x - x / 3)", "sum(x^2) + sum(x^3) - sum(x^(-1))", "sum(abs(x)^1.5)", "sum(-x * (x > 0.2))", "sum(k // 2 + k % 3)",
    "sum(exp(x) + log(p) + log1p(p) + expm1(x) + sqrt(p))", "sum(sin(x) + cos(x) + tan(x) + tanh(x) + sinh(x) + cosh(x))",
    "sum(asin(u) + acos(u) + atan(x) + atan2(x, p))", "sum(erf(x) + erfc(x) + lgamma(p) + digamma(p) + lbeta(p, p + 1))",
    "sum(logit(u) + inv_logit(x) + sigmoid(x) + log_inv_logit(x) + softplus(x))",
    "sum(std_normal_cdf(x) + log_std_normal_cdf(x) + log_bessel_i0(x))", "sum(floor(x) + ceil(x) + round(x) + sign(x))",
    "sum(minimum(x, p) + maximum(x, 0))", "prod(p) + mean(x) + max(x) - min(x) + logsumexp(x)", "sum(logaddexp(x, p))",
    "sum(if x > 0 then log(p) else x * 2)", "sum(if x > 0 and not (p < 1) or x < -1 then 1 else 0)",
    "sum(A @ x) + dot(x, x) + x @ x + sum(A @ A) + sum(x @ A)", "sum(A, axis = 0)[1] + sum(A, axis = (0, 1))",
    "sum(roll(A, 1, axis = 1) * A) + sum(roll(x, 2))", "sum(A[1:] * A[:-1]) + A[0, 2] + sum(A[:, -1]) + sum([[1, 2], [3, 4], [5, 6]][::2, 1])",
    "sum(x[k]) + sum(A[k, k]) + sum(A[0][k])", "sum(transpose(A) @ x)", "sum(reshape(A, [J * J]))", "sum(concatenate((x, p)) * 2)",
    "sum(concatenate((A, A), axis = 1)[0])", "sum(cumsum(x) + softmax(x) + log_softmax(x))", "sum(softmax(A, axis = 0) * A)",
    "sum(reverse(x) * x) + sum(reverse(A, axis = 1) * A)", "sum([x[0], p[1], 3.5] * [1, 2, 3])", "sum(outer(x, p) * A)",
    "norm2(x) + sum(zeros([J]) + ones([J]) * x) + sum(range(J) * x)", "J * sum(x) + J", "sum(x == p) + sum(k != 1)",
]  # fmt: skip
HEADER = """
data A: real[J, J]
data k: cat(3)[J]
let doubled = sum(A * 2)
"""
A = np.array([[0.3, -1.2, 0.7], [1.1, 0.4, -0.6], [-0.2, 0.9, 1.3]])
DATA = {"A": A, "k": [2, 0, 1]}
VALUES = {"x": np.array([0.5, -0.7, 1.6]), "p": np.array([0.4, 1.9, 2.2]), "u": np.array([0.2, 0.5, 0.9])}


@pytest.mark.parametrize("text", EXPRESSIONS)
def test_jax_agrees_with_numpy(text):
    source = f"{HEADER}energy e(x: real[J], p: positive[J], u: unit[J]) = {text} + 0 * (sum(u) + sum(p) + sum(x))"
    model = energylang.compile(source, data=DATA)
    program = model["e"].compiled.program
    environment = {s: model.bound.values[s.key] for s in program.inputs if s.key in model.bound.values}
    environment |= {v: VALUES[v.name] for v in program.energy.variables}
    expected = float(
        sum(np.sum(v) for v in evaluate([t.value for t in program.energy.terms], environment, program.dims, NUMPY))
    )
    with jax.enable_x64(True):
        assert float(model["e"](**VALUES)) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(
    ("text", "x", "slope"),
    [
        ("if x > 0 then log(x) else 2 * x", 0.0, 2.0),
        ("if x > 0 then sqrt(x) else 0", 0.0, 0.0),
        ("if x == 0 then 1 else sin(x) / x", 0.0, 0.0),
        ("if x < 1 then x^2 else log(x - 1)", 1.0, -np.inf),
        ("if x < 0 then 0 else x^0.5 + (if x > 3 then 1 / (x - 3) else 0)", 4.0, 0.25 - 1.0),
    ],
)
def test_the_branch_not_taken_has_no_derivative(text, x, slope):
    energy = energylang.compile(f"energy e(x: real) = {text}")["e"]
    found = float(jax.grad(lambda x: energy(x=x))(jnp.asarray(x)))
    if np.isfinite(slope):
        assert found == pytest.approx(slope)
    batched = energylang.compile(f"energy e(x: real[3]) = sum({text})")["e"]
    found = jax.grad(lambda x: batched(x=x))(jnp.asarray([x, 0.5, x]))
    if np.isfinite(slope):
        np.testing.assert_allclose(found[jnp.array([0, 2])], slope, rtol=1e-5)


def test_selections_inside_each_other():
    """A chain of `else if`, and lets that select again and again, cost what they are long; derivatives stay safe."""
    chain = "0"
    for i in range(40):
        chain = f"if x > {i} then log(x - {i} + 1) else ({chain})"
    energy = energylang.compile(f"energy e(x: real) = {chain}")["e"]
    assert float(jax.grad(lambda x: energy(x=x))(3.5)) == pytest.approx(2 / 3)
    lets = "".join(f"let a{i + 1} = if a{i} > 0 then log(a{i}) else 1 / a{i}\n" for i in range(40))
    energy = energylang.compile(f"energy e(x: real) {{\nlet a0 = x\n{lets}+= a40\n}}")["e"]
    value = 5.0
    for _ in range(40):
        value = np.log(value) if value > 0 else 1 / value
    assert float(energy(x=5.0)) == pytest.approx(value, rel=1e-2)
    inside = "if x > 0 then (if x < 1 then log(x) else 0) else 0"
    wide = "sum(if [-1.0, -2.0] > 0 then log(x) else 0)"
    named = "if sqrt(x) > 0 then sqrt(x) else 0"
    for text in (inside, wide, named):
        energy = energylang.compile(f"energy e(x: real) = {text}")["e"]
        assert float(jax.grad(lambda x, energy=energy: energy(x=x))(0.0)) == 0.0
    # One number that enters many elements: of those that are not taken none may reach it.
    energy = energylang.compile("energy e(x: real) = sum(if [0.0, 2.0] > 0 then log([0.0, 2.0] * x) else 3 * x)")["e"]
    assert float(jax.grad(lambda x: energy(x=x))(0.5)) == pytest.approx(2 + 3)


def test_long_sums_and_lets():
    """A sum of 5,000 terms, and a top-level let in float64."""
    long = " + ".join(["x"] * 5000)
    assert float(energylang.compile(f"energy e(x: real) = {long}")["e"](x=2.0)) == 10_000
    model = energylang.compile(f"{HEADER}energy e(x: real) = x * doubled", data=DATA)
    assert model.bound.values["doubled"].dtype == np.float64
    assert float(model["e"](x=1.0)) == pytest.approx(2 * A.sum(), rel=1e-6)


def test_functions_and_calls_with_a_bar():
    model = energylang.compile("""
fn square(a) = a * a
fn twice(a: real[n], b: real) -> real = 2 * sum(a) * b
distribution mine(x: real | mu: real) = 0.5 * square(x - mu) + 0.5 * log(2 * pi)
energy e(x: real[2]) {
  x ~ mine(1)
  += twice(x, 3) + sum(normal(x | 0, 1))
}
""")
    x = np.array([0.5, -1.0])
    expected = 0.5 * ((x - 1) ** 2).sum() + np.log(2 * np.pi) + 6 * x.sum() + 0.5 * (x**2).sum() + np.log(2 * np.pi)
    assert float(model["e"](x=x)) == pytest.approx(expected, rel=1e-6)
