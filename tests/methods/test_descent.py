"""Descent against closed forms: without a Jacobian, and with constraints; one that has the Jacobian is rejected.

Covers energylang.methods.descent:Descent.
"""

from __future__ import annotations

import zlib

import numpy as np
import pytest

import energylang as el
from energylang.lower.problem import LoweredProblem
from energylang.model import Measure, Point


def test_rosenbrock() -> None:
    model = el.compile("energy rosenbrock(x: real[4]) = sum(100 * (x[1:] - x[:-1]^2)^2 + (1 - x[:-1])^2)")
    found = model.optimize(steps=200, chains=4)
    assert found.method == "descent()"
    assert found.best["x"] == pytest.approx(np.ones(4), abs=1e-3)
    assert found.best_energy < 1e-6


def test_adam() -> None:
    found = el.compile("energy bowl(x: real[3]) = sum((x - 2)^2)").optimize(
        method="descent(optimizer = adam)", steps=400, chains=2
    )
    assert found.best["x"] == pytest.approx(np.full(3, 2.0), abs=1e-2)


POSITIVE = "energy e(s: positive) = s - 3 * log(s)"
"""Lowest at 3; with the log-Jacobian of s = exp(u), which is u, it would be at 4."""


def lowest(model: el.Model) -> float:
    return float(model.optimize(steps=60, chains=2, refine=False).best["s"])


def test_no_jacobian_and_a_search_with_it_is_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    assert lowest(el.compile(POSITIVE)) == pytest.approx(3.0, abs=1e-3)
    plain = LoweredProblem.measure

    def measure(self: LoweredProblem, x: Point) -> Measure:
        found = plain(self, x)
        return found._replace(energy=found.energy - self.target().log_jacobian(x))

    monkeypatch.setattr(LoweredProblem, "measure", measure)
    wrong = lowest(el.compile(POSITIVE + "\n# another program\n"))
    assert wrong == pytest.approx(4.0, abs=1e-2)


def test_a_simplex() -> None:
    """The lowest free energy is at the softmax of minus the costs."""
    cost = np.array([0.3, -1.0, 0.5, 2.0])
    model = el.compile("data c: real[4]\nenergy free(p: simplex[4]) = dot(c, p) + sum(p * log(p))\n", data={"c": cost})
    weights = np.exp(-cost) / np.exp(-cost).sum()
    assert model.optimize(steps=100, chains=2).best["p"] == pytest.approx(weights, abs=1e-4)


def test_a_quadratic_under_linear_constraints() -> None:
    """min |x - a|^2 under A x = b is the projection a - A'(A A')^-1 (A a - b); the inequalities beside are slack or active."""
    random = np.random.default_rng(zlib.crc32(b"quadratic"))
    A, a, b = random.normal(size=(2, 5)), random.normal(size=5), random.normal(size=2)
    model = el.compile(
        "data A: real[2, 5]\ndata a: real[5]\ndata b: real[2]\nenergy e(x: real[5]) = sum((x - a)^2)\n"
        "constraint plane(x: real[5]) = A @ x == b\nconstraint box(x: real[5]) = x <= 10\n",
        data={"A": A, "a": a, "b": b},
    )
    found = model.optimize(steps=400, chains=2)
    wanted = a - A.T @ np.linalg.solve(A @ A.T, A @ a - b)
    assert found.feasible
    assert found.violation <= 1e-4
    assert found.best["x"] == pytest.approx(wanted, abs=1e-3)


def test_an_active_inequality() -> None:
    """The point of the disc nearest to (3, 4) is (3, 4) / 5, at distance 4."""
    model = el.compile(
        "energy e(x: real[2]) = (x[0] - 3)^2 + (x[1] - 4)^2\nconstraint disc(x: real[2]) = sum(x^2) <= 1\n"
    )
    found = model.optimize(steps=400, chains=2)
    assert found.best["x"] == pytest.approx([0.6, 0.8], abs=1e-3)
    assert found.best_energy == pytest.approx(16.0, abs=2e-3)
    assert found.violations["disc"] <= 1e-4


def test_constraints_without_a_common_point() -> None:
    model = el.compile(
        "energy e(x: real) = x^2\nconstraint low(x: real) = x <= -1\nconstraint high(x: real) = x >= 1\n"
    )
    found = model.optimize(steps=200, chains=2)
    assert not found.feasible
    assert found.violation == pytest.approx(2.0, abs=1e-2)
