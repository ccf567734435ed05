"""The one module that imports blackjax (1.7): its next release is this file's work."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from blackjax.mcmc.adjusted_mclmc import adjusted_mclmc_proposal
from blackjax.mcmc.integrators import IntegratorState, isokinetic_mclachlan
from blackjax.optimizers import lbfgs
from blackjax.util import generate_unit_vector
from jax import Array


def inverse_hessian_diagonal(before: Array, step: Array, change: Array) -> tuple[Array, Array]:
    """(float[R], bool): the diagonal of the inverse Hessian after a step, and whether the step could be learned from.

    change: of the gradient of minus the log density. Zhang et al. 2022, algorithm 3 (after Gilbert and Lemaréchal 1989).
    """
    diagonal, learned = lbfgs.lbfgs_recover_alpha(before, step, change)
    return diagonal, learned[0]


class InverseHessian(NamedTuple):
    """diag(diagonal) + factor @ middle @ factor.T: float[R], float[R, 2 J], float[2 J, 2 J]."""

    diagonal: Array
    factor: Array
    middle: Array

    def times(self, vector: Array) -> Array:
        return self.diagonal * vector + self.factor @ (self.middle @ (self.factor.T @ vector))


def inverse_hessian(diagonal: Array, steps: Array, changes: Array) -> InverseHessian:
    """From the last J steps and changes of the gradient, float[J, R], oldest first; rows of zeros where there were fewer."""
    factor, middle = lbfgs.lbfgs_inverse_hessian_factors(steps.T, changes.T, diagonal)
    return InverseHessian(diagonal, factor, middle)


def normal_draws(
    key: Array, count: int, position: Array, gradient: Array, covariance: InverseHessian
) -> tuple[Array, Array]:
    """(float[count, R], float[count]): draws of the normal law one Newton step from a position, and its log density there.

    gradient: that of the log density, so that the mean is position + covariance @ gradient (Zhang et al. 2022,
    algorithm 4). blackjax's own loop passes the gradient of minus the log density.
    """
    return lbfgs.bfgs_sample(key, count, position, gradient, *covariance)


class Isokinetic(NamedTuple):
    """What one transition of adjusted MCLMC gives: the position with its log density and gradient, and the statistics."""

    position: Array
    log_density: Array
    gradient: Array
    acceptance_rate: Array
    diverging: Array


def adjusted_mclmc_step(
    value_and_gradient: Callable[[Array], tuple[Array, Array]],
    position: Array,
    log_density: Array,
    gradient: Array,
    step_size: Array,
    scales: Array,
    steps: Array,
    key: Array,
) -> Isokinetic:
    """One transition of Metropolis-adjusted microcanonical dynamics: `steps` of McLachlan's integrator.

    scales: float[R], the standard deviations that the space is divided by.
    """

    @jax.custom_vjp
    def density(real: Array) -> Array:
        return value_and_gradient(real)[0]

    # blackjax differentiates what it is given: this takes value and gradient from one traced function.
    density.defvjp(lambda real: value_and_gradient(real), lambda slope, cotangent: (cotangent * slope,))
    one_step: Any = isokinetic_mclachlan(density, inverse_mass_matrix=jnp.square(scales))
    momentum = generate_unit_vector(jax.random.fold_in(key, 0), position)
    start: Any = IntegratorState(position, momentum, log_density, gradient)  # pyright: ignore[reportArgumentType]
    propose: Any = adjusted_mclmc_proposal(
        integrator=lambda state, step, length, key: one_step(state, step),
        step_size=step_size,  # pyright: ignore[reportArgumentType]
        L_proposal_factor=jnp.inf,
        num_integration_steps=steps,  # pyright: ignore[reportArgumentType]
    )
    end, info, _ = propose(jax.random.fold_in(key, 1), start)
    return Isokinetic(end.position, end.logdensity, end.logdensity_grad, info.acceptance_rate, info.is_divergent)
