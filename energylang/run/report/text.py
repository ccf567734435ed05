"""Text made safe for HTML: escaped, control characters shown instead of sent, models highlighted."""

from __future__ import annotations

import re
from functools import cache
from html import escape

from energylang.run.words import visible

LONGEST = 200_000
"""Characters of a model that are shown."""
CLASSES = {
    "comment": "c", "string": "s", "number": "n", "declaration": "d", "keyword": "k", "word": "k", "constant": "n", "type": "t",
    "builtin": "b", "function": "f", "module": "f",
}  # fmt: skip
"""The class in the page of each class of the highlighter; others have none."""


def safe(text: object) -> str:
    """Any text as the content of an element or attribute."""
    return escape(visible(text), quote=True)


def sentence(text: str) -> str:
    """A sentence in which names stand between backticks, which become code."""
    parts = safe(text).split("`")
    if len(parts) % 2 == 0:
        return safe(text)
    return "".join(f"<code>{part}</code>" if at % 2 else part for at, part in enumerate(parts))


def highlighted(source: str) -> str:
    """A model as HTML, by the rules of every highlighter of the language."""
    more = f"\n… and {len(source) - LONGEST:,} more characters" if len(source) > LONGEST else ""
    return "\n".join(_line(line) for line in source[:LONGEST].split("\n")) + more


def _line(line: str) -> str:
    scanner, rules = _scanner()
    shown, at = [], 0
    while at < len(line):
        found = scanner.match(line, at)
        if found is None or found.end() == at:
            shown.append(safe(line[at]))
            at += 1
            continue
        first, count, names = rules[int((found.lastgroup or "")[1:])]
        texts = [found[first + place] for place in range(1, count + 1)] if count else [found[0]]
        for text, name in zip(texts, names, strict=True):
            shown.append(f'<span class="{CLASSES[name]}">{safe(text)}</span>' if name in CLASSES else safe(text))
        at = found.end()
    return "".join(shown)


@cache
def _scanner() -> tuple[re.Pattern[str], list[tuple[int, int, tuple[str, ...]]]]:
    """All rules as one pattern; of each rule its group, how many groups make it up, and their classes."""
    from energylang.editors.rules import rules

    parts, places, group = [], [], 1
    for number, rule in enumerate(rules()):
        within = re.compile(rule.pattern).groups
        parts.append(f"(?P<r{number}>{rule.pattern})")
        places.append((group, within if len(rule.classes) > 1 else 0, rule.classes))
        group += 1 + within
    return re.compile("|".join(parts)), places
