"""`energylang fmt`: models in the one style."""

from __future__ import annotations

import os
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

import click

from energylang.cli.failures import fail, fail_usage
from energylang.diagnostics import Diagnostic, DiagnosticError


@click.command("fmt")
@click.argument("models", nargs=-1, required=True, metavar="MODEL...")
@click.option("--check", "only_check", is_flag=True, help="Change nothing; exit code 1 where a model would change.")
def fmt_command(models: tuple[str, ...], only_check: bool) -> int:
    """Write models in the one style, every comment at its place; `-` reads standard input and writes standard output.

    A model with syntax errors is left as it is.
    """
    if "-" in models:
        if len(models) > 1:
            fail_usage("`-` cannot stand beside other models", "format them in two commands")
        return _stream(only_check)
    found: list[Diagnostic] = []
    changed = 0
    for model in models:
        try:
            changed += _file(model, only_check)
        except DiagnosticError as error:
            found += error.diagnostics
    if found:
        raise DiagnosticError(found)
    return int(only_check and changed > 0)


def _stream(only_check: bool) -> int:
    from energylang.syntax.printer import format_text
    from energylang.syntax.read import decode_source

    text = decode_source(sys.stdin.buffer.read(), "<stdin>").text
    formatted = format_text(text, "<stdin>")
    if only_check:
        return int(formatted != text)
    click.echo(formatted, nl=False)
    return 0


def _file(model: str, only_check: bool) -> bool:
    """Whether the text of a file changes; it is replaced at once, or not at all."""
    from energylang.syntax.printer import format_text
    from energylang.syntax.read import read_source

    text = read_source(model).text
    formatted = format_text(text, model)
    # Line endings are part of the style, and `read_source` has already made them one.
    if formatted.encode() == Path(model).read_bytes():
        return False
    if only_check:
        click.echo(f"would change {model}", err=True)
        return True
    _replace(Path(os.path.realpath(model)), formatted)
    click.echo(f"changed {model}", err=True)
    return True


def _replace(path: Path, text: str) -> None:
    try:
        mode = path.stat().st_mode
        descriptor, temporary = tempfile.mkstemp(prefix=".fmt-", dir=path.parent)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8", newline="\n") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            os.chmod(temporary, mode & 0o777)
            os.replace(temporary, path)
        except BaseException:
            with suppress(OSError):
                os.unlink(temporary)
            raise
    except OSError as error:
        fail("E0820", f"cannot write {path}", cause=error.strerror or "", fix="check that the folder is yours to write")
