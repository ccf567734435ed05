"""An energy as the density of a BlackJAX sampler, in a loop of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import blackjax
import jax
from jax import Array

import energylang as el

MODEL = Path(__file__).parents[1] / "eight_schools.energy"


def draws(chains: int = 4, warmup: int = 500, count: int = 500) -> dict[str, Array]:
    """Draws by name, [chain, draw, …]."""
    energy = el.load(MODEL)["schools"]

    def chain(key: Array) -> Array:
        start, tuning, sampling = jax.random.split(key, 3)
        adaptation: Any = blackjax.window_adaptation(blackjax.nuts, energy.log_density, target_acceptance_rate=0.9)
        (state, parameters), _ = adaptation.run(tuning, energy.initial(start), num_steps=warmup)
        kernel = blackjax.nuts(energy.log_density, **parameters)

        def step(state: Any, key: Array) -> tuple[Any, Array]:
            state, _ = kernel.step(key, state)
            return state, state.position

        return jax.lax.scan(step, state, jax.random.split(sampling, count))[1]

    flat = jax.jit(jax.vmap(chain))(jax.random.split(jax.random.key(1), chains))
    return jax.vmap(jax.vmap(energy.constrain))(flat)


if __name__ == "__main__":
    for name, values in draws().items():
        print(name, values.mean(axis=(0, 1)))
