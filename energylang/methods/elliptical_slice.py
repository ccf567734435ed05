"""Elliptical slice sampling: ellipses through a draw of the prior, or of a law fitted in warm-up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.scipy.linalg import solve_triangular

from energylang.methods._adaptation import Moments, no_moments, observe, regularised
from energylang.methods._trajectories import forward
from energylang.model import Info, NormalLaws, Phase, Point, PRNGKey, Target, fold

DEGREES = 5.0
"""Degrees of freedom of the fitted law: its tails bound what the density ratio can become."""
NARROW = 1e-6
"""A bracket of angles, in radians, that is too narrow to hold another float of the position."""


class EllipticalState(NamedTuple):
    """x: the Point. remainder: scalar, its log density without the normal laws. fitted: float[K], the reals without one."""

    x: Point
    remainder: Array
    fitted: Array


class EllipticalTuning(NamedTuple):
    """Of the law fitted to reals without a normal law. mean: float[K]. root, inverse: float[K] or lower float[K, K]."""

    mean: Array
    root: Array
    inverse: Array


class _Search(NamedTuple):
    """Between two evaluations: the angle to try, its bracket, and what was found at the last."""

    angle: Array
    low: Array
    high: Array
    real: Array
    remainder: Array
    taken: Array
    tries: Array


@dataclass(frozen=True)
class EllipticalSlice:
    """Elliptical slice sampling (Murray, Adams and MacKay 2010), generalised (Nishihara, Murray and Adams 2014).

    A step moves all reals at once on the ellipse through the state and a draw of a normal reference law, whose density is
    divided out of the target's. The reference is exact for variables of kind `real` whose one law is normal (`normal`,
    `std_normal`, `multi_normal` in its three forms) with arguments that do not move in this step: data, conditions, params,
    and within `blocks` the variables of other methods. For all other reals it is Student's t with 5 degrees of freedom, its
    mean and scale matrix those of the slow windows of warm-up and frozen afterwards. No tuning makes it wrong.

    It needs no gradient. Cost: a few densities a step, without the normal laws, and one draw of them.

    Info: acceptance_rate (1 where the state moved), n_steps (densities).
    """

    metric: Literal["diagonal", "dense"] = "dense"

    @property
    def scope(self) -> Literal["chain", "ensemble"]:
        return "chain"

    @property
    def moves(self) -> Literal["continuous"]:
        return "continuous"

    def init(self, target: Target, x: Point, key: PRNGKey) -> EllipticalState:
        return EllipticalState(x, self.remainder(target, x), x.real[_fitted(target)])

    def refresh(self, target: Target, state: EllipticalState) -> EllipticalState:
        return self.init(target, state.x, jax.random.key(0))

    def remainder(self, target: Target, x: Point) -> Array:
        """The log density at x without the normal laws."""
        names = _names(target)
        return target.remainder(names, x) if names and isinstance(target, NormalLaws) else target.log_density(x)

    def step(
        self, target: Target, tune: EllipticalTuning, state: EllipticalState, key: PRNGKey
    ) -> tuple[EllipticalState, Info]:
        x, code, dtype = state.x.real, state.x.code, state.x.real.dtype
        centre, direction = self._ellipse(target, tune, state, key)
        places = _fitted(target)

        def log_ratio(real: Array, remainder: Array) -> Array:
            return remainder - _log_fitted(tune, real[places])

        uniforms = jax.random.uniform(fold(key, 3), (2,), dtype)
        level = log_ratio(x, state.remainder) + jnp.log1p(-uniforms[0])

        def look(search: _Search) -> _Search:
            real = centre + (x - centre) * jnp.cos(search.angle) + direction * jnp.sin(search.angle)
            remainder = self.remainder(target, Point(real, code))
            taken = log_ratio(real, remainder) > level
            low = jnp.where(search.angle < 0, search.angle, search.low)
            high = jnp.where(search.angle < 0, search.high, search.angle)
            angle = low + jax.random.uniform(fold(key, 4, search.tries), (), dtype) * (high - low)
            return _Search(angle, low, high, real, remainder, taken, search.tries + 1)

        def going(search: _Search) -> Array:
            return ~search.taken & (search.high - search.low > NARROW)

        angle = 2 * jnp.pi * uniforms[1]
        begin = _Search(angle, angle - 2 * jnp.pi, angle, x, state.remainder, jnp.zeros((), bool), jnp.int32(0))
        end = jax.lax.while_loop(going, look, begin)
        real = jnp.where(end.taken, end.real, x)
        remainder = jnp.where(end.taken, end.remainder, state.remainder)
        info: dict[str, Any] = {"acceptance_rate": end.taken.astype(dtype), "n_steps": end.tries}
        return EllipticalState(Point(real, code), remainder, real[places]), info

    def _ellipse(
        self, target: Target, tune: EllipticalTuning, state: EllipticalState, key: PRNGKey
    ) -> tuple[Array, Array]:
        """(float[R], float[R]): the centre of the ellipse, and the vector from it to the draw."""
        x = state.x.real
        centre, direction = jnp.zeros_like(x), jnp.zeros_like(x)
        names, places = _names(target), _fitted(target)
        if names and isinstance(target, NormalLaws):
            mean, draw = target.mean_and_draw(names, state.x, fold(key, 0))
            exact = _exact(target)
            centre = centre.at[exact].set(mean.astype(x.dtype))
            direction = direction.at[exact].set((draw - mean).astype(x.dtype))
        if places.size:
            # Student's t is a normal law of a random scale: with that drawn given the state, what is left is normal.
            half = 0.5 * (DEGREES + places.size)
            scale = 0.5 * (DEGREES + _square(tune, x[places])) / jax.random.gamma(fold(key, 1), half, (), x.dtype)
            noise = jax.random.normal(fold(key, 2), places.shape, x.dtype)
            centre = centre.at[places].set(tune.mean)
            direction = direction.at[places].set(jnp.sqrt(scale) * forward(tune.root, noise))
        return centre, direction

    def tuning(self, target: Target) -> tuple[EllipticalTuning, Moments]:
        count, dense = _fitted(target).size, self.metric == "dense"
        unit = jnp.eye(count) if dense else jnp.ones(count)
        return EllipticalTuning(jnp.zeros(count), unit, unit), no_moments(count, dense)

    def adapt(
        self, phase: Phase, tune: EllipticalTuning, memory: Moments, state: EllipticalState, info: Info
    ) -> tuple[EllipticalTuning, Moments]:
        dense = self.metric == "dense"
        seen = observe(memory, state.fitted)
        moments = jax.tree.map(lambda new, old: jnp.where(phase.slow, new, old), seen, memory)

        def learn(_: Any) -> tuple[EllipticalTuning, Moments]:
            return fit(moments.mean, regularised(moments)), no_moments(state.fitted.shape[0], dense)

        def keep(_: Any) -> tuple[EllipticalTuning, Moments]:
            return tune, moments

        return jax.lax.cond(phase.window_end, learn, keep, None)


def _names(target: Target) -> tuple[str, ...]:
    """The variables whose law is normal given what stays."""
    return target.normal_laws() if isinstance(target, NormalLaws) else ()


def _exact(target: Target) -> np.ndarray:
    """int[R - K]: where those variables lie, in the order of `_names`."""
    return np.asarray([p for name in _names(target) for p in target.variables[name].real], np.int32)


def _fitted(target: Target) -> np.ndarray:
    """int[K]: the other reals."""
    return np.setdiff1d(np.arange(target.facts.reals), _exact(target)).astype(np.int32)


def fit(mean: Array, covariance: Array) -> EllipticalTuning:
    """The tuning of a mean, float[K], and variances, float[K], or a covariance, float[K, K]."""
    if covariance.ndim == 1:
        root = jnp.sqrt(covariance)
        return EllipticalTuning(mean, root, 1.0 / root)
    root = jnp.linalg.cholesky(covariance)
    unit = jnp.eye(mean.shape[0], dtype=root.dtype)
    return EllipticalTuning(mean, root, solve_triangular(root, unit, lower=True))


def _square(tune: EllipticalTuning, real: Array) -> Array:
    """The squared distance from the mean, in the scales of the fitted law."""
    scaled = forward(tune.inverse, real - tune.mean)
    return scaled @ scaled


def _log_fitted(tune: EllipticalTuning, real: Array) -> Array:
    """The log density of the fitted law, up to a constant."""
    if not real.size:
        return jnp.zeros((), real.dtype)
    return -0.5 * (DEGREES + real.size) * jnp.log1p(_square(tune, real) / DEGREES)
