"""Answers to requests about one text: hover, definition, symbols, formatting. Pure functions of an analysis."""

from __future__ import annotations

from lsprotocol import types

from energylang.diagnostics import DiagnosticError
from energylang.lsp.analysis import Analysis
from energylang.lsp.names import Use
from energylang.lsp.places import location
from energylang.lsp.words import about, library_entry
from energylang.syntax import ast
from energylang.syntax.printer import format_text

Kind = types.SymbolKind
_SYMBOLS = {
    ast.Import: Kind.Module, ast.Const: Kind.Constant, ast.Data: Kind.Field, ast.Let: Kind.Variable, ast.Param: Kind.Property,
    ast.Net: Kind.Function, ast.Fn: Kind.Function, ast.Schedule: Kind.Object, ast.Energy: Kind.Class, ast.Task: Kind.Event,
}  # fmt: skip


def hover(analysis: Analysis, position: types.Position) -> types.Hover | None:
    """What the name under the cursor is."""
    name = analysis.names.at(analysis.positions.offset(position))
    said = None if name is None else about(analysis, name)
    if name is None or said is None:
        return None
    code, text = said
    content = f"```energy\n{code}\n```" + (f"\n\n{text}" if text else "")
    return types.Hover(types.MarkupContent(types.MarkupKind.Markdown, content), analysis.positions.range_of(name.span))


def definition(analysis: Analysis, position: types.Position, uri: str, encoding: str) -> types.Location | None:
    """Where the name under the cursor is declared: in this text, or in the standard library."""
    name = analysis.names.at(analysis.positions.offset(position))
    if isinstance(name, Use) and name.definition is None and name.role == "callable":
        found = library_entry(name.name)
        return None if found is None else location(found.name.span, analysis.source, uri, encoding)
    target = name.definition if isinstance(name, Use) else name
    return None if target is None else location(target.span, analysis.source, uri, encoding)


def symbols(analysis: Analysis) -> list[types.DocumentSymbol]:
    """The declarations, each with the names inside it."""
    made = []
    for node in analysis.module.declarations:
        if isinstance(node, ast.Let):
            named: list[ast.Node] = list(node.names)
        elif isinstance(node, ast.Import):
            named = [node.alias or node.path[-1]]
        else:
            named = [node.energy if isinstance(node, ast.Task) else node.name]
        for name in named:
            label = f"{node.verb} {name.span.text}" if isinstance(node, ast.Task) else name.span.text
            detail = node.kind if isinstance(node, ast.Energy) else type(node).__name__.lower()
            made.append(_symbol(analysis, label, detail, _SYMBOLS[type(node)], node, name, _inside(analysis, node)))
    return made


def _inside(analysis: Analysis, node: ast.AnyDeclaration) -> list[types.DocumentSymbol]:
    kinds = ("variable", "condition", "local", "report")
    inner = [d for d in analysis.names.definitions if d.owner is node and d.kind in kinds]
    return [
        _symbol(analysis, d.name, " or ".join(analysis.types(d)) or d.kind, Kind.Variable, d.node, d, []) for d in inner
    ]


def _symbol(analysis, label, detail, kind, node, name, inside) -> types.DocumentSymbol:
    return types.DocumentSymbol(
        name=label,
        kind=kind,
        range=analysis.positions.range_of(node.span),
        selection_range=analysis.positions.range_of(name.span),
        detail=detail,
        children=inside or None,
    )


def formatting(analysis: Analysis) -> list[types.TextEdit] | None:
    """What the one style changes, as one replacement; None where the text cannot be read."""
    text = analysis.source.text
    try:
        made = format_text(text, analysis.source.name)
    except DiagnosticError:
        return None
    if made == text:
        return []
    start = _common(text, made)
    rest = _common(text[start:][::-1], made[start:][::-1])
    return [types.TextEdit(analysis.positions.range(start, len(text) - rest), made[start : len(made) - rest])]


def _common(one: str, other: str) -> int:
    """How many characters two texts begin with alike."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((n for n, (a, b) in pairs if a != b), min(len(one), len(other)))
