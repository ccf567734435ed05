"""An energy as a term of a NumPyro model: `numpyro.factor` takes minus its value."""

from __future__ import annotations

import jax
import numpyro
import numpyro.distributions as dist
from jax import Array
from numpyro.infer import MCMC, NUTS

import energylang as el

LIKELIHOOD = """
data y: real[J] = [28, 8, -3, 7, -1, 1, 18, 12]
data sigma: positive[J] = [15, 10, 16, 11, 9, 11, 10, 18]

energy fit(theta: real[J]) {
  y ~ normal(theta, sigma)
}
"""


def draws(chains: int = 4, warmup: int = 500, count: int = 500) -> dict[str, Array]:
    """Draws by name, [chain, draw, …]."""
    fit = el.compile(LIKELIHOOD)["fit"]

    def schools() -> None:
        mu = numpyro.sample("mu", dist.Normal(0, 5))
        tau = numpyro.sample("tau", dist.HalfCauchy(5))
        with numpyro.plate("schools", 8):
            eta = numpyro.sample("eta", dist.Normal(0, 1))
        numpyro.factor("fit", -fit(theta=mu + tau * eta))

    sampler = MCMC(
        NUTS(schools, target_accept_prob=0.9),
        num_warmup=warmup, num_samples=count, num_chains=chains, chain_method="vectorized", progress_bar=False,
    )  # fmt: skip
    sampler.run(jax.random.key(1))
    return sampler.get_samples(group_by_chain=True)


if __name__ == "__main__":
    for name, values in draws().items():
        print(name, values.mean(axis=(0, 1)))
