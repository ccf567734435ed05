"""Extern nets: functions of JAX given from Python, against the same functions called directly."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import energylang as el
from tests.cli.conftest import Cli, cli

__all__ = ["cli"]

MODEL = """
data xs: real[N, 2] = [[1, 2], [3, 4], [5, 6]]
data ts: real[N] = [1, 2, 3]
extern net f: (real[2], real) -> real
extern net g: real[N, 2] -> real[2]
let table = g(xs)

energy e(x: real[2], s: spin[4]) {
  += f(x, 0.5) + sum(f(xs, ts)) + dot(table, x)
  += sum([f(x, s[0]), if s[1] == 1 then f(x, 2) else 0])
}

sample e with blocks(nuts(), gibbs()), draws = 50, warmup = 50, chains = 2
"""


def f(x, t):
    return jnp.sum(jnp.tanh(x) * t) + 0.1 * t**2


def g(xs):
    return jnp.mean(xs, axis=0)


def by_hand(x, s):
    xs = jnp.array([[1.0, 2], [3, 4], [5, 6]])
    several = sum(f(row, t) for row, t in zip(xs, (1.0, 2.0, 3.0), strict=True))
    chosen = f(x, 2.0) if s[1] == 1 else 0.0
    return f(x, 0.5) + several + g(xs) @ x + f(x, float(s[0])) + chosen


def test_values_gradients_and_batches():
    model = el.compile(MODEL, bind={"f": f, "g": g})
    energy = model["e"]
    x, s = jnp.array([0.3, -0.8]), np.array([1, 1, -1, 1])
    assert float(energy(x=x, s=s)) == pytest.approx(float(by_hand(x, s)), rel=1e-5)
    np.testing.assert_allclose(jax.grad(lambda x: energy(x=x, s=s))(x), jax.grad(by_hand)(x, s), rtol=1e-5)
    many = jax.vmap(lambda x: energy(x=x, s=s))(jnp.stack([x, 2 * x]))
    np.testing.assert_allclose(many, [by_hand(x, s), by_hand(2 * x, s)], rtol=1e-5)


def test_a_discrete_model_is_enumerated():
    """A function is opaque: its gains are estimates, and the energy is its own."""
    model = el.compile(
        "extern net h: spin[3] -> real\nenergy e(s: spin[3]) = h(s)", bind={"h": lambda s: s[0] * s[1] + jnp.sum(s)}
    )
    states = np.array(np.meshgrid(*[[-1, 1]] * 3)).reshape(3, -1).T
    exact = np.log(np.sum(np.exp(-(states[:, 0] * states[:, 1] + states.sum(1)))))
    assert model["e"].evidence(method="enumerate").log_z == pytest.approx(exact, rel=1e-5)
    assert model["e"].compiled.program.facts.gains == "estimate"


def test_inside_a_distribution_and_a_module(tmp_path):
    """A body over one event is mapped over the batch, the function with it."""
    (tmp_path / "parts.energy").write_text(
        "extern net f: real -> real\ndistribution shifted(y: real | x: real) =\n  0.5 * (y - f(x))^2 + 0.5 * log(2 * pi)\n"
    )
    (tmp_path / "model.energy").write_text("import parts\nenergy e(y: real[3]) {\n  y ~ parts.shifted([1, 2, 3])\n}\n")
    energy = el.load(tmp_path / "model.energy", bind={"parts.f": jnp.sin})["e"]
    y = np.array([0.1, 0.2, 0.3])
    wanted = np.sum(0.5 * (y - np.sin([1, 2, 3])) ** 2) + 1.5 * np.log(2 * np.pi)
    assert float(energy(y=y)) == pytest.approx(wanted, rel=1e-5)


def test_a_run_belongs_to_its_function():
    def fingerprint(scale):
        model = el.compile(
            "extern net f: real -> real\nenergy e(x: real) = f(x)", bind={"f": lambda x: jnp.sum(scale * x**2)}
        )
        return model.plan("sample").provenance().options["functions"]["f"]

    scale = np.array([1.0, 2.0])
    assert fingerprint(scale) == fingerprint(scale.copy())
    assert fingerprint(scale) != fingerprint(2 * scale)


def wrong(_):
    raise RuntimeError("out of order\nand more")


ONE = "extern net f: real[2] -> real\nenergy e(x: real[2]) = f(x)"

WRONG = {
    "missing": (None, "E0238", "no function for the extern net `f`", "bind = "),
    "superfluous": ({"f": jnp.sum, "ff": jnp.sum}, "E0238", "declares no extern net `ff`", "did you mean `f`?"),
    "no function": ({"f": 3}, "E0238", "bound to a int", "a function of JAX arrays"),
    "another shape": ({"f": lambda x: x}, "E0239", "gives float32[2], and not an array of shape []", ""),
    "complex numbers": ({"f": lambda x: jnp.sum(x) * 1j}, "E0239", "gives complex64[]", ""),
    "a tuple": ({"f": lambda x: (x, x)}, "E0239", "gives a tuple", ""),
    "another number of inputs": ({"f": lambda x, y: x}, "E0239", "cannot be called", "without the batch"),
    "numpy inside": ({"f": lambda x: np.sum(np.asarray(x))}, "E0239", "cannot be called", ""),
    "an error inside": ({"f": wrong}, "E0239", "cannot be called", ""),
}


@pytest.mark.parametrize("title", WRONG)
def test_wrong_functions(title):
    functions, code, message, fix = WRONG[title]
    with pytest.raises(el.DiagnosticError) as caught:
        el.compile(ONE, bind=functions)
    (found,) = caught.value.diagnostics
    assert (found.code, message in found.message, fix in found.fix) == (code, True, True), found
    assert "\n" not in found.cause


def test_the_command_line_checks_and_says_where_to_run(cli: Cli, tmp_path):
    path = tmp_path / "model.energy"
    path.write_text(ONE + "\n")
    assert cli("check", str(path)).code == 0
    found = cli("sample", str(path))
    assert found.code == 2
    assert "energylang.load" in found.err
