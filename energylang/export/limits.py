"""What other data a compiled energy may be given: some of it is built into the program, and some has a range.

Shapes are part of every program. Values are where they decide how variables are summed out, where an equation is
solved, and, as indices, what may be looked up; and integers have 32 bits.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from energylang.ir.nodes import (
    Apply,
    Condition,
    Data,
    Expr,
    Let,
    Loop,
    Map,
    Marginal,
    Reference,
    Symbol,
    Trajectory,
    Variable,
    symbols,
    walk,
)
from energylang.ir.types import Kind
from energylang.lower.data import Bound, size_of
from energylang.lower.energy import CompiledEnergy
from energylang.lower.integers import LARGEST, without_overflow

SIZES = (LARGEST, 2.0**24, 2.0**20, 2.0**16, 2.0**12, 2.0**8)
"""Magnitudes of integers that are tried: below which of them does no sum or product leave 32 bits?"""


@dataclass(frozen=True)
class Limits:
    """fixed: why no other value will do, or nothing. low, high: of each entry, both allowed unless `open_low`."""

    fixed: str = ""
    low: float | None = None
    high: float | None = None
    open_low: bool = False

    def within(self, low: float | None, high: float | None) -> Limits:
        lows = [b for b in (self.low, low) if b is not None]
        highs = [b for b in (self.high, high) if b is not None]
        return replace(self, low=max(lows, default=None), high=min(highs, default=None))


def limits(compiled: CompiledEnergy, bound: Bound, lets: tuple[Let, ...]) -> dict[Symbol, Limits]:
    """The limits of every datum, top-level let and bound condition that the energy depends on."""
    program = compiled.program
    energy, dims = program.energy, program.dims
    values = [let.value for let in lets if let.value is not None]
    roots = (*(t.value for t in energy.terms), *energy.bounds, *values)
    found: dict[Symbol, Limits] = {}
    for symbol in symbols(*program.energy.roots, *values):
        if isinstance(symbol, Data | Let | Condition) and symbol.key in bound.values:
            found[symbol] = _of_space(symbol, bound)
    most = _headroom(compiled, bound, [s for s in found if bound.values[s.key].dtype.kind == "i"])
    for symbol, size in most.items():
        found[symbol] = found[symbol].within(-size, size)
    for symbol, why in _built_in(roots):
        if symbol in found:
            found[symbol] = replace(found[symbol], fixed=why)
    for symbol, size in _looked_up(roots, dims):
        if symbol in found:
            found[symbol] = found[symbol].within(-size, size - 1)
    for symbol, limit in found.items():
        if symbol.name in dims and not symbol.space.shape and bound.values[symbol.key].dtype.kind == "i":
            found[symbol] = replace(limit, fixed="it is a size")
    return found


def _of_space(symbol: Symbol, bound: Bound) -> Limits:
    space = symbol.space
    kind = space.kind
    if kind in ("positive", "positive_ordered"):
        return Limits(low=0.0, open_low=True)
    if kind == "interval":
        low, high = (b if isinstance(b, float) and np.isfinite(b) else None for b in (space.low, space.high))
        return Limits(low=low, high=high)
    fixed: dict[str, tuple[float | None, float | None]] = {
        "unit": (0, 1), "simplex": (0, 1), "binary": (0, 1), "bool": (0, 1), "spin": (-1, 1), "count": (0, None)
    }  # fmt: skip
    if kind == "cat" and space.cardinality is not None:
        size = size_of(space.cardinality, bound.dims)
        return Limits(low=0, high=None if size is None else size - 1)
    return Limits().within(*fixed.get(kind, (None, None)))


def _headroom(compiled: CompiledEnergy, bound: Bound, integers: list[Symbol]) -> dict[Symbol, float]:
    """How large the entries of integers may become without one operation of the program leaving 32 bits."""
    energy = compiled.program.energy
    largest = {s: float(np.abs(bound.values[s.key]).max(initial=0)) for s in integers}
    for size in SIZES:
        wide: dict[str, Any] = {s.key: np.asarray([-size, size]) for s in integers if s.space.values is None}
        if without_overflow(energy, replace(bound, values={**bound.values, **wide})) is energy:
            return {s: max(size, largest[s]) for s in integers}
    return largest


def _indices(*roots: Expr) -> Iterator[tuple[Expr, Expr, int]]:
    """Every index below the roots, with what it looks into, and along which axis."""
    for expr in walk(*roots):
        if isinstance(expr, Apply) and expr.operation == "index":
            base, *indices = expr.arguments
            places = [axis for axis, item in enumerate(expr.attributes) if item[0] == "at"]
            for axis, index in zip(places, indices, strict=True):
                yield base, index, axis


def _built_in(roots: tuple[Expr, ...]) -> Iterator[tuple[Symbol, str]]:
    """The symbols whose values the program was made for, and why."""
    for expr in walk(*roots):
        if isinstance(expr, Trajectory):
            for symbol in symbols(*expr.arguments[1:]):
                yield symbol, "a differential equation is solved at these times"
        elif isinstance(expr, Marginal):
            for _, index, _ in _indices(expr):
                for symbol in symbols(index):
                    yield symbol, "it decides how variables are summed out"
        elif isinstance(expr, Map | Loop):
            for _, index, _ in _indices(*expr.bodies):
                own = [s for s in symbols(index) if s in expr.parameters]
                if own and not _known(_element(expr, index)):
                    for symbol in symbols(*expr.arguments):
                        if symbol.space.info.kind is not Kind.REAL:
                            yield symbol, "what it looks up was checked for these values"
    for _, index, _ in _indices(*roots):
        if not _known(index):
            for symbol in symbols(index):
                yield symbol, "what it looks up was checked for these values"


def _element(expr: Map | Loop, index: Expr) -> Expr | None:
    """Of what an index is an element itself, if it is a parameter of a `Map`."""
    if isinstance(expr, Map) and isinstance(index, Reference) and index.symbol in expr.parameters:
        return expr.arguments[expr.parameters.index(index.symbol)]  # pyright: ignore[reportArgumentType]
    return None


def _known(index: Expr | None) -> bool:
    """Whether an index is a symbol itself, whose range is looked at, or an entry of a variable, which has its own."""
    base = index.arguments[0] if isinstance(index, Apply) and index.operation == "index" else index
    return isinstance(base, Reference) and (base is index or isinstance(base.symbol, Variable))


def _looked_up(roots: tuple[Expr, ...], dims: Any) -> Iterator[tuple[Symbol, int]]:
    """The symbols that are indices themselves, with the size of the axis that they look into."""
    for base, index, axis in _indices(*roots):
        if isinstance(index, Reference):
            yield index.symbol, base.type.shape[axis].evaluate(dims)
    for expr in walk(*roots):
        for base, index, axis in _indices(*expr.bodies) if isinstance(expr, Map) else ():
            element = _element(expr, index) if isinstance(expr, Map) else None
            if isinstance(element, Reference):
                yield element.symbol, base.type.shape[axis].evaluate(dims)
