"""elliptical_slice with a fitted law on every continuous space, and with the normal laws of compiled models.

Fitted: lanes, level and the effect that is detected are those of `tests/support/continuous.py`. Compiled: LANES lanes, level
1e-6 over eight projections of one run; a law further than 0.054 from the exact one fails with probability 0.999.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

import energylang
from energylang.methods.blocks import Blocks
from energylang.methods.elliptical_slice import EllipticalSlice, fit
from energylang.methods.slice import Slice
from energylang.model import Point
from tests.support import invariance
from tests.support.continuous import THRESHOLD, TRUTH, Still, dense_covariance, misfit, moved, warm_up, warm_up_phases
from tests.support.targets import SPACES, Continuous, target

pytestmark = pytest.mark.long

LANES, PROJECTIONS, EFFECT = 8192, 8, 0.054
LATENT = """
data y: real[3]
data S: real[3, 3]
const m = 0.5
energy latent(f: real[3], c: real, g: positive) {
  f ~ multi_normal([m, m, m], S)
  c ~ normal(m, 2)
  g ~ gamma(3, 1)
  y ~ normal(f, 0.8)
}
energy scaled(f: real[2], g: positive) {
  g ~ gamma(3, 1)
  f ~ normal(1, g)
}
energy others(a: real, b: real, w: interval(0, 1), z: real[2], t: real) {
  a ~ normal(b, 1)
  b ~ normal(0, 1)
  w ~ normal(0, 1)
  z[0] ~ normal(0, 1)
  z[1] ~ normal(0, 1)
  t ~ std_normal()
}
"""
Y = np.array([1.0, -0.5, 2.0])
S = np.array([[1.5, 0.9, 0.4], [0.9, 1.2, 0.7], [0.4, 0.7, 1.0]])


class Undivided(EllipticalSlice):
    """An ellipse through a draw of the prior, with the prior counted again in the density."""

    def remainder(self, target: Any, x: Any) -> Any:
        return target.log_density(x)


def test_the_stated_effect() -> None:
    assert invariance.dkwm_effect(LANES, PROJECTIONS) <= EFFECT


# With a fitted law.


def tunings() -> dict[str, tuple[Any, Any, int]]:
    """Kernel, fixed tuning and the steps from a point mass, by name."""
    mean = jnp.asarray(np.asarray(Continuous().draws(1, 1000).real).mean(axis=0))
    covariance = jnp.asarray(dense_covariance(), jnp.float32)
    return {
        "elliptical": (EllipticalSlice(), fit(mean, covariance), 120),
        "diagonal": (EllipticalSlice(metric="diagonal"), fit(mean, jnp.diagonal(covariance)), 60),
        "still": (Still(), (), 60),
    }


@cache
def outcome(method: str, begin: str, dropped: int | None = None) -> np.ndarray:
    return moved(*tunings()[method], method, begin, dropped, exact_steps=4)


@pytest.mark.parametrize("space", SPACES)
def test_exact_draws_stay_exact(space: str) -> None:
    assert misfit(outcome("elliptical", "exact"), space) < THRESHOLD


@pytest.mark.parametrize("space", SPACES)
def test_a_point_mass_spreads(space: str) -> None:
    assert misfit(outcome("diagonal", "mass"), space) < THRESHOLD


def test_a_dropped_jacobian_is_rejected() -> None:
    real = outcome("elliptical", "exact", SPACES.index("simplex"))
    assert misfit(real, "simplex") > THRESHOLD
    assert misfit(real, "real") < THRESHOLD


def test_the_identity_is_rejected() -> None:
    assert max(misfit(outcome("still", "exact"), space) for space in SPACES) < THRESHOLD
    assert max(misfit(outcome("still", "mass"), space) for space in SPACES) > THRESHOLD


def test_warm_up_learns_the_fitted_law() -> None:
    law = target(Continuous(), jnp.asarray(TRUTH, jnp.float32))
    tune, rate = warm_up(EllipticalSlice(), law, warm_up_phases(2000), jax.random.key(invariance.seed("fitted")))
    draws = np.asarray(Continuous().draws(1, 100_000).real, np.float64)
    root = np.asarray(tune.root, np.float64)
    ratio = np.square(root).sum(axis=1) / draws.var(axis=0)
    assert np.all((ratio > 0.4) & (ratio < 2.5))
    assert np.all(np.abs(np.asarray(tune.mean) - draws.mean(axis=0)) < 0.6 * draws.std(axis=0))
    assert rate > 0.99


# With the normal laws of a model.


@cache
def compiled(name: str) -> Any:
    return energylang.compile(LATENT, data={"y": Y, "S": S})[name].target()


def test_which_laws_are_normal() -> None:
    assert compiled("latent").normal_laws() == ("f", "c")
    assert compiled("scaled").normal_laws() == ()
    # `a` has an argument that moves, `w` is bounded, `z` has its density in parts.
    assert compiled("others").normal_laws() == ("b", "t")
    law = compiled("scaled")
    chosen = law.select(law.variables["f"], Point(jnp.zeros(3), ()))
    assert chosen.normal_laws() == ("f",)
    assert law.select(law.variables["g"], Point(jnp.zeros(3), ())).normal_laws() == ()


@pytest.mark.parametrize("level", [None, 0.3])
def test_the_remainder_is_the_density_over_the_normal_laws(level: float | None) -> None:
    law = compiled("latent") if level is None else compiled("latent").at(jnp.asarray(level))
    x = jnp.asarray([0.3, -1.0, 0.7, 2.0, 0.4])
    joint: Any = stats.multivariate_normal(np.full(3, 0.5), S)  # pyright: ignore[reportArgumentType]
    exact = joint.logpdf(np.asarray(x[:3])) + stats.norm.logpdf(2.0, 0.5, 2)
    point = Point(x, ())
    found = law.log_density(point) - law.remainder(law.normal_laws(), point)
    assert float(found) == pytest.approx(exact, abs=1e-4)


def test_the_mean_and_the_draws_are_those_of_the_laws() -> None:
    law = compiled("latent")
    keys = jax.random.split(jax.random.key(invariance.seed("draws")), LANES)
    mean, draws = jax.vmap(lambda key: law.mean_and_draw(("f", "c"), Point(jnp.zeros(5), ()), key))(keys)
    assert np.all(np.asarray(mean) == 0.5)
    scales = np.sqrt([*np.diag(S), 4.0])
    threshold = invariance.dkwm_threshold(LANES, PROJECTIONS)
    for place, scale in enumerate(scales):
        assert invariance.distance(np.asarray(draws)[:, place], stats.norm(0.5, scale).cdf) < threshold


def posterior() -> tuple[np.ndarray, np.ndarray]:
    """Mean and covariance of f given y: the conjugate normal law."""
    covariance = np.linalg.inv(np.linalg.inv(S) + np.eye(3) / 0.64)
    return covariance @ (np.linalg.solve(S, np.full(3, 0.5)) + Y / 0.64), covariance


def exact_latent(rng: np.random.Generator) -> np.ndarray:
    f = rng.multivariate_normal(*posterior(), LANES)
    return np.column_stack([f, rng.normal(0.5, 2, LANES), np.log(rng.gamma(3, 1, LANES))])


def exact_scaled(rng: np.random.Generator) -> np.ndarray:
    g = rng.gamma(3, 1, LANES)
    return np.column_stack([rng.normal(1, g, (2, LANES)).T, np.log(g)])


def distances(name: str, real: np.ndarray) -> float:
    """The largest Kolmogorov distance: of single reals, and of two that depend on one another."""
    real = np.asarray(real, np.float64)
    if name == "latent":
        mean, covariance = posterior()
        pairs = [(real[:, i], stats.norm(mean[i], covariance[i, i] ** 0.5).cdf) for i in range(3)]
        both = np.array([1.0, -1.0, 0.0])
        pairs += [(real[:, :3] @ both, stats.norm(both @ mean, (both @ covariance @ both) ** 0.5).cdf)]
        pairs += [(real[:, 3], stats.norm(0.5, 2).cdf), (np.exp(real[:, 4]), stats.gamma(3).cdf)]
    else:
        g = np.exp(real[:, 2])
        pairs = [(g, stats.gamma(3).cdf)]
        pairs += [((real[:, i] - 1) / g, stats.norm.cdf) for i in range(2)]
    return max(invariance.distance(values, cdf) for values, cdf in pairs)


FITTED = fit(jnp.asarray([0.9]), jnp.asarray([[0.5]]))
KERNELS: dict[str, tuple[str, Any, Any]] = {
    "latent": ("latent", EllipticalSlice(), FITTED),
    "undivided": ("latent", Undivided(), FITTED),
    "identity": ("latent", Still(), ()),
    "blocks": ("scaled", Blocks((("f", EllipticalSlice()), ("g", Slice()))), None),
}


@cache
def compiled_outcome(kernel: str, begin: str) -> float:
    name, method, tune = KERNELS[kernel]
    law = compiled(name)
    number = invariance.seed(f"elliptical/{kernel}/{begin}")
    exact = (exact_latent if name == "latent" else exact_scaled)(np.random.default_rng(number))
    point = jnp.asarray([1.0] * exact.shape[1], jnp.float32)
    x = Point(jnp.asarray(exact, jnp.float32), ())
    if begin == "mass":
        x = invariance.repeat(Point(point, ()), LANES)
    tune = method.tuning(law)[0] if tune is None else tune
    ends, _ = invariance.evolve(method, law, tune, x, jax.random.key(number), 6 if begin == "exact" else 80)
    return distances(name, np.asarray(ends.real))


@pytest.mark.parametrize("begin", ["exact", "mass"])
@pytest.mark.parametrize("kernel", ["latent", "blocks"])
def test_normal_laws_lead_to_the_posterior(kernel: str, begin: str) -> None:
    assert compiled_outcome(kernel, begin) < invariance.dkwm_threshold(LANES, PROJECTIONS)


def test_a_prior_counted_twice_and_the_identity_are_rejected() -> None:
    threshold = invariance.dkwm_threshold(LANES, PROJECTIONS)
    assert compiled_outcome("undivided", "exact") > threshold
    assert compiled_outcome("identity", "exact") < threshold
    assert compiled_outcome("identity", "mass") > threshold
