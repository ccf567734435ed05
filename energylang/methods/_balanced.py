"""Locally balanced proposals: their weights, and what a kernel carries from step to step, the gains at a point."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from energylang.diagnostics import Diagnostic, DiagnosticError
from energylang.lower.inversion import finite_peak
from energylang.model import Facts, Point, Target

WEIGHTS = {
    "sqrt": lambda gain: 0.5 * gain,
    "ratio": jax.nn.log_sigmoid,
    "max": lambda gain: jnp.maximum(gain, 0.0),
    "min": lambda gain: jnp.minimum(gain, 0.0),
}
"""log g(exp(gain)) of the locally balanced g(t) = sqrt t, t / (1 + t), max(1, t) and min(1, t) (Zanella 2020)."""

BALANCED = {
    "sqrt": jnp.sqrt,
    "ratio": lambda odds: odds / (1.0 + odds),
    "max": lambda odds: jnp.maximum(odds, 1.0),
    "min": lambda odds: jnp.minimum(odds, 1.0),
}
"""The same functions g of t = exp(gain) themselves."""


class Informed(NamedTuple):
    """A point and all that proposals need to know there.

    gains: for each code array of two values float[D_k], the gain of the other value, else float[D_k, k].
    log_density: scalar; empty where the changes of log density follow from gains.
    """

    x: Point
    gains: tuple[Array, ...]
    log_density: Any


def informed(target: Target, x: Point) -> Informed:
    """One evaluation of the gains, and of the log density where it is needed."""
    gains = tuple(
        jnp.where(code == 0, gain[:, 1], gain[:, 0]) if gain.shape[1] == 2 else gain
        for gain, code in zip(target.gains(x), x.code, strict=True)
    )
    return Informed(x, gains, () if pairwise(target.facts) else target.log_density(x))


def pairwise(facts: Facts) -> bool:
    """Whether no term couples more than two sites at once, and gains are exact."""
    two = all(
        t.kind in ("quadratic", "continuous") or (t.kind in ("gather", "sums") and t.width <= 2) for t in facts.terms
    )
    return facts.gains == "exact" and bool(facts.terms) and two


def rise(x: Informed, y: Informed) -> Array:
    """log_density(y) - log_density(x), whatever number of sites differ.

    Of a pairwise energy it is half the sum over sites of the gain of y's value at x minus that of x's value at y: single
    changes count once in both, and each pair, which counts twice at y and not at x, once. Where a gain is infinite so is
    the sum, though a move of several sites might be possible; both directions are then refused (`accepted`).
    """
    if not isinstance(x.log_density, tuple):
        return y.log_density - x.log_density
    total = jnp.zeros(())
    for gains, back, here, there in zip(x.gains, y.gains, x.x.code, y.x.code, strict=True):
        if gains.ndim == 1:
            total += jnp.where(here == there, 0.0, gains - back).sum()
        else:
            total += (at_value(gains, there) - at_value(back, here)).sum()
    return 0.5 * total


def at_value(table: Array, code: Array) -> Array:
    """float[D]: the entry of each site's value, of float[D, k]."""
    # A mask rather than a gather, which would not be fused with what made the table.
    return jnp.where(jnp.arange(table.shape[1]) == code[:, None], table, 0.0).sum(axis=1)


def site_weights(x: Informed, weight: str) -> tuple[Array, tuple[Any, ...]]:
    """Log weights of moving each site, float[D], and by value, minus infinity at the current one.

    By value: for each code array float[D_k, k], empty of two values.
    """
    sites, values = [], []
    for gain, code in zip(x.gains, x.x.code, strict=True):
        if gain.ndim == 1:
            sites.append(WEIGHTS[weight](gain))
            values.append(())
        else:
            current = jnp.arange(gain.shape[1]) == code[:, None]
            values.append(jnp.where(current, -jnp.inf, WEIGHTS[weight](gain)))
            sites.append(log_sum(values[-1]))
    return jnp.concatenate(sites), tuple(values)


def log_sum(logs: Array) -> Array:
    """log of the sum of exp along the last axis; minus infinity where all are."""
    peak = finite_peak(logs)
    return peak[..., 0] + jnp.log(jnp.exp(logs - peak).sum(axis=-1))


def require_choice(method: str, facts: Facts) -> None:
    """Raise E0652 where no site has a second value, so that no proposal could differ from x."""
    if all(k == 1 or not count for k, count in zip(facts.cardinalities, facts.sites, strict=True)):
        raise DiagnosticError(
            [
                Diagnostic(
                    "E0652",
                    f"`{method}` has nothing to propose: no discrete variable has a second value",
                    fix="`cat(1)` has the value 0 alone: leave it out, or move it by `gibbs()`",
                )
            ]
        )


def accepted(log_ratio: Array, uniform: Array, proposed: Any, current: Any) -> tuple[Any, Array]:
    """The next state, and the probability of the move.

    A ratio that is not finite is refused: a point without a density, a move without a way back, or a sum of infinite
    gains, whose sign would make one of two directions certain.
    """
    log_ratio = jnp.where(jnp.isfinite(log_ratio), log_ratio, -jnp.inf)
    accept = jnp.log(uniform) < log_ratio
    kept = jax.tree.map(lambda new, old: jnp.where(accept, new, old), proposed, current)
    return kept, jnp.exp(jnp.minimum(log_ratio, 0.0))
