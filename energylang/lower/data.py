"""Data: values for declarations, checked for type, shape, space and finiteness, and the dims they solve."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from energylang.diagnostics import Diagnostic, Diagnostics, Label, suggest
from energylang.ir.nodes import Condition, Data, Expr, Let, Program, Symbol, symbols
from energylang.ir.types import Dim, Kind, Space, show_bound, show_shape
from energylang.lower.bounds import MOST_ENTRIES, problems_of
from energylang.lower.doubts import doubts
from energylang.lower.elimination import plans
from energylang.lower.evaluate import evaluate
from energylang.lower.externs import fit
from energylang.lower.operations import NUMPY
from energylang.source import Span


@dataclass(frozen=True)
class Bound:
    """Data in place. values: float64, int64 or bool by `Symbol.key`, top-level lets included. dims: by name."""

    values: dict[str, np.ndarray]
    dims: dict[str, int]
    origins: dict[str, tuple[str, Span | None]]
    """Where each dim's value came from, for messages."""


def bind(program: Program, given: Mapping[str, Any], diagnostics: Diagnostics) -> Bound | None:
    """Every `data` filled from `given` (name to value) or its default; None after diagnostics."""
    for name in given:
        if name not in {d.name for d in program.data}:
            near = suggest(name, [d.name for d in program.data])
            diagnostics.add(
                "E0706", f"the model declares no data `{name}`",
                fix=f"did you mean `{near}`?" if near else f"its data are {', '.join(d.name for d in program.data) or 'none'}",
            )  # fmt: skip
    missing = [d for d in program.data if d.name not in given and d.default is None]
    if missing:
        names = ", ".join(f"`{d.name}`" for d in missing)
        diagnostics.add(
            "E0701", f"no value for {names}", missing[0].span, related=[Label(d.span, "and here") for d in missing[1:]],
            fix=f"give a file, `--data file.json` with `{{{_skeleton(missing)}}}`, or one value, `--data {missing[0].name}=file.npy`",
        )  # fmt: skip
    bound = Bound({}, {}, {})
    for data in sorted(program.data, key=lambda d: len(d.space.shape)):
        if data in missing:
            continue
        value = given.get(data.name, data.default)
        array = read_value(value, data, diagnostics)
        if array is not None and solve(data, array, bound, diagnostics):
            bound.values[data.key] = array
    late = tuple(d for d in program.data if any(isinstance(s, Let) for s in symbols(*d.space.bounds)))
    soon = tuple(d for d in program.data if d not in late)
    if diagnostics.failed or not check_bound(soon, bound, bound.values, diagnostics):
        return None
    left = [d for d in program.data if d.name not in given and d.default is not None]
    # Files that the model names itself are no choice of who runs it.
    if left and any(d.name in given and d.source is None for d in program.data):
        names = ", ".join(f"`{d.name}`" for d in left)
        diagnostics.add("N0702", f"{names} not among the data given: the default is used", left[0].span)
    good = fit(program, bound.dims, diagnostics) and _lets(program, bound, diagnostics)
    if not good or not check_bound(late, bound, bound.values, diagnostics):
        return None
    # What was said of the file that a graph is from is not said again.
    said = {found.code for found in diagnostics.found}
    diagnostics.found += [found for found in doubts(program, bound.values, bound.dims) if found.code not in said]
    return bound


def _skeleton(missing: list[Data]) -> str:
    """What a JSON file of these data looks like."""
    shown = ", ".join(f'"{d.name}": {"[…]" if d.space.shape else "…"}' for d in missing[:3])
    return shown + (", …" if len(missing) > 3 else "")


def read_value(value: Any, symbol: Symbol, diagnostics: Diagnostics) -> np.ndarray | None:
    """A value as float64, int64 or bool, by the kind of its declaration; None after a diagnostic."""
    wanted = symbol.space.info.kind
    if isinstance(value, np.memmap) and value.dtype.str[1:] in (REALS if wanted is Kind.REAL else INTEGERS):
        # As they are: a copy at another precision would be one of all of them, in memory.
        return value
    try:
        array = np.asarray(value)
    except ValueError:
        array = np.empty(0, object)
    text = array.dtype.kind in "US" or (array.dtype.kind == "O" and any(isinstance(x, str) for x in array.ravel()))
    if array.dtype.kind not in "biuf":
        try:
            array = np.asarray([] if text else value, dtype=np.float64)
        except (ValueError, TypeError):
            text = True
        if text:
            diagnostics.add(
                "E0702", f"`{symbol.name}` is not an array of numbers", symbol.span,
                cause=_odd(value, symbol.name) or "rows of different lengths, text, or missing values",
                fix="give numbers, several as nested lists of equal length",
            )  # fmt: skip
            return None
    inner = [dim.constant for dim in symbol.space.shape[1:]]
    if array.shape == (0,) and inner and None not in inner:
        # `[]` in JSON is an array of no rows.
        array = array.reshape(0, *inner)
    if array.size > MOST_ENTRIES:
        diagnostics.add("E0708", f"`{symbol.name}` has {array.size:,} entries", symbol.span)
        return None
    if wanted is Kind.REAL:
        return array.astype(np.float64)
    if array.dtype.kind == "f":
        whole = np.isfinite(array) & (array == np.round(array))
        if not whole.all():
            where = _first(~whole)
            diagnostics.add(
                "E0702", f"`{symbol.name}` is {symbol.space.kind}, and {_entry(symbol.name, where)} is {array[where]:g}",
                symbol.span, fix="reals are never rounded silently: round the data, or declare it `real`",
            )  # fmt: skip
            return None
    # The bound itself is a float, and the comparison with it is exact: above it nothing is an int64.
    beyond = (array >= 2.0**63) | (array < -(2.0**63))
    if array.dtype.kind in "fu" and beyond.any():
        where = _first(beyond)
        diagnostics.add(
            "E0702", f"{_entry(symbol.name, where)} is {array[where]:g}, and integers have 64 bits", symbol.span,
            fix="declare it `real`",
        )  # fmt: skip
        return None
    return array.astype(np.int64)


def _odd(value: Any, name: str) -> str:
    """What of a value given as lists is no number, as a cause; "" where that is not so simple."""
    pending: list[tuple[str, Any]] = [(name, value)]
    while pending:
        where, item = pending.pop()
        if isinstance(item, dict):
            return f"`{where}` is an object with names"
        if isinstance(item, str):
            return f"`{where}` is the text `{item[:20]}`"
        if isinstance(item, list | tuple):
            nested = [isinstance(i, list | tuple) for i in item]
            lengths = {len(i) for i in item if isinstance(i, list | tuple)}
            if any(nested) and not all(nested):
                return f"`{where}` has numbers and lists side by side"
            inner = where[:-1] + ", " if where.endswith("]") else f"{where}["
            pending += [(f"{inner}{place}]", i) for place, i in reversed(list(enumerate(item)))]
            if len(lengths) > 1:
                return f"the rows of `{where}` have different lengths: {', '.join(map(str, sorted(lengths)[:4]))}"
    return ""


def _first(mask: np.ndarray) -> tuple[int, ...]:
    return tuple(int(i[0]) for i in np.nonzero(mask)) if mask.ndim else ()


def _entry(name: str, where: tuple[int, ...]) -> str:
    return f"`{name}[{', '.join(map(str, where))}]`" if where else f"`{name}`"


def solve(symbol: Symbol, array: np.ndarray, bound: Bound, diagnostics: Diagnostics) -> bool:
    """Dims that are single names take their value here; an int scalar is a dim itself."""
    shape = symbol.space.shape
    if array.ndim != len(shape):
        diagnostics.add(
            "E0703", f"`{symbol.name}` is {symbol.space}, and its value has {_axes(array.ndim)}: {_shown(array.shape)}", symbol.span,
            fix="give an array with the declared axes",
        )  # fmt: skip
        return False
    if not shape and symbol.space.kind in ("int", "count"):
        if isinstance(symbol, Condition) and symbol.name in bound.dims:
            # Data have a dim of this name, which is another thing.
            return True
        return _fix(symbol.name, int(array), f"`{symbol.name}` itself", symbol, bound, diagnostics)
    good = True
    for axis, (dim, size) in enumerate(zip(shape, array.shape, strict=True)):
        name = dim.single_name
        if name is not None:
            good = _fix(name, size, f"axis {axis} of `{symbol.name}`", symbol, bound, diagnostics) and good
    return good


def _axes(count: int) -> str:
    return "1 axis" if count == 1 else f"{count} axes"


def _shown(shape: tuple[int, ...]) -> str:
    return f"[{', '.join(map(str, shape))}]"


def _fix(name: str, size: int, origin: str, symbol: Symbol, bound: Bound, diagnostics: Diagnostics) -> bool:
    if name not in bound.dims:
        bound.dims[name] = size
        bound.origins[name] = (origin, symbol.span)
        return True
    if bound.dims[name] == size:
        return True
    other, span = bound.origins[name]
    diagnostics.add(
        "E0703", f"`{name}` is {bound.dims[name]} by {other}, and {size} by {origin}", symbol.span, label=f"{name} = {size} here",
        related=[Label(span, f"{name} = {bound.dims[name]} here")] if span is not None and span != symbol.span else [],
        fix="the two data must agree about the dim they share, or use two names",
    )  # fmt: skip
    return False


def check_bound(
    declared: tuple[Symbol, ...], bound: Bound, values: Mapping[str, np.ndarray], diagnostics: Diagnostics
) -> bool:
    """Shapes against the solved dims, values against their spaces; `values` has what their bounds mention."""
    for symbol in declared:
        array = bound.values.get(symbol.key)
        if array is None:
            continue
        sizes = tuple(size_of(d, bound.dims) for d in symbol.space.shape)
        for axis, (dim, size, actual) in enumerate(zip(symbol.space.shape, sizes, array.shape, strict=True)):
            if size is not None and size != actual:
                diagnostics.add(
                    "E0703", f"axis {axis} of `{symbol.name}` has {actual} entries, and should have {size}", symbol.span,
                    cause="" if dim.constant is not None else f"`{dim}` is {size}",
                    fix=f"give {size} entries, or change the declaration",
                )  # fmt: skip
                break
        else:
            _check_space(symbol, array, bound.dims, values, diagnostics)
    return not diagnostics.failed


def size_of(dim: Dim, dims: Mapping[str, int]) -> int | None:
    """A dim's number, or None where a name has no value."""
    return dim.evaluate(dims) if dim.names <= dims.keys() else None


def _check_space(
    symbol: Symbol, array: np.ndarray, dims: Mapping[str, int], values: Mapping[str, np.ndarray], diagnostics: Diagnostics
) -> None:  # fmt: skip
    space = symbol.space
    if isinstance(array, np.memmap) and not space.bounds:
        diagnostics.found += outside_rows(symbol, array, dims)
        return
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        where = _first(~np.isfinite(array))
        diagnostics.add(
            "E0705",
            f"{_entry(symbol.name, where)} is {array[where]}",
            symbol.span,
            cause="" if np.isinf(array[where]) else "a missing value (`null`, `NaN`, `NA` or nothing) is read as nan",
            fix="give a finite number"
            if np.isinf(array[where])
            else "leave missing rows out, or model them as variables",
        )
        return
    bounds = _bounds_of(symbol, dims, values, diagnostics)
    if bounds is None:
        return
    bad, wanted = outside_space(space, array, dims, bounds)
    if bad is not None and bad.any():
        where = _first(bad)
        value = array[where] if len(where) == array.ndim else array[where].tolist()
        diagnostics.add(
            "E0704", f"{_entry(symbol.name, where)} is {value}, and `{symbol.name}` is {wanted}", symbol.span,
            cause=_how_many(int(bad.sum()), bad.size), fix=_into_space(symbol, array, dims),
        )  # fmt: skip


def _how_many(outside: int, of: int) -> str:
    what = "1 entry lies" if outside == 1 else f"{outside:,} entries lie"
    return f"{what} outside, of {of:,}" if of > 1 else ""


def _into_space(symbol: Symbol, array: np.ndarray, dims: Mapping[str, int]) -> str:
    """What to do about values outside a space; the usual mistakes are known by their range."""
    kind = symbol.space.kind
    low, high = (array.min(), array.max()) if array.size else (0, 0)
    if kind == "spin" and low >= 0 and high <= 1:
        return f"make them -1 and 1: 2 * {symbol.name} - 1; or declare `{symbol.name}: binary{show_shape(symbol.space.shape)}`"
    if kind == "binary" and low >= -1 and high <= 1:
        return f"make them 0 and 1: ({symbol.name} + 1) / 2; or declare `{symbol.name}: spin{show_shape(symbol.space.shape)}`"
    if (
        kind == "cat"
        and symbol.space.cardinality is not None
        and low >= 1
        and high == size_of(symbol.space.cardinality, dims)
    ):
        return "categories count from 0: subtract 1 where they come from R, Julia or Stan"
    if kind == "positive" and low == 0:
        return "0 is not above 0: leave such rows out, or declare `real` where 0 makes sense"
    if kind in ("binary", "cat", "spin"):
        return (
            f"mend the data, or declare a `cat(k)` of {int(high) + 1} values"
            if kind == "cat" and low >= 0
            else "mend the data"
        )
    return "mend the data, or declare a wider space"


def _bounds_of(
    symbol: Symbol, dims: Mapping[str, int], values: Mapping[str, np.ndarray], diagnostics: Diagnostics
) -> tuple[Any, Any] | None:
    """The bounds of a space as numbers; (-inf, inf) where nothing is known of them; None after a diagnostic."""
    space = symbol.space
    needed = symbols(*space.bounds)
    if not needed:
        return space.low, space.high
    if any(s.key not in values for s in needed):
        return -np.inf, np.inf
    problems = problems_of(space.bounds, values, dims)
    if problems:
        diagnostics.found += problems
        return None
    with np.errstate(all="ignore"):
        given = iter(evaluate(space.bounds, {s: values[s.key] for s in needed}, dims, NUMPY))
    low, high = (np.asarray(next(given)) if isinstance(b, Expr) else np.asarray(b) for b in (space.low, space.high))
    wrong = ~(low < high)
    if wrong.any():
        where = _first(wrong)
        first, last = (float(np.broadcast_to(b, wrong.shape)[where]) for b in (low, high))
        diagnostics.add(
            "E0412", f"the bounds of {_entry(symbol.name, where)} are {first:g} and {last:g}", symbol.span,
            cause=f"`{symbol.name}` is {space}, and the lower bound comes first", fix="mend the data that bound it",
        )  # fmt: skip
        return None
    return low, high


def outside_space(space: Space, array: np.ndarray, dims: Mapping[str, int], bounds: tuple[Any, Any]) -> tuple[Any, str]:
    """(bool array of the entries, or events, that lie outside; what they should be), (None, "") where all is allowed.

    bounds: of an interval, as numbers or arrays.
    """
    kind = space.kind
    if kind in ("positive", "unit", "interval", "positive_ordered"):
        low, high = bounds if kind == "interval" else (0.0, 1.0 if kind == "unit" else np.inf)
        strict = kind in ("positive", "positive_ordered")
        bad = (array <= low) if strict else (array < low)
        bad = bad | (array > high)
        if kind == "positive_ordered" and array.shape[-1] > 1:
            bad = bad.any(-1) | (np.diff(array, axis=-1) <= 0).any(-1)
        return bad, {
            "positive": "above 0",
            "unit": "between 0 and 1",
            "positive_ordered": "positive and increasing",
        }.get(kind, f"between {show_bound(space.low)} and {show_bound(space.high)}")
    if kind == "ordered":
        return (np.diff(array, axis=-1) <= 0).any(-1), "increasing along its last axis"
    if kind == "simplex":
        return (array < 0).any(-1) | (
            np.abs(array.sum(-1) - 1) > 1e-6
        ), "on the simplex (entries at least 0 that sum to 1)"
    if space.info.square:
        return _no_factor(array, kind == "corr_cholesky")
    if kind == "spin":
        return (array != 1) & (array != -1), "-1 or 1"
    if kind in ("binary", "bool"):
        return (array != 0) & (array != 1), "0 or 1"
    if kind == "count":
        return array < 0, "at least 0"
    if kind == "cat" and space.cardinality is not None:
        k = size_of(space.cardinality, dims)
        if k is not None:
            return (array < 0) | (array >= k), f"between 0 and {k - 1}"
    return None, ""


REALS, INTEGERS = ("f4", "f8"), ("i1", "i2", "i4", "i8", "u1", "u2")
"""Types of numbers that mapped files may have."""

BLOCK = 1 << 20
"""Entries that are looked at at a time, of arrays that may be larger than memory."""


def outside_rows(symbol: Symbol, rows: np.ndarray, dims: Mapping[str, int]) -> list[Diagnostic]:
    """What is wrong with the first row that is no point of a symbol's space, whose bounds are numbers; nothing where none is."""
    step = max(1, BLOCK // max(1, prod(rows.shape[1:])))
    for start in range(0, rows.shape[0], step):
        part = np.asarray(rows[start : start + step])
        if part.dtype.kind == "f" and not (fine := np.isfinite(part)).all():
            where = _first(~fine)
            text = f"{_entry(symbol.name, (where[0] + start, *where[1:]))} is {part[where]}"
            return [Diagnostic("E0705", text, symbol.span, fix="give finite numbers; leave missing rows out")]
        bad, wanted = outside_space(symbol.space, part, dims, (symbol.space.low, symbol.space.high))
        if bad is not None and bad.any():
            where = _first(bad)
            value = part[where] if len(where) == part.ndim else part[where].tolist()
            text = f"{_entry(symbol.name, (where[0] + start, *where[1:]))} is {value}, and `{symbol.name}` is {wanted}"
            return [Diagnostic("E0704", text, symbol.span, fix=_into_space(symbol, part, dims))]
    return []


def _no_factor(array: np.ndarray, unit: bool) -> tuple[Any, str]:
    """Which matrices are no Cholesky factors, and what they should be."""
    above = (np.triu(array, 1) != 0).any((-2, -1))
    diagonal = (np.diagonal(array, axis1=-2, axis2=-1) <= 0).any(-1)
    rows = (np.abs(np.square(array).sum(-1) - 1.0) > 1e-6).any(-1) if unit else False
    wanted = "lower triangular with a positive diagonal"
    return above | diagonal | rows, wanted + (" and rows of length 1" if unit else "")


def _lets(program: Program, bound: Bound, diagnostics: Diagnostics) -> bool:
    """Top-level lets, in float64, those that others need first."""
    ready: set[str] = set()
    pending = list(reversed(program.lets))
    while pending:
        let = pending[-1]
        assert let.value is not None
        if let.key in ready:
            pending.pop()
            continue
        needs = [s for s in symbols(let.value) if isinstance(s, Let) and s.key not in ready]
        if needs:
            pending += needs
            continue
        problems = problems_of([let.value], bound.values, bound.dims)
        if problems:
            diagnostics.found += problems
            return False
        environment = plans([let.value], {s: bound.values[s.key] for s in symbols(let.value)}, bound.dims)
        with np.errstate(all="ignore"):
            bound.values[let.key] = np.asarray(evaluate([let.value], environment, bound.dims, NUMPY)[0])
        ready.add(let.key)
        pending.pop()
    return True


def bind_conditions(
    conditions: tuple[Condition, ...], given: Mapping[str, Any], bound: Bound, diagnostics: Diagnostics
) -> Bound | None:
    """Values of conditions beside the data, by the same rules."""
    wider = Bound(dict(bound.values), dict(bound.dims), dict(bound.origins))
    found = Bound({}, wider.dims, wider.origins)
    for condition in conditions:
        array = read_value(given[condition.name], condition, diagnostics)
        if array is not None and solve(condition, array, found, diagnostics):
            found.values[condition.key] = array
    if diagnostics.failed or not check_bound(conditions, found, {**bound.values, **found.values}, diagnostics):
        return None
    return found


def total_entries(spaces: list[Space], dims: Mapping[str, int]) -> int:
    """How many numbers all arrays of these spaces hold."""
    return sum(prod(d.evaluate(dims) for d in space.shape) for space in spaces)
