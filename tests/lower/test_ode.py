"""`ode` against closed forms and scipy, its gradients against differences, and what becomes of failed solutions."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_ivp

import energylang
from energylang.lower.evaluate import evaluate
from energylang.lower.operations import NUMPY

TIMES = np.array([0.3, 1.0, 1.0, 2.5])
OSCILLATOR = """
data ts: real[N]
fn field(t, y, w) = [y[1], -w^2 * y[0]]
energy e(w: positive, y0: real[2], start: real) {
  let y = ode(fn(t, y): field(t, y, w), y0, ts, t0 = start)
  += sum(y)
  report y
}
"""


def report(compiled, given, backend=None):
    program = compiled.program
    environment = program.environment(compiled.arrays, {}) | {v: given[v.name] for v in program.energy.variables}
    roots = [r.value for r in program.energy.reports]
    if backend is not None:
        plain = {s: np.asarray(v, np.float64) for s, v in environment.items()}
        return evaluate(roots, plain, program.dims, backend)[0]
    return evaluate(roots, environment, program.dims)[0]


def exact(w, y0, start):
    t = TIMES - start
    c, s = np.cos(w * t), np.sin(w * t)
    return np.stack([y0[0] * c + y0[1] / w * s, -w * y0[0] * s + y0[1] * c], axis=1)


def test_harmonic_oscillator():
    """The solution and its reverse-mode gradients, in parameters, start and time of the start, against the closed form."""
    compiled = energylang.compile(OSCILLATOR, data={"ts": TIMES})["e"].compiled
    point = {"w": np.array(1.7), "y0": np.array([1.0, -0.4]), "start": np.array(-0.2)}
    with jax.enable_x64(True):
        both = jax.jit(lambda p: (*jax.vjp(lambda p: report(compiled, p), p)[1](jnp.ones((4, 2))), report(compiled, p)))
        found, solution = both({k: jnp.asarray(v) for k, v in point.items()})
    np.testing.assert_allclose(solution, exact(**point), atol=1e-5)
    np.testing.assert_allclose(report(compiled, point, NUMPY), exact(**point), atol=1e-5)
    for name, index in (("w", ()), ("y0", 0), ("y0", 1), ("start", ())):
        ends = []
        for sign in (1, -1):
            moved = {k: v.copy() for k, v in point.items()}
            moved[name][index] += sign * 1e-5
            ends.append(exact(**moved).sum())
        assert float(found[name][index]) == pytest.approx((ends[0] - ends[1]) / 2e-5, rel=2e-4)


def test_many_at_once_and_times_that_are_variables():
    """One program for a batch of decays in float32; the times are differentiable, and must increase from the start."""
    text = "energy e(k: positive, t: real[2]) = sum(ode(fn(s, y): -k * y, 2.0, t, solver = dopri5))"
    energy = energylang.compile(text)["e"]
    rates = jnp.array([0.5, 1.0, 3.0, 1.0, 1.0])
    times = jnp.array([[0.2, 0.5], [1.0, 2.0], [0.0, 0.7], [1.0, 0.5], [-1.0, 1.0]])
    value, slope = jax.jit(jax.vmap(jax.value_and_grad(lambda t, k: energy(k=k, t=t))))(times, rates)
    assert not np.isfinite(value[3:]).any()
    decay = np.exp(-rates[:3, None] * times[:3])
    np.testing.assert_allclose(value[:3], 2 * decay.sum(1), rtol=1e-4)
    np.testing.assert_allclose(slope[:3], -2 * rates[:3, None] * decay, rtol=1e-3)


STIFF = """
data ts: real[N]
energy e(mu: positive) {
  let y = ode(fn(t, y): [y[1], mu * (1 - y[0]^2) * y[1] - y[0]], [2, 0], ts, solver = %s, max_steps = %d)
  += norm2(y)
  report y
}
"""


@pytest.mark.long
def test_stiff_van_der_pol():
    """The implicit solver follows mu = 1000 in 400 steps, to scipy's solution; an explicit one cannot, and says so."""
    times = np.array([10.0, 100.0, 500.0])
    with jax.enable_x64(True):
        made = energylang.compile(STIFF % ("kvaerno5", 400), data={"ts": times})["e"].compiled
        found = jax.jit(lambda mu: report(made, {"mu": mu}))(1000.0)
    reference = solve_ivp(
        lambda t, y: [y[1], 1000 * (1 - y[0] ** 2) * y[1] - y[0]], (0, 500), [2, 0], "Radau", times, rtol=1e-10, atol=1e-10
    )  # fmt: skip
    np.testing.assert_allclose(found, reference.y.T, rtol=1e-4, atol=1e-6)
    made = energylang.compile(STIFF % ("tsit5", 400), data={"ts": times})["e"].compiled
    assert not np.isfinite(jax.jit(lambda mu: made(mu=mu))(1000.0))
    assert not np.isfinite(report(made, {"mu": 1000.0}, NUMPY)).any()


@pytest.mark.long
def test_a_failed_solution_is_a_rejected_proposal():
    """dy/dt = y^2 explodes at 1 / y0: beyond it the energy is not finite, and chains stay before it."""
    model = energylang.compile("""
energy e(y0: real) {
  y0 ~ normal(0.5, 0.3)
  += 0 * sum(ode(fn(t, y): y^2, y0, [0.9], max_steps = 256))
}
""")
    run = model["e"].sample(method="nuts", draws=30, warmup=30, chains=2, seed=1)
    draws = np.asarray(run.draws("y0"))
    assert np.isfinite(draws).all()
    assert draws.max() < 1 / 0.9
    assert draws.std() > 0.05


def test_times_that_do_not_increase():
    """In data they are refused before anything runs."""
    with pytest.raises(energylang.DiagnosticError, match="must increase"):
        energylang.compile(OSCILLATOR, data={"ts": TIMES[::-1]})["e"]
    late = "data ts: real[N]\nenergy e(k: real) = sum(ode(fn(t, y): k * y, 1, ts, t0 = 2))"
    with pytest.raises(energylang.DiagnosticError, match="before the start at 2"):
        energylang.compile(late, data={"ts": TIMES})["e"]


def test_a_solution_in_a_let():
    model = energylang.compile("let y = ode(fn(t, y): -y, [1, 2], [0.0, 1])\nenergy e(x: real) = x * sum(y)")
    np.testing.assert_allclose(model.bound.values["y"], np.outer([1, np.exp(-1)], [1, 2]), atol=1e-5)


def test_a_step_that_cannot_be_solved_is_no_exception():
    """The linear solver of an implicit step meets infinity: the energy and its gradient are NaN, as for a rejected move."""
    text = """
data ts: real[3] = [1, 2, 3]
energy e(a: real) = sum(ode(fn(t, y): a / (y - y), 1, ts, solver = kvaerno5)) + a^2
"""
    energy = energylang.compile(text)["e"]
    value, slope = jax.jit(jax.value_and_grad(lambda a: energy(a=a)))(1.0)
    assert np.isnan(value)
    assert np.isnan(slope)
