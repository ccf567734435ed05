"""Which sites each row of an expression depends on, followed through reductions and matrix products too.

A row of a gather (`lower.structure`) reads one site through each column. Rows that add many sites up, such as the mean
of an observation of a factorial hidden Markov model, are no gather; but what they depend on is still a few sites of many.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any

import numpy as np

from energylang.ir.nodes import Apply, Expr, Map, Reference, Symbol, Variable, symbols
from energylang.ir.operations import OPERATIONS
from energylang.ir.types import Dim
from energylang.lower.evaluate import evaluate, numbers
from energylang.lower.operations import NUMPY, compute
from energylang.lower.spaces import CodeSlot

MOST_ENTRIES = 2**24
"""The most numbers of sites kept for one node."""


class _Unknown(Exception):
    """What a node depends on is not followed, or too much."""


def scopes(
    rows: Expr, slots: Mapping[Variable, CodeSlot], environment: Mapping[Symbol, Any], dims: Mapping[str, int]
) -> np.ndarray:
    """int64[entries, width]: the sites of `slots` that each entry of `rows` may depend on, -1 for none.

    Where that cannot be followed every entry may depend on all sites of the variables below.
    """
    try:
        found = _Follow(slots, environment, dims).of(rows)
    except _Unknown:
        mine = [slots[s] for s in symbols(rows) if isinstance(s, Variable) and s in slots]
        found = np.concatenate([slot.start + np.arange(slot.size) for slot in mine])
        return found[None]
    if found is None:
        return np.zeros((1, 0), np.int64)
    return found.reshape(prod(found.shape[:-1]), found.shape[-1])


class _Follow:
    """Sites of nodes: None where there are none, else int64[*shape, width]."""

    def __init__(
        self, slots: Mapping[Variable, CodeSlot], environment: Mapping[Symbol, Any], dims: Mapping[str, int]
    ) -> None:
        self.slots, self.environment, self.dims = slots, environment, dims
        self.done: dict[int, np.ndarray | None] = {}

    def of(self, expr: Expr) -> np.ndarray | None:
        if id(expr) not in self.done:
            found = self._of(expr)
            if found is not None:
                found = narrowed(found)
                if found.size > MOST_ENTRIES:
                    raise _Unknown
            self.done[id(expr)] = found
        return self.done[id(expr)]

    def _shape(self, shape: tuple[Dim, ...]) -> tuple[int, ...]:
        return tuple(d.evaluate(self.dims) for d in shape)

    def _of(self, expr: Expr) -> np.ndarray | None:
        if isinstance(expr, Reference):
            slot = self.slots.get(expr.symbol) if isinstance(expr.symbol, Variable) else None
            return None if slot is None else (slot.start + np.arange(slot.size)).reshape(*slot.shape, 1)
        if not any(s in self.slots for s in symbols(expr)):
            return None
        if isinstance(expr, Map):
            return self._of_map(expr)
        if not isinstance(expr, Apply):
            raise _Unknown
        arguments = [self.of(a) for a in expr.arguments]
        shape = self._shape(expr.type.shape)
        group = OPERATIONS[expr.operation].group
        if group == "elementwise":
            return _union([_spread(a, shape) for a in arguments if a is not None])
        if group == "reduce":
            (argument,) = arguments
            assert argument is not None
            kept = [axis for axis in range(argument.ndim - 1) if axis not in expr.attributes]
            return argument.transpose(*kept, *expr.attributes, argument.ndim - 1).reshape(*shape, -1)
        if group == "gather":
            return self._of_gather(expr, arguments)
        if group == "along":
            (argument,) = arguments
            assert argument is not None
            (axis,) = expr.attributes
            moved = np.moveaxis(argument, axis, -2).reshape(*np.delete(shape, axis), 1, -1)
            return np.broadcast_to(np.moveaxis(moved, -2, axis), (*shape, moved.shape[-1]))
        if expr.operation == "matmul":
            return self._of_product(expr, arguments, shape)
        raise _Unknown

    def _of_gather(self, expr: Apply, arguments: list[np.ndarray | None]) -> np.ndarray:
        attributes = numbers(expr.attributes, self.dims)
        shape = self._shape(expr.type.shape)
        if expr.operation == "index":
            base, indices = arguments[0], arguments[1:]
            if base is not None:
                if any(i is not None for i in indices):
                    raise _Unknown
                values = self._values(expr.arguments[1:])
                return _each(base, lambda sites: compute(NUMPY, "index", [sites, *values], attributes))
            # A table looked up: entries lie where the index axes are, as in `lower.structure`.
            before = next(i for i, item in enumerate(expr.attributes) if item[0] == "at")
            rank = max(len(i.type.shape) for i in expr.arguments[1:])
            after = len(shape) - before - rank
            parts = [i.reshape(*i.shape[:-1], *(1,) * after, i.shape[-1]) for i in indices if i is not None]
            return _union([_spread(part, shape) for part in parts])
        found = []
        for place, argument in enumerate(arguments):
            if argument is None:
                continue

            def moved(sites: np.ndarray, place: int = place) -> np.ndarray:
                parts = [np.full(self._shape(a.type.shape), -1) for a in expr.arguments]
                parts[place] = sites
                return compute(NUMPY, expr.operation, parts, attributes)

            found.append(_each(argument, moved))
        return _union(found)

    def _of_product(self, expr: Apply, arguments: list[np.ndarray | None], shape: tuple[int, ...]) -> np.ndarray:
        """Of a matrix product: what is contracted is added up."""
        ranks = [len(a.type.shape) for a in expr.arguments]
        if max(ranks) > 2:
            raise _Unknown
        found = []
        for place, argument in enumerate(arguments):
            if argument is None:
                continue
            # The contracted axis: the last of the left side, the first of the right.
            axis = ranks[0] - 1 if place == 0 else 0
            moved = np.moveaxis(argument, axis, -2)
            moved = moved.reshape(*moved.shape[:-2], -1)
            if place == 0 and ranks[1] == 2 and ranks[0] == 2:
                moved = moved[:, None]
            elif (
                (place == 0 and ranks[1] == 2)
                or (place == 1 and ranks[0] == 2 and ranks[1] == 2)
                or (place == 1 and ranks[0] == 2)
            ):
                moved = moved[None]
            found.append(_spread(moved, shape))
        return _union(found)

    def _of_map(self, expr: Map) -> np.ndarray:
        if any(s in self.slots for s in symbols(expr.body)):
            raise _Unknown
        shape = self._shape(expr.type.shape)
        after = len(expr.body.type.shape)
        found = []
        for parameter, argument in zip(expr.parameters, expr.arguments, strict=True):
            sites = self.of(argument)
            if sites is not None:
                batch = sites.ndim - 1 - len(parameter.space.shape)
                # A turn may depend on its whole event, and all that it gives on all of that.
                flat = sites.reshape(*sites.shape[:batch], *(1,) * after, -1)
                found.append(_spread(flat, shape))
        return _union(found)

    def _values(self, indices: tuple[Expr, ...]) -> list[Any]:
        if any(s not in self.environment for s in symbols(*indices)):
            raise _Unknown
        return evaluate(indices, self.environment, self.dims, NUMPY)


def _spread(sites: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Broadcast to a shape, the width kept."""
    return np.broadcast_to(sites, (*shape, sites.shape[-1]))


def _union(parts: list[np.ndarray]) -> np.ndarray:
    if sum(part.size for part in parts) > MOST_ENTRIES:
        raise _Unknown
    return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=-1)


def _each(sites: np.ndarray, move: Any) -> np.ndarray:
    return np.stack([np.asarray(move(sites[..., place])) for place in range(sites.shape[-1])], axis=-1)


def narrowed(sites: np.ndarray) -> np.ndarray:
    """The same sites in as few places as they need, each once."""
    if sites.shape[-1] < 2:
        return sites
    ordered = np.sort(sites, axis=-1)
    ordered[..., 1:] = np.where(ordered[..., 1:] == ordered[..., :-1], -1, ordered[..., 1:])
    ordered = np.sort(ordered, axis=-1)
    width = max(1, int((ordered >= 0).sum(axis=-1).max(initial=0)))
    return ordered[..., ordered.shape[-1] - width :]
