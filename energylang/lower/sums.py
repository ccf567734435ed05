"""Functions of sums over sites: `(sum(x) - k)^2`, `abs(sum(w * s))`, `maximum(0, dot(weights, x) - capacity)`.

Such a summand couples every site with every other, yet what one site changes is known from the sums alone: their new
values are the old ones plus what the site adds to each, and the function is computed again. Whatever the function is, the
gains are exact and cost one pass over the sites.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from energylang.ir.nodes import Apply, Expr, Local, Reference, Symbol, Term, Variable
from energylang.ir.operations import OPERATIONS, OperationError, type_of
from energylang.ir.terms import Analysis
from energylang.ir.types import Space
from energylang.lower.evaluate import evaluate
from energylang.lower.structure import (
    Continuous,
    Gather,
    Opaque,
    Quadratic,
    SiteSum,
    Structured,
    Sums,
    structure,
)

MOST_SUMS = 64


class _Otherwise(Exception):
    """The summand is no function of sums."""


def as_sums(summand: Structured, environment: Mapping[Any, Any], dims: Mapping[str, int]) -> Structured:
    """The summand as a function of sums over sites, where it is one and would else be opaque or coupled by products."""
    if not isinstance(summand, Quadratic | Opaque) or summand.summand.rows.type.shape:
        return summand
    analysis = Analysis(summand.summand.rows)
    found: dict[int, SiteSum] = {}

    def rewrite(expr: Expr) -> Expr:
        if not analysis.variables(expr):
            return expr
        if id(expr) not in found:
            total = _site_sum(expr, environment, dims, len(found))
            if total is None:
                if not isinstance(expr, Apply) or OPERATIONS[expr.operation].group != "elementwise" or expr.type.shape:
                    raise _Otherwise
                return replace(expr, arguments=tuple(rewrite(a) for a in expr.arguments))
            if len(found) == MOST_SUMS:
                raise _Otherwise
            found[id(expr)] = total
        return Reference(expr.type, expr.span, found[id(expr)].local, range=expr.range)

    try:
        function = rewrite(summand.summand.rows)
    except _Otherwise:
        return summand
    sums = tuple(found.values())
    degree = Analysis(function, only=frozenset(s.local for s in sums)).degree(function)
    pairwise = degree is not None and degree.total <= 2
    return Sums(summand.summand, function, sums, summand.variables, pairwise)


def _site_sum(expr: Expr, environment: Mapping[Any, Any], dims: Mapping[str, int], number: int) -> SiteSum | None:
    """A scalar that is a sum of rows of one site each; None for any other expression."""
    if expr.type.shape or not isinstance(expr, Apply):
        return None
    value = _spelt_out(expr)
    if value.operation not in ("sum", "mean"):
        return None
    parts = structure([Term(value, expr.span, "")], environment, dims)
    gathers = [part for part in parts if isinstance(part, Gather)]
    if len(gathers) + sum(isinstance(p, Continuous) for p in parts) < len(parts):
        return None
    if any(len(part.columns) > 1 for part in gathers):
        return None
    return SiteSum(Local(f"sum_{number}", Space("real", ()), expr.span), expr, tuple(gathers))


def _spelt_out(expr: Apply) -> Apply:
    """A product of two vectors as the sum that it is."""
    if expr.operation != "matmul" or any(len(a.type.shape) != 1 for a in expr.arguments):
        return expr
    try:
        kind, bounds = type_of("mul", expr.arguments)
        product = Apply(kind, expr.span, "mul", expr.arguments, range=bounds)
        kind, bounds = type_of("sum", (product,), (0,))
    except OperationError:
        return expr
    return Apply(kind, expr.span, "sum", (product,), (0,), range=bounds)


def gathers(structured: Sequence[Structured]) -> Iterator[tuple[str, Gather]]:
    """Every gather, those of sums too, with the key of its tables."""
    for number, summand in enumerate(structured):
        if isinstance(summand, Gather):
            yield str(number), summand
        elif isinstance(summand, Sums):
            yield from gathers_of_sums(number, summand)


def gathers_of_sums(number: int, summand: Sums) -> Iterator[tuple[str, Gather]]:
    """The gathers of a function of sums, sum after sum."""
    for place, total in enumerate(summand.sums):
        for part, gather in enumerate(total.gathers):
            yield part_key(number, place, part), gather


def part_key(number: int, place: int, part: int) -> str:
    """The key of the tables of one gather: of which summand, of which of its sums, and which part of that."""
    return f"{number}.{place}.{part}"


def values(summand: Sums, environment: Mapping[Symbol, Any], dims: Mapping[str, int]) -> list[Array]:
    """What the sums are, as real scalars."""
    real = jnp.result_type(float)
    return [jnp.asarray(v, real) for v in evaluate([s.value for s in summand.sums], environment, dims)]


def at(
    summand: Sums, sums: Sequence[Any], environment: Mapping[Symbol, Any], dims: Mapping[str, int]
) -> Array:  # fmt: skip
    """The function at values of its sums, in whatever shape these have."""
    inner = {**environment, **{s.local: v for s, v in zip(summand.sums, sums, strict=True)}}
    return jnp.asarray(evaluate([summand.function], inner, dims)[0], jnp.result_type(float))


def change(
    summand: Sums, scale: Any, steps: Mapping[int, Mapping[Variable, Array]], environment: Mapping[Symbol, Any],
    dims: Mapping[str, int],
) -> dict[Variable, Array]:  # fmt: skip
    """The changes of the energy, float[*shape, k] by variable. steps: by sum, what each site at each value adds to it."""
    function = mover(summand, scale, values(summand, environment, dims), environment, dims)
    variables = {v: None for by_variable in steps.values() for v in by_variable}
    return {v: function({place: by[v] for place, by in steps.items() if v in by}) for v in variables}


def mover(
    summand: Sums, scale: Any, now: Sequence[Array], environment: Mapping[Symbol, Any], dims: Mapping[str, int]
) -> Callable[[Mapping[int, Array]], Array]:
    """The change of the energy, in any shape, from what is added to some of the sums, which are `now`."""
    if summand.pairwise:
        return _expanded(summand, scale, now, environment, dims)
    before = at(summand, now, environment, dims)

    def change(added: Mapping[int, Array]) -> Array:
        moved = [total + added.get(place, 0.0) for place, total in enumerate(now)]
        return scale * (at(summand, moved, environment, dims) - before)

    return change


def _expanded(
    summand: Sums, scale: Any, now: Sequence[Array], environment: Mapping[Symbol, Any], dims: Mapping[str, int]
) -> Callable[[Mapping[int, Array]], Array]:
    """That of a function of degree two: by its derivatives, as differences of large numbers cancel."""

    def function(sums: Array) -> Array:
        return at(summand, list(sums), environment, dims)

    gradient = jax.grad(function)(jnp.stack(now))
    hessian = jax.hessian(function)(jnp.zeros(len(now)))

    def change(added: Mapping[int, Array]) -> Array:
        total = jnp.zeros(())
        for i, step in added.items():
            total = total + gradient[i] * step
            for j, other in added.items():
                total = total + 0.5 * hessian[i, j] * step * other
        return scale * total

    return change
