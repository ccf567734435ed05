"""The sets of two numbers: their entropies by nearest neighbours, two of them also by their densities."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial import cKDTree
from scipy.special import digamma, logsumexp

from energylang.toy_sets import ENTROPY, SETS, checkerboard, eight_gaussians

POINTS = 20_000
NEAREST = 4


def entropy(points: np.ndarray) -> float:
    """Kozachenko and Leonenko's estimate, nats: the distance to the k-th neighbour of each point."""
    far = cKDTree(points).query(points, NEAREST + 1)[0][:, -1]
    return float(digamma(len(points)) - digamma(NEAREST) + np.log(np.pi) + 2.0 * np.mean(np.log(far)))


@pytest.mark.parametrize("name", SETS)
def test_entropies(name):
    points = SETS[name](POINTS, 3)
    assert points.shape == (POINTS, 2)
    np.testing.assert_array_equal(points[:5], SETS[name](POINTS, 3)[:5])
    assert not np.array_equal(points[:5], SETS[name](POINTS, 4)[:5])
    # standard error .006 and, where densities have edges, a bias of some hundredths; a scale wrong by 4 % is .08
    assert entropy(points) == pytest.approx(ENTROPY[name], abs=0.06)


def test_eight_gaussians_by_their_density():
    points = eight_gaussians(POINTS, 5)
    angle = np.arange(8) * np.pi / 4
    centres = 4.0 * np.stack([np.cos(angle), np.sin(angle)], axis=1) / np.sqrt(2.0)
    squares = np.sum((points[:, None] - centres) ** 2, axis=-1)
    energies = -logsumexp(-squares / 0.25, axis=1) + np.log(8 * np.pi * 0.25)
    assert np.mean(energies) == pytest.approx(ENTROPY["eight_gaussians"], abs=5 * np.std(energies) / POINTS**0.5)


def test_the_checkerboard_is_uniform_on_its_squares():
    points = checkerboard(POINTS, 6)
    square = np.floor(points / 2.0).astype(int)
    assert (square.sum(axis=1) % 2 == 0).all()
    assert ((points >= -4) & (points < 4)).all()
    counts = np.bincount((square[:, 0] + 2) * 4 + square[:, 1] + 2)
    counts = counts[counts > 0]
    assert len(counts) == 8
    # chi-square of 7 degrees of freedom, 1e-6
    assert np.sum((counts - POINTS / 8) ** 2 / (POINTS / 8)) < 41.3
