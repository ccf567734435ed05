"""The result of `optimize`: the best point of each restart, the best of all, and how the objective fell."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from energylang.run.data import OPTIMUM, POSTERIOR, PREDICTIVE, TRACE
from energylang.run.result import Run
from energylang.run.summary import Summary, scalar_names

AGREE = 1e-6
"""Energies closer than this part of their size are taken for one."""
HUGE = 1e30
"""No energy is meant to be below minus this."""
LONG, STILL = 20, 0.2
"""A trace of so many entries whose last tenth has this part of the whole fall has not come to its end."""


class Optimum(Run):
    """A run of `optimize`, a mapping from variables and reports to the best points of the restarts, [chain, 1, …]."""

    @property
    def optimised(self) -> bool:
        return True

    def group(self, name: str) -> str:
        return OPTIMUM.get(name, name)

    @property
    def best(self) -> dict[str, np.ndarray]:
        """The best point: each variable and report in its shape."""
        chain = self.facts["best_chain"]
        return {name: self[name][chain, 0] for name in (*self.names_of(POSTERIOR), *self.names_of(PREDICTIVE))}

    def names_of(self, group: str) -> tuple[str, ...]:
        return self.data.names(self.group(group))

    @property
    def best_energy(self) -> float:
        """The energy of the best point, of a feasible one where there is one."""
        return self.facts["best_energy"]

    @property
    def feasible(self) -> bool:
        """Whether the best point satisfies the constraints."""
        return bool(self.facts["feasible"])

    @property
    def violation(self) -> float:
        """By how much the best point misses the constraints, summed; 0 where it satisfies them."""
        return self.facts["violation"]

    @property
    def violations(self) -> dict[str, float]:
        """By how much the best point misses each constraint."""
        chain = self.facts["best_chain"]
        return {name: float(self.stats(f"violation_{name}")[chain, 0]) for name in self.constraints}

    @property
    def constraints(self) -> tuple[str, ...]:
        """The constraints of the run, by name."""
        return tuple(name for name in self.facts["constraints"].split(", ") if name)

    @property
    def restarts(self) -> np.ndarray:
        """[chain], the energy of the best point of each restart; infinite where none was feasible."""
        return np.where(self.stats("feasible")[:, 0], self.stats("energy")[:, 0], np.inf)

    @cached_property
    def trace(self) -> dict[str, np.ndarray]:
        """[chain, entry] by name: objective, best (infinite while no point was feasible), violation, temperature…"""
        return {name: self.data.read(TRACE, name) for name in self.data.names(TRACE)}

    @property
    def found(self) -> int:
        """The restarts that found the best energy."""
        room = AGREE * max(1.0, abs(self.best_energy))
        return int(np.sum(self.restarts <= self.best_energy + room))

    @cached_property
    def warnings(self) -> list[str]:
        if self.feasible:
            return self._doubts()
        missed = ", ".join(f"`{name}` by {value:.3g}" for name, value in self.violations.items() if value > 0)
        return [
            f"no restart found a point that satisfies the constraints: the nearest misses {missed}; give more `steps`"
            " or `chains`, a larger `penalty`, or look whether the constraints contradict each other",
            *self._doubts(),
        ]

    def _doubts(self) -> list[str]:
        found = []
        fall = self.trace["objective"][self.facts["best_chain"]].astype(np.float64)
        last = fall[-max(1, fall.size // 10)] - fall[-1]
        if self.best_energy < -HUGE:
            found.append(
                f"the energy fell to {self.best_energy:.3g}, and has no lower bound: bound the spaces, or add what grows outside"
            )
        elif fall.size >= LONG and last > STILL * (fall[0] - fall[-1]) > 0:
            found.append("the energy was still falling at the end: give more `steps`")
        if self.facts.get("stopped") == "budget":
            found.append(
                f"the budget ended after {self.facts['draws']:,} of {self.options['draws']:,} levels: it cooled no further"
            )
        return found

    @cached_property
    def _summary(self) -> Summary:
        """A row for the energy and each scalar: at the best point, and the least and most of the best of all restarts."""
        chain = self.facts["best_chain"]
        names, parts = ["energy"], [self.stats("energy")]
        for name in self:
            values = self[name]
            names += scalar_names(name, values.shape[2:])
            parts.append(values)
        flat = np.concatenate([np.asarray(p, np.float64).reshape(p.shape[0], -1) for p in parts], axis=1)
        return Summary(tuple(names), {"Best": flat[chain], "Min": flat.min(axis=0), "Max": flat.max(axis=0)})
