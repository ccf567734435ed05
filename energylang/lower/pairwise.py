"""Energies of pairs that like to agree: E = sum_e u_e(x_a) + v_e(x_b) - J_e [x_a = x_b] + sum_i h_i(x_i), J_e >= 0.

Ising and Potts models on any graph, with fields, have this form. It is found on the tables of `lower.factors`: a pair has
a table of energies T of its two values, and where T(a, b) + J [a = b] is a sum of a part of each value, J is its coupling.
Of sites of two values every table is such a sum, with 2 J = T(0, 1) + T(1, 0) - T(0, 0) - T(1, 1); a J below zero then
asks its sites to differ, which is the same model with the values of some sites exchanged, unless a cycle is frustrated.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isqrt
from typing import Any

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from energylang.diagnostics import Diagnostic, DiagnosticError
from energylang.ir.nodes import Apply, Energy, Expr, Literal, Local, Symbol, Variable, symbols
from energylang.ir.types import Kind, Range, Type
from energylang.lower.evaluate import evaluate
from energylang.lower.factors import MOST_CONFIGURATIONS, Factor, Factors, factors_of, product, scatter_add
from energylang.lower.operations import NUMPY, Backend
from energylang.lower.spaces import CodeSlot
from energylang.lower.structure import Gather, Structured

TOLERANCE = 1e-9
"""Relative to the largest entry of a table, in float64."""


@dataclass(frozen=True, eq=False)
class Pairs:
    """The pairs of an energy. Sites are those of the code arrays, one after another, counts left out.

    edges: int32[E, 2], each pair of sites once. places: per coupling factor of `factors`, the edge of each row.
    shifted: of which coupling factors the tables have parts of single values. fields: whether any site has an energy of
    its own.
    """

    factors: Factors
    edges: np.ndarray
    places: tuple[np.ndarray, ...]
    shifted: tuple[bool, ...]

    @property
    def fields(self) -> bool:
        return bool(self.factors.unary or self.factors.linear or any(self.shifted))

    def couplings(self, environment: Mapping[Any, Any], backend: Backend) -> tuple[Any, Any]:
        """(float[E] couplings J, float[sites, K] energies of each site alone)."""
        xp = backend.xp
        factors = self.factors
        _, field = factors.alone(environment, backend, evaluate)
        strength: Any = None
        for factor, places, shifted in zip(factors.coupling, self.places, self.shifted, strict=True):
            k, rows = factor.cardinalities[0], len(factor.sites)
            # (0, 0), (0, 1), (1, 0), (1, 1), then all (a, 0), then all (0, b): enough where the form is known.
            corners = [0, 1, k, k + 1] if k > 1 else [0, 0, 0, 0]
            chosen = np.asarray([*corners, *(np.arange(k) * k), *np.arange(k)] if shifted else corners)
            table = factors.table(factor, chosen, environment, backend, evaluate)
            found = _coupling(*table[:4])
            strength = scatter_add(backend, strength, places, xp.broadcast_to(found, (rows,)), len(self.edges))
            if shifted:
                agreeing = (np.arange(k) == 0)[:, None] * found
                parts = table[4 : 4 + k] + agreeing - table[:1], table[4 + k :] + agreeing
                for values, sites in zip(parts, factor.sites.T, strict=True):
                    wide = xp.broadcast_to(xp.transpose(values), (rows, k))
                    wide = xp.pad(wide, ((0, 0), (0, field.shape[1] - k)))
                    field = scatter_add(backend, field, sites, wide, len(field))
        return xp.zeros(0) if strength is None else strength, field


def _coupling(agree: Any, differ: Any, other: Any, both: Any) -> Any:
    """J of tables from their entries (0, 0), (0, 1), (1, 0), (1, 1)."""
    return 0.5 * (differ + other - agree - both)


def numbered(slots: Mapping[Variable, CodeSlot], finite: Sequence[int]) -> dict[Variable, CodeSlot]:
    """The slots of some code arrays, their sites numbered through: as if the arrays stood one after another."""
    found: dict[Variable, CodeSlot] = {}
    start = 0
    for group in finite:
        for variable, slot in sorted(slots.items(), key=lambda item: item[1].start):
            if slot.group == group:
                found[variable] = CodeSlot(slot.name, slot.kind, slot.shape, slot.cardinality, 0, start)
                start += slot.size
    return found


def pairs_of(
    energy: Energy,
    structured: Sequence[Structured],
    slots: dict[Variable, CodeSlot],
    environment: Mapping[Symbol, Any],
    dims: Mapping[str, int],
) -> Pairs:
    """The pairs of an energy. `environment`: the values of data. `slots`: numbered through.

    Raises DiagnosticError E0655 where the energy has another form, E0656 where the form depends on what is not data.
    """
    name = energy.name
    bounding = [v.name for v in slots if v in symbols(*energy.bounds)]
    if bounding:
        message = f"no clusters of `{name}`: `{bounding[0]}` bounds the interval of another variable"
        raise DiagnosticError([Diagnostic("E0655", message, energy.span, fix=OTHERS)])
    factors = factors_of(structured, slots, dims)
    if factors.rest:
        summand = structured[factors.rest[0]]
        if isinstance(summand, Gather) and any(c.variable not in slots for c in summand.columns):
            raise _refused(name, summand, "reads sites together with counts")
        if isinstance(summand, Gather) and len(summand.columns) <= 2:
            raise _refused(name, summand, f"is of more than {isqrt(MOST_CONFIGURATIONS)} values a site")
        fix = (
            "write couplings over a list of edges, `-sum(J * s[edges[:, 0]] * s[edges[:, 1]])`; where it is none, "
            + OTHERS
        )
        raise _refused(name, summand, "is no sum over pairs of sites", fix)
    edges: list[np.ndarray] = []
    strengths: list[np.ndarray] = []
    signs: list[np.ndarray] = []
    shifted: list[bool] = []
    for factor in factors.coupling:
        summand = structured[factor.summand]
        assert isinstance(summand, Gather)
        if factor.sites.shape[1] > 2:
            raise _refused(name, summand, f"couples {factor.sites.shape[1]} sites at once")
        if factor.cardinalities[0] != factor.cardinalities[1]:
            ks = " and ".join(map(str, factor.cardinalities))
            raise _refused(name, summand, f"couples sites of {ks} values")
        strength, sign, shift = _known(name, summand, factor, factors, environment)
        edges.append(factor.sites)
        strengths.append(strength)
        signs.append(sign)
        shifted.append(shift)
    every = np.sort(np.concatenate([np.zeros((0, 2), int), *edges]), axis=1)
    merged, which = np.unique(every, axis=0, return_inverse=True)
    which = which.reshape(-1)
    total = np.zeros(len(merged))
    np.add.at(total, which, np.concatenate([np.zeros(0), *strengths]))
    sign = np.ones(len(merged))
    np.minimum.at(sign, which, np.concatenate([np.zeros(0), *signs]))
    total = np.where(np.isnan(total), np.where(sign >= 0, np.inf, np.nan), total)
    _agree(name, merged, total, factors, structured)
    sizes = [len(e) for e in edges]
    places = np.split(which, np.cumsum(sizes)[:-1]) if sizes else []
    return Pairs(factors, merged.astype(np.int32), tuple(places), tuple(shifted))


def _known(
    name: str, summand: Gather, factor: Factor, factors: Factors, environment: Mapping[Symbol, Any]
) -> tuple[np.ndarray, np.ndarray, bool]:
    """(float[rows] couplings, NaN where they depend on more than data; their signs, -1 where these may be either;
    whether the tables have more parts than the coupling)."""
    own, parts = multiplied(factor.summand, summand, factors)
    outside = [p for p in parts if not any(s in environment or s in own for s in symbols(p)) and symbols(p)]
    core = [p for p in parts if p not in outside]
    k, count = factor.cardinalities[0], len(factor.sites)
    if not all(s in environment or s in own for s in symbols(*core)):
        if k > 2:
            message = f"no clusters of `{name}`: `{summand.summand.text}` need not be a coupling"
            cause = f"its energies of {k} values depend on a variable or param; only a factor before them may"
            raise DiagnosticError([Diagnostic("E0656", message, summand.summand.rows.span, cause=cause, fix=OTHERS)])
        return np.full(count, np.nan), np.full(count, -1.0), True
    table = known_table(core, own, summand, factor, factors, environment)
    if k == 1:
        return np.zeros(count), np.zeros(count), True
    if not np.isfinite(table).all():
        raise _refused(name, summand, "forbids some values, and clusters need couplings that are finite")
    found = agreement(table, k)
    if found is None:
        raise _refused(name, summand, f"depends on more than whether its {k} values agree")
    coupling, first, second = found
    size = float(np.abs(table).max(initial=0.0))
    shift = max(np.abs(first).max(initial=0.0), np.abs(second - second[:1]).max(initial=0.0)) > TOLERANCE * size
    coupling = np.broadcast_to(np.where(np.abs(coupling) <= TOLERANCE * size, 0.0, coupling), (count,))
    if not outside:
        return coupling, np.sign(coupling), bool(shift)
    signs = [_sign(p.range) for p in outside]
    sign = np.sign(coupling) * np.prod(signs) if all(signs) else np.full(count, -1.0)
    return np.full(count, np.nan), sign, bool(shift)


def agreement(table: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """(J [rows], u [k, rows], v [k, rows]) with the energy of a pair u(a) + v(b) - J [a = b]; None where it is none such.

    table: [k k, rows], of each row the energies of all joint values of its two sites, of k values, two at least.
    """
    square = table.reshape(k, k, -1)
    coupling = _coupling(square[0, 0], square[0, 1], square[1, 0], square[1, 1])
    matrix = square + coupling * np.eye(k)[:, :, None]
    first, second = matrix[:, :1] - matrix[:1, :1], matrix[:1, :]
    if not np.abs(matrix - first - second).max(initial=0.0) <= TOLERANCE * np.abs(square).max(initial=0.0):
        return None
    return coupling, first[:, 0], second[0]


def multiplied(number: int, summand: Gather, factors: Factors) -> tuple[Mapping[Local, int], list[Expr]]:
    """(the locals that stand for its columns, by their numbers; the factors whose product its rows are) of a summand."""
    rows, own = factors.single.get(
        number, (summand.rows, {local: n for n, c in enumerate(summand.columns) for local in c.locals})
    )
    return own, [*summand.summand.scale, *_multiplied(rows)]


def _multiplied(rows: Expr) -> list[Expr]:
    """The factors of a product of products."""
    if isinstance(rows, Apply) and rows.operation == "mul":
        return [factor for argument in rows.arguments for factor in _multiplied(argument)]
    if isinstance(rows, Apply) and rows.operation == "neg":
        return [Literal(Type(Kind.INT), rows.span, -1), *_multiplied(rows.arguments[0])]
    return [rows]


def known_table(
    core: Sequence[Expr], own: Mapping[Local, int], summand: Gather, factor: Factor, factors: Factors,
    environment: Mapping[Symbol, Any],
) -> np.ndarray:  # fmt: skip
    """float64[joint values, rows or 1]: the product of some factors of the rows, at every joint value of two sites."""
    slots = [factors.slots[c.variable] for c in summand.columns]
    codes = np.unravel_index(factor.configurations, tuple(slot.cardinality for slot in slots))
    single = factor.summand in factors.single
    found = []
    for chosen in np.stack(codes, axis=-1):
        inner = dict(environment)
        for local, number in own.items():
            shape = tuple(d.evaluate(factors.dims) for d in local.space.shape)
            inner[local] = np.full(shape, slots[number].decode(chosen[number]))
        with np.errstate(all="ignore"):
            values = product([np.asarray(v) * 1.0 for v in evaluate(core, inner, factors.dims, NUMPY)])
        values = values.reshape(1) if single else np.broadcast_to(values, summand.shape).reshape(-1)
        found.append(values if single or factor.rows is None else values[factor.rows])
    return np.stack(found)


def _sign(range_: Range) -> int:
    """The sign of what lies in a range, or 0 where it may be either."""
    low, high = range_.number_low(), range_.number_high()
    return 1 if low is not None and low >= 0 else -1 if high is not None and high <= 0 else 0


def _agree(
    name: str, edges: np.ndarray, strength: np.ndarray, factors: Factors, structured: Sequence[Structured]
) -> None:
    """Refuse couplings that cannot all be met. strength: infinite where it is above zero, NaN where it is not known."""
    ks = np.asarray(factors.cardinalities)
    many = ks[edges[:, 0]] > 2 if len(edges) else np.zeros(0, bool)
    if (np.isnan(strength) & many).any():
        raise DiagnosticError(
            [
                Diagnostic(
                    "E0656", f"no clusters of `{name}`: the sign of a coupling depends on a variable or param",
                    cause="of sites of more than two values a cluster needs couplings that are never below zero",
                    fix="give the coupling a space without negative values, such as `positive`",
                )
            ]
        )  # fmt: skip
    wrong = many & (strength < 0)
    if wrong.any():
        a, b = edges[int(np.argmax(wrong))]
        raise _frustrated(name, f"sites {a} and {b} are asked to differ, and {int(wrong.sum()):,} pairs are")
    sure = ~np.isnan(strength) & (strength != 0)
    a, b, turned = edges[sure, 0], edges[sure, 1], strength[sure] < 0
    # Two copies of each site, as it is and exchanged: where both are connected, going round a cycle exchanges a site.
    count = len(ks)
    ends = np.concatenate([b + count * turned, b + count * ~turned])
    graph = coo_matrix((np.ones(2 * len(a)), (np.concatenate([a, a + count]), ends)), shape=(2 * count, 2 * count))
    _, label = connected_components(graph, directed=False)
    bad = label[:count] == label[count:]
    if bad.any():
        raise _frustrated(
            name, f"the couplings around site {int(np.argmax(bad))} cannot all be met: they go round a cycle"
        )


OTHERS = "use `gibbs()`, or `tempering(gibbs())` where modes are far apart"


def _refused(name: str, summand: Structured, why: str, fix: str = OTHERS) -> DiagnosticError:
    message = f"no clusters of `{name}`: `{summand.summand.text}` {why}"
    return DiagnosticError([Diagnostic("E0655", message, summand.summand.rows.span, fix=fix)])


def _frustrated(name: str, why: str) -> DiagnosticError:
    cause = "clusters are made of sites that are asked to agree; where couplings stand against each other they hold no more than single sites do"
    return DiagnosticError([Diagnostic("E0655", f"no clusters of `{name}`: {why}", cause=cause, fix=OTHERS)])
