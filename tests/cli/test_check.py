"""`check`: every finding, and none of the weight of JAX."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import EXAMPLES, Cli

HEAVY = ("jax", "numpy", "scipy", "blackjax", "optax", "h5py", "xarray", "matplotlib")


def test_a_model_without_errors(cli: Cli, model: Path) -> None:
    result = cli("check", model)
    assert result.code == 0
    assert "energy line(mu: real), log Z unknown" in result.out
    assert result.err == ""


def test_every_error_of_every_model(cli: Cli, model: Path) -> None:
    Path("wrong.energy").write_text("energy e(x: real) {\n  x ~ normall(0, 1)\n  y ~ normal(0, 1)\n}\n")
    result = cli("check", model, "wrong.energy")
    assert result.code == 1
    assert "did you mean `normal`?" in result.err
    assert "`y`" in result.err
    assert "line.energy: no errors" in result.out


def test_json_has_the_signature_and_the_findings(cli: Cli, model: Path) -> None:
    result = cli("check", model, "--json", "--set", "scale=3")
    (shown,) = result.data["models"]
    assert shown["ok"]
    assert shown["consts"] == {"scale": 3}
    assert shown["energies"]["line"]["variables"] == {"mu": "real"}
    assert shown["tasks"][0]["method"] == "nuts()"
    assert result.data["exit_code"] == 0


def test_set_of_an_unknown_const(cli: Cli, model: Path) -> None:
    result = cli("check", model, "--set", "scal=3")
    assert result.code == 2
    assert "did you mean `scale`?" in result.err


def test_warnings_are_shown_and_are_no_errors(cli: Cli) -> None:
    Path("flat.energy").write_text("energy e(x: real, y: real) {\n  x ~ normal(0, 1)\n}\n")
    result = cli("check", "flat.energy")
    assert result.code == 0
    assert "warning[L0102]" in result.err


@pytest.mark.parametrize(
    "arguments",
    [["check", str(EXAMPLES / "eight_schools.energy")], ["fmt", "--check", str(EXAMPLES / "ising.energy")], ["--help"]],
    ids=["check", "fmt", "help"],
)
def test_neither_jax_nor_numpy_is_imported(arguments: list[str]) -> None:
    program = (
        "import sys\nfrom energylang.cli.main import main\n"
        f"try:\n    main({arguments!r})\nexcept SystemExit as end:\n    assert not end.code, end.code\n"
        f"found = [name for name in {HEAVY!r} if name in sys.modules]\nassert not found, found\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
