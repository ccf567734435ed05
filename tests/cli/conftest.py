"""The command line in this process: a call of `cli("check", "m.energy")` gives exit code, stdout and stderr."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from energylang.cli import failures
from energylang.cli.main import energylang

EXAMPLES = Path(__file__).parents[2] / "examples"

MODEL = """\
data y: real[N] = [1.0, 2.0, 3.0]
const scale = 10

energy line(mu: real) {
  mu ~ normal(0, scale)
  y ~ normal(mu, 1)
}

sample line with nuts(), draws = 60, warmup = 60, chains = 2
"""


@dataclass(frozen=True)
class Result:
    code: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        return json.loads(self.out)

    @property
    def codes(self) -> list[str]:
        return [finding["code"] for finding in self.data["diagnostics"]]


Cli = Callable[..., Result]


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Cli:
    """Commands run in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: object) -> Result:
        given = [str(argument) for argument in arguments]
        capsys.readouterr()
        code = failures.guarded(lambda: energylang.main(given, prog_name="energylang", standalone_mode=False), given)
        shown = capsys.readouterr()
        return Result(code, shown.out, shown.err)

    return call


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A model of one real with three data, in the folder where commands run."""
    path = tmp_path / "line.energy"
    path.write_text(MODEL)
    return Path("line.energy")
