"""What the grammar allows at a place of a text, whatever comes after it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from energylang.diagnostics import Diagnostics
from energylang.source import Source
from energylang.syntax.build import Builder
from energylang.syntax.driver import Driver
from energylang.syntax.layout import Layout
from energylang.syntax.lexer import tokenize
from energylang.syntax.situation import Situation
from energylang.syntax.table import parser_table
from energylang.syntax.tokens import Token

CURSOR = "$CURSOR"


@dataclass(frozen=True)
class Cursor:
    """`tokens` are those before the place; `accepted` the kinds that may follow; `wanted` the rules that may begin."""

    tokens: tuple[Token, ...]
    accepted: frozenset[str]
    wanted: frozenset[str]

    def keywords(self) -> list[str]:
        """The reserved words that may stand here."""
        return sorted(word for word, kind in parser_table().keywords.items() if kind in self.accepted)


class _Reached(Exception):
    def __init__(self, place: int, states: list[int]):
        self.place = place
        self.states = states


class _Driver(Driver):
    """Parses up to the cursor, over errors before it."""

    def _recover(self, place: int, state_stack: list[int], *rest: Any) -> int:
        if self.tokens[place].kind == CURSOR:
            raise _Reached(place, list(state_stack))
        return super()._recover(place, state_stack, *rest)


def cursor_at(text: str, offset: int) -> Cursor | None:
    """What may stand at an offset, which is no part of a word; None inside comments and strings, and after errors."""
    source = Source("", text[:offset])
    ignored = Diagnostics()
    found = tokenize(source, ignored)
    line_start = text.rfind("\n", 0, offset) + 1
    if any(c.span.start >= line_start for c in found.comments) or _in_string(text[line_start:offset]):
        return None
    found.items.append(Token(CURSOR, "", offset, offset))
    layout = Layout(found, ignored).run()
    driver = _Driver(found, layout.tokens, Builder(found, ignored).rules(), ignored)
    try:
        driver.parse("module")
    except _Reached as reached:
        tokens = driver.tokens
        situation = Situation(source, tokens, reached.place, reached.place, reached.states, False)
        actions = parser_table().states[reached.states[-1]]
        wanted = frozenset(kind for kind in actions if not kind.isupper() and not kind.startswith("$"))
        return Cursor(tuple(tokens[: reached.place]), situation.accepted, wanted)
    return None


def _in_string(line: str) -> bool:
    return line.replace('\\"', "").count('"') % 2 == 1
