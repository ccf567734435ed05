"""When a kernel adapts: Stan's warm-up windows as data that a program scans."""

from __future__ import annotations

from typing import Any

import numpy as np

from energylang.model import Phase

START, BASE, END = 75, 25, 50
"""Stan's defaults: steps before the first window, of the first window, and after the last."""


def windows(warmup: int) -> tuple[int, int, list[int]]:
    """Stan's slow windows: their first step, the first step after them, and the last step of each.

    Each window is twice the one before it; the last takes what a next one could not fill. Warm-ups shorter than
    75 + 25 + 50 steps give 15 % to the start and 10 % to the end; under 20 steps there is no window at all.
    Source: stan/mcmc/windowed_adaptation.hpp; unlike there, and as in blackjax, the first window too is stretched, so
    that warm-ups of 151 to 199 steps do not learn a scale from a last window of a few draws.
    """
    if warmup < 20:
        return warmup, warmup, []
    start, base, end = START, BASE, END
    if start + base + end > warmup:
        start, end = int(0.15 * warmup), int(0.1 * warmup)
        base = warmup - start - end
    stop, size, at, ends = warmup - end, base, start, []
    while at < stop:
        last = at + size - 1
        ends.append(stop - 1 if last + 2 * size >= stop else last)
        at, size = ends[-1] + 1, 2 * size
    return start, stop, ends


def schedule(first: int, length: int, warmup: int) -> Phase:
    """Phases of the absolute steps `first` to `first + length - 1`, each leaf of shape [length]."""
    steps = np.arange(first, first + length)
    start, stop, ends = windows(warmup)
    # On the host: these are data of a program, and making them must not compile one.
    leaves: dict[str, Any] = {
        "warming": steps < warmup,
        "slow": (steps >= start) & (steps < stop),
        "window_end": np.isin(steps, ends),
        "last": steps == warmup - 1,
        "progress": np.minimum((steps + 1) / max(warmup, 1), 1.0).astype(np.float32),
    }
    return Phase(**leaves)
