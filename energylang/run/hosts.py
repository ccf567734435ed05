"""Hosts: the processes that share a run, each with chains or particles of its own.

Every process runs whole groups of lanes on its own devices, by the programs that a single process would run; nothing
in a program knows of other processes. What they tell one another goes through the key-value store of
`jax.distributed`, which process 0 keeps: how far the next chunk goes, what was drawn, and what went wrong. Every wait
looks for a process that failed or fell silent, so that nobody waits for ever.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import jax
import numpy as np

from energylang.diagnostics import Diagnostic, DiagnosticError
from energylang.run.provenance import differences
from energylang.run.wire import Arrays, header_of, packed, unpacked

BEGIN_SECONDS = 300.0
"""How long a process waits for the others to begin the same run."""
SILENT_SECONDS = 60.0
"""How long a process may be silent before it counts as dead; each says that it lives every BEAT_SECONDS."""
BEAT_SECONDS = 2.0
POLL_SECONDS = 0.5
PIECE_BYTES = 1 << 20
"""Of a message: far below what gRPC lets through."""
AHEAD = 32
"""Pieces on their way to process 0, which keeps the store: its memory stays bounded."""


class Told(DiagnosticError):
    """What another process ran into: it is raised by all, and said by process 0 and by the one that it befell."""


class Hosts(Protocol):
    """The processes of one run, as one of them sees them. Every process makes the same calls in the same order."""

    index: int
    count: int

    @property
    def first(self) -> bool:
        """Whether this is process 0, which decides, writes and speaks."""
        ...

    def word(self, value: Any) -> Any:
        """What process 0 gave, a JSON value; the value of the others is not looked at."""
        ...

    def arrays(self, values: Arrays) -> dict[str, np.ndarray]:
        """The arrays that process 0 gave."""
        ...

    def gather(self, values: Arrays, said: Any) -> tuple[dict[str, np.ndarray], list[Any]]:
        """The arrays of all processes joined along their first dim, and what each said; empty but on process 0."""
        ...

    def listen(self) -> None:
        """Raise what another process ran into, if anything."""
        ...

    def __enter__(self) -> Hosts: ...

    def __exit__(self, *raised: Any) -> None: ...


class Alone:
    """One process."""

    index, count, first = 0, 1, True

    def word(self, value: Any) -> Any:
        return value

    def arrays(self, values: Arrays) -> dict[str, np.ndarray]:
        return dict(values)

    def gather(self, values: Arrays, said: Any) -> tuple[dict[str, np.ndarray], list[Any]]:
        return dict(values), [said]

    def listen(self) -> None:
        pass

    def __enter__(self) -> Alone:
        return self

    def __exit__(self, *raised: Any) -> None:
        pass


class Together:
    """Several processes. client: the client of `jax.distributed`. number: of this run, the same in every process."""

    def __init__(self, client: Any, index: int, count: int, number: int, closed: Mapping[str, Any]) -> None:
        self.client, self.index, self.count = client, index, count
        self.folder = f"energylang/run/{number}"
        self.sequence = 0
        self._heard: dict[int, tuple[str, float]] = {}
        self._dead: set[int] = set()
        self._read: list[str] = []
        self._closed = closed

    @property
    def first(self) -> bool:
        return self.index == 0

    def word(self, value: Any) -> Any:
        return json.loads(self._from_first(lambda: json.dumps(value).encode()))

    def arrays(self, values: Arrays) -> dict[str, np.ndarray]:
        return unpacked(self._from_first(lambda: packed(values)))

    def gather(self, values: Arrays, said: Any) -> tuple[dict[str, np.ndarray], list[Any]]:
        self.sequence += 1
        if not self.first:
            self._send(f"{self.sequence}/{self.index}", packed(values, said), ahead=AHEAD)
            return {}, []
        parts, words = [values], [said]
        for process in range(1, self.count):
            message = self._receive(f"{self.sequence}/{process}", process, forget=True)
            parts.append(unpacked(message))
            words.append(header_of(message)[0]["said"])
        # Who has sent this has read all that came before.
        self._forget()
        return {name: np.concatenate([part[name] for part in parts]) for name in values}, words

    def listen(self) -> None:
        for key, text in self._try(lambda: self.client.key_value_dir_get(f"{self.folder}/failed/"), []):
            process = int(key.rpartition("/")[2])
            if process == self.index:
                continue
            self._set(f"known/{self.index}", b"1")
            raise Told([Diagnostic(d["code"], d["message"], cause=d["cause"], fix=d["fix"]) for d in json.loads(text)])

    def __enter__(self) -> Together:
        try:
            self._require_same()
        except BaseException as error:
            self.fail(error)
            raise
        return self

    def __exit__(self, *raised: Any) -> None:
        if raised[1] is not None:
            self.fail(raised[1])

    # --- messages -------------------------------------------------------------------------------------------------

    def _from_first(self, message: Callable[[], bytes]) -> bytes:
        self.sequence += 1
        key = f"{self.sequence}/0"
        if not self.first:
            return self._receive(key, 0)
        content = message()
        self._send(key, content)
        self._read.append(key)
        return content

    def _forget(self) -> None:
        while self._read:
            self.client.key_value_delete(f"{self.folder}/{self._read.pop()}")

    def _send(self, key: str, content: bytes, ahead: int = 0) -> None:
        """ahead: how many pieces may lie unread, where there is one reader, who removes them; 0 for any number."""
        pieces = max(1, -(-len(content) // PIECE_BYTES))
        self._set(f"{key}/pieces", str(pieces).encode())
        for piece in range(pieces):
            while ahead and piece >= ahead and self._there(f"{key}/{piece - ahead}"):
                self.listen()
                time.sleep(0.01)
            self._set(f"{key}/{piece}", content[piece * PIECE_BYTES : (piece + 1) * PIECE_BYTES])

    def _there(self, key: str) -> bool:
        return self._try(lambda: self.client.key_value_try_get_bytes(f"{self.folder}/{key}")) is not None

    def _receive(self, key: str, process: int, limit: float | None = None, forget: bool = False) -> bytes:
        """limit: how long to wait for it to come. forget: this process is the only reader."""
        content: list[bytes] = []
        for piece in range(int(self._wait(f"{key}/pieces", process, limit))):
            content.append(self._wait(f"{key}/{piece}", process, limit))
            if forget:
                self.client.key_value_delete(f"{self.folder}/{key}/{piece}")
        if forget:
            self.client.key_value_delete(f"{self.folder}/{key}")
        return b"".join(content)

    def _set(self, key: str, content: bytes) -> None:
        self._try(lambda: self.client.key_value_set_bytes(f"{self.folder}/{key}", content, True))

    def _wait(self, key: str, process: int, limit: float | None) -> bytes:
        """The value that a process sets; raises what any process ran into, or E0843 when this one fell silent."""
        began = time.monotonic()
        while True:
            try:
                return self.client.blocking_key_value_get_bytes(f"{self.folder}/{key}", int(1000 * POLL_SECONDS))
            except jax.errors.JaxRuntimeError as error:
                if "DEADLINE_EXCEEDED" not in str(error):
                    raise _silent(0, 0.0) from error
            self.listen()
            now = time.monotonic()
            beat = self._try(lambda: self.client.key_value_try_get(alive(process)), "")
            last, since = self._heard.setdefault(process, (beat, now))
            if beat != last:
                self._heard[process] = (beat, now)
            # Whoever has not come yet has no heart to beat.
            elif beat and now - since > SILENT_SECONDS:
                self._dead.add(process)
                raise _silent(process, now - since)
            if limit is not None and now - began > limit:
                raise _absent(process, limit)

    def _try(self, call: Callable[[], Any], otherwise: Any = None) -> Any:
        try:
            return call()
        except jax.errors.JaxRuntimeError as error:
            if "NOT_FOUND" in str(error):
                return otherwise
            raise _silent(0, 0.0) from error

    # --- the beginning and the end --------------------------------------------------------------------------------

    def _require_same(self) -> None:
        """Raise E0842 unless every process begins the same run."""
        self._set(f"closure/{self.index}/0", json.dumps(self._closed).encode())
        self._set(f"closure/{self.index}/pieces", b"1")
        if not self.first:
            self.word(None)
            return
        for process in range(1, self.count):
            theirs = json.loads(self._receive(f"closure/{process}", process, BEGIN_SECONDS))
            if found := differences(self._closed, theirs):
                raise DiagnosticError(
                    [
                        Diagnostic(
                            "E0842",
                            f"process {process} does not do what process 0 does: {'; '.join(found)}",
                            cause="processes that share a run draw the chains of one model",
                            fix="give every process the same model, data, options and versions",
                        )
                    ]
                )
        self.word(None)

    def fail(self, error: BaseException) -> None:
        """Tell the others, and where they depend on this process's store, stay until they know."""
        if isinstance(error, Told):
            return
        found = error.diagnostics if isinstance(error, DiagnosticError) else (_ended(self.index, error),)
        text = json.dumps([{"code": d.code, "message": d.message, "cause": d.cause, "fix": d.fix} for d in found])
        try:
            self._set(f"failed/{self.index}", text.encode())
            if self.first:
                self._until_known()
        except DiagnosticError:
            return  # Nobody is left to tell, and this process has an error to raise already.

    def _until_known(self) -> None:
        waiting = set(range(1, self.count)) - self._dead
        began = time.monotonic()
        while waiting and time.monotonic() - began < SILENT_SECONDS:
            time.sleep(0.05)
            for kind in ("known", "failed"):
                found = self._try(lambda kind=kind: self.client.key_value_dir_get(f"{self.folder}/{kind}/"), [])
                waiting -= {int(key.rpartition("/")[2]) for key, _ in found}


_begun = 0
_beating: threading.Thread | None = None


def hosts(closed: Mapping[str, Any]) -> Hosts:
    """The processes that share the next run; to be entered. closed: its closure, which must be that of all of them."""
    global _begun
    if jax.process_count() == 1:
        return Alone()
    client = _client()
    _beat(client)
    number, _begun = _begun, _begun + 1
    if number > 1 and jax.process_index() == 0:
        # Every process has left the run before the last one.
        client.key_value_delete(f"energylang/run/{number - 2}")
    return Together(client, jax.process_index(), jax.process_count(), number, closed)


def tell_of(error: BaseException) -> None:
    """Tell the other processes of an error before the first run, such as one in the data of this process."""
    if jax.process_count() > 1 and not _begun:
        Together(_client(), jax.process_index(), jax.process_count(), _begun, {}).fail(error)


def require_alone(what: str) -> None:
    """Raise E0844 where several processes are joined."""
    if jax.process_count() > 1:
        raise DiagnosticError(
            [
                Diagnostic(
                    "E0844",
                    f"{what} runs in one process, and {jax.process_count()} are joined here",
                    cause="chains and particles need no word from one another; the steps of this do",
                    fix="give the command without `--distributed`; `sample` and `evidence` run with it",
                )
            ]
        )


def alive(process: int) -> str:
    """The key that a process changes for as long as it lives."""
    return f"energylang/alive/{process}"


def _client() -> Any:
    # JAX has no public name for it; checkpoint libraries take it from here too.
    from jax._src.distributed import global_state

    return global_state.client


def _beat(client: Any) -> None:
    global _beating
    if _beating is not None:
        return

    # Asked here, since it starts the devices where nothing did before, and two threads must not do so at once.
    key = alive(jax.process_index())

    def beat() -> None:
        count = 0
        while True:
            try:
                client.key_value_set(key, str(count), True)
            except jax.errors.JaxRuntimeError:
                return  # The store is gone, and so is the run.
            count += 1
            time.sleep(BEAT_SECONDS)

    _beating = threading.Thread(target=beat, name="alive", daemon=True)
    _beating.start()


def _silent(process: int, seconds: float) -> DiagnosticError:
    since = f" for {seconds:.0f} s" if seconds else ""
    return DiagnosticError(
        [
            Diagnostic(
                "E0843",
                f"process {process} has not answered{since}",
                cause="it was killed, lost its host or its network, or ended without the others",
                fix="look at what it said last; start all processes again, with `--resume` to go on from the last chunk",
            )
        ]
    )


def _absent(process: int, seconds: float) -> DiagnosticError:
    return DiagnosticError(
        [
            Diagnostic(
                "E0842",
                f"process {process} has not begun this run within {seconds:.0f} s",
                cause="all processes that are joined must do the same runs in the same order",
                fix="call `sample` or `evidence` in every process",
            )
        ]
    )


def _ended(process: int, error: BaseException) -> Diagnostic:
    if isinstance(error, KeyboardInterrupt):
        return Diagnostic("E0840", f"process {process} was stopped", fix="start all again with `--resume` to continue")
    return Diagnostic(
        "E0843", f"process {process} ended with {type(error).__name__}", cause=str(error).partition("\n")[0]
    )
