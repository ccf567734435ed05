"""A private folder for what is costly to make again: the parser's table, parsed libraries.

What lies there is trusted when it is read, so the folder belongs to the user alone: made with mode 0700, its owner
checked, refused when it is a link or when others may write to it. Where it cannot be had, everything works without.
"""

from __future__ import annotations

import hashlib
import os
import platform
import stat
import sys
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path

import energylang

LIMIT = 64 * 1024 * 1024
"""Bytes; nothing larger is stored or loaded."""


def place() -> Path:
    """Where the cache is: `ENERGYLANG_CACHE`, else `XDG_CACHE_HOME/energylang`, else `~/.cache/energylang`."""
    chosen = os.environ.get("ENERGYLANG_CACHE")
    if chosen:
        return Path(chosen)
    base = os.environ.get("XDG_CACHE_HOME")
    if base and os.path.isabs(base):
        return Path(base) / "energylang"
    return Path(os.path.expanduser("~")) / ".cache" / "energylang"


def reason() -> str | None:
    """Why there is no cache, for `energylang doctor`; None where it works."""
    return _open(place())


@cache
def _open(path: Path) -> str | None:
    if not path.is_absolute():
        return f"{path} is not an absolute path"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError):
            path.mkdir(mode=0o700)
        status = os.lstat(path)
    except OSError as error:
        return f"{path} cannot be made: {error.strerror}"
    if stat.S_ISLNK(status.st_mode):
        return f"{path} is a link"
    if not stat.S_ISDIR(status.st_mode):
        return f"{path} is not a folder"
    if hasattr(os, "getuid") and status.st_uid != os.getuid():
        return f"{path} belongs to another user"
    if os.name == "posix" and status.st_mode & 0o022:
        return f"others may write to {path}"
    return None


def _file(kind: str, key: str) -> Path:
    version = getattr(energylang, "__version__", "")
    versions = "\0".join((version, sys.version, _lark_version(), kind, key))
    return place() / f"{kind}-{hashlib.sha256(versions.encode()).hexdigest()}"


@cache
def _lark_version() -> str:
    # Read from the folder's name rather than by importing lark or importlib.metadata, which cost ten times the load.
    for entry in sys.path:
        try:
            found = [name for name in os.listdir(entry or ".") if name.startswith("lark-") and name.endswith("-info")]
        except OSError:
            continue
        if found:
            return found[0]
    return ""


def load(kind: str, key: str) -> bytes | None:
    """What was stored under this key by these versions, or None."""
    if reason() is not None:
        return None
    path = _file(kind, key)
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0))
    except OSError:
        return None
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_size > LIMIT:
            return None
        content = file.read(LIMIT + 1)
    digest, payload = content[:32], content[32:]
    if hashlib.sha256(payload).digest() != digest:
        return None
    with suppress(OSError):
        os.utime(path)
    return payload


def store(kind: str, key: str, content: bytes) -> None:
    """Keep `content` under this key; does nothing where there is no cache or the content is too large."""
    if reason() is not None or len(content) > LIMIT - 32:
        return
    path = _file(kind, key)
    try:
        descriptor, temporary = tempfile.mkstemp(prefix=".new-", dir=path.parent)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(hashlib.sha256(content).digest() + content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        except BaseException:
            os.unlink(temporary)
            raise
    except OSError:
        return  # A full or read-only disk: the next run makes it again.


def prune(kind: str | Path, limit: int) -> None:
    """Keep what is stored of a kind, or lies in a folder of its own, below `limit` bytes: the longest unused go."""
    with suppress(OSError):
        folder, prefix = (kind, "") if isinstance(kind, Path) else (place(), f"{kind}-")
        entries = [entry for entry in os.scandir(folder) if entry.name.startswith(prefix)]
        files = sorted((entry.stat().st_mtime, entry.stat().st_size, entry.path) for entry in entries)
        excess = sum(size for _, size, _ in files) - limit
        for _, size, path in files:
            if excess <= 0:
                break
            os.unlink(path)
            excess -= size


@cache
def machine() -> str:
    """This kind of machine and what its processor can do, where the system says so; a shared home serves several."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
            flags = next((line for line in file if line.startswith(("flags", "Features"))), "")
    except OSError:
        flags = ""
    return f"{platform.machine()} {platform.processor()} {flags}"
