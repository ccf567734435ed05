"""What lowering makes and methods see: points, targets, and the protocols of methods.

Shapes here are those of one chain or one particle; drivers batch. Every state, tuning and memory is a pytree whose
leaves are all arrays; methods themselves are frozen dataclasses of plain options (hashable, static under jit).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, Protocol, TypeAlias, TypeVar, runtime_checkable

import jax
import numpy as np
from jax import Array

from energylang.catalog import MethodCall, Traits, Verb

PRNGKey: TypeAlias = Array
Scalar: TypeAlias = Array
UNBOUNDED = 2**31 - 1
"""What stands for the number of values of a `count` among cardinalities: codes are int32, and have no last value."""
Info: TypeAlias = dict[str, Array]
"""Statistics of one step or span, scalars under ArviZ's names: acceptance_rate, diverging, step_size, n_steps…"""


class Point(NamedTuple):
    """One draw.

    real: float[R], every continuous variable, one flat unconstrained vector.
    code: one int32[D_k] per distinct cardinality k (in ascending order), each discrete variable as a code 0..k-1. Counts
    are one more array, the last: their cardinality is UNBOUNDED.
    """

    real: Array
    code: tuple[Array, ...]


class Outputs(NamedTuple):
    """What is kept of one draw, arrays by name.

    draws: each variable at its value in its space (int8, int16 if discrete), and reports that are computed.
    predictive: what is drawn given x: `report a ~ d(…)`, and data drawn anew where they are asked for.
    log_likelihood: minus the energy of each observation, float[batch], where it is asked for.
    """

    draws: dict[str, Array]
    predictive: dict[str, Array] = {}  # noqa: RUF012 - never changed
    log_likelihood: dict[str, Array] = {}  # noqa: RUF012


@dataclass(frozen=True)
class TermFact:
    """What the analysis found of one term: its `kind`, how many rows (or sums), how many sites a row couples, and the text.

    width: of "sums" 2 where the function is of degree two at most, so that no more than two sites interact, else all that it has.
    """

    kind: Literal["gather", "quadratic", "sums", "opaque", "continuous"]
    rows: int
    width: int
    text: str
    reason: str = ""


@dataclass(frozen=True)
class Facts:
    """Static knowledge of a target, found by analysis and never by probing.

    reals: length R of `Point.real`. cardinalities: the k of each code array. sites: its length D_k.
    gains: "exact" where `Target.gains` is the true change of log density, "estimate" where it comes from a gradient of
    an extension, "none" without discrete variables.
    colours: the number of colours of the conflict graph (sites of one colour are conditionally independent given the
    rest); 0 without discrete variables or where it was not computed.
    reach: the most sites whose gains change with the value of one, that site among them; 0 where gains are only to be
    had all at once. Otherwise the target is `Local`.
    groups: into how many groups, each of them trees given all others, the sites fall (`Forested`); 0 where that is not so,
    or was not looked for: only `auto` asks, of targets that are not `Local` and of many colours.
    fields: the sites whose couplings with others are a matrix, and what they add up to is carried along by sweeps.
    layers: where there are few colours, each of consecutive sites, of each colour its (first site, one past its last) in
    each code array; else nothing.
    augmented: those of the target with hidden variables (`Augmented`), where there is one; like groups only looked for where
    `auto` asks, and gains are estimates.
    """

    reals: int
    cardinalities: tuple[int, ...]
    sites: tuple[int, ...]
    gains: Literal["exact", "estimate", "none"]
    colours: int = 0
    reach: int = 0
    groups: int = 0
    fields: int = 0
    layers: tuple[tuple[tuple[int, int], ...], ...] = ()
    augmented: Facts | None = None
    terms: tuple[TermFact, ...] = field(default=(), compare=False)

    @property
    def states(self) -> int:
        """The number of discrete configurations, as a Python integer of any size."""
        total = 1
        for cardinality, count in zip(self.cardinalities, self.sites, strict=True):
            total *= cardinality**count
        return total

    @property
    def discrete(self) -> int:
        """Sites with finitely many values."""
        return sum(self.sites) - self.counts

    @property
    def counts(self) -> int:
        """Sites with unboundedly many."""
        return sum(s for k, s in zip(self.cardinalities, self.sites, strict=True) if k == UNBOUNDED)


@dataclass(frozen=True)
class Selection:
    """Some variables of a target: positions in `Point.real`, and per code array positions in it (all static)."""

    real: tuple[int, ...]
    code: tuple[tuple[int, ...], ...]


@runtime_checkable
class Target(Protocol):
    """An unnormalised log density as methods see it.

    A pytree: params, data, fixed values, the level and index tables are leaves; only shapes and the program are static.
    """

    @property
    def facts(self) -> Facts: ...

    @property
    def variables(self) -> Mapping[str, Selection]:
        """Where each variable of the model lies in a Point of this target."""
        ...

    @property
    def colouring(self) -> tuple[Array, ...]:
        """int32[D_k] per code array: the colour of each site, 0..facts.colours-1. A leaf."""
        ...

    def energy(self, x: Point) -> Scalar:
        """E at the constrained value of x; no Jacobian. `at(beta)` scales this and nothing else."""
        ...

    def log_jacobian(self, x: Point) -> Scalar:
        """log |d constrained / d unconstrained|, of the continuous variables."""
        ...

    def log_density(self, x: Point) -> Scalar:
        """-energy(x) + log_jacobian(x): the log density of the unconstrained vector and the codes."""
        ...

    def gains(self, x: Point) -> tuple[Array, ...]:
        """float[D_k, k] per code array: log_density with one site set to each value, minus log_density(x).

        Of counts, whose values cannot be listed: float[D_k, 0]. Zero at the current value. Exact where `facts.gains == "exact"`, otherwise an estimate for proposals.
        """
        ...

    def outputs(self, x: Point, key: PRNGKey) -> Outputs:
        """What is kept of a draw. `key` is for what is drawn given x; another x with the same key is another draw."""
        ...

    def at(self, level: Array) -> Target:
        """The same target at another inverse temperature (or noise level). `at(…)` of `at(…)` keeps the treedef.

        The level replaces the one before, it does not multiply it; a target that was never told one is at 1.
        """
        ...

    def select(self, selection: Selection, rest: Point) -> Target:
        """The conditional energy of some variables, the others fixed at `rest`: a Target over the smaller Point.

        rest: a whole Point of this target, of which the selected part is ignored. The smaller Point keeps the order of
        the selection; code arrays of which nothing is selected are dropped, from `facts.cardinalities` too.
        """
        ...

    def given(self, rest: Point) -> Target:
        """A selected target with other fixed values (a whole Point, as for `select`): same treedef, never a retrace."""
        ...


class Local(Target, Protocol):
    """A target in which a site's gains depend on few others, and cost as much as the rows that read it.

    Sites are int32[m] for each code array (none of counts); D_k, one past the last, stands for none.
    """

    def carried(self, x: Point) -> Any:
        """What gains are made of that all sites change, sums over sites and fields: kernels that sweep carry it along."""
        ...

    def carried_after(self, x: Point, carried: Any, colour: int | Array, values: tuple[Array, ...]) -> Any:
        """The same once the sites of a colour of x, as `gains_of_colour` lists them, take other values: int32[m] per code array."""
        ...

    def gains_of_colour(
        self, x: Point, colour: int | Array, carried: Any = None
    ) -> tuple[tuple[Array, Any, Array], ...]:
        """For each code array the sites of a colour, their ranks, and their gains, float[m, k].

        Ranks number the sites of a code array colour by colour; they index an array of D_k numbers. With a traced
        colour every colour has as many places as the largest.
        """
        ...

    def gains_at(self, x: Point, sites: tuple[Array, ...], carried: Any = None) -> tuple[Array, ...]:
        """float[m, k] per code array: `gains`, of the given sites. carried: that of x, where it is known."""
        ...

    def reached(self, site: Array) -> tuple[Array, ...]:
        """The sites whose gains change with the value of `site`, itself among them; D_k fills up to `facts.reach`.

        site: a scalar, sites of the code arrays numbered through without counts.
        """
        ...


class Pairwise(Target, Protocol):
    """A target whose energy in its discrete variables couples sites in pairs, that agree or do not, beside single sites.

    Sites are those of the code arrays (none of counts), one array after another.
    """

    def pairs(self) -> np.ndarray:
        """int32[E, 2]: the coupled pairs, each once. Raises DiagnosticError E0655, E0656 where the energy has another form.

        Static: found by analysis, when the target is first asked."""
        ...

    def couplings(self, x: Point) -> tuple[Array, Array | None]:
        """(float[E] couplings J, float[D, K] energies h of each site at each value, or nothing where no site has any).

        As a function of the codes energy(x) = sum_i h[i, x_i] - sum_e J_e [x_a = x_b] + constant. J is not below zero, but
        for sites of two values. x is needed for its other variables.
        """
        ...


class Forested(Target, Protocol):
    """A target whose sites are in groups, each a forest of pairs given all others, that can be drawn jointly."""

    def trees(self) -> tuple[int, ...]:
        """How many groups there are of each kind; groups of a kind have one program. Raises DiagnosticError E0657."""
        ...

    def tree_tables(self, x: Point) -> Any:
        """What drawing goes by, at x: it is passed on from group to group."""
        ...

    def redrawn(self, x: Point, kind: int, number: int | None, tables: Any, key: PRNGKey) -> tuple[Point, Any]:
        """The Point with group `number` of a kind drawn anew from its law given everything else, exactly, and the tables there.

        All groups of a sweep may have one key: each takes numbers of its own.
        """
        ...


class Augmented(Target, Protocol):
    """A target whose law is that of some variables of a joint target, the others, hidden ones, summed out."""

    def augmented(self) -> Target:
        """The joint target. Raises DiagnosticError E0659 where there is none.

        Its gains are exact. In each of its code arrays hidden sites come after those of this target; they have colour 0 and
        these the others, so that all of them are independent given these.
        """
        ...


@runtime_checkable
class NormalLaws(Protocol):
    """A target that knows which of its variables have a normal law given what stays; `remainder` leaves those laws out."""

    def normal_laws(self, free: Collection[str] | None = None) -> tuple[str, ...]:
        """The variables, unconstrained reals, with one normal law whose arguments hold nothing that moves.

        free: what moves of this target's variables; None for all. A selected target adds what its selection fixes.
        """
        ...

    def mean_and_draw(self, names: Sequence[str], x: Point, key: PRNGKey) -> tuple[Array, Array]:
        """(float[K], float[K]): means of the normal laws of some variables, side by side, and one draw of them."""
        ...

    def remainder(self, names: Sequence[str], x: Point) -> Scalar:
        """log_density(x) minus the log densities of the normal laws of some variables."""
        ...


class Drawable(Target, Protocol):
    """A normalised target whose variables can be drawn one after another, each from its own distribution."""

    def draw(self, key: PRNGKey) -> Point:
        """An exact draw, independent of those with other keys."""
        ...


class Phase(NamedTuple):
    """Where a warm-up step stands; scanned data, so that warm-up and sampling are one program. All scalars.

    slow: inside one of the windows in which scales (a mass matrix) are learned. window_end: the last step of such a
    window. last: the last step of warm-up. progress: float in (0, 1], the fraction of warm-up done.
    """

    warming: Array
    slow: Array
    window_end: Array
    last: Array
    progress: Array


S = TypeVar("S")
P = TypeVar("P")
A = TypeVar("A")


class Kernel(Protocol[S, P, A]):
    """Markov chain Monte Carlo of every kind. S: state with the Point at `S.x`; P: tuning; A: adaptation memory."""

    @property
    def scope(self) -> Literal["chain", "ensemble"]:
        """Whether each chain has a tuning and a memory of its own, or all chains of a run share one.

        Of an ensemble too `init`, `refresh` and `step` are those of one chain: after warm-up its chains are independent.
        """
        ...

    @property
    def moves(self) -> Literal["continuous", "discrete", "counts", "any"]:
        """Which variables it can move; the rest of the Point it leaves alone. The catalog's spec says the same."""
        ...

    def init(self, target: Target, x: Point, key: PRNGKey) -> S:
        """The state at x, caches filled."""
        ...

    def refresh(self, target: Target, state: S) -> S:
        """The target changed under the state: rebuild what is cached, keep the Point."""
        ...

    def step(self, target: Target, tune: P, state: S, key: PRNGKey) -> tuple[S, Info]:
        """One step that leaves the target invariant for any fixed `tune`."""
        ...

    def tuning(self, target: Target) -> tuple[P, A]:
        """The tuning to start warm-up with, and the adaptation's memory."""
        ...

    def adapt(self, phase: Phase, tune: P, memory: A, state: S, info: Info) -> tuple[P, A]:
        """The adaptation rule; the driver calls it after each warm-up step and never afterwards.

        Of an ensemble state and info are those of all chains, each leaf with a leading dim of chains.
        """
        ...


class Measure(NamedTuple):
    """A point to `optimize`: its energy, and by how much it misses the constraints, summed. Scalars."""

    energy: Array
    violation: Array


class Problem(Protocol):
    """What `optimize` minimises: an energy, never with a Jacobian, over the points that satisfy its constraints.

    A pytree as a target is. Beside it stand the targets that kernels move on.
    """

    @property
    def facts(self) -> Facts: ...

    @property
    def tolerance(self) -> Array:
        """The violation up to which a point is feasible."""
        ...

    @property
    def constrained(self) -> bool: ...

    def target(self, penalty: Array | float = 0.0, objective: Array | float = 1.0) -> Target:
        """The target with energy `objective` E + `penalty` P, P zero where feasible; one treedef for all weights."""
        ...

    def measure(self, x: Point) -> Measure: ...

    def changes(self, x: Point) -> tuple[tuple[Array, ...], tuple[Array, ...]]:
        """float[D_k, k] per code array: the change of E, and of P, when one site takes each value (see `facts.gains`)."""
        ...

    def excess(self, x: Point) -> tuple[Array, Array]:
        """What must not be above zero, and what must be zero: float[I] and float[J], all entries of all constraints."""
        ...


class Search(Protocol[S]):
    """A method of `optimize`. The driver runs restarts side by side and keeps the best points; `S.x` is the Point.

    A trace entry is a level: `enter` once, then some steps.
    """

    @property
    def descends(self) -> bool:
        """Whether it ends where no slope of the reals is left, so that nothing need descend after it."""
        ...

    def init(self, problem: Problem, x: Point, key: PRNGKey) -> S:
        """The state at x before the first level."""
        ...

    def enter(self, problem: Problem, state: S, progress: Array, measure: Measure) -> S:
        """The next level begins: progress in [0, 1], 0 at the first and 1 at the last; measure: of `state.x`."""
        ...

    def step(self, problem: Problem, state: S, key: PRNGKey) -> tuple[S, Info]:
        """One step. Info: what the trace shows of it."""
        ...

    def weight(self, state: S) -> Scalar:
        """The weight of violations now: of points that are not feasible, those count as good that it says."""
        ...


Z = TypeVar("Z")
T = TypeVar("T")


class Path(Protocol[Z, T]):
    """Annealing and importance methods of every kind: weighted draws, and log Z.

    The driver runs `start`, then `forward` over spans 0..spans-1, then `finish`;
    log w = -LogQ + sum of LogG. E[w] = Z exactly.
    """

    @property
    def spans(self) -> int: ...

    def prepare(self, target: Target, key: PRNGKey) -> T:
        """What all particles share: learned parameters, a table of energies, a fitted base. Called once."""
        ...

    def start(self, target: Target, theta: T, key: PRNGKey) -> tuple[Z, Scalar]:
        """A draw from the base, and LogQ = log q(z) - log gamma_0(z), q normalised.

        gamma_0 is what the first span calls gamma_from: where it is the base itself LogQ is zero; for a path without
        spans, whose `finish` gives the whole log density, gamma_0 is 1.
        """
        ...

    def forward(self, target: Target, theta: T, span: Array, z: Z, key: PRNGKey) -> tuple[Z, Scalar, Info]:
        """Across one span; LogG = log gamma_to(z') + log B(z | z') - log gamma_from(z) - log F(z' | z)."""
        ...

    def finish(self, target: Target, theta: T, z: Z) -> tuple[Point, Scalar]:
        """The draw, and the last LogG (for a path without spans: the target's log density)."""
        ...


class Choice(Protocol):
    """The method where the user names none (`protocol = "choice"` in the catalog): from the facts, with its reason."""

    def choose(self, facts: Facts, verb: Verb, traits: Traits) -> tuple[MethodCall, str]:
        """The method, and why, as a sentence with the numbers it rests on."""
        ...


class Player(NamedTuple):
    """One optimiser of an objective: `owns` names the parameters it moves (empty: all), each `every` steps."""

    name: str
    owns: tuple[str, ...] = ()
    every: int = 1


O = TypeVar("O")  # noqa: E741 - the design's letter for an objective's memory
Metrics: TypeAlias = dict[str, Array]
Params: TypeAlias = dict[str, Any]
Batch: TypeAlias = Mapping[str, Array]


class Trainable(Protocol):
    """An energy as objectives see it: parameters outside, data inside."""

    @property
    def params(self) -> Params: ...

    @property
    def buffers(self) -> tuple[str, ...]:
        """Names in `params` that no optimiser moves (running statistics, singular vectors): `begun` and `settled` set them.

        Checkpoints and saved params hold them like any other.
        """
        ...

    def with_params(self, params: Params) -> Trainable: ...

    def begun(self, batch: Batch, key: PRNGKey) -> Trainable:
        """The same at the params that training starts from, where these depend on data: called once, with the first batch."""
        ...

    def settled(self) -> Trainable:
        """The same with its buffers brought up to its params: called after every step of an optimiser."""
        ...

    def __call__(self, values: Batch) -> Scalar:
        """The energy of one point: `values` maps each variable and condition to its constrained value."""
        ...

    def rows(self, values: Batch) -> Array:
        """float[B]: the energies of rows of points. To be differentiated as a whole: its derivative cannot be mapped."""
        ...

    def conditions(self, values: Batch) -> Batch:
        """Those of the values of one point that are of conditions."""
        ...

    def target(self, conditions: Batch) -> Target:
        """The target over the variables, the conditions fixed."""
        ...

    def point(self, values: Batch) -> Point:
        """The Point of the variables' values (and conditions', where bounds depend on them)."""
        ...


class Objective(Protocol[O]):
    """Training, by one player or several."""

    @property
    def players(self) -> tuple[Player, ...]: ...

    def init(self, model: Trainable, key: PRNGKey) -> O:
        """What is carried from step to step (particles, buffers); an empty tuple where nothing is."""
        ...

    def loss(
        self, player: Player, model: Trainable, memory: O, batch: Batch, key: PRNGKey
    ) -> tuple[Scalar, tuple[O, Metrics]]:
        """The loss of one player on one batch (leading dim: its rows); differentiated in `model.params`."""
        ...


def fold(key: PRNGKey, *numbers: Array | int) -> PRNGKey:
    """`fold_in` of each number in turn: the only way keys are derived (never split and carried)."""
    for number in numbers:
        key = jax.random.fold_in(key, number)
    return key
