"""What each rule of the grammar becomes in the syntax tree.

Every method takes the children of its rule (tokens that carry meaning, and what the rules below became) with the
characters it covers, and returns a node, or a `Part` for an optional piece of one.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

from energylang.diagnostics import Diagnostics
from energylang.source import Source, Span
from energylang.syntax import ast
from energylang.syntax.tokens import Token, Tokens

_ESCAPES = {'"': '"', "\\": "\\", "n": "\n", "t": "\t"}
_LONGEST_NUMBER = 300


class Part(NamedTuple):
    """A piece that a rule may lack, named so that its owner finds it."""

    kind: str
    value: Any


def _parts(children: list[Any]) -> dict[str, Any]:
    return {child.kind: child.value for child in children if child.__class__ is Part}


class Builder:
    """Makes the nodes of one text."""

    def __init__(self, found: Tokens, diagnostics: Diagnostics):
        self.source: Source = found.source
        self._found = found
        self._diagnostics = diagnostics
        self._documentation = _documentation(found)

    def rules(self) -> dict[str, Callable[..., Any]]:
        """The methods by the names of the grammar's rules."""
        return {name: getattr(self, name) for name in _rules()}

    def _span(self, start: int, end: int) -> Span:
        return Span(self.source, start, end)

    def _opening(self, start: int, end: int) -> tuple[Span, str]:
        """The span and documentation with which every declaration begins."""
        return Span(self.source, start, end), self._documentation.get(self.source.position(start)[0], "")

    # --- declarations --------------------------------------------------------------------------------------------

    def module(self, children, start, end):
        return tuple(children)

    path = parameters = pattern = fn_parameters = function_parameters = function_inputs = arguments = module

    def import_declaration(self, children, start, end):
        return ast.Import(*self._opening(start, end), children[0], children[1] if len(children) > 1 else None)

    def const_declaration(self, children, start, end):
        return ast.Const(*self._opening(start, end), *children)

    def data_declaration(self, children, start, end):
        name, type_, *rest = children
        source = _parts(rest).get("source")
        default = rest[-1] if rest and rest[-1].__class__ is not Part else None
        return ast.Data(*self._opening(start, end), name, type_, default, source)

    def data_source(self, children, start, end):
        return Part("source", children[0])

    def let_declaration(self, children, start, end):
        return ast.Let(*self._opening(start, end), *children)

    def param_declaration(self, children, start, end):
        name, type_, *rest = children
        begins = _parts(rest).get("start")
        value = rest[0] if rest and begins is None else None
        return ast.Param(*self._opening(start, end), name, type_, value, begins)

    def param_start(self, children, start, end):
        return Part("start", children[0])

    def net_declaration(self, children, start, end):
        if children[0].__class__ is Token:
            return ast.Net(*self._opening(start, end), children[1], children[2], None, True)
        return ast.Net(*self._opening(start, end), children[0], children[1], children[2], False)

    def fn_declaration(self, children, start, end):
        result = _parts(children).get("result")
        return ast.Fn(*self._opening(start, end), children[0], children[1], result, children[-1])

    def fn_parameter(self, children, start, end):
        return ast.Parameter(self._span(start, end), children[0], children[1] if len(children) > 1 else None)

    def fn_result(self, children, start, end):
        return Part("result", children[0])

    def schedule_declaration(self, children, start, end):
        return ast.Schedule(*self._opening(start, end), *children)

    def energy_declaration(self, children, start, end):
        kind, name, *rest = children
        signature = rest[0] if len(rest) == 2 else None
        return ast.Energy(*self._opening(start, end), kind.text, name, signature, rest[-1])

    def task_declaration(self, children, start, end):
        parts = _parts(children)
        bindings, method = parts.get("bindings", ()), parts.get("method")
        return ast.Task(
            *self._opening(start, end), children[0].text, children[1], bindings, method, parts.get("options", ())
        )

    def task_bindings(self, children, start, end):
        return Part("bindings", tuple(children))

    def task_method(self, children, start, end):
        method = children[0]
        if isinstance(method, ast.Name):
            method = ast.Call(method.span, method, (), None)
        return Part("method", method)

    def task_options(self, children, start, end):
        return Part("options", tuple(children))

    # --- signatures and types ------------------------------------------------------------------------------------

    def signature(self, children, start, end):
        parts = _parts(children)
        return ast.Signature(self._span(start, end), children[0], parts.get("conditions", ()), parts.get("level"))

    def conditions(self, children, start, end):
        return Part("conditions", tuple(children))

    def level(self, children, start, end):
        return Part("level", (children[1], children[2]))

    def parameter(self, children, start, end):
        return ast.Parameter(self._span(start, end), *children)

    def type(self, children, start, end):
        parts = _parts(children)
        return ast.TypeExpression(
            self._span(start, end), children[0], parts.get("arguments", ()), parts.get("dims", ())
        )

    def type_arguments(self, children, start, end):
        return Part("arguments", tuple(children))

    def dims(self, children, start, end):
        return Part("dims", tuple(children))

    def function_type(self, children, start, end):
        return ast.FunctionType(self._span(start, end), *children)

    # --- blocks --------------------------------------------------------------------------------------------------

    def block(self, children, start, end):
        return ast.Block(self._span(start, end), tuple(children))

    def tilde(self, children, start, end):
        return ast.Tilde(self._span(start, end), *children)

    def increment(self, children, start, end):
        return ast.Increment(self._span(start, end), *children)

    def let_statement(self, children, start, end):
        return ast.LetStatement(self._span(start, end), *children)

    def report(self, children, start, end):
        return ast.Report(self._span(start, end), children[0], None, None)

    def report_value(self, children, start, end):
        return ast.Report(self._span(start, end), children[0], children[1], None)

    def report_draw(self, children, start, end):
        return ast.Report(self._span(start, end), children[0], None, children[1])

    # --- expressions ---------------------------------------------------------------------------------------------

    def tuple(self, children, start, end):
        return ast.Tuple(self._span(start, end), tuple(children))

    def conditional(self, children, start, end):
        return ast.If(self._span(start, end), *children)

    def function(self, children, start, end):
        return ast.Lambda(self._span(start, end), *children)

    def pipe(self, children, start, end):
        return ast.Pipe(self._span(start, end), tuple(children))

    def binary(self, children, start, end):
        left, operator, right = children
        place = self._span(operator.start, operator.end)
        return ast.Binary(self._span(start, end), operator.text, left, right, place)

    def unary(self, children, start, end):
        return ast.Unary(self._span(start, end), children[0].text, children[1])

    def index(self, children, start, end):
        return ast.Index(self._span(start, end), children[0], tuple(children[1:]))

    def call(self, children, start, end):
        conditions = _parts(children).get("conditions")
        return ast.Call(self._span(start, end), children[0], children[1], conditions)

    def bar_arguments(self, children, start, end):
        return Part("conditions", tuple(children))

    def argument(self, children, start, end):
        name = children[0] if len(children) > 1 else None
        return ast.Argument(self._span(start, end), name, children[-1])

    named_argument = argument

    def slice(self, children, start, end):
        parts = _parts(children)
        return ast.Slice(self._span(start, end), parts.get("start"), parts.get("stop"), parts.get("step"))

    def slice_start(self, children, start, end):
        return Part("start", children[0])

    def slice_stop(self, children, start, end):
        return Part("stop", children[0])

    def slice_step(self, children, start, end):
        return Part("step", children[0])

    def array(self, children, start, end):
        return ast.Array(self._span(start, end), tuple(children))

    def generator(self, children, start, end):
        return ast.Generator(self._span(start, end), tuple(children[:-1]), children[-1])

    def generator_binding(self, children, start, end):
        return (children[0], children[1])

    # --- leaves --------------------------------------------------------------------------------------------------

    def identifier(self, children, start, end):
        return ast.Identifier(self._span(start, end), children[0].text)

    def name(self, children, start, end):
        if len(children) == 1:
            return ast.Name(self._span(start, end), children[0].text, None)
        return ast.Name(self._span(start, end), children[1].text, children[0].text)

    def number(self, children, start, end):
        text = children[0].text
        value: int | float = 0
        if len(text) <= _LONGEST_NUMBER:
            plain = text.replace("_", "")
            value = int(plain) if plain.isdigit() else float(plain)
        if len(text) > _LONGEST_NUMBER or (isinstance(value, float) and math.isinf(value)):
            self._found.mistake(
                self._diagnostics,
                "E0105",
                "this number is too large",
                start,
                end,
                cause="the largest real number is about 1.8e308",
                fix="write a smaller one; `infinity` is the name of what has no end",
            )
            value = 0
        return ast.Number(self._span(start, end), value, text)

    def string(self, children, start, end):
        pieces = children[0].text[1:-1].split("\\")
        value = pieces[0]
        place = 1
        while place < len(pieces):
            piece = pieces[place]
            if piece == "":
                # Two backslashes: the split left an empty piece, and what follows is plain.
                value += "\\" + (pieces[place + 1] if place + 1 < len(pieces) else "")
                place += 2
                continue
            if piece[0] not in _ESCAPES:
                self._found.mistake(
                    self._diagnostics,
                    "E0104",
                    f"`\\{piece[0]}` means nothing in a string",
                    start,
                    end,
                    fix='write `\\\\` for a backslash; there are also `\\"`, `\\n` and `\\t`',
                )
            value += _ESCAPES.get(piece[0], "") + piece[1:]
            place += 1
        return ast.String(self._span(start, end), value)

    def boolean(self, children, start, end):
        return ast.Boolean(self._span(start, end), children[0].text == "true")


@cache
def _rules() -> tuple[str, ...]:
    return tuple(name for name in dir(Builder) if not name.startswith("_") and name != "rules")


def _documentation(found: Tokens) -> dict[int, str]:
    """The comment blocks, by the line below each."""
    blocks: dict[int, str] = {}
    for comment in found.comments:
        if comment.own_line:
            line = found.source.position(comment.span.start)[0]
            above = blocks.pop(line, None)
            words = comment.text.removeprefix(" ")
            blocks[line + 1] = words if above is None else f"{above}\n{words}"
    return blocks
