"""Laws of a few sites given all others, for kernels that draw them jointly."""

from __future__ import annotations

from typing import cast

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from energylang.diagnostics import Diagnostic, DiagnosticError
from energylang.model import Local, Point, Target

MOST_VALUES = 2**16
"""Joint values of a block at most: each is evaluated in every update."""


def grid(cardinality: int, block: int) -> np.ndarray:
    """int32[cardinality^block, block]: every joint value of a block."""
    return np.indices((cardinality,) * block, dtype=np.int32).reshape(block, -1).T


def require_few(method: str, values: int, what: str) -> None:
    """Raise E0650 where a block has too many joint values to evaluate each."""
    if values > MOST_VALUES:
        raise DiagnosticError(
            [
                Diagnostic(
                    "E0650",
                    f"`{method}` would evaluate {values:,} joint values of {what} in every update",
                    fix=f"give a smaller `block`: at most {MOST_VALUES:,} joint values are evaluated",
                )
            ]
        )


def with_values(x: Point, group: int, sites: Array, values: Array) -> Point:
    """The point with some sites of one code array at other values; both int32[m]."""
    code = list(x.code)
    code[group] = code[group].at[sites].set(values.astype(code[group].dtype))
    return Point(x.real, tuple(code))


def logits(target: Target, x: Point, group: int, sites: Array, values: Array) -> Array:
    """float[M]: the log density with some sites of a code array at each of M joint values, up to a constant.

    sites: int32[m], all different. values: int32[M, m]. Of a `Local` target with exact gains the cost is that of m gains
    of single sites for each joint value, else that of one log density.
    """
    if not (target.facts.gains == "exact" and target.facts.reach):
        return jax.vmap(lambda joint: target.log_density(with_values(x, group, sites, joint)))(values)

    def change(joint: Array) -> Array:
        def one(both: tuple[Point, Array], turn: Array) -> tuple[tuple[Point, Array], None]:
            x, total = both
            gains = gains_at(target, x, group, sites[turn][None])[0]
            x = with_values(x, group, sites[turn], joint[turn])
            return (x, total + gains[joint[turn]]), None

        return lax.scan(one, (x, jnp.zeros(())), jnp.arange(sites.shape[0]))[0][1]

    return jax.vmap(change)(values)


def gains_at(target: Target, x: Point, group: int, sites: Array) -> Array:
    """float[m, k]: exact gains of some sites of one code array."""
    if not target.facts.reach:
        return target.gains(x)[group][sites]
    others = [jnp.zeros(0, jnp.int32)] * len(x.code)
    others[group] = sites
    return cast(Local, target).gains_at(x, tuple(others))[group]
