"""Parallel tempering: every level keeps its law, the cold one finds both modes, the ladder spreads, runs resume.

Discrete: LANES lanes on three levels of six strongly coupled spins, whose laws are summed from the energies. Pearson's
chi-square at level 1e-6 of each level (64 cells, w = 0.097 detected with power 0.999) and of the magnetisations of
neighbouring levels together, which catches exchanges that depend on what they should not.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import energylang
from energylang.methods.blocks import Blocks
from energylang.methods.enumerate import log_probabilities
from energylang.methods.gibbs import Gibbs
from energylang.methods.gwg import Gwg
from energylang.methods.mala import Mala
from energylang.methods.tempering import Tempering, TemperingTuning, spread
from energylang.model import Phase, Point, fold
from energylang.run.phases import schedule
from tests.run.drive import digest, run
from tests.run.test_resume import stopped
from tests.support import invariance
from tests.support.targets import HandTarget, Mixture, discrete, numbers, target

pytestmark = pytest.mark.long

LANES = 16384
BETAS = (1.0, 0.4, 0.15)
EFFECT = 0.097


class Careless(Tempering):
    """Exchanges every pair whose turn it is, whatever the energies."""

    def _source(self, log_ratio: Any, parity: Any, key: Any) -> Any:
        return super()._source(jnp.full_like(log_ratio, jnp.inf), parity, key)


class Inverted(Tempering):
    """The ratio of an exchange with its sign wrong."""

    def _source(self, log_ratio: Any, parity: Any, key: Any) -> Any:
        return super()._source(-log_ratio, parity, key)


class Alone(Tempering):
    """Never exchanges: each level by itself."""

    def _source(self, log_ratio: Any, parity: Any, key: Any) -> Any:
        return super()._source(jnp.full_like(log_ratio, -jnp.inf), parity, key)


def two_modes() -> HandTarget:
    """Six spins in a row that agree: nearly all mass lies on two opposite configurations."""
    law = discrete("spin")
    row = 2.5 * (np.eye(6, k=1) + np.eye(6, k=-1))
    data = law.data | {"coupling": jnp.asarray(row, jnp.float32), "bias": (0.1 * law.data["bias"][0],)}
    return replace(law, data=data)


@cache
def laws() -> np.ndarray:
    """float64[levels, 64]: the law of each level."""
    law = two_modes()
    found = [np.exp(np.asarray(log_probabilities(law.at(jnp.asarray(beta)))[1], np.float64)) for beta in BETAS]
    return np.stack([p / p.sum() for p in found])


def codes_of(rows: np.ndarray) -> np.ndarray:
    return np.asarray(log_probabilities(two_modes())[0][0])[rows]


@cache
def ends(kind: type[Tempering], begin: str, inner: Any = Gibbs()) -> np.ndarray:  # noqa: B008 - it is frozen
    """int32[LANES, levels, 6]: the codes of every level after some steps at the ladder BETAS."""
    kernel, law = kind(inner, levels=3), two_modes()
    number = invariance.seed(f"tempering/{kind.__name__}/{begin}/{inner}")
    generator = np.random.default_rng(number)
    if begin == "exact":
        rows = np.stack([generator.choice(64, size=LANES, p=p) for p in laws()], axis=1)
    else:
        rows = np.zeros((LANES, 3), int)

    @jax.jit
    def evolve(law: HandTarget, starts: Any, key: Any, steps: Any) -> Any:
        def lane(number: Any, start: Any) -> Any:
            own = fold(key, number)
            tune, _ = kernel.tuning(law)
            tune = tune._replace(betas=jnp.asarray(BETAS))
            state = kernel.init(law, Point(jnp.zeros(0), (start[0],)), own)
            points = Point(jnp.zeros((3, 0)), (start,))
            state = state._replace(replicas=state.replicas._replace(x=points))

            def move(step: Any, state: Any) -> Any:
                return kernel.step(law, tune, state, fold(own, 1, step))[0]

            return jax.lax.fori_loop(0, steps, move, state).replicas.x.code[0]

        return jax.vmap(lane)(jnp.arange(LANES), starts)

    steps = 5 if begin == "exact" else 60
    return np.asarray(evolve(law, jnp.asarray(codes_of(rows), jnp.int32), jax.random.key(number), steps))


def misfit(codes: np.ndarray, level: int) -> float:
    found = numbers(two_modes().facts, (jnp.asarray(codes[:, level]),))
    statistic, threshold = invariance.chi_square(found, laws()[level])
    return statistic / threshold


def joint_misfit(codes: np.ndarray, level: int) -> float:
    """Of the numbers of ones at a level and the next, which are independent."""
    ones = codes_of(np.arange(64)).sum(axis=1)
    each = [np.bincount(ones, weights=laws()[place], minlength=7) for place in (level, level + 1)]
    found = codes[:, level].sum(axis=1) * 7 + codes[:, level + 1].sum(axis=1)
    statistic, threshold = invariance.chi_square(found, np.outer(*each).ravel())
    return statistic / threshold


def worst(codes: np.ndarray) -> float:
    return max(*(misfit(codes, level) for level in range(3)), joint_misfit(codes, 0), joint_misfit(codes, 1))


def test_the_stated_effect() -> None:
    assert invariance.chi_square_effect(LANES, 64) <= EFFECT


@pytest.mark.parametrize("inner", [Gibbs(), Gwg()], ids=["gibbs", "gwg"])
def test_every_level_keeps_its_law(inner: Any) -> None:
    assert worst(ends(Tempering, "exact", inner)) < 1


@pytest.mark.parametrize("twin", [Careless, Inverted])
def test_wrong_exchanges_are_rejected(twin: type[Tempering]) -> None:
    assert worst(ends(twin, "exact")) > 1


def test_the_cold_level_finds_both_modes() -> None:
    assert misfit(ends(Tempering, "mass"), 0) < 1


def test_levels_by_themselves_are_rejected() -> None:
    """Without exchanges the cold level is where it began: what mixes above is the tempering."""
    assert misfit(ends(Alone, "exact"), 0) < 1
    assert misfit(ends(Alone, "mass"), 0) > 1


# --- the ladder and the inner tunings -----------------------------------------------------------------------------


def test_the_ladder_of_a_normal_law_becomes_geometric() -> None:
    """Of d normal variables the rejection of two levels depends on the ratio of their temperatures alone."""
    levels, dimension = 6, 10
    generator = np.random.default_rng(invariance.seed("ladder"))
    energies = 0.5 * generator.chisquare(dimension, 200_000)
    others = 0.5 * generator.chisquare(dimension, 200_000)
    betas = jnp.linspace(1.0, 0.05, levels)
    for _ in range(12):
        b = np.asarray(betas, np.float64)
        ratios = [(b[k] - b[k + 1]) * (energies / b[k] - others / b[k + 1]) for k in range(levels - 1)]
        betas = spread(betas, jnp.asarray([1 - np.exp(np.minimum(r, 0)).mean() for r in ratios], jnp.float32))
    assert np.abs(np.log(np.asarray(betas)) - np.log(np.geomspace(1, 0.05, levels))).max() < 0.06
    assert float(betas[0]) == 1.0
    assert float(betas[-1]) == np.float32(0.05)


@cache
def warmed() -> tuple[TemperingTuning, Any]:
    """The tuning after a warm-up of 1,000 steps on a standard normal of five dims, and the infos of its steps."""
    law = energylang.compile("energy e(x: real[5]) { x ~ normal(0, 1) }")["e"].target()
    kernel = Tempering(Mala(), levels=4, lowest=0.04)

    @jax.jit
    def warm(law: Any, key: Any) -> Any:
        def move(carry: Any, given: Any) -> Any:
            state, tune, memory = carry
            number, phase = given
            state, info = kernel.step(law, tune, state, fold(key, number))
            return (state, *kernel.adapt(phase, tune, memory, state, info)), info

        start = (kernel.init(law, Point(jnp.zeros(5), ()), key), *kernel.tuning(law))
        (_, tune, _), infos = jax.lax.scan(move, start, (jnp.arange(1000), Phase(*schedule(0, 1000, 1000))))
        return tune, infos

    return warm(law, jax.random.key(invariance.seed("warmed")))


def test_each_level_has_a_tuning_of_its_own() -> None:
    """The scale of a level is beta^(-1/2); the last slow window has 500 draws."""
    tune, _ = warmed()
    scales = np.asarray(tune.inner.variance).mean(axis=1) * np.asarray(tune.betas)
    assert np.all((scales > 0.6) & (scales < 1.6))
    assert tune.inner.step_size.shape == (4,)


def test_the_ladder_moves_in_the_first_half_of_warm_up_only() -> None:
    kernel = Tempering(Gibbs(), levels=3)
    law = two_modes()
    state = kernel.init(law, Point(jnp.zeros(0), (jnp.zeros(6, jnp.int32),)), jax.random.key(0))
    state = state._replace(rejection=jnp.asarray([0.9, 0.1]))
    tune, memory = kernel.tuning(law)
    memory = memory._replace(count=memory.length - 1, rejected=state.rejection * memory.length.astype(jnp.float32))
    off = jnp.asarray(False)
    early, after = kernel.adapt(Phase(~off, off, off, off, jnp.asarray(0.4)), tune, memory, state, {})
    late, _ = kernel.adapt(Phase(~off, off, off, off, jnp.asarray(0.6)), tune, memory, state, {})
    assert float(early.betas[1]) > float(tune.betas[1]) + 0.1
    assert np.array_equal(late.betas, tune.betas)
    assert int(after.length) == 2 * int(memory.length)
    assert int(after.count) == 0


def test_exchanges_and_restarts_are_counted() -> None:
    _, infos = warmed()
    late = {name: np.asarray(values)[500:] for name, values in infos.items()}
    generator = np.random.default_rng(invariance.seed("exchanges"))
    ratio = 0.04 ** (1 / 3)
    colder, hotter = 0.5 * generator.chisquare(5, (2, 200_000))
    wanted = np.exp(np.minimum((1 - ratio) * (colder - hotter / ratio), 0)).mean()
    # The rate of a step is a mean over three pairs with deviation below 0.2; neighbouring steps depend on each other.
    assert abs(late["swap_rate"].mean() - wanted) < 5 * 0.2 * np.sqrt(10 / 500)
    # Syed et al. 2022, theorem 1: restarts a step where what a level draws is independent from step to step.
    ideal = 1 / (2 + 2 * 3 * (1 - wanted) / wanted)
    assert 0.4 * ideal < late["restart"].mean() < 1.3 * ideal


# --- what it is for, and runs -------------------------------------------------------------------------------------

FAR = """
energy far(x: real) { x ~ mixture(normal(-8, 0.5), normal(8, 1), weights = [0.3, 0.7]) }
"""


def test_two_modes_far_apart_where_nuts_alone_is_rejected() -> None:
    """P(x > 0) = 0.7. Alone, no chain ever changes sides: a path between the modes climbs some 30 units of energy."""
    energy = energylang.compile(FAR)["far"]
    options = {"draws": 1000, "warmup": 600, "chains": 4}
    found = energy.sample(method="tempering(nuts(max_tree_depth = 5), levels = 6, lowest = 0.03)", **options)
    right = np.asarray(found["x"]) > 0
    crossings = np.abs(np.diff(right.astype(int), axis=1)).sum(axis=1)
    assert crossings.min() > 20
    # A visit to a side lasts some draws: batch means say how exact the fraction is.
    batches = right.reshape(4 * 10, 100).mean(axis=1)
    error = batches.std(ddof=1) / np.sqrt(len(batches))
    assert abs(right.mean() - 0.7) < 5 * error < 0.25
    alone = np.asarray(energy.sample(method="nuts", **options)["x"]) > 0
    assert set(alone.mean(axis=1)) <= {0.0, 1.0}


def test_a_mixed_model_by_blocks_inside() -> None:
    law = target(Mixture(), jnp.ones(()))
    kernel = Tempering(Blocks(((None, Gibbs()), (None, Mala()))), levels=3, steps=2)
    x = jax.tree.map(lambda leaf: leaf[0], Mixture().draws(0, 1))

    @jax.jit
    def chain(law: HandTarget, number: Any) -> Any:
        key = fold(jax.random.key(invariance.seed("tempered blocks")), number)
        tune, _ = kernel.tuning(law)

        def move(step: Any, state: Any) -> Any:
            return kernel.step(law, tune, state, fold(key, step))[0]

        return jax.lax.fori_loop(0, 60, move, kernel.init(law, x, key)).x

    found = jax.vmap(chain, in_axes=(None, 0))(law, jnp.arange(4096))
    statistic, threshold = invariance.chi_square(numbers(Mixture().facts, found.code), Mixture().probabilities())
    assert statistic < threshold
    furthest = max(invariance.distance(values, cdf) for values, cdf in Mixture().projections(found))
    assert furthest < invariance.dkwm_threshold(4096, 2)


def test_a_stopped_run_resumes_to_the_same_numbers(tmp_path: Path) -> None:
    law = energylang.compile("energy e(s: spin[4]) = -0.7 * sum(s[1:] * s[:-1])")["e"].target()
    given: dict[str, Any] = {"target": law, "kernel": Tempering(Gibbs(), levels=3, steps=2)}
    out = tmp_path / "r.nc"
    stopped(out, **given)
    assert digest(run(out=out, resume=True, **given)) == digest(run(**given))
