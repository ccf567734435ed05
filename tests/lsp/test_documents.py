"""When looks are taken, dropped and shown."""

from __future__ import annotations

import asyncio

from energylang.lsp.analysis import Analysis
from energylang.lsp.documents import PATIENCE, PAUSE, Document, make_worker


def typed(seconds: float, at_once: bool = False) -> tuple[list[int | None], int]:
    """The versions that are shown while somebody types faster than the pause, and after; and how many there were.

    at_once: the texts come in one go.
    """
    shown: list[int | None] = []

    def publish(_: Document, __: Analysis, version: int | None) -> None:
        shown.append(version)

    async def session() -> int:
        worker = make_worker()
        document = Document("untitled:m", worker, "utf-16", publish)
        loop = asyncio.get_running_loop()
        version, end = 0, loop.time() + seconds
        while loop.time() < end:
            version += 1
            document.changed(f"energy a(x: real) = x^2 + {version}\n", version)
            if not at_once:
                await asyncio.sleep(PAUSE / 4)
        await document.analysis()
        document.close()
        worker.shutdown()
        return version

    return shown, asyncio.run(session())


def test_who_types_steadily_still_sees_what_is_found() -> None:
    shown, last = typed(4 * PATIENCE)
    assert shown[-1] == last
    assert len(shown) >= 2
    assert shown == sorted(shown, key=lambda version: version or 0)


def test_what_is_typed_in_one_go_is_looked_at_once() -> None:
    shown, last = typed(PATIENCE / 10, at_once=True)
    assert shown == [last]
