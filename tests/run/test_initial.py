"""Where chains start: Pathfinder's draws have the law of a normal target and prefer the heavy mode; nothing about a chain
depends on how many there are."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import Array

from energylang.methods import _pathfinder
from energylang.methods._blackjax import InverseHessian
from energylang.model import Facts, Point
from energylang.run import keys
from energylang.run.initial import starting_point
from tests.run import toys
from tests.run.drive import digest, run

LANES = 200
BOUND = 4.5
"""Standard errors. The least departure seen nine times of ten: (4.5 + 1.3) / sqrt(2 LANES) = 29 % of a standard deviation."""


def starts(init: str, target: Any, test: str, lanes: int = LANES) -> np.ndarray:
    """float[lanes, R]: where so many chains start."""
    root = keys.root_data(zlib.crc32(test.encode()))

    @jax.jit
    def every(target: Any, root: Array) -> Array:
        key = keys.root_key(root)
        return jax.lax.map(lambda chain: starting_point(init, target, key, chain).x.real, jnp.arange(lanes))

    return np.asarray(every(target, root))


def departures(draws: np.ndarray, mean: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    """Of means and of variances in the eigenvectors of the covariance, where they are independent, in standard errors."""
    values, vectors = np.linalg.eigh(covariance)
    scaled = (draws - mean) @ vectors / np.sqrt(values)
    count = len(draws)
    return np.concatenate([scaled.mean(0) * np.sqrt(count), (scaled.var(0) - 1) * np.sqrt(count / 2)])


@pytest.fixture
def gaussian() -> tuple[toys.Gaussian, np.ndarray, np.ndarray]:
    """Five dims, all correlated by 0.7."""
    mean, covariance = np.arange(5.0), 0.3 * np.eye(5) + 0.7
    factor = np.linalg.cholesky(np.linalg.inv(covariance))
    as_float = (np.float32(part) for part in (factor, mean, np.zeros(0), 1.0))
    return toys.Gaussian(*as_float), mean, covariance


def test_pathfinder_draws_from_a_normal_target(gaussian: Any) -> None:
    target, mean, covariance = gaussian
    found = departures(starts("pathfinder", target, "normal"), mean, covariance)
    assert np.all(np.abs(found) < BOUND), found
    assert np.any(np.abs(departures(starts("random", target, "normal"), mean, covariance)) > BOUND)


@pytest.mark.long
def test_a_wrong_covariance_is_noticed(gaussian: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The twin leaves the correlations out."""
    target, mean, covariance = gaussian

    def diagonal(diagonal: Array, steps: Array, changes: Array) -> InverseHessian:
        size = 2 * steps.shape[0]
        return InverseHessian(diagonal, jnp.zeros((diagonal.shape[0], size)), jnp.zeros((size, size)))

    monkeypatch.setattr(_pathfinder, "inverse_hessian", diagonal)
    found = departures(starts("pathfinder", target, "normal"), mean, covariance)
    assert np.any(np.abs(found) > BOUND), found


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class TwoModes:
    """Normals of the same spread at (-1, -1, -1) and (1, 1, 1), the second lighter by `gap` units of log density."""

    gap: Any

    @property
    def facts(self) -> Facts:
        return Facts(3, (), (), "none")

    def energy(self, x: Point) -> Array:
        heavy, light = (-0.5 * jnp.sum(jnp.square((x.real - at) / 0.2)) for at in (-1.0, 1.0))
        return -jnp.logaddexp(heavy, light - self.gap)

    def log_jacobian(self, x: Point) -> Array:
        return jnp.zeros(())

    def log_density(self, x: Point) -> Array:
        return -self.energy(x)


@pytest.mark.long
def test_pathfinder_prefers_the_heavy_mode() -> None:
    """Half of all paths lead there, and all 16 of a chain miss it once in 65,536."""
    target = TwoModes(jnp.float32(20.0))
    assert np.mean(starts("pathfinder", target, "modes", 100).mean(1) < 0) > 0.99
    assert np.mean(starts("random", target, "modes", 100).mean(1) < 0) < 0.8


@pytest.mark.long
def test_chains_start_alike_however_many_there_are() -> None:
    small = {"draws": 5, "warmup": 0, "init": "pathfinder"}
    few, many = run(**small, chains=2, threads=1), run(**small, chains=8, threads=2, chunk=2)
    np.testing.assert_array_equal(few["x"], many["x"][:2])
    np.testing.assert_array_equal(few["s"], many["s"][:2])
    assert digest(few) != digest(run(draws=5, warmup=0, chains=2))
