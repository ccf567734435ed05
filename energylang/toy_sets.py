"""The eight two-dimensional sets that flows are tried on (Grathwohl et al. 2019, arXiv:1810.01367, figure 2).

Each is a function of the number of points and a seed, float64[n, 2], the same for the same seed. `entropy` has the floor that
no model's mean negative log likelihood falls below, in nats.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

Points = np.ndarray


def eight_gaussians(n: int, seed: int = 0) -> Points:
    """Eight normals of scale 0.354 on a circle of radius 2.83."""
    random = np.random.default_rng(seed)
    angle = random.integers(0, 8, n) * np.pi / 4
    return (4.0 * _circle(angle) + 0.5 * random.normal(size=(n, 2))) / np.sqrt(2.0)


def checkerboard(n: int, seed: int = 0) -> Points:
    """Uniform on every other square of a board of four by four squares, each two wide."""
    random = np.random.default_rng(seed)
    column = random.integers(0, 4, n)
    row = 2 * random.integers(0, 2, n) + column % 2
    return 2.0 * (np.stack([column, row], axis=1) - 2 + random.random((n, 2)))


def pinwheel(n: int, seed: int = 0) -> Points:
    """Five bent arms."""
    random = np.random.default_rng(seed)
    along, across = 1.0 + 0.3 * random.normal(size=n), 0.1 * random.normal(size=n)
    turn = random.integers(0, 5, n) * 2 * np.pi / 5 + 0.25 * np.exp(along)
    return 2.0 * (along[:, None] * _circle(turn) + across[:, None] * _circle(turn + np.pi / 2))


def two_spirals(n: int, seed: int = 0) -> Points:
    """Two spirals of one and a half turns, one the other turned round."""
    random = np.random.default_rng(seed)
    angle = 3 * np.pi * np.sqrt(random.random(n))
    arm = angle[:, None] * _circle(angle) * [-1.0, 1.0] + 0.5 * random.random((n, 2))
    return random.choice([-1.0, 1.0], n)[:, None] * arm / 3.0 + 0.1 * random.normal(size=(n, 2))


def moons(n: int, seed: int = 0) -> Points:
    """Two half circles that reach into each other."""
    random = np.random.default_rng(seed)
    arc = _circle(np.pi * random.random(n))
    second = random.random(n) < 0.5
    both = np.where(second[:, None], [1.0, 0.5] - arc, arc)
    return 2.0 * (both + 0.1 * random.normal(size=(n, 2))) + [-1.0, -0.2]


def circles(n: int, seed: int = 0) -> Points:
    """Two circles around one centre, of radius 3 and 1.5."""
    random = np.random.default_rng(seed)
    radius = random.choice([1.0, 0.5], n)
    return 3.0 * (radius[:, None] * _circle(2 * np.pi * random.random(n)) + 0.08 * random.normal(size=(n, 2)))


def swiss_roll(n: int, seed: int = 0) -> Points:
    """One spiral of one and a half turns."""
    random = np.random.default_rng(seed)
    angle = 1.5 * np.pi * (1.0 + 2.0 * random.random(n))
    return (angle[:, None] * _circle(angle) + random.normal(size=(n, 2))) / 5.0


def rings(n: int, seed: int = 0) -> Points:
    """Four circles around one centre, of radius 3, 2.25, 1.5 and 0.75."""
    random = np.random.default_rng(seed)
    radius = random.choice([1.0, 0.75, 0.5, 0.25], n)
    return 3.0 * radius[:, None] * _circle(2 * np.pi * random.random(n)) + 0.08 * random.normal(size=(n, 2))


def _circle(angle: np.ndarray) -> np.ndarray:
    return np.stack([np.cos(angle), np.sin(angle)], axis=1)


SETS: dict[str, Callable[[int, int], Points]] = {
    make.__name__: make
    for make in (eight_gaussians, checkerboard, pinwheel, two_spirals, moons, circles, swiss_roll, rings)
}

ENTROPY: dict[str, float] = {
    "eight_gaussians": 2.832, "checkerboard": 3.4657, "pinwheel": 2.319, "two_spirals": 2.645, "moons": 2.394,
    "circles": 3.268, "swiss_roll": 2.670, "rings": 2.623,
}  # fmt: skip
"""Nats, to three digits: in closed form where there is one, else by the density on a fine grid."""
