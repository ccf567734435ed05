"""Small pieces of HTML for notebooks: everything escaped, no script, no class, no colour but the page's own.

Text takes the colour of the page and lines are translucent, so that it reads as well on dark pages as on light ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

_LINE = "1px solid rgba(128,128,128,0.35)"
_CELL = f"padding:0.15em 0.7em;text-align:{{align}};border-bottom:{_LINE};background:transparent;color:inherit"


def block(*parts: str) -> str:
    """Parts, one below the other."""
    return f'<div style="color:inherit;background:transparent;line-height:1.4">{"".join(parts)}</div>'


def heading(text: str) -> str:
    return f'<div style="font-weight:bold;margin:0.4em 0 0.2em">{escape(text)}</div>'


def paragraph(text: str) -> str:
    return f'<div style="margin:0.2em 0;max-width:60em">{escape(text)}</div>'


def preformatted(text: str) -> str:
    return f'<pre style="color:inherit;background:transparent;margin:0.2em 0">{escape(text)}</pre>'


def table(columns: Sequence[str], rows: Iterable[Sequence[str]], numbers: bool = False) -> str:
    """A table of text. numbers: all columns but the first are aligned right."""
    align = ["left", *(["right" if numbers else "left"] * (len(columns) - 1))]

    def line(tag: str, cells: Sequence[str]) -> str:
        styles = (_CELL.format(align=side) for side in align)
        parts = (f'<{tag} style="{s}">{escape(c)}</{tag}>' for c, s in zip(cells, styles, strict=True))
        return f"<tr>{''.join(parts)}</tr>"

    body = "".join(line("td", row) for row in rows)
    head = f"<thead>{line('th', columns)}</thead>" if any(columns) else ""
    return f'<table style="border-collapse:collapse;margin:0.3em 0">{head}<tbody>{body}</tbody></table>'
