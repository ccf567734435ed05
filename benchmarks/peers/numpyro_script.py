"""What a NumPyro user writes for the models of this folder, run as a script.

    python numpyro_script.py MODEL DATA.json OUT.npz [vectorized|parallel]

Prints one line of JSON: seconds of the imports, of all, and of the run without what JAX spent on tracing and compiling.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

began = time.perf_counter()
if len(sys.argv) > 4 and sys.argv[4] == "parallel":
    os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "") + " --xla_force_host_platform_device_count=4"

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from jax import monitoring
from numpyro.infer import MCMC, NUTS

imported = time.perf_counter()
SPENT: list[tuple[float, float]] = []


def listen(event: str, seconds: float, **_: object) -> None:
    if event.startswith("/jax/core/compile/"):
        now = time.perf_counter()
        SPENT.append((now - seconds, now))


def union(spans: list[tuple[float, float]]) -> float:
    """Seconds that the spans cover; they may lie within one another."""
    total, end = 0.0, float("-inf")
    for first, last in sorted(spans):
        total += max(0.0, last - max(first, end))
        end = max(end, last)
    return total


def schools(y, sigma):
    mu = numpyro.sample("mu", dist.Normal(0, 5))
    tau = numpyro.sample("tau", dist.HalfCauchy(5))
    eta = numpyro.sample("eta", dist.Normal(0, 1).expand([len(y)]))
    numpyro.sample("y", dist.Normal(mu + tau * eta, sigma), obs=y)


def ark(y):
    lags = jnp.stack([y[4 - k : len(y) - 1 - k] for k in range(5)], axis=1)
    alpha = numpyro.sample("alpha", dist.Normal(0, 10))
    beta = numpyro.sample("beta", dist.Normal(0, 10).expand([5]))
    sigma = numpyro.sample("sigma", dist.HalfCauchy(2.5))
    numpyro.sample("y", dist.Normal(alpha + lags @ beta, sigma), obs=y[5:])


def radon(county, floor, uranium, y):
    intercept = numpyro.sample("intercept", dist.Normal(0, 10))
    slope = numpyro.sample("slope", dist.Normal(0, 10))
    effect = numpyro.sample("effect", dist.Normal(0, 10))
    tau = numpyro.sample("tau", dist.HalfNormal(1))
    sigma = numpyro.sample("sigma", dist.HalfNormal(1))
    z = numpyro.sample("z", dist.Normal(0, 1).expand([len(uranium)]))
    level = intercept + effect * uranium + tau * z
    numpyro.sample("y", dist.Normal(level[county] + slope * floor, sigma), obs=y)


def logistic(x, y):
    alpha = numpyro.sample("alpha", dist.Normal(0, 2.5))
    beta = numpyro.sample("beta", dist.Normal(0, 2.5).expand([x.shape[1]]))
    numpyro.sample("y", dist.Bernoulli(logits=alpha + x @ beta), obs=y)


def main() -> None:
    model, data, out = globals()[sys.argv[1]], json.loads(Path(sys.argv[2]).read_text()), sys.argv[3]
    given = {name: jnp.asarray(np.array(values)) for name, values in data.items()}
    method = sys.argv[4] if len(sys.argv) > 4 else "vectorized"
    monitoring.register_event_duration_secs_listener(listen)
    mcmc = MCMC(NUTS(model), num_warmup=1000, num_samples=1000, num_chains=4, chain_method=method, progress_bar=False)
    start = time.perf_counter()
    mcmc.run(jax.random.PRNGKey(int(os.environ.get("SEED", "0"))), **given)
    draws = {name: np.asarray(values) for name, values in mcmc.get_samples(group_by_chain=True).items()}
    ran = time.perf_counter() - start - union([span for span in SPENT if span[0] >= start])
    mcmc.print_summary()
    np.savez(out, **draws)
    print(json.dumps({"imports": imported - began, "all": time.perf_counter() - began, "run": ran}))


main()
