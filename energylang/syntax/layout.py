"""Where declarations and statements end: which newlines count, and which brackets were forgotten.

A newline counts outside ( ) and [ ] unless the line before asks to be continued or the next line cannot begin
anything. After this pass every bracket has its partner: forgotten ones are reported and put in where the next
statement or declaration shows that they are missing, so that one forgotten bracket gives one finding.
"""

from __future__ import annotations

from typing import NamedTuple

from energylang.diagnostics import Diagnostics, Label
from energylang.source import Span
from energylang.syntax.tokens import NEWLINE, Token, Tokens

NESTING_LIMIT = 100
"""Levels of brackets, and of the syntax tree: what later passes can walk by recursion with room to spare."""

CLOSING = {
    "_LEFT_PARENTHESIS": "_RIGHT_PARENTHESIS",
    "_LEFT_BRACKET": "_RIGHT_BRACKET",
    "_LEFT_BRACE": "_RIGHT_BRACE",
}
_OPENING = {closing: opening for opening, closing in CLOSING.items()}
_TEXT = {"_RIGHT_PARENTHESIS": ")", "_RIGHT_BRACKET": "]", "_RIGHT_BRACE": "}"}

ENDS_LINE = frozenset({"NAME", "NUMBER", "STRING", "TRUE", "FALSE", *_OPENING})
"""Tokens after which a statement may end."""

# fmt: off
CONTINUES_LINE = frozenset(
    {
        "_LEFT_PARENTHESIS", "_LEFT_BRACKET", "_LEFT_BRACE", "_COMMA", "_COLON", "_DOT", "_BAR", "_PIPE", "_TILDE",
        "_EQUAL", "_ARROW", "EQUAL_EQUAL", "NOT_EQUAL", "LESS", "LESS_EQUAL", "GREATER", "GREATER_EQUAL", "PLUS",
        "MINUS", "STAR", "SLASH", "SLASH_SLASH", "PERCENT", "AT", "CARET", "AND", "OR", "_THEN", "_ELSE", "_WITH",
        "_ON", "_FROM", "_AS", "_IN",
    }
)
"""Tokens that begin no statement or declaration, so that a line they begin belongs to the line before."""

DECLARATION_WORDS = frozenset(
    {
        "_IMPORT", "_CONST", "_DATA", "_PARAM", "_NET", "_FN", "_SCHEDULE", "EXTERN", "DISTRIBUTION", "ENERGY", "SCORE",
        "FLOW", "CONSTRAINT", "SAMPLE", "EVIDENCE", "TRAIN", "TEST", "OPTIMIZE", "_LET",
    }
)
# fmt: on
_STATEMENT_WORDS = frozenset({"_LET", "_REPORT", "_PLUS_EQUAL"})


class Superfluous(NamedTuple):
    """A closing bracket without partner; not worth a finding where the parser has already complained."""

    token: Token
    related: tuple[Label, ...] = ()


class _Open(NamedTuple):
    token: Token
    indentation: int


class Layout:
    """One pass over the tokens of a text; `tokens` and `superfluous` are what it makes."""

    def __init__(self, found: Tokens, diagnostics: Diagnostics):
        self.found = found
        self.diagnostics = diagnostics
        self.tokens: list[Token] = []
        self.superfluous: list[Superfluous] = []
        self._raw = found.items
        self._stack: list[_Open] = []
        self._newline: Token | None = None
        self._indentation = 0
        self._skipping = False

    def run(self) -> Layout:
        """Go through all tokens."""
        for place, token in enumerate(self._raw):
            if token.kind == NEWLINE:
                self._newline = self._newline or token
                continue
            first = self._newline is not None or place == 0
            if first:
                self._begin_line(place, token)
            if not self._skipping:
                self._add(token)
            self._newline = None
        for opened in reversed(self._stack):
            self._report_unclosed(opened)
        self._close(0)
        return self

    # --- lines ---------------------------------------------------------------------------------------------------

    def _begin_line(self, place: int, token: Token) -> None:
        source = self.found.source
        column = source.position(token.start)[1]
        declares = self._declares(place)
        self._skipping = self._skipping and not declares
        if self._skipping:
            return
        if self._stack:
            keep = self._keep_open(place, token, column, declares)
            for opened in reversed(self._stack[keep:]):
                self._report_unclosed(opened)
            self._close(keep)
        self._indentation = column
        previous = self.tokens[-1].kind if self.tokens else "_LEFT_BRACE"
        if self._stack and self._stack[-1].token.kind != "_LEFT_BRACE":
            return
        if previous in ("_LEFT_BRACE", NEWLINE) or token.kind == "_RIGHT_BRACE" or self._newline is None:
            return
        begins = declares or token.kind in _STATEMENT_WORDS
        if begins if previous not in ENDS_LINE else token.kind not in CONTINUES_LINE:
            if previous == "EXTERN":
                return
            self.tokens.append(self._newline)

    def _declares(self, place: int) -> bool:
        """Whether the line that begins here begins a declaration; `fn (` and `data = ` do not."""
        kind = self._raw[place].kind
        following = self._raw[place + 1].text[:1] if place + 1 < len(self._raw) else ""
        return kind in DECLARATION_WORDS and (following.isalpha() or following == "_" or kind == "_LET")

    def _keep_open(self, place: int, token: Token, column: int, declares: bool) -> int:
        """How many of the open brackets can still be open at the beginning of this line."""
        stack = self._stack
        brace = next((n for n in range(len(stack), 0, -1) if stack[n - 1].token.kind == "_LEFT_BRACE"), 0)
        if declares and token.kind != "_LET":
            # Deeper than the line that opened the block, it was meant to be in the block; the parser says what it is.
            return brace if brace and column > stack[brace - 1].indentation else 0
        if token.kind in _STATEMENT_WORDS or (brace and self._tilde_follows(place)):
            return brace
        return len(stack)

    def _tilde_follows(self, place: int) -> bool:
        """Whether `name ~` or `name[…] ~` stands here, which no bracket may contain."""
        if self._raw[place].kind != "NAME":
            return False
        depth = 0
        for token in self._raw[place + 1 : place + 40]:
            if token.kind == "_LEFT_BRACKET":
                depth += 1
            elif token.kind == "_RIGHT_BRACKET":
                depth -= 1
            elif depth == 0:
                return token.kind == "_TILDE"
        return False

    # --- brackets ------------------------------------------------------------------------------------------------

    def _add(self, token: Token) -> None:
        kind = token.kind
        if kind in CLOSING:
            if kind == "_LEFT_BRACE" and self._stack and self._stack[-1].token.kind != "_LEFT_BRACE":
                self._close_for_block()
            if len(self._stack) >= NESTING_LIMIT:
                self._too_deep(token)
                return
            self._stack.append(_Open(token, self._indentation))
        elif kind in _OPENING:
            mended = self._match(token)
            if mended is None:
                return
            token = mended
            self._stack.pop()
        self.tokens.append(token)

    def _close_for_block(self) -> None:
        """No bracket contains a block: those still open were forgotten before it."""
        keep = len(self._stack)
        while keep and self._stack[keep - 1].token.kind != "_LEFT_BRACE":
            keep -= 1
        for opened in reversed(self._stack[keep:]):
            self._report_unclosed(opened)
        self._close(keep)

    def _match(self, token: Token) -> Token | None:
        """The closing bracket to use for this one, once those forgotten before it are put in; None to leave it out."""
        stack = self._stack
        wanted = _OPENING[token.kind]
        kinds = [opened.token.kind for opened in stack]
        if kinds and kinds[-1] == wanted:
            return token
        brace = next((n for n in range(len(kinds), 0, -1) if kinds[n - 1] == "_LEFT_BRACE"), 0)
        partner = next((n for n in range(len(kinds), 0, -1) if kinds[n - 1] == wanted), 0)
        if partner and (partner > brace or wanted == "_LEFT_BRACE"):
            for opened in reversed(stack[partner:]):
                self._report_unclosed(opened, token)
            self._close(partner)
            return token
        if kinds and kinds[-1] != "_LEFT_BRACE" and wanted != "_LEFT_BRACE":
            opened = stack[-1].token
            closing = CLOSING[opened.kind]
            self.found.troubles.append(opened.start)
            self.found.mistake(
                self.diagnostics,
                "E0103",
                f"`{token.text}` does not close `{opened.text}`",
                token.start,
                token.end,
                related=(Label(Span(self.found.source, opened.start, opened.end), "opened here"),),
                fix=f"write `{_TEXT[closing]}`",
                replacement=_TEXT[closing],
            )
            return Token(closing, _TEXT[closing], token.start, token.end)
        self.superfluous.append(Superfluous(token))
        return None

    def _close(self, keep: int) -> None:
        """Put in closing brackets until `keep` are open."""
        end = self.tokens[-1].end if self.tokens else 0
        while len(self._stack) > keep:
            opened = self._stack.pop()
            self.found.troubles.append(end)
            self.tokens.append(Token(CLOSING[opened.token.kind], "", end, end))

    def _report_unclosed(self, opened: _Open, found: Token | None = None) -> None:
        token = opened.token
        source = self.found.source
        related = ()
        if found is not None:
            related = (Label(Span(source, found.start, found.end), f"`{found.text}` comes before it is closed"),)
        elif self.tokens and self.tokens[-1] is not token:
            end = self.tokens[-1].end
            related = (Label(Span(source, end - 1, end), f"`{_TEXT[CLOSING[token.kind]]}` is missing by here"),)
        self.found.mistake(
            self.diagnostics,
            "E0102",
            f"unclosed `{token.text}`",
            token.start,
            token.end,
            label="opened here",
            related=related,
            fix=f"close it with `{_TEXT[CLOSING[token.kind]]}`",
        )

    def _too_deep(self, token: Token) -> None:
        self.found.mistake(
            self.diagnostics,
            "E0118",
            f"brackets are nested more than {NESTING_LIMIT} levels deep",
            token.start,
            token.end,
            fix="name parts of it with `let`",
        )
        self._close(0)
        self._skipping = True
