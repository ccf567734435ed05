"""Text → tokens and comments, by the terminals of the grammar."""

from __future__ import annotations

import re
from functools import cache

from energylang.diagnostics import Diagnostics
from energylang.source import Source, Span
from energylang.syntax.ast import Comment
from energylang.syntax.foreign import FOREIGN, mend_character, mend_foreign
from energylang.syntax.table import parser_table
from energylang.syntax.tokens import NEWLINE, Token, Tokens


@cache
def _scanner() -> re.Pattern[str]:
    table = parser_table()
    symbols = "|".join(re.escape(symbol) for symbol in sorted(table.symbols, key=len, reverse=True))
    # One word pattern and a look-up beat forty keyword patterns; `NAME` of the grammar excludes keywords as the
    # look-up does.
    return re.compile(
        rf"[ \t\r]*+(?:(?P<newline>\n)|(?P<comment>\#[^\n]*)|(?P<word>[A-Za-z_][A-Za-z0-9_]*)|{FOREIGN}"
        rf"|(?P<number>{table.patterns['NUMBER']})|(?P<string>{table.patterns['STRING']})|(?P<symbol>{symbols}))"
    )


def tokenize(source: Source, diagnostics: Diagnostics) -> Tokens:
    """Split a source into tokens, newlines included; every stray character or foreign spelling is one finding."""
    table = parser_table()
    keywords, symbols = table.keywords, table.symbols
    text = source.text
    found = Tokens(source)
    items = found.items
    match = _scanner().match
    place, length, line_is_blank = 0, len(text), True
    while place < length:
        hit = match(text, place)
        if hit is None:
            while place < length and text[place] in " \t\r":
                place += 1
            if place == length:
                break
            place, line_is_blank = mend_character(found, place, diagnostics), False
            continue
        kind, end = str(hit.lastgroup), hit.end()
        place = hit.start(kind)
        if kind == "word":
            word = hit.group(kind)
            items.append(Token(keywords.get(word, "NAME"), word, place, end))
        elif kind == "symbol":
            symbol = hit.group(kind)
            items.append(Token(symbols[symbol], symbol, place, end))
        elif kind == "number":
            items.append(Token("NUMBER", hit.group(kind), place, end))
        elif kind == "string":
            items.append(Token("STRING", hit.group(kind), place, end))
        elif kind == "newline":
            items.append(Token(NEWLINE, "\n", place, end))
        elif kind == "comment":
            words = text[place + 1 : end].rstrip()
            found.comments.append(Comment(Span(source, place, place + 1 + len(words)), words, line_is_blank))
        else:
            end = mend_foreign(found, kind, place, end, diagnostics)
        line_is_blank = kind == "newline"
        place = end
    return found
