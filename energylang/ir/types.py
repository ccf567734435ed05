"""Types of the intermediate representation: symbolic dims, kinds, array types and spaces. No JAX, no numpy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from math import inf
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from energylang.ir.nodes import Expr


@dataclass(frozen=True, slots=True)
class Dim:
    """The size of an axis: a polynomial with integer coefficients in named dims, in normal form.

    `terms` pairs a sorted tuple of names (with repetition for powers) with its coefficient, sorted, without zeros; so
    two dims are equal exactly when they are equal for every value of their names.
    """

    terms: tuple[tuple[tuple[str, ...], int], ...]

    @staticmethod
    def of(value: int | str) -> Dim:
        if isinstance(value, str):
            return Dim((((value,), 1),))
        return Dim((((), value),)) if value else Dim(())

    @staticmethod
    def _collect(pairs: list[tuple[tuple[str, ...], int]]) -> Dim:
        total: dict[tuple[str, ...], int] = {}
        for monomial, coefficient in pairs:
            total[monomial] = total.get(monomial, 0) + coefficient
        return Dim(tuple(sorted((m, c) for m, c in total.items() if c)))

    def __add__(self, other: Dim | int) -> Dim:
        other = other if isinstance(other, Dim) else Dim.of(other)
        return Dim._collect([*self.terms, *other.terms])

    def __neg__(self) -> Dim:
        return Dim(tuple((m, -c) for m, c in self.terms))

    def __sub__(self, other: Dim | int) -> Dim:
        return self + (-(other if isinstance(other, Dim) else Dim.of(other)))

    def __mul__(self, other: Dim | int) -> Dim:
        other = other if isinstance(other, Dim) else Dim.of(other)
        return Dim._collect([(tuple(sorted(m + n)), c * d) for m, c in self.terms for n, d in other.terms])

    @property
    def constant(self) -> int | None:
        """The value where no name occurs, else None."""
        if not self.terms:
            return 0
        if len(self.terms) == 1 and not self.terms[0][0]:
            return self.terms[0][1]
        return None

    @property
    def names(self) -> frozenset[str]:
        return frozenset(name for monomial, _ in self.terms for name in monomial)

    @property
    def single_name(self) -> str | None:
        """The name where the dim is just one name, else None."""
        if len(self.terms) == 1 and self.terms[0][1] == 1 and len(self.terms[0][0]) == 1:
            return self.terms[0][0][0]
        return None

    def substitute(self, values: Mapping[str, Dim]) -> Dim:
        total = Dim(())
        for monomial, coefficient in self.terms:
            product = Dim.of(coefficient)
            for name in monomial:
                product = product * values.get(name, Dim.of(name))
            total = total + product
        return total

    def evaluate(self, values: Mapping[str, int]) -> int:
        """The number, given every name's value. Raises KeyError for a name without one."""
        total = 0
        for monomial, coefficient in self.terms:
            for name in monomial:
                coefficient *= values[name]
            total += coefficient
        return total

    def __str__(self) -> str:
        if not self.terms:
            return "0"
        parts = []
        for monomial, coefficient in sorted(self.terms, key=lambda t: (-len(t[0]), t[0])):
            body = "*".join(monomial)
            if not monomial:
                text = str(abs(coefficient))
            else:
                text = body if abs(coefficient) == 1 else f"{abs(coefficient)}*{body}"
            parts.append(("-" if coefficient < 0 else "+", text))
        first_sign, first = parts[0]
        return ("-" if first_sign == "-" else "") + first + "".join(f" {s} {t}" for s, t in parts[1:])


Shape = tuple[Dim, ...]


class Kind(IntEnum):
    """Scalars, in the order of promotion: bool to int to real, never back."""

    BOOL = 0
    INT = 1
    REAL = 2

    def __str__(self) -> str:
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class Type:
    """An array of scalars of one kind."""

    kind: Kind
    shape: Shape = ()

    def __str__(self) -> str:
        return f"{self.kind}{show_shape(self.shape)}"


def show_shape(shape: Shape) -> str:
    """`[J, 3]`, or nothing for a scalar."""
    return f"[{', '.join(map(str, shape))}]" if shape else ""


@dataclass(frozen=True, slots=True)
class Range:
    """Where values are known to lie: numbers or dims, None for unbounded; `open_low` excludes the lower bound."""

    low: Dim | float | None = None
    high: Dim | float | None = None
    open_low: bool = False
    open_high: bool = False

    def number_low(self) -> float | None:
        return _number(self.low)

    def number_high(self) -> float | None:
        return _number(self.high)


def hull(a: Range, b: Range) -> Range:
    """A range that holds both, as far as their bounds can be compared."""
    if a == b:
        return a
    low, open_low = _outer(a.low, b.low, a.open_low, b.open_low, -1)
    high, open_high = _outer(a.high, b.high, a.open_high, b.open_high, 1)
    return Range(low, high, open_low, open_high)


def _outer(
    a: Dim | float | None, b: Dim | float | None, open_a: bool, open_b: bool, sign: int
) -> tuple[Dim | float | None, bool]:
    """The lower (sign -1) or the higher (sign 1) of two bounds, and whether it is excluded."""
    if a == b:
        return a, open_a and open_b
    if isinstance(a, Dim) and isinstance(b, Dim):
        difference = (a - b).constant
        return (None, False) if difference is None else (a, open_a) if difference * sign > 0 else (b, open_b)
    x, y = _number(a), _number(b)
    if x is None or y is None:
        return None, False
    return (a, open_a) if x * sign > y * sign else (b, open_b) if x != y else (a, open_a and open_b)


def _number(bound: Dim | float | None) -> float | None:
    return bound.constant if isinstance(bound, Dim) else bound


ANYWHERE = Range()
POSITIVE = Range(low=0.0, open_low=True)
NONNEGATIVE = Range(low=0.0)
UNIT = Range(low=0.0, high=1.0, open_low=True, open_high=True)


@dataclass(frozen=True, slots=True)
class SpaceInfo:
    """What a kind of space is: whether discrete, how many trailing dims are one event, how many arguments it takes.

    bounded: whether it has a finite volume, or finitely many values (of `interval` its bounds decide). square: an event
    is a square matrix, whose size is declared once.
    """

    discrete: bool
    kind: Kind
    event_rank: int = 0
    arguments: int = 0
    range: Range = ANYWHERE
    data_only: bool = False
    bounded: bool = False
    square: bool = False

    @property
    def declared_rank(self) -> int:
        """How many dims of an event are written in a declaration."""
        return self.event_rank - self.square


SPACES: dict[str, SpaceInfo] = {
    "real": SpaceInfo(False, Kind.REAL),
    "positive": SpaceInfo(False, Kind.REAL, range=POSITIVE),
    "unit": SpaceInfo(False, Kind.REAL, range=UNIT, bounded=True),
    "interval": SpaceInfo(False, Kind.REAL, arguments=2),
    "simplex": SpaceInfo(False, Kind.REAL, event_rank=1, range=Range(0.0, 1.0), bounded=True),
    "ordered": SpaceInfo(False, Kind.REAL, event_rank=1),
    "positive_ordered": SpaceInfo(False, Kind.REAL, event_rank=1, range=POSITIVE),
    "corr_cholesky": SpaceInfo(False, Kind.REAL, event_rank=2, range=Range(-1.0, 1.0), bounded=True, square=True),
    "cov_cholesky": SpaceInfo(False, Kind.REAL, event_rank=2, square=True),
    "spin": SpaceInfo(True, Kind.INT, range=Range(Dim.of(-1), Dim.of(1)), bounded=True),
    "binary": SpaceInfo(True, Kind.INT, range=Range(Dim.of(0), Dim.of(1)), bounded=True),
    "cat": SpaceInfo(True, Kind.INT, arguments=1, bounded=True),
    "count": SpaceInfo(True, Kind.INT, range=Range(Dim.of(0), None)),
    "int": SpaceInfo(True, Kind.INT, data_only=True),
    "bool": SpaceInfo(True, Kind.BOOL, data_only=True, range=Range(Dim.of(0), Dim.of(1)), bounded=True),
}
"""Every space of this version; those of the design that are missing are reported as not yet supported."""

SPACE_MEANINGS: dict[str, str] = {
    "real": "a real number",
    "positive": "a real above 0",
    "unit": "a real between 0 and 1",
    "interval": "`interval(a, b)`: a real between two bounds, one of which may be infinite",
    "simplex": "`simplex[k]`: k positive reals that sum to 1; the density is that of the first k - 1",
    "ordered": "`ordered[k]`: k increasing reals",
    "positive_ordered": "`positive_ordered[k]`: k increasing reals above 0",
    "corr_cholesky": "`corr_cholesky[k]`: the k by k lower Cholesky factor of a correlation matrix; the density is that of the entries below the diagonal",
    "cov_cholesky": "`cov_cholesky[k]`: the k by k lower Cholesky factor of a covariance matrix; the density is that of the lower triangle",
    "spin": "-1 or +1",
    "binary": "0 or 1",
    "cat": "`cat(k)`: 0, 1, … k - 1",
    "count": "0, 1, 2, …",
    "int": "any integer; a type of data, and as a scalar a size",
    "bool": "false or true (0 or 1); a type of data",
}
"""What a value of each space is, for documentation and editors."""

LATER_SPACES = ("sphere", "perm", "node", "neighbors", "graph")


@dataclass(frozen=True, slots=True)
class Space:
    """The space of a variable, condition, data or param: `shape` is the whole array's, event dims last.

    cardinality: of `cat`. low, high: the bounds of `interval`, each a number known when the model is checked (infinite
    where there is no bound) or an expression of symbols declared before, which broadcasts to `shape`.
    """

    kind: str
    shape: Shape = ()
    cardinality: Dim | None = None
    low: float | Expr | None = None
    high: float | Expr | None = None

    @property
    def info(self) -> SpaceInfo:
        return SPACES[self.kind]

    @property
    def discrete(self) -> bool:
        return self.info.discrete

    @property
    def declared(self) -> Shape:
        """The dims as they are written: of a square event the last one is left out."""
        return self.shape[:-1] if self.info.square else self.shape

    @property
    def type(self) -> Type:
        return Type(self.info.kind, self.shape)

    @property
    def event_rank(self) -> int:
        return self.info.event_rank

    @property
    def values(self) -> Dim | None:
        """How many values one site has, for the discrete spaces that are finite."""
        if self.kind in ("spin", "binary"):
            return Dim.of(2)
        return self.cardinality

    @property
    def bounds(self) -> tuple[Expr, ...]:
        """The bounds that are expressions."""
        return tuple(b for b in (self.low, self.high) if b is not None and not isinstance(b, int | float))

    @property
    def bounded(self) -> bool:
        """Whether it has a finite volume (or finitely many values)."""
        if self.kind == "interval":
            return self.low != -inf and self.high != inf
        return self.info.bounded

    @property
    def range(self) -> Range:
        if self.kind == "cat" and self.cardinality is not None:
            return Range(Dim.of(0), self.cardinality - 1)
        if self.kind == "interval":
            return Range(_lowest(self.low), _highest(self.high), True, True)
        return self.info.range

    def __str__(self) -> str:
        arguments = ""
        if self.kind == "cat":
            arguments = f"({self.cardinality})"
        if self.kind == "interval":
            arguments = f"({show_bound(self.low)}, {show_bound(self.high)})"
        return f"{self.kind}{arguments}{show_shape(self.declared)}"


def show_bound(bound: float | Expr | None) -> str:
    """A bound as it is written in a model."""
    if bound is None or isinstance(bound, int | float):
        number = 0.0 if bound is None else bound
        return f"{number:g}" if abs(number) < inf else "-infinity" if number < 0 else "infinity"
    return " ".join(bound.span.text.split())


def _lowest(bound: float | Expr | None) -> float | None:
    found = bound if bound is None or isinstance(bound, int | float) else bound.range.number_low()
    return None if found == -inf else found


def _highest(bound: float | Expr | None) -> float | None:
    found = bound if bound is None or isinstance(bound, int | float) else bound.range.number_high()
    return None if found == inf else found
