"""The two array libraries that operations are computed with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from types import ModuleType
from typing import Any


@dataclass(frozen=True)
class Backend:
    """An array library: `name` is "numpy" or "jax"."""

    name: str

    @cached_property
    def xp(self) -> ModuleType:
        if self.name == "numpy":
            import numpy

            return numpy
        import jax.numpy

        return jax.numpy

    @cached_property
    def special(self) -> ModuleType:
        if self.name == "numpy":
            import scipy.special

            return scipy.special
        import jax.scipy.special

        return jax.scipy.special

    def __hash__(self) -> int:
        return hash(self.name)


NUMPY = Backend("numpy")
JAX = Backend("jax")

Implementation = Callable[..., Any]
"""Computes an operation: the backend, the operands, then the attributes."""
