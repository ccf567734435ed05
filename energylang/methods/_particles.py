"""Particles of objectives: points that a kernel moves while the params change under them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from energylang.methods.importance import Importance
from energylang.model import Info, Kernel, Phase, PRNGKey, Target, fold

LEARNING = 1000
"""Moves over which the phase of adaptation goes from its beginning to its end; it is never over, as the target moves on."""


class Tuned(NamedTuple):
    """What all particles share. moves: how many there were."""

    tune: Any
    memory: Any
    moves: Array


def untuned(kernel: Kernel, target: Target) -> Tuned:
    """The tuning that a kernel begins with."""
    return Tuned(*kernel.tuning(target), jnp.int32(0))


def scattered(kernel: Kernel, target: Target, count: int, key: PRNGKey) -> Any:
    """States of `count` particles [count, …]: codes uniform, unconstrained reals from Student's t of four degrees."""

    def begin(number: Array) -> Any:
        x, _ = Importance().start(target, (), fold(key, 0, number))
        return kernel.init(target, x, fold(key, 1, number))

    return jax.vmap(begin)(jnp.arange(count))


def moved(
    kernel: Kernel, target: Callable[[Array], Target], states: Any, tuned: Tuned, steps: int, key: PRNGKey
) -> tuple[Any, Tuned, Info]:
    """The states after `steps` moves of each particle, the tuning after them, and the mean statistics of the last.

    target: of the particle of a number. Every move leaves its target invariant; between moves the kernel learns from all of
    them together.
    """
    count = jax.tree.leaves(states)[0].shape[0]

    def once(turn: Array, now: tuple[Any, Tuned, Info]) -> tuple[Any, Tuned, Info]:
        states, tuned, _ = now

        def one(state: Any, number: Array) -> tuple[Any, Info]:
            return kernel.step(target(number), tuned.tune, state, fold(key, number, turn))

        states, infos = jax.vmap(one)(states, jnp.arange(count))
        mean = jax.tree.map(lambda leaf: jnp.mean(leaf.astype(jnp.result_type(float))), infos)
        return states, _adapted(kernel, tuned, states, infos, mean), mean

    shapes = jax.eval_shape(once, jnp.int32(0), (states, tuned, {}))[2]
    nothing = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)
    return jax.lax.fori_loop(0, steps, once, (states, tuned, nothing))


def _adapted(kernel: Kernel, tuned: Tuned, states: Any, infos: Info, mean: Info) -> Tuned:
    """The kernel's rule, without its windows; of a kernel of single chains it sees the mean of all of them."""
    moves = tuned.moves + 1
    false = jnp.bool_(False)
    phase = Phase(jnp.bool_(True), false, false, false, jnp.minimum(1.0, moves / LEARNING))
    if kernel.scope == "ensemble":
        tune, memory = kernel.adapt(phase, tuned.tune, tuned.memory, states, infos)
    else:
        first = jax.tree.map(lambda leaf: leaf[0], states)
        tune, memory = kernel.adapt(phase, tuned.tune, tuned.memory, first, mean)
    same = jax.tree.map(lambda new, old: jnp.asarray(new, jnp.asarray(old).dtype), (tune, memory), tuned[:2])
    return Tuned(same[0], same[1], moves)
