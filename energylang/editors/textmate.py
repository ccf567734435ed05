"""The TextMate grammar, for VS Code and all that read its kind: `grammar/energy.tmLanguage.json`."""

from __future__ import annotations

import json
from typing import Any

from energylang.editors.rules import Class, Rule, rules

SCOPES: dict[Class, str | None] = {
    "comment": "comment.line.number-sign",
    "string": "string.quoted.double",
    "number": "constant.numeric",
    "declaration": "storage.type",
    "keyword": "keyword.control",
    "word": "keyword.operator.word",
    "constant": "constant.language",
    "type": "support.type",
    "builtin": "support.function",
    "function": "entity.name.function",
    "module": "entity.name.namespace",
    "name": "variable.other",
    "punctuation": "punctuation",
    "operator": "keyword.operator",
    "blank": None,
}


def grammar() -> str:
    """The text of the grammar."""
    content = {
        "name": "EnergyLang",
        "scopeName": "source.energy",
        "fileTypes": ["energy"],
        "patterns": [pattern for rule in rules() if (pattern := _pattern(rule)) is not None],
    }
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def _pattern(rule: Rule) -> dict[str, Any] | None:
    scopes = [SCOPES[each] for each in rule.classes]
    if len(scopes) == 1:
        return None if scopes[0] is None else {"match": rule.pattern, "name": f"{scopes[0]}.energy"}
    captures = {str(n): {"name": f"{scope}.energy"} for n, scope in enumerate(scopes, 1) if scope is not None}
    return {"match": rule.pattern, "captures": captures}
