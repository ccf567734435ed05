"""Whether two trees say the same, wherever they stand."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any

from energylang.source import Source, Span


@cache
def _names(node: Any) -> tuple[str, ...]:
    """The fields of a class of nodes that are compared."""
    return tuple(field.name for field in fields(node) if field.name not in ("comments", "span"))


def same(left: Any, right: Any) -> bool:
    """Whether two nodes, or tuples of nodes, are equal but for spans, sources and comments.

    Walks by a loop, since sums may lean as deep as they are long.
    """
    stack = [(left, right)]
    while stack:
        one, other = stack.pop()
        if one.__class__ is not other.__class__:
            return False
        if isinstance(one, (Span, Source)):
            continue
        if isinstance(one, tuple):
            if len(one) != len(other):
                return False
            stack.extend(zip(one, other, strict=True))
        elif is_dataclass(one):
            stack.extend((getattr(one, name), getattr(other, name)) for name in _names(type(one)))
        elif one != other:
            return False
    return True
