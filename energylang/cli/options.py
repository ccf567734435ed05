"""What several subcommands share: reading `--set`, options of the catalog, and opening a model without JAX."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from energylang.catalog import Option, Value, shown
from energylang.cli.failures import fail_usage
from energylang.diagnostics import Diagnostic, DiagnosticError, Diagnostics

if TYPE_CHECKING:
    from energylang.api import Model
    from energylang.ir.nodes import Energy, Program
    from energylang.syntax import ast

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]
Const = bool | int | float


@dataclass(frozen=True)
class Checked:
    """A model that was parsed and checked, and what was found on the way."""

    path: Path
    module: ast.Module
    program: Program
    diagnostics: Diagnostics


def check_model(path: str, overrides: Sequence[str]) -> Checked:
    """Parse and check a file, without JAX. Raises DiagnosticError with everything that is wrong."""
    from energylang.check import check_source
    from energylang.syntax.read import read_source

    diagnostics = Diagnostics()
    module, program = check_source(read_source(path), diagnostics, overrides_of(overrides), folder=Path(path).parent)
    diagnostics.raise_if_failed()
    assert program is not None
    return Checked(Path(path), module, program, diagnostics)


def read_data(found: Checked, data: Sequence[str]) -> dict[str, Any]:
    """The values of `--data` by name, without JAX. Raises DiagnosticError where a file cannot be read."""
    from energylang.datafiles import from_arguments

    ranks = {declared.name: len(declared.space.shape) for declared in found.program.data}
    values = from_arguments(data, ranks, found.diagnostics)
    found.diagnostics.raise_if_failed()
    return values


def read_bindings(found: Checked, node: Energy, on: Sequence[str]) -> dict[str, Any]:
    """The values of `--on` by name. Raises DiagnosticError where a file cannot be read."""
    from energylang.datafiles import from_arguments

    ranks = {symbol.name: len(symbol.space.shape) for symbol in (*node.conditions, *node.variables)}
    values = from_arguments(on, ranks, found.diagnostics)
    found.diagnostics.raise_if_failed()
    return values


def bind_model(found: Checked, values: dict[str, Any], seed: int = 0, params: str | None = None) -> Model:
    """The model with its data; imports JAX. Raises DiagnosticError with everything that is wrong with the data."""
    from energylang.api import assemble

    return assemble(found.module, found.program, found.path.parent, values, found.diagnostics, seed, params=params)


def overrides_of(settings: Sequence[str]) -> dict[str, Const]:
    """`--set name=value` as values by name."""
    values: dict[str, Const] = {}
    for setting in settings:
        name, equals, text = setting.partition("=")
        value = number(text.strip())
        if not all(part.isidentifier() for part in name.strip().split(".")) or not equals:
            fail_usage(f"`--set {setting}` is not of the form name=value", "for example `--set beta=0.4`")
        if value is None:
            fail_usage(f"`--set {setting}`: `{text}` is not a value of a const", "give a number, true or false")
        values[name.strip()] = value
    return values


def number(text: str) -> Const | None:
    """A number or truth value as the language writes it; None where it is none."""
    if text in ("true", "false"):
        return text == "true"
    for read in (int, float):
        try:
            return read(text)
        except ValueError:
            continue
    return None


class OptionValue(click.ParamType):
    """The value of an option of the catalog, with its range or choices."""

    def __init__(self, option: Option) -> None:
        self.option = option
        self.name = {"int": "integer", "real": "number"}.get(option.type, option.type)
        words = (*option.choices, *(["FILE"] if option.files else []))
        self.metavar = "|".join(words) or {"aim": "AIM", "time": "TIME", "names": "NAME,…", "call": "CALL"}.get(
            option.type, "N"
        )

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Value:
        from energylang.check.options import TEXTS, option_problem, settled

        if self.option.type == "call":
            # Read with the model, whose consts may stand in it.
            return value
        words = isinstance(value, str) and not self.option.choices and self.option.type not in (*TEXTS, "names")
        found = number(value) if words else value
        # `1e4` draws are ten thousand draws.
        if self.option.type == "int" and isinstance(found, float) and found.is_integer():
            found = int(found)
        problem = option_problem(self.option, value if found is None else found)
        if problem:
            fail_usage(f"`{flag(self.option.name)}` {problem}, not {value}", self.option.doc)
        assert found is not None
        return settled(self.option, found)


def flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def catalog_options(options: Sequence[Option]) -> Decorator:
    """The options that the catalog declares, as those of a subcommand; the file's task has their defaults."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        for option in reversed(options):
            words = f"{option.doc[0].upper()}{option.doc[1:]}"
            if option.type == "bool":
                name = flag(option.name)
                function = click.option(f"{name}/--no-{name[2:]}", default=None, help=f"{words}.")(function)
                continue
            default = "" if option.default is None else f" (default {shown(option.default)})"
            kind = OptionValue(option)
            add = click.option(flag(option.name), type=kind, metavar=kind.metavar, help=f"{words}{default}.")
            function = add(function)
        return function

    return decorate


set_option = click.option(
    "--set", "settings", multiple=True, metavar="NAME=VALUE", help="Another value for a `const` of the model."
)
data_option = click.option(
    "--data", multiple=True, metavar="FILE",
    help="Data: a JSON, NPZ, CSV or netCDF file of several names, or one name as `y=y.npy` or `y=3.5`.",
)  # fmt: skip
params_option = click.option(
    "--params", metavar="FILE", help="Learned params, from a file that `train` wrote, in the place of their starts."
)
of_option = click.option("--of", metavar="NAME", help="The energy, where the model has several.")
json_option = click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output, nothing else.")


def problem(code: str, message: str, fix: str = "") -> DiagnosticError:
    """A diagnostic outside any text, as an error to raise."""
    return DiagnosticError([Diagnostic(code, message, fix=fix)])
