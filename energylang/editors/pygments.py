"""Highlighting by Pygments, for documentation and terminals; Pygments finds the lexer by its entry point."""

from __future__ import annotations

import re
from typing import Any

from pygments.lexer import RegexLexer, bygroups
from pygments.token import Comment, Keyword, Name, Number, Operator, Punctuation, String, Whitespace

from energylang.editors.rules import Class, rules

TOKENS: dict[Class, Any] = {
    "comment": Comment.Single,
    "string": String,
    "number": Number,
    "declaration": Keyword.Declaration,
    "keyword": Keyword,
    "word": Operator.Word,
    "constant": Keyword.Constant,
    "type": Keyword.Type,
    "builtin": Name.Builtin,
    "function": Name.Function,
    "module": Name.Namespace,
    "name": Name,
    "punctuation": Punctuation,
    "operator": Operator,
    "blank": Whitespace,
}


def _action(classes: tuple[Class, ...]) -> Any:
    tokens = [TOKENS[each] for each in classes]
    return tokens[0] if len(tokens) == 1 else bygroups(*tokens)


class EnergyLexer(RegexLexer):
    """EnergyLang models."""

    name = "EnergyLang"
    aliases = ("energylang", "energy")
    filenames = ("*.energy",)
    mimetypes = ("text/x-energylang",)
    flags = re.NOFLAG
    tokens = {"root": [(r"\n", Whitespace), *((rule.pattern, _action(rule.classes)) for rule in rules())]}  # noqa: RUF012
