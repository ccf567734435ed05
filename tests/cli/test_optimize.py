"""`optimize`: what it prints and writes, and how it ends where no point satisfies the constraints."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Cli

MODEL = """\
const k = 3

# Pick numbers of the largest sum.
energy worth(x: binary[8]) = -dot([3, 1, 4, 1, 5, 9, 2, 6], x)
constraint few(x: binary[8]) = sum(x) == k
constraint apart(x: binary[8]) = x[1:] + x[:-1] <= 1

optimize worth, steps = 60, chains = 4
"""


@pytest.fixture
def numbers(tmp_path: Path) -> Path:
    path = tmp_path / "numbers.energy"
    path.write_text(MODEL)
    return Path(path.name)


def test_optimize_prints_and_writes(cli: Cli, numbers: Path) -> None:
    """The best three that are not neighbours are 9, 6 and 4."""
    result = cli("optimize", numbers)
    assert result.code == 0
    for expected in ("restarts     4 restarts of 60 steps", "best energy  -19, found by", "few, apart: satisfied"):
        assert expected in result.out
    assert "written to numbers.optimize.nc" in result.out
    assert "optimising" in result.err
    again = cli("summary", "numbers.optimize.nc")
    assert again.code == 0
    assert "best energy  -19" in again.out
    assert cli("summary", "numbers.optimize.nc", "--var", "x").out.count("x[") == 8
    assert cli("report", "numbers.optimize.nc").code == 0
    data = cli("optimize", numbers, "--json", "--resume", "--constraints", "few").data
    assert (data["best_energy"], data["feasible"], data["violations"]) == (-20.0, True, {"few": 0.0})
    assert data["best"]["x"] == [0, 0, 0, 0, 1, 1, 0, 1]


def test_no_point_satisfies_the_constraints(cli: Cli, numbers: Path) -> None:
    result = cli("optimize", numbers, "--set", "k=8", "--json")
    assert result.code == 4
    assert result.data["exit_code"] == 4
    assert not result.data["feasible"]
    assert result.data["restarts"] == [None] * 4
    assert "no restart found a point that satisfies the constraints" in result.data["warnings"][0]


def test_what_is_refused(cli: Cli, numbers: Path) -> None:
    assert "E0663" in cli("optimize", numbers, "--constraints", "fw").err
    assert (
        "E0603" in cli("optimize", numbers, "--constraints", "3").err
        or "E0901" in cli("optimize", numbers, "--constraints", "3").err
    )
    assert "E0605" in cli("optimize", numbers, "--method", "gibbs()").err
    assert cli("sample", "numbers.optimize.nc").code != 0
