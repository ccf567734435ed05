"""Expressions, types and signatures → documents, with the comments that stand in them."""

from __future__ import annotations

import re
from collections.abc import Sequence

from energylang.syntax import ast
from energylang.syntax.precedence import (
    ATOM,
    EXPRESSION,
    LEVELS,
    NOT,
    OPERANDS,
    OR,
    PIPE,
    POSTFIX,
    SIGNED,
)
from energylang.syntax.pretty import HARD, LINE, SOFT, Doc, Fresh, Group, Nest, Suffix, ends_in_suffix

# Between a node and the comment behind it there may be what is printed together with the node.
_BESIDE = re.compile(r"[ \t,=:~|{@]*")

_CLOSING = re.compile(r"[\s,(]*\)")

_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t"})


class ExpressionPrinter:
    """Prints nodes in the order of their source, so that comments can be put in as they come by."""

    def __init__(self, module: ast.Module):
        self._text = module.source.text
        self._comments = module.comments
        self._next = 0

    # --- comments ------------------------------------------------------------------------------------------------

    def _before(self, offset: int) -> list[Doc]:
        """The comments not yet printed that stand before an offset, on lines of their own."""
        docs: list[Doc] = []
        while self._comment_ahead(offset):
            docs += [Fresh(), f"#{self._comments[self._next].text}", HARD]
            self._next += 1
        return docs

    def _opening(self, bracket: str, items: Sequence[ast.Node], end: int) -> list[Doc]:
        """An opening bracket, with the comment behind it: to be called before what stands in the brackets."""
        offset = items[0].span.start if items else end
        if self._comment_ahead(offset) and not self._comments[self._next].own_line:
            self._next += 1
            return [bracket, Suffix(f"#{self._comments[self._next - 1].text}")]
        return [bracket]

    def _after(self, offset: int) -> list[Doc]:
        """The comment that follows on the same line, if only punctuation stands between."""
        if self._next < len(self._comments):
            comment = self._comments[self._next]
            start = comment.span.start
            if not comment.own_line and offset <= start and _BESIDE.fullmatch(self._text, offset, start):
                self._next += 1
                return [Suffix(f"#{comment.text}")]
        return []

    def _after_bracket(self, items: Sequence[ast.Node]) -> list[Doc]:
        """The comment behind the `)` that follows items."""
        closing = _CLOSING.match(self._text, items[-1].span.end)
        return self._after(closing.end()) if closing else []

    def _comment_ahead(self, offset: int) -> bool:
        return self._next < len(self._comments) and self._comments[self._next].span.start < offset

    def _leaf(self, node: ast.Node, text: str) -> Doc:
        if self._next >= len(self._comments):
            return text
        return [*self._before(node.span.start), text, *self._after(node.span.end)]

    def _bracketed(self, opening: list[Doc], items: Doc, closing: str, end: int) -> Doc:
        """Brackets around items; `end` is where the closing bracket ends in the source."""
        comments = self._before(end - 1)
        # The line of the closing bracket begins anew anyway.
        inside = [SOFT, items, *(comments[:-1] if comments and comments[-1] is HARD else comments)]
        return [Group([*opening, Nest(inside), SOFT, closing]), *self._after(end)]

    def _separated(self, docs: Sequence[Doc]) -> list[Doc]:
        joined: list[Doc] = []
        for number, doc in enumerate(docs):
            joined += [",", LINE, doc] if number else [doc]
        return joined

    # --- expressions ---------------------------------------------------------------------------------------------

    def expression(self, node: ast.Expression | ast.Tuple, least: int = EXPRESSION, flush: bool = False) -> Doc:
        """An expression, in brackets where it binds less tightly than `least`.

        `flush` is for what stands alone on its lines: broken operators are then not indented further.
        """
        if _level(node) < least:
            return Group(["(", Nest([SOFT, self._bare(node, True)]), SOFT, ")"])
        return self._bare(node, flush)

    def _bare(self, node: ast.Node, flush: bool) -> Doc:
        match node:
            case ast.Number():
                return self._leaf(node, node.text)
            case ast.Name():
                return self._leaf(node, f"{node.qualifier}.{node.text}" if node.qualifier else node.text)
            case ast.Identifier():
                return self._leaf(node, node.text)
            case ast.String():
                return self._leaf(node, f'"{node.value.translate(_ESCAPES)}"')
            case ast.Boolean():
                return self._leaf(node, "true" if node.value else "false")
            case ast.Binary():
                return self._binary(node, flush)
            case ast.Unary():
                operand = self.expression(node.operand, NOT if node.operator == "not" else SIGNED)
                return [f"{node.operator} " if node.operator == "not" else node.operator, operand]
            case ast.Call():
                return self._call(node)
            case ast.Index():
                base = self.expression(node.base, POSTFIX)
                opening = self._opening("[", node.items, node.span.end)
                items = [
                    self._slice(item) if isinstance(item, ast.Slice) else self.expression(item) for item in node.items
                ]
                return [base, self._bracketed(opening, self._separated(items), "]", node.span.end)]
            case ast.Array():
                return self._array(node)
            case ast.Tuple():
                opening = self._opening("(", node.items, node.span.end)
                items = [self.expression(item) for item in node.items]
                return self._bracketed(opening, self._separated(items), ")", node.span.end)
            case ast.If():
                return self._conditional(node)
            case ast.Lambda():
                names = self._separated([self._leaf(name, name.text) for name in node.parameters])
                return [Group(["fn(", *names, "): "]), self.expression(node.body)]
            case ast.Pipe():
                first, *rest = node.stages
                docs = [self.expression(first, OR)]
                stages: list[Doc] = []
                for stage in rest:
                    stages += [LINE, "|> ", self.expression(stage, OR)]
                return Group([*docs, Nest(stages)])
            case ast.Generator():
                return self._generator(node)
            case _:
                raise TypeError(f"{type(node).__name__} is not an expression")

    def _binary(self, node: ast.Binary, flush: bool) -> Doc:
        level = LEVELS[node.operator]
        left_least, right_least = OPERANDS[level]
        if node.operator == "^":
            left = self.expression(node.left, left_least)
            return [left, self._operator(node), self.expression(node.right, right_least)]
        # The spine of a long sum is walked by a loop: it may have thousands of terms.
        chain = [node]
        while isinstance(left := chain[-1].left, ast.Binary) and LEVELS[left.operator] == level >= left_least:
            chain.append(left)
        docs: list[Doc] = [self.expression(chain[-1].left, left_least)]
        rest: list[Doc] = []
        for link in reversed(chain):
            rest += [LINE, self._operator(link), " ", self.expression(link.right, right_least)]
        return Group([*docs, *rest] if flush else [*docs, Nest(rest)])

    def _operator(self, node: ast.Binary) -> Doc:
        if self._next >= len(self._comments):
            return node.operator
        span = node.operator_span
        return [*self._before(span.start), node.operator, *self._after(span.end)]

    def _conditional(self, node: ast.If) -> Doc:
        docs: list[Doc] = []
        last: ast.Expression = node
        while isinstance(last, ast.If):
            condition, then = self.expression(last.condition, PIPE), self.expression(last.then, PIPE)
            docs += [Group(["if ", condition, Nest([LINE, "then ", then])]), LINE, "else "]
            last = last.otherwise
        return Group([*docs, self.expression(last)])

    def _call(self, node: ast.Call) -> Doc:
        name = self._bare(node.function, False)
        opening = self._opening("(", node.arguments or node.conditions or (), node.span.end)
        alone = len(node.arguments) == 1 and node.conditions is None
        arguments = self._separated([self.argument(argument, alone) for argument in node.arguments])
        if node.conditions is not None:
            arguments += [LINE if node.arguments else "", "| "]
            arguments += self._separated([self.argument(argument) for argument in node.conditions])
        if not arguments and len(opening) == 1 and not self._comment_ahead(node.span.end):
            return [name, "()", *self._after(node.span.end)]
        return [name, self._bracketed(opening, arguments, ")", node.span.end)]

    def argument(self, node: ast.Argument, flush: bool = False) -> Doc:
        """`value` or `name = value`."""
        if node.name is None:
            return self.expression(node.value, flush=flush)
        return [self._leaf(node.name, node.name.text), " = ", self.expression(node.value)]

    def _array(self, node: ast.Array) -> Doc:
        opening = self._opening("[", node.items, node.span.end)
        items = [self.expression(item) for item in node.items]
        if not items and len(opening) == 1 and not self._comment_ahead(node.span.end):
            return ["[]", *self._after(node.span.end)]
        if not all(map(_is_short, node.items)):
            return self._bracketed(opening, self._separated(items), "]", node.span.end)
        # Numbers fill their lines; a table of them would otherwise take a line for each.
        filled: list[Doc] = []
        for number, item in enumerate(items):
            if number == 0:
                filled.append(item)
            elif ends_in_suffix(items[number - 1]):
                filled += [",", HARD, item]
            else:
                filled += [",", Group([LINE, item])]
        return self._bracketed(opening, filled, "]", node.span.end)

    def _generator(self, node: ast.Generator) -> Doc:
        bindings: list[Doc] = []
        for name, values in node.bindings:
            bindings.append([self._leaf(name, name.text), " in ", self.expression(values)])
        return Group(["for ", *self._separated(bindings), ":", Nest([LINE, self.expression(node.body)])])

    def _slice(self, node: ast.Slice) -> Doc:
        docs: list[Doc] = [] if node.start is None else [self.expression(node.start)]
        docs.append(":")
        if node.stop is not None:
            docs.append(self.expression(node.stop))
        if node.step is not None:
            docs += [":", self.expression(node.step)]
        return docs

    # --- types and signatures ------------------------------------------------------------------------------------

    def type(self, node: ast.TypeExpression) -> Doc:
        """`name(arguments)[dims]`."""
        docs: list[Doc] = [self._leaf(node.name, node.name.text)]
        if node.arguments:
            items = self._separated([self.expression(argument) for argument in node.arguments])
            docs += [Group(["(", Nest([SOFT, *items]), SOFT, ")"]), *self._after_bracket(node.arguments)]
        if node.dims:
            opening = self._opening("[", node.dims, node.span.end)
            items = self._separated([self.expression(dim) for dim in node.dims])
            docs.append(self._bracketed(opening, items, "]", node.span.end))
        return docs

    def function_type(self, node: ast.FunctionType) -> Doc:
        """`input -> output`, several inputs in brackets."""
        inputs = [self.type(item) for item in node.inputs]
        listed = inputs if len(inputs) == 1 else ["(", *self._separated(inputs), ")"]
        return Group([*listed, Nest([" ->", LINE, self.type(node.output)])])

    def parameter(self, node: ast.Parameter) -> Doc:
        """`name: type`, or a name."""
        name = self._leaf(node.name, node.name.text)
        return name if node.type is None else [name, ": ", self.type(node.type)]

    def signature(self, node: ast.Signature) -> Doc:
        """`(variables | conditions @ level: schedule)`."""
        opening = self._opening("(", node.variables or node.conditions, node.span.end)
        docs = self._separated([self.parameter(parameter) for parameter in node.variables])
        if node.conditions:
            docs += [LINE] if docs else []
            docs += ["| ", *self._separated([self.parameter(parameter) for parameter in node.conditions])]
        if node.level is not None:
            name, schedule = node.level
            docs += [LINE] if docs else []
            docs += ["@ ", self._leaf(name, name.text), ": ", self._bare(schedule, False)]
        if not docs and len(opening) == 1 and not self._comment_ahead(node.span.end):
            return ["()", *self._after(node.span.end)]
        return self._bracketed(opening, docs, ")", node.span.end)


def _level(node: ast.Node) -> int:
    """How tightly a node binds."""
    match node:
        case ast.Binary():
            return LEVELS[node.operator]
        case ast.Unary():
            return NOT if node.operator == "not" else SIGNED
        case ast.If() | ast.Lambda():
            return EXPRESSION
        case ast.Pipe():
            return PIPE
        case ast.Index():
            return POSTFIX
        case _:
            return ATOM


def _is_short(node: ast.Node) -> bool:
    if isinstance(node, ast.Unary):
        node = node.operand
    return isinstance(node, (ast.Number, ast.Name, ast.Boolean))
