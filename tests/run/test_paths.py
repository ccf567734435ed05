"""Weighted particles: log Z in closed form with an error that covers, weights, resampling, and the same bits."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from energylang.diagnostics import DiagnosticError
from energylang.model import Point, fold
from energylang.run.paths import run_path
from energylang.run.result import Run
from energylang.run.weights import estimate, pareto_k, resample
from tests.run import toys
from tests.run.drive import PROVENANCE


@dataclass(frozen=True)
class Base:
    """Importance sampling from normal(0, scale) and uniform codes, in `spans` pieces of the last weight."""

    scale: float = 2.0
    spans: int = 0
    broken: float = 0.0
    prepared: bool = False

    def prepare(self, target: Any, key: Any) -> Any:
        return jnp.log(jnp.float32(self.scale)) if self.prepared else ()

    def start(self, target: Any, theta: Any, key: Any) -> Any:
        facts = target.facts
        noise = jax.random.normal(fold(key, 0), (facts.reals,))
        code = tuple(jax.random.randint(fold(key, 1), (count,), 0, 2, jnp.int32) for count in facts.sites)
        scale = theta if self.prepared else jnp.log(self.scale)
        log_q = -0.5 * jnp.sum(noise**2) - facts.reals * (scale + 0.5 * jnp.log(2 * jnp.pi))
        return Point(self.scale * noise, code), log_q - sum(facts.sites) * jnp.log(2.0)

    def forward(self, target: Any, theta: Any, span: Any, z: Point, key: Any) -> Any:
        return z, target.log_density(z) / (2 * self.spans), {"acceptance_rate": jax.random.uniform(key)}

    def finish(self, target: Any, theta: Any, z: Point) -> Any:
        whole = target.log_density(z)
        return z, whole / (2 if self.spans else 1) + self.broken


def log_z(target: toys.Gaussian) -> float:
    reals = target.mean.shape[0]
    normal = 0.5 * reals * np.log(2 * np.pi) - np.log(abs(np.linalg.det(target.factor.astype(np.float64))))
    return float(normal + np.sum(np.log(2 * np.cosh(target.field.astype(np.float64)))))


def draw(**changes: Any) -> Run:
    given: dict[str, Any] = {
        "target": toys.gaussian(2, 2),
        "path": Base(),
        "lanes": {"cpu": 64},
        "provenance": PROVENANCE,
        "draws": 1000,
    }
    given |= changes
    return run_path(given.pop("target"), given.pop("path"), **given)


def test_the_error_of_log_z_covers_it() -> None:
    """40 seeds of a normal and two spins: |z| of the mean under 4.5, and 95 % intervals cover 33 to 40 times.

    Of 40 intervals that cover with probability 0.95, fewer than 33 do once in 10^4; an error half as large as it
    should be would cover 27.
    """
    target = toys.gaussian(2, 2)
    exact = log_z(target)
    # One run of 40 000 particles is 40 runs of 1000: particles have keys of their own.
    found = draw(draws=40_000, lanes={"cpu": 512})
    parts = [estimate(part) for part in found.stats("log_weight")[0].reshape(40, 1000)]
    scores = np.array([(part.log_z - exact) / part.log_z_error for part in parts])
    assert np.sum(np.abs(scores) < 1.96) >= 33
    assert abs(found.log_z - exact) < 4.5 * found.log_z_error  # type: ignore[operator]
    assert found.log_z_error < 0.02  # type: ignore[operator]
    assert found.elbo < found.log_z  # type: ignore[operator]
    assert 0 < found.weight_ess < 40_000  # type: ignore[operator]


def test_spans_are_summed_and_their_statistics_averaged() -> None:
    direct, spanned = draw(), draw(path=Base(spans=7))
    np.testing.assert_allclose(direct.stats("log_weight"), spanned.stats("log_weight"), rtol=1e-4, atol=1e-4)
    np.testing.assert_array_equal(
        direct.data.read("weighted_posterior", "x"), spanned.data.read("weighted_posterior", "x")
    )
    assert 0 < spanned.stats("acceptance_rate").mean() < 1


def test_what_particles_share_is_prepared_once() -> None:
    direct, prepared = draw(), draw(path=Base(prepared=True))
    assert (direct.programs, prepared.programs) == (1, 2)
    np.testing.assert_allclose(direct.log_z, prepared.log_z, rtol=1e-5)


def test_threads_chunks_and_the_number_of_particles_change_no_bit() -> None:
    whole = draw()
    for options in ({"threads": 1}, {"threads": 2, "chunk": 3}):
        np.testing.assert_array_equal(draw(**options).stats("log_weight"), whole.stats("log_weight"))
        np.testing.assert_array_equal(draw(**options)["x"], whole["x"])
    few = draw(draws=100)
    np.testing.assert_array_equal(few.stats("log_weight")[0], whole.stats("log_weight")[0, :100])


def test_the_posterior_is_a_resample() -> None:
    found = draw(chains=4, draws=1000)
    assert found["x"].shape == (4, 1000, 2)
    assert found["s"].dtype == np.int8
    assert found.weighted
    assert list(found) == ["x", "s", "noise"]
    drawn = {tuple(row) for row in found.data.read("weighted_posterior", "x")[0].tolist()}
    assert {tuple(row) for row in found["x"].reshape(-1, 2).tolist()} <= drawn
    table = found.summary()
    for place, mean in enumerate(toys.gaussian(2, 2).mean):
        row = table.row(f"x[{place}]")
        assert abs(row["Mean"] - mean) < 4.5 * row["MCSE"]
        assert abs(found["x"][..., place].mean() - mean) < 6 * row["MCSE"]
    assert "R_hat" not in table.columns


def test_a_file_of_weighted_draws(tmp_path: Path) -> None:
    out = tmp_path / "w.nc"
    kept, found = draw(chains=2, draws=100), draw(chains=2, draws=100, out=out)
    assert [path.name for path in tmp_path.iterdir()] == ["w.nc"]
    np.testing.assert_array_equal(kept["x"], found["x"])
    assert kept.log_z == found.log_z == Run.open(out).log_z
    assert str(kept.summary()) == str(Run.open(out).summary())
    assert kept.warnings == Run.open(out).warnings
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import arviz

        data = arviz.from_netcdf(out)
    assert data.posterior.sizes["draw"] == 100
    assert data.sample_stats.log_weight.shape == (1, 200)
    assert data.sample_stats.log_weight.dtype == np.float64
    assert draw(chains=2, draws=100, out=out, resume=True).log_z == found.log_z


def failure(code: str, **options: Any) -> str:
    with pytest.raises(DiagnosticError) as caught:
        draw(**options)
    assert caught.value.diagnostics[0].code == code
    return str(caught.value)


def test_weights_that_are_no_numbers(tmp_path: Path) -> None:
    assert "log weight of particle 0 is nan" in failure("E0802", path=Base(broken=np.nan))
    assert "log weight of particle 0 is inf" in failure("E0802", path=Base(broken=np.inf))
    assert "all 1000 weights are zero" in failure("E0807", path=Base(broken=-np.inf))
    failure("E0820", out=tmp_path / "none" / "w.nc")
    failure("E0805", draws=10**12)


def test_a_base_that_misses_the_target_is_said_so() -> None:
    found = draw(path=Base(scale=0.2))
    assert found.pareto_k is not None
    assert any("Pareto k" in text for text in found.warnings)
    assert any("equal draws" in text for text in found.warnings)


# --- weights alone --------------------------------------------------------------------------------------------------


def test_equal_weights_have_no_error() -> None:
    found = estimate(np.full(100, -7.25))
    assert (found.log_z, found.log_z_error, found.elbo) == (-7.25, 0.0, -7.25)
    assert found.weight_ess == pytest.approx(100)
    assert np.isnan(found.pareto_k)
    assert sorted(resample(np.full(100, -7.25), 100, 0)) == list(range(100))


def test_estimates_do_not_overflow() -> None:
    log_weight = np.array([1e4, 1e4 + 1, -np.inf])
    found = estimate(log_weight)
    assert found.log_z == pytest.approx(1e4 + np.log((1 + np.e) / 3))
    assert found.elbo == -np.inf


@pytest.mark.parametrize("shape", [0.2, 0.5, 0.9])
def test_the_shape_of_the_tail_is_that_of_arviz(shape: float) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pytest.importorskip("arviz.stats", reason="compared with the functions of ArviZ 0.23, which 1.x moved")
        from arviz.stats import psislw
    log_weight = -shape * np.log(np.random.default_rng(1).random(4000))
    assert pareto_k(log_weight) == pytest.approx(float(psislw(log_weight.copy())[1]), rel=1e-6)
    assert pareto_k(log_weight) == pytest.approx(shape, abs=0.2)


def test_resampling_is_by_weight_and_in_no_order() -> None:
    log_weight = np.log(np.array([0.1, 0.2, 0.0, 0.7]) + 1e-300)
    chosen = resample(log_weight, 1000, seed=3)
    counts = np.bincount(chosen, minlength=4)
    assert np.all(np.abs(counts - [100, 200, 0, 700]) <= 1)
    assert not np.all(np.diff(chosen) >= 0)
    np.testing.assert_array_equal(chosen, resample(log_weight, 1000, seed=3))
