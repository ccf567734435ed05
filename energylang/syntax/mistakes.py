"""Why a token cannot stand where it stands, in the user's words.

`explain` tries the known mistakes in order, the particular before the general, and falls back on what was expected.
"""

from __future__ import annotations

from collections.abc import Callable

from energylang.diagnostics import Edit
from energylang.source import Span
from energylang.syntax.habits import HABITS
from energylang.syntax.layout import DECLARATION_WORDS
from energylang.syntax.situation import COMPARISONS, OPERATORS, Finding, Situation
from energylang.syntax.tokens import END, NEWLINE, Token


def explain(situation: Situation) -> Finding:
    """The finding for an error."""
    for case in (*_FIRST, *HABITS, *_CASES):
        finding = case(situation)
        if finding is not None:
            return finding
    return Finding("E0106", f"expected {situation.expected()}, found {situation.describe_found()}")


def _chained_comparison(at: Situation) -> Finding | None:
    token = at.found
    if token.kind not in COMPARISONS or not at.accepts("AND"):
        return None
    depth, place = 0, at.place - 1
    while place >= at.first:
        kind = at.tokens[place].kind
        if kind in ("_RIGHT_PARENTHESIS", "_RIGHT_BRACKET"):
            depth += 1
        elif kind in ("_LEFT_PARENTHESIS", "_LEFT_BRACKET"):
            depth -= 1
        elif kind in COMPARISONS and depth == 0:
            break
        place -= 1
    middle = at.text(at.tokens[place + 1].start, at.previous.end)
    short = middle if len(middle) <= 20 and "\n" not in middle else "…"
    return Finding(
        "E0107",
        "comparisons cannot be chained",
        cause=f"two comparisons that share `{short}` are joined by `and`",
        fix=f"write `… {at.tokens[place].text} {short} and {short} {token.text} …`",
        edit=at.insert(token.start, f"and {middle} ") if "\n" not in middle else None,
    )


def _assignment_in_expression(at: Situation) -> Finding | None:
    if at.found.kind != "_EQUAL" or not at.accepts("AND"):
        return None
    return Finding(
        "E0108",
        "`=` does not compare",
        cause="`=` gives a name or an option its value",
        fix="write `==` to compare",
        edit=Edit(at.span(at.found), "=="),
    )


def _conditional_operand(at: Situation) -> Finding | None:
    token = at.found
    if token.kind not in ("_IF", "_FN") or not at.accepts("NUMBER") or at.accepts(token.kind):
        return None
    what = "if … then … else …" if token.kind == "_IF" else "fn(x): …"
    return Finding(
        "E0113",
        f"`{token.text}` beside an operator needs brackets",
        cause=f"`{what}` reaches as far right as it can",
        fix=f"write `({what})`",
    )


_CONNECTING = {"_THEN", "_ELSE", "_IN", "_WITH", "_ON", "_FROM", "_AS", "AND", "OR", "_FOR", "_IF", "_FN"}


def _reserved_word(at: Situation) -> Finding | None:
    token = at.found
    if not token.text.isalpha() or token.kind in ("NAME", "TRUE", "FALSE") or not at.accepts("NAME"):
        return None
    declares = at.previous.kind in DECLARATION_WORDS or at.previous.kind == "_REPORT"
    if token.kind in _CONNECTING and not declares and at.following.kind not in ("_EQUAL", "_COLON"):
        return None
    return Finding(
        "E0114",
        f"`{token.text}` is a reserved word and cannot be a name",
        fix=f"choose another name, such as `{token.text}_` or a more telling one",
    )


def _called_value(at: Situation) -> Finding | None:
    if at.found.kind != "_LEFT_PARENTHESIS" or not at.accepts("CARET"):
        return None
    if at.previous.kind == "NUMBER":
        return Finding(
            "E0117",
            f"an operator is missing between `{_short(at.previous)}` and `(`",
            fix="write `*` to multiply",
            edit=Edit(at.span(at.found, at.previous.end), " * ("),
        )
    return Finding(
        "E0106",
        "only a name can be called",
        cause="a bracket after a value would call it",
        fix="write `*` to multiply, or give the function a name with `fn` or `let`",
    )


def _block_after_equal(at: Situation) -> Finding | None:
    token, previous = at.found, at.previous
    if token.kind != "_LEFT_BRACE":
        return None
    kind = at.tokens[at.first].kind
    if previous.kind == "_EQUAL" and kind in ("DISTRIBUTION", "ENERGY", "SCORE", "FLOW", "CONSTRAINT"):
        return Finding(
            "E0106",
            "a block follows its signature without `=`",
            start=previous.start,
            end=previous.end,
            cause="`=` is followed by one expression, `{` opens a block of statements",
            fix="remove the `=`",
            edit=Edit(at.span(previous), ""),
        )
    if previous.kind == "NAME" and at.accepts("_EQUAL") and at.accepts("_LEFT_PARENTHESIS"):
        return Finding(
            "E0106",
            f"`{previous.text}` has a block but no variables",
            start=previous.start,
            end=previous.end,
            cause="an energy with a block lists its variables and their spaces",
            fix=f"write `{at.tokens[at.first].text} {previous.text}(x: real) {{ … }}`",
        )
    return None


def _missing_body(at: Situation) -> Finding | None:
    if not at.accepts("_LEFT_BRACE") or not at.accepts("_EQUAL"):
        return None
    name = at.tokens[at.first + 1].text
    token = at.found
    if token.kind == "_ARROW":
        end = next((i for i in range(at.place, len(at.tokens)) if at.tokens[i].kind in _ENDS_RESULT), at.place)
        written = Span(at.source, token.start, at.tokens[end - 1].end)
        return Finding(
            "E0106",
            "an energy has no result type",
            token.start,
            written.end,
            cause="it is always one number",
            fix=f"remove `{written.text}`",
            edit=Edit(Span(at.source, at.previous.end, written.end), ""),
        )
    if token.kind == "_COLON":
        return Finding(
            "E0106",
            f"the block of `{name}` stands in braces",
            cause="indentation means nothing",
            fix="write `{` instead of `:`, and `}` after its last statement",
        )
    if token.kind == NEWLINE and _block_follows(at):
        return Finding(
            "E0106",
            f"the block of `{name}` lacks its braces",
            at.previous.start,
            at.previous.end,
            cause="its statements stand between `{` and `}`",
            fix="write `{` at the end of this line, and `}` after the last statement",
        )
    return Finding(
        "E0106",
        f"`{name}` lacks its block or its expression, found {at.describe_found()}",
        fix="open its block with `{`, or write `=` and an expression",
    )


_ENDS_RESULT = ("_EQUAL", "_LEFT_BRACE", NEWLINE, END)


def _block_follows(at: Situation) -> bool:
    """Whether the next line is a statement of a block."""
    for token in at.tokens[at.place + 1 : at.place + 41]:
        if token.kind in ("_TILDE", "_PLUS_EQUAL", "_REPORT"):
            return True
        if token.kind in (NEWLINE, END):
            return False
    return False


def _function_block(at: Situation) -> Finding | None:
    """`fn f(x) { … }`."""
    if at.found.kind != "_LEFT_BRACE" or at.tokens[at.first].kind != "_FN":
        return None
    name = at.tokens[at.first + 1].text
    return Finding(
        "E0106",
        f"`{name}` has a block, and a function is one expression",
        cause="there is no `return`; parts get a name where the function is used, or functions of their own",
        fix=f"write `{at.text(at.tokens[at.first].start, at.previous.end)} = …`",
    )


def _nested_generator(at: Situation) -> Finding | None:
    """`for i in n: for j in m: e`."""
    if at.found.kind != "_FOR" or at.previous.kind != "_COLON":
        return None
    place = at.place - 1
    while place > at.first and at.tokens[place].kind != "_FOR":
        place -= 1
    if at.tokens[place].kind != "_FOR":
        return None
    outer = at.text(at.tokens[place].start, at.previous.start)
    return Finding(
        "E0106",
        "one `for` has all its indices",
        cause="the first is the outermost",
        fix=f"write `{outer}, …: e`" if len(outer) <= 30 else "separate them by commas: `for i in n, j in m: e`",
        edit=Edit(at.span(at.found, at.previous.start), ","),
    )


def _missing_with(at: Situation) -> Finding | None:
    """`sample e nuts()`."""
    if at.found.kind != "NAME" or not at.accepts("_WITH") or at.place != at.first + 2:
        return None
    if at.following.kind == "_EQUAL":
        return None
    return Finding(
        "E0106",
        f"`with` is missing before `{at.found.text}`",
        cause="the method of a task stands after `with`",
        fix="put it between them",
        edit=at.insert(at.found.start, "with "),
    )


def _nothing_follows(at: Situation) -> Finding | None:
    """`const n =` and `x^2 +` at the end of a line."""
    previous = at.previous
    if at.found.kind not in (NEWLINE, END, "_RIGHT_BRACE") or not at.accepts("NUMBER") or at.at_start:
        return None
    if previous.kind == "_EQUAL":
        return Finding("E0106", "a value is missing after `=`", previous.start, previous.end, fix="write one")
    if previous.kind not in OPERATORS:
        return None
    return Finding(
        "E0106",
        f"an operand is missing after `{previous.text}`",
        previous.start,
        previous.end,
        fix=f"write one, or remove the `{previous.text}`",
        edit=Edit(at.span(previous), ""),
    )


def _hyphenated(at: Situation) -> Finding | None:
    """`with swendsen-wang()`, `energy my-model`."""
    before, after = at.previous, at.following
    together = before.end == at.found.start and at.found.end == after.start
    if at.found.text != "-" or not together or before.kind != "NAME" or after.kind != "NAME":
        return None
    name = f"{before.text}_{after.text}"
    return Finding(
        "E0106",
        "names are written without `-`",
        before.start,
        after.end,
        fix=f"write `{name}`",
        edit=Edit(Span(at.source, before.start, after.end), name),
    )


def _untyped(at: Situation) -> Finding | None:
    """`energy e(x) = …`, `data y = 3`, `net f = mlp(…)`."""
    token, previous = at.found, at.previous
    if previous.kind != "NAME" or not at.accepts("_COLON") or at.accepts("CARET") or at.accepts(END):
        return None
    name = previous.text
    kind = at.tokens[at.first].kind
    examples = {
        "_DATA": ("data has a type", f"data {name}: real[N] = …"),
        "_PARAM": ("a param has a space", f"param {name}: real = 0"),
        "_NET": ("a net has a type", f"net {name}: real[2] -> real = …"),
        "EXTERN": ("a net has a type", f"extern net {name}: real[2] -> real"),
    }
    if kind in examples and at.place <= at.first + 3:
        cause, example = examples[kind]
        message, fix = f"`{name}` lacks its type", f"write `{example}`"
        return Finding("E0106", message, previous.start, previous.end, cause=cause, fix=fix)
    if token.kind in ("_COMMA", "_RIGHT_PARENTHESIS", "_BAR", "AT"):
        return Finding(
            "E0106",
            f"`{name}` lacks its space",
            previous.start,
            previous.end,
            cause="every variable and condition says what values it takes",
            fix=f"write `{name}: real`, or another space",
            edit=at.insert(previous.end, ": real"),
        )
    return None


def _missing_else(at: Situation) -> Finding | None:
    if not at.accepts("_ELSE"):
        return None
    return Finding(
        "E0106",
        f"expected `else`, found {at.describe_found()}",
        cause="an `if` is a value, so it has one for either case",
        fix="write `if c then a else b`",
    )


_STARTS = {"NAME", "NUMBER", "STRING", "TRUE", "FALSE", "NOT", "_IF", "_FN", "_LEFT_PARENTHESIS", "_LEFT_BRACKET"}


def _missing_between(at: Situation) -> Finding | None:
    """Two things side by side: a comma, a new line or an operator is missing."""
    token, previous = at.found, at.previous
    if at.place == at.first:
        return None
    begins = token.kind in DECLARATION_WORDS or token.kind in ("_LET", "_REPORT", "_PLUS_EQUAL")
    if at.accepts(NEWLINE) and (begins or (token.kind == "NAME" and at.in_block and _tilde_ahead(at))):
        return Finding(
            "E0117",
            f"a new line is missing before `{token.text}`",
            cause="every statement and declaration begins on a line of its own",
            fix="start a new line",
            edit=at.insert(token.start, "\n"),
        )
    if token.kind not in _STARTS:
        return None
    between = at.span(token, previous.end)
    if at.accepts("_COMMA"):
        return Finding(
            "E0117",
            f"a comma is missing before {at.describe_found()}",
            fix="put a comma between them",
            edit=Edit(Span(at.source, previous.end, token.start), ", "),
        )
    if at.accepts("STAR") and between.source.text.count("\n", previous.end, token.start) == 0:
        return Finding(
            "E0117",
            f"an operator is missing between `{_short(previous)}` and {at.describe_found()}",
            fix="write `*` to multiply",
        )
    return None


def _short(token: Token) -> str:
    return token.text if len(token.text) <= 20 else "…"


def _tilde_ahead(at: Situation) -> bool:
    for token in at.tokens[at.place : at.place + 40]:
        if token.kind in (NEWLINE, END):
            return False
        if token.kind == "_TILDE":
            return True
    return False


def _idle_expression(at: Situation) -> Finding | None:
    if not at.in_block or at.found.kind not in (NEWLINE, "_RIGHT_BRACE", END) or not at.accepts("_TILDE"):
        return None
    start = at.tokens[at.first].start
    return Finding(
        "E0106",
        "this expression does nothing",
        start,
        at.previous.end,
        cause="a statement is `x ~ d(…)`, `+= e`, `let a = e` or `report a`",
        fix="write `+=` before it to add it as energy, or `let name =` to name it",
        edit=at.insert(start, "+= "),
    )


def _signature_order(at: Situation) -> Finding | None:
    """A second bar, or conditions behind the level."""
    if at.found.kind != "_BAR" or not at.accepts("_RIGHT_PARENTHESIS") or at.accepts("CARET"):
        return None
    return Finding(
        "E0106",
        "this bar is one too many" if at.accepts("AT") else "conditions come before the level",
        cause="a signature lists variables, conditions and the level: `(x: real | a: real, b: real @ t: noise)`",
        fix="separate conditions by commas" if at.accepts("AT") else "move the level to the end",
    )


def _tuple_as_operand(at: Situation) -> Finding | None:
    if at.found.kind != "_COMMA" or not at.accepts("_RIGHT_PARENTHESIS") or not at.accepts("CARET"):
        return None
    return Finding(
        "E0106",
        "round brackets hold one value here",
        cause="several values are the value of a `let`, of a function or of an argument",
        fix="write `[a, b]` for an array",
    )


def _extra_value(at: Situation) -> Finding | None:
    """`extern net f: … = …` and `param w: real ~ normal(0, 1)`."""
    kind = at.tokens[at.first].kind
    if kind == "EXTERN" and at.found.kind == "_EQUAL":
        return Finding(
            "E0106",
            "an `extern net` has no value",
            cause="Python fills it: `energylang.load(path, bind = {…})`",
            fix="remove the value, or the word `extern`",
        )
    if kind == "_PARAM" and at.found.kind == "_TILDE":
        return Finding(
            "E0106",
            "a param has no prior",
            cause="a param is learned; `from` says how it starts",
            fix="write `from`, or make it a variable of the energy to infer it",
            edit=Edit(at.span(at.found), "from"),
        )
    return None


_Case = Callable[[Situation], Finding | None]
_FIRST: tuple[_Case, ...] = (_chained_comparison,)
_CASES: tuple[_Case, ...] = (
    _hyphenated,
    _extra_value,
    _signature_order,
    _tuple_as_operand,
    _assignment_in_expression,
    _conditional_operand,
    _block_after_equal,
    _function_block,
    _missing_body,
    _nested_generator,
    _missing_with,
    _nothing_follows,
    _called_value,
    _missing_between,
    _reserved_word,
    _untyped,
    _missing_else,
    _idle_expression,
)
