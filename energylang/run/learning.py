"""One step of training: every player whose turn it is moves its params, and what is not finite is taken back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from energylang.methods import _optax
from energylang.model import Batch, Objective, Params, Player, Trainable, fold
from energylang.run import keys
from energylang.run.carry import strong

FAILURES = 10
"""Steps taken back, one upon the other, after which there is no hope: the step is then a thousandth of what was asked."""
RECOVERY = 1000
"""Good steps after which a step that was halved is doubled again."""
RISING = 10
"""How the moving average begins: of t steps so far it keeps (1 + t) / (10 + t) at most."""


class State(NamedTuple):
    """What a step moves. optimizers: the state of each player's, by name. memory: the objective's."""

    params: Params
    optimizers: dict[str, Any]
    memory: Any


class Carry(NamedTuple):
    """Between steps.

    now: where the next loss is computed; good: where the last one was that was finite. average: the moving average of the
    params, empty without one. scale: the part of a step that is taken. failed: steps taken back since two in a row were
    good; lasted: good ones since; rollbacks: all that were taken back.
    """

    now: State
    good: State
    average: Params
    scale: Array
    failed: Array
    lasted: Array
    rollbacks: Array


class Learning:
    """The rule of a step. optimizer: an optax GradientTransformation; average: how much the moving average keeps."""

    def __init__(self, objective: Objective, optimizer: Any, average: float | None, buffers: tuple[str, ...]) -> None:
        self.objective, self.optimizer, self.average, self.buffers = objective, optimizer, average, buffers

    def _owned(self, player: Player, params: Params) -> Params:
        return {name: params[name] for name in player.owns or params if name not in self.buffers}

    def start(self, model: Trainable, batch: Batch, root: Array) -> Carry:
        """The carry before the first step."""
        key = keys.root_key(root)
        model = model.begun(batch, fold(key, keys.BEGIN))
        params = model.params
        optimizers = {
            player.name: self.optimizer.init(self._owned(player, params)) for player in self.objective.players
        }
        state = State(params, optimizers, self.objective.init(model, fold(key, keys.START)))
        none = jnp.int32(0)
        return strong(Carry(state, state, params if self.average else {}, jnp.float32(1), none, none, none))

    def step(
        self, model: Trainable, batch: Batch, root: Array, at: Array, carry: Carry
    ) -> tuple[Carry, dict[str, Array]]:
        """The absolute step `at`, and the row of the trace."""
        state, row, good = carry.now, {}, jnp.bool_(True)
        for number, player in enumerate(self.objective.players):

            def move(state: State, player: Player = player, number: int = number) -> Any:
                return self._moved(
                    model, batch, fold(keys.root_key(root), keys.LOSS, number, at), player, number, state, carry.scale
                )

            moved = move(state) if player.every == 1 else _sometimes(at % player.every == 0, move, state)
            state, said, fine = moved
            row |= said
            good &= fine
        return self._judged(carry, state, good, at), row | {"rolled_back": 1 - good.astype(jnp.float32)}

    def _moved(
        self, model: Trainable, batch: Batch, key: Array, player: Player, number: int, state: State, scale: Array
    ) -> tuple[State, dict[str, Array], Array]:
        """After the step of a player, its part of the trace, and whether its loss and gradient are finite."""

        def loss(owned: Params) -> tuple[Array, tuple[Any, Mapping[str, Array]]]:
            moved = model.with_params({**state.params, **owned})
            return self.objective.loss(player, moved, state.memory, batch, key)

        owned = self._owned(player, state.params)
        (value, (memory, metrics)), slope = jax.value_and_grad(loss, has_aux=True)(owned)
        length = _optax.norm(slope)
        change, optimizer = self.optimizer.update(slope, state.optimizers[player.name], owned)
        owned = jax.tree.map(lambda old, by: old + scale.astype(old.dtype) * by, owned, change)
        params = model.with_params({**state.params, **owned}).settled().params
        last = "" if number == 0 else f"_{player.name}"
        said = {"loss": value, "gradient_norm": length, **{name: jnp.mean(values) for name, values in metrics.items()}}
        moved = State(params, {**state.optimizers, player.name: optimizer}, memory)
        trace = {f"{name}{last}": jnp.asarray(values, jnp.float32) for name, values in said.items()}
        return strong(moved), trace, jnp.isfinite(value) & jnp.isfinite(length)

    def _judged(self, carry: Carry, state: State, good: Array, at: Array) -> Carry:
        """A good step is kept; after another the params are again where the last finite loss was, and steps are halved."""

        def choose(yes: Any, no: Any) -> Any:
            return jax.tree.map(lambda a, b: jnp.where(good, a, b), yes, no)

        lasted = jnp.where(good, carry.lasted + 1, 0)
        grown = jnp.where(lasted % RECOVERY == 0, jnp.minimum(2 * carry.scale, 1), carry.scale)
        average = carry.average
        if self.average:
            # Of params whose loss was finite: those of the step before.
            keep = jnp.minimum(self.average, (1 + at) / (RISING + at))
            mean = {
                name: new if name in self.buffers else jax.tree.map(lambda a, b: _mixed(keep, a, b), average[name], new)
                for name, new in carry.now.params.items()
            }
            average = choose(mean, average)
        return strong(
            Carry(
                choose(state, carry.good),
                choose(carry.now, carry.good),
                average,
                jnp.where(good, grown, 0.5 * carry.scale),
                jnp.where(good, jnp.where(lasted >= 2, 0, carry.failed), carry.failed + 1),
                lasted,
                carry.rollbacks + 1 - good.astype(jnp.int32),
            )
        )


def _sometimes(turn: Array, move: Any, state: State) -> Any:
    """A move at some steps; at the others nothing, whose trace is NaN."""
    shape = jax.eval_shape(move, state)[1]

    def rest(state: State) -> Any:
        nothing = {name: jnp.full(leaf.shape, jnp.nan, leaf.dtype) for name, leaf in shape.items()}
        return state, nothing, jnp.bool_(True)

    return jax.lax.cond(turn, move, rest, state)


def _mixed(keep: Array, old: Array, new: Array) -> Array:
    return old + (1 - keep).astype(old.dtype) * (new - old)
