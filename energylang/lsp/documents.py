"""Open texts and the looks at them: one at a time, in a thread, dropped when a newer text comes.

Somebody who types steadily still sees what is found: when nothing has been shown for a while, a look is finished, and
shown, although a newer text has come.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from pygls.uris import to_fs_path

from energylang.lsp.analysis import Analysis, analyse, failed
from energylang.lsp.memory import Memory, Superseded
from energylang.lsp.positions import normalised
from energylang.source import Source

PAUSE = 0.01
"""Seconds without a keystroke before a text is looked at."""

PATIENCE = 0.3
"""Seconds for which looks are dropped for newer texts, with nothing shown."""

IDLE = 1.0
"""Seconds without a keystroke after which there is time to collect cycles."""

log = logging.getLogger(__name__)

Publish = Callable[["Document", Analysis, "int | None"], None]
"""Shows what was found in a version of a text."""


class Document:
    """One open text. `changed` begins a look; `analysis` waits for that of the newest text."""

    def __init__(self, uri: str, worker: ThreadPoolExecutor, encoding: str, publish: Publish):
        self.uri = uri
        self.encoding = encoding
        self.version: int | None = None
        self.source = Source(uri, "")
        self._publish = publish
        self._worker = worker
        self._look: asyncio.Task[Analysis | None] | None = None
        self._newest = 0
        self._waiting_since: float | None = None
        self._memory = Memory()
        self.closed = False

    def changed(self, text: str, version: int | None) -> None:
        """The text is another now."""
        self.version = version
        self.source = Source(to_fs_path(self.uri) or self.uri, normalised(text))
        self._newest += 1
        if self._waiting_since is None:
            self._waiting_since = time.monotonic()
        self._look = asyncio.get_running_loop().create_task(self._work(self.source, self._newest, version))

    def close(self) -> None:
        """Nobody waits for a look any more."""
        self._newest += 1
        self.closed = True

    async def analysis(self) -> Analysis | None:
        """The look at the newest text, when it is there; None where the text was closed."""
        while self._look is not None and not self.closed:
            number = self._newest
            found = await asyncio.shield(self._look)
            if found is not None and number == self._newest:
                return found
        return None

    def _superseded(self, number: int) -> bool:
        """Whether nobody waits for the look of this number any more."""
        if number == self._newest:
            return False
        return self.closed or self._waiting_since is None or time.monotonic() - self._waiting_since < PATIENCE

    async def _work(self, source: Source, number: int, version: int | None) -> Analysis | None:
        await asyncio.sleep(PAUSE)
        if self._superseded(number):
            return None
        loop = asyncio.get_running_loop()
        superseded = partial(self._superseded, number)
        try:
            found = await loop.run_in_executor(self._worker, analyse, source, self.encoding, superseded, self._memory)
        except Superseded:
            return None
        except Exception as error:
            log.exception("looking at %s", self.uri)
            found = failed(source, self.encoding, error)
        if self._superseded(number):
            return None
        try:
            self._publish(self, found, version)
        except Exception:
            log.exception("reporting on %s", self.uri)
        self._waiting_since = None if number == self._newest else time.monotonic()
        if number == self._newest:
            loop.call_later(IDLE, self._collect, number)
        return found

    def _collect(self, number: int) -> None:
        """Nobody types: what looks have left behind goes."""
        if number == self._newest:
            self._worker.submit(gc.collect)


def make_worker() -> ThreadPoolExecutor:
    """The one thread that looks at texts; models may nest as deeply there as in the main thread."""
    before = threading.stack_size(64 * 1024 * 1024)
    worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="look")
    worker.submit(lambda: None).result()
    threading.stack_size(before)
    return worker
