"""What a method, an option and a call of a method are. No JAX here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Value = bool | int | float | str
"""What options are; some are calls (`MethodCall`)."""
Verb = Literal["sample", "evidence", "train", "test", "optimize"]
VERBS: tuple[Verb, ...] = ("sample", "evidence", "train", "test", "optimize")


@dataclass(frozen=True, slots=True)
class Option:
    """One option of a method or of a run.

    `minimum` and `maximum` are inclusive unless `open` (then both are exclusive). `choices` are bare names. "aim" and "time"
    are texts that `energylang.stopping` reads; "names" is a list of names, settled to a text with commas. `default` None means that the method or the driver decides, as `doc` says.
    files: whether the name of a file, as a text, may stand in the place of a choice; in Python the values themselves may.
    calls: of "call", what it is a call of: of a family (`catalog.CALLS`), or of a method ("kernel"); of "real", what may
    stand in the place of a number.
    """

    name: str
    type: Literal["real", "int", "bool", "choice", "string", "aim", "time", "names", "call"]
    default: Any
    doc: str
    minimum: float | None = None
    maximum: float | None = None
    open: bool = False
    choices: tuple[str, ...] = ()
    files: bool = False
    calls: Literal["", "optimizer", "rate", "kernel"] = ""


@dataclass(frozen=True, slots=True)
class Method:
    """A spec.

    protocol: which protocol of `energylang.model` the factory's result implements; "choice" is `auto`.
    moves: which variables it can move; "discrete" ones have finitely many values, "counts" have not. needs: capabilities a target must have, see `NEEDS`.
    factory: "module:attribute", called with the options (and, for `combines`, first a tuple of inner methods with the
    variables they are bound to, or, where `needs` has "inner", the one inner method).
    nests: whether it can stand inside of a method that combines.
    weighted: of a path, whether its draws have weights. lanes: chains compiled together, by platform ("cpu" and
    "accelerator"). chains: of a kernel whose chains move together, the fewest it takes and how many there are where nobody
    says; None where chains are independent.
    tests: the file that holds its invariance and mixing tests, with rejected twins (relative to the repository).
    """

    name: str
    protocol: Literal["kernel", "path", "objective", "search", "choice"]
    tasks: tuple[Verb, ...]
    moves: Literal["continuous", "discrete", "counts", "any"]
    summary: str
    source: str
    factory: str
    tests: str
    options: tuple[Option, ...] = ()
    needs: tuple[str, ...] = ()
    combines: bool = False
    nests: bool = True
    weighted: bool = True
    lanes: Mapping[str, int] = field(default_factory=lambda: {"cpu": 1, "accelerator": 256})
    chains: tuple[int, int] | None = None


NEEDS: dict[str, str] = {
    "finite": "only discrete variables, with few enough configurations to list",
    "normalised": "an energy that is normalised (every variable the target of one `~`)",
    "drawable": "a normalised energy whose distributions can all be drawn from",
    "params": "at least one `param` or `net` to learn",
    "unconditional": "an energy without conditions",
    "discrete": "only variables that have finitely many values",
    "blocks": "at least two inner methods",
    "inner": "one inner method",
}


@dataclass(frozen=True, slots=True)
class MethodCall:
    """A method, or another family of the catalog, with its options as written: `nuts(target_acceptance = 0.9)`.

    Values are those of `Value`, or calls themselves. `inner` holds the methods a combining method was given, each with the variable it is bound to (None: all it can
    move that no other took).
    """

    name: str
    options: tuple[tuple[str, Any], ...] = ()
    inner: tuple[tuple[str | None, MethodCall], ...] = ()

    def __str__(self) -> str:
        parts = [f"{variable} = {call}" if variable else str(call) for variable, call in self.inner]
        parts += [f"{name} = {shown(value)}" for name, value in self.options]
        return f"{self.name}({', '.join(parts)})"


@dataclass(frozen=True, slots=True)
class Traits:
    """What the checker knows of an energy before data: enough to say whether a method fits."""

    continuous: bool
    discrete: bool
    normalised: bool
    params: bool
    variables: tuple[str, ...] = ()
    counts: bool = False
    drawable: bool = False
    estimated: str = ""
    """The estimated log-determinant that its log density is made of, in words; empty where there is none."""
    conditions: bool = False


def shown(value: Value | MethodCall) -> str:
    """A value of an option as it is written in a model."""
    return str(value).lower() if isinstance(value, bool) else f"{value}"
