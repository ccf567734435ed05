"""Why a token cannot stand where it stands, in the user's words."""

from __future__ import annotations

from typing import NamedTuple

from energylang.diagnostics import Edit, Label
from energylang.source import Source
from energylang.syntax.tokens import Token


class Situation(NamedTuple):
    """An error at `tokens[place]`, in the statement or declaration that begins at `tokens[first]`."""

    source: Source
    tokens: list[Token]
    place: int
    first: int
    states: list[int]
    in_block: bool

    @property
    def found(self) -> Token:
        return self.tokens[self.place]


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


def explain(situation: Situation) -> Finding:
    return Finding("E0106", f"unexpected `{situation.found.text}`")
