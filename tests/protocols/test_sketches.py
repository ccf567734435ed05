"""Methods to come, written against today's protocols: they run, keep their shapes, and are roughly right on a toy.

These are sketches that hold the signatures still, not methods: their laws are not tested to the standard of
tests/methods. Each still gives a number that a broken one would not.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from energylang.methods.enumerate import log_densities
from energylang.methods.gibbs import Gibbs
from energylang.model import Point, Selection, fold
from tests.protocols.annealed import AnnealedMala
from tests.protocols.score_ais import ScoreAis
from tests.protocols.smc import Smc
from tests.protocols.vera import Vera
from tests.support.invariance import seed
from tests.support.targets import Continuous, HandTarget, discrete, target


def key(name: str) -> Any:
    return jax.random.key(seed(name))


def log_z(path: Any, law: HandTarget, particles: int, name: str) -> tuple[float, Any]:
    """log of the mean weight, without resampling, as a driver would have it; and what `prepare` made."""

    @jax.jit
    def run(law: HandTarget, root: Any) -> Any:
        theta = path.prepare(law, fold(root, 0))

        def one(number: Any) -> Any:
            z, log_q = path.start(law, theta, fold(root, 1, number))

            def span(carry: Any, index: Any) -> tuple[Any, None]:
                z, total = carry
                z, log_g, _ = path.forward(law, theta, index, z, fold(root, 2, number, index))
                return (z, total + log_g), None

            (z, total), _ = jax.lax.scan(span, (z, -log_q), jnp.arange(path.spans))
            return total + path.finish(law, theta, z)[1]

        return jax.vmap(one)(jnp.arange(particles)), theta

    log_weights, theta = run(law, key(name))
    return float(np.logaddexp.reduce(np.asarray(log_weights, np.float64)) - np.log(particles)), theta


def test_sequential_monte_carlo_finds_log_z() -> None:
    law = discrete("mixed")
    exact = float(np.logaddexp.reduce(np.asarray(log_densities(law), np.float64)))
    path = Smc(Gibbs())
    found, theta = log_z(path, law, 4096, "smc")
    assert abs(found - exact) < 0.03
    shorter = path.with_level(theta, jnp.asarray(0), jnp.asarray(0.05))
    assert float(shorter.levels[1]) == np.float32(0.05)


def test_annealed_mala_learns_a_tuning_for_each_level() -> None:
    law = target(Continuous(), jnp.ones(6))
    unit = law.select(Selection((3, 4), ()), Point(jnp.zeros(10), ()))
    path = AnnealedMala()
    found, theta = log_z(path, unit, 4096, "annealed")
    assert theta.tune.step_size.shape == (path.spans,)
    assert abs(found - plain_log_z(unit)) < 0.03


def plain_log_z(law: HandTarget) -> float:
    points = np.arange(-20, 20.01, 0.1)
    mesh = np.stack(np.meshgrid(points, points), axis=-1).reshape(-1, 2)
    values = jax.vmap(lambda real: law.log_density(Point(real, ())))(jnp.asarray(mesh, jnp.float32))
    return float(np.logaddexp.reduce(np.asarray(values, np.float64)) + 2 * np.log(0.1))


@pytest.mark.long
def test_score_ais_learns_a_better_bound() -> None:
    law = target(Continuous(), jnp.ones(6)).select(Selection((0, 1), ()), Point(jnp.zeros(10), ()))
    path = ScoreAis()

    @jax.jit
    def bound(theta: Any, root: Any) -> Any:
        return jax.vmap(lambda n: path.log_weight(law, theta, fold(root, n)))(jnp.arange(2048)).mean()

    found, trained = log_z(path, law, 4096, "score")
    untrained = ScoreAis(training=0).prepare(law, key("score"))
    exact = plain_log_z(law)
    before, after = float(bound(untrained, key("bound"))), float(bound(trained, key("bound")))
    assert before < after < exact + 0.02
    assert abs(found - exact) < 0.05


class Plain:
    """A model without buffers that starts as it is."""

    buffers = ()

    def begun(self, batch: Any, key: Any) -> Any:
        return self

    def settled(self) -> Any:
        return self

    def rows(self, values: Any) -> Any:
        return jax.vmap(self)(dict(values))  # type: ignore[arg-type]

    def conditions(self, values: Any) -> Any:
        return {}

    def point(self, values: Any) -> Any:
        raise NotImplementedError


@partial(jax.tree_util.register_dataclass, data_fields=["params"], meta_fields=[])
@dataclass(frozen=True)
class Bowl(Plain):
    """E(x) = |x - centre|^2 / 2, and the params of a linear generator beside it."""

    params: dict[str, Any]

    def with_params(self, params: dict[str, Any]) -> Bowl:
        return Bowl(params)

    def target(self, conditions: Any) -> HandTarget:
        raise NotImplementedError

    def __call__(self, values: Any) -> Any:
        return 0.5 * jnp.sum((values["x"] - self.params["centre"]) ** 2)


def linear(params: dict[str, Any], noise: Any) -> Any:
    return params["matrix"] @ noise + params["shift"]


def test_vera_moves_two_players_to_the_data() -> None:
    rows = np.random.default_rng(3).normal([2.0, -1.0], 1.0, (2048, 2))
    objective = Vera(linear, ("centre",), ("matrix", "shift"), "x", 2)
    model = Bowl({"centre": jnp.zeros(2), "matrix": 0.5 * jnp.eye(2), "shift": jnp.zeros(2)})

    @jax.jit
    def train(model: Bowl, rows: Any, root: Any) -> Any:
        def step(params: Any, number: Any) -> tuple[Any, None]:
            for turn, player in enumerate(objective.players):

                def loss(owned: Any, player: Any = player, turn: int = turn, params: Any = params) -> Any:
                    moved = model.with_params(params | owned)
                    return objective.loss(player, moved, (), {"x": rows}, fold(root, number, turn))

                owned = {name: params[name] for name in player.owns}
                gradient, _ = jax.grad(loss, has_aux=True)(owned)
                params = params | jax.tree.map(lambda a, g: a - 0.05 * g, owned, gradient)
            return params, None

        return jax.lax.scan(step, model.params, jnp.arange(600))[0]

    learned = train(model, jnp.asarray(rows, jnp.float32), key("vera"))
    assert np.abs(np.asarray(learned["centre"]) - rows.mean(axis=0)).max() < 0.3
    assert np.abs(np.asarray(learned["shift"]) - rows.mean(axis=0)).max() < 0.3
    # The entropy keeps the generator from collapsing onto the bottom of the bowl, where its covariance would be zero.
    assert float(jnp.abs(jnp.linalg.det(learned["matrix"]))) > 0.3
