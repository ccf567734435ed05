"""Open texts and the looks at them: one at a time, in a thread, dropped when a newer text comes."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from pygls.uris import to_fs_path

from energylang.lsp.analysis import Analysis, Superseded, analyse, failed
from energylang.lsp.positions import normalised
from energylang.source import Source

PAUSE = 0.01
"""Seconds without a keystroke before a text is looked at."""

log = logging.getLogger(__name__)

Publish = Callable[["Document", Analysis], None]


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
        self.closed = False

    def changed(self, text: str, version: int | None) -> None:
        """The text is another now."""
        self.version = version
        self.source = Source(to_fs_path(self.uri) or self.uri, normalised(text))
        self._newest += 1
        self._look = asyncio.get_running_loop().create_task(self._work(self.source, self._newest))

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

    async def _work(self, source: Source, number: int) -> Analysis | None:
        await asyncio.sleep(PAUSE)
        if number != self._newest:
            return None
        try:
            found = await asyncio.get_running_loop().run_in_executor(
                self._worker, analyse, source, self.encoding, lambda: number != self._newest
            )
        except Superseded:
            return None
        except Exception as error:
            log.exception("looking at %s", self.uri)
            found = failed(source, self.encoding, error)
        if number != self._newest:
            return None
        try:
            self._publish(self, found)
        except Exception:
            log.exception("reporting on %s", self.uri)
        return found


def make_worker() -> ThreadPoolExecutor:
    """The one thread that looks at texts; models may nest as deeply there as in the main thread."""
    before = threading.stack_size(64 * 1024 * 1024)
    worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="look")
    worker.submit(lambda: None).result()
    threading.stack_size(before)
    return worker
