"""Eight schools against the reference draws of posteriordb, where they lie beside the checkout.

Every mean and mean square within 4.5 combined Monte Carlo errors: ours (of dependent draws) and the reference's (of
10,000 draws of bulk ESS about 10,000). Both parametrisations of the model, one posterior.
"""

from __future__ import annotations

import json
import zlib
from pathlib import Path

import numpy as np
import pytest

import energylang
from energylang.run.summary import summarise

FOLDER = Path(__file__).parents[2] / "shared" / "posteriordb" / "eight_schools-eight_schools_noncentered"
EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.mark.skipif(not FOLDER.exists(), reason="the reference draws of posteriordb are not beside the checkout")
def test_eight_schools():
    reference = json.loads((FOLDER / "reference.json").read_text())["reference"]
    data = json.loads((FOLDER / "data.json").read_text())
    model = energylang.load(EXAMPLES / "eight_schools.energy", data={"y": data["y"], "sigma": data["sigma"]})
    run = model["schools"].sample(seed=zlib.crc32(b"test_eight_schools"), draws=4000)
    table = compare(run, reference)
    assert len(table) == 10
    for name, (mean, square) in table.items():
        assert abs(mean) < 4.5, name
        assert abs(square) < 4.5, name
    summary = run.summary()
    assert np.nanmax(summary.columns["R_hat"]) < 1.01
    assert np.nanmin(summary.columns["ESS_bulk"]) >= 400


def compare(run, reference) -> dict[str, tuple[float, float]]:
    """z of the mean and of the mean square, by the reference's names (indices from 1)."""
    found = {}
    for name, known in reference.items():
        base, _, rest = name.partition("[")
        draws = np.asarray(run[base], np.float64)
        if rest:
            draws = draws[..., int(rest[:-1]) - 1]
        square = known["mean"] ** 2 + known["sd"] ** 2
        errors = [known["sd"] / np.sqrt(known["draws"]), np.std(draws**2) / np.sqrt(known["draws"])]
        found[name] = tuple(
            (np.mean(values) - expected) / np.hypot(mcse(values), error)
            for values, expected, error in zip([draws, draws**2], [known["mean"], square], errors, strict=True)
        )
    return found


def mcse(draws: np.ndarray) -> float:
    return float(summarise([("x", draws)]).columns["MCSE"][0])


@pytest.mark.skipif(not FOLDER.exists(), reason="the reference draws of posteriordb are not beside the checkout")
def test_a_wrong_prior_is_noticed():
    """The broken twin: half the scale of mu's prior is far outside the same bounds."""
    reference = json.loads((FOLDER / "reference.json").read_text())["reference"]
    text = (EXAMPLES / "eight_schools.energy").read_text().replace("mu ~ normal(0, 5)", "mu ~ normal(0, 2.5)")
    run = energylang.compile(text)["schools"].sample(seed=1)
    assert max(abs(mean) for mean, _ in compare(run, reference).values()) > 4.5
