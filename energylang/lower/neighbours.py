"""Gains of some sites alone: only the rows that read those sites are computed.

For each column of each summand, tables say which rows read a site through it, and which sites the other columns read in
those rows. Sites are ranked by colour, so that what is known of one colour is a slice of every table.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from energylang.ir.nodes import Symbol, Variable
from energylang.lower.fields import Fields, fields_of
from energylang.lower.gains import scaled
from energylang.lower.pointwise import Pointwise, pointwise
from energylang.lower.spaces import CodeSlot
from energylang.lower.structure import Gather, Opaque, Quadratic, Structured, Sums
from energylang.lower.sums import gathers, mover, part_key
from energylang.lower.sums import values as sum_values
from energylang.model import UNBOUNDED

MOST_ENTRIES = 2**24
"""Entries of all tables together, beyond which gains are computed all at once only."""
SPARSEST = 0.25
"""The least share of the tables' entries that is not padding."""

Tables = Mapping[str, Array]


class Carried(NamedTuple):
    """What is kept while site after site moves. totals: float[S], what the sums over sites are. fields: of `Fields.at`."""

    totals: Array
    fields: tuple[Array, ...]


@dataclass(frozen=True, eq=False)
class Neighbours:
    """What is static about the rows around each site.

    forms: every gather that is read from rows, those of sums too, by the keys of their tables. direct: the keys of those
    that are summands. sums: the functions of sums, by their numbers in the program. fields: of couplings that are not read
    from rows. depths: the most rows that read one site through a column, by key and column. starts: per code array, the
    rank at which each colour begins, and their end. reach: the most sites whose gains change with the value of one, that
    site among them.
    """

    forms: Mapping[str, Pointwise]
    direct: tuple[str, ...]
    sums: Mapping[int, Sums]
    fields: Fields
    slots: Mapping[Variable, CodeSlot]
    cardinalities: tuple[int, ...]
    depths: Mapping[tuple[str, int], int]
    starts: tuple[tuple[int, ...], ...]
    reach: int

    def of_colour(self, group: int, colour: int | Array, tables: Tables) -> tuple[Array, Any]:
        """(sites int32[m], their ranks) of a code array in one colour.

        A colour known when tracing has as many sites as it has; of others all have as many as the largest, and places
        that are not needed have the site D_k, one past the last.
        """
        order, starts = tables[order_table(group)], self.starts[group]
        if isinstance(colour, int):
            ranks = slice(starts[colour], starts[colour + 1])
            return order[ranks], ranks
        largest = max(b - a for a, b in pairwise(starts))
        begins = jnp.asarray(starts, jnp.int32)
        ranks = begins[colour] + jnp.arange(largest, dtype=jnp.int32)
        inside = ranks < begins[colour + 1]
        ranks = jnp.minimum(ranks, max(starts[-1] - 1, 0))
        return jnp.where(inside, _read(order, ranks), starts[-1]), ranks

    def gains(
        self, group: int, sites: Array, ranks: Any, codes: Sequence[Array], carried: Carried | None, level: Any,
        environment: Mapping[Symbol, Any], dims: Mapping[str, int], tables: Tables,
    ) -> Array:  # fmt: skip
        """float[m, k]: -level times the change of the energy when each site, int32[m], takes each value.

        carried: what is known at the codes. Past the last site gains mean nothing.
        """
        cardinality = self.cardinalities[group]
        now = self._now(group, sites, codes)
        parts = [
            p for key in self.direct for p in self._parts(key, group, now, ranks, codes, environment, dims, tables)
        ]
        fields = None if carried is None else carried.fields
        parts += self.fields.changes(fields, group, now, sites, ranks, codes, environment, dims, tables)
        totals = self._totals(environment, dims) if carried is None else carried.totals
        added = self._added(group, now, ranks, codes, environment, dims, tables)
        functions = []
        for number, summand in self.sums.items():
            mine = totals[self._places(number)]
            scale = scaled(summand, environment, dims)
            functions.append((number, mover(summand, scale, list(mine), environment, dims)))

        def change(value: Array) -> Array:
            total = sum((part(value) for part in parts), jnp.zeros(sites.shape))
            for number, function in functions:
                steps = {place: step(value) for (owner, place), step in added.items() if owner == number}
                total = total + (function(steps) if steps else 0.0)
            return -level * total

        if cardinality == 2:
            # Nothing may stand between this and who takes it apart again, or XLA makes the pairs.
            flipped = change(1 - now)
            return jnp.stack([jnp.where(now == 0, 0.0, flipped), jnp.where(now == 1, 0.0, flipped)], axis=-1)
        values = jnp.arange(cardinality, dtype=now.dtype)
        return jax.vmap(lambda value: change(jnp.full(now.shape, value)), out_axes=-1)(values)

    def carried(
        self, codes: Sequence[Array], environment: Mapping[Symbol, Any], dims: Mapping[str, int], tables: Tables
    ) -> Carried:
        orders = [tables[order_table(group)] for group in range(len(self.cardinalities))]
        return Carried(self._totals(environment, dims), self.fields.at(codes, orders, tables))

    def moved(
        self, group: int, colour: int | Array, codes: Sequence[Array], carried: Carried, values: Array,
        environment: Mapping[Symbol, Any], dims: Mapping[str, int], tables: Tables,
    ) -> Carried:  # fmt: skip
        """What is carried when the sites of a code array in one colour take the values int32[m]."""
        sites, ranks = self.of_colour(group, colour, tables)
        now = self._now(group, sites, codes)
        inside = sites < self.starts[group][-1]
        totals = carried.totals
        for (number, place), step in self._added(group, now, ranks, codes, environment, dims, tables).items():
            where = self._places(number).start + place
            totals = totals.at[where].add(jnp.sum(jnp.where(inside, step(values), 0.0)))
        return Carried(totals, self.fields.after(carried.fields, group, ranks, inside, now, values, tables))

    def _totals(self, environment: Mapping[Symbol, Any], dims: Mapping[str, int]) -> Array:
        """float[S]: the sums over sites, those of each function in turn."""
        found = [v for summand in self.sums.values() for v in sum_values(summand, environment, dims)]
        return jnp.stack(found) if found else jnp.zeros(0)

    def _places(self, number: int) -> slice:
        start = sum(len(summand.sums) for other, summand in self.sums.items() if other < number)
        return slice(start, start + len(self.sums[number].sums))

    def _now(self, group: int, sites: Array, codes: Sequence[Array]) -> Array:
        return _read(codes[group], jnp.minimum(sites, max(self.starts[group][-1] - 1, 0)))

    def _added(
        self, group: int, now: Array, ranks: Any, codes: Sequence[Array], environment: Mapping[Symbol, Any],
        dims: Mapping[str, int], tables: Tables,
    ) -> dict[tuple[int, int], Callable[[Array], Array]]:  # fmt: skip
        """By summand and sum, what sites that take new values add to it."""
        found: dict[tuple[int, int], Callable[[Array], Array]] = {}
        for number, summand in self.sums.items():
            for place, total in enumerate(summand.sums):
                keys = [part_key(number, place, part) for part in range(len(total.gathers))]
                steps = [
                    p for key in keys for p in self._parts(key, group, now, ranks, codes, environment, dims, tables)
                ]
                if steps:
                    found[number, place] = lambda value, steps=steps: sum(
                        (s(value) for s in steps), jnp.zeros(now.shape)
                    )
        return found

    def _parts(
        self, key: str, group: int, now: Array, ranks: Any, codes: Sequence[Array], environment: Mapping[Symbol, Any],
        dims: Mapping[str, int], tables: Tables,
    ) -> list[Callable[[Array], Array]]:  # fmt: skip
        """The change of a gather by each of its columns that reads the code array, as functions of the new values."""
        form = self.forms[key]
        mine = [p for p, c in enumerate(form.gather.columns) if self.slots[c.variable].group == group]
        if not mine:
            return []
        scale = scaled(form.gather, environment, dims)
        leaves = form.leaf_values(environment, dims)
        around = [_Around(self, key, place, ranks, codes, leaves, tables) for place in mine]
        return [self._change(form, one, now, scale, environment, dims) for one in around]

    def _change(
        self, summand: Pointwise, around: _Around, now: Array, scale: Any, environment: Mapping[Symbol, Any],
        dims: Mapping[str, int],
    ) -> Callable[[Array], Array]:  # fmt: skip
        """The change of the energy by one column, as a function of the new values."""
        decode = self.slots[summand.gather.columns[around.place].variable].decode

        def rows(value: Array) -> Array:
            return summand.at(around.read | {around.place: decode(value)}, around.leaves, environment, dims)

        before = rows(now)
        return lambda value: scale * around.total((rows(value) - before) * 1.0)


class _Around:
    """The rows that read some sites through one column: what else they read, at the present point."""

    def __init__(
        self, near: Neighbours, key: str, place: int, ranks: Any, codes: Sequence[Array], leaves: Sequence[Array],
        tables: Tables,
    ) -> None:  # fmt: skip
        def table(what: str | int) -> Array:
            whole = tables[near_table(key, place, what)]
            if isinstance(ranks, slice):
                return whole[:, ranks]
            return whole.at[:, ranks].get(mode="promise_in_bounds", wrap_negative_indices=False)

        summand = near.forms[key]
        self.place = place
        self.depth = near.depths[key, place]
        self.read: dict[int, Array] = {}
        for other, column in enumerate(summand.gather.columns):
            if other != place:
                slot = near.slots[column.variable]
                self.read[other] = slot.decode(_read(codes[slot.group], table(other)))
        rows = table("rows") if leaves else None
        self.leaves = {
            local: _read(value, rows) for (local, _), value in zip(summand.leaves, leaves, strict=True)
        }  # fmt: skip
        self.padding = table("padding") if near_table(key, place, "padding") in tables else None

    def total(self, difference: Array) -> Array:
        """float[m] from the changes of the rows."""
        difference = jnp.broadcast_to(difference, (self.depth, difference.shape[-1]))
        if self.padding is not None:
            difference = jnp.where(self.padding, 0.0, difference)
        return difference[0] if self.depth == 1 else difference.sum(axis=0)


def _read(array: Array, places: Any) -> Array:
    return array.at[places].get(mode="promise_in_bounds", wrap_negative_indices=False)


# --- tables -----------------------------------------------------------------------------------------------------


def order_table(group: int) -> str:
    """The name of the table of the sites of a code array in the order of their ranks."""
    return f"order/{group}"


def rank_table(group: int) -> str:
    """The name of the table of ranks by site."""
    return f"rank/{group}"


def near_table(key: str, place: int, what: str | int) -> str:
    """The name of a table of the gather of a key and column `place`, [depth, D_k] in the order of ranks.

    what: "rows", the rows that read the site, "padding", where there is none, or another column, the sites it reads there.
    """
    return f"near/{key}/{place}/{what}"


REACH_TABLE = "reach"
"""int32[reach, D]: the sites whose gains change with the value of each. Sites of the code arrays are numbered through,
those of counts left out; D stands for none."""


def neighbours(
    structured: Sequence[Structured],
    slots: Mapping[Variable, CodeSlot],
    cardinalities: tuple[int, ...],
    colours: Mapping[Variable, np.ndarray],
    edges: np.ndarray,
    environment: Mapping[Symbol, Any],
    dims: Mapping[str, int],
) -> tuple[Neighbours | None, dict[str, np.ndarray]]:
    """The neighbours and their tables; none where a summand is neither a gather row by row nor a function of sums nor in
    fields, or the tables would be too large.

    colours: of each site. edges: pairs of sites that some row reads, numbered through variable after variable.
    environment: values of data.
    """
    if any(isinstance(summand, Opaque) for summand in structured):
        return None, {}
    sums = {number: summand for number, summand in enumerate(structured) if isinstance(summand, Sums)}
    tables: dict[str, np.ndarray] = {}
    starts: list[tuple[int, ...]] = []
    ranks: list[np.ndarray] = []
    count = 1 + max((int(c.max()) for c in colours.values() if c.size), default=0)
    for group in range(len(cardinalities)):
        colour = np.concatenate([colours[v] for v, slot in slots.items() if slot.group == group])
        order = np.argsort(colour, kind="stable").astype(np.int32)
        ranks.append(np.argsort(order).astype(np.int32))
        starts.append(tuple(np.searchsorted(colour[order], np.arange(count + 1)).tolist()))
        tables |= {order_table(group): order, rank_table(group): ranks[-1]}
    fields, field_tables = fields_of(structured, slots, cardinalities, ranks, starts, environment, dims)
    tables |= field_tables
    quadratic = [n for n, summand in enumerate(structured) if isinstance(summand, Quadratic)]
    if not fields.covered.issuperset(quadratic):
        return None, {}
    forms: dict[str, Pointwise] = {}
    for key, gather in gathers(structured):
        if key in map(str, fields.covered):
            continue
        form = pointwise(gather)
        if form is None:
            return None, {}
        forms[key] = form
    direct = tuple(str(n) for n, s in enumerate(structured) if isinstance(s, Gather) and n not in fields.covered)
    depths: dict[tuple[str, int], int] = {}
    entries = filled = 0
    for key, form in forms.items():
        columns = form.gather.columns
        for place, column in enumerate(columns):
            slot = slots[column.variable]
            if slot.cardinality == UNBOUNDED:
                continue
            read = ranks[slot.group][column.sites.reshape(-1) + slot.start]
            rows, padding = _readers(read, len(ranks[slot.group]))
            depths[key, place] = len(rows)
            wanted = (len(columns) - 1) + bool(form.leaves) + 1
            entries, filled = entries + wanted * padding.size, filled + wanted * int((~padding).sum())
            if entries > MOST_ENTRIES:
                return None, {}
            if form.leaves:
                tables[near_table(key, place, "rows")] = rows
            if padding.any():
                tables[near_table(key, place, "padding")] = padding
            for other, beside in enumerate(columns):
                if other != place:
                    there = beside.sites.reshape(-1) + slots[beside.variable].start
                    tables[near_table(key, place, other)] = there[rows].astype(np.int32)
    if filled < SPARSEST * entries:
        return None, {}
    table = None if sums or quadratic else _reach(edges, slots, cardinalities)
    if table is not None:
        tables[REACH_TABLE], reach = table, len(table)
    elif sums or fields.parts:
        # Every site changes every gain, or nearly: no table says so.
        reach = sum(slot.size for slot in slots.values() if slot.cardinality != UNBOUNDED)
    else:
        return None, {}
    return Neighbours(forms, direct, sums, fields, slots, cardinalities, depths, tuple(starts), reach), tables


def _readers(read: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """(int32[depth, count] rows that read each site, bool where there is none) from the site that each row reads."""
    numbers = np.bincount(read, minlength=count)
    depth = max(1, int(numbers.max(initial=0)))
    by_site = np.argsort(read, kind="stable")
    position = np.arange(len(read)) - np.repeat(np.cumsum(numbers) - numbers, numbers)
    rows = np.zeros((depth, count), np.int32)
    rows[position, read[by_site]] = by_site
    return rows, np.arange(depth)[:, None] >= numbers


def _reach(edges: np.ndarray, slots: Mapping[Variable, CodeSlot], cardinalities: tuple[int, ...]) -> np.ndarray | None:
    """The table of that name; None where it would be too large, or mostly padding."""
    sizes = [sum(s.size for s in slots.values() if s.group == g) for g in range(len(cardinalities))]
    offsets = np.cumsum([0, *sizes])
    finite = [k != UNBOUNDED for k in cardinalities]
    total = int(sum(size for size, kept in zip(sizes, finite, strict=True) if kept))
    # Counts are the last array, so that leaving them out moves no other number.
    numbers = np.concatenate([offsets[s.group] + s.start + np.arange(s.size) for s in slots.values()])
    pairs = numbers[edges]
    pairs = pairs[(pairs < total).all(axis=1)]
    own = np.repeat(np.arange(total), 2).reshape(-1, 2)
    both = np.concatenate([own, pairs, pairs[:, ::-1]])
    degrees = np.bincount(both[:, 0], minlength=total)
    reach = max(1, int(degrees.max(initial=0)))
    if reach * total > MOST_ENTRIES or len(both) < SPARSEST * reach * total:
        return None
    both = both[np.argsort(both[:, 0], kind="stable")]
    table = np.full((reach, total), total, np.int32)
    table[np.arange(len(both)) - np.repeat(np.cumsum(degrees) - degrees, degrees), both[:, 0]] = both[:, 1]
    return table
