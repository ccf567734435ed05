"""`jax.lax.scan` and `jax.vmap` over points: many steps of gradient ascent, from many starts at once.

`energy.log_density` takes one flat vector without constraints, `energy.constrain` gives the variables that it stands for.
"""

from __future__ import annotations

from pathlib import Path

import jax
from jax import Array

import energylang as el

MODEL = Path(__file__).parents[1] / "logistic_regression.energy"


def modes(starts: int = 5, steps: int = 8000, step_size: float = 0.01) -> tuple[Array, dict[str, Array]]:
    """(log densities [starts] where each start has climbed to, the variables there, by name with a leading dim)."""
    model = el.load(MODEL)
    energy = model[model.choose("sample")[0]]
    slope = jax.grad(energy.log_density)

    def climb(flat: Array) -> Array:
        return jax.lax.scan(lambda x, _: (x + step_size * slope(x), None), flat, length=steps)[0]

    points = jax.vmap(energy.initial)(jax.random.split(jax.random.key(0), starts))
    ends = jax.jit(jax.vmap(climb))(points)
    return jax.vmap(energy.log_density)(ends), jax.vmap(energy.constrain)(ends)


if __name__ == "__main__":
    heights, values = modes()
    print("log density", heights)
    for name, value in values.items():
        print(name, value)
