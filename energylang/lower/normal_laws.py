"""Variables whose own law is normal given all that stays: what elliptical slice sampling needs of an energy."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import jax.numpy as jnp
from jax import Array

from energylang.ir.ancestry import steps
from energylang.ir.nodes import Energy, Law, Random, symbols
from energylang.lower.ancestry import draw
from energylang.lower.evaluate import evaluate
from energylang.model import PRNGKey

NORMAL = frozenset(["normal", "std_normal", "multi_normal", "multi_normal_cholesky", "multi_normal_precision"])
"""Distributions of the standard library that are normal in their variable; `mu`, where they have it, is the mean."""


def normal_laws(energy: Energy, free: Iterable[str] | None = None) -> dict[str, Law]:
    """By variable, its one law that covers the whole of it and is normal, with arguments that no free variable is in.

    free: names of the variables that move together; None for all. What is not free may be an argument.
    """
    laws = [law for law in energy.standing if law.variable is not None]
    moving = {v for v in energy.variables if free is None or v.name in free}
    found: dict[str, Law] = {}
    for law in laws:
        variable, random = law.variable, law.draw
        if variable not in moving or variable is None or not isinstance(random, Random):
            continue
        alone = sum(other.variable is variable for other in laws) == 1
        once = sum(term is law.term for term in energy.terms) == 1
        unbounded = variable.space.kind == "real" and not variable.space.bounds
        fixed = not moving.intersection(symbols(*random.arguments))
        if random.distribution in NORMAL and law.whole and alone and once and unbounded and fixed:
            found[variable.name] = law
    return found


def mean_and_draw(
    laws: Sequence[Law], environment: Mapping[Any, Any], dims: Mapping[str, int], key: PRNGKey
) -> tuple[Array, Array]:
    """(float[K], float[K]): the means of some normal laws, and one draw of each, side by side."""
    drawn, _ = draw(steps(laws)[0], environment, dims, key)
    means: list[Array] = []
    for law in laws:
        assert isinstance(law.draw, Random)
        given = dict(zip(law.draw.names, law.draw.arguments, strict=True))
        mean = evaluate([given["mu"]], environment, dims)[0] if "mu" in given else 0.0
        means.append(jnp.broadcast_to(jnp.asarray(mean, jnp.result_type(float)), drawn[law.name].shape))
    return jnp.concatenate([m.ravel() for m in means]), jnp.concatenate([drawn[law.name].ravel() for law in laws])


def laws_of(energy: Energy, names: Sequence[str]) -> list[Law]:
    """The laws of some variables that `normal_laws` named, in that order."""
    found = {law.name: law for law in energy.standing if law.variable is not None}
    return [found[name] for name in names]
