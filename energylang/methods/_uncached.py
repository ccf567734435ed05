"""What kernels of discrete variables share that keep nothing but the point and learn nothing."""

from __future__ import annotations

from typing import Literal, NamedTuple

from energylang.model import Info, Phase, Point, PRNGKey, Target


class UncachedState(NamedTuple):
    """x: the Point; nothing is cached."""

    x: Point


class Uncached:
    """A kernel of discrete variables, its `step` aside."""

    @property
    def scope(self) -> Literal["chain", "ensemble"]:
        return "chain"

    @property
    def moves(self) -> Literal["continuous", "discrete", "any"]:
        return "discrete"

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
