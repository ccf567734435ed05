"""Nodes of the intermediate representation. Expressions are a graph: what is shared by name is one object.

Every node carries its type, the range its values are known to lie in, and the span it came from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any

from energylang.catalog import LayerCall, MethodCall, Traits, Value, Verb
from energylang.catalog.layers import learns, log_determinant
from energylang.ir.types import ANYWHERE, Dim, Range, Shape, Space, Type
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


@dataclass(frozen=True, slots=True)
class Schedule:
    """How noise grows with the level: a family of the catalog with all its options. Equal whatever its name."""

    name: str = field(compare=False)
    family: str
    options: tuple[tuple[str, Value], ...]


@dataclass(frozen=True, eq=False, slots=True)
class Level(Condition):
    """What stands after `@`: a condition in [0, 1], which is 0, the data, where nothing else is said."""

    schedule: Schedule


@dataclass(frozen=True, eq=False, slots=True)
class Data(Symbol):
    """`default`: nested lists of numbers, or a scalar, or None. `source`: a file name beside the model, or None."""

    default: Any = None
    source: str | None = None


@dataclass(frozen=True, eq=False, slots=True)
class Param(Symbol):
    """A learned array. `value`: its start, in its space; `start`: ("normal", mean, scale), ("uniform", low, high) or
    ("fan_in", gain, 0), a normal with scale gain / sqrt(first dim), drawn from on the unconstrained scale. Without either it starts at zero on that scale."""

    value: Any = None
    start: tuple[str, float, float] | None = None
    learned: bool = True
    """False of a buffer, which no optimiser moves."""


@dataclass(frozen=True, eq=False, slots=True)
class Let(Symbol):
    """A top-level `let`: computed once, in float64 on the host, from data alone."""

    value: Expr | None = None


@dataclass(frozen=True, eq=False, slots=True)
class Local(Symbol):
    """A parameter of a body that is computed many times: of a `Map`, a `Loop`, a `Trajectory` or a `Quantile`."""


@dataclass(eq=False, slots=True)
class ExternNet:
    """A function that Python gives: its declared inputs and output, one event each.

    function: filled when the model is loaded; a program belongs to one load.
    """

    name: str
    inputs: tuple[Space, ...]
    output: Space
    span: Span
    function: Callable[..., Any] | None = None


@dataclass(frozen=True, eq=False, slots=True)
class Flow:
    """The layers of a flow, from the base to the data. event: what they move; conditions: what they are given with it.

    The params of layers are made when dims are known (`energylang.lower.flows.leaves`): shared by mention, as those of nets.
    """

    name: str
    span: Span
    base: str
    layers: tuple[LayerCall, ...]
    event: Shape
    conditions: tuple[Space, ...]

    @property
    def learns(self) -> bool:
        return any(learns(layer) for layer in self.layers)

    @property
    def estimated(self) -> str:
        """The first layer whose log-determinant is an estimate, in words; empty where none is."""
        for layer in self.layers:
            kind = log_determinant(layer)
            if kind != "exact":
                return f"the {kind} log-determinant of `{layer.name}` in `{self.name}`"
        return ""


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

    batch_rank: how many leading dims of the result are the batch; an argument's leading dims broadcast to them. The
    body's own shape follows.
    """

    parameters: tuple[Local, ...]
    arguments: tuple[Expr, ...]
    body: Expr
    batch_rank: int

    @property
    def bodies(self) -> tuple[Expr, ...]:
        return (self.body,)


@dataclass(frozen=True, eq=False, slots=True)
class Loop(Expr):
    """States carried from turn to turn: `bodies[i]` is the next value of the state `parameters[i]`.

    The first parameters are the states, and their first values the first arguments; the others are an element each, along
    the first axis, of the other arguments. stacked: its values are the states after every turn, along a new first axis;
    otherwise those after the last. It has several values, which `Output` tells apart; its type is that of the first.
    """

    parameters: tuple[Local, ...]
    arguments: tuple[Expr, ...]
    bodies: tuple[Expr, ...]
    length: Dim
    stacked: bool


@dataclass(frozen=True, eq=False, slots=True)
class Transport(Expr):
    """Values moved through the layers of a flow: from the data to the base where `inverse`, else from the base to the data.

    arguments: the value, batch dims before the event's; the conditions, whose batch dims broadcast to the value's; after
    lowering the params, which `leaves` names. It has two values, which `Output` tells apart: the value moved, and the log
    of the absolute determinant of that move, float[batch]; its type is that of the first.
    """

    flow: Flow
    inverse: bool
    arguments: tuple[Expr, ...]
    leaves: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False, slots=True)
class Output(Expr):
    """One of the values of a node that has several."""

    source: Loop | Transport
    place: int


@dataclass(frozen=True, eq=False, slots=True)
class Trajectory(Expr):
    """The solution of an ordinary differential equation: parameters (time, state), the body is the derivative.

    arguments: the state at the start, the times asked for, the time of the start. Its value has the times along its
    first axis; it is NaN where the solver needs more than `max_steps`, or the times do not increase from the start.
    """

    parameters: tuple[Local, Local]
    arguments: tuple[Expr, Expr, Expr]
    body: Expr
    solver: str
    rtol: float
    atol: float
    max_steps: int

    @property
    def bodies(self) -> tuple[Expr, ...]:
        return (self.body,)


@dataclass(frozen=True, eq=False, slots=True)
class Quantile(Expr):
    """Where a distribution function has a given value: the least number between two bounds at which it is that large.

    bodies: the log of the distribution function at the parameter, and of its complement. arguments: the bounds (those of
    integers belong to what is looked through), then the log of the value sought and of its complement, the smaller of
    which decides. Everything has the shape of the node or broadcasts to it. NaN where the bodies are.
    """

    parameters: tuple[Local]
    arguments: tuple[Expr, Expr, Expr, Expr]
    bodies: tuple[Expr, Expr]


Binder = Map | Loop | Trajectory | Quantile
"""Nodes with bodies that are computed for many values of their parameters."""


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


@dataclass(frozen=True, eq=False, slots=True)
class Extern(Expr):
    """A call of an extern net. The type's shape is the batch, then the output; the arguments' batches broadcast to it."""

    net: ExternNet
    arguments: tuple[Expr, ...]


@dataclass(frozen=True, eq=False, slots=True)
class Marginal(Expr):
    """-log of the sum, over all values of discrete `variables`, of exp(-energy): one real number.

    The energy is the sum of the `terms`. The variables are its own: nothing outside of it mentions them.
    """

    variables: tuple[Variable, ...]
    terms: tuple[Term, ...]


@dataclass(frozen=True, eq=False, slots=True)
class Recovered(Expr):
    """A variable that a `Marginal` sums out, drawn from its law given everything else; only in reports."""

    marginal: Marginal
    variable: Variable


def children(expr: Expr) -> tuple[Expr, ...]:
    """The operands, in order; of what has bodies its arguments, then its bodies; of a `Marginal` the values of its terms."""
    if isinstance(expr, Apply | Random | Extern | Transport):
        return expr.arguments
    if isinstance(expr, Binder):
        return (*expr.arguments, *expr.bodies)
    if isinstance(expr, Output):
        return (expr.source,)
    if isinstance(expr, Marginal):
        return tuple(term.value for term in expr.terms)
    if isinstance(expr, Recovered):
        return (expr.marginal,)
    return ()


def with_children(expr: Expr, operands: tuple[Expr, ...]) -> Expr:
    """The node over other operands, given as `children` gives them; itself where they are the same objects."""
    if all(a is b for a, b in zip(operands, children(expr), strict=True)):
        return expr
    if isinstance(expr, Apply | Random | Extern | Transport):
        return replace(expr, arguments=operands)
    if isinstance(expr, Map):
        return replace(expr, arguments=operands[:-1], body=operands[-1])
    if isinstance(expr, Loop):
        count = len(expr.arguments)
        return replace(expr, arguments=operands[:count], bodies=operands[count:])
    if isinstance(expr, Output):
        (source,) = operands
        assert isinstance(source, Loop | Transport)
        return replace(expr, source=source)
    if isinstance(expr, Trajectory):
        start, times, origin, body = operands
        return replace(expr, arguments=(start, times, origin), body=body)
    if isinstance(expr, Quantile):
        low, high, below, above, *bodies = operands
        return replace(expr, arguments=(low, high, below, above), bodies=(bodies[0], bodies[1]))
    if isinstance(expr, Marginal):
        terms = tuple(replace(t, value=value) for t, value in zip(expr.terms, operands, strict=True))
        return replace(expr, terms=terms)
    assert isinstance(expr, Recovered)
    (marginal,) = operands
    assert isinstance(marginal, Marginal)
    return replace(expr, marginal=marginal)


def walk(*roots: Expr) -> Iterator[Expr]:
    """Every expression below the roots once, operands before what uses them. Iterative: depth is no limit."""
    seen: set[int] = set()
    # None on the stack says that the operands of what lies below it have been given.
    stack: list[Any] = list(reversed(roots))
    while stack:
        expr = stack.pop()
        if expr is None:
            yield stack.pop()
            continue
        if id(expr) in seen:
            continue
        seen.add(id(expr))
        below = children(expr)
        if below:
            stack += (expr, None, *reversed(below))
        else:
            yield expr


def symbols(*roots: Expr, through_lets: bool = False, through_bounds: bool = False) -> tuple[Symbol, ...]:
    """The symbols that the roots mention, each once.

    through_lets: also those that top-level lets are made of. through_bounds: also those in the bounds of their spaces.
    What a `Marginal` sums out is its own, and not among them, and so are the parameters of bodies.
    """
    found: dict[int, Symbol] = {}
    bound: set[int] = set()
    pending = list(roots)
    while pending:
        for expr in walk(pending.pop()):
            if isinstance(expr, Marginal):
                bound.update(id(v) for v in expr.variables)
            if isinstance(expr, Binder):
                bound.update(id(p) for p in expr.parameters)
            if isinstance(expr, Reference) and id(expr.symbol) not in found:
                found[id(expr.symbol)] = expr.symbol
                if through_lets and isinstance(expr.symbol, Let) and expr.symbol.value is not None:
                    pending.append(expr.symbol.value)
                if through_bounds:
                    pending += expr.symbol.space.bounds
    return tuple(symbol for key, symbol in found.items() if key not in bound)


def flows(*roots: Expr) -> tuple[Flow, ...]:
    """The flows that values below the roots are moved through, each once."""
    return tuple(dict.fromkeys(e.flow for e in walk(*roots) if isinstance(e, Transport)))


def randoms(*roots: Expr) -> dict[Random | Recovered, int]:
    """Every draw below the roots with the number that its key is made with, counted in the order of `walk`.

    What is recovered of one `Marginal` is drawn together, and has one number.
    """
    found: dict[Random | Recovered, int] = {}
    numbers: dict[int, int] = {}
    for expr in walk(*roots):
        if isinstance(expr, Random | Recovered):
            drawn = expr.marginal if isinstance(expr, Recovered) else expr
            found[expr] = numbers.setdefault(id(drawn), len(numbers))
    return found


# --- energies and programs --------------------------------------------------------------------------------------


class Normalisation(Enum):
    """What is known of log Z."""

    NORMALISED = "normalised"
    DECLARED = "declared"
    UNKNOWN = "unknown"


@dataclass(frozen=True, eq=False, slots=True)
class Term:
    """One scalar summand of an energy, with where it was written and what it is in words.

    density_of: the variable whose whole normalised density, given what else it mentions, this term is; else None.
    """

    value: Expr
    span: Span
    text: str
    density_of: Variable | None = None


@dataclass(frozen=True, eq=False, slots=True)
class Report:
    """Something kept with the draws that is no part of the energy. What is below it may be random."""

    name: str
    value: Expr

    @property
    def predictive(self) -> bool:
        """Whether it is a prediction (`report a ~ d(…)`), and not computed from variables."""
        return any(isinstance(node, Random) for node in randoms(self.value))


@dataclass(frozen=True, eq=False, slots=True)
class Law:
    """What one `~` of a block says: a density of its target, and how that is drawn.

    name: of the variable, data or `let` left of `~`. base: the whole of it; target: base itself, or an index or slice.
    term: the summand of the energy that it became. energy: the same element by element, float[batch]: its sum is the term.
    draw: the target drawn anew, given all that its arguments mention; None where `why` says that it cannot be.

    A composition may keep a law of its part as long as it stays true: `term` is one of its own terms, and `draw` has the
    law that `energy` says. Laws whose terms an energy does not have are as good as not there (`Energy.standing`), so it
    is enough to keep terms as they are, or to change everything at once by `Energy.mapped`.
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
    hidden: str = ""
    """Why its normaliser depends on a condition in a way that nothing accounts for; empty where it does not."""
    laws: tuple[Law, ...] = ()
    """What each `~` of its block says; empty where it is not a block."""

    @property
    def level(self) -> Level | None:
        """The level among the conditions."""
        return next((c for c in self.conditions if isinstance(c, Level)), None)

    @property
    def roots(self) -> tuple[Expr, ...]:
        """Every expression that is evaluated: terms, reports, laws, bounds of its variables and of the params it uses."""
        values = tuple(t.value for t in self.terms) + tuple(r.value for r in self.reports)
        written = (*values, *(root for law in self.standing for root in law.roots), *self.bounds)
        used = symbols(*written, through_bounds=True)
        return written + tuple(b for s in used if isinstance(s, Param) for b in s.space.bounds)

    @property
    def bounds(self) -> tuple[Expr, ...]:
        """The bounds of its variables that are expressions."""
        return tuple(b for v in self.variables for b in v.space.bounds)

    @property
    def standing(self) -> tuple[Law, ...]:
        """The laws whose terms the energy has."""
        terms = {id(t) for t in self.terms}
        return tuple(law for law in self.laws if id(law.term) in terms)

    @property
    def flow(self) -> bool:
        """Whether it is a flow, and nothing beside it."""
        value = self.terms[0].value if len(self.terms) == 1 else None
        parts = value.arguments if isinstance(value, Apply) else ()
        return any(isinstance(p, Output) and isinstance(p.source, Transport) for p in parts) and not self.reports

    @property
    def observations(self) -> tuple[Law, ...]:
        """The laws of data."""
        return tuple(law for law in self.standing if law.variable is None)

    def mapped(self, function: Callable[[Expr], Expr]) -> Energy:
        """The energy with `function` of every expression in it: terms, reports and laws."""
        terms = {id(t): replace(t, value=function(t.value)) for t in self.terms}
        laws = tuple(
            replace(
                law, base=function(law.base), target=function(law.target), energy=function(law.energy),
                draw=None if law.draw is None else function(law.draw), term=terms[id(law.term)],
            )
            for law in self.standing
        )  # fmt: skip
        reports = tuple(replace(r, value=function(r.value)) for r in self.reports)
        return replace(self, terms=tuple(terms[id(t)] for t in self.terms), reports=reports, laws=laws)

    @property
    def traits(self) -> Traits:
        from energylang.ir.ancestry import drawable

        used = symbols(*(t.value for t in self.terms), *self.bounds)
        moved = flows(*(t.value for t in self.terms))
        return Traits(
            continuous=any(not v.space.discrete for v in self.variables),
            discrete=any(v.space.values is not None for v in self.variables),
            normalised=self.normalisation is not Normalisation.UNKNOWN,
            params=any(isinstance(s, Param) for s in used) or any(flow.learns for flow in moved),
            variables=tuple(v.name for v in self.variables),
            counts=any(v.space.kind == "count" for v in self.variables),
            drawable=drawable(self),
            estimated=next((flow.estimated for flow in moved if flow.estimated), ""),
            conditions=bool(self.conditions),
        )


@dataclass(frozen=True, eq=False, slots=True)
class Requirement:
    """One comparison of a constraint, entry by entry.

    violation: by how much each entry misses it, zero where it holds. penalty: what is added to an energy for that, zero
    in the same places; of an equality the square, so that the gains of sums are exact. excess: what must not be above
    zero, or be zero (`equality`); None where an entry holds or does not and nothing lies between.
    """

    violation: Expr
    penalty: Expr
    excess: Expr | None
    equality: bool
    span: Span
    text: str


@dataclass(frozen=True, eq=False, slots=True)
class Constraint:
    """What the points of `optimize` must satisfy: every entry of every requirement."""

    name: str
    span: Span
    doc: str
    variables: tuple[Variable, ...]
    conditions: tuple[Condition, ...]
    requirements: tuple[Requirement, ...]

    def mapped(self, function: Callable[[Expr], Expr]) -> tuple[Requirement, ...]:
        """The requirements with `function` of every expression in them."""
        return tuple(
            replace(
                r, violation=function(r.violation), penalty=function(r.penalty),
                excess=None if r.excess is None else function(r.excess),
            )
            for r in self.requirements
        )  # fmt: skip


@dataclass(frozen=True, eq=False, slots=True)
class Task:
    """A task with everything resolved that can be before data; `bindings` fill conditions (and variables to train)."""

    verb: Verb
    energy: Energy
    bindings: tuple[tuple[str, Expr], ...]
    method: MethodCall | None
    options: tuple[tuple[str, Any], ...]
    span: Span


@dataclass(frozen=True, eq=False, slots=True)
class Program:
    """A checked model; names of what its modules declare are qualified (`rings.W`)."""

    source: Source
    consts: dict[str, bool | int | float]
    data: tuple[Data, ...]
    lets: tuple[Let, ...]
    params: tuple[Param, ...]
    energies: dict[str, Energy]
    tasks: tuple[Task, ...]
    imported: dict[str, Energy] = field(default_factory=dict)
    """Energies of the modules that it imports, by their qualified names."""
    sources: tuple[Source, ...] = ()
    """Of all modules, its own too."""
    externs: tuple[ExternNet, ...] = ()
    distributions: tuple[Energy, ...] = ()
    """What it and its modules declare to be normalised."""
    constraints: dict[str, Constraint] = field(default_factory=dict)
    """By name; those of its modules by their qualified names."""
