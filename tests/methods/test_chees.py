"""chees: exact draws stay exact at any fixed tuning, a point mass spreads, wrong twins are rejected; what warm-up learns is right.

Lanes, level and the effect that is detected are those of `tests/support/continuous.py`.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import optimize, stats

import energylang
from energylang.diagnostics import DiagnosticError
from energylang.methods._adaptation import no_moments, observe_all
from energylang.methods._trajectories import MOST_STEPS
from energylang.methods.blocks import Blocks
from energylang.methods.chees import Chees, CheesTuning, Flight, halton, harmonic_mean, slope_of_criterion
from energylang.methods.gibbs import Gibbs
from energylang.methods.gwg import Gwg
from energylang.methods.mala import Mala
from energylang.run.result import Run
from tests.run import toys
from tests.run.drive import digest, run
from tests.run.test_ensemble import Crash, Stopping
from tests.support import invariance
from tests.support.continuous import SCALES, THRESHOLD, Still, misfit, moved
from tests.support.targets import SPACES, Mixture, target

pytestmark = pytest.mark.long

# --- the law ------------------------------------------------------------------------------------------------------


class Unadjusted(Chees):
    """Without its Metropolis correction: biased at a large step."""

    def accepts(self, error: Any, key: Any) -> Any:
        return jnp.isfinite(error)


class Peeking(Chees):
    """The time of a trajectory depends on where it begins, and the way back takes another."""

    def step(self, target: Any, tune: Any, state: Any, key: Any) -> Any:
        length = jnp.where(state.x.real[0] > 0, tune.step_size, tune.trajectory_length)
        return super().step(target, tune._replace(trajectory_length=length), state, key)


def tunings() -> dict[str, tuple[Any, Any, int]]:
    """Kernel, fixed tuning and the steps from a point mass, by name."""
    scales, most = jnp.asarray(SCALES, jnp.float32), jnp.asarray(float(MOST_STEPS))
    tune = CheesTuning(jnp.asarray(0.5), jnp.asarray(2.5), most, scales)
    return {
        "chees": (Chees(), tune, 30),
        "unadjusted": (Unadjusted(), tune._replace(step_size=jnp.asarray(0.9)), 30),
        "peeking": (Peeking(), tune, 30),
        "still": (Still(), (), 30),
    }


@cache
def outcome(method: str, begin: str, dropped: int | None = None) -> np.ndarray:
    return moved(*tunings()[method], f"chees/{method}", begin, dropped, exact_steps=8)


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("begin", ["exact", "mass"])
def test_exact_draws_stay_exact_and_a_point_mass_spreads(begin: str, space: str) -> None:
    assert misfit(outcome("chees", begin), space) < THRESHOLD


def test_a_dropped_jacobian_is_rejected() -> None:
    real = outcome("chees", "exact", SPACES.index("simplex"))
    assert misfit(real, "simplex") > THRESHOLD
    assert misfit(real, "real") < THRESHOLD


@pytest.mark.parametrize("method", ["unadjusted", "peeking"])
def test_broken_twins_are_rejected(method: str) -> None:
    assert max(misfit(outcome(method, "exact"), space) for space in SPACES) > THRESHOLD


def test_the_identity_is_rejected() -> None:
    assert max(misfit(outcome("still", "mass"), space) for space in SPACES) > THRESHOLD


# --- the parts of the rule ----------------------------------------------------------------------------------------


def test_times_follow_haltons_sequence() -> None:
    exact = stats.qmc.Halton(1, scramble=False).random(3000)[1:, 0]
    np.testing.assert_array_equal(np.asarray(halton(jnp.arange(1, 3000))), exact.astype(np.float32))


def test_a_rate_of_zero_or_none_makes_the_harmonic_mean_small() -> None:
    rates = np.array([0.2, 0.5, 0.9])
    assert float(harmonic_mean(jnp.asarray(rates))) == pytest.approx(stats.hmean(rates), rel=1e-6)
    for bad in (0.0, np.nan):
        assert 0.0 <= float(harmonic_mean(jnp.asarray([0.9, bad]))) < 1e-30


def test_moments_of_many_vectors_at_once_are_those_of_numpy() -> None:
    values = np.random.default_rng(1).normal(3.0, [0.1, 2.0, 30.0], (3, 20, 3))
    seen = np.random.default_rng(2).random((3, 20)) > 0.2
    moments = no_moments(3, dense=False)
    for batch, mask in zip(values, seen, strict=True):
        moments = observe_all(moments, jnp.asarray(batch), jnp.asarray(mask))
    kept = values[seen]
    assert float(moments.count) == len(kept)
    np.testing.assert_allclose(moments.mean, kept.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(moments.squares / len(kept), kept.var(axis=0), rtol=1e-4)


def test_the_slope_is_the_derivative_of_the_criterion() -> None:
    """Of trajectories of a normal law, known in closed form; the weights are those of a mean over chains."""
    generator = np.random.default_rng(3)
    q, p = generator.normal(size=(2, 12, 4))
    weights = jnp.asarray(generator.random(12))
    share = weights / weights.sum()

    def flight(time: Any) -> Flight:
        return Flight(jnp.asarray(q), q * jnp.cos(time) + p * jnp.sin(time), -q * jnp.sin(time) + p * jnp.cos(time))

    def spread(values: Any) -> Any:
        return jnp.sum(jnp.square(values - share @ values), axis=1)

    def criterion(time: Any) -> Any:
        found = flight(time)
        return 0.25 * share @ jnp.square(spread(found.end) - spread(found.start)) / (share @ spread(found.start)) ** 2

    for time in (0.3, 1.1, 2.0):
        slope, error = slope_of_criterion(flight(time), weights)
        # The unit is that of the beginning, and does not move; 4 / 4 of the square are 2 of the change times its rate / 2.
        assert float(slope) == pytest.approx(float(jax.grad(criterion)(time)), rel=1e-4, abs=1e-5)
        assert float(error) > 0


def test_chains_without_an_end_are_not_looked_at() -> None:
    q, p = np.random.default_rng(4).normal(size=(2, 12, 4))
    good = Flight(jnp.asarray(q[:10]), jnp.asarray(p[:10]), jnp.asarray(q[:10] * p[:10]))
    end = p.copy()
    end[10] = np.nan
    bad = Flight(jnp.asarray(q), jnp.asarray(end), jnp.asarray(q * p))
    slope, _ = slope_of_criterion(bad, jnp.asarray([1.0] * 11 + [0.0]))
    assert float(slope) == pytest.approx(float(slope_of_criterion(good, jnp.ones(10))[0]), rel=1e-5)


# --- what warm-up learns ------------------------------------------------------------------------------------------


@cache
def learned(target_acceptance: float = 0.9) -> tuple[Run, np.ndarray]:
    """64 chains on a normal law with correlations and very different scales, and its covariance."""
    correlation = np.array([[1.0, 0.9, 0.0], [0.9, 1.0, 0.0], [0.0, 0.0, 1.0]])
    scales = np.array([0.01, 1.0, 50.0])
    covariance = scales[:, None] * scales * correlation
    factor = np.linalg.cholesky(np.linalg.inv(covariance))
    law = toys.Gaussian(
        factor.astype(np.float32), np.array([0.03, -2.0, 100.0], np.float32), np.zeros(0, np.float32), np.float32(1)
    )
    number = invariance.seed("chees/learned")
    kernel = Chees(target_acceptance=target_acceptance)
    return run(target=law, kernel=kernel, chains=64, warmup=600, draws=300, seed=number), covariance


def test_the_length_is_the_one_of_the_largest_criterion() -> None:
    """Along eigenvector i of the scaled covariance, of eigenvalue l_i, the flow is a rotation, and |q'|^2 - |q|^2 has the variance
    4 (l_i sin(t / sqrt l_i))^2. Of times h T, h uniform and rounded up to whole steps, the slope vanishes at T = 2.7, where the
    direction of variance 1.9 decides. The average of the last iterates has a spread of a twentieth."""
    found, covariance = learned()
    scales = np.sqrt(np.diag(covariance))
    eigenvalues = np.linalg.eigvalsh(covariance / scales / scales[:, None])
    step = float(found.data.read("sample_stats", "step_size")[0, 0])

    def slope(length: float) -> float:
        part = (np.arange(4000) + 0.5) / 4000
        times = step * np.ceil(part * length / step)
        return sum(np.mean(part * x**1.5 * np.sin(2 * times / np.sqrt(x))) for x in eigenvalues)

    best = optimize.brentq(slope, 1.5, 4.0)
    length = found.data.read("sample_stats", "trajectory_length")
    assert np.all(length == length[0, 0])
    assert length[0, 0] == pytest.approx(best, rel=0.25)


def test_the_step_size_reaches_the_harmonic_mean() -> None:
    found, _ = learned()
    rates = found.data.read("sample_stats", "acceptance_rate")
    assert stats.hmean(np.maximum(rates, 1e-9), axis=0).mean() == pytest.approx(0.9, abs=0.05)


def test_draws_have_the_mean_and_the_covariance() -> None:
    """Each within 4.5 standard errors, of 64 independent chains."""
    found, covariance = learned()
    x = found.data.read("posterior", "x").astype(np.float64)
    centred = x - np.array([0.03, -2.0, 100.0])
    scales = np.sqrt(np.diag(covariance))
    for means, exact, unit in (
        (centred.mean(axis=1), np.zeros(3), scales),
        (np.einsum("cdi,cdj->cij", centred, centred) / x.shape[1], covariance, scales[:, None] * scales),
    ):
        errors = means.std(axis=0, ddof=1) / np.sqrt(len(means))
        assert np.all(np.abs(means.mean(axis=0) - exact) < 4.5 * errors)
        # A test that could not tell a tenth of the unit would say nothing.
        assert np.all(errors < 0.1 * unit / 4.5)


# --- in the driver, in blocks, and from a model -------------------------------------------------------------------


def test_a_stopped_run_resumes_to_the_same_numbers(tmp_path: Path) -> None:
    options: dict[str, Any] = {"target": toys.gaussian(3, 0), "kernel": Chees(), "chains": 8}
    whole = digest(run(**options))
    with pytest.raises(Crash):
        run(**options, out=tmp_path / "r.nc", progress=Stopping(2), chunk=16)
    assert digest(run(**options, out=tmp_path / "r.nc", resume=True)) == whole


MIXED = """
energy mixed(z: cat(3), x: real) {
  z ~ categorical([0.2, 0.5, 0.3])
  x ~ normal(2 * z, 1)
}
"""


def test_blocks_beside_a_method_that_learns_nothing() -> None:
    model = energylang.compile(MIXED)
    found = model.sample(method="blocks(gibbs(), chees())", draws=200, warmup=200, seed=3)
    z, x = found.data.read("posterior", "z"), found.data.read("posterior", "x")
    assert z.shape == (64, 200)
    for values, exact in ((z == 1, 0.5), (z == 2, 0.3), (x, 2 * 1.1)):
        means = values.mean(axis=1)
        assert abs(means.mean() - exact) < 4.5 * means.std(ddof=1) / 8


def test_what_blocks_cannot_share_out_is_refused() -> None:
    law = target(Mixture(), jnp.ones(()))
    Blocks(((None, Gwg()), (None, Chees()))).tuning(law)
    for other in (Mala(), Gwg(flips=4, adaptive=True)):
        bound = "x" if isinstance(other, Mala) else None
        with pytest.raises(DiagnosticError) as caught:
            Blocks(((bound, other), (None, Chees()), (None, Gibbs()))[: 3 if bound else 2]).tuning(law)
        (found,) = caught.value.diagnostics
        assert found.code == "E0810"
        assert "method 1 of `blocks`" in found.message


def test_chains_are_64_unless_said_and_8_at_least() -> None:
    model = energylang.compile("energy e(x: real) {\n  x ~ normal(0, 1)\n}\nsample e with nuts(), chains = 4\n")
    with pytest.raises(DiagnosticError) as caught:
        model.sample(method="chees()")
    assert [d.code for d in caught.value.diagnostics] == ["E0809"]
    assert model.plan("sample", method="chees()", options={"chains": 8}).options["chains"] == 8
    plain = energylang.compile("energy e(x: real) {\n  x ~ normal(0, 1)\n}\n")
    assert plain.plan("sample", method="chees()").options["chains"] == 64
    assert plain.plan("sample", method="nuts()").options["chains"] == 4
