"""Expressions and energies with some of their symbols replaced: what compositions are made by."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from energylang.ir.nodes import (
    Condition,
    Energy,
    Expr,
    Marginal,
    Reference,
    Symbol,
    Term,
    Variable,
    children,
    symbols,
    walk,
    with_children,
)

Replacements = Mapping[Symbol, Expr]


def replacer(replacements: Replacements) -> Callable[[Expr], Expr]:
    """A function that puts expressions for symbols, each of the type of the symbol. What is shared stays shared."""
    made: dict[int, Expr] = {}
    kept: list[Expr] = []

    def replaced(root: Expr) -> Expr:
        kept.append(root)
        for node in walk(root):
            if id(node) in made:
                continue
            if isinstance(node, Reference):
                made[id(node)] = replacements.get(node.symbol, node)
            else:
                made[id(node)] = with_children(node, tuple(made[id(c)] for c in children(node)))
        return made[id(root)]

    return replaced


def with_symbols(energy: Energy, replacements: Replacements) -> Energy:
    """The energy with expressions for some of its symbols, in its signature too.

    What another variable or condition replaces is that one; what a value replaces is gone. Variables in whose bounds
    something is replaced are new ones.
    """
    table = dict(replacements)
    replaced = replacer(table)
    for symbol in (*energy.conditions, *energy.variables):
        if symbol not in table and any(s in table for s in symbols(*symbol.space.bounds)):
            low, high = (b if b is None or isinstance(b, int | float) else replaced(b) for b in _ends(symbol))
            fresh = replace(symbol, space=replace(symbol.space, low=low, high=high))
            table[symbol] = Reference(fresh.space.type, fresh.span, fresh, range=fresh.space.range)
            replaced = replacer(table)
    found = energy.mapped(replaced)
    moved = {id(t): replace(t, density_of=_moved(t.density_of, table)) for t in found.terms}
    signature = [_now(s, table) for s in (*energy.variables, *energy.conditions)]
    return replace(
        found,
        terms=tuple(moved[id(t)] for t in found.terms),
        laws=tuple(replace(law, term=moved[id(law.term)]) for law in found.laws),
        variables=tuple(dict.fromkeys(s for s in signature if isinstance(s, Variable))),
        conditions=tuple(dict.fromkeys(s for s in signature if isinstance(s, Condition))),
    )


def _ends(symbol: Symbol) -> tuple[float | Expr | None, float | Expr | None]:
    return symbol.space.low, symbol.space.high


def _now(symbol: Symbol, table: Replacements) -> Symbol | None:
    """What takes a symbol's place in the signature."""
    if symbol not in table:
        return symbol
    value = table[symbol]
    return value.symbol if isinstance(value, Reference) else None


def _moved(variable: Variable | None, replacements: Replacements) -> Variable | None:
    """What becomes of the variable whose density a term is: another one, or none where a value takes its place."""
    if variable is None or variable not in replacements:
        return variable
    value = replacements[variable]
    return value.symbol if isinstance(value, Reference) and isinstance(value.symbol, Variable) else None


def summed_out(terms: Sequence[Term], variables: Sequence[Variable]) -> tuple[Marginal, dict[Symbol, Expr]]:
    """-log of the sum of exp(-terms) over discrete variables; and for each variable its copy inside of the sum.

    The copies are new objects: nothing outside of a sum mentions what it sums over.
    """
    from energylang.ir.types import Kind, Type

    copies: dict[Symbol, Expr] = {}
    inner: list[Variable] = []
    for variable in variables:
        inner.append(Variable(variable.name, variable.space, variable.span))
        copies[variable] = Reference(variable.space.type, variable.span, inner[-1], range=variable.space.range)
    replaced = replacer(copies)
    own = tuple(replace(t, value=replaced(t.value), density_of=None) for t in terms)
    span = terms[0].span if terms else variables[0].span
    return Marginal(Type(Kind.REAL), span, tuple(inner), own), copies
