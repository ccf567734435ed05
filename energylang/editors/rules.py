"""How a text is highlighted: one list of rules, of which every highlighter is made.

The patterns are of the common part of Python's `re` and of Oniguruma, match within one line, and are tried in order.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from energylang.editors.vocabulary import vocabulary
from energylang.syntax.table import parser_table

Class = Literal[
    "comment", "string", "number", "declaration", "keyword", "word", "constant", "type", "builtin", "function", "module",
    "name", "punctuation", "operator", "blank",
]  # fmt: skip
"""`word`: and, or, not. `builtin`: functions and distributions of the language. `blank`: nothing to highlight."""


@dataclass(frozen=True, slots=True)
class Rule:
    """Text of one class; or of several, one for each group of the pattern."""

    pattern: str
    classes: tuple[Class, ...]


def rules() -> tuple[Rule, ...]:
    """The rules in the order they are tried. Every character of a model's text but a newline matches one."""
    words, table = vocabulary(), parser_table()
    name = r"[A-Za-z_][A-Za-z0-9_]*"
    called = r"(?=[ \t]*\()"
    spaces = _any(words.spaces)
    symbols = sorted(table.symbols, key=len, reverse=True)
    brackets = [s for s in symbols if s in "()[]{},:.|"]
    return (
        Rule(r"[ \t\r]+", ("blank",)),
        Rule(r"#[^\n]*", ("comment",)),
        Rule(table.patterns["STRING"], ("string",)),
        Rule(table.patterns["NUMBER"], ("number",)),
        Rule(
            rf"\b(distribution|energy|score|flow|constraint|fn|net)\b([ \t]+)({name})",
            ("declaration", "blank", "function"),
        ),
        Rule(rf"\b(import)\b([ \t]+)({name}(?:\.{name})*)", ("declaration", "blank", "module")),
        Rule(rf"\b(with)\b([ \t]+)({name})", ("keyword", "blank", "function")),
        Rule(rf"\b{_any(words.declarations)}\b", ("declaration",)),
        Rule(rf"\b{_any((*words.tasks, *words.controls))}\b", ("keyword",)),
        Rule(rf"\b{_any(words.operators)}\b", ("word",)),
        Rule(rf"\b{_any((*words.truths, *words.constants))}\b", ("constant",)),
        Rule(rf"(->)([ \t]*)({spaces})\b", ("operator", "blank", "type")),
        Rule(rf"(:)([ \t]*)({spaces})\b", ("punctuation", "blank", "type")),
        # The inputs of a net: `(real[2], real) -> real[2]`.
        Rule(rf"\b{spaces}\b(?=[^=\n]*->)", ("type",)),
        Rule(rf"\b{_any((*words.functions, *words.distributions, *words.forms))}\b{called}", ("builtin",)),
        Rule(rf"\b{name}\b{called}", ("function",)),
        Rule(rf"\b{name}\b", ("name",)),
        Rule(_any(s for s in symbols if s not in brackets and len(s) > 1), ("operator",)),
        Rule(_any(brackets), ("punctuation",)),
        Rule(_any(s for s in symbols if s not in brackets), ("operator",)),
    )


def _any(words: Iterable[str]) -> str:
    """A pattern of any of these, the longest first."""
    return f"(?:{'|'.join(re.escape(word) for word in sorted(words, key=lambda w: (-len(w), w)))})"
