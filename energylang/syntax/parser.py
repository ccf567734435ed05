"""Text → syntax tree."""

from __future__ import annotations

from energylang.diagnostics import Diagnostics
from energylang.source import Source
from energylang.syntax import ast
from energylang.syntax.build import Builder
from energylang.syntax.driver import Driver
from energylang.syntax.layout import Layout
from energylang.syntax.lexer import tokenize


def parse(source: Source, diagnostics: Diagnostics) -> ast.Module:
    """The module that a source is; what could not be read is reported and left out.

    Never raises for anything a text can contain, and never overflows the stack.
    """
    found = tokenize(source, diagnostics)
    layout = Layout(found, diagnostics).run()
    driver = Driver(found, layout.tokens, Builder(found, diagnostics).rules, diagnostics)
    declarations = driver.parse("module")
    driver.report_superfluous(layout.superfluous)
    return ast.Module(source, declarations or (), tuple(found.comments))


def parse_expression(source: Source, diagnostics: Diagnostics) -> ast.Expression | None:
    """The expression that a source is, as for `--method 'mala(step = 0.1)'`; None where it is not one."""
    found = tokenize(source, diagnostics)
    layout = Layout(found, diagnostics).run()
    driver = Driver(found, layout.tokens, Builder(found, diagnostics).rules, diagnostics)
    expression = driver.parse("expression")
    driver.report_superfluous(layout.superfluous)
    return expression
