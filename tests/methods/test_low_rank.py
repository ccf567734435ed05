"""The low-rank metric: its products are those of the matrix, what it learns makes draws and gradients alike, and it pays."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from energylang.methods import _low_rank
from energylang.methods._low_rank import KEPT, LowRank, Seen, learned, nothing_seen, plain, see
from energylang.methods._trajectories import backward, forward
from energylang.methods.nuts import Nuts
from tests.run import toys
from tests.run.drive import run
from tests.support import invariance

pytestmark = pytest.mark.long


def matrix(root: LowRank) -> np.ndarray:
    """float64[R, R], column by column."""
    columns = jax.vmap(root.forward, out_axes=1)(jnp.eye(root.scale.shape[0]))
    return np.asarray(columns, np.float64)


def seen_of(covariance: np.ndarray, count: int, seed: int, noisy: bool = False) -> tuple[Seen, np.ndarray]:
    """What a window remembers of exact draws of a normal law, and the draws; noisy: with gradients of other draws."""
    generator = np.random.default_rng(seed)
    factor, precision = np.linalg.cholesky(covariance), np.linalg.inv(covariance)
    draws = generator.normal(size=(count, len(covariance))) @ factor.T
    others = generator.normal(size=draws.shape) @ factor.T
    gradients = -(others if noisy else draws) @ precision

    def add(seen: Seen, pair: tuple[Any, Any]) -> tuple[Seen, None]:
        return see(seen, *pair), None

    rows = (jnp.asarray(draws, jnp.float32), jnp.asarray(gradients, jnp.float32))
    return jax.lax.scan(add, nothing_seen(len(covariance)), rows)[0], draws


def condition(root: LowRank, covariance: np.ndarray) -> float:
    """The condition number that is left of a covariance in the space scaled by a root."""
    inverse = np.linalg.inv(matrix(root))
    return float(np.linalg.cond(inverse @ covariance @ inverse.T))


def law(reals: int, seed: int) -> np.ndarray:
    """A covariance with a few wide and a few stiff directions, and very different scales."""
    generator = np.random.default_rng(seed)
    turn = np.linalg.qr(generator.normal(size=(reals, 4)))[0]
    inner = np.eye(reals) + turn @ np.diag([300.0, 30.0, -0.9, -0.99]) @ turn.T
    scales = np.exp(2.0 * generator.normal(size=reals))
    return scales[:, None] * inner * scales


def test_products_are_those_of_the_matrix() -> None:
    generator = np.random.default_rng(0)
    scale, turn = np.exp(generator.normal(size=7)), np.linalg.qr(generator.normal(size=(7, 3)))[0]
    factors = np.array([0.1, 3.0, 10.0])
    dense = scale[:, None] * (np.eye(7) + turn @ np.diag(factors - 1.0) @ turn.T)
    root = LowRank(*(jnp.asarray(part, jnp.float32) for part in (scale, turn, factors)))
    vector = generator.normal(size=7)
    np.testing.assert_allclose(forward(root, jnp.asarray(vector, jnp.float32)), dense @ vector, rtol=2e-5, atol=1e-5)
    np.testing.assert_allclose(backward(root, jnp.asarray(vector, jnp.float32)), dense.T @ vector, rtol=2e-5, atol=1e-5)
    # Its square is the covariance: a diagonal around (I + U (variances - 1) U^T).
    covariance = np.diag(scale) @ (np.eye(7) + turn @ np.diag(factors**2 - 1.0) @ turn.T) @ np.diag(scale)
    np.testing.assert_allclose(matrix(root) @ matrix(root).T, covariance, rtol=1e-4, atol=1e-4)
    np.testing.assert_array_equal(matrix(plain(5)), np.eye(5))


def test_few_draws_of_a_normal_law_give_its_covariance(monkeypatch: pytest.MonkeyPatch) -> None:
    """12 draws of 8 reals: the noise of draws and gradients is the same, and S G S = X has the true S, which 12 draws alone miss
    by far; so do gradients of other draws. Nothing is left alone or drawn to the unit matrix here, and what remains is float32."""
    monkeypatch.setattr(_low_rank, "PLAIN", 1.0)
    monkeypatch.setattr(_low_rank, "PRIOR", 1e-4)
    generator = np.random.default_rng(invariance.seed("low-rank/exact"))
    turn = np.linalg.qr(generator.normal(size=(8, 8)))[0]
    covariance = turn @ np.diag(np.geomspace(0.05, 20.0, 8)) @ turn.T
    seen, draws = seen_of(covariance, 12, 1)
    root = matrix(learned(seen))
    np.testing.assert_allclose(root @ root.T, covariance, rtol=0.02, atol=0.02)
    assert np.abs(np.cov(draws.T) - covariance).max() > 1.0
    other = matrix(learned(seen_of(covariance, 12, 1, noisy=True)[0]))
    assert np.abs(other @ other.T - covariance).max() > 1.0


def test_a_few_directions_are_found_among_many() -> None:
    """60 reals by 100 draws. The diagonal alone leaves the directions as they are; a change of units changes nothing."""
    covariance = law(60, 2)
    seen, _ = seen_of(covariance, 100, 3)
    root = learned(seen)
    diagonal = np.sqrt(np.diag(covariance))
    assert np.linalg.cond(covariance / diagonal / diagonal[:, None]) > 500
    assert condition(root, covariance) < 30
    assert condition(plain(60)._replace(scale=root.scale), covariance) > 300
    units = np.geomspace(1e-3, 1e3, 60)
    scaled = learned(seen_of(units[:, None] * covariance * units, 100, 3)[0])
    np.testing.assert_allclose(scaled.scale / units, root.scale, rtol=1e-3)
    assert condition(scaled, units[:, None] * covariance * units) < 30


def test_the_last_draws_of_a_window_are_kept() -> None:
    seen, draws = seen_of(np.eye(3), KEPT + 5, 4)
    found = np.asarray(seen.last_draws)
    np.testing.assert_allclose(found[:5], draws[KEPT:], rtol=1e-6)
    np.testing.assert_allclose(found[5:], draws[5:KEPT], rtol=1e-6)


@pytest.mark.parametrize("count", [0, 1, 2])
def test_a_chain_that_sticks_teaches_nothing_wrong(count: int) -> None:
    seen = nothing_seen(4)
    for _ in range(count):
        seen = see(seen, jnp.full(4, 2.0), jnp.ones(4))
    for leaf, unit in zip(learned(seen), plain(4), strict=True):
        assert np.all(np.isfinite(leaf))
        assert leaf.shape == unit.shape
    np.testing.assert_allclose(matrix(learned(seen)), np.eye(4), atol=1e-6)


@pytest.mark.long
def test_trajectories_are_shorter_and_draws_have_the_law() -> None:
    """nuts on 40 reals, a few of whose directions are wide or stiff: the same number of draws by a fifth of the gradients, and
    the right variances."""
    covariance = law(40, 5)
    factor = np.linalg.cholesky(np.linalg.inv(covariance)).astype(np.float32)
    target = toys.Gaussian(factor, np.zeros(40, np.float32), np.zeros(0, np.float32), np.float32(1))
    number = invariance.seed("low-rank/nuts")
    steps = {}
    for metric in ("diagonal", "low_rank"):
        kernel = Nuts(metric=metric)  # type: ignore[arg-type]
        found = run(target=target, kernel=kernel, chains=8, warmup=400, draws=400, seed=number)
        steps[metric] = float(found.data.read("sample_stats", "n_steps").mean())
        squares = np.square(found.data.read("posterior", "x").astype(np.float64)) / np.diag(covariance)
        means = squares.mean(axis=1)
        errors = means.std(axis=0, ddof=1) / np.sqrt(len(means))
        # Of eight chains an error is itself uncertain: a level of 1e-6 over 40 reals is 27 of Student's t of 7 degrees.
        assert np.all(np.abs(means.mean(axis=0) - 1.0) < 27.0 * errors)
        assert np.median(errors) < 0.1
    assert steps["low_rank"] < steps["diagonal"] / 5
