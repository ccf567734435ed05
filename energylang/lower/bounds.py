"""What can only be said of expressions when data are known: sizes beyond memory, reductions of nothing, indices outside.

`values` are data, lets and conditions by `Symbol.key`, `dims` sizes by name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import inf, prod
from typing import Any

import numpy as np

from energylang.datafiles import memory
from energylang.diagnostics import Diagnostic
from energylang.ir.nodes import Apply, Condition, Data, Expr, Law, Let, Literal, Trajectory, symbols, walk
from energylang.ir.types import Dim
from energylang.lower.evaluate import evaluate
from energylang.lower.operations import NUMPY

_MEMORY = memory() or 2**36
MOST_ENTRIES = _MEMORY // 8
"""Arrays beyond this many numbers are refused before anything is allocated."""
MOST_SITES = _MEMORY // 128
"""Discrete sites beyond this: codes, gains, colours, index tables and their checks take about 128 bytes each."""


def problems_of(roots: Sequence[Expr], values: Mapping[str, Any], dims: Mapping[str, int]) -> list[Diagnostic]:
    """What makes an expression of data impossible to compute."""
    return too_large(roots, dims) or empty_reductions(roots, dims) or wrong_values(roots, values, dims)


def wrong_values(roots: Sequence[Expr], values: Mapping[str, Any], dims: Mapping[str, int]) -> list[Diagnostic]:
    """Where data decide what has no meaning."""
    return negative_sizes(roots, dims) or wrong_indices(roots, values, dims) or wrong_times(roots, values, dims)


def _summands(energy: Expr) -> Iterator[Apply]:
    """What an energy adds up: where one of it is infinite, so is the whole. A component of a mixture is none."""
    pending = [energy]
    while pending:
        node = pending.pop()
        if isinstance(node, Apply):
            yield node
            if node.operation in ("add", "sum"):
                pending.extend(node.arguments)
            elif node.operation == "sub":
                pending.append(node.arguments[0])


def impossible(observations: Sequence[Law], values: Mapping[str, Any], dims: Mapping[str, int]) -> list[Diagnostic]:
    """Data that a distribution gives no density, whatever the variables are: more successes than trials."""
    found = []
    for law in observations:
        for node in _summands(law.energy):
            if node.operation != "where":
                continue
            condition, *branches = node.arguments
            inputs = symbols(condition)
            known = inputs and all(isinstance(s, Data | Let | Condition) and s.key in values for s in inputs)
            never = [isinstance(b, Literal) and b.value == inf for b in branches]
            if not known or not any(never):
                continue
            environment = {s: values[s.key] for s in symbols(condition, law.target) if s.key in values}
            with np.errstate(all="ignore"):
                taken, target = (np.asarray(v) for v in evaluate([condition, law.target], environment, dims, NUMPY))
            bad = taken if never[0] else ~taken
            if bad.any():
                place = tuple(int(axis[0]) for axis in np.nonzero(np.atleast_1d(bad)))
                value = target[place[: target.ndim]] if target.ndim else target
                name = law.name if law.whole else law.target.span.text
                shown = f"{name}[{', '.join(map(str, place))}]" if bad.ndim else name
                count = f"{int(bad.sum())} of {bad.size} entries are so" if bad.size > 1 else ""
                found.append(
                    Diagnostic(
                        "E0704", f"`{shown}` is {value}, which has no density here", law.span, cause=count,
                        fix="mend the data, or what bounds them",
                    )
                )  # fmt: skip
                break
    return found


def negative_sizes(roots: Sequence[Expr], dims: Mapping[str, int]) -> list[Diagnostic]:
    """`for i in n - 2` where n is 1."""
    for expr in walk(*roots):
        if isinstance(expr, Apply) and expr.operation == "iota":
            size = expr.attributes[0].evaluate(dims)
            if size < 0:
                return [
                    Diagnostic(
                        "E0306", f"an axis cannot have size {size}, as `{expr.attributes[0]}` is here", expr.span
                    )
                ]
    return []


def wrong_times(roots: Sequence[Expr], values: Mapping[str, Any], dims: Mapping[str, int]) -> list[Diagnostic]:
    """Times of differential equations that data decide."""
    found = []
    for expr in walk(*roots):
        if not isinstance(expr, Trajectory):
            continue
        _, times, origin = expr.arguments
        known = [_known(e, values, dims) for e in (times, origin)]
        if known[0] is None or not known[0].size:
            continue
        late = known[1] is not None and known[0][0] < known[1]
        if late or np.any(np.diff(known[0]) < 0):
            found.append(
                Diagnostic(
                    "E0311", f"the times begin at {known[0][0]:g}, before the start at {known[1]:g}" if late else "the times of an `ode` must increase",
                    times.span, fix="give the time of the start: `t0 = …`" if late else "sort the data by time",
                )
            )  # fmt: skip
    return found


def _known(expr: Expr, values: Mapping[str, Any], dims: Mapping[str, int]) -> np.ndarray | None:
    """The value of an expression of data; None where more than data decide it."""
    inputs = symbols(expr)
    if not all(isinstance(s, Data | Let | Condition) and s.key in values for s in inputs):
        return None
    with np.errstate(all="ignore"):
        return np.asarray(evaluate([expr], {s: values[s.key] for s in inputs}, dims, NUMPY)[0])


def too_large(roots: Sequence[Expr], dims: Mapping[str, int]) -> list[Diagnostic]:
    """The first expression below the roots whose value would exceed memory."""
    for expr in walk(*roots):
        size = prod(d.evaluate(dims) for d in expr.type.shape if d.names <= dims.keys())
        if size > MOST_ENTRIES:
            return [Diagnostic("E0708", f"this has {size:,} entries", expr.span, fix="make its dims smaller")]
    return []


def empty_reductions(roots: Sequence[Expr], dims: Mapping[str, int]) -> list[Diagnostic]:
    """`max`, `min` and `mean` over axes without entries: they have no value."""
    found = []
    for expr in walk(*roots):
        if isinstance(expr, Apply) and expr.operation in ("max", "min", "mean"):
            shape = expr.arguments[0].type.shape
            if any(shape[axis].evaluate(dims) == 0 for axis in expr.attributes):
                found.append(
                    Diagnostic(
                        "E0303",
                        f"the `{expr.operation}` of no entries has no value",
                        expr.span,
                        cause="this array is empty",
                    )
                )
    return found


def wrong_indices(roots: Sequence[Expr], values: Mapping[str, Any], dims: Mapping[str, int]) -> list[Diagnostic]:
    """Indices and slices that data decide, against the axes they index."""
    found = []
    for expr in walk(*roots):
        if not isinstance(expr, Apply) or expr.operation != "index":
            continue
        base, *indices = expr.arguments
        places = [axis for axis, item in enumerate(expr.attributes) if item[0] == "at"]
        for axis, index in zip(places, indices, strict=True):
            size = base.type.shape[axis].evaluate(dims)
            wrong = _outside(index, size, values, dims)
            if wrong is not None:
                found.append(
                    Diagnostic(
                        "E0709", f"the index is {wrong}, and the axis has {size} entries (0 to {size - 1})", index.span,
                        fix="indices count from 0: subtract 1 if they come from R, Julia or Stan",
                    )
                )  # fmt: skip
        for axis, item in enumerate(expr.attributes):
            if item[0] == "slice":
                size = base.type.shape[axis].evaluate(dims)
                start, stop = item[1].evaluate(dims), item[2].evaluate(dims)
                if not 0 <= start <= stop <= size:
                    found.append(
                        Diagnostic(
                            "E0304",
                            f"the slice {start}:{stop} reaches outside an axis of size {size}",
                            expr.span,
                            cause="slices are never clamped",
                            fix=f"keep both ends between 0 and {size}",
                        )
                    )
    return found


def _outside(index: Expr, size: int, values: Mapping[str, Any], dims: Mapping[str, int]) -> int | None:
    """A value of an index outside its axis; indices of variables lie in a range that the checker knows."""
    known = _known(index, values, dims)
    if known is not None:
        wrong = known[(known < -size) | (known >= size)]
        return int(wrong.flat[0]) if wrong.size else None
    low, high = index.range.low, index.range.high
    if isinstance(low, Dim) and isinstance(high, Dim) and low.names | high.names <= dims.keys():
        first, last = low.evaluate(dims), high.evaluate(dims)
        if first < 0 or last < first:
            return first if first < 0 else last
        if last >= size:
            return last
    return None
