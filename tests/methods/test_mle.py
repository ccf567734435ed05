"""mle: the loss is the mean energy of the batch, and its minimum the maximum of the likelihood.

An objective draws nothing, so there is no law to keep: its gradient is checked against the closed form, its minimum
against the known estimate, and a twin (the sum in place of the mean) must be told apart.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from energylang.methods.mle import Mle


@partial(jax.tree_util.register_dataclass, data_fields=["params"], meta_fields=[])
@dataclass(frozen=True)
class Normal:
    """-log normal(x | mu, exp(s)), a Trainable written by hand."""

    params: dict[str, Any]

    def with_params(self, params: dict[str, Any]) -> Normal:
        return Normal(params)

    def __call__(self, values: Any) -> Any:
        z = (values["x"] - self.params["mu"]) * jnp.exp(-self.params["s"])
        return 0.5 * z**2 + self.params["s"] + 0.5 * jnp.log(2 * jnp.pi)

    def rows(self, values: Any) -> Any:
        return jax.vmap(self)(dict(values))

    def target(self, conditions: Any) -> Any:
        raise NotImplementedError


def loss(params: dict[str, Any], batch: dict[str, Any]) -> Any:
    objective = Mle()
    (player,) = objective.players
    model = Normal(params)
    value, (memory, metrics) = objective.loss(
        player, model, objective.init(model, jax.random.key(0)), batch, jax.random.key(0)
    )
    assert memory == ()
    return value, metrics


def batch() -> dict[str, Any]:
    return {"x": jnp.asarray(np.random.default_rng(2).normal(3.0, 2.0, 500), jnp.float32)}


def test_the_gradient_is_that_of_the_mean_log_likelihood() -> None:
    rows = np.asarray(batch()["x"], np.float64)
    gradient, metrics = jax.grad(loss, has_aux=True)({"mu": jnp.asarray(1.0), "s": jnp.asarray(0.5)}, batch())
    inverse = np.exp(-1.0)
    assert abs(float(gradient["mu"]) + inverse * np.mean(rows - 1.0)) < 1e-4
    assert abs(float(gradient["s"]) - (1 - inverse * np.mean((rows - 1.0) ** 2))) < 1e-4
    assert set(metrics) == {"negative_log_likelihood"}


def test_the_minimum_is_the_maximum_likelihood_estimate() -> None:
    rows = batch()
    estimate = {"mu": rows["x"].mean(), "s": jnp.log(rows["x"].std())}
    gradient, _ = jax.grad(loss, has_aux=True)(estimate, rows)
    assert max(abs(float(leaf)) for leaf in gradient.values()) < 1e-5


def test_the_size_of_the_batch_does_not_scale_the_loss() -> None:
    params = {"mu": jnp.asarray(1.0), "s": jnp.asarray(0.5)}
    rows = batch()
    twice = {"x": jnp.concatenate([rows["x"], rows["x"]])}
    assert abs(float(loss(params, rows)[0]) - float(loss(params, twice)[0])) < 1e-5
