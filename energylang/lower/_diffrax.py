"""Ordinary differential equations under JAX: the one module that knows diffrax (Kidger 2021, arXiv:2202.02435)."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

# Where a step cannot be solved the energy is infinite: Equinox gives NaN then, and not an exception from the host.
os.environ.setdefault("EQX_ON_ERROR", "nan")

import diffrax
import jax.numpy as jnp

from energylang.ir.nodes import Trajectory

SOLVERS = {"tsit5": diffrax.Tsit5, "dopri5": diffrax.Dopri5, "kvaerno5": diffrax.Kvaerno5}


def followed(
    velocity: Callable[..., Any], start: Any, first: Any, last: Any, known: Any, solver: str, rtol: float, atol: float, max_steps: int
) -> Any:  # fmt: skip
    """The state at the time `last` of what is `start` at `first`; float[n, B], rows solved side by side.

    velocity(time, state, known): of the state. Steps are those of all rows at once, as small as the row with the largest
    error needs, so that each keeps the tolerance. Derivatives are those of the steps taken, from checkpoints
    (diffrax's `RecursiveCheckpointAdjoint`). NaN everywhere where `max_steps` are too few.
    """
    solution = diffrax.diffeqsolve(
        diffrax.ODETerm(velocity),
        SOLVERS[solver](),
        t0=first,
        t1=last,
        dt0=None,
        y0=start,
        args=known,
        stepsize_controller=diffrax.PIDController(rtol=rtol, atol=atol, norm=_largest_row),
        max_steps=max_steps,
        throw=False,
    )
    assert solution.ys is not None
    return jnp.where(solution.result == diffrax.RESULTS.successful, solution.ys[-1], jnp.nan)


def _largest_row(scaled: Any) -> Any:
    """The root mean square of the entries of each row, of the row where that is largest."""
    return jnp.sqrt(jnp.max(jnp.mean(scaled**2, axis=0)))


def solve(expr: Trajectory, derivative: Callable[..., Any], start: Any, times: Any, origin: Any, known: Any) -> Any:
    """float[len(times), *start.shape]: the solution at the times.

    derivative(time, state, known): of the state; whatever else it depends on is in `known`, so that implicit solvers
    can differentiate through it. NaN everywhere where the solver failed or the times do not increase from the origin.
    """
    real = jnp.result_type(float)
    start, times, origin = (jnp.asarray(a, real) for a in (start, times, origin))
    if not times.shape[0]:
        return jnp.zeros((0, *start.shape), real)
    valid = jnp.all(times[1:] >= times[:-1]) & (times[0] >= origin) & jnp.all(jnp.isfinite(times))
    # The solver raises on times that do not increase; here they only make the energy infinite.
    times = jnp.where(valid, times, origin)
    solution = diffrax.diffeqsolve(
        diffrax.ODETerm(derivative),
        SOLVERS[expr.solver](),
        t0=origin,
        t1=times[-1],
        dt0=None,
        y0=start,
        args=known,
        saveat=diffrax.SaveAt(ts=times),
        stepsize_controller=diffrax.PIDController(rtol=expr.rtol, atol=expr.atol),
        max_steps=expr.max_steps,
        throw=False,
    )
    valid &= solution.result == diffrax.RESULTS.successful
    return jnp.where(valid, jnp.asarray(solution.ys), jnp.nan)
