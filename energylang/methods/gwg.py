"""Gibbs with gradients: locally informed proposals for spins, binary and categorical variables."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate
from math import log
from typing import Any, Literal, NamedTuple, cast

import jax
import jax.numpy as jnp
from jax import Array

from energylang.diagnostics import Diagnostic, DiagnosticError
from energylang.lower.inversion import finite_peak, invert_logits
from energylang.methods._adaptation import Search, search, start_search
from energylang.methods._balanced import WEIGHTS, require_choice
from energylang.methods._categorical import draw, summed
from energylang.methods._discrete import Discrete
from energylang.methods._ledger import Ledger, moved, opened, worth_following
from energylang.model import Facts, Info, Local, Phase, Point, PRNGKey, Target
from energylang.threefry import uniforms as uniform


class Proposal(NamedTuple):
    """The proposal distribution at a point, all that a step needs of the gains there.

    sums: of the weights of the D sites, relative to the largest, as a tree. log_total: log of the sum of all weights g.
    site: float[D], the log weight of each site (empty where a step has no use for it). values: for each cardinality
    above two float[D_k, k], log weights with minus infinity at the current value; empty for cardinality two.
    """

    sums: Array
    log_total: Array
    site: Any
    values: tuple[Any, ...]


class GwgState(NamedTuple):
    """x: the Point. proposal: the proposal there. log_density: scalar (empty where the ratio needs none)."""

    x: Point
    proposal: Proposal | Ledger
    log_density: Any


class GwgTuning(NamedTuple):
    """flips: scalar, how many draws a step makes (rounded)."""

    flips: Array


@dataclass(frozen=True)
class Gwg(Discrete):
    """Gibbs with gradients (Grathwohl et al. 2021), on all discrete variables at once.

    A step draws a site with probability proportional to the sum over its other values of g(exp(gain)), then a value.
    With exact gains and one draw the Metropolis ratio is Z(x) / Z(y) for every balanced g, and no energy is evaluated;
    otherwise the gains only propose and the ratio uses the true log density. Either way the proposal at x is carried,
    so a step costs one evaluation of the gains; where one draw reaches few sites of a `Local` target, those of these.

    With `flips` above one a step makes that many draws of sites with replacement and changes each site drawn; the
    reverse move draws the same sequence. `adaptive` learns how many in warm-up, between 1 and `flips`, so as to accept
    57.4 % (Sun et al. 2022), and keeps the mean of the second half of warm-up.

    Info: acceptance_rate (the probability), flips.
    """

    weight: Literal["sqrt", "ratio", "max", "min"] = "sqrt"
    flips: int = 1
    adaptive: bool = False
    target_acceptance: float = 0.574

    def __post_init__(self) -> None:
        if self.adaptive and self.flips < 2:
            message = "`gwg(adaptive = true)` has nothing to learn with one flip a step"
            raise DiagnosticError([Diagnostic("E0647", message, fix="give the most it may make: `flips = 32`")])

    def _needs_density(self, facts: Facts) -> bool:
        return self.flips > 1 or facts.gains != "exact"

    def _proposal(self, target: Target, x: Point) -> Proposal:
        log_weight = WEIGHTS[self.weight]
        sites, values = [], []
        for gain, code in zip(target.gains(x), x.code, strict=True):
            cardinality = gain.shape[1]
            if cardinality == 2:
                sites.append(log_weight(jnp.where(code == 0, gain[:, 1], gain[:, 0])))
                values.append(())
            else:
                current = jnp.arange(cardinality) == code[:, None]
                values.append(jnp.where(current, -jnp.inf, log_weight(gain)))
                sites.append(jax.nn.logsumexp(values[-1], axis=1))
        site = jnp.concatenate(sites)
        peak = finite_peak(site)
        sums = summed(jnp.exp(site - peak))
        log_total = peak[0] + jnp.log(sums[0])
        return Proposal(sums, log_total, site if self._needs_density(target.facts) else (), tuple(values))

    def _follows(self, facts: Facts) -> bool:
        return self.flips == 1 and worth_following(facts)

    def _at(self, target: Target, x: Point) -> GwgState:
        if self._follows(target.facts):
            return GwgState(x, opened(cast(Local, target), x, WEIGHTS[self.weight]), ())
        log_density = target.log_density(x) if self._needs_density(target.facts) else ()
        return GwgState(x, self._proposal(target, x), log_density)

    def init(self, target: Target, x: Point, key: PRNGKey) -> GwgState:
        return self._at(target, x)

    def refresh(self, target: Target, state: GwgState) -> GwgState:
        return self._at(target, state.x)

    def step(self, target: Target, tune: GwgTuning, state: GwgState, key: PRNGKey) -> tuple[GwgState, Info]:
        facts, forward = target.facts, state.proposal
        if isinstance(forward, Ledger):
            x, ledger, log_ratio = moved(cast(Local, target), state.x, forward, uniform(key, 4), WEIGHTS[self.weight])
            return GwgState(x, ledger, ()), _info(log_ratio, tune)
        uniforms = uniform(key, 3 * (self.flips + 1)).reshape(self.flips + 1, 3)
        drawn = draw(forward.sums, facts.discrete, uniforms[:-1, 0], uniforms[:-1, 1])
        used = jnp.arange(self.flips) < jnp.round(tune.flips)
        # Draws of one site share the value of the first of them, which alone counts in the probability of values.
        first = jnp.argmax(drawn[:, None] == drawn[None, :], axis=1)
        leading = used & (first == jnp.arange(self.flips))

        code = []
        log_ratio = jnp.zeros(())
        offsets = [0, *accumulate(facts.sites)]
        picked: list[Any] = []
        for old, values, offset in zip(state.x.code, forward.values, offsets, strict=False):
            count = old.shape[0]
            place = jnp.clip(drawn - offset, 0, max(count - 1, 0))
            here = used & (drawn >= offset) & (drawn < offset + count)
            if isinstance(values, tuple):
                new = 1 - old[place]
            else:
                rows = values[place]
                new = invert_logits(rows, uniforms[:-1, 2])[first]
                chosen = jnp.take_along_axis(rows, new[:, None], axis=1)[:, 0]
                picked.append((here & leading, place, old[place], chosen))
            code.append(old.at[jnp.where(here, place, count)].set(new.astype(old.dtype), mode="drop"))
        x = Point(state.x.real, tuple(code))
        backward = self._proposal(target, x)

        if self._needs_density(facts):
            log_density = target.log_density(x)
            go, back = forward.site[drawn] - forward.log_total, backward.site[drawn] - backward.log_total
            log_ratio = log_density - state.log_density + jnp.where(used, back - go, 0.0).sum()
            wide = [i for i, values in enumerate(forward.values) if not isinstance(values, tuple)]
            for index, (counted, place, old, chosen) in zip(wide, picked, strict=True):
                returning = backward.values[index]
                site = drawn
                back = returning[place, old] - backward.site[site]
                log_ratio += jnp.where(counted, back - (chosen - forward.site[site]), 0.0).sum()
        else:
            log_density = ()
            log_ratio = forward.log_total - backward.log_total
        # Not a number: neither point has a density, or no move leaves x. Such a proposal is never accepted.
        log_ratio = jnp.where(jnp.isnan(log_ratio), -jnp.inf, log_ratio)
        accept = jnp.log(uniforms[-1, 0]) < log_ratio
        proposed = GwgState(x, backward, log_density)
        kept = jax.tree.map(lambda new, old: jnp.where(accept, new, old), proposed, state)
        return kept, _info(log_ratio, tune)

    def tuning(self, target: Target) -> tuple[GwgTuning, Search | tuple[()]]:
        require_choice("gwg", target.facts)
        if not self.adaptive:
            return GwgTuning(jnp.asarray(float(self.flips))), ()
        return GwgTuning(jnp.ones(())), start_search(jnp.zeros(()))

    def adapt(
        self, phase: Phase, tune: GwgTuning, memory: Search | tuple[()], state: GwgState, info: Info
    ) -> tuple[GwgTuning, Search | tuple[()]]:
        if not isinstance(memory, Search):
            return tune, memory
        excess = info["acceptance_rate"] - self.target_acceptance
        log_flips, memory = search(phase, memory, excess, 0.0, log(self.flips))
        return GwgTuning(jnp.exp(log_flips)), memory


def _info(log_ratio: Array, tune: GwgTuning) -> Info:
    return {"acceptance_rate": jnp.exp(jnp.minimum(log_ratio, 0.0)), "flips": jnp.round(tune.flips)}
