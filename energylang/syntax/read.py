"""Files → sources, whatever the files contain."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from energylang.diagnostics import Diagnostic, DiagnosticError
from energylang.source import Source

SIZE_LIMIT = 10 * 1024 * 1024
"""Bytes of the largest model file that is read."""

_UTF_16 = (b"\xff\xfe", b"\xfe\xff")


def read_source(path: str | os.PathLike[str]) -> Source:
    """The text of a model file, with `\\n` for newlines and without a byte order mark.

    Raises `DiagnosticError` where there is no such file (E0120), or where it is no text (E0121) or too large (E0122).
    """
    name = os.fspath(path)
    try:
        with Path(name).open("rb") as file:
            status = os.fstat(file.fileno())
            if stat.S_ISREG(status.st_mode) and status.st_size > SIZE_LIMIT:
                raise _too_large(name)
            content = file.read(SIZE_LIMIT + 1)
    except (OSError, ValueError) as error:
        raise _unreadable(name, error) from None
    if len(content) > SIZE_LIMIT:
        raise _too_large(name)
    return decode_source(content, name)


def decode_source(content: bytes, name: str) -> Source:
    """The source that bytes are, as read from a file or from standard input. Raises `DiagnosticError` (E0121)."""
    if content.startswith(_UTF_16):
        raise _not_text(name, "it is encoded as UTF-16", "save it as UTF-8 in your editor")
    content = content.removeprefix(b"\xef\xbb\xbf")
    if b"\0" in content:
        raise _not_text(name, "it contains zero bytes", "a model is a text file; data files belong to `--data`")
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        cause = f"line {line} contains the byte 0x{content[error.start]:02X}, which is not UTF-8"
        raise _not_text(name, cause, "save it as UTF-8 in your editor") from None
    return Source(name, text.replace("\r\n", "\n").replace("\r", "\n"))


def _unreadable(name: str, error: OSError | ValueError) -> DiagnosticError:
    if isinstance(error, FileNotFoundError):
        cause, fix = "there is no such file", "check the path; `energylang new NAME` makes a model to begin with"
    elif isinstance(error, IsADirectoryError) or (isinstance(error, OSError) and os.path.isdir(name)):
        cause, fix = "it is a folder", "name a model file in it"
    elif isinstance(error, PermissionError):
        cause, fix = "you may not read it", "check its permissions"
    else:
        cause, fix = (error.strerror if isinstance(error, OSError) else None) or "it is not a path", "check the path"
    return DiagnosticError([Diagnostic("E0120", f"cannot read {name}", cause=cause, fix=fix)])


def _not_text(name: str, cause: str, fix: str) -> DiagnosticError:
    return DiagnosticError([Diagnostic("E0121", f"{name} is not a UTF-8 text", cause=cause, fix=fix)])


def _too_large(name: str) -> DiagnosticError:
    limit = SIZE_LIMIT // (1024 * 1024)
    return DiagnosticError(
        [
            Diagnostic(
                "E0122",
                f"{name} is larger than {limit} MB",
                cause="a model is a short text; tables of numbers belong into data files",
                fix='write `data x: real[N] from "x.json"`, or give the file with `--data`',
            )
        ]
    )
