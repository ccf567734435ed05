"""Pathfinder: normal approximations along a quasi-Newton path to a mode.

Zhang, Carpenter, Gelman and Vehtari 2022, JMLR 23(306). The path is L-BFGS with a weak Wolfe search by bisection (Lewis
and Overton 2013, Mathematical Programming 141), written as one loop of which each turn evaluates the density once: XLA
compiles a density for every place where it is called, and blackjax's loop calls it in five.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from energylang.methods._blackjax import inverse_hessian, inverse_hessian_diagonal, normal_draws
from energylang.methods._gradient import value_and_gradient
from energylang.model import Point, PRNGKey, Target

MEMORY = 10
DRAWS = 50
STEPS = 100
TRIES = 12
"""Steps that the inverse Hessian is made of, draws that an ELBO is estimated by, steps of a path, tries of a step."""
DECREASE, CURVATURE = 1e-4, 0.9
"""Of a search: Wolfe's constants (Nocedal and Wright 2006, section 3.1)."""
CLOSE = 1e-5
"""A path ends where a Newton step would gain so much log density at most."""


class Found(NamedTuple):
    """The best approximation of a path: its ELBO, -inf where there is none, and one draw, float[R]."""

    elbo: Array
    draw: Array


class _Path(NamedTuple):
    """Between two evaluations. The search is along `direction`, its next length between `low` and `high`."""

    steps: Array
    position: Array
    value: Array
    gradient: Array
    diagonal: Array
    moves: Array
    changes: Array
    direction: Array
    length: Array
    low: Array
    high: Array
    tries: Array
    done: Array
    best: Found


def pathfinder(target: Target, x: Point, key: PRNGKey) -> Found:
    """One path from `x`, whose density and gradient are finite; the codes stay as they are."""
    dtype = x.real.dtype
    zero, still = jnp.zeros((), dtype), jnp.zeros_like(x.real)
    memory = jnp.zeros((MEMORY, *x.real.shape), dtype)
    infinite = jnp.full((), jnp.inf, dtype)

    def approximation(position: Array, gradient: Array, covariance: Any) -> Found:
        # The same noise for every approximation: what differs between them is then not which draws they were given.
        draws, log_q = normal_draws(key, DRAWS + 1, position, gradient, covariance)
        log_p = jax.vmap(lambda real: target.log_density(Point(real, x.code)))(draws)
        # The last draw is kept, and does not take part in the choice.
        elbo = jnp.mean((log_p - log_q)[:-1])
        usable = jnp.isfinite(elbo) & jnp.isfinite(log_p[-1])
        return Found(jnp.where(usable, elbo, -jnp.inf), draws[-1])

    def advance(path: _Path, position: Array, value: Array, gradient: Array) -> _Path:
        move, change = position - path.position, path.gradient - gradient
        diagonal, learned = inverse_hessian_diagonal(path.diagonal, move, change)
        moves, changes = (
            jnp.where(learned, jnp.roll(kept, -1, axis=0).at[-1].set(new), kept)
            for kept, new in ((path.moves, move), (path.changes, change))
        )
        covariance = inverse_hessian(diagonal, moves, changes)
        direction = covariance.times(gradient)
        gain = gradient @ direction
        steps = path.steps + 1
        found = approximation(position, gradient, covariance)
        best = jax.tree.map(lambda new, old: jnp.where(found.elbo > path.best.elbo, new, old), found, path.best)
        done = ~(gain > CLOSE) | (steps >= STEPS)
        length = jnp.where(jnp.any(moves), 1.0, 1 / jnp.maximum(1.0, jnp.linalg.norm(gradient)))
        return _Path(
            steps, position, value, gradient, diagonal, moves, changes, direction, length, zero, infinite,
            jnp.zeros_like(path.tries), done, best,
        )  # fmt: skip

    def search(path: _Path, enough: Array, *_: Any) -> _Path:
        low = jnp.where(enough, path.length, path.low)
        high = jnp.where(enough, path.high, path.length)
        length = jnp.where(jnp.isinf(high), 2 * low, (low + high) / 2)
        tries = path.tries + 1
        return path._replace(length=length, low=low, high=high, tries=tries, done=tries >= TRIES)

    def turn(path: _Path) -> _Path:
        position = path.position + path.length * path.direction
        value, gradient = value_and_gradient(target, position, x.code)
        slope = path.gradient @ path.direction
        finite = jnp.isfinite(value) & jnp.all(jnp.isfinite(gradient))
        enough = finite & (value >= path.value + DECREASE * path.length * slope)
        flat = gradient @ path.direction <= CURVATURE * slope
        return jax.lax.cond(
            enough & flat,
            lambda: advance(path, position, value, gradient),
            lambda: search(path, enough),
        )

    # It begins with a step of no length from a point of no density, which is always taken.
    path = _Path(
        jnp.int32(0), x.real, -infinite, still, jnp.ones_like(still), memory, memory, still, zero, zero, infinite,
        jnp.int32(0), jnp.zeros((), bool), Found(-infinite, x.real),
    )  # fmt: skip
    return jax.lax.while_loop(lambda path: ~path.done, turn, path).best
