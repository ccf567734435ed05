"""Rows that are a function, entry by entry, of parts of degree one in the sites, such as `normal(y | x @ w, sigma)`.

What sites that take new values change of such a part is known without looking at the others, so that the parts can be
carried from group to group of sites, each of which no row reads twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import jax.numpy as jnp
from jax import Array

from energylang.ir.nodes import Apply, Expr, Local, Reference
from energylang.ir.operations import OPERATIONS
from energylang.ir.terms import Analysis
from energylang.ir.types import Space
from energylang.lower.evaluate import evaluate
from energylang.lower.structure import Structured

Environment = Mapping[Any, Any]


class _Otherwise(Exception):
    """The rows are no such function."""


@dataclass(frozen=True, eq=False)
class Affine:
    """rows: over locals, which stand for `parts`, each of the rows' shape."""

    rows: Expr
    locals: tuple[Local, ...]
    parts: tuple[Expr, ...]

    def values(self, environment: Environment, dims: Mapping[str, int]) -> Array:
        """float[parts, rows]: what the parts are."""
        found = evaluate(list(self.parts), environment, dims)
        return jnp.stack([jnp.asarray(value, jnp.result_type(float)).reshape(-1) for value in found])

    def at(self, values: Array, environment: Environment, dims: Mapping[str, int]) -> Array:
        """float[rows]: the rows where the parts are float[parts, rows]."""
        shape = tuple(d.evaluate(dims) for d in self.rows.type.shape)
        inner = {**environment, **{local: v.reshape(shape) for local, v in zip(self.locals, values, strict=True)}}
        return jnp.asarray(evaluate([self.rows], inner, dims)[0], values.dtype).reshape(-1)


def affine_of(summand: Structured) -> Affine | None:
    """The rows of a summand in that form, where they have it."""
    rows = summand.summand.rows
    analysis = Analysis(rows)
    found: dict[int, tuple[Local, Expr]] = {}

    def rewrite(expr: Expr) -> Expr:
        if not analysis.variables(expr):
            return expr
        degree = analysis.degree(expr)
        if degree is not None and degree.total == 1 and expr.type.shape == rows.type.shape:
            if id(expr) not in found:
                found[id(expr)] = Local(f"part_{len(found)}", Space("real", expr.type.shape), expr.span), expr
            return Reference(expr.type, expr.span, found[id(expr)][0], range=expr.range)
        if not isinstance(expr, Apply) or OPERATIONS[expr.operation].group != "elementwise":
            raise _Otherwise
        return replace(expr, arguments=tuple(rewrite(a) for a in expr.arguments))

    try:
        over = rewrite(rows)
    except _Otherwise:
        return None
    return Affine(over, tuple(local for local, _ in found.values()), tuple(part for _, part in found.values()))
