"""Discrete variables summed out exactly: -log of the sum of exp(-energy) over all their values.

The terms of a `Marginal` are factors over sites (entries of the variables), found by `lower.structure`. Sites that no
factor couples cost their values each; couplings in pairs without cycles cost one recursion along the tree (the forward
algorithm, Rabiner 1989, of which a chain is the ordinary case); all else is eliminated site by site (Dechter 1999,
bucket elimination) where the tables stay small, and refused with its cost where they do not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from energylang.diagnostics import Diagnostic, DiagnosticError
from energylang.ir.nodes import Expr, Marginal, Symbol, Variable, walk
from energylang.lower.evaluate import evaluate
from energylang.lower.factors import MOST_ENUMERATED, Factors, configurations, factors_of, scatter_add
from energylang.lower.forest import Forest, forest_of, summed_out
from energylang.lower.operations import Backend
from energylang.lower.spaces import CodeSlot
from energylang.lower.structure import structure

MOST_ENTRIES = 2**22
"""The most table entries that eliminating site by site may compute for one evaluation of the energy."""
MOST_STEPS = 2_000
"""The most sites eliminated one by one: each is an operation of its own in the compiled program."""


@dataclass(frozen=True, eq=False)
class Order:
    """Sites in the order in which they are eliminated, and how many table entries that computes."""

    sites: tuple[int, ...]
    entries: int
    width: int


@dataclass(frozen=True, eq=False)
class Elimination:
    """How one `Marginal` is computed at given dims and index data. Static; compared by identity."""

    marginal: Marginal
    factors: Factors
    plan: Forest | Order

    @cached_property
    def text(self) -> str:
        """What is done and what it costs, in words."""
        names = ", ".join(v.name for v in self.marginal.variables)
        count = len(self.factors.cardinalities)
        sites = f"{count:,} {'site' if count == 1 else 'sites'} of {names}"
        if isinstance(self.plan, Order):
            return f"{sites} summed out one by one: {self.plan.entries:,} table entries, {self.plan.width} sites at once at most"
        depth = self.plan.depth
        if depth == 1:
            return f"{sites} summed out each by itself: {int(sum(self.factors.cardinalities)):,} values"
        return f"{sites} summed out along a {self.plan.shape} of length {depth:,}"

    def energy(self, environment: Mapping[Any, Any], backend: Backend, compute: Any = evaluate) -> Any:
        """The value of the node. `compute` evaluates expressions, as `evaluate` does."""
        constant, unary, tables = self.factors.tables(environment, backend, compute)
        if isinstance(self.plan, Forest):
            return constant + self.plan.energy(unary, self._pairs(tables, backend), backend)
        return constant + self._by_order(unary, tables, backend)[0]

    def draw(self, environment: Mapping[Any, Any], backend: Backend, key: Any) -> dict[Variable, Any]:
        """The variables, drawn together from their law given everything else, as values in the language."""
        _, unary, tables = self.factors.tables(environment, backend, evaluate)
        if isinstance(self.plan, Forest):
            from energylang.lower.forest_draws import drawn

            codes = drawn(self.plan, unary, self._pairs(tables, backend), key)
        else:
            codes = self._draw_by_order(self._by_order(unary, tables, backend)[1], key)
        return {variable: slot.value((codes,)) for variable, slot in self.factors.slots.items()}

    # --- pairs ------------------------------------------------------------------------------------------------------

    def _pairs(self, tables: Sequence[Any], backend: Backend) -> Any:
        """float[edges, K, K], or [1, K, K] where all are equal: energies of (child, parent) values, factors on the same
        pair added up."""
        assert isinstance(self.plan, Forest)
        most = self.factors.most_values
        total: Any = None
        for factor, table in zip(self.factors.coupling, tables, strict=True):
            pairs = table.reshape(*factor.cardinalities, -1)
            for turned in (False, True):
                rows, edges = self.plan.edges_of(factor.sites, turned)
                if not len(rows):
                    continue
                equal = pairs.shape[2] == 1
                part = pairs if equal or len(rows) == len(factor.sites) else pairs[:, :, rows]
                part = backend.xp.transpose(part, (2, 1, 0) if turned else (2, 0, 1))
                part = _padded(backend, part, (most, most), 0.0)
                if equal and np.array_equal(np.sort(edges), np.arange(self.plan.edges)):
                    total = part if total is None else total + part
                    continue
                part = backend.xp.broadcast_to(part, (len(rows), most, most))
                if total is not None and len(total) < self.plan.edges:
                    total = backend.xp.broadcast_to(total, (self.plan.edges, most, most))
                total = scatter_add(backend, total, edges, part, self.plan.edges)
        return total

    # --- one site after the other --------------------------------------------------------------------------------------

    def _by_order(self, unary: Any, tables: Sequence[Any], backend: Backend) -> tuple[Any, list[Any]]:
        """(the energy, per eliminated site (its number, the scope of its table, the table before it was summed))."""
        ks = self.factors.cardinalities
        pool: list[tuple[tuple[int, ...], Any]] = [((s,), unary[s, : ks[s]]) for s in range(len(ks))]
        for factor, table in zip(self.factors.coupling, tables, strict=True):
            for row, scope in enumerate(factor.sites.tolist()):
                pool.append((tuple(scope), table[:, row % table.shape[1]].reshape(factor.cardinalities)))
        assert isinstance(self.plan, Order)
        energy: Any = 0.0
        steps = []
        for site in self.plan.sites:
            mine = [entry for entry in pool if site in entry[0]]
            pool = [entry for entry in pool if site not in entry[0]]
            scope = tuple(sorted({s for part, _ in mine for s in part} - {site}))
            whole = (*scope, site)
            joint = sum(_spread(backend, table, part, whole) for part, table in mine)
            steps.append((site, scope, joint))
            rest = summed_out(backend, joint, -1)
            if scope:
                pool.append((scope, rest))
            else:
                energy = energy + rest
        return energy, steps

    def _draw_by_order(self, steps: list[Any], key: Any) -> Any:
        import jax
        import jax.numpy as jnp

        values: dict[int, Any] = {}
        for number, (site, scope, joint) in enumerate(reversed(steps)):
            logits = -joint[tuple(values[s] for s in scope)]
            values[site] = jax.random.categorical(jax.random.fold_in(key, number), logits)
        return jnp.stack([values[s] for s in range(len(values))]).astype(jnp.int32)


def _padded(backend: Backend, array: Any, trailing: tuple[int, ...], value: float) -> Any:
    """The last axes filled up to sizes."""
    free = array.ndim - len(trailing)
    widths = [(0, 0)] * free + [(0, size - array.shape[free + i]) for i, size in enumerate(trailing)]
    return backend.xp.pad(array, widths, constant_values=value) if any(w != (0, 0) for w in widths) else array


def _spread(backend: Backend, table: Any, scope: tuple[int, ...], whole: tuple[int, ...]) -> Any:
    """A table over `scope` with an axis for every site of `whole`, of size one where it does not depend on it."""
    order = [scope.index(s) for s in whole if s in scope]
    moved = backend.xp.transpose(table, order)
    sizes = iter(moved.shape)
    return moved.reshape([next(sizes) if s in scope else 1 for s in whole])


# --- planning -------------------------------------------------------------------------------------------------------


def eliminations(
    roots: Sequence[Expr], environment: Mapping[Any, Any], dims: Mapping[str, int]
) -> dict[Marginal, Elimination]:
    """A plan for every `Marginal` below the roots. `environment`: values of data, for indices made of data.

    Raises DiagnosticError E0515 where a sum is too large, with its cost.
    """
    return {n: _planned(n, environment, dims) for n in walk(*roots) if isinstance(n, Marginal)}


def _planned(node: Marginal, environment: Mapping[Any, Any], dims: Mapping[str, int]) -> Elimination:
    slots: dict[Variable, CodeSlot] = {}
    start = 0
    for variable in node.variables:
        values = variable.space.values
        assert values is not None
        shape = tuple(d.evaluate(dims) for d in variable.space.shape)
        slots[variable] = CodeSlot(variable.name, variable.space.kind, shape, values.evaluate(dims), 0, start)
        start += slots[variable].size
    structured = structure(node.terms, environment, dims, only=frozenset(slots))
    factors = factors_of(structured, slots, dims, whole=True)
    if factors.rest:
        summand = structured[factors.rest[0]]
        total = configurations(summand, slots)
        shown = f"{total:,}" if total < 10**15 else f"about 10^{len(str(total)) - 1}"
        why = f"`{summand.summand.text}` couples all of them, and they have {shown} configurations"
        raise _refused(node, f"{why} (at most {MOST_ENUMERATED:,} are enumerated)")
    plan = forest_of(len(factors.cardinalities), [f.sites for f in factors.coupling])
    if plan is None:
        plan = _order(node, factors)
    return Elimination(node, factors, plan)


def _order(node: Marginal, factors: Factors) -> Order:
    """Sites by the smallest table next (greedy). Raises DiagnosticError where the tables grow too large."""
    ks = factors.cardinalities
    rows = sum(len(f.sites) for f in factors.coupling)
    if len(ks) > MOST_STEPS or rows > 4 * MOST_STEPS:
        what = f"{len(ks):,} sites coupled in cycles by {rows:,} rows"
        raise _refused(node, f"{what}; at most {MOST_STEPS:,} are eliminated one by one")
    around: list[set[int]] = [set() for _ in ks]
    for factor in factors.coupling:
        for scope in factor.sites.tolist():
            for site in scope:
                around[site].update(s for s in scope if s != site)
    left = set(range(len(ks)))
    order: list[int] = []
    entries = width = 0
    while left:
        site = min(left, key=lambda s: (_table(ks, around[s], s), s))
        entries += _table(ks, around[site], site)
        width = max(width, len(around[site]) + 1)
        if entries > MOST_ENTRIES:
            raise _refused(node, f"tables over {width} sites at once: more than {MOST_ENTRIES:,} entries")
        for other in around[site]:
            around[other] |= around[site] - {other}
            around[other].discard(site)
        left.discard(site)
        order.append(site)
    return Order(tuple(order), entries, width)


def _table(ks: Sequence[int], around: set[int], site: int) -> int:
    total = int(ks[site])
    for other in around:
        total *= int(ks[other])
    return total


def _refused(node: Marginal, why: str) -> DiagnosticError:
    names = ", ".join(f"`{v.name}`" for v in node.variables)
    return DiagnosticError(
        [
            Diagnostic(
                "E0515", f"{names} cannot be summed out: {why}", node.span,
                cause="what factorises, a chain or a tree costs little; cycles cost tables over many sites at once",
                fix="keep the variable and `sample` it, estimate log Z with `evidence`, or fix some of it with `condition`",
            )
        ]
    )  # fmt: skip


def plans(roots: Sequence[Expr], values: Mapping[Symbol, Any], dims: Mapping[str, int]) -> dict[Any, Any]:
    """The values of symbols with the plans of every `Marginal` below the roots beside them: an environment."""
    return {**values, **eliminations(roots, values, dims)}
