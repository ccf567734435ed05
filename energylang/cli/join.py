"""`--distributed`: this process joins others through `jax.distributed`, and leaves them when it is done.

JAX ends a process that waits too long for the others with an abort and a stack trace of C++. So it is given all the
time in the world, on a thread of its own, and the waiting is done here.
"""

from __future__ import annotations

import atexit
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import click

from energylang.cli.failures import fail, fail_usage
from energylang.diagnostics import Diagnostic, DiagnosticError

DETECT = "auto"
DEFECT = 125
FOREVER = 7 * 24 * 3600
LEAVING_SECONDS = 600
EXAMPLE = "for example `--distributed address=HOST:PORT,count=2,id=0`; on a cluster `--distributed`, after the model"


@dataclass(frozen=True)
class Meeting:
    """Where processes meet; what is None is looked for in the cluster that JAX detects. seconds: to wait for them."""

    address: str | None = None
    count: int | None = None
    index: int | None = None
    seconds: float = 300.0


def read_meeting(text: str) -> Meeting:
    """`auto`, or `address=HOST:PORT,count=N,id=I,timeout=S`, each part of which may be left out. Raises E0901."""
    found = Meeting()
    for part in () if text == DETECT else text.split(","):
        name, equals, value = (piece.strip() for piece in part.partition("="))
        if name == "address" and equals and value.rpartition(":")[0] and value.rpartition(":")[2].isdigit():
            found = replace(found, address=value)
        elif name in ("count", "id", "timeout") and equals and value.isdigit():
            field = {"count": "count", "id": "index", "timeout": "seconds"}[name]
            found = replace(found, **{field: int(value)})
        else:
            fail_usage(f"`--distributed {text}`: `{part}` is not understood", EXAMPLE)
    if found.count is not None and found.index is not None and not found.index < found.count:
        fail_usage(f"`--distributed {text}`: ids go from 0 to {found.count - 1}", EXAMPLE)
    return found


def join(meeting: Meeting) -> None:
    """Wait for the other processes; before JAX looks for devices. Raises DiagnosticError E0841."""
    import jax

    parts = {"address": meeting.address, "count": meeting.count, "id": meeting.index}
    detect = None if None in parts.values() else "deactivate"

    def initialize() -> None:
        jax.distributed.initialize(
            meeting.address, meeting.count, meeting.index, cluster_detection_method=detect,
            initialization_timeout=FOREVER, shutdown_timeout_seconds=LEAVING_SECONDS,
        )  # fmt: skip

    try:
        problem = _within(initialize, meeting.seconds)
    except KeyboardInterrupt as error:
        abandon(error)
        raise
    if problem is None:
        return
    if isinstance(problem, TimeoutError):
        who = "process 0 does not answer" if meeting.index else "not every process came"
        where = f" at {meeting.address}" if meeting.address else ""
        abandon(DiagnosticError([Diagnostic("E0841", who)]))
        fail(
            "E0841", f"{who}{where} within {meeting.seconds:.0f} s",
            cause="a process was not started, ended, or is kept from the address by a firewall",
            fix=f"start all {meeting.count or ''} of them with the same address and count, each with its own id;"
            " `timeout=SECONDS` waits longer",
        )  # fmt: skip
    missing = ", ".join(name for name, value in parts.items() if value is None)
    fail(
        "E0841", "this process could not join others" + (f": no cluster says its {missing}" if missing else ""),
        cause=str(problem).partition("\n")[0], fix=f"say where to meet, {EXAMPLE}",
    )  # fmt: skip


@contextmanager
def joined(meeting: Meeting | None) -> Iterator[None]:
    """What several processes do together, once JAX was started; they part at the end, whatever happened.

    An error that befell another process is said by process 0 alone.
    """
    if meeting is None:
        yield
        return
    from energylang.run.hosts import Told, tell_of

    try:
        yield
    except BaseException as error:
        codes = [d.code for d in error.diagnostics] if isinstance(error, DiagnosticError) else []
        tell_of(error)
        if not codes or "E0843" in codes:
            abandon(error)
        else:
            _part()
        if isinstance(error, Told) and not is_first():
            raise click.exceptions.Exit(error.exit_code) from error
        raise
    _part()


def is_first() -> bool:
    """Whether this process speaks for all."""
    import jax

    return jax.process_index() == 0


def abandon(error: BaseException) -> None:
    """End without a word to the others: they are not there, and JAX would wait for them."""
    code = 130 if isinstance(error, KeyboardInterrupt) else getattr(error, "exit_code", DEFECT)

    def end() -> None:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(code)

    atexit.register(end)


def _part() -> None:
    import jax

    _within(jax.distributed.shutdown, LEAVING_SECONDS)


def _within(call: Callable[[], None], seconds: float) -> BaseException | None:
    """Run it on a thread; what it raised, or TimeoutError where it is not done in time (it goes on then)."""
    raised: list[Any] = []

    def work() -> None:
        try:
            call()
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=work, name="jax.distributed", daemon=True)
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        return TimeoutError()
    return raised[0] if raised else None
