"""`energylang methods`: the catalog, as a list or one entry in full."""

from __future__ import annotations

from typing import Any

import click

from energylang.catalog import NEEDS, VERBS, Method, describe, methods, shown
from energylang.cli.failures import fail, print_json
from energylang.cli.options import json_option
from energylang.diagnostics import suggest


@click.command("methods")
@click.argument("name", required=False)
@json_option
def methods_command(name: str | None, as_json: bool) -> None:
    """The methods: what each does and needs, its options, its source."""
    table = methods()
    if name is not None and name not in table:
        near = suggest(name, table)
        fail("E0601", f"there is no method `{name}`", fix=f"did you mean `{near}`?" if near else "`energylang methods`")
    chosen = list(table.values()) if name is None else [table[name]]
    if as_json:
        print_json({"methods": [_data(spec) for spec in chosen]})
    elif name is None:
        click.echo(_list(chosen))
    else:
        click.echo(_entry(chosen[0]))


def _list(specs: list[Method]) -> str:
    lines = []
    for verb in VERBS:
        here = [spec for spec in specs if verb in spec.tasks]
        if here:
            width = max(len(spec.name) for spec in specs)
            lines += [f"{verb}", *(f"  {spec.name.ljust(width)}  {spec.summary}" for spec in here), ""]
    return "\n".join([*lines, "`energylang methods NAME` has the options of one"])


def _entry(spec: Method) -> str:
    lines = [f"{spec.name}: {spec.summary}", "", f"tasks   {', '.join(spec.tasks)}", f"moves   {_moves(spec)}"]
    if spec.needs:
        lines.append(f"needs   {'; '.join(NEEDS.get(need, need) for need in spec.needs)}")
    if spec.chains is not None:
        lines.append(f"chains  {spec.chains[0]} at least, {spec.chains[1]} where nobody says; they learn together")
    lines += [f"source  {spec.source}", f"use     {_example(spec)}"]
    if spec.options:
        lines += ["", "options"]
        width = max(len(option.name) for option in spec.options)
        lines += [f"  {option.name.ljust(width)}  {describe(option)}" for option in spec.options]
    return "\n".join(lines)


def _moves(spec: Method) -> str:
    return "every variable" if spec.moves == "any" else f"{spec.moves} variables"


def _example(spec: Method) -> str:
    first = next((o for o in spec.options if o.default is not None), None)
    value = "" if first is None or first.default is None else f"{first.name} = {shown(first.default)}"
    if "inner" in spec.needs:
        value = f"gibbs(), {value}"
    elif spec.combines:
        value = "z = gibbs(), nuts()"
    return f"{spec.tasks[0]} my_energy with {spec.name}({value})"


def _data(spec: Method) -> dict[str, Any]:
    options = [
        {
            "name": o.name, "type": o.type, "default": o.default, "doc": o.doc, "minimum": o.minimum,
            "maximum": o.maximum, "exclusive": o.open, "choices": list(o.choices),
        }
        for o in spec.options
    ]  # fmt: skip
    return {
        "name": spec.name, "tasks": list(spec.tasks), "moves": spec.moves, "needs": list(spec.needs),
        "chains": list(spec.chains) if spec.chains else None,
        "summary": spec.summary, "source": spec.source, "options": options,
    }  # fmt: skip
