"""Whose names a body means, what a batch changes, and what is refused or accepted because of it."""

from __future__ import annotations

import numpy as np
import pytest

import energylang
from energylang.diagnostics import DiagnosticError


def codes(text: str) -> list[str]:
    """The errors of a model with its data, energies lowered."""
    try:
        model = energylang.compile(text)
        for name in model:
            model[name]
    except DiagnosticError as problem:
        return [d.code for d in problem.diagnostics if d.severity == "error"]
    return []


@pytest.mark.parametrize("declared", ["const k = 5", "data k: int = 5", "fn lgamma(a) = 0 * a", "fn log(a) = a"])
def test_a_model_changes_nothing_in_the_library(declared):
    text = """
energy e(z: cat(3), x: positive, p: simplex[3]) {
  p ~ dirichlet([1.5, 2, 1])
  z ~ categorical(p)
  x ~ gamma(3.5, 1)
}"""
    point = {"z": 1, "x": 1.2, "p": np.array([0.2, 0.3, 0.5])}
    plain, other = (energylang.compile(t)["e"](**point) for t in (text, declared + text))
    assert float(plain) == float(other)


def test_a_batch_is_one_event_after_the_other():
    """An event dim of an argument that has the batch's size by chance is still an event dim."""
    model = energylang.compile("""
const n = 3
data b: real[n] = [1, 2, 3]
distribution far(x: real | b: real[k]) = sum((x - b)^2)
energy e(x: real[n]) = sum(far(x | b))
energy f(x: real[n]) {
  x ~ far(b)
}
""")
    x = np.array([1.0, 2.0, 4.0])
    expected = ((x[:, None] - np.array([1.0, 2.0, 3.0])) ** 2).sum()
    assert float(model["e"](x=x)) == pytest.approx(expected)
    assert float(model["f"](x=x)) == pytest.approx(expected)


def test_distributions_written_as_blocks():
    model = energylang.compile("""
distribution pair(x: real[2] | m: real) {
  let shift = 2 * m
  x[0] ~ normal(m, 1)
  x[1] ~ normal(shift, 1)
}
distribution nothing(x: unit) { let a = x }
energy e(x: real[3, 2], y: real[2], u: unit) {
  x ~ pair([0, 1, 2])
  u ~ nothing()
  += pair(y + 1 | 0)
}
""")
    x, y = np.arange(6.0).reshape(3, 2), np.array([0.5, -1.0])
    m = np.arange(3.0)
    squares = ((x[:, 0] - m) ** 2).sum() + ((x[:, 1] - 2 * m) ** 2).sum() + ((y + 1) ** 2).sum()
    assert float(model["e"](x=x, y=y, u=0.5)) == pytest.approx(0.5 * squares + 4 * np.log(2 * np.pi), rel=1e-6)


def test_variables_of_one_call_share_a_batch():
    text = "energy p(a: real[2], b: real[2]) = dot(a, b)\nenergy e(x: real[3, 2], y: real[{n}2]) = sum(p(x, y))"
    assert codes(text.format(n="4, ")) == ["E0301"]
    x = np.arange(6.0).reshape(3, 2)
    assert float(energylang.compile(text.format(n=""))["e"](x=x, y=np.ones(2))) == 15.0


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("fn f(a: real[k]) = sum(a) / k\nenergy e(x: real[4]) = f(x)", []),
        ("fn f(a: real[3]) = sum(a)\nenergy e(x: real[4]) = f(x)", ["E0301"]),
        ("fn f(a: real[k], b: real[k]) = sum(a * b)\nenergy e(x: real[4], y: real[3]) = f(x, y)", ["E0301"]),
        ("fn f(a: int) = a\nenergy e(x: real) = f(x)", ["E0302"]),
        ("fn f(a: real) = a\nenergy e(x: real[2]) = sum(f(x))", ["E0303"]),
        ("fn f(a) -> int = a\nenergy e(x: real) = f(x)", ["E0302"]),
        ("energy e(x: real[4]) = sum(x[:m])", ["E0305"]),
        ("energy e(x: real) = x * sum(zeros([2, m]))", ["E0305"]),
        ("energy g(x: real | c: real[m]) = x * sum(c)\nenergy e(y: real) = y^2 * m", ["E0201"]),
    ],
)
def test_types_of_functions(text, wanted):
    assert codes(text) == wanted


@pytest.mark.parametrize(
    ("statements", "wanted"),
    [
        ("m: ordered[2], a: real[2]) {\n a ~ normal(0, 1)\n m ~ normal(a, 1)", ["E0402"]),
        ("m: ordered[2], a: real) {\n a ~ normal(0, 1)\n m ~ normal(a, 1)", []),
        ("m: ordered[2], a: real) {\n a ~ normal(0, 1)\n m[0] ~ normal(a, 1)", ["E0402"]),
        ("m: positive_ordered[2], a: real) {\n a ~ normal(0, 1)\n m ~ normal(a, 1)", ["E0402"]),
        ("m: positive_ordered[2], a: positive) {\n a ~ gamma(1, 1)\n m ~ gamma(a, 1)", []),
        ("x: interval(0, 5)) {\n x ~ gamma(2, 1)", []),
        ("x: interval(-1, 5)) {\n x ~ gamma(2, 1)", ["E0401"]),
        ("p: simplex[3]) {\n p[:2] ~ dirichlet([1, 1])", ["E0401"]),
        ("p: simplex[2, 3]) {\n p[0] ~ dirichlet([1, 1, 1])", []),
        ("z: cat(2)) {\n z ~ categorical([0.5, 0.9])", ["E0405"]),
        ("z: cat(3), w: unit[3]) {\n w ~ beta(1, 1)\n z ~ categorical(w)", ["E0405"]),
        ("z: cat(3), w: positive[3]) {\n w ~ gamma(1, 1)\n z ~ categorical(w / sum(w))", []),
        ("x: interval(0, 2)) {\n x ~ flat(1)", []),
        ("x: interval(0, 3)) {\n x ~ flat(1)", ["E0401"]),
        ("m: real) {\n let z = log(y)\n z ~ normal(m, 1)\n z[0] ~ normal(m, 1)", []),
        ("m: real) {\n log(y) ~ normal(m, 1)", ["E0501"]),
        ("m: real) {\n let z = m + 1\n z ~ normal(m, 1)", ["E0501"]),
    ],
)
def test_supports(statements, wanted):
    head = "data y: positive[2] = [1, 2]\ndistribution flat(x: interval(0, 2) | a: real) = log(2) + 0 * a * x\n"
    assert codes(f"{head}energy e({statements}\n}}") == wanted


def test_conditions_fix_dims_and_leave_those_of_data_alone():
    model = energylang.compile("data y: real[m] = [1, 2, 3]\nenergy e(x: real | m: int) = x^2 * m * sum(y)")
    assert model.plan("sample", on={"m": 2}).energy.target().facts.reals == 1
    model = energylang.compile("energy e(x: real[m] | m: int) = sum(x^2) * m")
    assert model.plan("sample", on={"m": 4}).energy.target().facts.reals == 4
    model = energylang.compile("energy e(x: real[5] | m: int, c: real[k]) = sum(x[:m]) + sum(zeros([k])) * sum(c)")
    energy = model.plan("sample", on={"m": 2, "c": np.ones(3)}).energy
    assert float(energy(x=np.arange(5.0))) == 1.0


def test_an_index_modulo_a_dim():
    for head in ("data w: real[N] = [1, 2, 3]", "data N: int = 3\ndata w: real[N] = [1, 2, 3]"):
        model = energylang.compile(f"{head}\nenergy e(z: cat(3)) = w[(z + 1) % N]")
        assert [float(model["e"](z=z)) for z in range(3)] == [2.0, 3.0, 1.0]
    assert codes("data k: int = -5\nenergy e(z: cat(3)) = [1.0, 2.0, 3.0][(z + k)]") == ["E0709"]


@pytest.mark.parametrize(
    "text",
    [
        "\n".join(["fn f0(x) = x + 1", *(f"fn f{i}(x) = f{i - 1}(x)" for i in range(1, 300))]) + "\nlet a = f299(1)",
        "\n".join(["fn f0(x) = x + 1", *(f"fn f{i}(x) = f{i - 1}(f{i - 1}(x))" for i in range(1, 40))])
        + "\nlet a = f39(1)",
        "\n".join(f"const c{i} = c{i + 1} + 1" for i in range(2000)) + "\nconst c2000 = 1",
        "\n".join(f"let c{i} = c{i + 1} + 1" for i in range(2000)) + "\nlet c2000 = 1",
    ],
    ids=["deep functions", "doubling functions", "consts", "lets"],
)
def test_what_leads_too_deep_is_refused(text):
    assert "E0209" in codes(text)
