"""Score-based annealed importance sampling as a Path with learned parameters: T is what `prepare` trained."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from energylang.model import Info, Path, Point, PRNGKey, Scalar, Target, fold


class ScoreTheta(NamedTuple):
    """matrix: float[spans, R, R] and shift: float[spans, R], the learned linear score at the end of each span."""

    matrix: Array
    shift: Array


@dataclass(frozen=True)
class ScoreAis:
    """Langevin moves between geometric bridges, reversed by a learned score (Doucet, Grathwohl et al. 2022, eq. 12).

    F(z' | z) = normal(z + h grad log pi_k(z), 2 h); B(z | z') = normal(z' - h grad log pi_k(z') + 2 h s_k(z'), 2 h),
    s_k the score of the particles after move k. `prepare` maximises the mean of log w, the evidence lower bound.
    """

    spans: int = 16
    step_size: float = 0.1
    scale: float = 2.0
    training: int = 200
    batch: int = 64

    def _log_bridge(self, target: Target, level: Array, real: Array) -> Scalar:
        base = jax.scipy.stats.norm.logpdf(real, 0.0, self.scale).sum()
        return (1 - level) * base + level * target.log_density(Point(real, ()))

    def prepare(self, target: Target, key: PRNGKey) -> ScoreTheta:
        reals = target.facts.reals
        # The score of the base is where the search starts.
        matrix = jnp.broadcast_to(-jnp.eye(reals) / self.scale**2, (self.spans, reals, reals))
        theta = ScoreTheta(matrix, jnp.zeros((self.spans, reals)))

        def loss(theta: ScoreTheta, key: PRNGKey) -> Scalar:
            keys = jax.vmap(lambda number: fold(key, number))(jnp.arange(self.batch))
            return -jax.vmap(lambda own: self.log_weight(target, theta, own))(keys).mean()

        def improve(theta: ScoreTheta, step: Array) -> tuple[ScoreTheta, Scalar]:
            value, gradient = jax.value_and_grad(loss)(theta, fold(key, step))
            return jax.tree.map(lambda leaf, slope: leaf - 0.02 * slope, theta, gradient), value

        theta, _ = jax.lax.scan(improve, theta, jnp.arange(self.training))
        return theta

    def log_weight(self, target: Target, theta: ScoreTheta, key: PRNGKey) -> Scalar:
        """log w of one particle: what a driver computes, here to be differentiated."""
        z, log_q = self.start(target, theta, fold(key, 0))

        def move(carry: tuple[Array, Scalar], span: Array) -> tuple[tuple[Array, Scalar], None]:
            z, total = carry
            z, log_g, _ = self.forward(target, theta, span, z, fold(key, 1, span))
            return (z, total + log_g), None

        (z, total), _ = jax.lax.scan(move, (z, -log_q), jnp.arange(self.spans))
        return total + self.finish(target, theta, z)[1]

    def start(self, target: Target, theta: ScoreTheta, key: PRNGKey) -> tuple[Array, Scalar]:
        # The bridge at level 0 is the base, normalised: LogQ is zero.
        return self.scale * jax.random.normal(key, (target.facts.reals,)), jnp.zeros(())

    def forward(
        self, target: Target, theta: ScoreTheta, span: Array, z: Array, key: PRNGKey
    ) -> tuple[Array, Scalar, Info]:
        before, after = span / self.spans, (span + 1) / self.spans
        h, deviation = self.step_size, jnp.sqrt(2 * self.step_size)
        slope = jax.grad(lambda real: self._log_bridge(target, after, real))
        mean = z + h * slope(z)
        new = mean + deviation * jax.random.normal(key, z.shape)
        score = theta.matrix[span] @ new + theta.shift[span]
        back = new - h * slope(new) + 2 * h * score
        log_f = jax.scipy.stats.norm.logpdf(new, mean, deviation).sum()
        log_b = jax.scipy.stats.norm.logpdf(z, back, deviation).sum()
        log_g = self._log_bridge(target, after, new) + log_b - self._log_bridge(target, before, z) - log_f
        return new, log_g, {}

    def finish(self, target: Target, theta: ScoreTheta, z: Array) -> tuple[Point, Scalar]:
        return Point(z, ()), jnp.zeros(())


def conforms() -> Path[Array, ScoreTheta]:
    return ScoreAis()
