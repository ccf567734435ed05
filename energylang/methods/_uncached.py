"""What kernels of discrete variables share that keep nothing but the point and learn nothing."""

from __future__ import annotations

from typing import NamedTuple

from energylang.methods._discrete import Discrete
from energylang.model import Info, Phase, Point, PRNGKey, Target


class UncachedState(NamedTuple):
    """x: the Point; nothing is cached."""

    x: Point


class Uncached(Discrete):
    """A kernel of discrete variables, its `step` aside."""

    def init(self, target: Target, x: Point, key: PRNGKey) -> UncachedState:
        return UncachedState(x)

    def refresh(self, target: Target, state: UncachedState) -> UncachedState:
        return state

    def tuning(self, target: Target) -> tuple[tuple[()], tuple[()]]:
        return (), ()

    def adapt(
        self, phase: Phase, tune: tuple[()], memory: tuple[()], state: UncachedState, info: Info
    ) -> tuple[tuple[()], tuple[()]]:
        return tune, memory
