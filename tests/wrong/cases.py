"""Wrong programs, each a file of its own, and what a user is told about them.

`NAME.energy` is the program, `NAME.txt` all that is said about it. Beside them may lie `NAME.json`, which is then
given as `--data`; `NAME.fixed.energy`, the program after doing what the message says; and `NAME.diagnostics.json`,
the same findings as data.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import chdir
from pathlib import Path

from energylang.api import assemble
from energylang.cli.failures import as_data
from energylang.cli.options import check_model, read_data
from energylang.diagnostics import Diagnostic, DiagnosticError
from energylang.render import render

FOLDER = Path(__file__).parent


def programs() -> list[Path]:
    """Every wrong program, without those that mend one."""
    return sorted(path for path in FOLDER.glob("*/*.energy") if not path.name.endswith(".fixed.energy"))


def fixed(path: Path) -> Path:
    return path.with_suffix(".fixed.energy")


def said(path: Path) -> list[Diagnostic]:
    """All diagnostics of `energylang sample` up to where a run would begin, in the folder of the model."""
    beside = path.name.removesuffix(".energy").removesuffix(".fixed") + ".json"
    with chdir(path.parent):
        try:
            checked = check_model(path.name, ())
            if path.parent.name != "data":
                return checked.diagnostics.found
            values = read_data(checked, [beside] if Path(beside).exists() else [])
            model = assemble(checked.module, checked.program, Path(), values, checked.diagnostics, 0)
            for name in model:
                model[name]
        except DiagnosticError as error:
            return list(error.diagnostics)
    return list(model.diagnostics)


def snapshots(path: Path) -> Iterator[tuple[Path, str]]:
    """The files that go with a program, and what they should contain: the text, and JSON where it is kept."""
    found = said(path)
    yield path.with_suffix(".txt"), render(found, color=False)
    data = path.with_suffix(".diagnostics.json")
    if data.exists():
        yield data, json.dumps(as_data(found), ensure_ascii=False, indent=2) + "\n"
