"""Samplers of discrete variables on every discrete space: exact draws stay exact, a point mass spreads, wrong twins are rejected.

LANES lanes, Pearson's chi-square over all 54 to 81 configurations, level 1e-6. A law with Cohen's w above 0.097
(sqrt sum (p - q)^2 / q) fails with probability 0.999 (`test_the_stated_effect`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from itertools import permutations
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import energylang
from energylang.diagnostics import DiagnosticError
from energylang.lower.inversion import invert_logits
from energylang.methods._categorical import distinct, draw, summed
from energylang.methods._factorised import FactorisedTuning
from energylang.methods._uncached import UncachedState
from energylang.methods.dlmc import Dlmc, DlmcForward
from energylang.methods.dmala import Dmala
from energylang.methods.enumerate import log_probabilities
from energylang.methods.gibbs import Gibbs
from energylang.methods.gwg import Gwg, GwgTuning
from energylang.methods.hamming_ball import HammingBall
from energylang.methods.pas import Pas, PasTuning
from energylang.methods.random_walk import RandomWalk, WalkTuning
from energylang.model import Facts, Phase, Point
from energylang.run.mixing import effective_size, split_chains
from energylang.threefry import uniforms
from tests.support import invariance
from tests.support.targets import DISCRETE, HandTarget, discrete, numbers

LANES = 16384
EFFECT = 0.097


class Hopeful(Gwg):
    """GWG without its Metropolis correction: every proposal is taken."""

    def step(self, target: Any, tune: Any, state: Any, key: Any) -> tuple[Any, Any]:
        always = replace_total(state, jnp.inf)
        moved, info = super().step(target, tune, always, key)
        return moved, info


class OneWay(Gwg):
    """GWG whose ratio forgets the reverse proposal: min(1, p(y) / p(x)) alone."""

    def _proposal(self, target: Any, x: Point) -> Any:
        proposal = super()._proposal(target, x)
        return proposal._replace(site=jnp.zeros_like(proposal.site), log_total=jnp.zeros(()))


def replace_total(state: Any, log_total: float) -> Any:
    return state._replace(proposal=state.proposal._replace(log_total=jnp.asarray(log_total)))


@dataclass(frozen=True)
class Still:
    """The identity, invariant and useless."""

    def init(self, target: Any, x: Point, key: Any) -> UncachedState:
        return UncachedState(x)

    def step(self, target: Any, tune: Any, state: Any, key: Any) -> tuple[Any, Any]:
        return state, {"acceptance_rate": jnp.ones(())}


class Alone(Gibbs):
    """Blocks whose sites are drawn each from its own conditional, given the old values of the others."""

    def _by_block(self, target: Any, x: Point, parts: Any) -> Any:
        gains, code = target.gains(x), list(x.code)
        for group, (gain, part) in enumerate(zip(gains, parts, strict=False)):
            block = min(self.block, gain.shape[0])
            drawn = invert_logits(gain[:block], part[:block])
            code[group] = code[group].at[:block].set(drawn.astype(code[group].dtype))
        return tuple(code)


class AroundX(HammingBall):
    """A Hamming ball around x itself, without the auxiliary point: likely values near the edge are seen too often."""

    def draw(self, target: Any, x: Point, group: int, sites: Any, uniform: Any) -> Point:
        return super().draw(target, x, group, sites, uniform * jnp.asarray([0.0, 1.0]))


class OneWayPas(Pas):
    """PAS that accepts by the target alone. (The way back in the order of the way there would be exact, too.)"""

    def path(self, state: Any, end: Point, draws: Any, reverse: bool) -> Any:
        return jnp.zeros(())


class Valueless(Pas):
    """PAS without the probabilities of values, as the reference code of DISCS has it: those of sites alone."""

    def path(self, state: Any, end: Point, draws: Any, reverse: bool) -> Any:
        return super().path(state._replace(values=((),) * len(state.values)), end, draws, reverse)


class OneWayDmala(Dmala):
    """DMALA that accepts by the target alone, as if the proposal were symmetric; and so the two below."""

    def log_ratio(self, *_: Any) -> Any:
        return jnp.zeros(())


class OneWayDlmc(Dlmc):
    log_ratio = OneWayDmala.log_ratio


class OneWayDlmcForward(DlmcForward):
    log_ratio = OneWayDmala.log_ratio


class Wanderer(RandomWalk):
    """A random walk that takes every proposal."""

    def step(self, target: Any, tune: Any, state: Any, key: Any) -> tuple[Any, Any]:
        return super().step(target, tune, state._replace(log_density=jnp.asarray(-1e9)), key)


def flips(number: float) -> GwgTuning:
    return GwgTuning(jnp.asarray(number))


def time(tau: float) -> FactorisedTuning:
    return FactorisedTuning(jnp.asarray(tau))


ALONG = PasTuning(jnp.asarray(2.4))
METHODS: dict[str, tuple[Any, Any, dict[str, Any]]] = {
    "gibbs-colours": (Gibbs(), (), {}),
    "gibbs-sites": (Gibbs(), (), {"dense": True}),
    "gibbs-random": (Gibbs(scan="random"), (), {"quality": "estimate"}),
    "gibbs-blocks": (Gibbs(block=3), (), {}),
    "hamming-ball": (HammingBall(block=3), (), {}),
    "gwg-exact": (Gwg(), flips(1.0), {}),
    "gwg-estimate": (Gwg(), flips(1.0), {"quality": "estimate"}),
    "gwg-three-flips": (Gwg(flips=4, adaptive=True), flips(3.4), {}),
    "gwg-estimate-three-flips": (Gwg(flips=3), flips(3.0), {"quality": "estimate"}),
    "random-walk": (RandomWalk(), WalkTuning(jnp.asarray(1.5)), {}),
    "pas": (Pas(flips=4), ALONG, {"known": True}),
    "dmala": (Dmala(), time(0.4), {}),
    "dlmc": (Dlmc(), time(0.4), {"known": True}),
    "dlmc-forward": (DlmcForward(), time(0.4), {"quality": "estimate"}),
}
"""Kernel, tuning, and what is said of the target."""
VARIANTS: dict[str, tuple[Any, Any, dict[str, Any]]] = {
    f"gwg-{weight}-{quality}": (Gwg(weight=weight), flips(1.0), {"quality": quality})
    for weight in ("ratio", "max", "min")
    for quality in ("exact", "estimate")
} | {
    "hamming-ball-two": (HammingBall(block=3, radius=2), (), {}),
    "pas-max": (Pas(weight="max"), ALONG, {"quality": "estimate"}),
    "dmala-min": (Dmala(weight="min"), time(0.4), {"quality": "estimate"}),
    "dmala-known": (Dmala(), time(0.4), {"known": True}),
    "dlmc-ratio": (Dlmc(weight="ratio"), time(0.4), {}),
    "dlmc-forward-max": (DlmcForward(weight="max"), time(0.4), {}),
}
"""On the mixed space."""
TWINS: dict[str, tuple[Any, Any, dict[str, Any]]] = {
    "hopeful": (Hopeful(), flips(1.0), {}),
    "one-way": (OneWay(), flips(1.0), {"quality": "estimate"}),
    "alone": (Alone(block=3), (), {"dense": True}),
    "around-x": (AroundX(block=3), (), {}),
    "wanderer": (Wanderer(), WalkTuning(jnp.asarray(1.5)), {}),
    "one-way-pas": (OneWayPas(flips=4), ALONG, {}),
    "one-way-dmala": (OneWayDmala(), time(0.4), {}),
    "one-way-dlmc": (OneWayDlmc(), time(0.4), {}),
    "one-way-dlmc-forward": (OneWayDlmcForward(), time(0.4), {}),
}
MORE_TWINS: dict[str, tuple[Any, Any, dict[str, Any]]] = {
    "valueless": (Valueless(flips=4), ALONG, {}),
    "still": (Still(), (), {}),
}
SPREAD = {"gibbs": 20, "hamming": 20, "pas": 20, "dmala": 40, "dlmc": 40}
"""Steps from a point mass; 80 where none is given."""


@cache
def oracle(space: str, dense: bool = False) -> tuple[tuple[np.ndarray, ...], np.ndarray]:
    """Every configuration, int32[N, D_k] each, and its probability, float64[N], summed from the energies."""
    codes, log_probability = log_probabilities(discrete(space, dense=dense))
    weights = np.exp(np.asarray(log_probability, np.float64))
    return tuple(np.asarray(code) for code in codes), weights / weights.sum()


def configurations(space: str, dense: bool, rows: np.ndarray) -> Point:
    """The Points of configuration numbers, leading dim N."""
    codes, _ = oracle(space, dense)
    return Point(jnp.zeros((len(rows), 0)), tuple(jnp.asarray(code[rows]) for code in codes))


def misfit(name: str, space: str, begin: str, law: HandTarget | None = None, lanes: int = LANES) -> float:
    """Pearson's statistic over its threshold, after a run that begins at exact draws or at a point mass."""
    kernel, tune, said = (METHODS | VARIANTS | TWINS | MORE_TWINS)[name]
    number = invariance.seed(f"{name}/{space}/{begin}")
    dense = said.get("dense", False)
    _, probabilities = oracle(space, dense)
    law = law or discrete(space, **said)
    if begin == "exact":
        rows = np.random.default_rng(number).choice(len(probabilities), size=lanes, p=probabilities)
    else:
        rows = np.full(lanes, np.argmin(probabilities))
    x = configurations(space, dense, rows)
    spread = SPREAD.get(name.split("-")[0], 80)
    steps = 5 if begin == "exact" else spread
    ends, _ = invariance.evolve(kernel, law, tune, x, jax.random.key(number), steps)
    statistic, threshold = invariance.chi_square(numbers(law.facts, ends.code), probabilities)
    return statistic / threshold


def test_the_stated_effect() -> None:
    assert invariance.chi_square_effect(LANES, 81) <= EFFECT


@pytest.mark.parametrize("space", invariance.mostly_long(DISCRETE, "mixed"))
@pytest.mark.parametrize("method", METHODS)
def test_exact_draws_stay_exact(method: str, space: str) -> None:
    assert misfit(method, space, "exact") < 1


@pytest.mark.parametrize("space", invariance.mostly_long(DISCRETE, "mixed"))
@pytest.mark.parametrize("method", METHODS)
def test_a_point_mass_spreads(method: str, space: str) -> None:
    assert misfit(method, space, "mass") < 1


@pytest.mark.long
@pytest.mark.parametrize("begin", ["exact", "mass"])
@pytest.mark.parametrize("method", VARIANTS)
def test_every_balanced_weight_and_radius(method: str, begin: str) -> None:
    assert misfit(method, "mixed", begin) < 1


@pytest.mark.parametrize("space", invariance.mostly_long(DISCRETE, "mixed"))
@pytest.mark.parametrize("twin", TWINS)
def test_a_broken_twin_is_rejected(twin: str, space: str) -> None:
    assert misfit(twin, space, "exact") > 1


@pytest.mark.parametrize("space", ["categorical", "mixed"])
def test_a_path_without_its_values_is_rejected(space: str) -> None:
    # On the mixed space, where two sites of five have three values, the twin's law is near: w = 0.06.
    assert misfit("valueless", space, "exact", lanes=4 * LANES) > 1


@pytest.mark.parametrize("space", DISCRETE)
def test_neighbours_updated_at_once_are_rejected(space: str) -> None:
    law = discrete(space)
    one_colour = replace(law, data=law.data | {"colours": tuple(jnp.zeros_like(c) for c in law.data["colours"])})
    assert misfit("gibbs-colours", space, "exact", one_colour) > 1


@pytest.mark.parametrize("space", DISCRETE)
def test_the_identity_is_rejected(space: str) -> None:
    assert misfit("still", space, "exact") < 1
    assert misfit("still", space, "mass") > 1


@pytest.mark.parametrize("space", DISCRETE)
def test_gains_are_the_changes_of_log_density(space: str) -> None:
    """The hand-written targets keep their own promise, or the tests above would prove nothing."""
    law = discrete(space)
    x = jax.tree.map(lambda leaf: leaf[0], configurations(space, False, np.asarray([11])))
    for position, gains in enumerate(law.gains(x)):
        for site, row in enumerate(np.asarray(gains)):
            for value, gain in enumerate(row):
                code = list(x.code)
                code[position] = code[position].at[site].set(value)
                change = law.log_density(Point(x.real, tuple(code))) - law.log_density(x)
                assert abs(float(change) - gain) < 1e-5


def test_the_number_of_flips_is_learned_and_then_stays() -> None:
    """A weakly coupled target accepts many flips at once: the number grows from one, within its bound."""
    kernel = Gwg(flips=8, adaptive=True)
    law = discrete("spin")
    law = replace(law, data=jax.tree.map(lambda a: 0.05 * a if a.dtype == jnp.float32 else a, law.data))
    steps = 200
    progress = jnp.arange(1, steps + 1) / steps
    off = jnp.zeros(steps, bool)
    phases = Phase(~off, off, off, progress == 1, progress)

    @jax.jit
    def run(law: HandTarget, x: Point, key: Any) -> Any:
        def warm(carry: Any, phase: Phase) -> tuple[Any, None]:
            tune, memory, state = carry
            state, info = kernel.step(law, tune, state, jax.random.fold_in(key, phase.progress * steps))
            return (*kernel.adapt(phase, tune, memory, state, info), state), None

        start = (*kernel.tuning(law), kernel.init(law, x, key))
        (tune, _, _), _ = jax.lax.scan(warm, start, phases)
        return tune.flips

    x = Point(jnp.zeros(0), (jnp.zeros(6, jnp.int32),))
    learned = float(run(law, x, jax.random.key(invariance.seed("flips"))))
    assert 2 < learned <= 8


def test_adaptive_needs_more_than_one_flip() -> None:
    with pytest.raises(DiagnosticError, match="E0647"):
        Gwg(adaptive=True)


def test_blocks_of_too_many_values_are_refused() -> None:
    law = discrete("categorical")
    with pytest.raises(DiagnosticError, match="E0650"):
        Gibbs(block=16).tuning(replace(law, definition=replace(law.definition, sites=(20,))))
    with pytest.raises(DiagnosticError, match="E0650"):
        HammingBall(block=16, radius=8).tuning(replace(law, definition=replace(law.definition, sites=(20,))))
    with pytest.raises(DiagnosticError, match="E0651"):
        Gibbs(scan="colour", block=2)
    assert Gibbs(block=16).tuning(law) == ((), ())


@pytest.mark.parametrize("kernel", [Gwg(), Pas(), Dmala(), Dlmc(), DlmcForward(), RandomWalk()])
def test_one_value_is_nothing_to_propose(kernel: Any) -> None:
    with pytest.raises(DiagnosticError, match="E0652"):
        kernel.tuning(energylang.compile("energy e(c: cat(1)[4]) = sum(c)")["e"].target())


MANY = "energy e(c: cat(1)[2], s: spin[3], d: cat(3)[2]) = sum(c) - 0.3 * sum(s) - 0.4 * sum(d == 1)"


@pytest.mark.parametrize("method", ["pas", "hamming_ball(block = 2)"])
def test_sites_of_one_value_stand_beside_others(method: str) -> None:
    """Within six standard errors of the exact means, tanh 0.3 and e^0.4 / (2 + e^0.4), by the effective sample size."""
    run = energylang.compile(MANY)["e"].sample(method=method, draws=2000, warmup=300)
    assert not run["c"].any()
    for series, exact in ((run["s"], np.tanh(0.3)), (run["d"] == 1, np.exp(0.4) / (2 + np.exp(0.4)))):
        series = np.asarray(series, float).mean(axis=-1)
        size = effective_size(split_chains(series[None]))[0]
        assert abs(series.mean() - exact) < 6 * series.std() / np.sqrt(size)


@pytest.mark.parametrize("method", ["pas", "dlmc", "random_walk"])
def test_a_chain_that_never_accepts_is_said_so(method: str) -> None:
    with pytest.raises(DiagnosticError, match="E0803"):
        energylang.compile("energy e(s: spin[4]) = 1e6 * (s[0] + s[1] + s[2] + s[3])")["e"].sample(
            method=method, draws=200, warmup=200, chains=1
        )


def test_large_tables_draw_what_they_say() -> None:
    """Descent of the tree over 10007 outcomes, 2^20 draws: chi-square at 1e-6, w = 0.031 detected."""
    weights = np.random.default_rng(5).gamma(0.5, size=10007)
    weights[::3] = 0.0
    pairs = jax.random.uniform(jax.random.key(invariance.seed("large")), (2, 2**20))
    drawn = jax.jit(lambda w, u: draw(summed(w), 10007, *u))(jnp.asarray(weights, jnp.float32), pairs)
    statistic, threshold = invariance.chi_square(np.asarray(drawn), weights / weights.sum())
    assert statistic < threshold
    assert invariance.chi_square_effect(2**20, 6700) < 0.031


ORDERED = np.asarray([4.0, 0.0, 1.0, 0.5, 0.0, 2.5, 0.02])
"""Weights of seven outcomes, five of which can be drawn."""


def test_draws_without_replacement_come_in_their_order() -> None:
    """The first three of five against the law of Plackett and Luce, chi-square at 1e-6; the same sets in order are rejected.

    Two a round: all lanes go on, many of them from one that was drawn twice.
    """
    law = {}
    for order in permutations(np.flatnonzero(ORDERED), 3):
        own = ORDERED[list(order)]
        law[order] = np.prod(own / (ORDERED.sum() - np.cumsum(own) + own))

    @jax.jit
    @jax.vmap
    def lanes(key: Any) -> Any:
        return distinct(
            jnp.asarray(ORDERED, jnp.float32), 3, jnp.asarray(3), lambda turn, n: uniforms(key, n, 2 + turn)
        )

    outcomes, count = lanes(jax.random.split(jax.random.key(invariance.seed("order")), 2**16))
    assert int(count.min()) == 3
    place = {order: number for number, order in enumerate(law)}
    for rows, rejected in ((np.asarray(outcomes), False), (np.sort(outcomes, axis=1), True)):
        drawn = np.asarray([place[tuple(row)] for row in rows.tolist()])
        statistic, threshold = invariance.chi_square(drawn, np.asarray([*law.values()]))
        assert (statistic > threshold) == rejected


def test_no_more_outcomes_than_there_are() -> None:
    """All five that can be drawn, then the sentinel, and no number without end; of no weight at all, none."""
    lane = jax.jit(lambda w, k: distinct(w, 7, jnp.asarray(7), lambda turn, n: uniforms(k, n, 2 + turn)))
    outcomes, count = lane(jnp.asarray(ORDERED, jnp.float32), jax.random.key(1))
    assert int(count) == 5
    assert sorted(np.asarray(outcomes).tolist()) == [0, 2, 3, 5, 6, 7, 7]
    for nothing in (jnp.zeros(7), jnp.full(7, jnp.nan)):
        outcomes, count = lane(nothing, jax.random.key(1))
        assert int(count) == 0
        assert (outcomes == 7).all()


@pytest.mark.parametrize("kernel", [Gwg(), Gwg(flips=2), Pas()])
def test_one_site_of_two_values(kernel: Any) -> None:
    """Its mean is tanh 0.3; 4,096 lanes of eleven steps, within six standard errors."""
    target = energylang.compile("energy e(s: spin[1]) = -0.3 * sum(s)")["e"].target()
    x = Point(jnp.zeros((4096, 0)), (jnp.zeros((4096, 1), jnp.int32),))
    key = jax.random.key(invariance.seed(f"one/{kernel}"))
    ends, _ = invariance.evolve(kernel, target, kernel.tuning(target)[0], x, key, 11)
    spins = 2.0 * np.asarray(ends.code[0]) - 1.0
    assert abs(spins.mean() - np.tanh(0.3)) < 6 * spins.std() / 64


def test_facts_of_the_hand_written_targets() -> None:
    assert discrete("mixed").facts == Facts(0, (2, 3), (3, 2), "exact", 2)
    assert discrete("mixed").facts.states == 72
