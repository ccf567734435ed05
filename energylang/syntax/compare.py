"""Whether two trees say the same, wherever they stand."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any

from energylang.source import Source, Span


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
            names = (field.name for field in fields(one) if field.name != "comments")
            stack.extend((getattr(one, name), getattr(other, name)) for name in names)
        elif one != other:
            return False
    return True
