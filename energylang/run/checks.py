"""What can go wrong with a run: before it (space, memory), during it (finiteness), and what to say after it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from energylang.datafiles import memory
from energylang.diagnostics import Diagnostic, DiagnosticError
from energylang.run.data import POSTERIOR, PREDICTIVE, PRIOR, STATS, Data
from energylang.run.summary import Summary
from energylang.stopping import R_HAT

ESS = 400
PARETO_K = 0.7
RESOLUTION = 0.1
"""Log densities that lie closer than this may be one number in float32 before anything is said of it."""

MANY_DIVERGE = 0.1
"""A share of draws, as large as where the energy is not finite rather than steep."""

FEW_DRAWS = 100
"""Draws of a chain below which a run that a budget ended is said to be short."""

SHORT = 400
"""Draws of a chain below which autocorrelation alone may lift R_hat above its limit: it is near 1 + (t - 1) / draws where chains
agree and t draws are worth one."""

FEW_PROPOSALS = 100
"""Below so many proposals, none accepted says nothing yet."""


def require_memory(needed: int) -> None:
    """Raise E0805 where draws alone exceed the memory of this machine."""
    there = memory()
    if there is not None and needed > there:
        raise DiagnosticError(
            [
                Diagnostic(
                    "E0805",
                    f"the draws need {_bytes(needed)} of memory, and this machine has {_bytes(there)}",
                    fix="give `--out`, fewer draws or chains, or keep less of a draw",
                )
            ]
        )


def require_one_process(processes: int) -> None:
    """Raise E0808 where chains that look at one another are to be shared by several processes."""
    if processes > 1:
        raise DiagnosticError(
            [
                Diagnostic(
                    "E0808",
                    f"the chains of this method move together, in one process, and {processes} are joined here",
                    cause="in warm-up each step looks at all chains, which processes that share nothing cannot do",
                    fix="give the command without `--distributed`, or a method whose chains are independent: `--method 'nuts()'`",
                )
            ]
        )


@contextmanager
def memory_as_diagnostic() -> Iterator[None]:
    """Turn what JAX and NumPy raise when memory runs out into E0805."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not isinstance(error, MemoryError) and "RESOURCE_EXHAUSTED" not in str(error):
            raise
        raise DiagnosticError(
            [
                Diagnostic(
                    "E0805",
                    "the memory of the device is exhausted",
                    cause=(str(error).splitlines() or [""])[0],
                    fix="give fewer chains, a smaller model, or a device with more memory",
                )
            ]
        ) from error


def require_space(folder: Path, needed: int) -> None:
    """Raise E0804 where the draws to come do not fit the disk of `folder`."""
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise DiagnosticError(
            [
                Diagnostic(
                    "E0804",
                    f"the draws need {_bytes(needed)} on the disk of `{folder}`, and {_bytes(free)} are free",
                    fix="free some space, write elsewhere with `--out`, or ask for fewer draws or chains",
                )
            ]
        )


def _bytes(count: int) -> str:
    for unit in ("bytes", "KiB", "MiB"):
        if count < 1024:
            return f"{count:.0f} {unit}"
        count /= 1024  # type: ignore[assignment]
    return f"{count:.1f} GiB"


def require_finite(energy: np.ndarray, step: int, every: int = 1) -> None:
    """Raise E0802 if an energy [chain, draw] is not finite; `step` is the absolute number of the first step of `every`."""
    bad = np.argwhere(~np.isfinite(energy).reshape(*energy.shape[:2], -1).all(axis=2))
    if bad.size:
        chain, at = bad[np.argmin(bad[:, 1])]
        value = energy[chain, at]
        raise DiagnosticError(
            [
                Diagnostic(
                    "E0802",
                    f"the energy of chain {chain} is {value} at step {step + (at + 1) * every - 1}",
                    cause="the density is infinite or undefined there, and the chain cannot go on from it",
                    fix="look for an energy without lower bound, log(0), 0/0 or overflow (`--x64` tells overflow apart)",
                )
            ]
        )


def require_acceptance(data: Data) -> None:
    """Raise E0803 if no proposal of any chain was accepted in sampling."""
    if "acceptance_rate" not in data.names(STATS):
        return
    accepted = data.read(STATS, "acceptance_rate")
    if accepted.size < FEW_PROPOSALS or np.any(accepted > 0):
        return
    # A rate may round to zero while the chain still moves.
    if all(_still(data.read(POSTERIOR, name)) for name in data.names(POSTERIOR)):
        raise DiagnosticError(
            [
                Diagnostic(
                    "E0803",
                    f"none of {accepted.size} proposals was accepted: every chain stayed where it was",
                    fix="give more warm-up, a smaller step, or another method (`energylang methods`); where walls of energy"
                    " stand around every point, make them lower",
                )
            ]
        )


def _still(draws: np.ndarray) -> bool:
    return bool(np.all(draws == draws[:, :1]))


def _unmoved(data: Data) -> np.ndarray:
    """The chains whose draws are all one point; none where draws are few."""
    if "lp" not in data.names(STATS) or data.view(STATS, "lp").shape[1] < FEW_PROPOSALS // 4:
        return np.zeros(0, int)
    # Other draws are read only where the energy says that there is something to see.
    found = np.flatnonzero(np.ptp(data.read(STATS, "lp"), axis=1) == 0)
    for name in data.names(POSTERIOR) if found.size else ():
        draws = data.read(POSTERIOR, name)[found]
        found = found[np.all((draws == draws[:, :1]).reshape(len(draws), -1), axis=1)]
    return found


def chain_warnings(data: Data, summary: Summary) -> list[str]:
    """What is doubtful about chains, each in one sentence with what to do."""
    found = []
    if "diverging" in data.names(STATS):
        diverging = data.read(STATS, "diverging")
        if count := int(np.sum(diverging)):
            found.append(
                f"{count} of {diverging.size} draws diverged: parts of the space were not explored; where a scale is learned"
                " together with what it scales, write it non-centred: `eta ~ normal(0, 1)` and"
                " `let theta = mu + tau * eta` instead of `theta ~ normal(mu, tau)`; where few diverge, a higher"
                " `target_acceptance` may do"
            )
            if count >= MANY_DIVERGE * diverging.size and _single(data):
                found[-1] += (
                    "; where a matrix is factored, float32 may be too coarse: give it more on its diagonal, or try `--x64`"
                )
    found += _coarse(data)
    if "acceptance_rate" in data.names(STATS):
        stuck = np.flatnonzero(np.all(data.read(STATS, "acceptance_rate") == 0, axis=1))
        if stuck.size:
            found.append(f"{_chains(stuck)} accepted nothing; give more warm-up or another seed")
        still = np.setdiff1d(_unmoved(data), stuck)
        if still.size:
            found.append(
                f"{_chains(still)} never moved: every draw is the same point; where the law is not that narrow, take a"
                " method that makes larger moves (`energylang methods`), or give another start or seed"
            )
    summary = _of_variables(data, summary)
    r_hat = summary["R_hat"]
    if np.any(bad := r_hat > R_HAT):
        found.append(
            f"R_hat is above {R_HAT} for {_scalars(summary, bad, -r_hat)}: the chains do not agree; give more"
            " warm-up and draws, or look for several modes"
        )
        if "lp" in data.names(STATS) and (draws := data.view(STATS, "lp").shape[1]) < SHORT:
            found[-1] += f"; with {draws} draws a chain it may be noise, which more draws of each chain would tell"
    least = np.fmin(summary["ESS_bulk"], summary["ESS_tail"])
    if np.any(bad := least < ESS):
        found.append(f"the effective sample size is below {ESS} for {_scalars(summary, bad, least)}: give more draws")
    return found


def _of_variables(data: Data, summary: Summary) -> Summary:
    """Predictive draws follow the chains with noise of their own: they say nothing new, and are many."""
    groups = {PREDICTIVE, PRIOR[PREDICTIVE]} & set(data.groups())
    predicted = {name for group in groups for name in data.names(group)}
    return summary.select({name.partition("[")[0] for name in summary.names} - predicted)


def length_warnings(facts: Mapping[str, Any], options: Mapping[str, Any], data: Data, summary: Summary) -> list[str]:
    """What is doubtful about a run that an aim or a budget should have ended, or did."""
    found = []
    draws, stopped = facts.get("draws", 0), facts.get("stopped")
    if stopped == "budget" and draws < FEW_DRAWS:
        found.append(
            f"the budget ended after {draws} {'draw' if draws == 1 else 'draws'} of a chain: give a longer one"
        )
    if options.get("until") and stopped != "until":
        rows = _of_variables(data, summary)
        ess, r_hat = rows["ESS_bulk"], rows["R_hat"]
        reached = [
            f"{text} of `{rows.names[place]}`"
            for text, place in (
                *((f"the smallest ESS_bulk is {ess[at]:.0f}", at) for at in _largest(-ess)),
                *((f"the largest R_hat is {r_hat[at]:.3f}", at) for at in _largest(r_hat)),
            )
        ]
        more = "a longer `budget`" if stopped == "budget" else "more `draws`"
        was = ", ".join(reached) or "there are too few draws to tell"
        found.append(f"`{options['until']}` was not reached after {draws:,} draws of a chain: {was}; give {more}")
    return found


def _largest(values: np.ndarray) -> list[int]:
    """The place of the largest number, if there is a number."""
    return [] if np.all(np.isnan(values)) else [int(np.nanargmax(values))]


def _single(data: Data) -> bool:
    """Whether energies were computed in float32."""
    return "lp" in data.names(STATS) and data.read(STATS, "lp").dtype == np.float32


def _coarse(data: Data) -> list[str]:
    """Whether energies are so large that float32 cannot tell neighbouring ones apart."""
    if not _single(data) or "acceptance_rate" not in data.names(STATS):
        return []
    lp = data.read(STATS, "lp")
    size = float(np.median(np.abs(lp)))
    if np.spacing(np.float32(size)) <= RESOLUTION:
        return []
    return [
        f"log densities are near {size:.2g}, and float32 tells them apart only by {np.spacing(np.float32(size)):.2g}:"
        " acceptance is a matter of rounding; try `--x64`, or leave constants out of the energy"
    ]


def weight_warnings(pareto_k: float, weight_ess: float, count: int) -> list[str]:
    """What is doubtful about weighted draws."""
    found = []
    if pareto_k > PARETO_K:
        found.append(
            f"Pareto k of the weights is {pareto_k:.2f}, above {PARETO_K}: a few draws decide, and log Z and its error"
            " cannot be trusted; use a method with more levels between base and target"
        )
    if weight_ess < min(ESS, count):
        found.append(f"the weights are worth {weight_ess:.0f} equal draws of {count}: give more draws")
    return found


def _chains(numbers: np.ndarray) -> str:
    listed = ", ".join(map(str, numbers[:8].tolist())) + (", …" if numbers.size > 8 else "")
    return f"{'chain' if numbers.size == 1 else 'chains'} {listed}"


def _scalars(summary: Summary, bad: np.ndarray, order: np.ndarray) -> str:
    """The worst three by name, and how many there are."""
    places: Sequence[int] = np.flatnonzero(bad)[np.argsort(order[bad])].tolist()
    named = ", ".join(f"`{summary.names[place]}`" for place in places[:3])
    return named if len(places) <= 3 else f"{named} and {len(places) - 3} more"
