"""The one place that knows optax's optimisers of a flat vector."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

Objective = Callable[[Array], Array]
LINE_SEARCH = 20
"""Evaluations of one line search at most."""


def start(optimizer: str, learning_rate: float, vector: Array) -> Any:
    """The optimiser's state before its first step."""
    return _make(optimizer, learning_rate).init(vector)


def step(optimizer: str, learning_rate: float, objective: Objective, vector: Array, state: Any) -> tuple[Array, Any]:
    """The next vector and state. Where it would not be finite the vector stays and the optimiser begins anew."""
    import optax

    made = _make(optimizer, learning_rate)
    if optimizer == "lbfgs":
        value, slope = optax.value_and_grad_from_state(objective)(vector, state=state)
        change, after = made.update(slope, state, vector, value=value, grad=slope, value_fn=objective)
    else:
        value, slope = jax.value_and_grad(objective)(vector)
        change, after = made.update(slope, state, vector)
    moved: Any = optax.apply_updates(vector, change)
    good = jnp.all(jnp.isfinite(moved)) & jnp.isfinite(objective(moved))
    after = jax.tree.map(lambda new, old: jnp.where(good, new, old), after, made.init(vector))
    return jnp.where(good, moved, vector), after


def _make(optimizer: str, learning_rate: float) -> Any:
    import optax

    if optimizer == "lbfgs":
        return optax.lbfgs(memory_size=10, linesearch=optax.scale_by_zoom_linesearch(max_linesearch_steps=LINE_SEARCH))
    return optax.adam(learning_rate)
