"""What a progress line says of chains while they run: acceptance, divergences, R-hat and the smallest ESS so far."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from energylang.run.mixing import effective_size, r_hat_of
from energylang.run.store import Rows

SERIES = 1024
CHAINS = 64
"""Scalars times chains that are followed, and chains; where there are more, some that are evenly spread."""

BATCHES = 128
BLOCK = 1024
EVERY = 1.0
"""Batches kept of a chain at least, draws handled at once, and seconds between two estimates."""


class Monitor:
    """Batch means of some scalars: constant memory, whatever the number of draws.

    When there are twice as many as BATCHES, neighbours become one. The variance of a mean follows from the means of batches and
    what correlation is left between them; with that of the draws it gives the ESS of the plain mean, where a summary has
    that of ranks. For a progress line only: no draw and no decision depends on it.
    """

    def __init__(self, shapes: Mapping[str, tuple[int, ...]], chains: int) -> None:
        names = [name for name in shapes if name.startswith("draws/") or name == "stats/lp"]
        sizes = [int(np.prod(shapes[name])) for name in names]
        self._chains = np.unique(np.linspace(0, chains - 1, min(chains, CHAINS)).astype(int))
        most = max(1, SERIES // len(self._chains))
        chosen = np.unique(np.linspace(0, max(sum(sizes) - 1, 0), min(sum(sizes), most)).astype(int))
        starts = np.cumsum([0, *sizes])
        self._places = [
            (name, chosen[(chosen >= start) & (chosen < start + size)] - start)
            for name, start, size in zip(names, starts[:-1], sizes, strict=True)
        ]
        self._batch = 1
        self._rest = np.empty((len(self._chains), 0, len(chosen)))
        self._means = self._squares = self._rest
        self._origin: np.ndarray | None = None
        self._divergences = 0
        self._facts: dict[str, float] = {}
        self._last = time.monotonic()

    def add(self, rows: Rows) -> None:
        """The next draws, [chain, draw, …] by name."""
        count = next(iter(rows.values())).shape[1]
        for start in range(0, count, BLOCK):
            stop = min(start + BLOCK, count)
            taken = [
                rows[name][self._chains, start:stop].reshape(len(self._chains), stop - start, -1)[:, :, place]
                for name, place in self._places
            ]
            self._extend(np.concatenate(taken, axis=2).astype(np.float64))

    def _extend(self, values: np.ndarray) -> None:
        if self._origin is None:
            self._origin = values[:1, :1]  # squares of what is far from zero would lose their digits
        values = np.concatenate([self._rest, values - self._origin], axis=1)
        while (room := min(values.shape[1] // self._batch, 2 * BATCHES - self._means.shape[1])) > 0:
            parts = values[:, : room * self._batch].reshape(len(values), room, self._batch, -1)
            values = values[:, room * self._batch :]
            self._means = np.concatenate([self._means, parts.mean(axis=2)], axis=1)
            self._squares = np.concatenate([self._squares, np.square(parts).mean(axis=2)], axis=1)
            if self._means.shape[1] == 2 * BATCHES:
                self._means, self._squares = (0.5 * (k[:, ::2] + k[:, 1::2]) for k in (self._means, self._squares))
                self._batch *= 2
        self._rest = values.copy()

    def estimates(self) -> tuple[np.ndarray, np.ndarray]:
        """ESS and R_hat of each scalar that is followed, by batch means; NaN where there are too few draws."""
        half = self._means.shape[1] // 2
        if half < 2:
            nothing = np.full(self._means.shape[2], np.nan)
            return nothing, nothing
        halves = [
            np.concatenate([kept[:, :half], kept[:, -half:]]).transpose(2, 0, 1)
            for kept in (self._means, self._squares)
        ]
        count = half * self._batch
        centres = halves[0].mean(axis=2)
        variances = np.maximum(halves[1].mean(axis=2) - np.square(centres), 0.0) * count / (count - 1)
        between = centres.var(axis=1, ddof=1)
        pooled = variances.mean(axis=1) * (count - 1) / count + between
        of_batches = halves[0].var(axis=2, ddof=1).mean(axis=1) * (half - 1) / half + between
        with np.errstate(invalid="ignore", divide="ignore"):
            ess = pooled / (of_batches / effective_size(halves[0]))
            return ess, r_hat_of(centres, variances, count)

    def facts(self, rows: Rows, sampling: bool) -> dict[str, float]:
        """What to say after a chunk of these rows."""
        found: dict[str, Any] = {}
        if (accepted := rows.get("stats/acceptance_rate")) is not None:
            found["acceptance"] = float(np.mean(accepted))
        if (diverging := rows.get("stats/diverging")) is not None:
            count = int(np.sum(diverging))
            self._divergences += count if sampling else 0
            if count := self._divergences if sampling else count:
                found["divergences"] = count
        if sampling:
            self.add(rows)
            if time.monotonic() - self._last > EVERY:
                self._estimate()
        return found | self._facts

    def _estimate(self) -> None:
        ess, r_hat = self.estimates()
        self._facts = {}
        if np.any(np.isfinite(r_hat)) and len(self._chains) > 1:
            self._facts["R_hat"] = float(np.nanmax(r_hat))
        if np.any(np.isfinite(ess)):
            self._facts["ESS"] = float(np.nanmin(ess))
        self._last = time.monotonic()
