"""`energylang`: the group of subcommands, and what happens when one of them fails.

Exit codes: 0 fine, 1 the model is wrong, 2 usage, 3 data or shape, 4 the run failed, 5 diagnostics poor under
`--strict`, 125 a defect of EnergyLang, 130 interrupted.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module

import click

from energylang import __version__
from energylang.cli import failures

COMMANDS: dict[str, tuple[str, str]] = {
    "sample": ("energylang.cli.run", "Draw from an energy."),
    "evidence": ("energylang.cli.run", "Estimate log Z, with its error."),
    "train": ("energylang.cli.run", "Learn the params of an energy from data."),
    "optimize": ("energylang.cli.run", "Find the lowest energy, under constraints."),
    "export": ("energylang.cli.export", "Write an energy as a file that runs with JAX alone."),
    "check": ("energylang.cli.check", "Everything that is wrong with a model, in well under a second."),
    "explain": ("energylang.cli.explain", "What the compiler found in a model; or what a diagnostic code means."),
    "methods": ("energylang.cli.methods", "The methods: what each needs, its options, its source."),
    "summary": ("energylang.cli.summary", "The table of a saved run."),
    "plot": ("energylang.cli.plot", "Pictures of a run."),
    "report": ("energylang.cli.report_command", "A run as one HTML file."),
    "fmt": ("energylang.cli.fmt", "Write models in the one style."),
    "new": ("energylang.cli.new", "Write a commented model to begin with."),
    "lsp": ("energylang.cli.lsp", "The language server, for editors to start."),
    "doctor": ("energylang.cli.doctor", "Versions, devices, caches: what to look at when something is odd."),
}
"""Subcommands in the order of `--help`: the module that has each, and its line there."""

LATER = {"test": "the task `test`"}


class Commands(click.Group):
    """A group that imports a subcommand when it is called, and not before."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        return getattr(import_module(COMMANDS[cmd_name][0]), f"{cmd_name}_command")

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if name not in COMMANDS and not name.startswith("-"):
            failures.fail_usage(*_unknown(name))
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])


def _unknown(name: str) -> tuple[str, str]:
    from energylang.diagnostics import suggest

    if name in LATER:
        return f"{LATER[name]} is not in this version of EnergyLang", "`energylang --help` lists what is"
    if name.endswith(".energy"):
        return f"`{name}` is not a command", f"say what to do with it: `energylang sample {name}`"
    near = suggest(name, COMMANDS)
    return f"there is no command `{name}`", f"did you mean `{near}`?" if near else "`energylang --help` lists them"


@click.group(
    cls=Commands,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="`energylang COMMAND --help` says more about one; start with `energylang new first`.",
)
@click.version_option(__version__, message="energylang %(version)s")
@click.pass_context
def energylang(context: click.Context) -> None:
    """EnergyLang: a declarative language for unnormalised probability."""
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and end the process with its exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    code = failures.guarded(lambda: energylang.main(given, prog_name="energylang", standalone_mode=False), given)
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read us has seen enough; what Python would flush at its end must go nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(code)
