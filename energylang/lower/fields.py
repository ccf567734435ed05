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

from energylang.ir.nodes import Data, Expr, Let, Symbol, Variable, symbols
from energylang.lower.evaluate import evaluate
from energylang.lower.factors import Factors, factors_of, product, tabled
from energylang.lower.operations import NUMPY
from energylang.lower.pairwise import agreement, known_table, multiplied, numbered
from energylang.lower.spaces import CodeSlot
from energylang.lower.structure import Gather, Structured
from energylang.model import UNBOUNDED

MOST_ENTRIES = 2**22
"""Of one matrix: some 2,000 sites."""
MOST_WORK = 2**24
"""Entries of the tables of rows that are computed to find couplings."""
FEW_COLOURS = 8
"""So few colours have many sites each, whose neighbours are as well gathered."""
SPARSE = 24
"""One in so many sites, and more, must be read beside the site with the most neighbours: below that gathering them costs less."""

Tables = Mapping[str, Array]


@dataclass(frozen=True, eq=False)
class Part:
    """The couplings in one code array that have the same factors before them: those that data do not fix."""

    group: int
    cardinality: int
    scale: tuple[Expr, ...]


@dataclass(frozen=True, eq=False)
class Fields:
    """What is static about fields. Tables are in the order of ranks (`lower.neighbours`): `own_table` h, float[d, D], and
    `matrix_table` M, float[D + m, D] with m rows of zeros, as many as the largest colour has sites.

    covered: the numbers of the summands whose changes are known from fields. sites: how many sites have one.
    """

    parts: tuple[Part, ...]
    covered: frozenset[int]
    sites: int

    def at(self, codes: Sequence[Array], orders: Sequence[Array], tables: Tables) -> tuple[Array, ...]:
        """float[d, D] of each part: the fields of all sites. orders: of each code array, its sites in the order of ranks."""
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
        self, fields: Sequence[Array] | None, group: int, now: Array, ranks: Any, codes: Sequence[Array],
        orders: Sequence[Array], environment: Mapping[Symbol, Any], dims: Mapping[str, int], tables: Tables,
    ) -> list[Callable[[Array], Array]]:  # fmt: skip
        """By part the change of the energy, as a function of new values of some sites of a code array, int32[m].

        fields: None where they are not known; then they are computed, of these sites alone.
        """
        found = []
        for number, part in enumerate(self.parts):
            if part.group != group:
                continue
            if fields is not None:
                field = _columns(fields[number], ranks)
            else:
                rows = tables[matrix_table(number)][ranks]
                everywhere = _features(part.cardinality, codes[group][orders[group]])
                field = _columns(tables[own_table(number)], ranks) + _product(everywhere, rows.T)
            scale = product(evaluate(part.scale, environment, dims))
            found.append(_changer(part.cardinality, scale, field, now))
        return found

    def change_at(
        self, group: int, rank: int, now: np.ndarray, value: int, environment: Mapping[Symbol, Any],
        dims: Mapping[str, int], tables: Mapping[str, np.ndarray],
    ) -> float:  # fmt: skip
        """The change of the covered summands when one site takes a value, in float64. now: codes in the order of ranks."""
        total = 0.0
        for number, part in enumerate(self.parts):
            if part.group == group:
                everywhere = _phi(part.cardinality, now)
                field = tables[own_table(number)][:, rank] + everywhere @ tables[matrix_table(number)][rank]
                step = 1.0 * _phi(part.cardinality, np.asarray([value]))[:, 0] - everywhere[:, rank]
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


def _columns(array: Array, ranks: Any) -> Array:
    if isinstance(ranks, slice):
        return array[:, ranks]
    return array.at[:, ranks].get(mode="promise_in_bounds", wrap_negative_indices=False)


def _product(left: Array, right: Array) -> Array:
    # Accelerators would else round what they multiply to a few digits.
    return jnp.matmul(left, right, precision=lax.Precision.HIGHEST)


def own_table(number: int) -> str:
    return f"field/{number}/own"


def matrix_table(number: int) -> str:
    return f"field/{number}/matrix"


# --- finding them -----------------------------------------------------------------------------------------------


@dataclass
class _Building:
    """The tables of one part, as they grow: per site number, in float64."""

    own: np.ndarray
    matrix: np.ndarray


def fields_of(
    structured: Sequence[Structured], slots: Mapping[Variable, CodeSlot], cardinalities: tuple[int, ...],
    ranks: Sequence[np.ndarray], starts: Sequence[tuple[int, ...]], environment: Mapping[Symbol, Any],
    dims: Mapping[str, int],
) -> tuple[Fields, dict[str, np.ndarray]]:  # fmt: skip
    """The fields and their tables: without parts where no couplings are worth it, or none have this form.

    ranks: int[D] of the sites of each code array. starts: the rank at which each colour begins. environment: values of data.
    """
    candidates = _candidates(structured, slots, ranks, starts)
    if not candidates:
        return NO_FIELDS, {}
    known: dict[Symbol, Any] = {s: value for s, value in environment.items() if isinstance(s, Data | Let)}
    finite = [g for g, k in enumerate(cardinalities) if k != UNBOUNDED]
    offsets = dict(zip(finite, np.cumsum([0, *(len(ranks[g]) for g in finite)]).tolist(), strict=False))
    factors = factors_of([structured[number] for number in candidates], numbered(slots, finite), dims)
    parts: dict[tuple[int, ...], Part] = {}
    building: dict[tuple[int, ...], _Building] = {}
    covered = []
    for place, (number, group) in enumerate(candidates.items()):
        k, size = cardinalities[group], len(ranks[group])
        found = _coupled(place, factors, known)
        if found is None:
            continue
        scale, unary, couplings = found
        key = (group, *map(id, scale))
        parts.setdefault(key, Part(group, k, scale))
        width = 1 if k == 2 else k
        into = building.setdefault(key, _Building(np.zeros((size, width)), np.zeros((size, size))))
        for sites, values in unary:
            np.add.at(into.own, sites - offsets[group], _own(values))
        for sites, (coupling, first, second) in couplings:
            low, high = (sites - offsets[group]).T
            strength = np.broadcast_to(-coupling / 2 if k == 2 else -coupling, low.shape)
            np.add.at(into.matrix, (low, high), strength)
            np.add.at(into.matrix, (high, low), strength)
            np.add.at(into.own, low, _own(first))
            np.add.at(into.own, high, _own(second))
        covered.append(number)
    if not covered:
        return NO_FIELDS, {}
    tables: dict[str, np.ndarray] = {}
    for number, (key, into) in enumerate(building.items()):
        group = parts[key].group
        order = np.argsort(ranks[group])
        padding = int(np.diff(starts[group]).max())
        tables[own_table(number)] = into.own[order].T
        tables[matrix_table(number)] = np.pad(into.matrix[order][:, order], ((0, padding), (0, 0)))
    sites = sum(len(ranks[group]) for group in {part.group for part in parts.values()})
    return Fields(tuple(parts.values()), frozenset(covered), sites), tables


def _candidates(
    structured: Sequence[Structured], slots: Mapping[Variable, CodeSlot], ranks: Sequence[np.ndarray],
    starts: Sequence[tuple[int, ...]],
) -> dict[int, int]:  # fmt: skip
    """The code array of each summand that may be worth a matrix, by number."""
    found: dict[int, int] = {}
    readings: dict[int, int] = {}
    for number, summand in enumerate(structured):
        if not isinstance(summand, Gather) or len(summand.columns) < 2 or not tabled(summand, slots):
            continue
        groups = {slots[c.variable].group for c in summand.columns}
        k = max(slots[v].cardinality for v in summand.variables)
        if len(groups) == 1 and k > 1 and k ** len(summand.columns) * summand.columns[0].sites.size <= MOST_WORK:
            (group,) = groups
            found[number] = group
            for column in summand.columns:
                read = column.sites[column.sites >= 0]
                readings[group] = readings.get(group, 0) + int(np.bincount(read, minlength=1).max())
    return {
        number: group
        for number, group in found.items()
        if len(ranks[group]) ** 2 <= MOST_ENTRIES
        and len(set(starts[group])) - 1 > FEW_COLOURS
        and SPARSE * readings[group] >= len(ranks[group])
    }


Coupling = tuple[np.ndarray, tuple[np.ndarray, np.ndarray, np.ndarray]]


def _coupled(
    number: int, factors: Factors, known: Mapping[Symbol, Any]
) -> tuple[tuple[Expr, ...], list[tuple[np.ndarray, np.ndarray]], list[Coupling]] | None:
    """(factors that data do not fix, energies [k, rows] of single sites, couplings of pairs); None in another form."""
    summand = factors.structured[number]
    assert isinstance(summand, Gather)
    own, every = multiplied(number, summand, factors)
    scale = tuple(e for e in every if not all(s in known or s in own for s in symbols(e)))
    if any(e.type.shape or any(s in own for s in symbols(e)) for e in scale):
        return None
    core = [e for e in every if e not in scale]

    unary, couplings = [], []
    for factor in (*factors.unary, *factors.coupling):
        if factor.summand != number or len(factor.cardinalities) == 0:
            continue
        table = known_table(core, own, summand, factor, factors, known)
        if not np.isfinite(table).all() or len(factor.cardinalities) > 2:
            return None
        if len(factor.cardinalities) == 1:
            unary.append((factor.sites[:, 0], table))
            continue
        found = agreement(table, max(factor.cardinalities))
        if found is None:
            return None
        couplings.append((factor.sites, found))
    return (scale, unary, couplings) if couplings else None


def _own(values: np.ndarray) -> np.ndarray:
    """float[rows, d]: what energies of single values, float[k, rows], add to h."""
    return ((values[1:] - values[:1]) / 2 if len(values) == 2 else values).T
