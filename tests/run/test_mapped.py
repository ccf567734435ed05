"""Rows of large files stay there, and training from them gives the numbers of rows in memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import energylang as el
from energylang import datafiles
from energylang.run import batches
from tests.cli.conftest import Cli, cli

__all__ = ["cli"]

MODEL = """data x: real[N]
data s: spin[N]
param mu: real = 0
energy m(y: real | c: spin) { y ~ normal(mu * c, 1) }
train m on (y = x, c = s) with mle(), steps = 9, batch = 8, validation = 10, every = 3
"""


def test_rows_of_mapped_files_are_those_of_memory(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(0)
    x, s = random.normal(2, 1, 50).astype(np.float32), random.choice((-1, 1), 50).astype(np.int8)
    np.save("x.npy", x)
    np.save("s.npy", s)
    Path("m.energy").write_text(MODEL)
    given = ("train", "m.energy", "--data", "x=x.npy", "--data", "s=s.npy", "--json")
    one = cli(*given, "--out", "one.nc").data
    monkeypatch.setattr(datafiles, "MAPPED_BYTES", 0)
    monkeypatch.setattr(batches, "RESIDENT_BYTES", 0)
    found = datafiles.from_arguments(("x=x.npy",), {"x": 1}, el.diagnostics.Diagnostics())
    assert isinstance(
        el.compile("data x: real[N]\nenergy e(y: real) = y^2 + 0 * x[0]", data=found).data["x"], np.memmap
    )
    other = cli(*given, "--out", "two.nc").data
    for name in ("params", "loss", "validation_loss", "best_step"):
        assert one[name] == other[name]
    x[3] = np.nan
    np.save("x.npy", x)
    wrong = cli(*given)
    assert (wrong.code, wrong.codes) == (3, ["E0705"])
