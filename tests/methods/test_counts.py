"""metropolis (energylang.methods.metropolis:Metropolis) on counts: exact draws stay exact, a point mass spreads.

LANES lanes, Pearson's chi-square over the cells of a joint law of two counts that expect ten or more, level 1e-6. The
identity and a walk that favours increases are rejected. A law with Cohen's w above EFFECT fails with probability 0.999.
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
from energylang.diagnostics import DiagnosticError
from energylang.methods.metropolis import Metropolis, MetropolisTuning
from energylang.model import UNBOUNDED, Phase, Point
from tests.support import invariance

LANES = 16384
EFFECT = 0.1
TEXT = "energy joint(n: count[2]) {\n  n[0] ~ poisson(2.5)\n  n[1] ~ poisson(1 + n[0])\n}"
WIDTH, HEIGHT = 24, 40


class Uphill(Metropolis):
    """A walk that proposes increases more often, with the ratio of a symmetric one."""

    def steps(self, tune: Any, size: Any, sign: Any) -> Any:
        return super().steps(tune, size, jnp.minimum(1.2 * sign, 0.999))


class Still(Metropolis):
    """The identity, invariant and useless."""

    def step(self, target: Any, tune: Any, state: Any, key: Any) -> tuple[Any, Any]:
        return state, {"acceptance_rate": jnp.ones(())}


@cache
def law() -> tuple[Any, np.ndarray]:
    """The target, and the probabilities of (n[0], n[1]) by SciPy, float64[WIDTH * HEIGHT]."""
    first, second = np.arange(WIDTH)[:, None], np.arange(HEIGHT)[None, :]
    grid = stats.poisson.pmf(first, 2.5) * stats.poisson.pmf(second, 1.0 + first)
    assert 1 - grid.sum() < 1e-8
    return energylang.compile(TEXT)["joint"].target(), (grid / grid.sum()).ravel()


def misfit(kernel: Any, begin: str) -> float:
    """Pearson's statistic over its threshold, after a run that begins at exact draws or at a point mass."""
    target, probabilities = law()
    number = invariance.seed(f"{type(kernel).__name__}/{begin}")
    if begin == "exact":
        rows = np.random.default_rng(number).choice(len(probabilities), size=LANES, p=probabilities)
        start = np.stack([rows // HEIGHT, rows % HEIGHT], axis=1)
    else:
        start = np.tile([20, 0], (LANES, 1))
    x = Point(jnp.zeros((LANES, 0)), (jnp.asarray(start, jnp.int32),))
    tune = MetropolisTuning(jnp.log(jnp.array([1.0, 2.0])))
    ends, _ = invariance.evolve(kernel, target, tune, x, jax.random.key(number), 5 if begin == "exact" else 100)
    codes = np.asarray(ends.code[0])
    assert (codes >= 0).all()
    cells = np.minimum(codes[:, 0], WIDTH - 1) * HEIGHT + np.minimum(codes[:, 1], HEIGHT - 1)
    statistic, threshold = invariance.chi_square(cells, probabilities)
    return statistic / threshold


def test_the_stated_effect() -> None:
    _, probabilities = law()
    assert invariance.chi_square_effect(LANES, int((probabilities * LANES >= 10).sum()) + 1) <= EFFECT


@pytest.mark.parametrize("begin", ["exact", "mass"])
def test_the_law_is_kept_and_reached(begin: str) -> None:
    assert misfit(Metropolis(), begin) < 1


def test_a_walk_that_is_not_symmetric_is_rejected() -> None:
    assert misfit(Uphill(), "exact") > 1


def test_the_identity_is_rejected() -> None:
    assert misfit(Still(), "exact") < 1
    assert misfit(Still(), "mass") > 1


def test_steps_are_symmetric_heavy_tailed_and_never_zero() -> None:
    size, sign = jax.random.uniform(jax.random.key(1), (2, 100_000))
    steps = np.asarray(Metropolis().steps(MetropolisTuning(jnp.log(4.0)), size, sign))
    assert (steps != 0).all()
    assert abs((steps > 0).mean() - 0.5) < 5 * 0.5 / np.sqrt(steps.size)
    # P(|step| > 1 + t) = P(1 / u - 1 >= (t + 1) / 4) = 4 / (t + 5)
    for t in (0, 4, 100):
        p = 4 / (t + 5)
        assert abs((np.abs(steps) > 1 + t).mean() - p) < 5 * np.sqrt(p * (1 - p) / steps.size)
    extremes = Metropolis().steps(MetropolisTuning(jnp.full(2, 20.0)), jnp.array([0.0, 1 - 2**-24]), jnp.ones(2))
    assert (np.asarray(extremes) > 0).all()


def test_the_scale_is_learned() -> None:
    """On a count near 10,000 (deviation 100) the walk takes long steps, and accepts what it aims at."""
    target = energylang.compile("energy e(n: count) {\n  n ~ poisson(10000)\n}")["e"].target()
    kernel = Metropolis()
    steps = 1500
    progress = jnp.arange(1, steps + 1) / steps
    off = jnp.zeros(steps, bool)
    phases = Phase(~off, off, off, progress == 1, progress)

    @jax.jit
    def run(key: Any) -> Any:
        def warm(carry: Any, given: Any) -> Any:
            phase, number = given
            tune, memory, state = carry
            state, info = kernel.step(target, tune, state, jax.random.fold_in(key, number))
            return (*kernel.adapt(phase, tune, memory, state, info), state), (info["acceptance_rate"], state.x.code[0])

        x = Point(jnp.zeros(0), (jnp.full(1, 3, jnp.int32),))
        start = (*kernel.tuning(target), kernel.init(target, x, key))
        (tune, _, _), kept = jax.lax.scan(warm, start, (phases, jnp.arange(steps)))
        return tune.log_scale, kept

    log_scale, (rates, codes) = run(jax.random.key(invariance.seed("scale")))
    assert 20 < float(jnp.exp(log_scale[0])) < 500
    assert abs(float(rates[-750:].mean()) - 0.44) < 0.08
    assert abs(float(codes[-750:].mean()) - 10_000) < 60


# --- counts beside others ----------------------------------------------------------------------------------------


@pytest.mark.long
def test_a_gamma_poisson_by_blocks(request: pytest.FixtureRequest) -> None:
    """rate ~ gamma(3, 1), n ~ poisson(rate): n is negative binomial (3, 1/2); auto takes blocks."""
    model = energylang.compile("energy e(rate: positive, n: count) {\n  rate ~ gamma(3, 1)\n  n ~ poisson(rate)\n}")
    plan = model.plan("sample")
    assert str(plan.method) == "blocks(metropolis(), nuts())"
    assert "1 count by random walks" in plan.reason
    run = model.sample(draws=1500, chains=4, warmup=200, seed=invariance.seed(request.node.nodeid))
    n = run.to_arviz().posterior["n"].values.ravel()
    ess = float(np.nanmin(run.summary()["ESS_bulk"]))
    assert ess > 300
    exact = stats.nbinom(3, 0.5)
    for value in range(8):
        p = exact.cdf(value)
        assert abs((n <= value).mean() - p) < 5 * np.sqrt(p * (1 - p) / ess)


def test_points_gains_and_draws_of_a_mixed_model() -> None:
    """A spin beside counts keeps exact gains; the counts have none; int32 draws."""
    text = "energy e(s: spin[2], n: count[3], x: real) = sum(lgamma(n + 1)) - 0.7 * s[0] * n[1] + s[0] * s[1] + x^2 + n[2] * x"
    target = energylang.compile(text)["e"].target()
    facts = target.facts
    assert facts.cardinalities == (2, UNBOUNDED)
    assert (facts.discrete, facts.counts, facts.gains) == (2, 3, "exact")
    x = Point(jnp.array([0.3]), (jnp.array([0, 1]), jnp.array([0, 4, 2])))
    spins, counts = target.gains(x)
    assert counts.shape == (3, 0)
    for site in range(2):
        for value in range(2):
            other = Point(x.real, (x.code[0].at[site].set(value), x.code[1]))
            change = float(target.log_density(other) - target.log_density(x))
            assert float(spins[site, value]) == pytest.approx(change, abs=1e-5)
    assert target.outputs(x, jax.random.key(0)).draws["n"].dtype == jnp.int32


def test_evidence_of_a_count() -> None:
    """The sum of 3^n / n! is e^3."""
    run = energylang.compile("energy e(n: count) = lgamma(n + 1) - n * log(3)").evidence(draws=20_000, seed=1)
    assert abs(float(run.log_z) - 3.0) < 5 * float(run.log_z_error)


@pytest.mark.parametrize("method", ["gwg()", "gibbs()", "enumerate()", "nuts()", "mala()", "blocks(gibbs(), nuts())"])
def test_methods_that_cannot_move_counts_refuse_them(method: str) -> None:
    text = (
        "energy e(n: count, z: binary, x: real) = lgamma(n + 1) + x^2 + z"
        if "blocks" in method
        else "energy e(n: count) = n"
    )
    with pytest.raises(DiagnosticError, match="count"):
        energylang.compile(text).sample(method=method, draws=2, warmup=0, chains=1)


def test_metropolis_refuses_what_is_not_a_count() -> None:
    with pytest.raises(DiagnosticError, match="moves counts only"):
        energylang.compile("energy e(z: binary) = z").sample(method="metropolis()")
    with pytest.raises(DiagnosticError, match="E0643"):
        energylang.compile("energy e(n: count, x: real) = n + x^2").sample(method="blocks(n = nuts(), nuts())")
