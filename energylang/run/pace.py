"""How many steps the next chunk takes: short at first, then about as long as a person waits for news."""

from __future__ import annotations

import math
from dataclasses import dataclass

SECONDS = 1.5
FIRST = 16
GROWTH = 4
BUFFER_BYTES = 16 << 20
PART_BYTES = 64 << 20
BUFFER_STEPS = 1024


def buffer_steps(lane_bytes: int, width: int) -> int:
    """Steps that the buffer of one group holds: a power of two, fixed by the model and the width alone.

    The number of steps of a call is an argument of the program, up to this, so that no chunk size, last chunk or
    resumed chunk is another program.
    """
    fits = max(1, BUFFER_BYTES // max(1, lane_bytes * width))
    return min(BUFFER_STEPS, 1 << (fits.bit_length() - 1))


@dataclass
class Pace:
    """Chooses chunk lengths up to `most`, the first of them `first`; `fixed` chooses once and for all."""

    most: int
    fixed: int | None = None
    first: int = FIRST
    last: int = 0
    seconds: float = 0.0

    def next(self, left: float = math.inf) -> int:
        """The steps of the next chunk, where `left` seconds are left."""
        if self.fixed is not None:
            return min(self.fixed, self.most)
        if not self.last:
            return min(self.first, self.most)
        wanted = self.last * min(SECONDS, left) / max(self.seconds, 1e-3)
        return max(1, min(self.most, int(min(wanted, self.last * GROWTH))))

    def took(self, steps: int, seconds: float) -> None:
        self.last, self.seconds = steps, seconds
