"""Rows of a gather that can be computed a few at a time: entry by entry, from the sites they read and from leaves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import jax.numpy as jnp
from jax import Array

from energylang.ir.nodes import Apply, Expr, Local, Reference, children, walk
from energylang.ir.operations import OPERATIONS
from energylang.ir.types import Space
from energylang.lower.evaluate import evaluate
from energylang.lower.structure import Gather


@dataclass(frozen=True, eq=False)
class Pointwise:
    """A gather whose every row is one expression of the sites it reads and of its own entries of `leaves`.

    rows: over the columns' locals and the leaves' own. leaves: what depends on no discrete variable.
    """

    gather: Gather
    rows: Expr
    leaves: tuple[tuple[Local, Expr], ...]

    def leaf_values(self, environment: Mapping[Any, Any], dims: Mapping[str, int]) -> list[Array]:
        """The leaves, spread over the rows and flat."""
        values = evaluate([leaf for _, leaf in self.leaves], environment, dims)
        return [jnp.broadcast_to(jnp.asarray(v), self.gather.shape).reshape(-1) for v in values]

    def at(
        self, read: Mapping[int, Any], leaves: Mapping[Local, Any], environment: Mapping[Any, Any],
        dims: Mapping[str, int],
    ) -> Array:  # fmt: skip
        """Some rows, from the values of their columns (by number) and their entries of the leaves, broadcast together."""
        locals_ = {local: read[place] for place, c in enumerate(self.gather.columns) for local in c.locals}
        return jnp.asarray(evaluate([self.rows], {**environment, **locals_, **leaves}, dims)[0]) * 1


class _Elsewhere(Exception):
    """A row needs entries that are not its own."""


def pointwise(gather: Gather) -> Pointwise | None:
    """The same rows in that form; None where some operation moves entries between rows, or a row reads a site twice."""
    if gather.overlaps or any((column.sites < 0).any() for column in gather.columns):
        return None
    own = {local for column in gather.columns for local in column.locals}
    touching: dict[int, bool] = {}
    for node in walk(gather.rows):
        inside = any(touching[id(below)] for below in children(node))
        touching[id(node)] = inside or (isinstance(node, Reference) and node.symbol in own)
    leaves: dict[int, tuple[Local, Expr]] = {}
    done: dict[int, Expr] = {}

    def rewrite(node: Expr) -> Expr:
        if id(node) not in done:
            done[id(node)] = rewritten(node)
        return done[id(node)]

    def rewritten(node: Expr) -> Expr:
        if not touching[id(node)]:
            if not node.type.shape:
                return node
            if id(node) not in leaves:
                local = Local(f"leaf_{len(leaves)}", Space("real", node.type.shape), node.span)
                leaves[id(node)] = local, node
            local = leaves[id(node)][0]
            return Reference(node.type, node.span, local, range=node.range)
        if isinstance(node, Reference):
            return node
        if isinstance(node, Apply):
            if OPERATIONS[node.operation].group == "elementwise":
                return replace(node, arguments=tuple(rewrite(a) for a in node.arguments))
            if node.operation == "broadcast":
                return rewrite(node.arguments[0])
            base, *indices = node.arguments
            if node.operation == "index" and not touching[id(base)] and _looks_up(node):
                return replace(node, arguments=(base, *(rewrite(i) for i in indices)))
        raise _Elsewhere

    try:
        rows = rewrite(gather.rows)
    except _Elsewhere:
        return None
    return Pointwise(gather, rows, tuple(leaves.values()))


def _looks_up(node: Apply) -> bool:
    """Whether a table has an index on every axis, so that each row looks up one entry."""
    return all(item == ("at",) for item in node.attributes) and len(node.attributes) == len(
        node.arguments[0].type.shape
    )
