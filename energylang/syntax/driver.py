"""The LALR loop over the parser's table, without recursion, and how it goes on after an error.

After an error the parser leaves the statement or declaration it was in, as if that had been complete, and goes on at
the next one: independent errors are each reported, and an error is reported once.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from typing import Any

from energylang.diagnostics import Diagnostics
from energylang.source import Span
from energylang.syntax.ast import Binary
from energylang.syntax.layout import DECLARATION_WORDS, NESTING_LIMIT, Superfluous
from energylang.syntax.mistakes import explain
from energylang.syntax.precedence import LEVELS
from energylang.syntax.situation import Situation
from energylang.syntax.table import CALL, PASS, parser_table
from energylang.syntax.tokens import END, FINDINGS_LIMIT, NEWLINE, Token, Tokens

_NESTING = frozenset(
    {"unary", "conditional", "function", "pipe", "index", "call", "array", "tuple", "generator", "type"}
)
"""Rules that, like `binary`, put a node of the tree around others of their kind."""

_WITH_BLOCK = frozenset({"DISTRIBUTION", "ENERGY", "SCORE", "FLOW", "CONSTRAINT"})

_ERRORS_LIMIT = 1000
"""After this many errors the rest of a text is not looked at."""

ERROR = object()
"""Stands for a statement or declaration that was left out."""


class Splice(list):
    """The children of a repetition, to be spliced into the rule that repeats."""


class TooDeep(Exception):
    """A reduction would make the tree deeper than later passes can walk."""


class Driver:
    """Parses the tokens of one text; `errors` are the ranges of characters that were left out."""

    def __init__(
        self, found: Tokens, tokens: list[Token], build: dict[str, Callable[..., Any]], diagnostics: Diagnostics
    ):
        self.found = found
        self.build = build
        self.diagnostics = diagnostics
        end = len(found.source.text)
        self.tokens = [*tokens, Token(END, "", end, end)]
        self.errors: list[tuple[int, int]] = []
        self._reported = 0
        self._troubles = sorted(found.troubles)
        self._recovered_at = -1

    def parse(self, start: str, place: int = 0) -> Any:
        """The value of the start rule over the tokens from `place` on; None where nothing could be kept."""
        table = parser_table()
        states = table.states
        rules, units = table.rules, table.units
        goal = table.ends[start]
        tokens = self.tokens
        # Parallel stacks: the state, the value, the characters it covers, and the depth of its tree.
        state_stack = [table.starts[start]]
        values: list[Any] = [None]
        starts, ends, depths = [0], [0], [0]
        token = tokens[place]
        while True:
            action = states[state_stack[-1]].get(token.kind)
            if action is None:
                place = self._recover(place, state_stack, values, starts, ends, depths)
                if place < 0:
                    return None
                token = tokens[place]
                continue
            if action >= 0:
                state_stack.append(action)
                values.append(token)
                starts.append(token.start)
                ends.append(token.end)
                depths.append(0)
                place += 1
                token = tokens[place]
                continue
            if units[~action]:
                state = table.after_units(state_stack[-2], state_stack[-1], token.kind)
                if state == goal and token.kind == END:
                    return values[-1]
                state_stack[-1] = state
                continue
            rule = rules[~action]
            length = rule.length
            if rule.mode == PASS:
                value = values[rule.kept[0] - length]
                first, last, depth = starts[-length], ends[-1], depths[rule.kept[0] - length]
            elif length == 0:
                first = last = ends[-1] if len(state_stack) > 1 else token.start
                depth = 0
                value = self.build[rule.name]([], first, last) if rule.mode == CALL else Splice()
            else:
                first, last = starts[-length], ends[-1]
                children = None
                for kept in rule.kept:
                    child = values[kept - length]
                    if children is None:
                        # What came before is taken over, not copied: a long list is built in linear time.
                        children = child if child.__class__ is Splice else Splice(() if child is ERROR else (child,))
                    elif child.__class__ is Splice:
                        children.extend(child)
                    elif child is not ERROR:
                        children.append(child)
                if children is None:
                    children = Splice()
                if rule.mode == CALL:
                    if rule.name == "binary":
                        # Sums of thousands of terms lean to the left; that spine is walked by a loop.
                        left, operator = values[-3], values[-2].text
                        spine = left.__class__ is Binary and LEVELS[left.operator] == LEVELS[operator]
                        depth = max(depths[-3] + (not spine), depths[-1] + 1)
                    else:
                        depth = max(depths[-length:]) + (rule.name in _NESTING)
                    if depth > NESTING_LIMIT:
                        place = self._too_deep(place, first, last, state_stack, values, starts, ends, depths)
                        token = tokens[place]
                        continue
                    value = self.build[rule.name](children, first, last)
                else:
                    value, depth = children, max(depths[-length:])
            if length:
                del state_stack[-length:], values[-length:], starts[-length:], ends[-length:], depths[-length:]
            state = states[state_stack[-1]][rule.origin]
            if state == goal and token.kind == END:
                return value
            state_stack.append(state)
            values.append(value)
            starts.append(first)
            ends.append(last)
            depths.append(depth)

    # --- errors --------------------------------------------------------------------------------------------------

    def _recover(self, place: int, state_stack, values, starts, ends, depths) -> int:
        """Report the error at this token, leave the statement or declaration, and return where to go on; -1 to end."""
        states = parser_table().states
        if place == self._recovered_at or len(self.errors) >= _ERRORS_LIMIT:
            return -1
        depth = next((n for n in range(len(state_stack), 0, -1) if self._holds(state_stack[n - 1])), 0)
        if not depth:
            self._report(Situation(self.found.source, self.tokens, place, place, list(state_stack), False))
            return -1
        in_block = "statement" in states[state_stack[depth - 1]]
        first = starts[depth] if depth < len(starts) else self.tokens[place].start
        first_place = place
        while first_place and self.tokens[first_place - 1].start >= first:
            first_place -= 1
        sync = self._skip(place, in_block)
        region = (first, self.tokens[sync].start)
        # What follows a finding in the same statement is most likely its consequence.
        trouble = bisect_left(self._troubles, first)
        if trouble == len(self._troubles) or self._troubles[trouble] > self.tokens[place].start:
            self._report(Situation(self.found.source, self.tokens, place, first_place, list(state_stack), in_block))
        self.errors.append(region)
        self._recovered_at = sync
        if not in_block and self.tokens[first_place].kind in _WITH_BLOCK:
            self._check_block(place, sync)
        self._leave(depth, region, state_stack, values, starts, ends, depths)
        return sync

    def _check_block(self, place: int, sync: int) -> None:
        """Report errors in the block of a declaration whose head has one."""
        brace = next((n for n in range(place, sync) if self.tokens[n].kind == "_LEFT_BRACE"), None)
        if brace is not None:
            depth, end = 1, brace + 1
            while depth and end < sync:
                depth += (self.tokens[end].kind == "_LEFT_BRACE") - (self.tokens[end].kind == "_RIGHT_BRACE")
                end += 1
            inner = Driver(self.found, self.tokens[brace:end], self.build, self.diagnostics)
            inner.parse("block")
            self.errors += inner.errors

    def _too_deep(self, place: int, first: int, last: int, state_stack, values, starts, ends, depths) -> int:
        self.found.mistake(
            self.diagnostics,
            "E0118",
            f"this is nested more than {NESTING_LIMIT} levels deep",
            first,
            last,
            fix="name parts of it with `let`",
        )
        depth = next((n for n in range(len(state_stack), 0, -1) if self._holds(state_stack[n - 1])), 1)
        in_block = "statement" in parser_table().states[state_stack[depth - 1]]
        sync = self._skip(place, in_block)
        self._leave(depth, (first, last), state_stack, values, starts, ends, depths)
        return sync

    @staticmethod
    def _holds(state: int) -> bool:
        actions = parser_table().states[state]
        return "statement" in actions or "declaration" in actions

    @staticmethod
    def _leave(depth: int, region: tuple[int, int], state_stack, values, starts, ends, depths) -> None:
        """Drop what was begun and put an error in its place."""
        del state_stack[depth:], values[depth:], starts[depth:], ends[depth:], depths[depth:]
        actions = parser_table().states[state_stack[-1]]
        state_stack.append(actions.get("statement", actions.get("declaration", 0)))
        values.append(ERROR)
        starts.append(region[0])
        ends.append(region[1])
        depths.append(0)

    def _skip(self, place: int, in_block: bool) -> int:
        """The token at which the parser can go on: the end of the statement, or a newline before a declaration."""
        depth = 0
        tokens = self.tokens
        while True:
            kind = tokens[place].kind
            if kind == END:
                return place
            if kind == "_LEFT_BRACE":
                depth += 1
            elif kind == "_RIGHT_BRACE":
                if depth == 0 and in_block:
                    return place
                depth -= 1
            elif kind == NEWLINE and depth <= 0 and (in_block or tokens[place + 1].kind in DECLARATION_WORDS):
                return place
            place += 1

    def _report(self, situation: Situation) -> None:
        self._reported += 1
        if self._reported > FINDINGS_LIMIT:
            return
        source = self.found.source
        token = situation.found
        finding = explain(situation)
        start, end = (finding.start, finding.end) if finding.end else (token.start, token.end)
        if not finding.end and token.kind in (NEWLINE, END):
            start = end = situation.previous.end if situation.place else 0
        self.diagnostics.add(
            finding.code,
            finding.message,
            Span(source, start, end),
            label=finding.label,
            related=finding.related,
            cause=finding.cause,
            fix=finding.fix,
            edit=finding.edit,
        )

    def report_superfluous(self, superfluous: list[Superfluous]) -> None:
        """Report closing brackets without partner, except where an error has already been reported."""
        for token, related in superfluous:
            if self.found.findings > FINDINGS_LIMIT:
                return
            if not any(start <= token.start <= end for start, end in self.errors):
                self.found.mistake(
                    self.diagnostics,
                    "E0103",
                    f"`{token.text}` closes nothing",
                    token.start,
                    token.end,
                    related=related,
                    fix="remove it, or open its partner before",
                )
