"""Spans of any file as locations of the protocol."""

from __future__ import annotations

from pathlib import Path

from lsprotocol import types

from energylang import resources
from energylang.lsp.positions import Positions
from energylang.source import Source, Span


def uri_of(source: Source) -> str | None:
    """Where a source can be opened: a library of the language by its name, another by its path."""
    try:
        path = resources.resource("stdlib", source.name)
    except (FileNotFoundError, ValueError):
        path = Path(source.name)
    return path.resolve().as_uri() if path.is_file() else None


def location(span: Span, own: Source, own_uri: str, encoding: str) -> types.Location | None:
    """The location of a span; `own` is the text that is open at `own_uri`. None where it cannot be opened."""
    uri = own_uri if span.source is own else uri_of(span.source)
    return None if uri is None else types.Location(uri, Positions(span.source, encoding).range_of(span))
