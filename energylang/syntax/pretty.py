"""Text that finds its own line breaks: documents of groups that fit on a line or are broken.

After Wadler's "A prettier printer" and Oppen's algorithm, with what comments need: a `Suffix` waits for the end of its
line, and whatever holds a comment is broken.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

WIDTH = 100
INDENT = 2


@dataclass(frozen=True, slots=True)
class Line:
    """A newline, or `flat` where its group fits on one line."""

    flat: str
    hard: bool = False


LINE = Line(" ")
SOFT = Line("")
HARD = Line("", hard=True)


@dataclass(frozen=True, slots=True)
class Fresh:
    """A newline unless the line is still empty."""


@dataclass(frozen=True, slots=True)
class Suffix:
    """A comment to put at the end of the line."""

    text: str


@dataclass(slots=True)
class Group:
    """Lines of a group are all flat or all broken; lines of groups inside decide for themselves."""

    parts: Sequence[Doc]
    breaks: bool = field(init=False)
    ends_in_suffix: bool = field(init=False)

    def __post_init__(self) -> None:
        self.breaks, self.ends_in_suffix = _scan(self.parts)


@dataclass(slots=True)
class Nest:
    """Lines inside are indented."""

    parts: Sequence[Doc]
    breaks: bool = field(init=False)
    ends_in_suffix: bool = field(init=False)

    def __post_init__(self) -> None:
        self.breaks, self.ends_in_suffix = _scan(self.parts)


Doc: TypeAlias = "str | Line | Fresh | Suffix | Group | Nest | Sequence[Doc]"


def _scan(parts: Sequence[Doc]) -> tuple[bool, bool]:
    """Whether parts must be broken, and whether they end in a comment.

    A comment breaks what it stands in, so that it stays beside what it is about, but not what it follows.
    """
    stack: list[Doc] = list(reversed(parts))
    waiting = False
    while stack:
        doc = stack.pop()
        if isinstance(doc, Line):
            if doc.hard:
                return True, False
        elif isinstance(doc, Fresh):
            return True, False
        elif isinstance(doc, Suffix):
            waiting = True
        elif isinstance(doc, (str, Group, Nest)):
            if waiting and doc != "":
                return True, False
            if not isinstance(doc, str):
                if doc.breaks:
                    return True, False
                waiting = doc.ends_in_suffix
        else:
            stack.extend(reversed(doc))
    return False, waiting


def ends_in_suffix(doc: Doc) -> bool:
    """Whether a comment ends a document, so that nothing can stand beside it."""
    return _scan([doc])[1]


def layout(doc: Doc) -> str:
    """The text of a document, every line without trailing blanks."""
    out: list[str] = []
    suffixes: list[str] = []
    column = 0
    stack: list[tuple[int, bool, Doc]] = [(0, False, doc)]

    def newline(indent: int) -> None:
        nonlocal column
        line_end = "".join(suffixes)
        suffixes.clear()
        while out and out[-1] == " ":
            out.pop()
        out.append(line_end + "\n" + " " * indent)
        column = indent

    while stack:
        indent, flat, item = stack.pop()
        if isinstance(item, str):
            out.append(item)
            column += len(item)
        elif isinstance(item, Line):
            if flat and not item.hard:
                out.append(item.flat)
                column += len(item.flat)
            else:
                newline(indent)
        elif isinstance(item, Suffix):
            suffixes.append("  " + item.text)
        elif isinstance(item, Fresh):
            if suffixes or column > indent:
                newline(indent)
        elif isinstance(item, Nest):
            stack.extend((indent + INDENT, flat, part) for part in reversed(item.parts))
        elif isinstance(item, Group):
            fits = not item.breaks and (flat or _fits(WIDTH - column, indent, item, stack))
            stack.extend((indent, fits, part) for part in reversed(item.parts))
        else:
            stack.extend((indent, flat, part) for part in reversed(item))
    newline(0)
    lines = (line.rstrip() for line in "".join(out).split("\n"))
    return "\n".join(lines).strip("\n") + "\n"


def _fits(room: int, indent: int, group: Group, rest: list[tuple[int, bool, Doc]]) -> bool:
    """Whether a group and what follows up to the next possible line break take at most `room` columns."""
    following = len(rest)
    stack: list[tuple[bool, Doc]] = [(True, group.parts)]
    while room >= 0:
        if not stack:
            if following == 0:
                return True
            following -= 1
            stack.append((rest[following][1], rest[following][2]))
        flat, item = stack.pop()
        if isinstance(item, str):
            room -= len(item)
        elif isinstance(item, Line):
            if item.hard or not flat:
                return True
            room -= len(item.flat)
        elif isinstance(item, Fresh):
            return True
        elif isinstance(item, (Nest, Group)):
            stack.extend((flat, part) for part in reversed(item.parts))
        elif not isinstance(item, Suffix):
            stack.extend((flat, part) for part in reversed(item))
    return False
