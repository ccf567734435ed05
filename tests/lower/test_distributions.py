"""The standard library against scipy: value, gradient in every argument by finite differences, and support."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

import energylang
from energylang.syntax import ast
from energylang.syntax.library import parse_library
from tests.support.laws import LAWS


def energy_of(name):
    """The energy with the variable and the arguments as conditions: (x, arguments) to a number."""
    law = LAWS[name]
    numbers = [n for n, space in law.conditions.items() if space.lstrip("-").isdigit()]
    signature = ", ".join([f"x: {law.space}"] + [f"{n}: {s}" for n, s in law.conditions.items() if n not in numbers])
    given = ", ".join(law.conditions[n] if n in numbers else n for n in law.conditions)
    bar = f" | {given}" if given else ""
    model = energylang.compile(f"energy e(u: real | {signature}) = {name}(x{bar}) + 0 * u")
    names = [n for n in law.conditions if n not in numbers]
    return lambda x, arguments: model["e"](u=0.0, x=x, **dict(zip(names, arguments, strict=True)))


def test_every_distribution_is_checked():
    library = {d.name.text for d in parse_library("distributions").declarations if isinstance(d, ast.Energy)}
    assert library == LAWS.keys()


def differences(law, x):
    """The gradient of the negative log density by scipy in every real argument, central differences."""
    step = 1e-5
    found = []
    for place, value in enumerate(law.arguments):
        if isinstance(value, int):
            continue
        slope = np.zeros(np.shape(value))
        for entry in np.ndindex(np.shape(value)):
            ends = []
            for sign in (1, -1):
                moved = np.array(value, float)
                moved[entry] += sign * step
                ends.append(law.log_density(x, *law.arguments[:place], moved, *law.arguments[place + 1 :]))
            slope[entry] = -(ends[0] - ends[1]) / (2 * step)
        found.append(slope)
    return found


@pytest.mark.parametrize("name", LAWS)
def test_density(name):
    law = LAWS[name]
    with jax.enable_x64(True):
        energy = energy_of(name)
        real = [i for i, value in enumerate(law.arguments) if not isinstance(value, int)]
        whole = {i: value for i, value in enumerate(law.arguments) if isinstance(value, int)}

        def of(x, reals):
            values = {**whole, **dict(zip(real, reals, strict=True))}
            return energy(x, [values[i] for i in range(len(values))])

        slopes = jax.jit(jax.value_and_grad(of, argnums=1 if law.discrete else (0, 1)))
        reals = [jnp.asarray(law.arguments[i], float) for i in real]
        for x in law.points:
            kind = jnp.int32 if law.discrete else float
            value, found = slopes(jnp.asarray(x, kind), reals)
            assert float(value) == pytest.approx(-law.log_density(x), rel=1e-9, abs=1e-9)
            if not law.discrete:
                along, found = found
                if "cholesky" in law.space:
                    along = jnp.tril(along)
                # Entries that depend on each other have no slope of their own.
                if not law.space.startswith(("simplex", "corr_cholesky")):
                    ends = [law.log_density(np.add(x, s * 1e-5 * np.ones(np.shape(x)))) for s in (1, -1)]
                    assert float(along.sum()) == pytest.approx(-(ends[0] - ends[1]) / 2e-5, rel=1e-5, abs=1e-6)
            for place, ours, theirs in zip(real, found, differences(law, x), strict=True):
                if list(law.conditions.values())[place].startswith("simplex"):
                    # scipy divides by the sum: only the slope along the simplex is the same.
                    ours, theirs = ours - ours.mean(), theirs - theirs.mean()
                if name.endswith("_cholesky") and np.ndim(ours) == 2:
                    ours = np.tril(ours)
                np.testing.assert_allclose(ours, theirs, rtol=2e-5, atol=2e-6)


def test_a_covariance_is_factored_once():
    """A batch of vectors shares the Cholesky factor of one covariance; and the values are those of each row."""
    law = LAWS["multi_normal"]
    text = "data S: real[2, 2]\nenergy e(x: real[5, 2]) {\n  x ~ multi_normal([0.3, -1], S)\n}"
    with jax.enable_x64(True):
        energy = energylang.compile(text, data={"S": law.arguments[1]})["e"]
        x = np.random.default_rng(0).normal(size=(5, 2))
        assert float(energy(x=x)) == pytest.approx(-sum(law.log_density(row) for row in x), rel=1e-9)
        shapes = [
            str(e.outvars[0].aval)
            for e in _equations(jax.make_jaxpr(lambda x: energy(x=x))(x).jaxpr)
            if e.primitive.name == "cholesky"
        ]
        assert shapes == ["float64[2,2]"]


def _equations(jaxpr):
    for equation in jaxpr.eqns:
        yield equation
        for inner in jax.core.jaxprs_in_params(equation.params):
            yield from _equations(inner)


LARGE = {
    "gamma": [(1e5, 1e4), (3e7, 3.0)],
    "inverse_gamma": [(1e5, 1e4)],
    "beta": [(1e5, 3e5), (1e6, 30.0)],
    "poisson": [(1e4,), (1e6,)],
    "poisson_log": [(9.0,), (13.0,)],
    "binomial": [(100_000, 0.3)],
    "neg_binomial_2": [(1e5, 1e6), (10.0, 1e6)],
    "neg_binomial_2_log": [(9.0, 1e5)],
    "beta_binomial": [(100_000, 1e4, 3e4)],
    "von_mises": [(0.4, 1e5)],
}


@pytest.mark.parametrize("name", LARGE)
def test_large_shapes_keep_their_digits_in_float32(name):
    """Differences of lgammas lose a float's precision of the shape, 0.01 to 2 here.

    What remains is the rounding of means: z standard deviations away it moves the energy by z sqrt(shape) roundings.
    """
    law = LAWS[name]
    energy = jax.jit(energy_of(name))
    for arguments in LARGE[name]:
        rounded = tuple(float(np.float32(a)) if isinstance(a, float) else a for a in arguments)
        size = np.exp(rounded[0]) if name.endswith("_log") else max(rounded)
        for probability in (0.006, 0.5, 0.6, 0.98):
            x = float(law.frozen(*rounded).ppf(probability))
            x = x if law.discrete else float(np.float32(x))
            found = float(energy(jnp.asarray(x, jnp.int32 if law.discrete else float), rounded))
            assert found == pytest.approx(-law.log_density(x, *rounded), abs=40 * 6e-8 * np.sqrt(size) + 4e-6)


def test_batches_of_events():
    """A distribution over vectors, mapped over a batch, is the sum over its rows."""
    text = "energy e(x: simplex[4, 3]) {\n  x ~ dirichlet([0.7, 2.0, 3.5])\n}"
    x = np.random.default_rng(0).dirichlet([1, 1, 1], 4)
    with jax.enable_x64(True):
        expected = -sum(stats.dirichlet([0.7, 2.0, 3.5]).logpdf(row) for row in x)
        assert float(energylang.compile(text)["e"](x=x)) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("nu", [1.0, 7.9, 15.9, 16.1, 1e3, 1e5, 1e7])
def test_student_t_keeps_its_digits_in_float32(nu):
    """Differences of lgammas cancel for large nu; the Beta function does not."""
    model = energylang.compile("data n: real\nenergy e(x: real) = student_t(x | n, 0, 1)", data={"n": nu})
    for x in (0.1, 2.0, 5.0):
        assert float(model["e"](x=x)) == pytest.approx(-stats.t(nu).logpdf(x), rel=3e-6, abs=3e-6)


def test_log_beta():
    from scipy.special import betaln, gammaln

    x, y = np.meshgrid(
        [0.1, 0.5, 1.0, 3.3, 7.99, 8.0, 8.01, 50.0, 1e3, 1e6], [0.2, 2.0, 7.999, 8.0, 9.0, 1e2, 1e5, 1e8]
    )
    text = "data x: positive[n, m]\ndata y: positive[n, m]\nenergy e(t: real) {\n  report b = lbeta(x, y)\n  += t^2\n}"
    with jax.enable_x64(True):
        energy = energylang.compile(text, data={"x": x, "y": y})["e"]
        symbols = energy.compiled.program.environment(energy.compiled.arrays, {})
        found = energy.compiled.program.reports(symbols, jax.random.key(0))[0]["b"]
        # scipy adds up three lgammas: its own error is a few units in the last place of the largest.
        bound = 4 * np.finfo(float).eps * (np.abs(gammaln(x)) + np.abs(gammaln(y)) + np.abs(gammaln(x + y)) + 1)
        assert (np.abs(found - betaln(x, y)) <= bound).all()
        gradient = jax.grad(lambda v: jax.scipy.special.betaln(v, 2.0))(3.0)
        ours = energylang.compile("energy e(v: positive) = lbeta(v, 2)")["e"]
        assert float(jax.grad(lambda v: ours(v=v))(3.0)) == pytest.approx(float(gradient), rel=1e-6)
