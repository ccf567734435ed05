"""What to think of a run, in plain words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from energylang.run import checks, words
from energylang.run.data import STATS
from energylang.run.report.text import safe, sentence

if TYPE_CHECKING:
    from energylang.run.result import Run


def verdict(run: Run) -> str:
    """Warnings with what to do, or what speaks for the run; and its estimates."""
    warnings = run.warnings if len(run) else []
    if warnings:
        items = "".join(f"<li>{sentence(_upper(text))}.</li>" for text in warnings)
        count = "One thing is" if len(warnings) == 1 else f"{len(warnings)} things are"
        said = f'<div class="verdict bad"><strong>{count} doubtful.</strong><ul>{items}</ul></div>'
    else:
        head = "<strong>Nothing doubtful was found.</strong>"
        said = f'<div class="verdict good">{head}<p>{sentence(reasons(run))}</p></div>'
    rows = "".join(f"<div><dt>{safe(name)}</dt><dd>{safe(text)}</dd></div>" for name, text in words.estimates(run))
    return said + (f'<dl class="estimates">{rows}</dl>' if rows else "")


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]


def reasons(run: Run) -> str:
    """What speaks for a run without warnings, and what is not known of it."""
    if not len(run):
        return "The energy is normalised: nothing had to be drawn."
    if run.optimised:
        return _optimised(run)
    if run.weighted:
        k = run.pareto_k
        even = "The weights are equal" if k is None else f"Pareto k of the weights is {k:.2f}, below {checks.PARETO_K}"
        return f"{even}, and the draws are worth {run.weight_ess or 0:,.0f} equal ones."
    diverged = "diverging" in run.data.names(STATS)
    if run.is_prior or (not diverged and "warmup" not in run.options):
        return "The draws are independent of each other."
    summary, parts = run.summary(), []
    r_hat = summary["R_hat"]
    if np.isfinite(r_hat).any():
        at = int(np.nanargmax(r_hat))
        parts.append(f"the chains agree (R_hat is at most {r_hat[at]:.3f}, at `{summary.names[at]}`)")
    least = np.fmin(summary["ESS_bulk"], summary["ESS_tail"])
    if np.isfinite(least).any():
        at = int(np.nanargmin(least))
        parts.append(
            f"each scalar has an effective sample size of {least[at]:,.0f} or more (least at `{summary.names[at]}`)"
        )
    if diverged:
        parts.append("no draw diverged")
    if run.options.get("chains") == 1:
        parts.append("whether other chains would agree is not known, as there is only one")
    return (
        f"{_upper('; '.join(parts) or 'there is too little to judge')}. No diagnostic proves that every mode was seen."
    )


def _optimised(run: Any) -> str:
    constrained = " satisfies every constraint and" if run.constraints else ""
    return (
        f"The best point{constrained} was found by {run.found:,} of {len(run.restarts):,} restarts. "
        "A search proves no minimum: that many agree makes a lower one less likely."
    )


def worst(run: Run, names: set[str], most: int) -> list[str]:
    """Scalars of some variables, the most doubtful first: R_hat and effective sample size against their thresholds."""
    if run.weighted or run.optimised or not len(run):
        return []
    summary = run.summary().select(names)
    with np.errstate(divide="ignore", invalid="ignore"):
        apart = (summary["R_hat"] - 1) / (checks.R_HAT - 1)
        few = checks.ESS / np.fmin(summary["ESS_bulk"], summary["ESS_tail"])
    score = np.nan_to_num(np.fmax(apart, few), nan=-np.inf)
    return [summary.names[at] for at in np.argsort(-score, kind="stable")[:most]]
