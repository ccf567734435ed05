"""enumerate and importance: paths without spans. Exact draws, unbiased weights, and twins that must be rejected.

enumerate: LANES draws, Pearson's chi-square over all 64 to 81 configurations at level 1e-6 (w = 0.079 detected with
power 0.999). importance: the mean weight of every configuration (and of all together, Z) against its probability, by
Bernstein's inequality with exact variances, level 1e-6 over all of them; an error of Z of 10 % is detected on discrete
spaces with LANES draws, one of 5 % on continuous ones with MANY.
"""

from __future__ import annotations

from functools import cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from energylang.diagnostics import DiagnosticError
from energylang.methods._categorical import summed
from energylang.methods.enumerate import Enumerate, log_densities, log_probabilities
from energylang.methods.importance import Importance
from energylang.model import Point
from tests.support import invariance
from tests.support.targets import DISCRETE, SPACES, Continuous, HandTarget, Mixture, discrete, numbers, target

LANES = 32768
MANY = 2**17
SCALE = 1.3
EFFECT = 0.079


@partial(jax.jit, static_argnums=(0, 2))
def draws(path: Any, law: Any, lanes: int, key: Any) -> tuple[Point, Any, Any]:
    """Draws and their log weights as a driver makes them, and what they share."""
    theta = path.prepare(law, jax.random.fold_in(key, 0))

    def one(number: Any) -> tuple[Point, Any]:
        z, log_q = path.start(law, theta, jax.random.fold_in(key, number))
        x, log_g = path.finish(law, theta, z)
        return x, log_g - log_q

    x, log_weight = jax.vmap(one)(jnp.arange(1, lanes + 1))
    return x, log_weight, theta


class Forgetful(Enumerate):
    """Enumeration that lost one configuration, of one percent."""

    def prepare(self, target: Any, key: Any) -> Any:
        table = super().prepare(target, key)
        weights = jnp.exp(table.log_density - table.log_z)
        lost = jnp.argmin(jnp.abs(weights - 0.01))
        return table._replace(sums=summed(weights.at[lost].set(0.0)))


class Stuck(Enumerate):
    """Enumeration that draws the same configuration for ever."""

    def start(self, target: Any, theta: Any, key: Any) -> Any:
        return super().start(target, theta, jax.random.key(0))


class WrongDensity(Importance):
    """Importance sampling whose base density is off by ten percent."""

    def start(self, target: Any, theta: Any, key: Any) -> Any:
        x, log_q = super().start(target, theta, key)
        return x, log_q + 0.1


class StuckBase(Importance):
    """Importance sampling that draws the same point for ever."""

    def start(self, target: Any, theta: Any, key: Any) -> Any:
        return super().start(target, theta, jax.random.key(0))


@cache
def exact(space: str) -> tuple[np.ndarray, float]:
    """The probabilities of all configurations and log Z, in float64 from the energies of every one."""
    log_density = np.asarray(log_densities(discrete(space)), np.float64)
    log_z = float(np.logaddexp.reduce(log_density))
    return np.exp(log_density - log_z), log_z


def pearson(path: Any, space: str) -> float:
    law = discrete(space)
    number = invariance.seed(f"{path}/{space}")
    x, log_weight, _ = draws(path, law, LANES, jax.random.key(number))
    probabilities, log_z = exact(space)
    assert np.abs(np.asarray(log_weight) - log_z).max() < 1e-5
    statistic, threshold = invariance.chi_square(numbers(law.facts, x.code), probabilities)
    return statistic / threshold


def test_the_stated_effect() -> None:
    assert invariance.chi_square_effect(LANES, 81) <= EFFECT


@pytest.mark.parametrize("space", DISCRETE)
def test_enumerated_draws_are_exact_and_weights_are_log_z(space: str) -> None:
    assert pearson(Enumerate(), space) < 1


def test_a_lost_configuration_is_rejected() -> None:
    assert pearson(Forgetful(), "spin") > 1


def test_enumerate_stuck_at_a_point_is_rejected() -> None:
    assert pearson(Stuck(), "spin") > 1


def test_the_oracle_against_a_plain_loop() -> None:
    """Energies, order and normalisation of `log_probabilities`, written again in numpy float64."""
    law = discrete("mixed")
    codes, log_probability = log_probabilities(law)
    data = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), law.data)
    energies = []
    for first, second in zip(np.asarray(codes[0]), np.asarray(codes[1]), strict=True):
        features = np.concatenate([data["features"][0][first], data["features"][1][second]])
        bias = sum(data["bias"][0][i, c] for i, c in enumerate(first))
        bias += sum(data["bias"][1][i, c] for i, c in enumerate(second))
        energies.append(-bias - 0.5 * np.sum(features * (data["coupling"] @ features)))
    log_weight = -np.asarray(energies)
    expected = log_weight - np.logaddexp.reduce(log_weight)
    assert np.abs(np.asarray(log_probability, np.float64) - expected).max() < 1e-5
    assert numbers(law.facts, codes).tolist() == list(range(72))


def test_too_much_to_list_is_said_before_anything_is_traced() -> None:
    with pytest.raises(DiagnosticError, match="E0645"):
        Enumerate(limit=63).prepare(discrete("spin"), jax.random.key(0))
    with pytest.raises(DiagnosticError, match="E0646"):
        Enumerate().prepare(target(Mixture(), jnp.ones(())), jax.random.key(0))


def worst(path: Any, space: str) -> float:
    """|mean weight of a configuration - its probability| over its bound, the largest of all and of their sum."""
    law = discrete(space)
    number = invariance.seed(f"{path}/{space}")
    x, log_weight, _ = draws(path, law, LANES, jax.random.key(number))
    probabilities, log_z = exact(space)
    states = len(probabilities)
    weights = np.exp(np.asarray(log_weight, np.float64) - log_z)
    where = numbers(law.facts, x.code)
    means = np.bincount(where, weights, minlength=states) / LANES
    bounds = [invariance.bernstein(LANES, states * p**2 - p**2, states * p, states + 1) for p in probabilities.tolist()]
    total = invariance.bernstein(
        LANES, states * float((probabilities**2).sum()) - 1, states * float(probabilities.max()), states + 1
    )
    ratios = np.append(np.abs(means - probabilities) / np.asarray(bounds), abs(weights.mean() - 1) / total)
    return float(ratios.max())


@pytest.mark.parametrize("space", DISCRETE)
def test_importance_weights_are_unbiased(space: str) -> None:
    assert worst(Importance(), space) < 1


@pytest.mark.parametrize("space", DISCRETE)
def test_a_wrong_base_density_is_rejected(space: str) -> None:
    assert worst(WrongDensity(), space) > 1


def test_importance_stuck_at_a_point_is_rejected() -> None:
    assert worst(StuckBase(), "spin") > 1


@jax.jit
def evaluate(law: HandTarget, grid: Any) -> Any:
    return jax.lax.map(lambda real: law.log_density(Point(real, ())), grid, batch_size=8192)


def grid_of(law: HandTarget, dims: int) -> tuple[np.ndarray, np.ndarray, float]:
    """A grid over [-20, 20]^d, float[G, d], the log density there, and log Z by the trapezoid rule, in float64."""
    points = np.arange(-20.0, 20.01, 0.25 if dims > 1 else 0.05)
    mesh = np.stack(np.meshgrid(*[points] * dims, indexing="ij"), axis=-1).reshape(-1, dims)
    log_density = np.asarray(evaluate(law, jnp.asarray(mesh, jnp.float32)), np.float64)
    log_z = np.logaddexp.reduce(log_density) + dims * np.log(points[1] - points[0])
    return mesh, log_density, float(log_z)


@cache
def continuous_part(space: str) -> tuple[HandTarget, float, float, float]:
    """One space of `Continuous`, the others fixed; log Z, variance and largest value of its weights by quadrature."""
    selection = Continuous().variables[space]
    law = target(Continuous(), jnp.ones(6)).select(selection, Point(jnp.zeros(10), ()))
    dims = len(selection.real)
    mesh, log_density, log_z = grid_of(law, dims)
    log_ratio = log_density - log_z - stats.t.logpdf(mesh, 4, scale=SCALE).sum(axis=1)
    spacing = (0.25 if dims > 1 else 0.05) ** dims
    second = float(np.sum(np.exp(log_ratio + log_density - log_z)) * spacing)
    # Between the points of the grid the ratio may be a little larger than at any of them.
    return law, log_z, second - 1, 1.1 * float(np.exp(log_ratio.max()))


def error_of_z(path: Any, space: str) -> tuple[float, float]:
    """|Z estimate / Z - 1|, and Bernstein's bound on it."""
    law, log_z, variance, largest = continuous_part(space)
    _, log_weight, _ = draws(path, law, MANY, jax.random.key(invariance.seed(f"{path}/{space}")))
    mean = np.exp(np.asarray(log_weight, np.float64) - log_z).mean()
    return abs(float(mean) - 1), invariance.bernstein(MANY, variance, largest, len(SPACES))


@pytest.mark.parametrize("space", invariance.mostly_long(SPACES, "real", "simplex"))
def test_importance_finds_z_of_every_continuous_space(space: str) -> None:
    """MANY draws: the bound is below 4 %, so an error of Z of 5 % is found in every space."""
    error, bound = error_of_z(Importance(scale=SCALE), space)
    assert error < bound < 0.04


@pytest.mark.parametrize("space", invariance.mostly_long(SPACES, "real", "simplex"))
def test_a_wrong_base_density_of_reals_is_rejected(space: str) -> None:
    error, bound = error_of_z(WrongDensity(scale=SCALE), space)
    assert error > bound


def test_importance_from_one_real_for_ever_is_rejected() -> None:
    error, bound = error_of_z(StuckBase(scale=SCALE), "real")
    assert error > bound
