"""Default values of data against their declarations: what needs no file to be seen to be wrong."""

from __future__ import annotations

from collections.abc import Iterator

from energylang.check.constants import evaluate
from energylang.check.context import Context
from energylang.diagnostics import Label
from energylang.ir.types import Space
from energylang.syntax import ast

Place = tuple[int, ...]


def fitting_default(context: Context, name: ast.Identifier, space: Space, node: ast.Expression) -> bool:
    """Whether axes of known size have it, and every number lies in the space; False after a diagnostic.

    Dims with names, events (simplexes, ordered vectors) and bounds that vary are looked at when the data are bound.
    """
    return _sizes(context, name, space, node) and _values(context, name, space, node)


def _sizes(context: Context, name: ast.Identifier, space: Space, node: ast.Expression) -> bool:
    axis = node
    for number, dim in enumerate(space.shape):
        if not isinstance(axis, ast.Array):
            return True
        wanted, found = dim.constant, len(axis.items)
        if wanted is not None and wanted != found:
            entries = "1 entry" if found == 1 else f"{found} entries"
            context.error(
                "E0703", f"axis {number} of `{name.text}` has {entries}, and should have {wanted}", axis.span,
                related=[Label(name.span, f"`{name.text}` is {space}")],
                fix=f"give {wanted} entries, or change the declaration",
            )  # fmt: skip
            return False
        if not axis.items:
            return True
        axis = axis.items[0]
    return True


def _values(context: Context, name: ast.Identifier, space: Space, node: ast.Expression) -> bool:
    low, high = space.range.number_low(), space.range.number_high()
    strict = space.kind in ("positive", "positive_ordered")
    if space.bounds or (low is None and high is None):
        return True
    for place, item in _entries(node, ()):
        value = evaluate(context, item, quiet=True)
        if value is None:
            continue
        below = low is not None and (value < low or (strict and value == low))
        above = high is not None and value > high
        between = space.kind == "spin" and value == 0
        if below or above or between:
            entry = f"{name.text}[{', '.join(map(str, place))}]" if place else name.text
            context.error(
                "E0704", f"`{entry}` is {value}, and `{name.text}` is {_words(space, low, high, strict)}", item.span,
                related=[Label(name.span, f"`{name.text}` is {space}")],
                fix=_mend(context, space, node, high),
            )  # fmt: skip
            return False
    return True


def _mend(context: Context, space: Space, node: ast.Expression, high: float | None) -> str:
    """What to do about values outside a space."""
    if space.kind != "cat" or high is None:
        return "mend the data, or declare a wider space"
    values = [v for _, item in _entries(node, ()) if (v := evaluate(context, item, quiet=True)) is not None]
    if min(values) >= 1 and max(values) == high + 1:
        return "categories count from 0: subtract 1, or give `cat` one value more"
    return (
        "mend the data"
        if min(values) < 0
        else f"mend the data, or declare {max(values) + 1:g} values instead of {high + 1:g}"
    )


def _entries(node: ast.Expression, place: Place) -> Iterator[tuple[Place, ast.Expression]]:
    if not isinstance(node, ast.Array):
        yield place, node
        return
    for number, item in enumerate(node.items):
        yield from _entries(item, (*place, number))


def _words(space: Space, low: float | None, high: float | None, strict: bool) -> str:
    if space.kind == "spin":
        return "-1 or 1"
    if low is None or high is None:
        limit, word = (low, "above" if strict else "at least") if low is not None else (high, "at most")
        return f"{word} {limit:g}"
    return f"between {low:g} and {high:g}"
