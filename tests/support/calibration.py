"""Simulation-based calibration: the models, and the program that ranks parameters among draws of their posterior."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import energylang as el
from energylang.catalog import MethodCall, build
from energylang.ir.ancestry import prior
from energylang.lower.energy import compile_energy
from energylang.model import Point, fold

DRAWS = 63
"""Draws that a parameter is ranked among: ranks 0 to 63, in 64 classes."""


@dataclass(frozen=True)
class Case:
    """A model, its kernel, and how many steps lie between two draws. twin: data that make the fitted model wrong."""

    source: str
    kernel: MethodCall
    thin: int
    twin: tuple[tuple[str, float], ...]


HIERARCHY = """
# Non-centred. `wide` is 1; the prior of the twin has half the scale. Steps are short, for the largest tau: a longer step
# is never accepted there, and a chain that stays where it began has no rank.
data y: real[6] = [0, 0, 0, 0, 0, 0]
data wide: positive = 1
energy e(mu: real, tau: positive, eta: real[6]) {
  mu ~ normal(0, 2 * wide)
  tau ~ half_normal(2)
  eta ~ normal(0, 1)
  y ~ normal(mu + tau * eta, 1)
}
"""

LOGISTIC = """
data x: real[24] = [-1.4, -1.3, -1.2, -1.0, -0.9, -0.8, -0.6, -0.5, -0.4, -0.3, -0.2, -0.1,
                    0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 0.9, 1.0, 1.2, 1.3, 1.4]
data y: binary[24] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
data wide: positive = 1
energy e(a: real, b: real) {
  a ~ normal(0, 2 * wide)
  b ~ normal(0, 2 * wide)
  y ~ bernoulli_logit(a + b * x)
}
"""

LATENT = """
# Two groups, their labels variables; the levels known, the share not.
data y: real[10] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
data wide: positive = 1
energy e(p: unit, mu: real, z: binary[10]) {
  p ~ beta(2, 2)
  mu ~ normal(0, 2 * wide)
  z ~ bernoulli(p)
  y ~ normal(mu + 2 * z, 1)
}
"""

BLOCKS = MethodCall("blocks", inner=((None, MethodCall("gibbs")), (None, MethodCall("mala", (("step_size", 0.6),)))))

MODELS = {
    "hierarchy": Case(HIERARCHY, MethodCall("nuts", (("max_tree_depth", 6), ("step_size", 0.15))), 2, (("wide", 0.5),)),
    "logistic": Case(LOGISTIC, MethodCall("nuts", (("max_tree_depth", 4), ("step_size", 0.4))), 2, (("wide", 0.5),)),
    "latent": Case(LATENT, BLOCKS, 12, (("wide", 0.5),)),
}


@cache
def _targets(case: Case) -> tuple[Any, Any]:
    """The target to fit, and the one of the prior that parameters and data are drawn from."""
    model = el.compile(case.source)
    node, problems = prior(model.node("e"))
    assert node is not None, problems
    return model["e"].target(), compile_energy(node, model.bound).target(keep=("predictive",))


@partial(jax.jit, static_argnums=0)
def _ranks(case: Case, fitted: Any, law: Any, twin: dict[str, Any], key: Any, numbers: Any) -> dict[str, Any]:
    """int32[replication, …] for each variable: how many draws of the posterior lie below what was drawn from the prior."""
    kernel = build(case.kernel)

    def one(number: Any) -> dict[str, Any]:
        own = fold(key, number)
        truth = law.draw(fold(own, 0))
        drawn = law.outputs(truth, fold(own, 1))
        target = replace(fitted, arrays={**fitted.arrays, **drawn.predictive, **twin})
        tune, _ = kernel.tuning(target)
        # The truth is itself a draw of the posterior, and so the chain is stationary from its start.
        start = kernel.init(target, truth, fold(own, 2))

        def advance(state: Any, at: Any) -> tuple[Any, dict[str, Any]]:
            def step(i: Any, state: Any) -> Any:
                return kernel.step(target, tune, state, fold(own, 3, at * case.thin + i))[0]

            state = jax.lax.fori_loop(0, case.thin, step, state)
            return state, target.outputs(Point(*state.x), own).draws

        draws = jax.lax.scan(advance, start, jnp.arange(DRAWS))[1]

        # Ties of discrete variables are broken at random; a real that ties has not moved, and must not pass.
        def rank(name: str, values: Any) -> Any:
            salt = fold(own, 4, sum(map(ord, name)))
            noise = jax.random.uniform(salt, (DRAWS + 1, *values.shape[1:]))
            tied = (values == drawn.draws[name]) & (noise[1:] < noise[0]) & jnp.issubdtype(values.dtype, jnp.integer)
            return jnp.sum((values < drawn.draws[name]) | tied, axis=0)

        return {name: rank(name, values) for name, values in draws.items()}

    return jax.lax.map(one, numbers, batch_size=256)


def ranks(case: Case, replications: int, seed: int, twin: bool = False) -> dict[str, np.ndarray]:
    """Ranks 0 to DRAWS of each scalar of the model by name, int[replication]."""
    fitted, law = _targets(case)
    wrong = (
        {name: jnp.asarray(value, jnp.float32) for name, value in case.twin}
        if twin
        else {name: fitted.arrays[name] for name, _ in case.twin}
    )
    found = _ranks(case, fitted, law, wrong, jax.random.key(seed), jnp.arange(replications))
    scalars = {}
    for name, values in found.items():
        for index in np.ndindex(values.shape[1:]):
            scalars[f"{name}{list(index) if index else ''}"] = np.asarray(values)[(slice(None), *index)]
    return scalars
