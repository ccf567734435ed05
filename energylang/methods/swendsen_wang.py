"""Swendsen-Wang: clusters of sites that agree, each given a new value as a whole."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import cast

import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from energylang.lower.inversion import invert_logits
from energylang.methods._uncached import Uncached, UncachedState
from energylang.model import Info, Pairwise, Point, PRNGKey, Target
from energylang.threefry import uniforms


@dataclass(frozen=True)
class SwendsenWang(Uncached):
    """Swendsen and Wang (1987), with fields and any positive couplings (Edwards and Sokal 1988).

    A step draws bonds given the sites, then the sites given the bonds. A pair that agrees is bound with probability
    1 - exp(-J); what is bound together is a cluster. Given the bonds the clusters are independent, and the law of a
    cluster's value is softmax of minus the sum of its sites' own energies: it is drawn exactly, so that fields need
    neither a ghost site nor a rejection. Of sites of two values a cluster is left or exchanged as a whole, and a pair with J
    below zero is bound where it differs: antiferromagnets on bipartite graphs are ferromagnets in other words.

    Info: acceptance_rate (always one), clusters (how many).
    """

    def step(self, target: Target, tune: tuple[()], state: UncachedState, key: PRNGKey) -> tuple[UncachedState, Info]:
        target = cast(Pairwise, target)
        facts, pairs, x = target.facts, target.pairs(), state.x
        code = jnp.concatenate(x.code)
        strength, field = target.couplings(x)
        for_bonds, for_clusters = jnp.split(uniforms(key, len(pairs) + facts.discrete), [len(pairs)])
        bound = self._bound(strength, code[pairs[:, 0]] == code[pairs[:, 1]], for_bonds)
        label = components(facts.discrete, pairs, bound)
        parts = []
        for cardinality, (start, end) in zip(facts.cardinalities, pairwise([0, *accumulate(facts.sites)]), strict=True):
            # A label is a site of the cluster, so of the same code array.
            own = slice(start, end)
            energies = None if field is None else field[own, :cardinality]
            parts.append(_valued(cardinality, code[own], label[own] - start, energies, for_clusters[own]))
        number = jnp.sum(label == jnp.arange(facts.discrete)).astype(jnp.int32)
        info = {"acceptance_rate": jnp.ones(()), "clusters": number}
        return UncachedState(Point(x.real, tuple(parts))), info

    def _bound(self, strength: Array, agree: Array, uniform: Array) -> Array:
        """bool[E]: which pairs are bound."""
        return (agree == (strength >= 0)) & (uniform < -jnp.expm1(-jnp.abs(strength)))

    def tuning(self, target: Target) -> tuple[tuple[()], tuple[()]]:
        cast(Pairwise, target).pairs()
        return (), ()


def _valued(cardinality: int, code: Array, label: Array, energies: Array | None, uniform: Array) -> Array:
    """int32[D_k]: the sites with their clusters' new values. label: the cluster of each, a site. energies: float[D_k, k]."""
    count = code.shape[0]
    if cardinality == 2:
        # Exchanged or not: relative to what each site has now.
        if energies is None:
            turned = uniform < 0.5
        else:
            now, other = (jnp.take_along_axis(energies, c[:, None], axis=1)[:, 0] for c in (code, 1 - code))
            change = jnp.zeros(count, energies.dtype).at[label].add(other - now)
            turned = uniform * (1.0 + jnp.exp(change)) < 1.0
        return jnp.where(turned[label], 1 - code, code)
    total = jnp.zeros((count, cardinality)) if energies is None else jnp.zeros_like(energies).at[label].add(energies)
    return invert_logits(-total, uniform)[label].astype(code.dtype)


def components(count: int, pairs: np.ndarray, bound: Array) -> Array:
    """int32[count]: for each of `count` sites the least site that it is connected with by pairs that are bound, bool[E].

    Each site points to one of its component, at first to itself. Where the ends of a bound pair point to different sites,
    the larger of these and the end that points there turn to the smaller; then every site points where its site does
    (Shiloach and Vishkin 1982). Pointers only fall, so the loop ends, and it ends only where bound pairs agree and every
    pointer points to one that points to itself: some log(count) rounds.
    """
    first, second = pairs[:, 0], pairs[:, 1]

    def at(array: Array, places: Array | np.ndarray) -> Array:
        return array.at[places].get(mode="promise_in_bounds", wrap_negative_indices=False)

    def round_(carry: tuple[Array, Array]) -> tuple[Array, Array]:
        label, _ = carry
        a, b = at(label, first), at(label, second)
        least = jnp.where(bound, jnp.minimum(a, b), count)
        found = label.at[a].min(least, mode="promise_in_bounds").at[b].min(least, mode="promise_in_bounds")
        found = at(found, found)
        found = at(found, found)
        return found, jnp.any(found != label)

    start = (jnp.arange(count, dtype=jnp.int32), jnp.asarray(len(pairs) > 0))
    return lax.while_loop(lambda carry: carry[1], round_, start)[0]
