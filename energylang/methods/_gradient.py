"""The one place where a log density and its gradient are traced."""

from __future__ import annotations

import jax
from jax import Array

from energylang.model import Point, Target


@jax.jit
def value_and_gradient(target: Target, real: Array, code: tuple[Array, ...]) -> tuple[Array, Array]:
    """The log density at a point, scalar, and its gradient in the unconstrained vector, float[R].

    Jitted at module level with the target as an argument, so that JAX traces a target once a process, however often
    the loops of a kernel (and the promotions of weak types in them) ask for it.
    """
    return jax.value_and_grad(lambda vector: target.log_density(Point(vector, code)))(real)
