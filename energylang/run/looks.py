"""Looking whether chains have reached an aim, at numbers of draws that the aim and the pace have no part in."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from energylang.run.mixing import bulk
from energylang.run.store import Store, View
from energylang.run.summary import blocks_of
from energylang.stopping import Aim

FIRST = 100
GROWTH = 1.25
"""The first look, in draws of a chain, and how far apart looks are: at most so much more is drawn than is needed."""

LP = "stats/lp"


class Looks:
    """The aim of a run of `draws` draws a chain, and when to look at it.

    A look reads the draws themselves, a block of scalars at a time, and computes what the summary will say: in bounded
    memory, and without the bias of an estimate of its own. It ends at the first block that misses the aim, and the next
    look begins with that block: looks that fail are cheap.
    """

    def __init__(self, aim: Aim, draws: int) -> None:
        self.aim, self.draws = aim, draws
        self._first = 0

    def next(self, done: int) -> int:
        """The next number of draws at which to look, after `done`; the last is that of the whole run."""
        return next(point for point in _grid(self.draws) if point > done)

    def due(self, done: int) -> bool:
        """Whether `done` is one of the numbers of draws at which to look."""
        return next(point for point in _grid(self.draws) if point >= done) == done

    def reached(self, store: Store, row: Mapping[str, Any], chains: int, done: int) -> bool:
        """Whether every scalar is where the aim wants it after `done` draws; what is not a number counts for nothing.

        row: shape and dtype of what is kept of a draw, by name.
        """
        chosen = [name for name in row if name.startswith("draws/") or name == LP]
        views = [View(store, name, (chains, done, *row[name].shape), np.dtype(row[name].dtype)) for name in chosen]
        # Which block is read first changes no answer, only how soon a failing look knows.
        order = [*range(self._first, len(views)), *range(self._first)]
        for place in order:
            for block in blocks_of(views[place]):
                ess, r_hat = bulk(block)
                if np.any(ess < (self.aim.ess or 0.0)) or np.any(r_hat > self.aim.r_hat):
                    self._first = place
                    return False
        return True


def _grid(draws: int) -> Iterator[int]:
    point = FIRST
    while point < draws:
        yield point
        point = math.ceil(point * GROWTH)
    yield draws
