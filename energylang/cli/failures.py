"""How a command ends: every failure as diagnostics and an exit code, in words or as JSON; no traceback."""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any, NoReturn

import click

from energylang.catalog import OPTIMIZERS
from energylang.diagnostics import Diagnostic, DiagnosticError, in_order, suggest

FAILED = 4
POOR = 5
"""The exit code of `--strict` where a run has warnings."""


def fail(code: str, message: str, *, cause: str = "", fix: str = "") -> NoReturn:
    """End the command with one diagnostic outside any text."""
    raise DiagnosticError([Diagnostic(code, message, cause=cause, fix=fix)])


def fail_usage(message: str, fix: str = "") -> NoReturn:
    """End the command: it was called wrongly."""
    fail("E0901", message, fix=fix)


def guarded(work: Callable[[], Any], arguments: Sequence[str]) -> int:
    """Do the work; the exit code. What it returns, if an integer, is the exit code too."""
    as_json = "--json" in arguments
    try:
        result = work()
    except DiagnosticError as error:
        found = [_with_command(d, arguments) for d in error.diagnostics]
        return report(found, error.exit_code, as_json)
    except click.exceptions.Exit as end:
        return end.exit_code
    except click.ClickException as error:
        return report([_usage(error)], 2, as_json)
    except (click.Abort, KeyboardInterrupt):
        return report([_stopped(arguments)], 130, as_json)
    except BrokenPipeError:
        return 0
    except Exception as error:
        found = _defect(error)
        return report([found], found.exit_code, as_json)
    return result if isinstance(result, int) else 0


def report(found: Sequence[Diagnostic], exit_code: int, as_json: bool) -> int:
    """Show diagnostics: on stderr, or with `--json` as the one object on stdout. Returns the exit code."""
    from energylang.render import render

    if as_json:
        print_json({"exit_code": exit_code, "diagnostics": as_data(found)})
    else:
        click.echo(render(found), err=True, nl=False)
    return exit_code


def as_data(found: Iterable[Diagnostic]) -> list[dict[str, Any]]:
    """Diagnostics as JSON values."""
    from energylang.render import to_json

    return [to_json(diagnostic) for diagnostic in in_order(found)]


def print_json(value: Any) -> None:
    """One object on stdout; what is not a finite number is null, as JSON has no word for it."""
    click.echo(json.dumps(_plain(value), ensure_ascii=False, allow_nan=False, indent=2))


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, bool | int | str):
        return value
    number = float(value)
    return number if number - number == 0 else None


def _usage(error: click.ClickException) -> Diagnostic:
    """Click's words as a diagnostic of ours."""
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "energylang"
    fix = f"see `{path} --help`"
    if isinstance(error, click.NoSuchOption):
        known = [name for parameter in context.command.params for name in parameter.opts] if context else []
        name = error.option_name.lstrip("-").replace("-", "_")
        if "--optimizer" in known and any(o.name == name for spec in OPTIMIZERS.values() for o in spec.options):
            given = "1e-3" if name == "learning_rate" else f"1e-3, {name} = …"
            fix = f"it belongs to the optimizer: `--optimizer 'adam({given})'`"
        near = suggest(error.option_name, known)
        text = f"`{path}` has no option `{error.option_name}`"
        return Diagnostic("E0901", text, fix=f"did you mean `{near}`?" if near else fix)
    text = error.format_message().strip().rstrip(".").replace("'", "`")
    return Diagnostic("E0901", text[:1].lower() + text[1:], fix=fix)


def _with_command(diagnostic: Diagnostic, arguments: Sequence[str]) -> Diagnostic:
    """After Ctrl-C the line to type, instead of a description of it."""
    if diagnostic.code != "E0840" or not diagnostic.fix:
        return diagnostic
    return replace(diagnostic, fix=f"to continue: `{_command(arguments)}`")


def _command(arguments: Sequence[str]) -> str:
    more = [] if "--resume" in arguments else ["--resume"]
    return shlex.join(["energylang", *arguments, *more])


def _stopped(arguments: Sequence[str]) -> Diagnostic:
    runs = bool(arguments) and arguments[0] in ("sample", "train", "optimize")
    return Diagnostic(
        "E0840", "interrupted", fix=f"what is whole is kept; to continue: `{_command(arguments)}`" if runs else ""
    )


def _defect(error: Exception) -> Diagnostic:
    """Anything that nobody foresaw: short, with what a report needs; the traceback only where it is asked for."""
    text = str(error).strip().partition("\n")[0][:200]
    if isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in text:
        return Diagnostic(
            "E0805", "the memory is not enough", cause=text, fix="fewer chains or draws, or a smaller model or batch"
        )
    if os.environ.get("ENERGYLANG_DEBUG"):
        import traceback

        traceback.print_exception(error)
    place, walk = "", error.__traceback__
    while walk is not None:
        name = walk.tb_frame.f_code.co_filename
        if f"{os.sep}energylang{os.sep}" in name:
            place = f" ({name.rpartition(os.sep + 'energylang' + os.sep)[2]}:{walk.tb_lineno})"
        walk = walk.tb_next
    return Diagnostic(
        "E0999",
        f"internal error: {type(error).__name__}{place}",
        cause=text,
        fix="this is a defect of EnergyLang, not of your model: report it with the model, the command and"
        " `energylang doctor`; ENERGYLANG_DEBUG=1 shows the traceback",
    )


def say(text: str) -> None:
    """A line on stderr, at once."""
    print(text, file=sys.stderr, flush=True)
