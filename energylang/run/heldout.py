"""The loss of rows that are held out of training: when it is looked at, which params were best, and when it is enough."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf
from typing import Any

import jax
import numpy as np

from energylang.model import Params
from energylang.run.carry import leaves

BEST = "best"


@dataclass
class Looks:
    """every: steps between two looks. patience: looks without a lower loss after which training ends; None for never.

    best: the params of the lowest loss, kept where there is a patience.
    """

    every: int
    patience: int | None = None
    loss: float = inf
    step: int = 0
    waited: int = 0
    best: Params = field(default_factory=dict)

    def due(self, step: int, steps: int) -> bool:
        return step % self.every == 0 or step == steps

    @property
    def over(self) -> bool:
        return self.patience is not None and self.waited >= self.patience

    def see(self, step: int, loss: float, params: Params) -> None:
        """Take notice of the loss after so many steps; a loss that is not finite is none that is lower."""
        if loss < self.loss:
            self.loss, self.step, self.waited = loss, step, 0
            if self.patience is not None:
                self.best = jax.tree.map(lambda leaf: np.array(leaf, copy=True), params)
        else:
            self.waited += 1

    def begin(self, params: Params) -> None:
        """params: where training starts (or shapes of them): the best as long as none has a loss."""
        if self.patience is not None:
            self.best = params

    def state(self) -> dict[str, np.ndarray]:
        """What a checkpoint holds, by path."""
        numbers = {"loss": np.float64(self.loss), "step": np.int64(self.step), "waited": np.int64(self.waited)}
        found = {f"{BEST}/{name}": np.asarray(value) for name, value in numbers.items()}
        return found | {f"{BEST}/{path}": np.asarray(leaf) for path, leaf in leaves(self.best).items()}

    def expected(self, params: Params) -> dict[str, tuple[tuple[int, ...], np.dtype]]:
        """Shape and dtype of each leaf of `state`. params: their shapes."""
        found = {
            f"{BEST}/{name}": ((), np.dtype(kind)) for name, kind in (("loss", "f8"), ("step", "i8"), ("waited", "i8"))
        }
        kept: Any = leaves(params) if self.patience is not None else {}
        return found | {f"{BEST}/{path}": (leaf.shape, np.dtype(leaf.dtype)) for path, leaf in kept.items()}

    def restore(self, state: Mapping[str, np.ndarray], params: Params) -> None:
        """The state of a checkpoint. params: of the tree of the best ones."""
        self.loss, self.step, self.waited = (state[f"{BEST}/{name}"].item() for name in ("loss", "step", "waited"))
        if self.patience is not None:
            found = [state[f"{BEST}/{path}"] for path in leaves(params)]
            self.best = jax.tree.unflatten(jax.tree.structure(params), found)
