"""Maximum likelihood of the parameters of a normalised model."""

from __future__ import annotations

from dataclasses import dataclass

import jax.numpy as jnp

from energylang.model import Batch, Metrics, Player, PRNGKey, Scalar, Trainable


@dataclass(frozen=True)
class Mle:
    """Maximum likelihood: the mean energy of the batch, which is the mean negative log likelihood in nats a row.

    Right only where the energy is normalised whatever its parameters; the catalog refuses it elsewhere.
    """

    @property
    def players(self) -> tuple[Player, ...]:
        return (Player("model"),)

    def init(self, model: Trainable, key: PRNGKey) -> tuple[()]:
        return ()

    def loss(
        self, player: Player, model: Trainable, memory: tuple[()], batch: Batch, key: PRNGKey
    ) -> tuple[Scalar, tuple[tuple[()], Metrics]]:
        loss = jnp.mean(model.rows(batch))
        return loss, (memory, {"negative_log_likelihood": loss})
