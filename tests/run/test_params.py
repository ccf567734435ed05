"""Learned params in later runs: the same energy, said where they come from, refused where they do not fit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import energylang as el
from energylang.diagnostics import DiagnosticError
from tests.cli.conftest import Cli, cli

__all__ = ["cli"]

MODEL = """data x: real[N] = [1, 2, 3, 6]
param mu: real = 0
param sigma: positive = 1
energy m(y: real) { y ~ normal(mu, sigma) }
train m on (y = x) with mle(), steps = 20, optimizer = sgd(0.1)
"""


def test_learned_params_serve_every_task(cli: Cli) -> None:
    Path("m.energy").write_text(MODEL)
    learned = cli("train", "m.energy", "--json", "--out", "one.nc").data
    assert learned["params"]["mu"] != 0
    again = cli("train", "m.energy", "--params", "one.nc", "--steps", "1", "--json", "--out", "two.nc").data
    whole = cli("train", "m.energy", "--steps", "21", "--json", "--out", "three.nc").data
    # Plain descent has no memory: one more step from there is the next of the whole.
    assert again["params"] == pytest.approx(whole["params"], rel=1e-6)
    assert again["options"]["params"].startswith("m by mle(), seed 0, ")
    drawn = cli("sample", "m.energy", "--params", "one.nc", "--draws", "4000", "--method", "direct()", "--quiet")
    assert "params" in drawn.out
    assert abs(float(el.load("m.energy", params="one.nc")["m"].params["mu"]) - learned["params"]["mu"]) < 1e-6
    model = el.load("m.energy")
    assert model["m"].params["mu"] == 0
    training = model.train("m")
    for given in (training, training.params, Path("one.nc")):
        found = el.load("m.energy", params=given)["m"].unconstrained_params
        assert {k: float(v) for k, v in found.items()} == {k: float(v) for k, v in training.params.items()}
    Path("other.energy").write_text(MODEL.replace("steps = 20", "steps = 5"))
    assert "N0715" in cli("sample", "other.energy", "--params", "one.nc", "--draws", "5", "--quiet").err
    Path("wider.energy").write_text(
        MODEL.replace("mu: real = 0", "mu: real[2] = 0").replace("normal(mu,", "normal(mu[0],")
    )
    wrong = cli("sample", "wider.energy", "--params", "one.nc", "--json")
    assert (wrong.code, wrong.codes) == (3, ["E0831"])
    assert cli("sample", "m.energy", "--params", "m.nc", "--json").codes == ["E0831"]
    assert cli("sample", "m.energy", "--params", "nowhere.nc", "--json").codes == ["E0831"]


def test_a_param_that_is_missing_is_said() -> None:
    with pytest.raises(DiagnosticError, match="`sigma` is missing"):
        _ = el.compile(MODEL, params={"mu": np.zeros(())})["m"]
