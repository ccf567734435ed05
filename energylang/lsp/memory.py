"""What earlier looks at a text found out about its declarations, for those that an edit leaves as they were.

A declaration with which nothing is wrong means the same again where its own text and the texts of everything that it
leads to, by the words in it, are the same again: then it is not read, and its meanings are taken over to where it stands
now. Whatever is read after all needs the energies it is made of, so these are read as well. Consts, data and the other
values are read at every look.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from energylang.check.context import Found, Poison
from energylang.check.recorder import Recorder
from energylang.check.spaces import names_in
from energylang.ir.nodes import Expr
from energylang.source import Source, Span
from energylang.syntax import ast

Key = tuple[int, tuple[str, ...]]
"""Which it is among a declaration and all that it leads to, and the texts of these from the top to the end."""

_WORD = re.compile(r"[A-Za-z_]\w*")


class Superseded(Exception):
    """A newer text has come; nobody waits for this look any more."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What reading a declaration found: the calls it expanded, and each meaning with the characters it is of.

    These are counted from the declaration they stand in, which is given by its place in the key.
    """

    meanings: list[tuple[int, int, int, Expr]]
    calls: int


@dataclass
class Memory:
    """The readings of one text's declarations, the latest used last; `others` are the texts of what it imports."""

    others: tuple[str, ...] = ()
    readings: dict[Key, Reading] = field(default_factory=dict)
    words: dict[str, frozenset[str]] = field(default_factory=dict)
    """Those in the text of each declaration."""


class Look(Recorder):
    """Takes down the meanings of one look; leaves out of it what the memory has."""

    def __init__(self, source: Source, superseded: Callable[[], bool], memory: Memory):
        self.source = source
        self.memory = memory
        self.meanings: dict[tuple[int, int], list[Expr]] = {}
        self.modules: dict[str, ast.Module] = {}
        self.calls = 0
        """How many calls the whole text expands."""
        self._superseded = superseded
        self._plan = _Plan((), memory)
        if superseded():
            raise Superseded
        self._open: list[tuple[int, list[tuple[int, int, Expr]], list[bool]]] = []

    def begins(self, module: ast.Module, imported: dict[str, ast.Module], sources: Sequence[Source]) -> None:
        self.modules = imported
        others = tuple(source.text for source in sources if source is not self.source)
        if others != self.memory.others:
            self.memory.others = others
            self.memory.readings.clear()
        self._plan = _Plan(module.declarations, self.memory)

    def meaning(self, span: Span, meaning: Found) -> None:
        if self._superseded():
            raise Superseded
        if isinstance(meaning, Poison) or span.source is not self.source:
            return
        self.meanings.setdefault((span.start, span.end), []).append(meaning)
        if self._open:
            self._open[-1][1].append((span.start, span.end, meaning))

    def known(self, declaration: ast.AnyDeclaration) -> int | None:
        plan = self._plan
        number = plan.numbers.get(id(declaration), -1)
        if number not in plan.spared:
            return None
        reading = self.memory.readings[plan.spared[number]]
        starts = [plan.starts[n] for n in plan.reached[number]]
        for place, start, end, meaning in reading.meanings:
            self.meanings.setdefault((starts[place] + start, starts[place] + end), []).append(meaning)
        return reading.calls

    def reads(self, declaration: ast.AnyDeclaration) -> None:
        for _, _, nested in self._open:
            nested.append(True)
        self._open.append((self._plan.numbers.get(id(declaration), -1), [], []))

    def has_read(self, declaration: ast.AnyDeclaration, right: bool, calls: int) -> None:
        number, meanings, nested = self._open.pop()
        # What was read in the midst of another has meanings of its own, and a turn of its own the next time.
        if number < 0 or not right or nested:
            return
        placed = self._plan.placed(number, meanings)
        key = self._plan.keys[number]
        if key is not None and placed is not None:
            self.memory.readings[key] = Reading(placed, calls)

    def ends(self, calls: int) -> None:
        self.calls = calls
        memory, plan = self.memory, self._plan
        for key in dict.fromkeys(plan.spared.values()):
            memory.readings[key] = memory.readings.pop(key)
        # Enough for what a declaration was before the edit, and before that.
        for key in list(memory.readings)[: max(0, len(memory.readings) - 3 * len(plan.keys))]:
            del memory.readings[key]
        memory.words = {text: memory.words[text] for text in plan.texts}


class _Plan:
    """The declarations of a text by number: what each leads to, and which of them need not be read."""

    def __init__(self, declarations: Sequence[ast.AnyDeclaration], memory: Memory):
        self.numbers = {id(declaration): number for number, declaration in enumerate(declarations)}
        self.starts = [declaration.span.start for declaration in declarations]
        self.ends = [declaration.span.end for declaration in declarations]
        self.texts = [declaration.span.text for declaration in declarations]
        declared: dict[str, set[int]] = {}
        for number, declaration in enumerate(declarations):
            for name in _declares(declaration):
                declared.setdefault(name, set()).add(number)
        uses: list[set[int]] = []
        for text in self.texts:
            words = memory.words.get(text)
            if words is None:
                words = memory.words[text] = frozenset(_WORD.findall(text))
            uses.append({number for word in words if word in declared for number in declared[word]})
        self.reached = [_reached([number], uses) for number in range(len(declarations))]
        # A constraint counts in tasks that do not name it: with one in the text nothing is remembered.
        constrained = any(isinstance(d, ast.Energy) and d.kind == "constraint" for d in declarations)
        self.keys = [
            (reached.index(number), tuple(self.texts[n] for n in reached))
            if not constrained and self._apart(reached, declarations)
            else None
            for number, reached in enumerate(self.reached)
        ]
        found = {
            number: key
            for number, (key, declaration) in enumerate(zip(self.keys, declarations, strict=True))
            if isinstance(declaration, ast.Energy | ast.Fn | ast.Task) and key is not None and key in memory.readings
        }
        needed = set(_reached([n for n in range(len(declarations)) if n not in found], uses))
        self.spared = {number: key for number, key in found.items() if number not in needed}

    @staticmethod
    def _apart(numbers: Iterable[int], declarations: Sequence[ast.AnyDeclaration]) -> bool:
        """Whether each begins its line: whatever stands before it in a text, its own characters then mean the same."""
        spans = [declarations[number].span for number in numbers]
        return all(span.start == 0 or span.source.text[span.start - 1] == "\n" for span in spans)

    def placed(self, number: int, meanings: list[tuple[int, int, Expr]]) -> list[tuple[int, int, int, Expr]] | None:
        """Meanings by the declarations that they stand in; None where one stands elsewhere."""
        places = {n: place for place, n in enumerate(self.reached[number])}
        placed = []
        for start, end, meaning in meanings:
            around = bisect_right(self.starts, start) - 1
            if around not in places or end > self.ends[around]:
                return None
            placed.append((places[around], start - self.starts[around], end - self.starts[around], meaning))
        return placed


def _declares(declaration: ast.AnyDeclaration) -> list[str]:
    """The names that others may use for what a declaration declares."""
    match declaration:
        case ast.Import(path=path, alias=alias):
            return [(alias or path[-1]).text]
        case ast.Let(names=names):
            return [name.text for name in names]
        case ast.Data(name=name, type=type):
            # Data give the dims of their arrays a value.
            return [name.text, *(text for dim in type.dims for text in names_in(dim))]
        case ast.Task():
            return []
    return [declaration.name.text]


def _reached(begin: list[int], uses: list[set[int]]) -> list[int]:
    """Those to begin with and all that these lead to, in order."""
    found, pending = set(begin), list(begin)
    while pending:
        new = uses[pending.pop()] - found
        found |= new
        pending += new
    return sorted(found)
