"""Lints of a whole module, and the comments that allow lints where they are meant.

`# allow L0103` behind a line, or in the comments right above it, silences that lint there; several codes are separated
by commas. What allows nothing is a lint itself, so that such comments do not outlive their reason.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields
from functools import cache
from typing import Any

from energylang.codes import CODES
from energylang.diagnostics import Diagnostic, Diagnostics, Edit
from energylang.source import Span
from energylang.syntax import ast

_ALLOW = re.compile(r"\s*allow\s+([A-Z]\d{4}(?:\s*,\s*[A-Z]\d{4})*)\b")


# --- names that nothing uses ---------------------------------------------------------------------------------------


def lint(module: ast.Module, diagnostics: Diagnostics) -> None:
    """Add the lints that only the whole text of a model shows."""
    if not module.declarations:
        diagnostics.add(
            "L0104", f"there is nothing in {module.source.name}", fix="declare an energy; `energylang new NAME` writes a model to begin with"
        )  # fmt: skip
    for declaration in module.declarations:
        if isinstance(declaration, ast.Energy) and isinstance(declaration.body, ast.Block):
            _statements(declaration.body, module, diagnostics)
    if not any(isinstance(d, ast.Energy) and d.kind not in ("distribution", "constraint") for d in module.declarations):
        # A module for others to import: they use what it declares.
        return
    uses = [_uses(declaration) for declaration in module.declarations]
    counts: dict[str, int] = {}
    for names in uses:
        for name in names:
            counts[name] = counts.get(name, 0) + 1
    for declaration, own in zip(module.declarations, uses, strict=True):
        for name, kind, gives in _declared(declaration):
            # What a declaration says of itself is no use of it; a datum whose dims are used is used for these.
            if not any(counts.get(n, 0) - (n in own) for n in (name.text, *gives)):
                _unused(name, kind, declaration.span, diagnostics)


def _declared(declaration: ast.AnyDeclaration) -> Iterator[tuple[ast.Identifier, str, list[str]]]:
    """What a declaration makes that something should use: name, kind, and names that it gives a value besides."""
    match declaration:
        case ast.Const():
            yield declaration.name, "const", []
        case ast.Data():
            yield declaration.name, "data", [d.text for d in declaration.type.dims if isinstance(d, ast.Name)]
        case ast.Param():
            yield declaration.name, "param", []
        case ast.Fn():
            yield declaration.name, "fn", []
        case ast.Let():
            for name in declaration.names:
                yield name, "let", []


def _statements(block: ast.Block, module: ast.Module, diagnostics: Diagnostics) -> None:
    """Lets of a block that nothing uses, or that hide a name of the top level."""
    used: set[str] = set()
    for statement in block.statements:
        used |= _uses(statement)
    top = {name.text: kind for d in module.declarations for name, kind, _ in _declared(d) if kind != "fn"}
    for statement in block.statements:
        if not isinstance(statement, ast.LetStatement):
            continue
        for name in statement.names:
            if name.text in top:
                diagnostics.add(
                    "L0107", f"`let {name.text}` hides the {top[name.text]} of this name", name.span,
                    cause=f"below this line `{name.text}` is another thing than above", fix="give it a name of its own",
                )  # fmt: skip
        if not any(name.text in used for name in statement.names):
            _unused(statement.names[0], "let", statement.span, diagnostics)


def _unused(name: ast.Identifier, kind: str, whole: Span, diagnostics: Diagnostics) -> None:
    diagnostics.add(
        "L0106", f"nothing uses the {kind} `{name.text}`", name.span, fix="remove it, or use it", edit=Edit(whole, "")
    )


def _uses(node: Any) -> set[str]:
    """Every name that a node uses; walks by a loop, since sums may lean as deep as they are long."""
    found: set[str] = set()
    pending = [node]
    while pending:
        item = pending.pop()
        if item.__class__ is tuple:
            pending.extend(item)
        elif item.__class__ is ast.Name:
            found.add(item.text)
            if item.qualifier is not None:
                found.add(item.qualifier)
        elif isinstance(item, ast.Report) and item.value is None and item.distribution is None:
            found.add(item.name.text)
        else:
            for name in _parts(item.__class__):
                pending.append(getattr(item, name))
    return found


@cache
def _parts(node: Any) -> tuple[str, ...]:
    """The fields of a class of nodes in which there may be names; none of what is no node, or a leaf."""
    if not issubclass(node, ast.Node):
        return ()
    return tuple(f.name for f in fields(node) if f.name != "span" and f.type not in ("str", "bool", "int | float"))


# --- allowing -------------------------------------------------------------------------------------------------------


@dataclass
class _Allowance:
    """A code that a comment allows on a line."""

    code: str
    span: Span
    used: bool = field(default=False)


def without_allowed(found: Sequence[Diagnostic], modules: Sequence[ast.Module]) -> list[Diagnostic]:
    """The findings without the lints that comments allow, and with one for each comment that allows nothing."""
    by_line: dict[tuple[int, int], list[_Allowance]] = {}
    for module in modules:
        for line, allowance in _allowances(module):
            by_line.setdefault((id(module.source), line), []).append(allowance)
    if not by_line:
        return list(found)
    kept = []
    for diagnostic in found:
        allowing = [a for a in _at(diagnostic, by_line) if a.code == diagnostic.code]
        if not allowing or CODES[diagnostic.code].severity == "error":
            kept.append(diagnostic)
        for allowance in allowing:
            allowance.used = True
    if not any(CODES[d.code].severity == "error" for d in found):
        # Where a text is wrong, lints may be missing for that reason alone.
        kept += [_idle(a) for allowances in by_line.values() for a in allowances if not a.used]
    return kept


def _at(diagnostic: Diagnostic, by_line: dict[tuple[int, int], list[_Allowance]]) -> list[_Allowance]:
    """What comments allow on the lines that a finding covers."""
    if diagnostic.span is None:
        return []
    source = diagnostic.span.source
    first, last = (source.position(offset)[0] for offset in (diagnostic.span.start, diagnostic.span.end))
    return [a for line in range(first, last + 1) for a in by_line.get((id(source), line), ())]


def _allowances(module: ast.Module) -> Iterator[tuple[int, _Allowance]]:
    own_lines = {module.source.position(c.span.start)[0] for c in module.comments if c.own_line}
    for comment in module.comments:
        codes = _ALLOW.match(comment.text)
        if codes is None:
            continue
        line = module.source.position(comment.span.start)[0]
        if comment.own_line:
            while line in own_lines:
                line += 1
        for code in re.findall(r"[A-Z]\d{4}", codes.group(1)):
            yield line, _Allowance(code, comment.span)


def _idle(allowance: _Allowance) -> Diagnostic:
    code = allowance.code
    if code not in CODES:
        cause, fix = f"there is no code {code}", "`docs/errors.md` lists the codes"
    elif CODES[code].severity == "error":
        cause, fix = f"{code} is an error, and only lints are allowed", "mend the error, and remove the comment"
    else:
        cause, fix = (
            f"there is no {code} on this line",
            "remove the comment, or put it at the end of the line it is for",
        )
    return Diagnostic("L0105", f"`allow {code}` allows nothing", allowance.span, cause=cause, fix=fix)
