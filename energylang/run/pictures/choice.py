"""What of a run is shown: scalars by name, read in bounded memory, thinned where there are too many draws to see."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from energylang.diagnostics import Diagnostic, DiagnosticError, suggest
from energylang.run.data import POSTERIOR, STATS
from energylang.run.summary import scalar_names
from energylang.run.words import visible

if TYPE_CHECKING:
    from energylang.run.result import Run

MOST = 8192
"""Draws of a chain that are looked at: more cannot be told apart on paper."""
TITLE = 70
"""Characters of a title."""
CHAINS = 8
"""Chains that are drawn one by one."""
BLOCK_BYTES, HELD_BYTES = 64 << 20, 512 << 20
"""What is read at once of a long run, and what is held of an array."""


@dataclass(frozen=True)
class Scalar:
    """One number of each draw. values: [chain, draw], thinned."""

    name: str
    values: np.ndarray
    place: int = 0
    """Which scalar of its variable."""

    @property
    def constant(self) -> bool:
        return not np.ptp(self.finite) > 0 if self.finite.size else True

    @property
    def finite(self) -> np.ndarray:
        flat = np.asarray(self.values, np.float64).ravel()
        return flat[np.isfinite(flat)]

    @property
    def whole(self) -> bool:
        """Whether its values are integers."""
        return self.values.dtype.kind in "iub"


@dataclass(frozen=True)
class Chosen:
    """Scalars to show, and how many there were beside them."""

    scalars: list[Scalar]
    left_out: int = 0
    stride: int = 1

    @property
    def note(self) -> str:
        parts = [f"{self.left_out:,} more not shown unless named"] if self.left_out else []
        if self.stride > 1:
            parts.append(f"one draw of {self.stride:,}")
        return "; ".join(parts)


@dataclass
class Reader:
    """Draws of a run, thinned alike: draw i of every array is the same draw."""

    run: Run
    most: int = MOST
    _arrays: dict[str, np.ndarray] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """The energy and the method, on one line."""
        text = " ".join(visible(f"{self.run.facts['energy']}, {self.run.method}").split())
        return text if len(text) <= TITLE else text[:TITLE] + "…"

    @property
    def main(self) -> tuple[str, ...]:
        """Variables and computed reports; predictive draws are shown when they are asked for."""
        return self.run.data.names(self.run.group(POSTERIOR))

    @cached_property
    def stride(self) -> int:
        """One of so many draws is looked at: no more than can be told apart, or held."""
        views = [self.run.view(name) for name in self.main]
        if not views:
            return 1
        bytes_of = max(int(np.prod(view.shape)) * view.dtype.itemsize for view in views)
        return max(1, -(-views[0].shape[1] // self.most), -(-bytes_of // HELD_BYTES))

    def array(self, name: str) -> np.ndarray:
        """[chain, draw, …], thinned."""
        if name not in self._arrays:
            self._arrays[name] = self._thinned(self.run.view(name))
        return self._arrays[name]

    def stats(self, name: str) -> np.ndarray | None:
        """[chain, draw] of a statistic, thinned; None where there is none, or where draws were resampled."""
        if self.run.weighted or name not in self.run.data.names(self.run.group(STATS)):
            return None
        return self._thinned(self.run.stats(name))

    def diverging(self) -> np.ndarray | None:
        """bool[chain, draw], at the draws that are shown; None where nothing diverged."""
        found = self.stats("diverging")
        return found.astype(bool) if found is not None and found.any() else None

    def _thinned(self, view: Any) -> np.ndarray:
        draws, stride = view.shape[1], self.stride
        if stride == 1:
            return np.asarray(view[:, :])
        row = int(np.prod(view.shape[2:])) * view.shape[0] * view.dtype.itemsize
        block = max(1, BLOCK_BYTES // max(1, row) // stride) * stride
        return np.concatenate(
            [np.asarray(view[:, at : at + block])[:, ::stride] for at in range(0, draws, block)], axis=1
        )

    # --- what to show -----------------------------------------------------------------------------------------------

    def variables(self, names: Sequence[str]) -> dict[str, list[str] | None]:
        """The variables asked for, each with the scalars asked for of it (None: all). Raises E0892."""
        known = (*self.main, *(name for name in self.run if name not in self.main), *self._extra())
        found: dict[str, list[str] | None] = {}
        for name in names:
            variable, bracket, _ = name.partition("[")
            if variable not in known:
                near = suggest(variable, known)
                fix = f"did you mean `{near}`?" if near else f"it has {', '.join(known) or 'none'}"
                raise DiagnosticError([Diagnostic("E0892", f"the run has no variable `{variable}`", fix=fix)])
            if not bracket:
                found[variable] = None
                continue
            wanted = re.sub(r"\s", "", name)
            shape = self.run.view(variable).shape[2:] if variable != "lp" else ()
            index = [int(i) for i in re.findall(r"\d+", wanted)]
            inside = len(index) == len(shape) and all(i < n for i, n in zip(index, shape, strict=True))
            if wanted != f"{variable}[{','.join(map(str, index))}]" or not inside:
                fix = f"its entries are `{variable}[{','.join('0' for _ in shape)}]` to `{variable}[{','.join(str(n - 1) for n in shape)}]`"
                raise DiagnosticError(
                    [
                        Diagnostic(
                            "E0892",
                            f"`{variable}` has no entry `{wanted}`",
                            fix=fix if shape else f"write `{variable}`",
                        )
                    ]
                )
            if (entries := found.setdefault(variable, [])) is not None:
                entries.append(wanted)
        return found

    def _extra(self) -> tuple[str, ...]:
        there = "lp" in self.run.data.names(self.run.group(STATS))
        return ("lp",) if there and not self.run.weighted else ()

    def entries(self, variable: str) -> tuple[list[str], np.ndarray]:
        """The scalars of a variable: names, and values [chain, draw, scalar]."""
        if variable == "lp":
            lp = self.stats("lp")
            assert lp is not None
            return ["lp"], lp[:, :, None]
        values = self.array(variable)
        return scalar_names(variable, values.shape[2:]), values.reshape(*values.shape[:2], -1)

    def states(self, names: Sequence[str] = ()) -> list[str]:
        """Arrays of discrete values."""
        asked = list(self.variables(names)) if names else self.main
        return [n for n in asked if n != "lp" and (v := self.run.view(n)).dtype.kind in "iub" and len(v.shape) > 2]

    def scalars(self, names: Sequence[str], most: int, lp: bool = True, order: Sequence[str] = ()) -> Chosen:
        """At most `most` scalars: those asked for, or `lp`, means of lattices, and a few of each variable in turn.

        order: names of scalars that come first, whatever they are of.
        """
        if order:
            kept = list(order)[:most]
            return self._chosen([self._one(name) for name in kept], len(order) - len(kept))
        if not names:
            states = self.states()
            lists = [self._all(name) for name in self.main if name not in states]
            first = [self._all("lp")[0]] if lp and self._extra() else []
            first += [self._mean(name) for name in states if self.array(name).max(initial=0) <= 1]
        else:
            asked, first = self.variables(names), []
            lists = [
                [s for s in self._all(variable) if entries is None or s.name in entries]
                for variable, entries in asked.items()
            ]
        taken = in_turn([len(part) for part in lists], max(0, most - len(first)))
        found = first + [s for count, part in zip(taken, lists, strict=True) for s in part[:count]]
        return self._chosen(found, sum(map(len, lists)) - sum(taken))

    def _chosen(self, scalars: list[Scalar], left_out: int) -> Chosen:
        return Chosen(scalars, left_out, self.stride)

    def _all(self, variable: str) -> list[Scalar]:
        names, values = self.entries(variable)
        return [Scalar(name, values[:, :, at], at) for at, name in enumerate(names)]

    def _one(self, name: str) -> Scalar:
        variable = name.partition("[")[0]
        names, values = self.entries(variable)
        at = names.index(name)
        return Scalar(name, values[:, :, at], at)

    def _mean(self, name: str) -> Scalar:
        values = self.array(name)
        return Scalar(f"mean({name})", values.reshape(*values.shape[:2], -1).mean(axis=2))


def in_turn(counts: Sequence[int], room: int) -> list[int]:
    """How many of each are taken: one of each first, then the second of each, so that no array pushes others out."""
    taken = [0] * len(counts)
    while sum(taken) < min(room, sum(counts)):
        for place, count in enumerate(counts):
            if taken[place] < count and sum(taken) < room:
                taken[place] += 1
    return taken
