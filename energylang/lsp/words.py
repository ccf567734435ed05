"""What editors say about a name: its signature, its type, its documentation."""

from __future__ import annotations

from energylang.catalog import NEEDS, RUN_OPTIONS, Method, Option, describe, methods
from energylang.check.context import CONSTANTS
from energylang.check.functions import FUNCTIONS
from energylang.ir.nodes import Literal, Reference
from energylang.ir.types import LATER_SPACES, SPACE_MEANINGS
from energylang.lsp.analysis import Analysis
from energylang.lsp.names import CALLABLE, Definition, Use
from energylang.syntax import ast
from energylang.syntax.library import parse_library


def library_entry(name: str) -> ast.Energy | ast.Fn | None:
    """The declaration of this name in the standard library."""
    for declaration in parse_library("distributions").declarations:
        if isinstance(declaration, ast.Energy | ast.Fn) and declaration.name.text == name:
            return declaration
    return None


def about(analysis: Analysis, name: Definition | Use) -> tuple[str, str] | None:
    """What is to be said of a name: code, and documentation in Markdown. None where nothing is known."""
    if isinstance(name, Use):
        if name.role == "type":
            return about_space(name.name)
        if name.role == "method":
            spec = methods().get(name.name)
            return None if spec is None else about_method(spec)
        if name.role == "option":
            return _option(name)
        if name.definition is None:
            return _outermost(analysis, name)
        return _defined(analysis, name.definition, name)
    return _defined(analysis, name, name)


def _defined(analysis: Analysis, definition: Definition, at: Definition | Use) -> tuple[str, str] | None:
    node, kind = definition.node, definition.kind
    if kind in CALLABLE:
        return about_declaration(node, _value_note(analysis, at))
    types = analysis.types(at) or analysis.types(definition)
    shown = " or ".join(types) if types else "unknown"
    doc = getattr(node, "doc", "")
    if kind == "const":
        value = next((m.value for m in analysis.meaning(at) if isinstance(m, Literal)), None)
        note = "" if value is None or node.value.__class__ is ast.Number else f"\n\nIts value is {value}."  # type: ignore[attr-defined]
        return _one_line(node.span.text), doc + note
    if kind in ("data", "param", "variable", "condition"):
        space = next((str(m.symbol.space) for m in analysis.meaning(definition) if isinstance(m, Reference)), None)
        declared = getattr(node, "type", None)
        space = space or (declared.span.text if declared is not None else "unknown")
        of = f"of {definition.owner.kind} `{definition.owner_name}`" if isinstance(definition.owner, ast.Energy) else ""
        return f"{kind} {definition.name}: {space}", "\n\n".join(filter(None, (of, doc)))
    if kind == "dim":
        return f"dim {definition.name}", f"The size of an axis, solved from the data `{definition.owner_name}`."
    if kind == "module":
        path = ".".join(part.text for part in node.path)  # type: ignore[attr-defined]
        declared = analysis.imported.get(definition.name)
        names = [] if declared is None else [*declared.top.values, *declared.top.callables]
        return f"import {path}", f"Declares {', '.join(f'`{name}`' for name in names)}." if names else ""
    word = {"local": "let", "report": "report", "level": "level"}.get(kind, kind)
    return f"{word} {definition.name}: {shown}", doc


def _outermost(analysis: Analysis, use: Use) -> tuple[str, str] | None:
    """What the language itself names."""
    if use.role == "callable":
        declaration = library_entry(use.name)
        if declaration is not None:
            return about_declaration(declaration, _value_note(analysis, use))
        return about_function(use.name, _value_note(analysis, use))
    if use.name in CONSTANTS:
        return f"{use.name} = {CONSTANTS[use.name]}", "A constant of the language."
    types = analysis.types(use)
    return (f"{use.name}: {' or '.join(types)}", "") if types else None


def _value_note(analysis: Analysis, name: Definition | Use) -> str:
    """The type of the call that a name begins."""
    call = name.call if isinstance(name, Use) else None
    if call is None:
        return ""
    found = analysis.meanings.get((call.span.start, call.span.end), [])
    types = list(dict.fromkeys(str(each.type) for each in found))
    return f"Here: {' or '.join(types)}." if types else ""


def about_declaration(node: ast.Node, note: str = "") -> tuple[str, str]:
    """An energy, a distribution, a function or a net: its head, and its body where that is one short expression."""
    text = node.span.text
    body = getattr(node, "body", None) or getattr(node, "value", None)
    if isinstance(body, ast.Block):
        text = text[: body.span.start - node.span.start].rstrip()
    doc = getattr(node, "doc", "")
    return _one_line(text), "\n\n".join(filter(None, (doc, note)))


def about_function(name: str, note: str = "") -> tuple[str, str] | None:
    """A function of the language."""
    function = FUNCTIONS.get(name)
    if function is None:
        return None
    shown = ", ".join(f"{p} = …" if p in function.static else "…" if p == "*" else p for p in function.parameters)
    return f"{name}({shown})", "\n\n".join(filter(None, (function.doc, note)))


def about_space(name: str) -> tuple[str, str] | None:
    """A space of variables, or a type of data."""
    if name in SPACE_MEANINGS:
        return f"{name}", SPACE_MEANINGS[name]
    return (name, "not in this version") if name in LATER_SPACES else None


def about_method(spec: Method) -> tuple[str, str]:
    """A method of the catalog, with its options."""
    lines = [f"{spec.summary[0].upper()}{spec.summary[1:]}.", ""]
    lines += [f"- `{option.name}`: {describe(option)}" for option in spec.options]
    needs = [f"Needs {NEEDS.get(need, need)}." for need in spec.needs]
    return f"{spec.name}(…)  # {', '.join(spec.tasks)}", "\n".join([*lines, "", *needs, f"Source: {spec.source}."])


def _option(use: Use) -> tuple[str, str] | None:
    if isinstance(use.call, ast.Task):
        table: tuple[Option, ...] = RUN_OPTIONS[use.call.verb]
    else:
        spec = methods().get(use.call.function.text) if use.call is not None else None
        table = spec.options if spec is not None else ()
    found = next((option for option in table if option.name == use.name), None)
    return None if found is None else (f"{found.name} = …", describe(found))


def _one_line(text: str) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= 400 else flat[:399] + "…"
