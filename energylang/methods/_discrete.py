"""What every kernel says of itself that moves discrete variables, chain by chain."""

from __future__ import annotations

from typing import Literal


class Discrete:
    """A kernel of one chain that moves discrete variables alone."""

    @property
    def scope(self) -> Literal["chain", "ensemble"]:
        return "chain"

    @property
    def moves(self) -> Literal["continuous", "discrete", "any"]:
        return "discrete"
