"""`rename(a, x = y)`: other names for variables, conditions and reports."""

from __future__ import annotations

from dataclasses import replace

from energylang.check.compositions.parts import (
    FORMS,
    parts_of,
    reference,
)
from energylang.check.context import Context, did_you_mean
from energylang.diagnostics import Label
from energylang.ir.nodes import (
    Energy,
    Symbol,
)
from energylang.ir.rewrite import with_symbols
from energylang.syntax import ast


def rename(context: Context, node: ast.Call) -> Energy | None:
    parts = parts_of(context, node, 1, 1, ())
    if parts is None:
        return None
    (part,) = parts
    table: dict[str, Symbol] = {s.name: s for s in (*part.variables, *part.conditions)}
    reports = {r.name for r in part.reports} - table.keys()
    new: dict[str, str] = {}
    for argument in node.arguments:
        if argument.name is None:
            continue
        if argument.name.text not in table and argument.name.text not in reports:
            context.error(
                "E0511", f"`{part.name}` has no `{argument.name.text}` to rename", argument.name.span,
                related=[Label(part.span, f"it has {', '.join([*table, *reports])}")],
                fix=did_you_mean(argument.name.text, [*table, *reports]),
            )  # fmt: skip
            return None
        if not isinstance(argument.value, ast.Name) or argument.value.qualifier is not None:
            context.error("E0511", "a new name stands here", argument.value.span, fix="`rename(e, x = y)`: x becomes y")
            return None
        new[argument.name.text] = argument.value.text
    names = [new.get(n, n) for n in (*table, *reports)]
    doubled = [n for n in names if names.count(n) > 1]
    if doubled or not new:
        context.error(
            "E0203" if doubled else "E0206", f"`{doubled[0]}` would name two things" if doubled else "`rename` needs a new name",
            node.span, fix=f"rename both, or choose another name than `{doubled[0]}`" if doubled else f"its form is `{FORMS['rename']}`",
        )  # fmt: skip
        return None
    fresh: dict[Symbol, Symbol] = {s: replace(s, name=new[s.name]) for s in table.values() if s.name in new}
    made = with_symbols(part, {s: reference(f) for s, f in fresh.items()})
    return replace(
        made, name=node.function.text, span=node.span, doc="",
        reports=tuple(replace(r, name=new.get(r.name, r.name)) for r in made.reports),
    )  # fmt: skip
