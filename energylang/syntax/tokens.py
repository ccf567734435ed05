"""Tokens, and what is known about a text once it has been split into them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from energylang.diagnostics import Diagnostics, Edit, Label
from energylang.source import Source, Span
from energylang.syntax.ast import Comment

NEWLINE = "_NEWLINE"
END = "$END"

FINDINGS_LIMIT = 100
"""A text with more mistakes than this is not a model; the rest are not reported."""


class Token(NamedTuple):
    """A terminal of the grammar; `text` differs from the source's only where a mistake was mended."""

    kind: str
    text: str
    start: int
    end: int


@dataclass
class Tokens:
    """What a text consists of.

    `troubles` are the offsets of findings that leave the tokens in doubt: the parser reports nothing right after them.
    """

    source: Source
    items: list[Token] = field(default_factory=list)
    comments: list[Comment] = field(default_factory=list)
    troubles: list[int] = field(default_factory=list)
    findings: int = 0

    def mistake(
        self,
        diagnostics: Diagnostics,
        code: str,
        message: str,
        start: int,
        end: int,
        *,
        label: str = "",
        related: tuple[Label, ...] = (),
        cause: str = "",
        fix: str = "",
        replacement: str | None = None,
        mended: bool = False,
    ) -> None:
        """Record a finding about the characters from `start` to `end`.

        `replacement` mends them in the text; `mended` says that the tokens are already as if it had been made.
        """
        if not mended:
            self.troubles.append(start)
        self.findings += 1
        if self.findings > FINDINGS_LIMIT:
            return
        span = Span(self.source, start, end)
        edit = None if replacement is None else Edit(span, replacement)
        diagnostics.add(code, message, span, label=label, related=related, cause=cause, fix=fix, edit=edit)
