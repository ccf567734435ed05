"""Pseudo-likelihood of discrete variables: each site given all others."""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp

from energylang.diagnostics import Diagnostic, DiagnosticError
from energylang.model import Batch, Metrics, Player, PRNGKey, Scalar, Trainable


@dataclass(frozen=True)
class PseudoLikelihood:
    """Pseudo-likelihood (Besag 1975): minus the sum over sites of log p(x_i | all others), averaged over the batch.

    log p(x_i | others) = -log sum_v exp(gain of x_i := v), by exact gains (E0857 where they are estimates), so that no
    normaliser and no chain is needed. The estimate is consistent, and for models that interact strongly less efficient than
    maximum likelihood.
    """

    @property
    def players(self) -> tuple[Player, ...]:
        return (Player("model"),)

    def init(self, model: Trainable, key: PRNGKey) -> tuple[()]:
        return ()

    def loss(
        self, player: Player, model: Trainable, memory: tuple[()], batch: Batch, key: PRNGKey
    ) -> tuple[Scalar, tuple[tuple[()], Metrics]]:
        def surprise(row: Batch) -> Scalar:
            target = model.target(model.conditions(row))
            if target.facts.gains != "exact":
                raise DiagnosticError(
                    [
                        Diagnostic(
                            "E0857", "the conditionals of single sites are not known exactly for this energy",
                            cause="its changes are estimates from a gradient (`energylang explain` says of which term)",
                            fix="learn it by particles, `with pcd(sampler = gwg())`",
                        )
                    ]
                )  # fmt: skip
            return sum(
                (jax.nn.logsumexp(gains, axis=1).sum() for gains in target.gains(model.point(row))), jnp.zeros(())
            )

        loss = jnp.mean(jax.vmap(surprise)(dict(batch)))
        return loss, (memory, {"pseudo_log_likelihood": -loss})
