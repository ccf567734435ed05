"""What is known of the normaliser of a block: every variable has one density, without cycles, and nothing else is added.

A variable may get its density in parts along its first axis, each entry once. A part may depend on earlier entries: on
a shifted slice row by row (`z[1:] ~ categorical(theta[z[:-1]])`), or on entries that all come before it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from energylang.check.supports import base_symbol
from energylang.ir.nodes import Apply, Expr, Literal, Normalisation, Reference, Variable, children, symbols
from energylang.ir.operations import OPERATIONS
from energylang.ir.types import Dim
from energylang.syntax import ast

if TYPE_CHECKING:
    from energylang.check.energies import Draft, Tilde


@dataclass(frozen=True)
class Part:
    """Entries from `start` to `stop` of the first axis of a variable; `row` where it is one entry, its axis gone."""

    start: Dim
    stop: Dim
    row: bool = False

    def before(self, other: Part) -> bool:
        """Whether every entry comes before the other part's."""
        gap = (other.start - self.stop).constant
        return gap is not None and gap >= 0


def mark_densities(draft: Draft) -> None:
    """Terms that are the whole density of a variable say so: compositions drop and keep them as such."""
    count = Counter(id(base_symbol(t.target)) for t in draft.tildes)
    for tilde in draft.tildes:
        symbol = base_symbol(tilde.target)
        whole = isinstance(tilde.target, Reference) and tilde.density.exact_support and count[id(symbol)] == 1
        if whole and isinstance(symbol, Variable) and symbol not in symbols(*tilde.density.arguments):
            draft.terms[tilde.term] = replace(draft.terms[tilde.term], density_of=symbol)


def normalisation(declaration: ast.Energy, variables: Sequence[Variable], draft: Draft) -> tuple[Normalisation, str]:
    """The state of an energy's normaliser, and why."""
    if declaration.kind == "distribution":
        return Normalisation.DECLARED, "declared by `distribution`"
    if not isinstance(declaration.body, ast.Block):
        return Normalisation.UNKNOWN, "an energy given by an expression"
    if draft.increments:
        return Normalisation.UNKNOWN, "`+=` adds energy beside the densities"
    given: dict[Variable, list[Tilde]] = {}
    for tilde in draft.tildes:
        symbol = base_symbol(tilde.target)
        if not isinstance(symbol, Variable):
            what = f"`{symbol.name}`" if symbol is not None else "a `let`"
            return Normalisation.UNKNOWN, f"`~` on data ({what}): log Z is the evidence"
        if not tilde.density.exact_support:
            return Normalisation.UNKNOWN, f"`{tilde.density.name}` is cut by the space of `{symbol.name}`"
        given.setdefault(symbol, []).append(tilde)
    missing = [v.name for v in variables if v not in given]
    if missing:
        return Normalisation.UNKNOWN, f"`{', '.join(missing)}` has no density of its own"
    depends: dict[Variable, set[Variable]] = {}
    for variable, tildes in given.items():
        problem = _covered(variable, tildes)
        if problem:
            return Normalisation.UNKNOWN, problem
        bounds = {s for s in symbols(*variable.space.bounds) if isinstance(s, Variable)}
        needs = {s for t in tildes for s in symbols(*t.density.arguments) if isinstance(s, Variable)} | bounds
        depends[variable] = needs - {variable} if _forward(variable, tildes) else needs
    done: set[Variable] = set()
    while len(done) < len(depends):
        ready = [v for v, needs in depends.items() if v not in done and needs <= done]
        if not ready:
            cycle = ", ".join(sorted(v.name for v in set(depends) - done))
            return Normalisation.UNKNOWN, f"the densities of `{cycle}` depend on each other in a cycle"
        done.update(ready)
    return Normalisation.NORMALISED, "every variable has one density, without cycles"


# --- parts ----------------------------------------------------------------------------------------------------------


def _part(target: Expr) -> Part | None:
    """Which entries of the first axis of a variable a target, or an argument, is; None where it is nothing so simple."""
    if isinstance(target, Reference):
        shape = target.type.shape
        return Part(Dim.of(0), shape[0]) if shape else Part(Dim.of(0), Dim.of(1), True)
    if not (isinstance(target, Apply) and target.operation == "index" and isinstance(target.arguments[0], Reference)):
        return None
    base, *indices = target.arguments
    first, *others = target.attributes
    if any(o != ("slice", Dim.of(0), d, 1) for o, d in zip(others, base.type.shape[1:], strict=False)):
        return None
    if first[0] == "slice":
        return Part(first[1], first[2]) if first[3] == 1 else None
    if len(indices) == 1 and isinstance(indices[0], Literal):
        value = Dim.of(int(indices[0].value))
        start = value if int(indices[0].value) >= 0 else base.type.shape[0] + value
        return Part(start, start + 1, True)
    return None


def _covered(variable: Variable, tildes: Sequence[Tilde]) -> str:
    """Why the targets are not every entry once; empty where they are."""
    if len(tildes) == 1 and isinstance(tildes[0].target, Reference):
        return ""
    parts = [_part(t.target) for t in tildes]
    known = [p for p in parts if p is not None]
    left = list(known)
    place = Dim.of(0)
    while len(known) == len(parts) and left:
        following = next((p for p in left if p.start == place), None)
        if following is None:
            break
        left.remove(following)
        place = following.stop
    whole = variable.space.shape[0] if variable.space.shape else Dim.of(1)
    if len(known) == len(parts) and not left and place == whole:
        return ""
    if sum(isinstance(t.target, Reference) for t in tildes) > 1:
        return f"`{variable.name}` has two densities"
    return f"the parts of `{variable.name}` that have a density are not each of its entries once"


def counted_from_one(variable: Variable, tildes: Sequence[Tilde]) -> bool:
    """Whether the targets are `x[1]` and every entry after it: the habit of languages whose first index is 1."""
    parts = [_part(t.target) for t in tildes if base_symbol(t.target) is variable]
    place, one = Dim.of(1), Part(Dim.of(1), Dim.of(2), True)
    if one not in parts or None in parts:
        return False
    left = [p for p in parts if p is not None]
    while following := next((p for p in left if p.start == place), None):
        left.remove(following)
        place = following.stop
    return not left and place == variable.space.shape[0]


def _forward(variable: Variable, tildes: Sequence[Tilde]) -> bool:
    """Whether each part depends on earlier entries of its own variable only."""
    for tilde in tildes:
        part = _part(tilde.target)
        events = variable.space.event_rank
        rank = len(tilde.target.type.shape) - events
        for argument in tilde.density.arguments:
            if variable not in symbols(argument):
                continue
            if part is None or len(argument.type.shape) < rank or not _earlier(argument, variable, part):
                return False
    return True


def _earlier(expr: Expr, variable: Variable, part: Part) -> bool:
    """Whether every entry of an argument depends on entries before the target's: all of them, or row by row."""
    found = _part(expr) if base_symbol(expr) is variable else None
    if found is not None:
        if found.before(part):
            return True
        shift = (part.start - found.start).constant
        same = (found.stop - found.start) == (part.stop - part.start)
        return not part.row and not found.row and same and shift is not None and shift > 0
    if not isinstance(expr, Apply):
        return variable not in symbols(expr)
    mine = [c for c in children(expr) if variable in symbols(c)]
    if not all(_earlier(c, variable, part) for c in mine):
        return False
    if all(_all_before(c, variable, part) for c in mine):
        return True
    # Row by row the first axis must stay where it is.
    if OPERATIONS[expr.operation].group == "elementwise":
        return all(len(c.type.shape) == len(expr.type.shape) for c in mine)
    if expr.operation == "index":
        base, *indices = expr.arguments
        if base in mine:
            return len(mine) == 1 and expr.attributes[0] == ("slice", Dim.of(0), base.type.shape[0], 1)
        return expr.attributes[0] == ("at",) and all(len(i.type.shape) == len(indices[0].type.shape) for i in indices)
    return False


def _all_before(expr: Expr, variable: Variable, part: Part) -> bool:
    """Whether all that an expression reads of a variable comes before the whole part."""
    if base_symbol(expr) is variable:
        found = _part(expr)
        return found is not None and found.before(part)
    return all(_all_before(c, variable, part) for c in children(expr) if variable in symbols(c))
