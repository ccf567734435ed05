"""Models in notebooks: `%load_ext energylang` gives the cell magic `%%energy`, and diagnostics instead of tracebacks."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from energylang.api import Model, assemble
from energylang.check import check_source
from energylang.cli.failures import fail, fail_usage
from energylang.cli.options import overrides_of
from energylang.datafiles import from_arguments
from energylang.diagnostics import DiagnosticError, Diagnostics, suggest
from energylang.render import render
from energylang.source import Source

MAGIC = "energy"
HOOK = "_render_traceback_"
USAGE = """%%energy [NAME] [--data VAR | --data NAME=VAR | --data FILE]… [--set NAME=VALUE]… [--seed N]

Compile the cell, and bind the model to NAME in the notebook (to `model` where none is given).

--data VAR       a variable of the notebook: a dictionary or a table of columns, by the names that the model declares; or, where
                 the model declares data of the variable's own name, its value
--data NAME=VAR  data under another name; a number, a list or a file works too, as in `energylang sample`
--data FILE      a data file
--set NAME=VALUE another value for a const
--seed N         where params start
"""


class Notebook:
    """The magic of one IPython shell."""

    def __init__(self, shell: Any) -> None:
        self.shell = shell

    def energy(self, line: str, cell: str) -> Model:
        name, data, settings, seed = _arguments(line)
        diagnostics, folder = Diagnostics(), Path.cwd()
        source = Source(f"%%{MAGIC} {name}", cell)
        module, program = check_source(source, diagnostics, overrides_of(settings), folder=folder)
        diagnostics.raise_if_failed()
        assert program is not None
        ranks = {declared.name: len(declared.space.shape) for declared in program.data}
        values = self._data(data, ranks, diagnostics)
        model = assemble(module, program, folder, values, diagnostics, seed)
        self.shell.user_ns[name] = model
        if model.diagnostics:
            print(render(model.diagnostics, colored(self.shell)), end="")
        return model

    def _data(self, given: Sequence[str], ranks: Mapping[str, int], diagnostics: Diagnostics) -> dict[str, Any]:
        """Values by name. Raises DiagnosticError E0882 for a variable that is not there, and those of data files."""
        values: dict[str, Any] = {}
        for argument in given:
            name, equals, text = argument.partition("=")
            text = text if equals else name
            if not text.isidentifier():
                values |= from_arguments([argument], ranks, diagnostics)
                diagnostics.raise_if_failed()
                continue
            value = self._variable(text, argument)
            if not equals and name not in ranks and hasattr(value, "keys"):
                # Columns that the model does not declare are left alone, as in data files.
                values |= {str(key): value[key] for key in value if str(key) in ranks}
            else:
                values[name] = value
        return values

    def _variable(self, name: str, argument: str) -> Any:
        known: Mapping[str, Any] = self.shell.user_ns
        if name not in known:
            near = suggest(name, [k for k in known if not k.startswith("_")])
            fix = f"did you mean `{near}`?" if near else f"run the cell that makes `{name}` first"
            fail("E0882", f"`--data {argument}`: the notebook has no variable `{name}`", fix=fix)
        return known[name]


def _arguments(line: str) -> tuple[str, tuple[str, ...], tuple[str, ...], int]:
    """The name, `--data`, `--set` and `--seed` of the magic's first line. Raises DiagnosticError E0901."""
    options = [
        click.Argument(["name"], required=False, default="model"),
        click.Option(["--data"], multiple=True),
        click.Option(["--set", "settings"], multiple=True),
        click.Option(["--seed"], type=int, default=0),
    ]
    command = click.Command(f"%%{MAGIC}", params=options, add_help_option=False)
    try:
        found = command.make_context(f"%%{MAGIC}", shlex.split(line)).params
    except click.ClickException as error:
        fail_usage(f"`%%{MAGIC} {line}`: {error.format_message().rstrip('.')}", f"`?%%{MAGIC}` shows what it takes")
    except ValueError as error:
        fail_usage(f"`%%{MAGIC} {line}`: {error}".lower(), "close the quotation mark")
    if not found["name"].isidentifier():
        fail_usage(f"`{found['name']}` is no name of a Python variable", f"for example `%%{MAGIC} schools`")
    return found["name"], found["data"], found["settings"], found["seed"]


def colored(shell: Any) -> bool:
    """Whether what a shell shows is coloured."""
    return str(getattr(shell, "colors", "")).lower() != "nocolor"


def register(shell: Any) -> None:
    """Give an IPython shell the magic, and show DiagnosticErrors of every cell as diagnostics."""
    notebook = Notebook(shell)

    def energy(line: str, cell: str) -> Model:
        return notebook.energy(line, cell)

    energy.__doc__ = USAGE
    shell.register_magic_function(energy, "cell", MAGIC)

    def shown(error: DiagnosticError) -> list[str]:
        return render(error.diagnostics, colored(shell)).splitlines()

    # IPython asks exceptions for this before it makes a traceback of its own.
    setattr(DiagnosticError, HOOK, shown)


def unregister(shell: Any) -> None:
    """Take both away again."""
    shell.magics_manager.magics["cell"].pop(MAGIC, None)
    if hasattr(DiagnosticError, HOOK):
        delattr(DiagnosticError, HOOK)
