"""Fields: what couplings do to every site, kept for all sites while some of them move.

Couplings of pairs of sites of one cardinality that data alone fix are together, as a function of the codes,

    sum_i h_i . phi(x_i) + 1/2 sum_ij M_ij phi(x_i) . phi(x_j),

phi the spin -1 or 1 of two values, else the indicator of each value (of such sites only where `lower.pairwise` finds that
a pair agrees or does not). The change of a site is linear in its field h_i + sum_j M_ij phi(x_j). Where sites have many
neighbours these are not gathered for each site: all fields follow each move by a product with the rows of M of the sites
that moved, which is contiguous, and one matrix product for all lanes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from energylang.ir.nodes import Expr, Symbol, Variable
from energylang.lower.couplings import Coupled, candidates, coupled
from energylang.lower.evaluate import evaluate
from energylang.lower.factors import product
from energylang.lower.operations import NUMPY
from energylang.lower.spaces import CodeSlot
from energylang.lower.structure import Structured

Tables = Mapping[str, Array]


@dataclass(frozen=True, eq=False)
class Part:
    """The couplings in one code array that have the same factors before them: those that data do not fix."""

    group: int
    cardinality: int
    scale: tuple[Expr, ...]


@dataclass(frozen=True, eq=False)
class Fields:
    """What is static about fields. Tables: `own_table` h, float[d, D], and `matrix_table` M, float[D + m, D], its rows in the order
    of ranks (`lower.neighbours`), then m rows of zeros, as many as the largest colour has sites.

    covered: the numbers of the summands whose changes are known from fields. sites: how many sites have one.
    """

    parts: tuple[Part, ...]
    covered: frozenset[int]
    sites: int

    def at(self, codes: Sequence[Array], orders: Sequence[Array], tables: Tables) -> tuple[Array, ...]:
        """float[d, D] of each part: the fields of all sites. orders: of each code array its sites in the order of ranks."""
        return tuple(
            tables[own_table(number)] + _product(self._all(number, codes, orders, tables), tables[matrix_table(number)])
            for number in range(len(self.parts))
        )

    def after(
        self, fields: Sequence[Array], group: int, ranks: Any, inside: Array, now: Array, values: Array, tables: Tables
    ) -> tuple[Array, ...]:
        """The fields once sites of one colour, now int32[m], take the values int32[m]; those not `inside` are none."""
        found = list(fields)
        for number, part in enumerate(self.parts):
            if part.group == group:
                matrix = tables[matrix_table(number)]
                step = _features(part.cardinality, values) - _features(part.cardinality, now)
                # Ranks of a colour are consecutive, but for those past its end.
                rows = (
                    matrix[ranks] if isinstance(ranks, slice) else lax.dynamic_slice_in_dim(matrix, ranks[0], len(now))
                )
                found[number] = found[number] + _product(jnp.where(inside, step, 0.0), rows)
        return tuple(found)

    def changes(
        self, fields: Sequence[Array] | None, group: int, now: Array, sites: Array, ranks: Any, codes: Sequence[Array],
        environment: Mapping[Symbol, Any], dims: Mapping[str, int], tables: Tables,
    ) -> list[Callable[[Array], Array]]:  # fmt: skip
        """By part the change of the energy, as a function of new values of some sites of a code array, int32[m].

        fields: None where they are not known; then they are computed, of these sites alone.
        """
        found = []
        for number, part in enumerate(self.parts):
            if part.group != group:
                continue
            if fields is not None:
                field = _columns(fields[number], sites)
            else:
                rows = tables[matrix_table(number)][ranks]
                everywhere = _features(part.cardinality, codes[group])
                field = _columns(tables[own_table(number)], sites) + _product(everywhere, rows.T)
            scale = product(evaluate(part.scale, environment, dims))
            found.append(_changer(part.cardinality, scale, field, now))
        return found

    def change_at(
        self, group: int, site: int, rank: int, now: np.ndarray, value: int, environment: Mapping[Symbol, Any],
        dims: Mapping[str, int], tables: Mapping[str, np.ndarray],
    ) -> float:  # fmt: skip
        """The change of the covered summands when one site takes a value, in float64. now: the codes."""
        total = 0.0
        for number, part in enumerate(self.parts):
            if part.group == group:
                everywhere = _phi(part.cardinality, now)
                field = tables[own_table(number)][:, site] + everywhere @ tables[matrix_table(number)][rank]
                step = 1.0 * _phi(part.cardinality, np.asarray([value]))[:, 0] - everywhere[:, site]
                total += float(product(evaluate(part.scale, environment, dims, NUMPY)) * np.sum(step * field))
        return total

    def _all(self, number: int, codes: Sequence[Array], orders: Sequence[Array], tables: Tables) -> Array:
        """float[d, D + m]: phi of all sites, as many as the matrix has rows."""
        part = self.parts[number]
        order = orders[part.group]
        padding = tables[matrix_table(number)].shape[0] - order.shape[0]
        return jnp.pad(_features(part.cardinality, codes[part.group][order]), ((0, 0), (0, padding)))


NO_FIELDS = Fields((), frozenset(), 0)


def _changer(cardinality: int, scale: Any, field: Array, now: Array) -> Callable[[Array], Array]:
    before = _features(cardinality, now)
    return lambda value: scale * jnp.sum((_features(cardinality, value) - before) * field, axis=0)


def _phi(cardinality: int, codes: Any) -> Any:
    return 2 * codes[None] - 1 if cardinality == 2 else codes == np.arange(cardinality)[:, None]


def _features(cardinality: int, codes: Array) -> Array:
    """phi, float[d, m]."""
    return _phi(cardinality, codes).astype(jnp.result_type(float))


def _columns(array: Array, sites: Array) -> Array:
    inside = jnp.minimum(sites, array.shape[1] - 1)
    return array.at[:, inside].get(mode="promise_in_bounds", wrap_negative_indices=False)


def _product(left: Array, right: Array) -> Array:
    # Accelerators would else round what they multiply to a few digits.
    return jnp.matmul(left, right, precision=lax.Precision.HIGHEST)


def own_table(number: int) -> str:
    return f"field/{number}/own"


def matrix_table(number: int) -> str:
    return f"field/{number}/matrix"


def fields_of(
    structured: Sequence[Structured], slots: Mapping[Variable, CodeSlot], cardinalities: tuple[int, ...],
    ranks: Sequence[np.ndarray], starts: Sequence[tuple[int, ...]], environment: Mapping[Symbol, Any],
    dims: Mapping[str, int],
) -> tuple[Fields, dict[str, np.ndarray]]:  # fmt: skip
    """The fields and their tables: without parts where no couplings are worth it, or none have this form.

    ranks: int[D] of the sites of each code array. starts: the rank at which each colour begins. environment: values of data.
    """
    sizes = [len(rank) for rank in ranks]
    colours = [len(set(start)) - 1 for start in starts]
    wanted = candidates(structured, slots, sizes, colours)
    found = coupled(structured, wanted, slots, cardinalities, sizes, environment, dims) if wanted else {}
    together: dict[tuple[int, ...], Coupled] = {}
    for number, one in found.items():
        key = (wanted[number], *map(id, one.scale))
        other = together.get(key)
        together[key] = one if other is None else Coupled(one.scale, one.own + other.own, one.matrix + other.matrix)
    tables: dict[str, np.ndarray] = {}
    for number, ((group, *_), one) in enumerate(together.items()):
        order = np.argsort(ranks[group])
        padding = int(np.diff(starts[group]).max())
        tables[own_table(number)] = one.own.T
        tables[matrix_table(number)] = np.pad(one.matrix[order], ((0, padding), (0, 0)))
    parts = tuple(Part(key[0], cardinalities[key[0]], one.scale) for key, one in together.items())
    sites = sum(sizes[group] for group in {part.group for part in parts})
    return Fields(parts, frozenset(found), sites), tables
