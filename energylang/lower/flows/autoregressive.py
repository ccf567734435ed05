"""Autoregressive layers: each entry moved by numbers that a masked net makes of the entries before it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from energylang.catalog import LayerCall
from energylang.lower.flows import nets, transformers
from energylang.lower.flows.bijection import Leaf, Moved, Params, Place
from energylang.model import PRNGKey

Map = Callable[[Array, Array], tuple[Array, Array]]


class Autoregressive:
    """Entry i moved by numbers made of entries before i, then all turned round, so that the next layer reads the other way.

    fast = density: what is read lies on the data's side, so that densities are one pass and draws one pass an entry
    (Papamakarios et al. 2017, arXiv:1705.07057); fast = draw: on the base's side, the other way round (Kingma et al. 2016,
    arXiv:1606.04934). Masks as in Germain et al. 2015, arXiv:1502.03509, eq. 8 and 9, the degrees of hidden units in turn.
    """

    tables: Mapping[str, np.ndarray] = {}

    def __init__(self, place: Place, transformer: LayerCall, hidden: tuple[int, ...], act: str, fast: str) -> None:
        self.entries, self.act, self.fast = place.entries, act, fast
        self.map = transformers.made(transformer)
        self.masks = masks(place.entries, place.conditions, hidden, self.map.size)
        inputs = place.entries + place.conditions
        self.leaves: Mapping[str, Leaf] = nets.leaves(inputs, hidden, place.entries * self.map.size, act, self.masks)

    def _numbers(self, params: Params, read: Array, conditions: Array | None) -> Array:
        raw = nets.value(params, nets.beside(read, conditions), self.act, self.masks)
        return raw.reshape(self.entries, self.map.size, raw.shape[-1])

    def _at_once(self, move: Map, params: Params, value: Array, conditions: Array | None) -> Moved:
        moved, log_slopes = move(value, self._numbers(params, value, conditions))
        return Moved(moved, jnp.sum(log_slopes, axis=0))

    def _in_turn(self, move: Map, params: Params, value: Array, conditions: Array | None) -> Moved:
        """Entry i is final after i + 1 passes: each makes the numbers of what the last one found."""

        def again(_: Array, found: tuple[Array, Array]) -> tuple[Array, Array]:
            return move(value, self._numbers(params, found[0], conditions))

        start = (jnp.zeros_like(value), jnp.zeros_like(value))
        moved, log_slopes = jax.lax.fori_loop(0, self.entries, again, start)
        return Moved(moved, jnp.sum(log_slopes, axis=0))

    def forward(self, params: Params, z: Array, conditions: Array | None, key: PRNGKey | None) -> Moved:
        run = self._in_turn if self.fast == "density" else self._at_once
        moved = run(self.map.outward, params, z, conditions)
        return moved._replace(value=moved.value[::-1])

    def inverse(self, params: Params, x: Array, conditions: Array | None, key: PRNGKey | None) -> Moved:
        run = self._at_once if self.fast == "density" else self._in_turn
        return run(self.map.inward, params, x[::-1], conditions)


def masks(entries: int, conditions: int, hidden: tuple[int, ...], size: int) -> list[np.ndarray]:
    """float32[from, to] for each layer of the net: 1 where a number may be read. Conditions are read by all."""
    read = np.concatenate([np.arange(1, entries + 1), np.zeros(conditions, int)])
    found = []
    for width in hidden:
        # Units of degree 0 read conditions alone, and serve the first entry.
        degrees = np.arange(width) % max(entries - 1, 1) + 1 if not conditions else np.arange(width) % entries
        found.append((degrees[None, :] >= read[:, None]).astype(np.float32))
        read = degrees
    outputs = np.repeat(np.arange(1, entries + 1), size)
    found.append((outputs[None, :] > read[:, None]).astype(np.float32))
    return found
