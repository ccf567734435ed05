"""Text → syntax tree."""

from __future__ import annotations

from typing import Any

from energylang.diagnostics import Diagnostics
from energylang.source import Source
from energylang.syntax import ast
from energylang.syntax.build import Builder
from energylang.syntax.driver import Driver
from energylang.syntax.layout import Layout
from energylang.syntax.lexer import tokenize
from energylang.syntax.tokens import Tokens


def parse(source: Source, diagnostics: Diagnostics) -> ast.Module:
    """The module that a source is; what could not be read is reported and left out.

    Never raises for anything a text can contain, and never overflows the stack.
    """
    declarations, found = _parse(source, diagnostics, "module")
    return ast.Module(source, declarations or (), tuple(found.comments))


def parse_expression(source: Source, diagnostics: Diagnostics) -> ast.Expression | None:
    """The expression that a source is, as for `--method 'mala(step = 0.1)'`; None where it is not one."""
    return _parse(source, diagnostics, "expression")[0]


def _parse(source: Source, diagnostics: Diagnostics, start: str) -> tuple[Any, Tokens]:
    local = Diagnostics()
    found = tokenize(source, local)
    layout = Layout(found, local).run()
    driver = Driver(found, layout.tokens, Builder(found, local).rules(), local)
    value = driver.parse(start)
    driver.report_superfluous(layout.superfluous)
    # Characters, brackets and grammar are looked at one after the other; the reader goes from top to bottom.
    diagnostics.found += sorted(local.found, key=lambda finding: finding.span.start if finding.span else 0)
    return value, found
