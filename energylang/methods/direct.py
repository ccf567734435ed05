"""Exact independent draws of energies that are made of distributions."""

from __future__ import annotations

from dataclasses import dataclass

import jax.numpy as jnp
from jax import Array

from energylang.model import Drawable, Info, Point, PRNGKey, Scalar


@dataclass(frozen=True)
class Direct:
    """Ancestral sampling as a path without spans: each variable from its distribution, given those before it.

    The base is the target itself, so every log weight is log Z, which is 0.
    """

    @property
    def spans(self) -> int:
        return 0

    def prepare(self, target: Drawable, key: PRNGKey) -> tuple[()]:
        return ()

    def start(self, target: Drawable, theta: tuple[()], key: PRNGKey) -> tuple[Point, Scalar]:
        return target.draw(key), jnp.zeros(())

    def forward(
        self, target: Drawable, theta: tuple[()], span: Array, z: Point, key: PRNGKey
    ) -> tuple[Point, Scalar, Info]:
        return z, jnp.zeros(()), {}

    def finish(self, target: Drawable, theta: tuple[()], z: Point) -> tuple[Point, Scalar]:
        return z, jnp.zeros(())
