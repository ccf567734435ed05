"""Nodes of the intermediate representation. Expressions are a graph: what is shared by name is one object.

Every node carries its type, the range its values are known to lie in, and the span it came from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any

from energylang.catalog import MethodCall, Traits, Value, Verb
from energylang.ir.types import ANYWHERE, Dim, Range, Space, Type
from energylang.source import Source, Span

# --- symbols ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False, slots=True)
class Symbol:
    """Something with a name and a value that is given from outside the expression."""

    name: str
    space: Space
    span: Span

    @property
    def key(self) -> str:
        """Its name among the arrays of a run: conditions and data may have one name, and are two things."""
        return self.name


@dataclass(frozen=True, eq=False, slots=True)
class Variable(Symbol):
    """A random variable of an energy."""


@dataclass(frozen=True, eq=False, slots=True)
class Condition(Symbol):
    """What stands after the bar."""

    @property
    def key(self) -> str:
        return f"| {self.name}"


@dataclass(frozen=True, eq=False, slots=True)
class Data(Symbol):
    """`default`: nested lists of numbers, or a scalar, or None. `source`: a file name beside the model, or None."""

    default: Any = None
    source: str | None = None


@dataclass(frozen=True, eq=False, slots=True)
class Param(Symbol):
    """A learned array. `value`: its start, in its space; `start`: ("normal", mean, scale) or ("uniform", low, high),
    drawn from on the unconstrained scale. Without either it starts at zero on that scale."""

    value: Any = None
    start: tuple[str, float, float] | None = None


@dataclass(frozen=True, eq=False, slots=True)
class Let(Symbol):
    """A top-level `let`: computed once, in float64 on the host, from data alone."""

    value: Expr | None = None


@dataclass(frozen=True, eq=False, slots=True)
class Local(Symbol):
    """A parameter of a `Map`: one slice of its argument."""


# --- expressions ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False, slots=True)
class Expr:
    type: Type
    span: Span
    range: Range = field(default=ANYWHERE, kw_only=True)


@dataclass(frozen=True, eq=False, slots=True)
class Literal(Expr):
    """A number known when the model is checked."""

    value: bool | int | float


@dataclass(frozen=True, eq=False, slots=True)
class DimValue(Expr):
    """The size of an axis, as an int."""

    dim: Dim


@dataclass(frozen=True, eq=False, slots=True)
class Reference(Expr):
    symbol: Symbol


@dataclass(frozen=True, eq=False, slots=True)
class Apply(Expr):
    """A primitive operation; `operation` is a key of `energylang.ir.operations.OPERATIONS`.

    attributes: what is static about it (axis, shift, the items of an index), in the form its operation documents.
    """

    operation: str
    arguments: tuple[Expr, ...]
    attributes: tuple[Any, ...] = ()


@dataclass(frozen=True, eq=False, slots=True)
class Map(Expr):
    """The body for every batch element: `parameters[i]` is an element of `arguments[i]`.

    batch_rank: how many leading dims of the result are the batch; an argument's leading dims broadcast to them.
    """

    parameters: tuple[Local, ...]
    arguments: tuple[Expr, ...]
    body: Expr
    batch_rank: int


@dataclass(frozen=True, eq=False, slots=True)
class Random(Expr):
    """A draw: one of each batch element, independent of all other draws given the arguments. Never below a term.

    distribution: a name of the standard library that can be drawn from (`check/draws.py`). arguments: its conditions
    (`names` says which), each with leading dims that broadcast to the batch. The type's shape is the batch, then the
    event of `event_rank` dims. Where it is evaluated the environment has a key for this node (`randoms` numbers them).
    """

    distribution: str
    names: tuple[str, ...]
    arguments: tuple[Expr, ...]
    event_rank: int


def children(expr: Expr) -> tuple[Expr, ...]:
    """The operands, in order; of a `Map` its arguments, then its body."""
    if isinstance(expr, Apply | Random):
        return expr.arguments
    if isinstance(expr, Map):
        return (*expr.arguments, expr.body)
    return ()


def walk(*roots: Expr) -> Iterator[Expr]:
    """Every expression below the roots once, operands before what uses them. Iterative: depth is no limit."""
    seen: set[int] = set()
    stack: list[tuple[Expr, bool]] = [(root, False) for root in reversed(roots)]
    while stack:
        expr, ready = stack.pop()
        if ready:
            yield expr
            continue
        if id(expr) in seen:
            continue
        seen.add(id(expr))
        stack.append((expr, True))
        stack.extend((child, False) for child in reversed(children(expr)))


def symbols(*roots: Expr, through_lets: bool = False) -> tuple[Symbol, ...]:
    """The symbols that the roots mention, each once; with `through_lets` also those that top-level lets are made of."""
    found: dict[int, Symbol] = {}
    pending = list(roots)
    while pending:
        for expr in walk(pending.pop()):
            if isinstance(expr, Reference) and id(expr.symbol) not in found:
                found[id(expr.symbol)] = expr.symbol
                if through_lets and isinstance(expr.symbol, Let) and expr.symbol.value is not None:
                    pending.append(expr.symbol.value)
    return tuple(found.values())


def randoms(*roots: Expr) -> tuple[Random, ...]:
    """Every draw below the roots, in the order of `walk`: the place is the number that its key is made with."""
    return tuple(expr for expr in walk(*roots) if isinstance(expr, Random))


# --- energies and programs --------------------------------------------------------------------------------------


class Normalisation(Enum):
    """What is known of log Z."""

    NORMALISED = "normalised"
    DECLARED = "declared"
    UNKNOWN = "unknown"


@dataclass(frozen=True, eq=False, slots=True)
class Term:
    """One scalar summand of an energy, with where it was written and what it is in words."""

    value: Expr
    span: Span
    text: str


@dataclass(frozen=True, eq=False, slots=True)
class Report:
    """Something kept with the draws that is no part of the energy. What is below it may be random."""

    name: str
    value: Expr

    @property
    def predictive(self) -> bool:
        """Whether it is drawn (`report a ~ d(…)`) and not computed."""
        return bool(randoms(self.value))


@dataclass(frozen=True, eq=False, slots=True)
class Density:
    """One `~` of a block: what it gave a density, and how that is drawn.

    name: of the variable, data or `let` left of `~`. base: the whole of it; target: base itself, or an index or slice.
    term: the summand of the energy that it became. energy: the same element by element, float[batch]: its sum is the term.
    draw: the target drawn anew, given all that its arguments mention; None where `why` says that it cannot be.

    A composition may keep a density of its part as long as this stays true of it: `term` is one of its own terms and
    `draw` has the law that `energy` says. Where variables become data, or are summed out of the term, it is dropped
    or made anew by `Energy.mapped`; an energy whose terms do not all have a density is merely not drawn from directly.
    """

    name: str
    base: Expr
    target: Expr
    term: Term
    energy: Expr
    draw: Expr | None
    why: str
    span: Span

    @property
    def variable(self) -> Variable | None:
        """The random variable that it is a density of; None for data."""
        symbol = self.base.symbol if isinstance(self.base, Reference) else None
        return symbol if isinstance(symbol, Variable) else None

    @property
    def whole(self) -> bool:
        return self.target is self.base

    @property
    def roots(self) -> tuple[Expr, ...]:
        return (self.base, self.target, self.energy, *([self.draw] if self.draw is not None else []))


@dataclass(frozen=True, eq=False, slots=True)
class Energy:
    name: str
    span: Span
    doc: str
    variables: tuple[Variable, ...]
    conditions: tuple[Condition, ...]
    terms: tuple[Term, ...]
    reports: tuple[Report, ...]
    normalisation: Normalisation
    reason: str
    densities: tuple[Density, ...] = ()
    """What each `~` of its block gave a density; empty where it is not a block."""

    @property
    def roots(self) -> tuple[Expr, ...]:
        values = tuple(t.value for t in self.terms) + tuple(r.value for r in self.reports)
        return values + tuple(root for density in self.densities for root in density.roots)

    @property
    def observations(self) -> tuple[Density, ...]:
        """The densities of data."""
        return tuple(d for d in self.densities if d.variable is None)

    def mapped(self, function: Callable[[Expr], Expr]) -> Energy:
        """The energy with `function` of every expression in it: terms, reports and densities."""
        terms = {id(t): replace(t, value=function(t.value)) for t in self.terms}
        densities = tuple(
            replace(
                d, base=function(d.base), target=function(d.target), energy=function(d.energy),
                draw=None if d.draw is None else function(d.draw), term=terms[id(d.term)],
            )
            for d in self.densities
        )  # fmt: skip
        reports = tuple(replace(r, value=function(r.value)) for r in self.reports)
        return replace(self, terms=tuple(terms[id(t)] for t in self.terms), reports=reports, densities=densities)

    @property
    def traits(self) -> Traits:
        used = symbols(*(t.value for t in self.terms))
        return Traits(
            continuous=any(not v.space.discrete for v in self.variables),
            discrete=any(v.space.discrete for v in self.variables),
            normalised=self.normalisation is not Normalisation.UNKNOWN,
            params=any(isinstance(s, Param) for s in used),
            variables=tuple(v.name for v in self.variables),
        )


@dataclass(frozen=True, eq=False, slots=True)
class Task:
    """A task with everything resolved that can be before data; `bindings` fill conditions (and variables to train)."""

    verb: Verb
    energy: Energy
    bindings: tuple[tuple[str, Expr], ...]
    method: MethodCall | None
    options: tuple[tuple[str, Value], ...]
    span: Span


@dataclass(frozen=True, eq=False, slots=True)
class Program:
    """A checked module."""

    source: Source
    consts: dict[str, bool | int | float]
    data: tuple[Data, ...]
    lets: tuple[Let, ...]
    params: tuple[Param, ...]
    energies: dict[str, Energy]
    tasks: tuple[Task, ...]
