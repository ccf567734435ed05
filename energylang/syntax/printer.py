"""The formatter: syntax tree → text in the one style, every comment at its place."""

from __future__ import annotations

from energylang.diagnostics import Diagnostics
from energylang.source import Source
from energylang.syntax import ast
from energylang.syntax.compare import same
from energylang.syntax.parser import parse
from energylang.syntax.precedence import OR
from energylang.syntax.pretty import HARD, LINE, Doc, Group, Nest, layout
from energylang.syntax.print_expressions import ExpressionPrinter

_PASSES = 4


def format_text(text: str, name: str) -> str:
    """A model's text in the one style. Raises `DiagnosticError` where the text has syntax errors."""
    diagnostics = Diagnostics()
    module = parse(Source(name, text), diagnostics)
    diagnostics.raise_if_failed()
    formatted = format_module(module)
    # A comment in an odd place may find its own only at the second look.
    for _ in range(_PASSES):
        again = parse(Source(name, formatted), diagnostics)
        kept = _comments(module) == _comments(again)
        if diagnostics.failed or not kept or not same(module.declarations, again.declarations):
            # Rather no formatting than a damaged model.
            raise AssertionError(f"formatting would have changed {name}; its text was left as it is")
        before, formatted = formatted, format_module(again)
        if formatted == before:
            break
    return formatted


def _comments(module: ast.Module) -> str:
    """All that comments say; two that end up on one line become one."""
    return "".join("".join(comment.text.replace("#", "").split()) for comment in module.comments)


def format_module(module: ast.Module) -> str:
    """The text of a module: two spaces of indentation, lines of at most 100 columns where they can be broken.

    Comments and single blank lines stay where they are; parsing the result gives the same tree.
    """
    if not module.declarations and not module.comments:
        return ""
    return layout(_Printer(module).module())


class _Printer(ExpressionPrinter):
    """Prints declarations and statements."""

    def __init__(self, module: ast.Module):
        super().__init__(module)
        self._module = module
        self._line = module.source.position

    def module(self) -> Doc:
        return self._items(self._module.declarations, self._declaration, len(self._text) + 1)

    # --- lines ---------------------------------------------------------------------------------------------------

    def _items(self, nodes, print_one, end: int) -> list[Doc]:
        """Nodes and comments up to an offset, each on lines of its own, single blank lines kept."""
        docs: list[Doc] = []
        last_line = 0
        for node in nodes:
            last_line = self._own_lines(docs, node.span.start, last_line)
            self._break(docs, last_line, self._line(node.span.start)[0])
            docs += [print_one(node), *self._after(node.span.end)]
            last_line = self._line(node.span.end)[0]
        self._own_lines(docs, end, last_line)
        return docs

    def _own_lines(self, docs: list[Doc], offset: int, last_line: int) -> int:
        """Put the comments before an offset on lines of their own; the line at which the last of them stood."""
        while self._comment_ahead(offset):
            comment = self._comments[self._next]
            self._next += 1
            line = self._line(comment.span.start)[0]
            self._break(docs, last_line, line)
            docs.append(f"#{comment.text}")
            last_line = line
        return last_line

    @staticmethod
    def _break(docs: list[Doc], last_line: int, line: int) -> None:
        if docs:
            docs += [HARD, HARD] if line > last_line + 1 else [HARD]

    def _value(self, node: ast.Expression | ast.Tuple) -> Doc:
        """` = value`: on the same line where it fits or can be broken inside its own brackets."""
        return [" =", self._behind(node)]

    def _behind(self, node: ast.Expression | ast.Tuple) -> Doc:
        hugs = isinstance(node, (ast.Call, ast.Array, ast.Tuple))
        if hugs and not self._comment_ahead(node.span.start):
            return [" ", self.expression(node)]
        return Group([Nest([LINE, self.expression(node, flush=True)])])

    # --- declarations --------------------------------------------------------------------------------------------

    def _declaration(self, node: ast.AnyDeclaration) -> Doc:
        match node:
            case ast.Import():
                path = ".".join(part.text for part in node.path)
                docs: list[Doc] = ["import ", self._leaf(node.path[-1], path)]
                return docs if node.alias is None else [*docs, " as ", self._leaf(node.alias, node.alias.text)]
            case ast.Const() | ast.Schedule():
                word = "const" if isinstance(node, ast.Const) else "schedule"
                return [f"{word} ", self._leaf(node.name, node.name.text), self._value(node.value)]
            case ast.Data():
                docs = ["data ", self._leaf(node.name, node.name.text), ": ", self.type(node.type)]
                if node.source is not None:
                    docs += [" from ", self.expression(node.source)]
                return docs if node.default is None else [*docs, self._value(node.default)]
            case ast.Let():
                return self._let(node)
            case ast.Param():
                docs = ["param ", self._leaf(node.name, node.name.text), ": ", self.type(node.type)]
                if node.start is not None:
                    docs += [" from", self._behind(node.start)]
                return docs if node.value is None else [*docs, self._value(node.value)]
            case ast.Net():
                word = "extern net" if node.extern else "net"
                docs = [f"{word} ", self._leaf(node.name, node.name.text), ": ", self.function_type(node.type)]
                return docs if node.value is None else [*docs, self._value(node.value)]
            case ast.Fn():
                parameters = self._separated([self.parameter(parameter) for parameter in node.parameters])
                docs = ["fn ", self._leaf(node.name, node.name.text), Group(["(", Nest(parameters), ")"])]
                docs += self._after_bracket(node.parameters or (node.name,))
                if node.result is not None:
                    docs += [" -> ", self.type(node.result)]
                return [*docs, self._value(node.value)]
            case ast.Energy():
                return self._energy(node)
            case ast.Task():
                return self._task(node)

    def _let(self, node: ast.Let | ast.LetStatement) -> Doc:
        names = [self._leaf(name, name.text) for name in node.names]
        listed = names if len(names) == 1 else ["(", *self._separated(names), ")", *self._after_bracket(node.names)]
        return ["let ", Group(listed), self._value(node.value)]

    def _energy(self, node: ast.Energy) -> Doc:
        docs: list[Doc] = [f"{node.kind} ", self._leaf(node.name, node.name.text)]
        if node.signature is not None:
            docs.append(self.signature(node.signature))
        if isinstance(node.body, ast.Block):
            return [*docs, " ", self._block(node.body)]
        return [*docs, self._value(node.body)]

    def _task(self, node: ast.Task) -> Doc:
        parts: list[Doc] = []
        docs: list[Doc] = [f"{node.verb} ", self._bare(node.energy, False)]
        if node.bindings:
            items = self._separated([self.argument(binding) for binding in node.bindings])
            parts += [LINE, Group(["on (", Nest(items), ")"]), *self._after_bracket(node.bindings)]
        if node.method is not None:
            parts += [LINE, "with ", self._bare(node.method, False)]
        for option in node.options:
            parts += [",", LINE, self.argument(option)]
        return Group([*docs, Nest(parts)])

    # --- statements ----------------------------------------------------------------------------------------------

    def _block(self, node: ast.Block) -> Doc:
        items = self._items(node.statements, self._statement, node.span.end - 1)
        return ["{", Nest([HARD, *items]), HARD, "}"] if items else "{}"

    def _statement(self, node: ast.Statement) -> Doc:
        match node:
            case ast.Tilde():
                return [self.expression(node.target, OR), " ~", self._behind(node.distribution)]
            case ast.Increment():
                return ["+=", self._behind(node.value)]
            case ast.LetStatement():
                return self._let(node)
            case ast.Report():
                docs: list[Doc] = ["report ", self._leaf(node.name, node.name.text)]
                if node.value is not None:
                    return [*docs, self._value(node.value)]
                return docs if node.distribution is None else [*docs, " ~", self._behind(node.distribution)]
