"""Mistakes that come with the habits of other languages: Stan's, Python's, C's."""

from __future__ import annotations

import re
from collections.abc import Callable

from energylang.diagnostics import Edit, suggest
from energylang.syntax.layout import DECLARATION_WORDS
from energylang.syntax.situation import OPERATORS, Finding, Situation
from energylang.syntax.table import parser_table
from energylang.syntax.tokens import END, NEWLINE

_FOREIGN_TYPES = {
    "real": "real",
    "int": "count",
    "float": "real",
    "double": "real",
    "vector": "real[n]",
    "row_vector": "real[n]",
    "matrix": "real[n, m]",
    "array": "real[n]",
    "simplex": "simplex[k]",
    "ordered": "ordered[k]",
    "positive": "positive",
    "bool": "binary",
}
_STAN_BLOCKS = {
    "parameters": "variables are listed in the signature: `energy model(mu: real, tau: positive) { … }`",
    "model": "its statements stand in the block of an energy: `energy model(mu: real) { … }`",
    "transformed": "derived values are named with `let`",
    "generated": "quantities to keep are named with `report` in the block of an energy",
    "functions": "functions are declared with `fn name(x) = e`",
    "guide": "a second energy or a flow takes its place",
}


def _foreign_comment(at: Situation) -> Finding | None:
    """`// words` and `% words`: an operator in the grammar's eyes, until a word follows a word."""
    source = at.source
    line_start = source.text.rfind("\n", 0, at.found.start) + 1
    place = at.place
    while place >= 0 and at.tokens[place].start >= line_start:
        token = at.tokens[place]
        prose = at.found.kind == "NAME" and at.accepts("CARET") and place < at.place
        if token.kind in ("SLASH_SLASH", "PERCENT") and (place == at.place or prose):
            return Finding(
                "E0112",
                "comments start with `#`",
                token.start,
                token.end,
                cause=f"`{token.text}` is integer division" if token.text == "//" else "`%` is the remainder",
                fix="write `#`",
                edit=Edit(at.span(token), "#"),
            )
        place -= 1
    return None


def _statement_outside(at: Situation) -> Finding | None:
    """What belongs into a block, at the top level."""
    token = at.found
    if at.in_block or not at.at_start:
        return None
    tilde = next((other for other in at.line() if other.kind in ("_TILDE", "_PLUS_EQUAL", "_REPORT")), None)
    if tilde is None:
        return None
    return Finding(
        "E0116",
        f"`{tilde.text}` stands outside of a block",
        token.start if tilde.kind != "_TILDE" else tilde.start,
        tilde.end,
        cause="statements add to an energy, so they stand in the block of one",
        fix="move it into `energy name(…) { … }`",
    )


def _declaration_inside(at: Situation) -> Finding | None:
    token = at.found
    if not at.in_block or not at.at_start or token.kind not in DECLARATION_WORDS:
        return None
    return Finding(
        "E0116",
        f"`{token.text}` stands in a block",
        cause="declarations stand outside of blocks; order does not matter",
        fix=f"move the `{token.text}` declaration before or after the block",
    )


_TASKS = ("SAMPLE", "EVIDENCE", "TRAIN", "TEST", "OPTIMIZE")


def _detached_option(at: Situation) -> Finding | None:
    """An option of a task on the next line, without the comma that would join it."""
    if at.in_block or not at.at_start or at.found.kind != "NAME" or at.following.kind != "_EQUAL" or at.place < 2:
        return None
    start = at.place - 1
    while start and at.tokens[start - 1].kind != NEWLINE:
        start -= 1
    if at.tokens[start].kind not in _TASKS:
        return None
    end = at.tokens[at.place - 2].end
    return Finding(
        "E0117",
        f"a comma is missing before `{at.found.text}`",
        cause="the options of a task are separated by commas, on one line or several",
        fix="put a comma at the end of the line before",
        edit=at.insert(end, ","),
    )


def _unnamed_value(at: Situation) -> Finding | None:
    """`theta = mu + 1`, `target += e`."""
    token = at.found
    if at.in_block:
        if not at.accepts("_TILDE") or token.kind not in ("_EQUAL", "_PLUS_EQUAL"):
            return None
        name, at_name = at.tokens[at.first], at.place == at.first + 1
    else:
        if not at.at_start or token.kind != "NAME" or at.following.kind != "_EQUAL":
            return None
        name, at_name = token, True
    if token.kind == "_PLUS_EQUAL":
        what = at.text(name.start, token.start).rstrip()
        return Finding(
            "E0115",
            "`+=` has nothing on its left",
            name.start,
            token.end,
            cause="it adds energy, which is minus the log density: Stan's `target += e` is `+= -(e)`",
            fix=f"remove `{what}` and mind the sign" if len(what) < 30 else "remove what stands before it",
        )
    if not at_name or name.kind != "NAME":
        return Finding(
            "E0115",
            "nothing is assigned to a part of a value",
            name.start,
            token.end,
            cause="values do not change; arrays are made whole, with operations on arrays or `[for i in n: e]`",
        )
    return Finding(
        "E0115",
        f"`{name.text}` is not declared",
        name.start,
        name.end,
        cause="a new name begins with a word that says what it is",
        fix=f"write `let {name.text} = …`" + ("" if at.in_block else " or `const`"),
        edit=at.insert(name.start, "let "),
    )


def _foreign_declaration(at: Situation) -> Finding | None:
    """`real x`, `vector[N] mu`."""
    first = at.tokens[at.first] if at.in_block else at.found
    space = _FOREIGN_TYPES.get(first.text)
    if space is None or first.kind != "NAME":
        return None
    if at.in_block:
        if at.found.kind != "NAME" or not at.accepts("_TILDE"):
            return None
        name = at.found.text
    else:
        line = at.line()
        name = next((token.text for token in reversed(line) if token.kind == "NAME"), "x")
        if not at.at_start or len(line) < 2 or line[1].kind not in ("NAME", "_LEFT_BRACKET", "LESS"):
            return None
    end = at.source.text.find("\n", first.start)
    written = at.text(first.start, end if end >= 0 else len(at.source.text))
    if "lower" in written:
        space = "interval(a, b)" if "upper" in written else "positive"
    return Finding(
        "E0115",
        f"`{name}` is not declared like this",
        first.start,
        at.found.end,
        cause="the variables of an energy stand in its signature, data at the top level",
        fix=f"write `energy model({name}: {space}) …` for a variable, `data {name}: {space}` for data",
    )


def _bounds(at: Situation) -> Finding | None:
    """`x: real<lower = 0>`."""
    if at.found.kind != "LESS" or not at.accepts("_LEFT_BRACKET") or at.accepts("CARET"):
        return None
    close = at.source.text.find(">", at.found.end, at.found.end + 80)
    written = at.text(at.found.end, close) if close >= 0 else ""
    return Finding(
        "E0115",
        "bounds are part of a space's name",
        cause="`positive` is `real<lower=0>`, `unit` is between 0 and 1, `interval(a, b)` between a and b",
        fix=_bounded(at.previous.text, written),
    )


_BOUND = re.compile(r"\b(lower|upper)\s*=\s*([^,<>]+)")


def _bounded(kind: str, written: str) -> str:
    """The space that a type with bounds is here; `written` is what stands between `<` and `>`."""
    bounds = {side: " ".join(value.split()) for side, value in _BOUND.findall(written)}
    lower, upper = bounds.get("lower"), bounds.get("upper")
    if kind == "int":
        if (lower, upper) == ("0", "1"):
            return "write `binary`"
        if lower == "1" and upper:
            return f"write `cat({upper})`, which counts from 0: subtract 1 from the data"
        if upper is None:
            return "write `count`, or `int` where it is a size"
        return "write `count`, or `cat(k)` for 0, 1, … k - 1"
    if lower == "0" and upper in (None, "1"):
        return f"write `{'unit' if upper else 'positive'}`"
    if bounds:
        return f"write `interval({lower or '-infinity'}, {upper or 'infinity'})`"
    return "write `positive`, `unit` or `interval(a, b)`"


def _type_first(at: Situation) -> Finding | None:
    """`data int N = 3`, `param real w`, `energy e(real x)`."""
    token, previous = at.found, at.previous
    declared = at.tokens[at.first].kind
    if previous.kind != "NAME" or previous.text not in (*_FOREIGN_TYPES, *_TYPES) or not at.accepts("_COLON"):
        return None
    # Behind the type may stand its sizes or bounds: `vector[N] y`, `int<lower=0> N`.
    place, depth = at.place, 0
    while at.tokens[place].kind not in (NEWLINE, END):
        depth += at.tokens[place].kind in ("_LEFT_BRACKET", "LESS", "_LEFT_PARENTHESIS")
        if depth == 0:
            break
        depth -= at.tokens[place].kind in ("_RIGHT_BRACKET", "GREATER", "_RIGHT_PARENTHESIS")
        place += 1
    name = at.tokens[place]
    if name.kind != "NAME":
        return None
    written = at.text(previous.start, at.tokens[place - 1].end)
    space = previous.text if previous.text in _TYPES else _FOREIGN_TYPES[previous.text]
    if declared == "_DATA" and previous.text == "int":
        space = "int"
    if "lower" in written and previous.text != "int":
        space = "interval(a, b)" if "upper" in written else "positive"
    dims = written[written.index("[") :] if "[" in written and written.endswith("]") else ""
    meant = f"{name.text}: {space.partition('[')[0]}{dims}" if dims else f"{name.text}: {space}"
    exact = token is name or (dims and space.partition("[")[0] == previous.text)
    return Finding(
        "E0115",
        f"`{name.text}` stands behind its {'type' if declared in ('_DATA', '_PARAM') else 'space'}",
        previous.start,
        name.end,
        cause="the name comes first, then a colon: `name: real`",
        fix=f"write `{meant}`",
        edit=Edit(at.span(name, previous.start), meant) if exact else None,
    )


_TYPES = (
    "real",
    "int",
    "positive",
    "unit",
    "spin",
    "binary",
    "simplex",
    "ordered",
    "positive_ordered",
    "count",
    "bool",
)


def _foreign_block(at: Situation) -> Finding | None:
    token = at.found
    if token.kind == "_LEFT_BRACE" and at.previous.kind == "_DATA":
        return Finding(
            "E0115",
            "there is no `data` block",
            at.previous.start,
            token.end,
            cause="each datum is a declaration of its own; parameters stand in the signature of an energy, the model in its block",
            fix="write `data y: real[N]`, and so on; then `energy model(mu: real, sigma: positive) { … }`",
        )
    if not at.at_start or at.in_block or token.text not in _STAN_BLOCKS:
        return None
    if not any(other.kind == "_LEFT_BRACE" for other in at.line()):
        return None
    return Finding("E0115", f"there is no `{token.text}` block", cause=_STAN_BLOCKS[token.text])


def _control_flow(at: Situation) -> Finding | None:
    if at.at_start and at.found.kind == "_FOR":
        return Finding(
            "E0115",
            "there are no loops",
            cause="operations work on whole arrays, and `~` adds up over all elements",
            fix="work on whole arrays: `y ~ normal(a + b * x, s)` covers every row; slices and `roll` reach neighbours",
        )
    if at.at_start and at.found.kind == "_IF":
        return Finding(
            "E0115",
            "`if` is an expression, not a statement",
            fix="write `+= if c then a else b`, or `let x = if c then a else b`",
        )
    return None


def _function_habits(at: Situation) -> Finding | None:
    token = at.found
    first = at.tokens[at.first]
    if at.at_start and token.text in ("def", "function", "func", "class") and at.following.kind == "NAME":
        return Finding(
            "E0115",
            f"`{token.text}` does not begin a declaration",
            fix="a function is declared with `fn name(x) = e`",
            edit=Edit(at.span(token), "fn"),
        )
    if at.in_block and first.text == "return" and at.place == at.first + 1:
        return Finding(
            "E0115",
            "there is no `return`",
            first.start,
            first.end,
            cause="the statements of a block add up to its energy",
            fix="write `+= e`",
            edit=Edit(at.span(first), "+="),
        )
    if token.text == "T" and token.kind == "NAME" and at.following.kind == "_LEFT_BRACKET" and at.accepts("STAR"):
        return Finding(
            "E0115",
            "a distribution is not truncated like this",
            fix="write `x ~ truncate(d(…), lower = a, upper = b)`",
        )
    if first.kind == "_REPORT" and at.place == at.first + 2 and token.kind in _AFTER_A_VALUE:
        return Finding(
            "E0106",
            "a report has a name",
            at.previous.start,
            token.end,
            fix="write `report name = e`",
        )
    return None


_AFTER_A_VALUE = OPERATORS | {"_LEFT_PARENTHESIS", "_LEFT_BRACKET"}


def _python_import(at: Situation) -> Finding | None:
    """`from priors import weak`."""
    if at.in_block or not at.at_start or at.found.kind != "_FROM" or at.following.kind != "NAME":
        return None
    module = at.following.text
    return Finding(
        "E0115",
        "a file is imported whole",
        at.found.start,
        at.following.end,
        cause="its names are then written with its own before them",
        fix=f"write `import {module}`, and `{module}.name` where a name of it is used",
    )


def _python_lambda(at: Situation) -> Finding | None:
    """`lambda x: x^2`."""
    if at.previous.text != "lambda" or at.found.kind != "NAME" or not at.accepts("STAR"):
        return None
    return Finding(
        "E0115",
        "a function without a name is not written like this",
        at.previous.start,
        at.found.end,
        cause="`lambda` is a name like any other",
        fix=f"write `fn({at.found.text}): …`, or declare it: `fn f({at.found.text}) = …`",
    )


def _misspelt(at: Situation) -> Finding | None:
    token = at.found
    if not at.at_start or token.kind != "NAME" or at.in_block:
        return None
    if at.following.kind != "NAME":
        return None
    near = suggest(token.text.lower(), declaring_words())
    if near is None:
        return None
    return Finding(
        "E0106",
        f"`{token.text}` does not begin a declaration",
        fix=f"did you mean `{near}`?",
        edit=Edit(at.span(token), near),
    )


def _no_declaration(at: Situation) -> Finding | None:
    if at.in_block or not at.at_start:
        return None
    return Finding(
        "E0106",
        f"expected a declaration, found {at.describe_found()}",
        cause="a declaration begins with one of: " + ", ".join(declaring_words()),
    )


def declaring_words() -> list[str]:
    """The words that begin declarations, in the order of the grammar."""
    return [word for word, kind in parser_table().keywords.items() if kind in DECLARATION_WORDS]


HABITS: tuple[Callable[[Situation], Finding | None], ...] = (
    _foreign_comment,
    _type_first,
    _python_import,
    _python_lambda,
    _foreign_block,
    _control_flow,
    _statement_outside,
    _declaration_inside,
    _detached_option,
    _unnamed_value,
    _foreign_declaration,
    _bounds,
    _function_habits,
    _misspelt,
    _no_declaration,
)
