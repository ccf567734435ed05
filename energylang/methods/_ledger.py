"""Weights of single moves, carried from step to step: after a move only those of the sites it reached are made again.

Nothing is added up over steps. A weight that changes is computed from the point, and a row's total from its weights, so
that no rounding error grows, and a state is what it would be if it were made afresh.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import accumulate
from math import isqrt
from typing import Any, NamedTuple

import jax.numpy as jnp
from jax import Array

from energylang.lower.inversion import finite_peak, invert, invert_logits
from energylang.methods._balanced import log_sum
from energylang.model import Facts, Local, Point

LogWeight = Callable[[Array], Array]


class Ledger(NamedTuple):
    """Log weights of moving each site, folded into rows.

    site: float[B, m], minus infinity beyond the last site. rows: float[B], the log of each row's sum. values: for each
    code array of more than two values float[D_k, k], log weights with minus infinity at the current value; else empty.
    """

    site: Array
    rows: Array
    values: tuple[Any, ...]


def worth_following(facts: Facts) -> bool:
    """Whether a move reaches few enough sites for a ledger to be less work than all gains."""
    return facts.gains == "exact" and 0 < 2 * facts.reach <= facts.discrete


def opened(target: Local, x: Point, log_weight: LogWeight) -> Ledger:
    """The ledger at a point, from the gains of all sites."""
    facts = target.facts
    weights = [_weights(g, c, log_weight) for g, c in zip(target.gains(x), x.code, strict=True) if g.shape[1]]
    # A step sums B totals, and the m weights of each row it reaches.
    width = max(1, isqrt(facts.discrete // (facts.reach + 1)))
    height = -(-facts.discrete // width)
    flat = jnp.concatenate([site for site, _ in weights])
    flat = jnp.pad(flat, (0, height * width - facts.discrete), constant_values=-jnp.inf)
    site = flat.reshape(height, width)
    return Ledger(site, log_sum(site), tuple(values for _, values in weights))


def moved(
    target: Local, x: Point, ledger: Ledger, uniforms: Array, log_weight: LogWeight
) -> tuple[Point, Ledger, Array]:
    """One step with Metropolis ratio Z(x) / Z(y): the next point, its ledger, and the log ratio. uniforms: float[4]."""
    height, width = ledger.site.shape
    before = log_sum(ledger.rows)
    row = invert(jnp.exp(ledger.rows - finite_peak(ledger.rows)), uniforms[0])
    entries = ledger.site[row]
    number = row * width + invert(jnp.exp(entries - finite_peak(entries)), uniforms[1])

    groups = range(len(ledger.values))
    offsets = [0, *accumulate(target.facts.sites[g] for g in groups)]
    code, places, old, new = list(x.code), [], [], []
    for group in groups:
        count, values = code[group].shape[0], ledger.values[group]
        here = (number >= offsets[group]) & (number < offsets[group + 1])
        place = jnp.clip(number - offsets[group], 0, max(count - 1, 0))
        old.append(code[group][place])
        drawn = 1 - old[-1] if isinstance(values, tuple) else invert_logits(values[place], uniforms[2])
        new.append(drawn.astype(old[-1].dtype))
        places.append(jnp.where(here, place, count))
        code[group] = code[group].at[places[-1]].set(new[-1], mode="drop")
    proposed = Point(x.real, tuple(code))

    reached = target.reached(number)
    weights = [
        _weights(gain, code[group][jnp.minimum(sites, code[group].shape[0] - 1)], log_weight)
        for group, sites, gain in zip(groups, reached, target.gains_at(proposed, reached), strict=True)
    ]
    counts = [target.facts.sites[g] for g in groups]
    at = jnp.concatenate(
        [jnp.where(s < n, s + o, height * width) for s, n, o in zip(reached, counts, offsets, strict=False)]
    )
    rows, columns = at // width, at % width
    kept = jnp.minimum(rows, height - 1)
    changed = jnp.concatenate([site for site, _ in weights])
    standing, totals = ledger.site[kept, columns], ledger.rows[kept]
    site = ledger.site.at[rows, columns].set(changed, mode="drop")
    sums = log_sum(site[kept])
    log_ratio = before - log_sum(ledger.rows.at[rows].set(sums, mode="drop"))
    # Not a number: neither point has a density, or no move leaves x. Such a proposal is never accepted.
    log_ratio = jnp.where(jnp.isnan(log_ratio), -jnp.inf, log_ratio)
    accept = jnp.log(uniforms[3]) < log_ratio

    site = site.at[rows, columns].set(jnp.where(accept, changed, standing), mode="drop")
    sums = ledger.rows.at[rows].set(jnp.where(accept, sums, totals), mode="drop")
    values = tuple(
        table
        if isinstance(table, tuple)
        else table.at[jnp.where(accept, sites, table.shape[0])].set(fresh, mode="drop")
        for table, sites, (_, fresh) in zip(ledger.values, reached, weights, strict=True)
    )
    code = list(x.code)
    for group in groups:
        code[group] = code[group].at[places[group]].set(jnp.where(accept, new[group], old[group]), mode="drop")
    return Point(x.real, tuple(code)), Ledger(site, sums, values), log_ratio


def _weights(gains: Array, code: Array, log_weight: LogWeight) -> tuple[Array, Any]:
    """Log weights of moving sites: in all, float[m], and by value, float[m, k] (empty of two values)."""
    if gains.shape[1] == 2:
        return log_weight(jnp.where(code == 0, gains[:, 1], gains[:, 0])), ()
    current = jnp.arange(gains.shape[1]) == code[:, None]
    values = jnp.where(current, -jnp.inf, log_weight(gains))
    return log_sum(values), values
