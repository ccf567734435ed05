"""The one place that knows optax: its optimisers of a flat vector, and those that `train` names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from energylang.catalog import OPTIMIZERS, RATES, MethodCall

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


def transformation(optimizer: Any, steps: int, clip: float | None) -> Any:
    """The GradientTransformation of `train`. optimizer: a call of the catalog, or a transformation already.

    steps: over which learning rates move. clip: the largest norm of a gradient, all params together.
    """
    import optax

    made = _called(optimizer, steps) if isinstance(optimizer, MethodCall) else optimizer
    return made if clip is None else optax.chain(optax.clip_by_global_norm(clip), made)


def norm(tree: Any) -> Array:
    """The length of all leaves together."""
    import optax

    return optax.global_norm(tree)


def _called(call: MethodCall, steps: int) -> Any:
    import optax

    given: dict[str, Any] = {o.name: o.default for o in OPTIMIZERS[call.name].options} | dict(call.options)
    rate = given.pop("learning_rate")
    if isinstance(rate, MethodCall):
        rate = schedule(rate, steps)
    match call.name:
        case "sgd":
            # Without momentum there is none to carry along.
            return optax.sgd(rate, momentum=given["momentum"] or None, nesterov=given["nesterov"])
        case "rmsprop":
            given["momentum"] = given["momentum"] or None
        case "adagrad":
            given["initial_accumulator_value"] = given.pop("initial")
    return getattr(optax, call.name)(rate, **given)


def schedule(call: MethodCall, steps: int) -> Callable[[Any], Any]:
    """The learning rate by step: to its largest in `warmup` steps, then to its end at the last of `steps`."""
    import optax

    given: dict[str, Any] = {o.name: o.default for o in RATES[call.name].options} | dict(call.options)
    rate, warmup = given["rate"], given["warmup"]
    # The last step, number steps - 1, has the end.
    left = max(1, steps - 1 - warmup)
    match call.name:
        case "cosine":
            rest: Any = optax.cosine_decay_schedule(rate, left, alpha=given["end"])
        case "linear":
            rest = optax.linear_schedule(rate, given["end"] * rate, left)
        case "exponential":
            rest = optax.exponential_decay(rate, left, given["end"])
        case _:
            rest = optax.constant_schedule(rate)
    if not warmup:
        return rest
    # Not from zero itself: a first step of no length would be one in vain.
    rise = optax.linear_schedule(rate / warmup, rate * (1 + 1 / warmup), warmup)
    return optax.join_schedules([rise, rest], [warmup])


def warmup_of(optimizer: Any) -> int:
    """The steps in which the learning rate of an optimizer rises."""
    rate = dict(optimizer.options).get("learning_rate") if isinstance(optimizer, MethodCall) else None
    return int(dict(rate.options).get("warmup", 0)) if isinstance(rate, MethodCall) else 0
