"""No text whatever makes the parser, the renderer or the formatter fail."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from energylang.diagnostics import DiagnosticError, Diagnostics
from energylang.render import render, to_json
from energylang.source import Source
from energylang.syntax.parser import parse
from energylang.syntax.read import decode_source
from energylang.syntax.table import parser_table
from tests.syntax.examples import EXAMPLES

_ALL = "\n".join(EXAMPLES.values())


def check(source: Source) -> None:
    diagnostics = Diagnostics()
    parse(source, diagnostics)
    for found in diagnostics.found:
        assert found.span is not None
        assert 0 <= found.span.start <= found.span.end <= len(source.text)
        to_json(found)
    shown = render(diagnostics.found, color=False)
    assert all(c == "\n" or c.isprintable() for c in shown)


@settings(derandomize=True, max_examples=300, deadline=None)
@given(st.binary(max_size=200))
def test_bytes(content):
    try:
        source = decode_source(content, "bytes")
    except DiagnosticError:
        return
    check(source)


@settings(derandomize=True, max_examples=300, deadline=None)
@given(st.text(max_size=100))
def test_texts(text):
    check(Source("text", text))


def _words() -> list[str]:
    table = parser_table()
    own = ["x", "y", "1", "2.5", '"s"', "\n", "\n", "\n  ", "# c\n", "real", "normal", ".5", "1.", "'", ";", "**", "/*"]
    return [*table.keywords, *table.symbols, *own]


@settings(derandomize=True, max_examples=600, deadline=None)
@given(st.lists(st.sampled_from(_words()), max_size=40))
def test_words_of_the_language(words):
    check(Source("words", " ".join(words)))


@settings(derandomize=True, max_examples=300, deadline=None)
@given(st.data())
def test_damaged_models(data):
    """Pieces left out, doubled or exchanged."""
    start = data.draw(st.integers(0, len(_ALL) - 200))
    pieces = list(_ALL[start : start + 200])
    for _ in range(data.draw(st.integers(1, 5))):
        place = data.draw(st.integers(0, len(pieces) - 1))
        pieces[place] = data.draw(st.sampled_from(["", pieces[place] * 2, "(", "}", "\n", "=", "x", "σ", "\t", "|"]))
    check(Source("damaged", "".join(pieces)))
