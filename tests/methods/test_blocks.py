"""blocks: several kernels on a mixed target keep its law, and what does not fit is said.

LANES lanes. Pearson's chi-square over the 6 discrete configurations, level 1e-6 (w = 0.069 detected), and the
Kolmogorov distance of the two continuous variables given the discrete ones (0.037 detected), each with power 0.999.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from energylang.diagnostics import DiagnosticError
from energylang.methods._trajectories import TrajectoryTuning
from energylang.methods.blocks import Blocks, BlocksState, merge, restrict
from energylang.methods.gibbs import Gibbs
from energylang.methods.gwg import Gwg, GwgTuning
from energylang.methods.mala import Mala, MalaTuning
from energylang.methods.nuts import Nuts
from energylang.model import Phase, Point, Selection
from tests.support import invariance
from tests.support.targets import HandTarget, Mixture, numbers, target

LANES = 16384
W_EFFECT = 0.069
DISTANCE_EFFECT = 0.037


class Stale(Mala):
    """MALA that trusts its caches after the discrete variables moved."""

    def refresh(self, target: Any, state: Any) -> Any:
        return state


class Frozen(Gibbs):
    """A kernel that claims its variables and leaves them alone."""

    def step(self, target: Any, tune: Any, state: Any, key: Any) -> tuple[Any, Any]:
        return state, {"acceptance_rate": jnp.ones(())}


NUTS = TrajectoryTuning(jnp.asarray(0.7), jnp.ones(2))
MALA = MalaTuning(jnp.asarray(0.8), jnp.ones(2))
ONE = MalaTuning(jnp.asarray(0.8), jnp.ones(1))
FLIP = GwgTuning(jnp.asarray(1.0))
CASES: dict[str, tuple[Blocks, tuple[Any, ...]]] = {
    "gibbs-nuts": (Blocks(((None, Gibbs()), (None, Nuts(max_tree_depth=4)))), ((), NUTS)),
    "gwg-mala": (Blocks(((None, Gwg()), (None, Mala()))), (FLIP, MALA)),
    "bound": (Blocks((("x", Mala()), ("z", Gwg()), (None, Gibbs()), (None, Mala()))), (ONE, FLIP, (), ONE)),
    "stale": (Blocks(((None, Gibbs()), (None, Stale()))), ((), MALA)),
    "frozen": (Blocks(((None, Frozen()), (None, Mala()))), ((), MALA)),
}


@cache
def misfits(case: str, begin: str, factor: float = 1.0) -> tuple[float, float]:
    """Pearson's statistic over its threshold, and the largest Kolmogorov distance over its threshold."""
    kernel, tune = CASES[case]
    number = invariance.seed(f"blocks/{case}/{begin}/{factor}")
    origin = Point(jnp.asarray([4.0, 1.0]), (jnp.asarray([1], jnp.int32), jnp.asarray([0], jnp.int32)))
    x = Mixture().draws(number, LANES) if begin == "exact" else invariance.repeat(origin, LANES)
    law = target(Mixture(), jnp.asarray(factor))
    ends, _ = invariance.evolve(kernel, law, tune, x, jax.random.key(number), 8 if begin == "exact" else 150)
    statistic, critical = invariance.chi_square(numbers(Mixture().facts, ends.code), Mixture().probabilities())
    worst = max(invariance.distance(values, cdf) for values, cdf in Mixture().projections(ends))
    return statistic / critical, worst / invariance.dkwm_threshold(LANES, 2)


def test_the_stated_effects() -> None:
    assert invariance.chi_square_effect(LANES, 6) <= W_EFFECT
    assert invariance.dkwm_effect(LANES, 2) <= DISTANCE_EFFECT


@pytest.mark.parametrize("begin", ["exact", "mass"])
@pytest.mark.parametrize("case", invariance.mostly_long(("gibbs-nuts", "gwg-mala", "bound"), "gibbs-nuts"))
def test_the_joint_law_is_kept_and_found(case: str, begin: str) -> None:
    assert max(misfits(case, begin)) < 1


def test_stale_caches_are_rejected() -> None:
    assert max(misfits("stale", "exact")) > 1


def test_a_dropped_jacobian_is_rejected() -> None:
    assert max(misfits("gwg-mala", "exact", 0.0)) > 1


def test_a_block_that_never_moves_is_rejected() -> None:
    assert max(misfits("frozen", "mass")) > 1


def test_statistics_of_each_block_and_together() -> None:
    kernel, tune = CASES["bound"]
    law = target(Mixture(), jnp.ones(()))
    x = jax.tree.map(lambda leaf: leaf[0], Mixture().draws(0, 1))
    state = jax.jit(kernel.init)(law, x, jax.random.key(0))
    _, info = jax.jit(kernel.step)(law, tune, state, jax.random.key(1))
    assert {"acceptance_rate", "acceptance_rate_x", "acceptance_rate_z", "acceptance_rate_2", "diverging"} <= set(info)
    each = [float(info[f"acceptance_rate_{block}"]) for block in ("x", "z", "2", "3")]
    assert float(info["acceptance_rate"]) == pytest.approx(np.mean(each), abs=1e-6)


def test_each_block_adapts_with_its_own_memory() -> None:
    kernel = Blocks(((None, Gibbs()), ("x", Mala()), ("y", Mala(step_size=0.3))))
    law = target(Mixture(), jnp.ones(()))
    tune, memory = kernel.tuning(law)
    assert tune[1].variance.shape == (1,)
    on, off = jnp.asarray(True), jnp.asarray(False)
    info = {"acceptance_rate_0": jnp.ones(()), "acceptance_rate_x": jnp.ones(()), "acceptance_rate_y": jnp.zeros(())}
    x = jax.tree.map(lambda leaf: leaf[0], Mixture().draws(0, 1))
    state = kernel.init(law, x, jax.random.key(0))
    after, _ = kernel.adapt(Phase(on, off, off, off, jnp.asarray(0.1)), tune, memory, state, info)
    assert after[1].step_size > tune[1].step_size * 5
    assert after[2].step_size < tune[2].step_size * 5
    assert after[1].step_size > after[2].step_size
    assert isinstance(state, BlocksState)


def test_restrict_and_merge_are_inverse() -> None:
    x = Point(jnp.arange(4.0), (jnp.arange(3), jnp.arange(2)))
    part = Selection((3, 1), ((), (1,)))
    small = restrict(x, part)
    assert len(small.code) == 1
    assert small.real.tolist() == [3.0, 1.0]
    changed = merge(x, part, Point(small.real + 10, (small.code[0] + 10,)))
    assert changed.real.tolist() == [0.0, 11.0, 2.0, 13.0]
    assert changed.code[1].tolist() == [0, 11]


@pytest.mark.parametrize(
    ("inner", "code"),
    [
        ((("w", Gibbs()), (None, Nuts())), "E0640"),
        (((None, Gibbs()), ("x", Nuts())), "E0641"),
        (((None, Gibbs()), (None, Nuts()), (None, Mala())), "E0642"),
        ((("z", Nuts()), (None, Gibbs())), "E0643"),
        ((("x", Nuts()), ("x", Mala()), (None, Gibbs())), "E0644"),
    ],
)
def test_what_does_not_fit_is_said(inner: Any, code: str) -> None:
    law: HandTarget = target(Mixture(), jnp.ones(()))
    with pytest.raises(DiagnosticError, match=code):
        Blocks(inner).assign(law)
