"""Runs made of arrays, without sampling: what pictures and reports are tested on."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from energylang.run.data import MemoryData
from energylang.run.result import Run

RINGS = """\
# Two rings & a `<script>`
energy rings(z: real[2]) {
  let r = sqrt(sum(z^2))
  += 8 * (r - 3)^2
}
"""


def normal(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


def autoregressive(chains: int, draws: int, phi: float, seed: int = 0) -> np.ndarray:
    """[chain, draw] with autocorrelation phi^lag."""
    noise = normal(chains, draws, seed=seed)
    for at in range(1, draws):
        noise[:, at] = phi * noise[:, at - 1] + np.sqrt(1 - phi**2) * noise[:, at]
    return noise


def a_run(
    posterior: dict[str, np.ndarray], sources: dict[str, str] | None = None, facts: dict[str, Any] | None = None,
    observed: dict[str, np.ndarray] | None = None, stats: dict[str, np.ndarray] | None = None,
    weighted: dict[str, np.ndarray] | None = None, consts: dict[str, Any] | None = None,
) -> Run:  # fmt: skip
    """A run in memory. stats: beside `lp`, which is minus a sum of squares where it is not given."""
    chains, draws = next(iter(posterior.values())).shape[:2]
    lp = -sum(
        np.square(v.astype(float)).reshape(chains, draws, -1).sum(axis=2)
        for v in posterior.values()
        if v.dtype.kind == "f"
    )
    groups = {"posterior": posterior, "sample_stats": {"lp": lp + np.zeros((chains, draws)), **(stats or {})}}
    groups |= {"weighted_posterior": weighted} if weighted else {}
    groups |= {"observed_data": observed} if observed else {}
    options = {"chains": chains, "draws": draws, "warmup": draws, "seed": 0, "consts": consts or {}}
    said = {
        "energy": "rings", "task": "sample", "method": "nuts()", "reason": "asked for", "options": json.dumps(options),
        "versions": json.dumps({"energylang": "0", "jax": "0"}), "seed": 0, "device": "cpu", "precision": "float64",
        "sampling_time": 0.5, "tuning_steps": draws, "programs": 1, "created_at": "2026-01-01T00:00:00+00:00",
    }  # fmt: skip
    return Run(MemoryData(groups, sources), said | (facts or {}))


def of_rings(chains: int = 4, draws: int = 200) -> Run:
    """Draws on the ring of RINGS, with its energy."""
    generator = np.random.default_rng(3)
    angle = generator.uniform(0, 2 * np.pi, (chains, draws))
    radius = 3 + generator.normal(0, 0.25, (chains, draws))
    z = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=2)
    return a_run({"z": z}, {"rings.energy": RINGS}, stats={"lp": -8 * (np.linalg.norm(z, axis=2) - 3) ** 2})


def of_weights(draws: int = 500) -> Run:
    """Weighted draws, and those of equal weight made from them."""
    x = normal(1, draws)
    log_weight = -0.5 * (x - 1) ** 2
    chosen = np.random.default_rng(1).choice(draws, draws, p=(w := np.exp(log_weight[0])) / w.sum())
    said = {"log_z": -0.5, "log_z_error": 0.02, "elbo": -0.9, "weight_ess": 320.0, "pareto_k": 0.2, "tuning_steps": 0}
    return a_run({"x": x[:, chosen]}, facts=said, stats={"log_weight": log_weight}, weighted={"x": x})
