"""Diagnostics as the protocol has them, and the replacements that some of them bring."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from lsprotocol import types

from energylang import resources
from energylang.diagnostics import Diagnostic
from energylang.lsp.analysis import Analysis
from energylang.lsp.places import location
from energylang.render import printable

SEVERITY = {
    "error": types.DiagnosticSeverity.Error,
    "warning": types.DiagnosticSeverity.Warning,
    "note": types.DiagnosticSeverity.Information,
}


def report(analysis: Analysis, uri: str, encoding: str) -> list[types.Diagnostic]:
    """Every diagnostic of a text."""
    return [_one(finding, analysis, uri, encoding) for finding in analysis.diagnostics]


def _one(finding: Diagnostic, analysis: Analysis, uri: str, encoding: str) -> types.Diagnostic:
    here = finding.span is not None and finding.span.source is analysis.source
    lines = [finding.message if not finding.label else f"{finding.message} ({finding.label})"]
    lines += [f"{title}: {text}" for title, text in (("cause", finding.cause), ("fix", finding.fix)) if text]
    related, place = [], finding.span if here else None
    if finding.span is not None and not here:
        # Found in a file that this one imports: said where it is imported, with the way there.
        place = next((label.span for label in finding.related if label.span.source is analysis.source), None)
        target = location(finding.span, analysis.source, uri, encoding)
        related += [types.DiagnosticRelatedInformation(target, "here")] if target is not None else []
    for label in finding.related:
        target = location(label.span, analysis.source, uri, encoding)
        if target is not None:
            related.append(types.DiagnosticRelatedInformation(target, printable(label.text)))
    link = _link(finding.code)
    return types.Diagnostic(
        range=analysis.positions.range(0, 0) if place is None else analysis.positions.range_of(place),
        message="\n".join(map(printable, lines)),
        severity=SEVERITY[finding.severity],
        code=finding.code,
        code_description=types.CodeDescription(link) if link is not None else None,
        source="energylang",
        related_information=related or None,
    )  # fmt: skip


@cache
def _link(code: str) -> str | None:
    """The paragraph about a code in the documentation that came with this version."""
    try:
        page = resources.resource("docs", "errors.md")
    except FileNotFoundError:
        return None
    lines = page.read_text(encoding="utf-8").splitlines()
    line = next((n for n, text in enumerate(lines, 1) if text.startswith(f"### {code}:")), None)
    return None if line is None else f"{page.resolve().as_uri()}#L{line}"


def actions(analysis: Analysis, uri: str, encoding: str, where: types.Range) -> Iterator[types.CodeAction]:
    """The replacements of the diagnostics that a range touches."""
    start, end = analysis.positions.offset(where.start), analysis.positions.offset(where.end)
    for finding in analysis.diagnostics:
        span, edit = finding.span, finding.edit
        if span is None or edit is None or edit.span.source is not analysis.source:
            continue
        if max(start, min(span.start, edit.span.start)) <= min(end, max(span.end, edit.span.end)):
            change = types.TextEdit(analysis.positions.range_of(edit.span), edit.text)
            yield types.CodeAction(
                title=printable(_title(edit.span.text, edit.text)),
                kind=types.CodeActionKind.QuickFix,
                diagnostics=[_one(finding, analysis, uri, encoding)],
                is_preferred=True,
                edit=types.WorkspaceEdit(changes={uri: [change]}),
            )


def _title(before: str, after: str) -> str:
    if not before:
        return f"Insert `{after.strip()}`" if after.strip() else "Begin a new line"
    return f"Remove `{before.strip()}`" if not after else f"Replace `{before}` by `{after}`"
