"""What `optimize` minimises: an energy, without the Jacobian, and the constraints of its points."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from energylang.ir.constrained import EXCESS, MISSED, OBJECTIVE, PENALTY, Constrained
from energylang.ir.nodes import Report
from energylang.lower.evaluate import evaluate
from energylang.lower.target import EnergyTarget
from energylang.model import Facts, Measure, Outputs, Point, PRNGKey, Selection


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["base", "tolerance"],
    meta_fields=["objective", "names", "excesses"],
)
@dataclass(frozen=True)
class LoweredProblem:
    """An energy of `ir.constrained`, lowered. base: with some weights. tolerance: what a feasible point may miss."""

    base: EnergyTarget
    tolerance: Array
    objective: int
    names: tuple[str, ...]
    excesses: tuple[tuple[str, bool], ...]

    @staticmethod
    def of(base: EnergyTarget, whole: Constrained, tolerance: float | None) -> LoweredProblem:
        """tolerance: None for none, or 1e-4 where continuous variables are constrained: their floats are never exact."""
        given = tolerance if tolerance is not None else 1e-4 if whole.names and base.facts.reals else 0.0
        return LoweredProblem(
            base, jnp.asarray(given, jnp.result_type(float)), whole.objective, whole.names, whole.excesses
        )

    @property
    def facts(self) -> Facts:
        return self.base.facts

    @property
    def variables(self) -> Mapping[str, Selection]:
        return self.base.variables

    @property
    def constrained(self) -> bool:
        return bool(self.names)

    def target(self, penalty: Any = 0.0, objective: Any = 1.0) -> EnergyTarget:
        if not self.names:
            return self.base
        real = jnp.result_type(float)
        weights = {f"| {OBJECTIVE}": jnp.asarray(objective, real), f"| {PENALTY}": jnp.asarray(penalty, real)}
        return replace(self.base, arrays={**self.base.arrays, **weights})

    def measure(self, x: Point) -> Measure:
        return self.missed(x)[0]

    def missed(self, x: Point) -> tuple[Measure, dict[str, Array]]:
        """The measure, and by how much each constraint is missed."""
        target = self.target()
        program = target.program
        environment = target.environment(x)
        energy = program.total(environment, without=program.energy.terms[self.objective :])
        found = self._reported(MISSED, environment)
        by_name = {
            name: sum((v for r, v in found.items() if r.rpartition(" ")[0] == f"{MISSED} {name}"), jnp.zeros(()))
            for name in self.names
        }
        violation = sum(by_name.values(), jnp.zeros((), energy.dtype))
        return Measure(energy, jnp.asarray(violation, energy.dtype)), by_name

    def excess(self, x: Point) -> tuple[Array, Array]:
        target = self.target()
        found = self._reported(EXCESS, target.environment(x))
        real = jnp.result_type(float)

        def side(equality: bool) -> Array:
            parts = [jnp.ravel(found[name]).astype(real) for name, kind in self.excesses if kind is equality]
            return jnp.concatenate(parts) if parts else jnp.zeros(0, real)

        return side(False), side(True)

    def _reported(self, kind: str, environment: Mapping[Any, Any]) -> dict[str, Array]:
        reports = [r for r in self.base.program.energy.reports if _internal(r, kind)]
        values = evaluate([r.value for r in reports], environment, self.base.program.dims)
        return {r.name: jnp.asarray(v) for r, v in zip(reports, values, strict=True)}

    def changes(self, x: Point) -> tuple[tuple[Array, ...], tuple[Array, ...]]:
        energy = tuple(-g for g in self.target(0.0, 1.0).gains(x))
        if not self.names:
            return energy, tuple(jnp.zeros_like(change) for change in energy)
        return energy, tuple(-g for g in self.target(1.0, 0.0).gains(x))

    def outputs(self, x: Point, key: PRNGKey) -> Outputs:
        found = self.target().outputs(x, key)
        kept = {name: value for name, value in found.draws.items() if " " not in name}
        return found._replace(draws=kept)


def _internal(report: Report, kind: str) -> bool:
    return report.name.startswith(f"{kind} ")


def weighted(values: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Values by key with those of the two weights beside them, for probing."""
    return {**values, f"| {OBJECTIVE}": np.asarray(1.0), f"| {PENALTY}": np.asarray(1.0)}
