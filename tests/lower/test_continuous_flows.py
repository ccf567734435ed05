"""Continuous flows: velocities against dense Jacobians, linear ones in closed form, masses on grids, and what trains."""

from __future__ import annotations

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import energylang as el
from energylang.catalog import LayerCall
from energylang.catalog.layers import FIELDS
from energylang.diagnostics import DiagnosticError
from energylang.lower.flows import fields
from energylang.lower.flows.chain import chain, own
from tests.lower.test_flows import flow_of, moved_params


@pytest.mark.parametrize("kind", FIELDS)
def test_velocities(kind):
    """At rest before they are trained; the divergence against the dense Jacobian, conditions beside."""
    with jax.enable_x64(True):
        field = fields.made(LayerCall(kind, (("hidden", (5, 4)), ("act", "tanh"))), 3, 2)
        random = np.random.default_rng(1)
        x, conditions = jnp.asarray(random.normal(size=(3, 4))), jnp.asarray(random.normal(size=(2, 4)))
        start = {
            name: jnp.asarray(
                np.full(leaf.shape, leaf.start)
                if isinstance(leaf.start, float)
                else random.normal(*leaf.start[1:], leaf.shape)
            )
            for name, leaf in field.leaves.items()
        }
        time = jnp.asarray(0.3)
        assert not np.asarray(field.velocity(start, time, x, conditions)).any()
        params = {name: jnp.asarray(random.normal(size=leaf.shape)) for name, leaf in field.leaves.items()}

        @jax.jit
        def both(params, time):
            def one(x, c):
                return field.velocity(params, time, x[:, None], c[:, None])[:, 0]

            dense = jax.vmap(jax.jacfwd(one), in_axes=(1, 1))(x, conditions)
            return field.with_divergence(params, time, x, conditions), dense

        (value, divergence), dense = both(params, time)
        np.testing.assert_allclose(divergence, np.trace(dense, axis1=1, axis2=2), atol=1e-12)
        np.testing.assert_allclose(value, field.velocity(params, time, x, conditions), atol=1e-12)
        assert np.abs(divergence).min() > 1e-3
        assert np.abs(both(params, jnp.asarray(0.9))[0][0] - value).max() > 1e-3, "it should depend on the time"
        if kind == "potential":
            np.testing.assert_allclose(dense, np.swapaxes(dense, 1, 2), atol=1e-12)


def there_and_back(source, scale, x):
    """A flow of `source` at params that are nowhere zero: these, the base's values and log-determinants, the data's again.

    The last is a log-determinant as a function of the params.
    """
    energy = moved_params(el.compile(source)["f"], scale)
    flow = flow_of(energy)
    made, params = chain(flow, {}), own(flow, {}, energy.params)

    @jax.jit
    def both(params, x):
        back = made.inverse(params, x, None, None)
        return back, made.forward(params, back.value, None, None).value

    def determinant(params):
        return made.inverse(params, x[:, :1], None, None).log_det[0]

    return params, *both(params, x), determinant


def test_linear_velocities_in_closed_form():
    """dz/ds = T ((1 - s) W z + s V z + …): the determinant is the integral of the trace, and its slopes are known."""
    with jax.enable_x64(True):
        x = jnp.asarray(np.random.default_rng(1).normal(size=(3, 4)))
        source = "flow f(z: real[3]) = normal |> cnf(blend([]), rtol = 1e-9, atol = 1e-9)\n"
        params, back, again, determinant = there_and_back(source, 0.5, x)
        time = np.exp(float(params["0.log_time"]))
        before, after = (np.trace(params[f"0.{name}0"]) for name in ("weight", "weight_after"))
        np.testing.assert_allclose(back.log_det, time * 0.5 * (before + after) * np.ones(4), atol=1e-7)
        np.testing.assert_allclose(again, x, atol=1e-7)
        slope = jax.jit(jax.grad(determinant))(params)
        np.testing.assert_allclose(slope["0.log_time"], back.log_det[0], atol=1e-7)
        np.testing.assert_allclose(slope["0.weight0"], 0.5 * time * np.eye(3), atol=1e-7)
        assert abs(before - after) > 0.1
        assert np.abs(back.value - x).max() > 0.1


def test_determinants_by_finite_differences():
    """A nonlinear velocity: rows beside each point differ along one axis, and all are solved together."""
    with jax.enable_x64(True):
        points, h = np.random.default_rng(1).normal(size=(3, 4)), 1e-4
        shifts = np.concatenate([np.zeros((3, 1)), h * np.eye(3), -h * np.eye(3)], axis=1)
        rows = (points[:, :, None] + shifts[:, None, :]).reshape(3, -1)
        source = "flow f(z: real[3]) = normal |> cnf(concatsquash([6]), solver = tsit5, rtol = 1e-10, atol = 1e-10)\n"
        _, back, again, _ = there_and_back(source, 0.5, jnp.asarray(rows))
        z = np.asarray(back.value).reshape(3, 4, 7)
        slopes = np.moveaxis((z[:, :, 1:4] - z[:, :, 4:]) / (2 * h), 1, 0)
        found = np.asarray(back.log_det).reshape(4, 7)[:, 0]
        np.testing.assert_allclose(found, np.linalg.slogdet(slopes)[1], atol=1e-6)
        np.testing.assert_allclose(again, rows, atol=1e-7)
        assert np.abs(found).min() > 0.01


TRAINED = """
data x: real[N, 2]
flow f(z: real[2]) = normal |> cnf(concatsquash([16, 16]), rtol = 1e-4, atol = 1e-4) |> affine
train f on (z = x) with mle(), steps = 120, batch = 64, optimizer = adam(0.02)
sample f with direct()
"""


@cache
def trained():
    """A flow of two numbers trained on a bent set, and the set."""
    random = np.random.default_rng(5)
    first = random.normal(size=400)
    x = np.stack([first, 0.5 * first**2 + 0.3 * random.normal(size=400)], axis=1)
    energy = el.compile(TRAINED, data={"x": x})["f"]
    return energy.train(seed=1), energy, x


@pytest.mark.long
def test_training_lowers_the_loss_and_keeps_the_mass():
    """Below the best normal's, and still a density: its mass on a grid."""
    training, energy, x = trained()
    normal = 0.5 * np.linalg.slogdet(2 * np.pi * np.e * np.cov(x.T))[1]
    assert training.loss < normal - 0.1
    ticks = np.linspace(-7, 9, 140)
    points = np.stack(np.meshgrid(ticks, ticks, indexing="ij"), axis=-1).reshape(-1, 2)
    compiled = energy.compiled.with_params(training.params)
    energies = jax.jit(lambda e, z: jax.vmap(lambda z: e(z=z))(z))(compiled, jnp.asarray(points, jnp.float32))
    mass = np.exp(-np.asarray(energies, np.float64)).sum() * (ticks[1] - ticks[0]) ** 2
    assert 0.999 < mass < 1.001


def test_too_few_steps_are_said():
    """Where the solver gives up every value is NaN, and a run says so rather than write them."""
    source = "flow f(z: real[1]) = normal |> cnf(concat([2]), max_steps = 1, rtol = 1e-9)\n"
    with pytest.raises(DiagnosticError, match="the energy of particle 0 is nan"):
        moved_params(el.compile(source)["f"]).sample(method="direct", draws=10)
