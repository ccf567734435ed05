"""The one module that imports blackjax (1.7): its next release is this file's work."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from blackjax.mcmc import nuts
from blackjax.mcmc.adjusted_mclmc import adjusted_mclmc_proposal
from blackjax.mcmc.hmc import HMCState
from blackjax.mcmc.integrators import IntegratorState, isokinetic_mclachlan
from blackjax.mcmc.metrics import Metric
from blackjax.optimizers import lbfgs
from blackjax.util import generate_unit_vector
from jax import Array

FUSED = 32
"""Reals up to which a dense metric is multiplied elementwise."""


class Trajectory(NamedTuple):
    """What one NUTS transition gives: the new position with its log density and gradient, and the statistics."""

    position: Array
    log_density: Array
    gradient: Array
    acceptance_rate: Array
    diverging: Array
    n_steps: Array
    tree_depth: Array
    energy: Array
    energy_error: Array


def _metric(covariance: Array, factor: Array) -> Metric:
    """blackjax's Metric for M^-1 = covariance, float[R] or float[R, R]; factor: what makes momenta of normal numbers.

    blackjax would factorise the matrix anew in every step; the kernel does so once a window.
    """

    def velocity(momentum: Array) -> Array:
        return _times(covariance, momentum)

    def sample_momentum(key: Array, position: Array) -> Array:
        return _times(factor, jax.random.normal(key, position.shape, position.dtype))

    def kinetic_energy(momentum: Array, position: Array | None = None) -> Array:
        # Of momenta as large as where a density overflows, a dense form may round to below zero, and would be accepted.
        return jnp.maximum(0.5 * jnp.dot(velocity(momentum), momentum), 0.0)

    def check_turning(left: Array, right: Array, total: Array, *_: Any) -> Array:
        middle = velocity(total - (left + right) / 2)
        return (jnp.dot(left, middle) <= 0) | (jnp.dot(right, middle) <= 0)

    def scale(position: Array, element: Array, *, inv: bool, trans: bool) -> Array:
        raise NotImplementedError("NUTS does not scale")

    return Metric(sample_momentum, kinetic_energy, check_turning, scale)  # pyright: ignore[reportArgumentType]


def _times(matrix: Array, vector: Array) -> Array:
    """A matrix, or its diagonal, times a vector."""
    if matrix.ndim == 1:
        return matrix * vector
    # A small product fuses with what stands around it; a call of a library costs more than the product.
    return jnp.sum(matrix * vector, axis=1) if vector.size <= FUSED else matrix @ vector


def nuts_step(
    value_and_gradient: Callable[[Array], tuple[Array, Array]],
    position: Array,
    log_density: Array,
    gradient: Array,
    step_size: Array,
    covariance: Array,
    factor: Array,
    max_tree_depth: int,
    key: Array,
) -> Trajectory:
    """One transition of the multinomial, iterative NUTS (Betancourt 2017; Phan et al. 2019).

    The leapfrog step is our own: it takes value and gradient from one traced function and the velocity from the metric
    directly, where blackjax's would differentiate both anew.
    """
    metric = _metric(covariance, factor)

    def leapfrog(state: Any, step: Array) -> IntegratorState:
        half = state.momentum + 0.5 * step * state.logdensity_grad
        moved = state.position + step * _times(covariance, half)
        value, slope = value_and_gradient(moved)
        return IntegratorState(moved, half + 0.5 * step * slope, value, slope)  # pyright: ignore[reportArgumentType]

    # blackjax annotates arrays as Python numbers, hence Any.
    kernel: Any = nuts.build_kernel(integrator=lambda *_: leapfrog)  # pyright: ignore[reportArgumentType]
    start: Any = HMCState(position, log_density, gradient)  # pyright: ignore[reportArgumentType]
    state, info = kernel(key, start, lambda _: 0.0, step_size, metric, max_tree_depth)
    initial_energy = metric.kinetic_energy(info.momentum) - log_density
    return Trajectory(
        state.position,
        state.logdensity,
        state.logdensity_grad,
        info.acceptance_rate,
        info.is_divergent,
        info.num_integration_steps,
        info.num_trajectory_expansions,
        info.energy,
        info.energy - initial_energy,
    )


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
