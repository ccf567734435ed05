"""When looks are taken, dropped and shown."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from energylang.lsp import documents
from energylang.lsp.analysis import Analysis
from energylang.lsp.documents import PAUSE, Document, make_worker


def typed(enough: Callable[[int, list[int | None]], bool], pause: float) -> tuple[list[int | None], int]:
    """The versions that are shown while somebody types, and after; and how many there were.

    enough: whether to stop typing, of the number of texts and the versions shown. pause: seconds between two texts;
    for 0 they come in one go.
    """
    shown: list[int | None] = []

    def publish(_: Document, __: Analysis, version: int | None) -> None:
        shown.append(version)

    async def session() -> int:
        worker = make_worker()
        document = Document("untitled:m", worker, "utf-16", publish)
        version = 0
        while not enough(version, shown):
            version += 1
            document.changed(f"energy a(x: real) = x^2 + {version}\n", version)
            if pause:
                await asyncio.sleep(pause)
        await document.analysis()
        document.close()
        worker.shutdown()
        return version

    return shown, asyncio.run(session())


def test_who_types_steadily_still_sees_what_is_found() -> None:
    shown, last = typed(lambda _, shown: len(shown) >= 2, PAUSE / 4)
    assert shown[-1] == last
    assert last > 2 * len(shown)
    assert shown == sorted(shown, key=lambda version: version or 0)


def test_what_is_typed_in_one_go_is_looked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "PATIENCE", float("inf"))
    shown, last = typed(lambda version, _: version == 1000, 0)
    assert shown == [last] == [1000]
