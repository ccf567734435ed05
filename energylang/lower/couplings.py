"""Couplings of pairs of sites that data alone fix, as a matrix: what `lower.fields` is made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from energylang.ir.nodes import Data, Expr, Let, Symbol, Variable, symbols
from energylang.lower.factors import Factors, factors_of, tabled
from energylang.lower.hessians import derivatives
from energylang.lower.pairwise import agreement, known_table, multiplied, numbered
from energylang.lower.spaces import CodeSlot
from energylang.lower.structure import Gather, Quadratic, Structured
from energylang.model import UNBOUNDED

MOST_ENTRIES = 2**22
"""Of one matrix: some 2,000 sites."""
MOST_WORK = 2**24
"""Entries of the tables of rows that are computed to find couplings."""
FEW_COLOURS = 8
"""So few colours have many sites each, whose neighbours are as well gathered."""
SPARSE = 20
"""One in so many sites, and more, must be read beside the site with the most neighbours: below that gathering them costs less."""


class Coupled(NamedTuple):
    """One summand as scale * (sum_i own_i . phi(x_i) + 1/2 sum_ij matrix_ij phi(x_i) . phi(x_j)) + constant, see `lower.fields`.

    scale: the factors that data do not fix. own: float64[D, d] of the sites of a code array. matrix: float64[D, D].
    """

    scale: tuple[Expr, ...]
    own: np.ndarray
    matrix: np.ndarray


def candidates(
    structured: Sequence[Structured], slots: Mapping[Variable, CodeSlot], sizes: Sequence[int], colours: Sequence[int]
) -> dict[int, int]:
    """By number the code array of each summand that is worth a matrix. sizes, colours: how many a code array has."""
    found: dict[int, int] = {}
    read = [0] * len(sizes)
    for number, summand in enumerate(structured):
        groups = {slots[v].group for v in summand.variables}
        k = max((slots[v].cardinality for v in summand.variables), default=1)
        if len(groups) != 1 or k == 1:
            continue
        (group,) = groups
        if isinstance(summand, Quadratic) and k == 2:
            found[number] = group
            read[group] += sizes[group]
        elif isinstance(summand, Gather) and len(summand.columns) > 1 and _few(summand, slots, k):
            found[number] = group
            read[group] += sum(int(np.bincount(c.sites[c.sites >= 0], minlength=1).max()) for c in summand.columns)

    def worth(group: int) -> bool:
        size = sizes[group]
        return size**2 <= MOST_ENTRIES and colours[group] > FEW_COLOURS and SPARSE * read[group] >= size

    return {number: group for number, group in found.items() if worth(group)}


def _few(summand: Gather, slots: Mapping[Variable, CodeSlot], k: int) -> bool:
    return tabled(summand, slots) and k ** len(summand.columns) * summand.columns[0].sites.size <= MOST_WORK


def coupled(
    structured: Sequence[Structured], wanted: Mapping[int, int], slots: Mapping[Variable, CodeSlot],
    cardinalities: tuple[int, ...], sizes: Sequence[int], environment: Mapping[Symbol, Any], dims: Mapping[str, int],
) -> dict[int, Coupled]:  # fmt: skip
    """Those of the wanted summands (number: code array) that have the form, by number. environment: values of data."""
    known: dict[Symbol, Any] = {s: value for s, value in environment.items() if isinstance(s, Data | Let)}
    finite = [g for g, k in enumerate(cardinalities) if k != UNBOUNDED]
    offsets = dict(zip(finite, np.cumsum([0, *(sizes[g] for g in finite)]).tolist(), strict=False))
    gathers = {number: s for number, s in enumerate(structured) if number in wanted and isinstance(s, Gather)}
    factors = factors_of(list(gathers.values()), numbered(slots, finite), dims) if gathers else None
    places = {number: place for place, number in enumerate(gathers)}
    found: dict[int, Coupled] = {}
    for number, group in wanted.items():
        summand = structured[number]
        one: Coupled | None = None
        if isinstance(summand, Quadratic):
            one = _of_quadratic(summand, slots, group, sizes[group], known, dims)
        elif factors is not None:
            one = _of_rows(places[number], factors, cardinalities[group], offsets[group], sizes[group], known)
        if one is not None:
            found[number] = one
    return found


def _apart(every: Sequence[Expr], known: Mapping[Symbol, Any], own: Any) -> tuple[tuple[Expr, ...], list[Expr]] | None:
    """Of the factors of a product those that data do not fix, and the rest; None where one of the former is no scalar,
    or mentions what is `own`."""
    scale = tuple(e for e in every if not all(s in known or s in own for s in symbols(e)))
    if any(e.type.shape or any(s in own for s in symbols(e)) for e in scale):
        return None
    return scale, [e for e in every if not any(e is other for other in scale)]


def _of_rows(
    place: int, factors: Factors, k: int, offset: int, size: int, known: Mapping[Symbol, Any]
) -> Coupled | None:  # fmt: skip
    summand = factors.structured[place]
    assert isinstance(summand, Gather)
    own, every = multiplied(place, summand, factors)
    parts = _apart(every, known, own)
    if parts is None:
        return None
    scale, core = parts
    alone, matrix = np.zeros((size, 1 if k == 2 else k)), np.zeros((size, size))
    for factor in (*factors.unary, *factors.coupling):
        if factor.summand != place or len(factor.cardinalities) == 0:
            continue
        table = known_table(core, own, summand, factor, factors, known)
        if not np.isfinite(table).all() or len(factor.cardinalities) > 2:
            return None
        first = factor.sites[:, 0] - offset
        if len(factor.cardinalities) == 1:
            np.add.at(alone, first, _own(table))
            continue
        form = agreement(table, k)
        if form is None:
            return None
        second = factor.sites[:, 1] - offset
        strength = np.broadcast_to(-form[0] / 2 if k == 2 else -form[0], first.shape)
        np.add.at(matrix, (first, second), strength)
        np.add.at(matrix, (second, first), strength)
        np.add.at(alone, first, _own(form[1]))
        np.add.at(alone, second, _own(form[2]))
    return Coupled(scale, alone, matrix)


def _own(values: np.ndarray) -> np.ndarray:
    """float[rows, d]: what energies of single values, float[k, rows], add to h."""
    return ((values[1:] - values[:1]) / 2 if len(values) == 2 else values).T


def _of_quadratic(
    summand: Quadratic, slots: Mapping[Variable, CodeSlot], group: int, size: int, known: Mapping[Symbol, Any],
    dims: Mapping[str, int],
) -> Coupled | None:  # fmt: skip
    """Of sites of two values: they are the middle of both plus half their difference times phi."""
    parts = _apart([*summand.summand.scale, summand.summand.rows], known, summand.variables)
    if parts is None:
        return None
    scale, core = parts
    mine = [(v, slot) for v, slot in slots.items() if v in summand.variables and slot.group == group]
    sites = np.concatenate([slot.start + np.arange(slot.size) for _, slot in mine])
    half = np.concatenate([np.full(slot.size, (slot.decode(1) - slot.decode(0)) / 2) for _, slot in mine])
    middle = {v: np.full(slot.shape, (slot.decode(0) + slot.decode(1)) / 2) for v, slot in mine}
    used = {s: known[s] for s in symbols(*core) if s in known}
    gradient, second = derivatives(core, [v for v, _ in mine], middle, used, dims)
    own, matrix = np.zeros((size, 1)), np.zeros((size, size))
    own[sites, 0] = half * gradient
    # A square of phi is one, whatever the site: the diagonal changes nothing.
    matrix[np.ix_(sites, sites)] = half[:, None] * second * half * (1 - np.eye(len(sites)))
    return Coupled(scale, own, matrix) if np.isfinite(matrix).all() and np.isfinite(own).all() else None
