"""Writing that is all or nothing, and the errors of a file system as diagnostics."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from energylang.diagnostics import Diagnostic, DiagnosticError

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextmanager
def as_diagnostics(path: Path, keeps: str = "") -> Iterator[None]:
    """Turn an OSError into E0804 (full) or E0820 (anything else); `keeps` says what of the run is safe."""
    try:
        yield
    except OSError as error:
        # HDF5 wraps the cause in its own text, with or without the number.
        if error.errno in FULL or "No space left" in str(error) or "Disk quota" in str(error):
            found = Diagnostic(
                "E0804",
                f"no space is left on the disk of `{path}`",
                cause=keeps,
                fix="free some space and give the same command with `--resume`, or write elsewhere with `--out`",
            )
        else:
            found = Diagnostic(
                "E0820",
                f"`{error.filename or path}` cannot be written: {error.strerror or str(error).splitlines()[0]}",
                cause=keeps,
                fix="give another `--out`, or make the folder writable",
            )
        raise DiagnosticError([found]) from error


def require_writable(path: Path) -> Path:
    """`path` as a Path; raises E0820 if it cannot become a file, before any work is done for it."""
    path = Path(path)
    with as_diagnostics(path):
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, "it is a folder", str(path))
        if not path.parent.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, "there is no such folder", str(path.parent))
        if not os.access(path.parent, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path.parent))
    return path


def write_whole(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Write a file so that `path` holds all of it or what it held before, whatever happens when.

    A temporary beside it is written, brought to the disk, renamed, and the folder brought to the disk.
    """
    temporary = temporary_of(path)
    try:
        with open(temporary, "wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def temporary_of(path: Path) -> Path:
    """Where a file is written before it is whole: in the same folder, hidden, one per process."""
    return path.with_name(f".{path.name}.{os.getpid()}.tmp")


def sync_folder(folder: Path) -> None:
    """Bring a rename in `folder` to the disk; a no-op where folders cannot be opened (Windows)."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


HDF5 = b"\x89HDF\r\n\x1a\n"


def require_replaceable(path: Path) -> None:
    """Raise E0823 where a path holds something other than a run (or nothing): a model, say, named by mistake."""
    try:
        with path.open("rb") as file:
            start = file.read(len(HDF5))
    except OSError:
        return
    if start and start != HDF5:
        problem = f"`{path}` is there, is not a run, and is not overwritten"
        raise DiagnosticError([Diagnostic("E0823", problem, fix="give another name to `--out`, ending in `.nc`")])
