"""An Optax loop of one's own: the params of an energy, fitted to rows of data by maximum likelihood.

`energy.unconstrained_params` is a dictionary of arrays, what optimisers move; `energy.with_params` puts others in place.
"""

from __future__ import annotations

from pathlib import Path

import jax
import jax.numpy as jnp
import optax
from jax import Array

import energylang as el

MODEL = Path(__file__).parents[1] / "normal_mle.energy"


def fit(steps: int = 1000) -> el.Energy:
    """The energy at fitted params."""
    model = el.load(MODEL)
    energy = model["height"]
    heights = jnp.asarray(model.data["heights"])
    optimizer = optax.adam(0.02)

    def loss(params: dict[str, Array]) -> Array:
        # This energy is normalised, so that its mean over the rows is minus the mean log likelihood.
        moved = energy.with_params(params)
        return jnp.mean(jax.vmap(lambda x: moved(x=x))(heights))

    @jax.jit
    def step(state: tuple, _: None) -> tuple[tuple, Array]:
        params, memory = state
        value, gradient = jax.value_and_grad(loss)(params)
        updates, memory = optimizer.update(gradient, memory, params)
        return (optax.apply_updates(params, updates), memory), value

    start = (energy.unconstrained_params, optimizer.init(energy.unconstrained_params))
    (params, _), _ = jax.lax.scan(step, start, length=steps)
    return energy.with_params(params)


if __name__ == "__main__":
    for name, value in fit().params.items():
        print(f"{name} = {value:.4f}")
