"""Nets against the same networks written in JAX by hand."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import energylang as el
from energylang.lower.evaluate import evaluate

ACTIVATIONS = {
    "relu": jax.nn.relu, "tanh": jnp.tanh, "swish": jax.nn.swish, "softplus": jax.nn.softplus, "sigmoid": jax.nn.sigmoid,
    "gelu": lambda x: jax.nn.gelu(x, approximate=False),
}  # fmt: skip


def perceptron(params, x, act, name="f"):
    """x: [..., inputs] to [..., outputs]."""
    count = sum(key.startswith(f"{name}.weight") for key in params)
    for i in range(count):
        x = x @ params[f"{name}.weight{i}"] + params.get(f"{name}.bias{i}", 0.0)
        x = ACTIVATIONS[act](x) if i < count - 1 else x
    return x


def shifted(energy):
    """The energy with params that are nowhere zero."""
    keys = jax.random.split(jax.random.key(7), len(energy.params))
    moved = {n: v + 0.3 * jax.random.normal(k, v.shape) for k, (n, v) in zip(keys, energy.params.items(), strict=True)}
    return energy.with_params(moved)


def close(found, wanted):
    np.testing.assert_allclose(np.asarray(found), np.asarray(wanted), rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize("act", ACTIVATIONS)
def test_values_and_gradients(act):
    energy = shifted(
        el.compile(f"net f: real[3] -> real = mlp([5, 4], act = {act})\nenergy e(x: real[3]) = f(x)^2")["e"]
    )
    x = jnp.array([0.3, -1.2, 2.0])

    def by_hand(params, x):
        return perceptron(params, x, act)[0] ** 2

    close(energy(x=x), by_hand(energy.params, x))
    ours = jax.grad(lambda params: energy.with_params(params)(x=x))(energy.params)
    jax.tree.map(close, ours, jax.grad(by_hand)(energy.params, x))
    close(jax.grad(lambda x: energy(x=x))(x), jax.grad(by_hand, argnums=1)(energy.params, x))


def test_several_inputs_batches_and_time():
    """(x, s, t) side by side; batches broadcast; the time as sines and cosines."""
    energy = shifted(
        el.compile(
            "const h = 3\nnet f: (real[2], spin[2], real) -> real[2] = mlp([h], act = tanh, time = fourier(2), bias = false)\n"
            "energy e(x: real[5, 4, 2], s: spin[4, 2], t: real[5, 1]) {\n"
            "  let y = f(x, s, t)\n  += sum(y * y)\n  report y\n  report z = f(x[0, 0], s[1], 0.25)\n}"
        )["e"]
    )
    assert {n: v.shape for n, v in energy.params.items()} == {"f.weight0": (8, 3), "f.weight1": (3, 2)}
    random = np.random.default_rng(3)
    x, s, t = random.normal(size=(5, 4, 2)), random.choice([-1, 1], (4, 2)), random.uniform(size=(5, 1))
    angles = np.pi * np.array([1, 2]) * np.broadcast_to(t, (5, 4))[..., None]
    inputs = np.concatenate([x, np.broadcast_to(s, (5, 4, 2)), np.sin(angles), np.cos(angles)], axis=-1)
    wanted = perceptron(energy.params, inputs, "tanh")
    close(energy(x=x, s=s, t=t), jnp.sum(wanted**2))
    program = energy.compiled.program
    point = dict(zip(energy.node.variables, (x, s, t), strict=True))
    environment = {**program.environment({}, energy.params), **point}
    batch, single = evaluate([r.value for r in energy.node.reports], environment, program.dims)
    close(batch, wanted)
    one = np.concatenate([x[0, 0], s[1], np.sin(np.pi * np.array([0.25, 0.5])), np.cos(np.pi * np.array([0.25, 0.5]))])
    close(single, perceptron(energy.params, one, "tanh"))


def test_starts():
    """Weights start with variance gain^2 / fan-in, differently each, and biases at zero."""
    params = el.compile(
        "data x: real[N, D]\nnet f: real[D] -> real[300] = mlp([200])\nenergy e(z: real) = z^2 + sum(f(x))",
        data={"x": np.zeros((1, 400))},
    )["e"].params
    for name, variance in {"f.weight0": 2 / 400, "f.weight1": 1 / 200}.items():
        value = np.asarray(params[name])
        # The standard error of a variance over n normals is sqrt(2 / n) of it; five of them.
        assert value.var() == pytest.approx(variance, rel=5 * np.sqrt(2 / value.size))
    assert not np.any(params["f.bias0"])
    assert not np.any(params["f.bias1"])


def test_a_net_of_discrete_variables_has_its_own_energy():
    """Gains are estimates, and the energy itself is exact: enumerated here."""
    energy = shifted(el.compile("net f: spin[4] -> real = mlp([6], act = tanh)\nenergy e(s: spin[4]) = f(s)")["e"])
    states = np.array(np.meshgrid(*[[-1, 1]] * 4)).reshape(4, -1).T
    exact = jax.scipy.special.logsumexp(-perceptron(energy.params, states.astype(float), "tanh")[:, 0])
    assert energy.compiled.program.facts.gains == "estimate"
    assert energy.evidence(method="enumerate").log_z == pytest.approx(float(exact), rel=1e-5)


REGRESSION = """
data xs: real[N]
data ys: real[N]
net f: real -> real = mlp([16], act = tanh)
param sigma: positive = 1

energy curve(y: real | x: real) {
  y ~ normal(f(x), sigma)
}

train curve on (y = ys, x = xs) with mle(), steps = 400, optimizer = adam(0.02)
"""


def test_regression():
    """The loss is the mean negative log likelihood, and training brings it near that of the noise."""
    random = np.random.default_rng(5)
    x = random.uniform(-2, 2, 200)
    y = np.sin(2 * x) + 0.1 * random.normal(size=200)
    model = el.compile(REGRESSION, data={"xs": x, "ys": y})
    training = model.train()
    energy = model["curve"].with_params(training.params)
    rest = y - np.asarray(perceptron(energy.params, x[:, None], "tanh"))[:, 0]
    sigma = float(energy.params["sigma"])
    wanted = np.mean(0.5 * (rest / sigma) ** 2 + np.log(sigma) + 0.5 * np.log(2 * np.pi))
    found = np.mean([energy(y=b, x=a) for a, b in zip(x[:20], y[:20], strict=True)])
    by_hand = np.mean(0.5 * (rest[:20] / sigma) ** 2 + np.log(sigma) + 0.5 * np.log(2 * np.pi))
    assert found == pytest.approx(by_hand, rel=1e-4)
    assert wanted < 0.5 * np.log(2 * np.pi * np.e * 0.1**2) + 0.3
    assert np.std(y) > 5 * np.std(rest)


def test_nets_of_modules(tmp_path):
    (tmp_path / "parts.energy").write_text("net f: real[2] -> real = mlp([3])\n")
    (tmp_path / "model.energy").write_text("import parts as p\nenergy e(x: real[2]) = p.f(x)\n")
    energy = el.load(tmp_path / "model.energy")["e"]
    x = jnp.array([0.5, -1.0])
    close(energy(x=x), perceptron(energy.params, x, "relu", "p.f")[0])
