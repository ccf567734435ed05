"""Twelve posteriors against the reference draws of posteriordb, where they lie beside the checkout.

Every mean and mean square within 4.5 combined Monte Carlo errors: ours, of dependent draws, and the reference's. That has
posterior means and standard deviations of 10,000 draws of bulk ESS about 10,000: the error of its mean is 0.01 sd, its
mean square is mean^2 + sd^2, with the standard deviation of the square, estimated from our draws, over 100 as error.
"""

from __future__ import annotations

import json
import zlib
from pathlib import Path

import numpy as np
import pytest

import energylang
from benchmarks.posteriordb import BOUND, Comparison, Moments, compare, model_file, quantity
from energylang.run.result import Run

SHARED = Path(__file__).parents[2] / "shared" / "posteriordb"
POSTERIORS = {
    "arK-arK": 7,
    "arma-arma11": 4,
    "diamonds-diamonds": 26,
    "eight_schools-eight_schools_noncentered": 10,
    "gp_pois_regr-gp_regr": 3,
    "hmm_example-hmm_example": 6,
    "hudson_lynx_hare-lotka_volterra": 8,
    "kidiq-kidscore_momhsiq": 4,
    "low_dim_gauss_mix-low_dim_gauss_mix": 5,
    "mesquite-logmesquite_logvas": 8,
    "nes1980-nes": 10,
    "sblrc-blr": 6,
}
"""The number of quantities in the reference."""
QUICK = ("eight_schools-eight_schools_noncentered", "mesquite-logmesquite_logvas", "hmm_example-hmm_example")
"""Those that every run of the tests draws; `pytest -m long` draws the others."""

pytestmark = pytest.mark.skipif(
    not SHARED.exists(), reason="the reference draws of posteriordb are not beside the checkout"
)


@pytest.mark.parametrize("name", [pytest.param(n, marks=() if n in QUICK else pytest.mark.long) for n in POSTERIORS])
def test_posterior(name):
    found = against_reference(sampled(name, model_text(name)), name)
    assert len(found.mean) == len(found.square) == POSTERIORS[name]
    assert found.r_hat < 1.01
    assert found.ess >= 400
    for kind in (found.mean, found.square):
        assert {quantity: z for quantity, z in kind.items() if not abs(z) < BOUND} == {}


@pytest.mark.parametrize(
    ("name", "right", "wrong"),
    [
        ("eight_schools-eight_schools_noncentered", "mu ~ normal(0, 5)", "mu ~ normal(0, 2.5)"),
        ("mesquite-logmesquite_logvas", "shape = log(diam1 / diam2)", "shape = log(diam1)"),
        ("hmm_example-hmm_example", "mu ~ normal([3, 10], 1)", "mu ~ normal([3, 10], 0.5)"),
    ],
)
def test_a_wrong_model_is_noticed(name, right, wrong):
    """Broken twins: they sample as well as the right ones, and are far outside the same bounds."""
    text = model_text(name)
    assert right in text
    found = against_reference(sampled(name, text.replace(right, wrong)), name)
    assert found.r_hat < 1.01
    assert max(found.worst) > BOUND


def model_text(name: str) -> str:
    path = model_file(name.rpartition("-")[2])
    assert path is not None
    return path.read_text()


def sampled(name: str, text: str) -> Run:
    """As the file's own `sample` says; the seed is that of the posterior's name."""
    model = energylang.compile(text, data=SHARED / name / "data.json")
    return model.sample(seed=zlib.crc32(name.encode()))


def against_reference(run: Run, name: str) -> Comparison:
    known = {}
    for scalar, row in json.loads((SHARED / name / "reference.json").read_text())["reference"].items():
        mean, sd, root = row["mean"], row["sd"], np.sqrt(row["draws"])
        spread = np.std(quantity(run, scalar) ** 2)
        known[scalar] = Moments(mean, mean**2 + sd**2, sd / root, float(spread / root))
    return compare(run, known)
