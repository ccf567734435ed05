"""What a run says of itself in a few words: by what method and why, what was drawn, what was estimated."""

from __future__ import annotations

import math
import unicodedata
from typing import TYPE_CHECKING, Any

from energylang.stopping import spell

if TYPE_CHECKING:
    from energylang.run.result import Run

LP = "lp is minus the energy at each draw, in the spaces as declared: no Jacobian is in it."
EXACT = 1e-6
"""An error of log Z below is none but rounding."""


def method(run: Run) -> str:
    """The method, and why it was chosen."""
    return run.method if run.reason == "asked for" else f"{run.method}, because {run.reason}"


def draws(run: Run) -> str:
    """How many draws there are, and of what."""
    options = run.options
    if not len(run):
        return "none"
    if run.optimised:
        count = f"{options['chains']:,} {'restart' if options['chains'] == 1 else 'restarts'}"
        made = run.facts["draws"] * options.get("thin", 1)
        return f"{count} of {made:,} steps{_ended(run)}"
    if run.weighted:
        return f"{options['draws'] * options.get('chains', 1):,} weighted"
    if run.facts["tuning_steps"] == 0 and "warmup" not in options:
        what = "prior" if run.is_prior else "energy"
        return f"{options['draws'] * options.get('chains', 1):,} independent, from the {what} itself"
    chains = options["chains"]
    count = f"{chains:,} {'chain' if chains == 1 else 'chains'} of {run.facts.get('draws', options['draws']):,}"
    thinned = f", one of {options['thin']:,} steps each," if "thin" in options else ""
    return f"{count}{thinned} after {options['warmup']:,} of warm-up{_ended(run)}"


def _ended(run: Run) -> str:
    """What ended a run before all its draws."""
    if run.facts.get("stopped") == "until":
        return f", until {run.options['until']}"
    return f", when {spell(run.options['budget'])} were over" if run.facts.get("stopped") == "budget" else ""


def estimates(run: Run) -> list[tuple[str, str]]:
    """Log Z and what belongs to it, each with its name; none where it was not estimated."""
    if run.optimised:
        return _optimum(run)
    if run.log_z is None:
        return []
    if run.log_z == 0.0 and not run.log_z_error and not run.weighted:
        return [("log Z", "0, as of every normalised energy")]
    rows = [("log Z", _log_z(run.log_z, run.log_z_error or 0.0))]
    if run.elbo is not None and math.isfinite(run.elbo):
        rows.append(("ELBO", f"{run.elbo:.5g}"))
    if run.weight_ess is not None:
        rows.append(("weights", f"worth {run.weight_ess:,.0f} equal draws" + _pareto(run)))
    return rows


def _optimum(run: Any) -> list[tuple[str, str]]:
    """The best energy, how many restarts found it, and whether the point is feasible."""
    count = len(run.restarts)
    rows = [("best energy", f"{run.best_energy + 0.0:.9g}")]
    if run.feasible:
        rows[0] = ("best energy", f"{run.best_energy + 0.0:.9g}, found by {run.found:,} of {count:,} restarts")
    if run.constraints:
        names = ", ".join(run.constraints)
        missed = ", ".join(f"{name} is missed by {value:.4g}" for name, value in run.violations.items() if value > 0)
        rows.append(("constraints", f"{names}: satisfied" if run.feasible else f"NOT satisfied: {missed}"))
    return rows


def amount(run: Run) -> tuple[str, str]:
    """How much was done: what it is called, and `draws`."""
    return ("restarts" if run.optimised else "draws"), draws(run)


def _log_z(value: float, error: float) -> str:
    """With the digits that the error leaves; a sum over all configurations has none but rounding."""
    if error < EXACT:
        return f"{value:.6g}, a sum over all configurations"
    digits = max(0, 1 - math.floor(math.log10(error))) if math.isfinite(error) else 3
    return f"{value:.{digits}f} ± {error:.2g}"


def _pareto(run: Run) -> str:
    return "" if run.pareto_k is None else f"; Pareto k {run.pareto_k:.2f}"


def visible(text: object) -> str:
    """Any text with control characters, and those that turn the direction of writing, as their codes in angle quotes.

    A name cannot hide what it is, and nothing that shows it is confused by it.
    """
    return "".join(_seen(character) for character in str(text))


def _seen(character: str) -> str:
    if character in "\n\t" or unicodedata.category(character) not in ("Cc", "Cf", "Cs", "Zl", "Zp"):
        return character
    return f"‹{ord(character):X}›"
