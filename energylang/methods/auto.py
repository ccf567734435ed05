"""The method for a target, where the user names none."""

from __future__ import annotations

from dataclasses import dataclass, replace

from energylang.catalog import MethodCall, Traits, Verb, methods
from energylang.diagnostics import Diagnostic, DiagnosticError
from energylang.model import Facts

FEW_STATES = 2**14
"""Configurations that are listed without being asked: milliseconds, and draws are exact."""
FEW_SITES = 8
"""Sites of a group of trees, in the mean, from which on joint draws are worth their tables."""
FEW_COLOURS = 16
"""Colours up to which a Gibbs sweep, one evaluation of the gains for each, beats as many informed moves."""


@dataclass(frozen=True)
class Auto:
    """Chooses a method from what the analyses found."""

    def choose(self, facts: Facts, verb: Verb, traits: Traits) -> tuple[MethodCall, str]:
        """The method, and the reason as a sentence with the numbers it rests on."""
        return _objective(facts, traits) if verb == "train" else choose(facts, verb)


def choose(facts: Facts, verb: Verb) -> tuple[MethodCall, str]:
    """The method for a task on a target, and the reason as a sentence; `DiagnosticError` where there is none."""
    if verb == "optimize":
        return _optimiser(facts)
    if verb not in ("sample", "evidence"):
        raise DiagnosticError([Diagnostic("E0648", f"no method is chosen by itself for `{verb}`", fix="name a method")])
    if facts.discrete and not facts.reals and not facts.counts and facts.states <= FEW_STATES:
        return MethodCall(
            "enumerate"
        ), f"{_count(facts.states, 'configuration')} can be listed, so draws and log Z are exact"
    if verb == "evidence":
        where = " and ".join(_contents(facts))
        reason = (
            f"importance sampling of {where} from a fixed base: unbiased, and poor unless the target is near the base"
        )
        return MethodCall("importance"), reason
    return _sampler(facts)


def _sampler(facts: Facts) -> tuple[MethodCall, str]:
    """A Markov chain."""
    if facts.counts:
        return _with_counts(facts)
    if not facts.discrete:
        return MethodCall(
            "nuts"
        ), f"{_count(facts.reals, 'unconstrained real')} and no discrete variable, so gradients lead"
    hidden = facts.augmented
    # One colour is theirs.
    if hidden is not None and hidden.colours - 1 <= FEW_COLOURS:
        found = _count(hidden.discrete - facts.discrete, "hidden site")
        others = f"{_count(facts.discrete, 'other')} in {_count(hidden.colours - 1, 'colour')}"
        return MethodCall(
            "data_augmentation"
        ), f"{found}, summed out, can be drawn again, and then {others}, all exactly"
    kernel, why = _discrete(facts)
    if not facts.reals:
        return kernel, why
    call = MethodCall("blocks", inner=((None, kernel), (None, MethodCall("nuts"))))
    return call, f"{_count(facts.reals, 'unconstrained real')} by gradients; for the rest, {why}"


def _objective(facts: Facts, traits: Traits) -> tuple[MethodCall, str]:
    """Maximum likelihood where it can be computed; else what needs no chain; else particles."""
    if traits.normalised or not traits.params:
        return MethodCall("mle"), "an energy that is normalised is trained by maximum likelihood"
    if facts.discrete and not facts.reals and not facts.counts and facts.gains == "exact" and facts.augmented is None:
        why = f"{_count(facts.discrete, 'discrete site')} whose laws given all others are exact, so that no chain is needed"
        return MethodCall("pseudo_likelihood"), f"its normaliser is not known; {why}"
    kernel, why = mover(facts)
    if traits.conditions:
        return MethodCall(
            "cd", (("sampler", kernel),)
        ), f"its normaliser differs from row to row; particles move by {why}"
    return MethodCall("pcd", (("sampler", kernel),)), f"its normaliser is not known; particles follow it by {why}"


def mover(facts: Facts) -> tuple[MethodCall, str]:
    """What moves particles under params that change, and the reason: short moves, many of them."""
    if facts.counts or not facts.discrete:
        kernel, why = (
            _with_counts(facts)
            if facts.counts
            else (MethodCall("mala"), f"{_count(facts.reals, 'unconstrained real')}: gradients")
        )
        return kernel, why
    found = replace(facts, reals=0)
    kernel, why = _sampler(found)
    if facts.reals:
        kernel = MethodCall("blocks", inner=((None, kernel), (None, MethodCall("mala"))))
        why = f"{_count(facts.reals, 'unconstrained real')} by gradients; for the rest, {why}"
    return kernel, why


def completed(call: MethodCall, facts: Facts) -> MethodCall:
    """A call with the kernels that it was not given, chosen."""
    given = dict(call.options)
    left = [o.name for o in methods()[call.name].options if o.calls == "kernel" and o.name not in given]
    return (
        call
        if not left
        else MethodCall(call.name, (*((name, mover(facts)[0]) for name in left), *call.options), call.inner)
    )


def _optimiser(facts: Facts) -> tuple[MethodCall, str]:
    """Annealing of what a sampler would do; reals alone descend."""
    if facts.counts:
        kernel, why = _with_counts(facts)
    elif not facts.discrete:
        reals = _count(facts.reals, "unconstrained real")
        return MethodCall("descent"), f"{reals} and no discrete variable, so gradients lead"
    else:
        kernel, why = _discrete(facts)
        if facts.gains == "exact" and facts.colours and facts.reach:
            # What a restart finds grows with the sites it looked at, and a sweep looks at them all.
            kernel = MethodCall("gibbs")
            why = f"sweeps over {_count(facts.discrete, 'discrete site')} in {_count(facts.colours, 'colour')}, each drawn at once"
        elif kernel.name == "dlmc_forward":
            # What is lowest is reached one change at a time: nearly frozen, few moves of several sites at once are taken.
            kernel, why = MethodCall("gwg"), f"{_count(facts.discrete, 'discrete site')} by informed single flips"
        if facts.reals:
            # Short moves: a step at each temperature is not one from law to law.
            kernel = MethodCall("blocks", inner=((None, kernel), (None, MethodCall("mala"))))
            why = f"{_count(facts.reals, 'unconstrained real')} by gradients; for the rest, {why}"
    return MethodCall("anneal", inner=((None, kernel),)), f"annealing of {why}"


def _with_counts(facts: Facts) -> tuple[MethodCall, str]:
    """Counts move by random walks; what else there is by its own method, in turn."""
    why = f"{_count(facts.counts, 'count')} by random walks, since counts have neither gradients nor a last value"
    if not facts.discrete and not facts.reals:
        return MethodCall("metropolis"), why
    inner: list[tuple[str | None, MethodCall]] = [(None, MethodCall("metropolis"))]
    if facts.discrete:
        kernel, reason = _discrete(facts)
        inner.insert(0, (None, kernel))
        why = f"{why}; {reason}"
    if facts.reals:
        inner.append((None, MethodCall("nuts")))
        why = f"{_count(facts.reals, 'unconstrained real')} by gradients; {why}"
    return MethodCall("blocks", inner=tuple(inner)), why


def _discrete(facts: Facts) -> tuple[MethodCall, str]:
    sites = _count(facts.discrete, "discrete site")
    if facts.gains == "exact" and 0 < facts.colours <= FEW_COLOURS:
        return MethodCall(
            "gibbs"
        ), f"{sites} in {_count(facts.colours, 'colour')}, each drawn at once from exact conditionals"
    if facts.gains == "exact" and facts.fields:
        return MethodCall("gibbs"), f"{sites} whose dense couplings a sweep carries along as one field a site"
    if facts.gains == "exact" and facts.colours and facts.reach == facts.discrete:
        return MethodCall("gibbs"), f"{sites} that meet in sums, which a sweep carries from site to site"
    if 0 < FEW_SITES * facts.groups <= facts.discrete:
        return MethodCall(
            "forward_backward"
        ), f"{sites} in {_count(facts.groups, 'group')} of trees, each drawn jointly"
    if facts.gains != "exact":
        why = f"{sites} whose gains are estimates from a gradient, corrected by Metropolis steps"
    elif not facts.colours:
        why = f"{sites} with exact gains and no colouring, so informed moves of many at once"
    else:
        why = f"{sites} in {_count(facts.colours, 'colour')}, too many for sweeps, so informed moves of many at once"
    return MethodCall("dlmc_forward"), why


def _contents(facts: Facts) -> list[str]:
    reals = [_count(facts.reals, "unconstrained real")] if facts.reals else []
    counts = [_count(facts.counts, "count")] if facts.counts else []
    return reals + ([_count(facts.discrete, "discrete site")] if facts.discrete else []) + counts


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
