"""An energy as the potential of NumPyro's NUTS: minus the log density on the flat unconstrained vector."""

from __future__ import annotations

from pathlib import Path

import jax
from jax import Array
from numpyro.infer import MCMC, NUTS

import energylang as el

MODEL = Path(__file__).parents[1] / "eight_schools.energy"


def draws(chains: int = 4, warmup: int = 500, count: int = 500) -> dict[str, Array]:
    """Draws by name, [chain, draw, …]."""
    energy = el.load(MODEL)["schools"]
    sampler = MCMC(
        NUTS(potential_fn=lambda flat: -energy.log_density(flat), target_accept_prob=0.9),
        num_warmup=warmup, num_samples=count, num_chains=chains, chain_method="vectorized", progress_bar=False,
    )  # fmt: skip
    starts = jax.vmap(energy.initial)(jax.random.split(jax.random.key(1), chains))
    sampler.run(jax.random.key(2), init_params=starts)
    return jax.vmap(jax.vmap(energy.constrain))(sampler.get_samples(group_by_chain=True))


if __name__ == "__main__":
    for name, values in draws().items():
        print(name, values.mean(axis=(0, 1)))
