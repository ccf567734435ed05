"""Forward filtering, backward sampling: exact joint draws along chains and trees."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import jax.numpy as jnp

from energylang.methods._uncached import Uncached, UncachedState
from energylang.model import Forested, Info, PRNGKey, Target


@dataclass(frozen=True)
class ForwardBackward(Uncached):
    """Draws groups of discrete sites, each jointly from its law given the rest (Carter and Kohn 1994; Scott 2002).

    The compiler finds groups that are forests of couplings in pairs given all other sites, and sums along each (forward
    filtering) before it draws it (backward sampling). Where all sites are one forest, as in a hidden Markov model or a mixture,
    a step is an independent exact draw of them given the other variables. Otherwise a step draws one group after another:
    the chains of a factorial hidden Markov model, every other row of a lattice, induced forests of a graph (Hamze and de
    Freitas 2004).

    Info: acceptance_rate (always one).
    """

    def step(self, target: Target, tune: tuple[()], state: UncachedState, key: PRNGKey) -> tuple[UncachedState, Info]:
        forested = cast(Forested, target)
        x, tables = state.x, forested.tree_tables(state.x)
        for kind, _ in enumerate(forested.trees()):
            x, tables = forested.redrawn(x, kind, None, tables, key)
        return UncachedState(x), {"acceptance_rate": jnp.ones(())}

    def tuning(self, target: Target) -> tuple[tuple[()], tuple[()]]:
        cast(Forested, target).trees()
        return (), ()
