"""Layers that mix entries linearly: an order, a matrix."""

from __future__ import annotations

from collections.abc import Mapping

import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.scipy.linalg import solve_triangular

from energylang.lower.flows.bijection import Leaf, Moved, Params, Place
from energylang.model import PRNGKey


class Permute:
    """The entries in another order: random by the seed of its place, or turned round."""

    leaves: Mapping[str, Leaf] = {}

    def __init__(self, place: Place, order: str) -> None:
        count = place.entries
        found = np.random.default_rng(place.seed).permutation(count)
        if order == "reverse" or np.array_equal(found, np.arange(count)):
            found = np.arange(count)[::-1]
        self.tables: Mapping[str, np.ndarray] = {
            "order": found.astype(np.int32),
            "back": np.argsort(found).astype(np.int32),
        }

    def forward(self, params: Params, z: Array, conditions: Array | None, key: PRNGKey | None) -> Moved:
        return Moved(z[params["order"]], jnp.zeros(z.shape[-1], z.dtype))

    def inverse(self, params: Params, x: Array, conditions: Array | None, key: PRNGKey | None) -> Moved:
        return Moved(x[params["back"]], jnp.zeros(x.shape[-1], x.dtype))


class Linear:
    """z = L U x with L unit lower triangular and U upper triangular of diagonal exp(log_diagonal), the identity at first.

    The matrix is that of the way to the base, so that training multiplies and only draws solve
    (Kingma and Dhariwal 2018, arXiv:1807.03039, eq. 10).
    """

    tables: Mapping[str, np.ndarray] = {}

    def __init__(self, place: Place) -> None:
        count = place.entries
        below = count * (count - 1) // 2
        self.count = count
        self.leaves: Mapping[str, Leaf] = {
            "lower": Leaf((below,)), "upper": Leaf((below,)), "log_diagonal": Leaf((count,))
        }  # fmt: skip

    def _factors(self, params: Params) -> tuple[Array, Array]:
        rows, columns = np.tril_indices(self.count, -1)
        one = jnp.eye(self.count, dtype=params["lower"].dtype)
        upper = jnp.diag(jnp.exp(params["log_diagonal"]))
        return one.at[rows, columns].set(params["lower"]), upper.at[columns, rows].set(params["upper"])

    def forward(self, params: Params, z: Array, conditions: Array | None, key: PRNGKey | None) -> Moved:
        lower, upper = self._factors(params)
        inner = solve_triangular(lower, z, lower=True, unit_diagonal=True)
        x = solve_triangular(upper, inner, lower=False)
        return Moved(x, jnp.broadcast_to(-jnp.sum(params["log_diagonal"]), z.shape[-1:]))

    def inverse(self, params: Params, x: Array, conditions: Array | None, key: PRNGKey | None) -> Moved:
        lower, upper = self._factors(params)
        return Moved(lower @ (upper @ x), jnp.broadcast_to(jnp.sum(params["log_diagonal"]), x.shape[-1:]))
