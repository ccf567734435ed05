"""Where the parser stands when it meets an error, and what it could have gone on with."""

from __future__ import annotations

from functools import cached_property
from typing import NamedTuple

from energylang.diagnostics import Edit, Label
from energylang.source import Source, Span
from energylang.syntax.layout import DECLARATION_WORDS
from energylang.syntax.table import parser_table
from energylang.syntax.tokens import END, NEWLINE, Token

COMPARISONS = frozenset({"EQUAL_EQUAL", "NOT_EQUAL", "LESS", "LESS_EQUAL", "GREATER", "GREATER_EQUAL"})
OPERATORS = COMPARISONS | frozenset(
    {"PLUS", "MINUS", "STAR", "SLASH", "SLASH_SLASH", "PERCENT", "AT", "CARET", "AND", "OR", "_PIPE"}
)
_PREFIXES = frozenset(
    {"NUMBER", "STRING", "TRUE", "FALSE", "NAME", "MINUS", "PLUS", "NOT", "_IF", "_FN", "_LEFT_PARENTHESIS"}
    | {"_LEFT_BRACKET"}
)
_WORDS = {
    "NAME": "a name",
    "NUMBER": "a number",
    "STRING": "a string",
    NEWLINE: "a new line",
    END: "the end of the file",
}


class Finding(NamedTuple):
    """What to report; `start` and `end` default to the token that was found."""

    code: str
    message: str
    start: int = 0
    end: int = 0
    label: str = ""
    related: tuple[Label, ...] = ()
    cause: str = ""
    fix: str = ""
    edit: Edit | None = None


class Situation:
    """An error at `tokens[place]`, in the statement or declaration that begins at `tokens[first]`.

    `states` is the parser's stack; `in_block` tells statements from declarations.
    """

    def __init__(self, source: Source, tokens: list[Token], place: int, first: int, states: list[int], in_block: bool):
        self.source = source
        self.tokens = tokens
        self.place = place
        self.first = first
        self.in_block = in_block
        self._states = states

    @property
    def found(self) -> Token:
        """The token that cannot stand here."""
        return self.tokens[self.place]

    @property
    def previous(self) -> Token:
        """The token before it, or itself at the beginning of the text."""
        return self.tokens[max(self.place - 1, 0)]

    @property
    def following(self) -> Token:
        return self.tokens[min(self.place + 1, len(self.tokens) - 1)]

    @property
    def at_start(self) -> bool:
        """Whether a statement or declaration was about to begin."""
        return self.accepts("_LET")

    def span(self, token: Token, start: int | None = None) -> Span:
        return Span(self.source, token.start if start is None else start, token.end)

    def text(self, start: int, end: int) -> str:
        return self.source.text[start:end]

    def insert(self, offset: int, text: str) -> Edit:
        return Edit(Span(self.source, offset, offset), text)

    def line(self) -> list[Token]:
        """The tokens from the one found to the end of its line."""
        place = self.place
        while self.tokens[place].kind not in (NEWLINE, END):
            place += 1
        return self.tokens[self.place : place]

    # --- what could stand here -----------------------------------------------------------------------------------

    @cached_property
    def accepted(self) -> frozenset[str]:
        """The kinds of token that could stand here."""
        table = parser_table()
        return frozenset(kind for kind in table.states[self._states[-1]] if kind.isupper() and self._leads_on(kind))

    def accepts(self, kind: str) -> bool:
        return kind in self.accepted

    def _leads_on(self, kind: str) -> bool:
        """Whether a token of this kind would be taken, once the reductions it calls for are made."""
        table = parser_table()
        stack = list(self._states)
        while True:
            action = table.states[stack[-1]].get(kind)
            if action is None:
                return False
            if action >= 0:
                return True
            rule = table.rules[~action]
            if rule.length:
                del stack[-rule.length :]
            stack.append(table.states[stack[-1]][rule.origin])
            if kind == END and stack[-1] in table.ends.values():
                return True

    def expected(self) -> str:
        """What could stand here, as an enumeration in words."""
        rest = set(self.accepted)
        names = []
        if "_CONST" in rest:
            return "a declaration"
        if "_REPORT" in rest:
            names.append("a statement")
            rest -= _PREFIXES | DECLARATION_WORDS | {"_REPORT", "_PLUS_EQUAL", "_LET"}
        elif "NUMBER" in rest:
            names.append("an expression")
            rest -= _PREFIXES
            rest -= {"_FOR"}
        elif "CARET" in rest or "_LEFT_BRACKET" in rest:
            rest -= OPERATORS | {"_LEFT_PARENTHESIS", "_LEFT_BRACKET", "_DOT"}
        if len(rest) > 1:
            rest.discard("_DOT")
        names += sorted(map(_name, rest), key=lambda name: (not name.startswith("a "), name))
        names = names or ["something else"]
        return names[0] if len(names) == 1 else ", ".join(names[:-1]) + " or " + names[-1]

    def describe_found(self) -> str:
        token = self.found
        if token.kind == NEWLINE:
            return "the end of the line"
        return _WORDS[token.kind] if token.kind in (END, "STRING") else f"`{token.text}`"


def _name(kind: str) -> str:
    """A kind of token in the user's words."""
    if kind in _WORDS:
        return _WORDS[kind]
    table = parser_table()
    for texts in (table.symbols, table.keywords):
        for text, name in texts.items():
            if name == kind:
                return f"`{text}`"
    return kind.strip("_").lower()
