"""Offsets of a text ↔ positions of the protocol, which count lines from 0 and, within a line, code units."""

from __future__ import annotations

from lsprotocol import types

from energylang.source import Source, Span

_UNIT = {"utf-8": ("utf-8", 1), "utf-16": ("utf-16-le", 2), "utf-32": ("utf-32-le", 4)}


def normalised(text: str) -> str:
    """A client's text with `\\n` for newlines. Lines and columns stay what they are."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


class Positions:
    """For one text. encoding: what a client counts in a line, `utf-16` unless it asked for another."""

    def __init__(self, source: Source, encoding: str = "utf-16"):
        self._source = source
        self._codec, self._width = _UNIT[encoding]

    def position(self, offset: int) -> types.Position:
        """The position of a character."""
        line, column = self._source.position(min(max(offset, 0), len(self._source.text)))
        before = self._source.line(line)[: column - 1]
        return types.Position(line - 1, self._units(before))

    def offset(self, position: types.Position) -> int:
        """The character at a position; positions beyond a line or the text mean its end, as the protocol says."""
        starts = self._source.line_starts
        if position.line >= len(starts):
            return len(self._source.text)
        line = self._source.line(position.line + 1)
        if line.isascii():
            return starts[position.line] + min(position.character, len(line))
        units = line.encode(self._codec, "surrogatepass")[: position.character * self._width]
        return starts[position.line] + len(units.decode(self._codec, "ignore"))

    def range(self, start: int, end: int) -> types.Range:
        return types.Range(self.position(start), self.position(end))

    def range_of(self, span: Span) -> types.Range:
        return self.range(span.start, span.end)

    def _units(self, text: str) -> int:
        return len(text) if text.isascii() else len(text.encode(self._codec, "surrogatepass")) // self._width
