"""What `explain` says of moves of many sites at once: clusters of couplings, groups that are trees, hidden variables."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from energylang.diagnostics import DiagnosticError

if TYPE_CHECKING:
    from energylang.lower.program import EnergyProgram

MOST_ROWS = 100_000
"""Rows of terms, and sites, up to which they are looked for, in a second or two."""


def joint_moves(program: EnergyProgram) -> dict[str, Any]:
    """{"clusters": …, "trees": …, "hidden": …}: of each its number, of pairs, groups or sites, None where there are none, and why not.

    None instead of any where there is nothing to couple, too much to look at quickly, or nothing that is summed out. Of hidden
    sites also the colours of the others.
    """
    from energylang.lower.augmentation import sums_over_hidden

    facts = program.facts
    rows = sum(term.rows for term in facts.terms if term.kind == "gather")
    coupled = facts.discrete and facts.colours != 1
    if not coupled or max(rows, facts.discrete) > MOST_ROWS:
        return {"clusters": None, "trees": None, "hidden": None}
    found: dict[str, Any] = {
        "clusters": _counted(lambda: len(program.pairs.edges)),
        "trees": _counted(lambda: sum(kind.count for kind in program.trees().kinds)),
        "hidden": None,
    }
    if sums_over_hidden(program.structured):
        hidden = _counted(lambda: program.augmented.facts.discrete - facts.discrete)
        colours = None if hidden["count"] is None else program.augmented.facts.colours - 1
        found["hidden"] = {**hidden, "colours": colours}
    return found


def _counted(count: Callable[[], int]) -> dict[str, Any]:
    try:
        return {"count": count(), "why": ""}
    except DiagnosticError as error:
        # The beginning names the energy, and says that there are none.
        return {"count": None, "why": error.diagnostics[0].message.partition(": ")[2]}


def in_words(found: dict[str, Any]) -> list[str]:
    """A sentence for each of `joint_moves`."""
    lines = []
    clusters, trees = found["clusters"], found["trees"]
    if clusters is not None and clusters["count"] is None:
        lines.append(f"no clusters for swendsen_wang: {clusters['why']}")
    elif clusters is not None:
        pairs = "1 pair of sites" if clusters["count"] == 1 else f"{clusters['count']:,} pairs of sites"
        lines.append(f"clusters for swendsen_wang: the couplings of {pairs} can all be met at once")
    if trees is not None and trees["count"] is None:
        lines.append(f"no trees for forward_backward: {trees['why']}")
    elif trees is not None and trees["count"] == 1:
        lines.append("trees for forward_backward: all discrete sites are drawn jointly, exactly, in one step")
    elif trees is not None:
        lines.append(f"trees for forward_backward: {trees['count']:,} groups, each drawn jointly given the others")
    hidden = found["hidden"]
    if hidden is not None and hidden["count"] is None:
        lines.append(f"no hidden variables for data_augmentation: {hidden['why']}")
    elif hidden is not None:
        sites = "1 site" if hidden["count"] == 1 else f"{hidden['count']:,} sites"
        colours = "1 colour" if hidden["colours"] == 1 else f"{hidden['colours']:,} colours"
        lines.append(
            f"hidden variables for data_augmentation: {sites} that are summed out; given these the others have {colours}"
        )
    return lines
