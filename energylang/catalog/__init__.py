"""The catalog: the one place where a method is declared. No JAX here.

Specs are in the modules of this package, by what they move. The checker, `energylang methods`, `--help`, completion and the
documentation read them; the drivers build a method through its `factory` and never mention one by name. Other packages
add specs through the entry-point group `energylang.methods` (each entry point is a `Method`, or a sequence of them).
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from importlib import import_module
from typing import Any

from energylang.catalog.continuous import CONTINUOUS
from energylang.catalog.discrete import DISCRETE
from energylang.catalog.families import NETS, SCHEDULES, SOLVERS, Family
from energylang.catalog.layers import BASES, LAYERS, Form, Layer, LayerCall, Slot
from energylang.catalog.objectives import OBJECTIVES
from energylang.catalog.optimizers import CALLS, OPTIMIZERS, RATES
from energylang.catalog.others import OTHERS
from energylang.catalog.runs import CHAINS_ONLY, MOST_DRAWS, RUN_OPTIONS
from energylang.catalog.specs import NEEDS, VERBS, Method, MethodCall, Option, Traits, Value, Verb, shown

__all__ = [
    "BASES", "BUILT_IN", "CALLS", "CHAINS_ONLY", "LAYERS", "MOST_DRAWS", "NEEDS", "NETS", "OPTIMIZERS", "RATES", "RUN_OPTIONS",
    "SCHEDULES", "SOLVERS", "VERBS", "Family", "Form", "Layer", "LayerCall", "Method", "MethodCall", "Option", "Slot", "Traits", "Value",
    "Verb", "build", "describe", "ensemble", "fitting", "methods", "misfit", "shown", "too_few",
]  # fmt: skip

BUILT_IN: tuple[Method, ...] = (
    Method(
        "auto",
        protocol="choice",
        tasks=("sample", "evidence", "train", "optimize"),
        moves="any",
        summary="chooses a method from what the analyses found, and says why",
        source="the rules are in energylang/methods/auto.py",
        factory="energylang.methods.auto:Auto",
        tests="tests/methods/test_auto.py",
    ),
    *CONTINUOUS,
    *DISCRETE,
    *OTHERS,
    *OBJECTIVES,
)


@cache
def methods() -> dict[str, Method]:
    """Every spec by name: the built-in ones and those that other packages add."""
    from importlib.metadata import entry_points

    table = {spec.name: spec for spec in BUILT_IN}
    for point in entry_points(group="energylang.methods"):
        loaded = point.load()
        for spec in loaded if isinstance(loaded, Iterable) else (loaded,):
            if spec.name in table:
                raise ValueError(f"method `{spec.name}` of {point.value} is already in the catalog")
            table[spec.name] = spec
    return table


KINDS = {"optimizer": "an optimizer", "rate": "a schedule of rates", "kernel": "a method"}
"""What the value of an option is that is a call, in words."""


def describe(option: Option) -> str:
    """Its type, range, default and meaning, as one line."""
    kind = " | ".join((*option.choices, *(["a file"] if option.files else []))) or option.type
    if option.calls:
        kind = KINDS[option.calls] if option.type == "call" else f"{kind} or {KINDS[option.calls]}"
    low, high = option.minimum, option.maximum
    if not option.choices and (low is not None or high is not None):
        left, right = ("above ", "below ") if option.open else ("from ", "to ")
        parts = ([f"{left}{low:g}"] if low is not None else []) + ([f"{right}{high:g}"] if high is not None else [])
        kind += f" {' '.join(parts)}"
    default = "" if option.default is None else f", default {shown(option.default)}"
    return f"{kind}{default}: {option.doc}"


def misfit(spec: Method, traits: Traits) -> str | None:
    """Why a method cannot serve an energy with these traits, as the end of a sentence; None where it can."""
    if traits.estimated and spec.protocol != "choice" and _weighs(spec):
        return f"its log density comes from {traits.estimated}, and a ratio or weight made of an estimate is wrong"
    if spec.protocol == "choice" or spec.combines:
        return None
    if "params" in spec.needs and not traits.params:
        return "it learns parameters, and this energy has no `param`"
    if "normalised" in spec.needs and not traits.normalised:
        return "it needs a normalised energy"
    if "drawable" in spec.needs and not traits.drawable:
        return "it needs a normalised energy whose distributions can all be drawn from"
    if "discrete" in spec.needs and (traits.continuous or traits.counts):
        return "it needs variables that all have finitely many values"
    if "unconditional" in spec.needs and traits.conditions:
        return "its particles are of one law, and this energy has conditions"
    if spec.protocol == "objective":
        return None
    if spec.moves == "counts" and (traits.continuous or traits.discrete):
        return "it moves counts only, and this energy has other variables too: `blocks` combines methods"
    if spec.moves in ("continuous", "discrete") and traits.counts:
        what = "gradients" if spec.moves == "continuous" else "values that can be listed"
        return f"it needs {what}, and this energy has variables that are counts"
    if spec.moves == "continuous" and traits.discrete:
        return "it moves continuous variables only, and this energy has discrete ones"
    if spec.moves == "discrete" and traits.continuous:
        return "it moves discrete variables only, and this energy has continuous ones"
    return None


def _weighs(spec: Method) -> bool:
    """Whether densities decide what it accepts, or what its draws weigh."""
    return spec.protocol == "kernel" or (spec.protocol == "path" and spec.weighted) or "inner" in spec.needs


def fitting(verb: Verb, traits: Traits) -> list[str]:
    """The names of the methods that can do a task on an energy with these traits."""
    return [spec.name for spec in methods().values() if verb in spec.tasks and misfit(spec, traits) is None]


def ensemble(call: MethodCall) -> Method | None:
    """The method whose chains move together, that of a call or one that it combines; None where chains are independent."""
    found = methods()[call.name]
    if found.chains is not None:
        return found
    return next((spec for _, inner in call.inner if (spec := ensemble(inner)) is not None), None)


def too_few(call: MethodCall, chains: int) -> tuple[str, str, str] | None:
    """What is said of a number of chains that a method cannot do with: problem, cause and fix (E0809)."""
    spec = ensemble(call)
    if spec is None or spec.chains is None or chains >= spec.chains[0]:
        return None
    fewest, usual = spec.chains
    return (
        f"`{spec.name}` takes at least {fewest} chains, not {chains}",
        "its chains learn together, from how they differ from one another",
        f"give it more, `chains = {usual}`, or take a method whose chains are independent, such as `nuts()`",
    )


def build(call: MethodCall) -> Any:
    """The method itself: imports its module and calls its factory with the options given, defaults for the rest."""
    spec = methods()[call.name]
    module, attribute = spec.factory.split(":")
    factory = getattr(import_module(module), attribute)
    options = {option.name: option.default for option in spec.options if option.default is not None}
    options.update((name, build(v) if isinstance(v, MethodCall) else v) for name, v in call.options)
    if "inner" in spec.needs:
        return factory(build(call.inner[0][1]), **options)
    if spec.combines:
        return factory(tuple((variable, build(inner)) for variable, inner in call.inner), **options)
    return factory(**options)
