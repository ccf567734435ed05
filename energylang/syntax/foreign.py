"""What other languages write and stray characters: reported, then read as what was meant.

A mistake that is mended here (`&&` for `and`, `;` for a new line) yields the token that was meant, so that one mistake
gives one finding and the parser goes on undisturbed.
"""

from __future__ import annotations

import re

from energylang.diagnostics import Diagnostics
from energylang.syntax.table import parser_table
from energylang.syntax.tokens import NEWLINE, Token, Tokens

_NUMBER = r"[0-9](?:_?[0-9])*(?:\.[0-9](?:_?[0-9])*)?(?:[eE][+-]?[0-9](?:_?[0-9])*)?"

FOREIGN = (
    r"(?P<block_comment>/\*)|(?P<double_star>\*\*)|(?P<double_bar>\|\|)|(?P<ampersand>&&?)|(?P<bang>!(?!=))"
    r"|(?P<version>[0-9]+\.[0-9]+\.[0-9.]*)|(?P<bare_point>\.[0-9][0-9_]*(?:[eE][+-]?[0-9]+)?)|(?P<trailing_point>[0-9][0-9_]*\.(?![0-9])(?:[eE][+-]?[0-9]+)?)"
    rf"|(?P<glued>(?>{_NUMBER})[A-Za-z_][A-Za-z0-9_]*)|(?P<semicolon>;)|(?P<quote>')|(?P<walrus>:=)|(?P<fat_arrow>=>)"
    r"|(?P<diamond><>)|(?P<other_assignment>[-*/]=(?!=))|(?P<point_operator>\.[*/^])|(?P<matrix_product>%\*%)"
)
"""Named alternatives for the scanner: none is the beginning of anything right."""

_OPERATORS = {
    "double_star": ("^", "powers are written `^`"),
    "double_bar": ("or", "logical or is written `or`"),
    "ampersand": ("and", "logical and is written `and`"),
    "bang": ("not", "negation is written `not`"),
    "walrus": ("=", "names are given with `=`"),
    "fat_arrow": ("->", "an arrow is written `->`"),
    "diamond": ("!=", "inequality is written `!=`"),
    "matrix_product": ("@", "the matrix product is written `@`"),
}

_SYMBOLS = {
    "≤": "<=",
    "≥": ">=",
    "≠": "!=",
    "−": "-",
    "–": "-",
    "—": "-",
    "×": "*",
    "·": "*",
    "∗": "*",
    "÷": "/",
    "→": "->",
    "∈": "in",
    "∧": "and",
    "∨": "or",
    "¬": "not",
    "∼": "~",
    "²": "^2",
    "³": "^3",
}

_OPENING_QUOTES = "“”„‟«»‘’‚"


def _push(found: Tokens, text: str, start: int, end: int) -> None:
    """Add the tokens of a mended text, all at the place of what was written."""
    table = parser_table()
    for piece in re.findall(r"[A-Za-z_]\w*|[0-9.eE]+|[^\sA-Za-z0-9]+", text):
        kind = table.symbols.get(piece) or table.keywords.get(piece) or ("NUMBER" if piece[0].isdigit() else "NAME")
        found.items.append(Token(kind, piece, start, end))


def mend_foreign(found: Tokens, kind: str, start: int, end: int, diagnostics: Diagnostics) -> int:
    """Report one of `FOREIGN`, add the tokens that were meant, and return where reading goes on."""
    text = found.source.text
    written = text[start:end]
    if kind in _OPERATORS:
        meant, cause = _OPERATORS[kind]
        found.mistake(
            diagnostics,
            "E0109",
            f"`{written}` is not an operator here",
            start,
            end,
            cause=cause,
            fix=f"write `{meant}`",
            replacement=meant if text[end : end + 1].isspace() or not meant.isalpha() else meant + " ",
            mended=kind != "walrus",
        )
        _push(found, meant, start, end)
    elif kind == "point_operator":
        found.mistake(
            diagnostics,
            "E0109",
            f"`{written}` is not an operator here",
            start,
            end,
            cause="every operator works element by element; the matrix product is `@`",
            fix=f"write `{written[1]}`",
            replacement=written[1],
            mended=True,
        )
        _push(found, written[1], start, end)
    elif kind == "other_assignment":
        found.mistake(
            diagnostics,
            "E0115",
            f"`{written}` is not a statement here",
            start,
            end,
            cause="a block adds energy and changes nothing: the only such statement is `+= e`",
            fix="write `+= -(e)` to take energy away, or `let` to name a new value",
        )
        found.items.append(Token("_PLUS_EQUAL", "+=", start, end))
    elif kind == "version":
        found.mistake(
            diagnostics,
            "E0105",
            f"`{written}` has more than one point",
            start,
            end,
            cause="a number has one point; slices are written `a:b`",
            fix="write one number",
            mended=True,
        )
        found.items.append(Token("NUMBER", "0", start, end))
    elif kind in ("bare_point", "trailing_point"):
        _mend_point(found, written, start, end, diagnostics)
    elif kind == "glued":
        _mend_glued(found, written, start, end, diagnostics)
    elif kind == "semicolon":
        last = re.compile(r"[ \t]*([\n#}]|$)").match(text, end) is not None
        found.mistake(
            diagnostics,
            "E0111",
            "a line does not end with `;`",
            start,
            end,
            cause="a new line ends a statement or a declaration",
            fix="remove it" if last else "start a new line instead",
            replacement="" if last else "\n",
            mended=True,
        )
        found.items.append(Token(NEWLINE, "\n", start, end))
    elif kind == "block_comment":
        close = text.find("*/", end)
        line_end = text.find("\n", end)
        end = close + 2 if close >= 0 else (line_end if line_end >= 0 else len(text))
        found.mistake(
            diagnostics,
            "E0112",
            "comments start with `#`",
            start,
            start + 2,
            fix="start each line of it with `#`",
            mended=True,
        )
    else:
        end = _mend_quote(found, start, diagnostics)
    return end


def _mend_point(found: Tokens, written: str, start: int, end: int, diagnostics: Diagnostics) -> None:
    meant = "0" + written if written[0] == "." else written.replace(".", ".0")
    side = "before" if written[0] == "." else "after"
    found.mistake(
        diagnostics,
        "E0105",
        f"a number has a digit {side} its point",
        start,
        end,
        fix=f"write `{meant}`",
        replacement=meant,
        mended=True,
    )
    found.items.append(Token("NUMBER", meant, start, end))


def _in_decimal(written: str) -> str | None:
    """A number of another base, as Python and C write it, in decimal."""
    try:
        return str(int(written, 0)) if len(written) <= 40 else None
    except ValueError:
        return None


def _mend_glued(found: Tokens, written: str, start: int, end: int, diagnostics: Diagnostics) -> None:
    number = re.match(_NUMBER, written)
    assert number is not None
    rest = written[number.end() :]
    split = start + number.end()
    found.items.append(Token("NUMBER", number.group(), start, split))
    if rest.strip("_0123456789") == "":
        found.mistake(
            diagnostics,
            "E0105",
            f"`{written}` is not a number",
            start,
            end,
            cause="an underscore stands between two digits, as in `5_000`",
            fix="remove the stray underscore",
            mended=True,
        )
    elif number.group() == "0" and rest[0] in "xXbBoO" and len(rest) > 1:
        meant = _in_decimal(written)
        found.mistake(
            diagnostics,
            "E0105",
            f"`{written}` is not a number",
            start,
            end,
            cause="numbers are written in decimal: `255`, `5_000`, `1e-3`",
            fix=f"write `{meant}`" if meant else "write it in decimal",
            replacement=meant,
            mended=True,
        )
    else:
        found.mistake(
            diagnostics,
            "E0117",
            f"an operator is missing between `{number.group()}` and `{rest}`",
            start,
            end,
            fix=f"write `{number.group()} * {rest}`",
            replacement=f"{number.group()} * {rest}",
            mended=True,
        )
        found.items.append(Token("STAR", "*", split, split))
        found.items.append(Token(parser_table().keywords.get(rest, "NAME"), rest, split, end))


def _mend_quote(found: Tokens, start: int, diagnostics: Diagnostics) -> int:
    """A `'`: a transpose right after an operand, else a quoted string."""
    text = found.source.text
    previous = found.items[-1] if found.items else None
    if previous and previous.end == start and previous.kind in _OPERANDS:
        operand = previous.text if previous.kind == "NAME" else "…"
        found.mistake(
            diagnostics,
            "E0110",
            "`'` does not transpose",
            start,
            start + 1,
            cause="a quote after a value is easily overlooked",
            fix=f"write `transpose({operand})`",
            mended=True,
        )
        return start + 1
    line_end = text.find("\n", start)
    line_end = len(text) if line_end < 0 else line_end
    close = text.find("'", start + 1, line_end)
    end = close + 1 if close >= 0 else line_end
    inner = text[start + 1 : end].rstrip("'")
    found.mistake(
        diagnostics,
        "E0119",
        "a string stands between double quotes",
        start,
        end,
        fix=f'write `"{inner}"`',
        replacement=f'"{inner}"' if close >= 0 and '"' not in inner and "\\" not in inner else None,
        mended=True,
    )
    found.items.append(Token("STRING", '"' + inner.replace('"', "") + '"', start, end))
    return end


_OPERANDS = frozenset({"NAME", "NUMBER", "_RIGHT_PARENTHESIS", "_RIGHT_BRACKET"})


def mend_character(found: Tokens, start: int, diagnostics: Diagnostics) -> int:
    """Report a character that begins no token, add what was meant if that is plain, and return where to go on."""
    text = found.source.text
    character = text[start]
    line_end = text.find("\n", start)
    line_end = len(text) if line_end < 0 else line_end
    if character == '"':
        found.mistake(
            diagnostics,
            "E0104",
            "this string has no end",
            start,
            line_end,
            cause="a string ends on the line it begins",
            fix='close it with `"`',
        )
        found.items.append(Token("STRING", '""', start, line_end))
        return line_end
    if character in _OPENING_QUOTES:
        close = re.compile(f'[{_OPENING_QUOTES}"]').search(text, start + 1, line_end)
        end = close.end() if close else start + 1
        inner = text[start + 1 : end - 1]
        found.mistake(
            diagnostics,
            "E0119",
            f"`{character}` is a typographic quote",
            start,
            end,
            cause="word processors put them in; a string stands between straight quotes",
            fix=f'write `"{inner}"`',
            replacement=f'"{inner}"' if close and "\\" not in inner else None,
        )
        if close:
            found.items.append(Token("STRING", '"' + inner.replace('"', "") + '"', start, end))
        return end
    if character in _SYMBOLS:
        meant = _SYMBOLS[character]
        found.mistake(
            diagnostics,
            "E0109",
            f"`{character}` is not an operator here",
            start,
            start + 1,
            cause="operators are written with the keys of any keyboard",
            fix=f"write `{meant}`",
            replacement=f" {meant} " if meant.isalpha() else meant,
            mended=True,
        )
        _push(found, meant, start, start + 1)
        return start + 1
    if character.isalpha():
        return _mend_name(found, start, diagnostics)
    return _stray(found, start, diagnostics)


def _mend_name(found: Tokens, start: int, diagnostics: Diagnostics) -> int:
    """A name with letters beyond a to z; Greek ones have the names that every modeller uses."""
    text = found.source.text
    end = start
    while end < len(text) and (text[end].isalnum() or text[end] == "_"):
        end += 1
    previous = found.items[-1] if found.items else None
    if previous and previous.end == start and text[previous.start : start].replace("_", "").isalnum():
        start = previous.start
        found.items.pop()
    written = text[start:end]
    meant = "".join(_in_ascii(letter) for letter in written)
    if not re.fullmatch(r"[A-Za-z_]\w*", meant, re.ASCII) or meant in parser_table().keywords:
        meant = ""
    found.mistake(
        diagnostics,
        "E0101",
        f"`{written}` is not a name",
        start,
        end,
        cause="names consist of the letters a to z and A to Z, digits and underscores",
        fix=f"write `{meant}`" if meant else "spell it with these",
        replacement=meant or None,
        mended=True,
    )
    found.items.append(Token("NAME", meant or "_", start, end))
    return end


def _in_ascii(letter: str) -> str:
    import unicodedata

    if letter.isascii():
        return letter
    words = unicodedata.name(letter, "").split()
    if words[:3] == ["GREEK", "SMALL", "LETTER"] and len(words) >= 4:
        return "lam" if words[3] == "LAMDA" else words[3].lower()
    if words[:3] == ["GREEK", "CAPITAL", "LETTER"] and len(words) >= 4:
        return "Lam" if words[3] == "LAMDA" else words[3].capitalize()
    plain = unicodedata.normalize("NFKD", letter).encode("ascii", "ignore").decode()
    return plain if plain.isalnum() else "?"


def _stray(found: Tokens, start: int, diagnostics: Diagnostics) -> int:
    import unicodedata

    text = found.source.text
    character = text[start]
    end = start + 1
    while end < len(text) and text[end] == character:
        end += 1
    visible = character.isprintable() and not character.isspace() and unicodedata.category(character)[0] != "C"
    name = unicodedata.name(character, "").lower()
    number = f"U+{ord(character):04X}"
    if visible:
        shown = f"`{character}`" if character.isascii() else f"`{character}` ({number}{', ' + name if name else ''})"
    else:
        shown = f"{number} ({name or 'a control character'}), which cannot be seen,"
    found.mistake(
        diagnostics,
        "E0101",
        f"the character {shown} does not belong here",
        start,
        end,
        cause=_CAUSES.get(character, "" if visible else "such characters come with text copied from elsewhere"),
        fix="remove it" if not character.isspace() else "replace it by a plain space",
        replacement=" " if character.isspace() else "",
    )
    return end


_CAUSES = {
    "?": "a choice is written `if c then a else b`",
    "\\": "a line that ends with an operator, or is inside brackets, goes on by itself; a function is `fn(x): e`",
    "$": "names are written as they are",
    "`": "names are written as they are",
    "&": "logical and is written `and`",
}
