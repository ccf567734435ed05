"""Programs that outlive their process: found again, the same numbers, and never in the way when something is wrong."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

from energylang.run import executables, programs
from energylang.run.result import Run

MODEL = """\
data y: real[N, 2]
energy e(mu: real[2], sigma: positive) {
  mu ~ normal(0, 10)
  sigma ~ half_normal(2)
  y ~ multi_normal(mu, [[sigma, 0.5], [0.5, 1.0]])
}
sample e with nuts(metric = "dense"), draws = 30, warmup = 30, chains = 2
"""
"""Its covariance is factorised: a call of LAPACK, whose functions another process has to bind first."""


class Shell:
    """Runs of the command in processes of their own, with one cache."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.cache = folder / "cache"
        (folder / "m.energy").write_text(MODEL)
        self.data(0.0)

    def data(self, shift: float) -> None:
        rows = (np.array([[0.5, 1.0], [1.5, 0.0], [-0.5, 0.25]]) + shift).tolist()
        (self.folder / "d.json").write_text(json.dumps({"y": rows}))

    def run(self, *arguments: str) -> dict[str, Any]:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("JAX_")}
        environment |= {"ENERGYLANG_CACHE": str(self.cache), "JAX_PLATFORMS": "cpu"}
        command = [sys.executable, "-m", "energylang", "sample", "m.energy", "--data", "d.json", "--json", *arguments]
        done = subprocess.run(command, cwd=self.folder, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout) | {"mu": Run.open(self.folder / json.loads(done.stdout)["out"])["mu"].copy()}

    def files(self, kind: str) -> list[Path]:
        return sorted(self.cache.glob(f"{kind}-*"))


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    return Shell(tmp_path_factory.mktemp("programs"))


@pytest.mark.long
def test_another_process_compiles_nothing(shell: Shell) -> None:
    first = shell.run()
    assert first["programs"] == 2
    assert len(shell.files("executable")) == len(shell.files("program")) == 2
    second = shell.run()
    assert second["programs"] == 0
    np.testing.assert_array_equal(first["mu"], second["mu"])

    # The number of draws and the seed are no part of a program.
    assert shell.run("--draws", "50", "--seed", "3")["programs"] == 0

    # New numbers of the same shapes are traced, and find what was compiled.
    shell.data(1.0)
    moved = shell.run()
    assert moved["programs"] == 0
    assert not np.array_equal(moved["mu"], first["mu"])
    shell.data(0.0)

    # What is damaged is made again, and gives what it gave.
    for path in shell.files("executable"):
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(bytes(content))
    again = shell.run()
    assert again["programs"] == 2
    np.testing.assert_array_equal(first["mu"], again["mu"])


def test_a_changed_library_is_other_code(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    library = tmp_path / "lattices.energy"
    library.write_text("fn twice(x: real) = 2 * x\n")
    monkeypatch.setattr(programs.resources, "folder", lambda name: tmp_path)
    before = programs.code()
    assert programs.code() == before
    library.write_text("fn twice(x: real) = 3 * x + 0\n")
    assert programs.code() != before


def test_a_folder_that_others_may_write_to_is_not_trusted(shell: Shell) -> None:
    shell.cache.mkdir(mode=0o700, exist_ok=True)
    shell.cache.chmod(0o777)
    try:
        before = {path: path.stat().st_mtime_ns for path in shell.cache.iterdir()}
        assert shell.run()["programs"] == 2
        assert {path: path.stat().st_mtime_ns for path in shell.cache.iterdir()} == before
    finally:
        shell.cache.chmod(0o700)


def test_an_argument_that_nothing_is_computed_of_has_its_shape_kept() -> None:
    """The text of a program lacks it, and the executable refuses it in another shape: they are two executables."""

    def key(size: int) -> tuple[str, bool]:
        return executables._key(jax.jit(lambda x, unused: 2 * x).lower(np.float32(1), np.zeros(size, np.float32)))

    assert key(3) == key(3) != key(4)
