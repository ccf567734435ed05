"""In which order the targets of `~` can be drawn, each from its law given those before it (ancestral sampling)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import NamedTuple

from energylang.ir.nodes import (
    Apply,
    Energy,
    Expr,
    Law,
    Normalisation,
    Quantile,
    Random,
    Reference,
    Symbol,
    children,
    symbols,
    walk,
)
from energylang.ir.operations import OPERATIONS
from energylang.ir.types import Dim
from energylang.source import Span


class Problem(NamedTuple):
    """Why a target cannot be drawn: a clause about `name`, where, and what to do."""

    name: str
    text: str
    span: Span
    fix: str


@dataclass(frozen=True, eq=False)
class Step:
    """One target drawn: by one law of the whole of it, or by laws of its parts.

    symbol: the variable, data or top-level `let`; None for a `let` of a block. recursive: the parts read entries before
    their own (`z[1:] ~ d(z[:-1])`), so that they are drawn along the first axis.
    """

    name: str
    symbol: Symbol | None
    laws: tuple[Law, ...]
    recursive: bool

    @property
    def base(self) -> Expr:
        return self.laws[0].base


def steps(laws: Iterable[Law]) -> tuple[tuple[Step, ...], list[Problem]]:
    """Each target with its laws, those first that others mention; and what cannot be drawn."""
    grouped: dict[str, list[Law]] = {}
    for law in laws:
        grouped.setdefault(law.name, []).append(law)
    found = {name: _step(name, tuple(own)) for name, own in grouped.items()}
    problems = [step for step in found.values() if isinstance(step, Problem)]
    known = {name: step for name, step in found.items() if isinstance(step, Step)}
    owners = {step.symbol: name for name, step in known.items() if step.symbol is not None}
    needs = {name: {owners[s] for s in _mentioned(step) if s in owners} - {name} for name, step in known.items()}
    ordered: list[Step] = []
    while needs:
        ready = [name for name, others in needs.items() if not others & needs.keys()]
        if not ready:
            cycle = ", ".join(f"`{name}`" for name in needs)
            text = f"the densities of {cycle} depend on each other in a cycle"
            problems += [Problem(name, text, known[name].laws[0].span, "") for name in needs]
            break
        ordered += [known[name] for name in ready]
        for name in ready:
            del needs[name]
    return tuple(ordered), problems


def _mentioned(step: Step) -> tuple[Symbol, ...]:
    return symbols(*(law.draw for law in step.laws if law.draw is not None))


def _step(name: str, laws: tuple[Law, ...]) -> Step | Problem:
    first = laws[0]
    for law in laws:
        if law.draw is None:
            return Problem(name, law.why, law.span, _DRAWABLE)
    if len(laws) > 1 and any(law.whole for law in laws):
        return Problem(name, f"`{name}` has {len(laws)} densities", laws[1].span, "keep one `~` for it")
    symbol = first.base.symbol if isinstance(first.base, Reference) else None
    recursive = False
    if symbol is not None:
        for law in laws:
            assert law.draw is not None
            if symbol in symbols(law.draw):
                if not _shifted(law, symbol):
                    return Problem(name, f"the density of `{name}` depends on `{name}` itself", law.span, _SHIFTED)
                recursive = True
    return Step(name, symbol, laws, recursive)


_DRAWABLE = "use a distribution of the standard library (`docs/language.md` lists them)"
_SHIFTED = "entries may depend on those before them: `z[1:] ~ d(z[:-1])`"


def _shifted(law: Law, symbol: Symbol) -> bool:
    """Whether each entry of the target reads only entries before its own, along the first axis.

    The target is a slice along that axis. Every reading is a slice of the same length that starts earlier, and is used
    element by element, or as an index.
    """
    start = _slice_start(law.target)
    if start is None or law.draw is None:
        return False
    length = law.target.type.shape[0]
    dependent: dict[int, int] = {}  # ranks of nodes that read the symbol, by identity
    for node in walk(law.draw):
        below = children(node)
        if any(isinstance(c, Reference) and c.symbol is symbol for c in below):
            read = _slice_start(node)
            lag = None if read is None else (start - read).constant
            if lag is None or lag <= 0 or node.type.shape[0] != length:
                return False
            dependent[id(node)] = len(node.type.shape)
            continue
        ranks = {dependent[id(c)] for c in below if id(c) in dependent}
        if not ranks or isinstance(node, Random | Quantile):
            continue
        if not isinstance(node, Apply) or node.type.shape[:1] != (length,) or len(ranks) > 1:
            return False
        # Operands of a higher rank would broadcast what is read along another axis than the first.
        (rank,) = ranks
        operands = below[1:] if node.operation == "index" else below
        if any(len(c.type.shape) > rank for c in operands):
            return False
        if node.operation == "index":
            if id(below[0]) in dependent or node.attributes[0] != ("at",):
                return False
        elif OPERATIONS[node.operation].group != "elementwise":
            return False
        dependent[id(node)] = len(node.type.shape)
    return True


def _slice_start(expr: Expr) -> Dim | None:
    """Where a slice along the first axis of a symbol starts; None for anything else."""
    if not (isinstance(expr, Apply) and expr.operation == "index" and isinstance(expr.arguments[0], Reference)):
        return None
    item = expr.attributes[0]
    return item[1] if len(expr.arguments) == 1 and item[0] == "slice" and item[3] == 1 else None


# --- the prior --------------------------------------------------------------------------------------------------


def prior(energy: Energy) -> tuple[Energy | None, list[Problem]]:
    """The energy of a block without its data: the densities of its variables alone, normalised; or why there is none.

    Reports stay, and so do the laws of data, which `steps` of them draws anew.
    """
    laws = [law for law in energy.standing if law.variable is not None]
    problems = [
        Problem(v.name, f"`{v.name}` has no density of its own", v.span, f"give it one: `{v.name} ~ …`")
        for v in energy.variables
        if not any(law.variable is v for law in laws)
    ]
    owned = {id(law.term) for law in energy.standing}
    problems += [
        Problem(t.text, f"`{t.text}` is energy that no `~` gives", t.span, "write it as `~`, or leave it out")
        for t in energy.terms
        if id(t) not in owned
    ]
    problems += steps(laws)[1]
    if problems:
        return None, problems
    terms = {id(law.term) for law in laws}
    kept = tuple(t for t in energy.terms if id(t) in terms)
    observed = tuple(replace(law, term=kept[0]) for law in energy.observations)
    reason = "the densities of the variables alone, one after another"
    found = replace(energy, terms=kept, laws=(*laws, *observed), normalisation=Normalisation.NORMALISED, reason=reason)
    return found, []


def drawable(energy: Energy) -> bool:
    """Whether the energy is normalised and can be drawn from directly: no data, and a prior."""
    return energy.normalisation is Normalisation.NORMALISED and not energy.observations and prior(energy)[0] is not None
