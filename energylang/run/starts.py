"""Starting points that the caller gives: values by variable, checked and brought to the unconstrained space."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from energylang.datafiles import read_names
from energylang.diagnostics import Diagnostic, DiagnosticError, Diagnostics, suggest
from energylang.ir.nodes import Symbol, Variable, symbols
from energylang.lower.data import outside_space, read_value
from energylang.lower.operations import NUMPY
from energylang.lower.spaces import CodeSlot, RealSlot
from energylang.lower.target import EnergyTarget
from energylang.run.data import POSTERIOR
from energylang.run.result import Run

ROUNDING = 1e-3
"""Sums and lengths that should be one may be so far off, as those of float32 draws are, and are mended."""


class Given(NamedTuple):
    """In the layout of a Point: values with a leading dim of chains, or of one for all chains, or which of them there are."""

    real: Any
    code: tuple[Any, ...]


@dataclass(frozen=True)
class Starts:
    """point: the values, zeros where nothing was given. known: where something was, bool[R] and bool[D_k].

    label: what it was and a hash of the values, for provenance.
    """

    point: Given
    known: Given
    label: str

    @property
    def whole(self) -> bool:
        """Whether every variable was given."""
        return bool(np.all(self.known.real)) and all(bool(np.all(known)) for known in self.known.code)


def read_starts(source: Any, target: EnergyTarget, chains: int) -> Starts:
    """Values by name, from a mapping, a Run, or a file (JSON, NPZ, or the netCDF of an earlier run: its last draws).

    Values have the shape of the variable, or one more dim before it, of chains. Raises DiagnosticError with all that is
    wrong: E0707 and E0831 (files), E0702 (no numbers), E0860 to E0864.
    """
    diagnostics = Diagnostics()
    variables = {v.name: v for v in target.program.energy.variables}
    name, values = _values(source, variables, chains, diagnostics)
    diagnostics.raise_if_failed()
    for unknown in (n for n in values if n not in variables):
        near = suggest(unknown, variables)
        diagnostics.add(
            "E0860", f"{name} has a start for `{unknown}`, which is no variable of `{target.program.energy.name}`",
            fix=f"did you mean `{near}`?" if near else f"its variables are {', '.join(variables)}",
        )  # fmt: skip
    arrays: dict[Symbol, np.ndarray] = {}
    for variable in variables.values():
        if variable.name in values:
            array = read_value(values[variable.name], variable, diagnostics)
            shape = tuple(d.evaluate(target.program.dims) for d in variable.space.shape)
            if array is not None and _shaped(variable, array, shape, chains, diagnostics):
                arrays[variable] = array.reshape(-1, *shape)
    diagnostics.raise_if_failed()
    point, known = _placed(arrays, target, diagnostics)
    diagnostics.raise_if_failed()
    digest = hashlib.sha256()
    for leaf in (point.real, *point.code, known.real, *known.code):
        digest.update(f"{leaf.dtype}{leaf.shape}".encode() + np.ascontiguousarray(leaf).tobytes())
    return Starts(point, known, f"{name} ({digest.hexdigest()[:16]})")


def _values(
    source: Any, variables: Mapping[str, Variable], chains: int, diagnostics: Diagnostics
) -> tuple[str, Mapping[str, Any]]:
    """How messages call what was given, and its values by name."""
    if isinstance(source, Run):
        return "the run", _last(source, "the run", variables, chains)
    if isinstance(source, Mapping):
        return "`init`", source
    path = Path(source)
    if path.suffix == ".nc":
        return f"`{path.name}`", _last(Run.open(path), f"`{path.name}`", variables, chains)
    ranks = {v.name: len(v.space.shape) for v in variables.values()}
    return f"`{path.name}`", read_names(path, ranks, diagnostics)


def _last(run: Run, name: str, variables: Mapping[str, Variable], chains: int) -> dict[str, np.ndarray]:
    """The last draw of each of the first chains of a run, of those variables that it has."""
    group = run.group(POSTERIOR)
    views = {n: run.data.view(group, n) for n in run.data.names(group) if n in variables}
    if not views:
        problem = f"{name} has no draws of {', '.join(f'`{v}`' for v in variables)}"
        raise DiagnosticError([Diagnostic("E0864", problem, fix="give the file of a run of this model")])
    found = {n: np.asarray(view[:, -1]) for n, view in views.items()}
    count = min(len(values) for values in found.values())
    if count < chains:
        raise DiagnosticError(
            [
                Diagnostic(
                    "E0861", f"{name} has {count} chains to start from, and {chains} are asked for",
                    cause="each chain starts at the last draw of one of its own", fix=f"ask for {count}: `chains = {count}`",
                )
            ]
        )  # fmt: skip
    return {n: values[:chains] for n, values in found.items()}


def _shaped(
    variable: Variable, array: np.ndarray, shape: tuple[int, ...], chains: int, diagnostics: Diagnostics
) -> bool:
    if array.shape in (shape, (chains, *shape)):
        return True
    diagnostics.add(
        "E0861", f"the start of `{variable.name}` has shape {list(array.shape)}, and should have {list(shape)}", variable.span,
        cause=f"`{variable.name}` is {variable.space}",
        fix=f"give that shape, or {[chains, *shape]} for a start of each chain",
    )  # fmt: skip
    return False


def _placed(arrays: Mapping[Symbol, np.ndarray], target: EnergyTarget, diagnostics: Diagnostics) -> tuple[Given, Given]:
    """The values on the unconstrained vector and in codes, and where there are any."""
    program = target.program
    rows = max((len(array) for array in arrays.values()), default=1)
    real, known = np.zeros((rows, program.facts.reals)), np.zeros(program.facts.reals, bool)
    codes = tuple(np.zeros((rows, sites), np.int32) for sites in program.facts.sites)
    coded = tuple(np.zeros(sites, bool) for sites in program.facts.sites)
    environment = program.environment(target.arrays, target.params) if program.varying else {}
    for variable in (v for v in program.energy.variables if v in arrays):
        array = arrays[variable]
        slot = program.real_slots.get(variable) or program.code_slots[variable]
        places = slice(slot.start, slot.start + slot.size)
        if isinstance(slot, CodeSlot):
            if _inside(variable, array, (None, None), program.dims, diagnostics):
                codes[slot.group][:, places] = slot.encode(array).reshape(-1, slot.size)
                coded[slot.group][places] = True
            continue
        free = [
            missing.name for missing in symbols(*slot.bounds) if isinstance(missing, Variable) and missing not in arrays
        ]
        if free:
            diagnostics.add(
                "E0863", f"the bounds of `{variable.name}` are made of `{free[0]}`, which has no start", variable.span,
                fix=f"give `{free[0]}` a start too, or leave `{variable.name}` out",
            )  # fmt: skip
            continue
        for row in range(rows if slot.bounds else len(array)):
            around = {
                symbol: arrays[symbol][row % len(arrays[symbol])]
                if symbol in arrays
                else np.asarray(environment[symbol])
                for symbol in symbols(*slot.bounds)
            }
            placed = slot.at(around, program.dims, NUMPY)
            value = array[row % len(array)]
            found = _unconstrained(variable, placed, value, program.dims, diagnostics)
            if found is None:
                break
            real[row, places] = found
        else:
            if len(array) == 1 and not slot.bounds:
                real[:, places] = real[0, places]
            known[places] = True
    return Given(real, codes), Given(known, coded)


def _unconstrained(
    variable: Variable, slot: RealSlot, value: np.ndarray, dims: Mapping[str, int], diagnostics: Diagnostics
) -> np.ndarray | None:
    value = _mended(slot.kind, value)
    if not _inside(variable, value, (slot.low, slot.high), dims, diagnostics):
        return None
    with np.errstate(all="ignore"):
        found = slot.unconstrain(value)
    if np.isfinite(found).all():
        return found
    diagnostics.add(
        "E0862", f"the start of `{variable.name}` lies on the edge of its space", variable.span,
        cause=f"`{variable.name}` is {variable.space}, and its edge is infinitely far in the space where chains move",
        fix="start it inside",
    )  # fmt: skip
    return None


def _inside(
    variable: Variable, value: np.ndarray, bounds: tuple[Any, Any], dims: Mapping[str, int], diagnostics: Diagnostics
) -> bool:
    bad, wanted = outside_space(variable.space, value, dims, bounds)
    if not np.isfinite(value).all():
        bad, wanted = ~np.isfinite(value), "finite"
    if bad is None or not np.any(bad):
        return True
    diagnostics.add(
        "E0862", f"the start of `{variable.name}` is outside its space", variable.span,
        cause=f"it should be {wanted}", fix="start it inside",
    )  # fmt: skip
    return False


def _mended(kind: str, value: np.ndarray) -> np.ndarray:
    """Rounding taken out of what should sum to one, or have rows of length one."""
    with np.errstate(all="ignore"):
        if kind == "simplex":
            total = value.sum(-1, keepdims=True)
        elif kind == "corr_cholesky":
            total = np.sqrt(np.square(value).sum(-1, keepdims=True))
        else:
            return value
        return np.where(np.abs(total - 1) < ROUNDING, value / total, value)
