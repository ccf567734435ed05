"""Ordinary differential equations on the host: scipy's solvers, in float64."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from energylang.ir.nodes import Trajectory

METHODS = {"tsit5": "RK45", "dopri5": "RK45", "kvaerno5": "Radau"}
EVALUATIONS = 100
"""Of the derivative per step: with a dense Jacobian by differences an implicit step needs many."""


class _TooLong(Exception):
    """The derivative was evaluated more often than the steps allow."""


def solve(
    expr: Trajectory, derivative: Callable[..., Any], start: Any, times: Any, origin: Any, known: Any
) -> np.ndarray:
    """float64[len(times), *start.shape]: as `energylang.lower._diffrax.solve`."""
    from scipy.integrate import solve_ivp

    start, times, origin = np.asarray(start, float), np.asarray(times, float), float(origin)
    failed = np.full((len(times), *start.shape), np.nan)
    if not len(times) or np.any(np.diff(times) < 0) or not times[0] >= origin or not np.isfinite(times).all():
        return failed
    asked, places = np.unique(times, return_inverse=True)
    left = expr.max_steps * EVALUATIONS

    def flat(time: float, state: np.ndarray) -> np.ndarray:
        nonlocal left
        left -= 1
        if left < 0:
            raise _TooLong
        return np.asarray(derivative(np.float64(time), state.reshape(start.shape), known), float).ravel()

    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            found = solve_ivp(
                flat, (origin, times[-1]), start.ravel(), METHODS[expr.solver], asked, rtol=expr.rtol, atol=expr.atol
            )
        except (_TooLong, ValueError, FloatingPointError, np.linalg.LinAlgError):
            return failed
    if not found.success or found.y.shape[1] != len(asked):
        return failed
    return found.y.T[places].reshape(failed.shape)
