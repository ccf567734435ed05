"""What a PyMC user writes for the models of this folder, sampled by nutpie, run as a script.

    python nutpie_script.py MODEL DATA.json OUT.npz

Prints one line of JSON: seconds of the imports, of all, of compiling, and of the run.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

began = time.perf_counter()

import numpy as np
import nutpie
import pymc as pm

imported = time.perf_counter()


def schools(y, sigma):
    mu = pm.Normal("mu", 0, 5)
    tau = pm.HalfCauchy("tau", 5)
    eta = pm.Normal("eta", 0, 1, shape=len(y))
    pm.Normal("obs", mu + tau * eta, sigma, observed=y)


def ark(y):
    lags = np.stack([y[4 - k : len(y) - 1 - k] for k in range(5)], axis=1)
    alpha = pm.Normal("alpha", 0, 10)
    beta = pm.Normal("beta", 0, 10, shape=5)
    sigma = pm.HalfCauchy("sigma", 2.5)
    pm.Normal("obs", alpha + lags @ beta, sigma, observed=y[5:])


def radon(county, floor, uranium, y):
    intercept = pm.Normal("intercept", 0, 10)
    slope = pm.Normal("slope", 0, 10)
    effect = pm.Normal("effect", 0, 10)
    tau = pm.HalfNormal("tau", 1)
    sigma = pm.HalfNormal("sigma", 1)
    z = pm.Normal("z", 0, 1, shape=len(uranium))
    level = intercept + effect * uranium + tau * z
    pm.Normal("obs", level[county] + slope * floor, sigma, observed=y)


def logistic(x, y):
    alpha = pm.Normal("alpha", 0, 2.5)
    beta = pm.Normal("beta", 0, 2.5, shape=x.shape[1])
    pm.Bernoulli("obs", logit_p=alpha + x @ beta, observed=y)


def main() -> None:
    data = {name: np.array(values) for name, values in json.loads(Path(sys.argv[2]).read_text()).items()}
    with pm.Model() as model:
        globals()[sys.argv[1]](**data)
    start = time.perf_counter()
    compiled = nutpie.compile_pymc_model(model)
    made = time.perf_counter()
    seed = int(os.environ.get("SEED", "0"))
    trace = nutpie.sample(compiled, draws=1000, tune=1000, chains=4, seed=seed, progress_bar=False)
    ran = time.perf_counter()
    names = [variable.name for variable in model.free_RVs]
    np.savez(sys.argv[3], **{name: np.asarray(trace.posterior[name]) for name in names})
    said = {"imports": imported - began, "compile": made - start, "run": ran - made}
    print(json.dumps({**said, "all": time.perf_counter() - began}))


main()
