"""Where draws go while a run lasts: an interface, and the one that keeps them in memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np

Rows = Mapping[str, np.ndarray]
"""Arrays of some consecutive steps, each [chain, step, …], named `draws/<name>` and `stats/<name>`."""

Stage = Literal["warmup", "sampling"]


class Store(Protocol):
    """Takes the rows of consecutive chunks and gives them back in order."""

    def append(self, stage: Stage, start: int, stop: int, rows: Rows, state: Rows, seconds: float) -> None:
        """The absolute steps start..stop-1, and the whole state after them (leaves by path)."""
        ...

    def chunks(self, stage: Stage) -> Iterator[Rows]:
        """What was appended of one stage, in order."""
        ...

    def parts_of(self, name: str) -> Iterator[np.ndarray]:
        """What was appended of one name in sampling, in order; it stays there."""
        ...


@dataclass(frozen=True)
class View:
    """One array [chain, draw, …] of a store, read part by part and never held as a whole."""

    store: Store
    name: str
    shape: tuple[int, ...]
    dtype: np.dtype

    def __getitem__(self, key: tuple[slice, ...]) -> np.ndarray:
        """All chains and draws, and slices of what follows them."""
        own = tuple(range(size)[wanted] for size, wanted in zip(self.shape[2:], key[2:], strict=False))
        result = np.empty((*self.shape[:2], *map(len, own), *self.shape[2 + len(own) :]), self.dtype)
        at = 0
        for part in self.store.parts_of(self.name):
            result[:, at : at + part.shape[1]] = part[key]
            at += part.shape[1]
        return result


class Memory:
    """Keeps rows, and no state: nothing outlives the process."""

    def __init__(self) -> None:
        self.kept: dict[Stage, list[Rows]] = {"warmup": [], "sampling": []}

    def append(self, stage: Stage, start: int, stop: int, rows: Rows, state: Rows, seconds: float) -> None:
        if rows:
            self.kept[stage].append(rows)

    def chunks(self, stage: Stage) -> Iterator[Rows]:
        """Each chunk is let go as it is handed out, so that joining them needs no second copy of them all."""
        while self.kept[stage]:
            yield self.kept[stage].pop(0)

    def parts_of(self, name: str) -> Iterator[np.ndarray]:
        return (rows[name] for rows in self.kept["sampling"])


class Elsewhere:
    """Of a process whose rows another one keeps."""

    def append(self, stage: Stage, start: int, stop: int, rows: Rows, state: Rows, seconds: float) -> None:
        pass

    def chunks(self, stage: Stage) -> Iterator[Rows]:
        return iter(())

    def parts_of(self, name: str) -> Iterator[np.ndarray]:
        return iter(())


def joined(chunks: Iterator[Rows], total: int) -> dict[str, np.ndarray]:
    """All chunks as whole arrays [chain, total, …]."""
    arrays: dict[str, np.ndarray] = {}
    at = 0
    for rows in chunks:
        count = 0
        for name, values in rows.items():
            if name not in arrays:
                arrays[name] = np.empty((values.shape[0], total, *values.shape[2:]), values.dtype)
            count = values.shape[1]
            arrays[name][:, at : at + count] = values
        at += count
    return arrays
