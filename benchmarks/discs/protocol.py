"""One sampler on one target, by DISCS's protocol with its clock and its adaptation mended.

Chains start at uniform random states; adaptation stops with the first half of the steps; the second half counts. The ESS is that
of the distance to one random state, of each chain by itself, and the clock stops when all draws are there.
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import energylang
from benchmarks.discs.targets import Target
from energylang.catalog import Method, methods
from energylang.model import Point
from energylang.run.mixing import effective_size, r_hat_of_draws, split_chains

FEWEST, MOST = 400, 100_000
"""Steps of a chain."""
MOST_KEPT = 20_000
"""Draws of a chain that are kept; longer runs keep every k-th, which can only lower the ESS."""
MOST_BYTES = 1_000_000_000
"""Of all draws."""


MOST_R_HAT = 1.05


@dataclass(frozen=True)
class Row:
    """What one sampler did. ess: of all chains together. gradient: seconds of one evaluation with its gradient.

    r_hat: of the energies; where it is above 1.05 the chains have not arrived, and there are no draws to count.
    """

    sampler: str
    chains: int
    steps: int
    ess: float
    seconds: float
    gradient: float
    compiling: float
    acceptance: float
    energy: float
    energy_error: float
    r_hat: float

    @property
    def arrived(self) -> bool:
        return self.r_hat <= MOST_R_HAT

    @property
    def per_step(self) -> float:
        """ESS per 1,000 steps of a chain."""
        return 1000 * self.ess / (self.chains * self.steps)

    @property
    def per_evaluation(self) -> float:
        """ESS per 1,000 times that a chain's energy and gradient could have been computed meanwhile."""
        return 1000 * self.ess * self.gradient / self.seconds

    @property
    def per_second(self) -> float:
        """ESS of all chains a second."""
        return self.ess / self.seconds

    def to_dict(self) -> dict[str, Any]:
        derived = {name: getattr(self, name) for name in ("per_step", "per_evaluation", "per_second")}
        return {**asdict(self), **derived}


def samplers() -> list[str]:
    """Every kernel of the catalog that moves discrete variables, and the adaptive form of those that have one."""
    found = []
    for method in methods().values():
        if method.protocol == "kernel" and "sample" in method.tasks and method.moves in ("discrete", "any"):
            found += _forms(method)
    return found


def _forms(method: Method) -> list[str]:
    if "blocks" in method.needs:
        return []
    if "inner" in method.needs:
        return [f"{method.name}(gibbs())"]
    several = f"{method.name}(flips = 8, adaptive = true)"
    return [method.name, several] if {"flips", "adaptive"} <= {o.name for o in method.options} else [method.name]


class Measured:
    """A target compiled once, for many samplers."""

    def __init__(self, target: Target):
        self.target = target
        self.energy = energylang.compile(target.source(), data=target.all_data())["target"]
        self._gradients: dict[int, float] = {}

    def run(self, sampler: str, chains: int, seconds: float, steps: int | None = None, seed: int = 0) -> Row:
        """Raises DiagnosticError where the sampler does not fit the target. steps: of each half; by `seconds` where None."""
        options: dict[str, Any] = {"method": sampler, "chains": chains}
        began = time.perf_counter()
        first = self.energy.sample(warmup=8, draws=8, seed=seed, **options)
        compiling = time.perf_counter() - began - first.sampling_time
        if steps is None:
            # The first steps of a program are slow, so that a second try says more.
            tried, spent = 16, first.sampling_time
            if spent < 0.1 * seconds:
                tried = int(min(400, max(16, 0.05 * seconds * tried / spent)))
                trial = self.energy.sample(warmup=tried, draws=tried, seed=seed, **options)
                tried, spent = 2 * tried, trial.sampling_time
            steps = int(np.clip(seconds * tried / spent / 2, FEWEST / 2, MOST))
        bytes_each = sum(self.energy.compiled.program.facts.sites)
        kept = max(100, min(MOST_KEPT, MOST_BYTES // (chains * bytes_each)))
        thin = -(-steps // kept)
        draws = steps // thin
        run = self.energy.sample(warmup=steps, draws=draws, thin=thin, seed=seed + 1, **options)
        distance = np.asarray(run["distance"], float)
        energies = np.asarray(run.stats("model_energy"), float)
        means = energies.mean(axis=1)
        return Row(
            sampler, chains, draws * thin, float(sum(_ess(chain) for chain in distance)),
            run.sampling_time * draws * thin / (steps + draws * thin), self.gradient_time(chains), compiling,
            float(np.mean(run.stats("acceptance_rate"))), float(means.mean()),
            float(means.std(ddof=1) / np.sqrt(chains)) if chains > 1 else float("nan"),
            float(r_hat_of_draws(split_chains(energies[None]))[0]),
        )  # fmt: skip

    def gradient_time(self, chains: int) -> float:
        """Seconds that one chain's energy and gains take, with all chains at once in a loop."""
        if chains not in self._gradients:
            target = self.energy.target()
            facts = target.facts

            def step(codes: tuple[jax.Array, ...], _: None) -> tuple[tuple[jax.Array, ...], jax.Array]:
                point = Point(jnp.zeros(facts.reals), codes)
                gains = target.gains(point)
                # The next state depends on all gains, so that none of the work can be left out.
                moved = tuple(jnp.argmax(g, axis=-1).astype(c.dtype) for g, c in zip(gains, codes, strict=True))
                return moved, target.energy(point)

            loop = jax.jit(jax.vmap(lambda codes: jax.lax.scan(step, codes, None, 50)))
            start = tuple(jnp.zeros((chains, sites), jnp.int32) for sites in facts.sites)
            jax.block_until_ready(loop(start))
            times = []
            for _ in range(3):
                began = time.perf_counter()
                jax.block_until_ready(loop(start))
                times.append(time.perf_counter() - began)
            self._gradients[chains] = min(times) / (50 * chains)
        return self._gradients[chains]


def _ess(chain: np.ndarray) -> float:
    """Of one chain, float[draws]: 0 where it never moved."""
    if np.ptp(chain) == 0:
        return 0.0
    return float(np.nan_to_num(effective_size(chain[None, None])[0]))
