"""What warm-up learns of scales and correlations, and what it must not learn from chains that drift or stick."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from energylang.methods._adaptation import Moments, no_moments, observe, regularised, shrunk


@jax.jit
def moments(draws: jax.Array) -> Moments:
    """Of draws, float[500, 4] with rows of NaN left out."""

    def add(kept: Moments, row: jax.Array) -> tuple[Moments, None]:
        more = observe(kept, row)
        return jax.tree.map(lambda new, old: jnp.where(jnp.isnan(row[0]), old, new), more, kept), None

    return jax.lax.scan(add, no_moments(4, dense=True), draws)[0]


def learned(draws: np.ndarray) -> np.ndarray:
    padded = np.full((500, 4), np.nan, np.float32)
    padded[: len(draws)] = draws
    return np.asarray(shrunk(moments(jnp.asarray(padded))), np.float64)


def correlations(covariance: np.ndarray) -> np.ndarray:
    root = np.sqrt(np.diagonal(covariance))
    return covariance / np.outer(root, root)


RANDOM = np.random.default_rng(20)
TRUE = np.array([[1.0, 0.95, 0.0, 0.0], [0.95, 1.0, 0.0, 0.0], [0.0, 0.0, 4.0, -1.6], [0.0, 0.0, -1.6, 1.0]])
DRAWS = RANDOM.multivariate_normal(np.zeros(4), TRUE, 500)


def test_correlations_of_many_independent_draws_are_learned() -> None:
    """The sampling error of a correlation is at most 1 / sqrt(500), and the shrinkage of order 12 / 500 / signal."""
    found = learned(DRAWS)
    assert np.abs(correlations(found) - correlations(TRUE)).max() < 4 / np.sqrt(500) + 0.02
    assert correlations(found)[0, 1] > 0.9
    np.testing.assert_allclose(np.diagonal(found), np.diagonal(TRUE), rtol=4 * np.sqrt(2 / 500))


def test_noise_is_no_correlation() -> None:
    independent = RANDOM.normal(size=(25, 4))
    raw = correlations(np.cov(independent.T)) - np.eye(4)
    kept = correlations(learned(independent)) - np.eye(4)
    assert np.abs(kept).max() < 0.5 * np.abs(raw).max()


@pytest.mark.parametrize("chain", ["drifts", "sticks", "nearly sticks"])
def test_a_chain_that_does_not_mix_teaches_no_correlation(chain: str) -> None:
    """Stan's dense estimate of the same draws is within a hundredth of singular: the twin that this rule replaces."""
    steps = np.linspace(0, 1, 50)[:, None]
    noise = RANDOM.normal(size=(50, 4))
    draws = {
        "drifts": np.array([1.0, -2.0, 3.0, 0.5]) * 10 * steps + 1e-2 * noise,
        "sticks": np.ones((50, 4)) * [1.0, 2.0, -3.0, 1e-3],
        "nearly sticks": np.where(steps > 0.5, 1.0, -1.0) * np.ones(4) + 1e-4 * noise,
    }[chain]
    found = learned(draws)
    assert np.abs(correlations(found) - np.eye(4)).max() < 0.35
    assert np.all(np.linalg.eigvalsh(found) > 0)
    if chain != "sticks":
        dense = np.asarray(regularised(moments(jnp.asarray(np.vstack([draws, np.full((450, 4), np.nan)])))), np.float64)
        assert np.linalg.eigvalsh(correlations(dense)).min() < 0.01
