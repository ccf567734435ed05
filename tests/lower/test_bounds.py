"""What only data decide: integers beyond 32 bits, empty arrays, indices and sizes."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest

import energylang
from energylang.diagnostics import DiagnosticError


@pytest.mark.parametrize(
    ("term", "y", "expected"),
    [
        ("sum(y * y)", [50_000, 50_000], 5e9),
        ("sum(y)", [2_000_000_000, 2_000_000_000], 4e9),
        ("sum(y^3)", [5_000, 1], 1.25e11),
        ("dot(y, y)", [60_000, 3], 3.6e9),
        ("prod(y)", [70_000, 70_000], 4.9e9),
        ("sum(cumsum(y))", [2_000_000_000, 100_000_000], 4.1e9),
        ("sum(y + 3_000_000_000)", [1, 2], 6e9),
        ("max(-(y * 4 - 1))", [-1_000_000_000, 7], 4e9),
        ("(y * y)[1]", [1, 100_000], 1e10),
        ("sum(if y > 2 then y * y else y)", [2, 80_000], 6.4e9),
        ("sum(y // 2 + y % 8)", [4_000_000_000, 9], 2e9),
    ],
)
def test_integers_do_not_wrap_around(term, y, expected):
    model = energylang.compile(f"data y: int[N]\nenergy e(x: real) = x * ({term})", data={"y": y})
    assert float(model["e"](x=1.0)) == pytest.approx(expected, rel=1e-6)


def test_sums_of_spins_stay_integers():
    model = energylang.compile(
        "energy e(s: spin[200]) = sum(100 * s) * sum(1000 * s)\nenergy f(s: spin[9]) = sum(s) * sum(s)"
    )
    assert float(model["e"](s=jnp.ones(200, jnp.int32))) == 4e9
    assert model["f"].node is model.node("f")


def test_counts_beyond_32_bits():
    model = energylang.compile(
        "data y: count[N]\nenergy e(x: positive) { y ~ poisson(x) }", data={"y": [3_000_000_000]}
    )
    assert float(model["e"](x=3e9)) == pytest.approx(0.5 * np.log(2 * np.pi * 3e9), abs=2e4)


@pytest.mark.parametrize(
    ("text", "data", "code"),
    [
        ("data y: int", {"y": 1e30}, "E0702"),
        ("data y: int", {"y": np.uint64(2**64 - 1)}, "E0702"),
        ("data y: real[N]\nenergy e(x: real) = x + max(y)", {"y": np.zeros(0)}, "E0303"),
        ("data y: real[N]\nenergy e(x: real) = x + mean(y)", {"y": np.zeros(0)}, "E0303"),
        ("data y: real[N]\nlet top = max(y)", {"y": np.zeros(0)}, "E0303"),
        ("data w: real[3]\ndata i: int\nlet z = w[i]", {"w": [1, 2, 3], "i": 7}, "E0709"),
        ("let z = sum(range(10^12))", {}, "E0708"),
        ("const n = 10^6\nlet z = sum(outer(zeros([n]), zeros([n])))", {}, "E0708"),
        ("energy e(s: cat(10^12)[3]) = sum(s)", {}, "E0708"),
        ("data K: int\nenergy e(s: cat(K)[3]) = sum(s)", {"K": 0}, "E0404"),
        ("energy e(p: simplex[0]) = 1", {}, "E0404"),
    ],
)
def test_what_data_decide(text, data, code):
    def lowered() -> list[energylang.Energy]:
        model = energylang.compile(text, data=data)
        return [model[name] for name in model]

    with pytest.raises(DiagnosticError) as found:
        lowered()
    assert [d.code for d in found.value.diagnostics] == [code]


def test_bindings_are_checked_as_data_are():
    model = energylang.compile(
        "data w: real[3] = [1, 2, 3]\ndata i: int = 7\nenergy e(x: real | c: real) = x * c\nsample e on (c = w[i])"
    )
    with pytest.raises(DiagnosticError, match="the axis has 3 entries"):
        model.plan("sample")


IMPOSSIBLE = {
    "`k[1]` is 7": "data k: count[K] = [2, 7, 3]\nenergy e(p: unit) {\n  k ~ binomial(5, p)\n}",
    "`z[2]` is 3.0": "data z: real[M] = [0.1, 0.9, 3]\nenergy e(m: real) {\n  m ~ normal(0, 1)\n  z ~ truncate(normal(m, 1), 0, 2)\n}",
    "`y[1:][0]` is 0.5": "data y: positive[M] = [2, 0.5]\nenergy e(a: positive) {\n  a ~ gamma(2, 1)\n  y[1:] ~ pareto(1, a)\n}",
}


@pytest.mark.parametrize("words", IMPOSSIBLE)
def test_data_that_have_no_density_whatever_the_variables_are(words):
    with pytest.raises(DiagnosticError) as refused:
        energylang.compile(IMPOSSIBLE[words])["e"]
    (found,) = refused.value.diagnostics
    assert found.code == "E0704"
    assert words in found.message


def test_what_variables_decide_is_left_to_the_run():
    text = "data k: count[K] = [2, 7, 3]\nenergy e(n: count) {\n  n ~ poisson(8)\n  k ~ binomial(n, 0.5)\n}"
    energylang.compile(text)["e"]


def test_a_component_without_density_is_no_mixture_without():
    text = (
        "data k: count[K] = [2, 7, 3]\nenergy e(p: unit) {\n  p ~ beta(1, 1)\n"
        "  k ~ mixture(binomial(5, p), poisson(4), weights = [0.5, 0.5])\n}"
    )
    energylang.compile(text)["e"]
