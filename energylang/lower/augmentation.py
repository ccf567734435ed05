"""Energies whose sums over hidden variables are written out, so that kernels can draw these (Tanner and Wong 1987).

What is asked of the joint energy is that its gains are exact and that no two hidden sites interact given the others: then all of
them are drawn at once, exactly. Both are read off the structure that is found of it like that of any energy.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np

from energylang.diagnostics import Diagnostic, DiagnosticError
from energylang.ir.hidden import is_sum, with_hidden
from energylang.ir.nodes import Energy, Variable
from energylang.lower.structure import Opaque, Structured

OTHERS = "use `gwg()` or `gibbs()`"


def sums_over_hidden(structured: Sequence[Structured]) -> list[Opaque]:
    """The summands that can be written out. Of others than opaque ones the gains are exact as they are."""
    return [s for s in structured if isinstance(s, Opaque) and is_sum(s.summand)]


def joint_energy(energy: Energy, structured: Sequence[Structured]) -> tuple[Energy, tuple[Variable, ...]]:
    """(the energy with its sums written out, their hidden variables). Raises DiagnosticError E0659 where there are none."""
    name = energy.name
    others = [v.name for v in energy.variables if v.space.values is None]
    if others:
        raise no_hidden(name, f"`{others[0]}` is not discrete, of finitely many values", fix=OTHERS)
    found = sums_over_hidden(structured)
    if not any(isinstance(s, Opaque) for s in structured):
        raise no_hidden(name, "nothing of it is opaque, so its own gains are exact", fix="use `gibbs()`")
    if not found:
        fix = f"such sums are `marginal(e, over = h)` and `-sum(softplus(a))`; {OTHERS}"
        raise no_hidden(name, "no opaque term of it is a sum over hidden variables", fix=fix)
    return with_hidden(energy, [s.summand.rows for s in found])


def require_exact(energy: Energy, structured: Sequence[Structured]) -> None:
    """Raise E0659 where something of the joint energy is opaque."""
    for summand in structured:
        if isinstance(summand, Opaque):
            why = f"its joint energy with them would still be opaque, in `{summand.summand.text}`: {summand.reason}"
            raise no_hidden(energy.name, why, fix=OTHERS)


def require_apart(
    energy: Energy,
    hidden: Collection[Variable],
    starts: Mapping[Variable, int],
    edges: np.ndarray,
    dense: Collection[tuple[Variable, Variable]],
) -> None:
    """Raise E0659 where hidden sites interact given the others. edges, dense: of `colouring.conflicts`, numbered by `starts`."""
    together = [v for v in hidden if any(v in pair and set(pair) <= set(hidden) for pair in dense)]
    first = min((starts[v] for v in hidden), default=0)
    inside = edges[edges[:, 0] >= first]
    if together or len(inside):
        owner = (
            together[0] if together else max((v for v in hidden if starts[v] <= inside[0, 0]), key=starts.__getitem__)
        )
        shown = owner.name.partition(" ")[0]
        raise no_hidden(
            energy.name, f"sites of `{shown}` interact given the others, so that they cannot be drawn all at once",
            fix=f"declare `{shown}` as a variable beside the others, and use `forward_backward()` or `gibbs()`",
        )  # fmt: skip


def no_hidden(name: str, why: str, fix: str) -> DiagnosticError:
    """E0659, of the energy of a name."""
    return DiagnosticError([Diagnostic("E0659", f"no hidden variables of `{name}` to draw: {why}", fix=fix)])
