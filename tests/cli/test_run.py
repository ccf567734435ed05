"""`sample`, `evidence` and `train`: what they print, write and refuse."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.cli.conftest import EXAMPLES, Cli

OPEN_ISING = EXAMPLES / "ising_open_fields.energy"


def test_sample_prints_method_device_table_and_file(cli: Cli, model: Path) -> None:
    result = cli("sample", model)
    assert result.code == 0
    phases = [line for line in result.err.splitlines() if "/" not in line]
    assert phases[:4] == ["checking line.energy", "importing JAX", "lowering", "compiling"]
    for expected in (
        "method  nuts()",
        "device  cpu, float32",
        "2 chains of 60 after 60",
        "R_hat",
        "written to line.nc",
    ):
        assert expected in result.out
    assert Path("line.nc").is_file()


def test_json_is_one_object_without_nan(cli: Cli, model: Path) -> None:
    result = cli("sample", model, "--json", "--draws", "5", "--warmup", "5", "--chains", "1")
    data = json.loads(result.out, parse_constant=lambda word: (_ for _ in ()).throw(AssertionError(word)))
    assert result.err == ""
    assert data["out"] == "line.nc"
    assert data["method"] == "nuts()"
    assert data["options"]["draws"] == 5
    assert data["summary"]["mu"]["R_hat"] is None
    assert isinstance(data["warnings"], list)


def test_the_command_line_wins_over_the_task(cli: Cli, model: Path) -> None:
    result = cli(
        "sample", model, "--method", "mala(step_size = 0.5)", "--draws", "1_0", "--seed", "7", "--out", "x.nc", "--json"
    )
    assert result.data["method"] == "mala(step_size = 0.5)"
    assert (result.data["options"]["draws"], result.data["options"]["seed"]) == (10, 7)
    assert Path("x.nc").is_file()


def test_strict_ends_with_5_where_there_are_warnings(cli: Cli, model: Path) -> None:
    result = cli("sample", model, "--strict", "--draws", "10", "--quiet")
    assert result.code == 5
    assert "warning: " in result.out
    assert result.err == ""


def test_a_method_that_does_not_fit_is_refused_with_those_that_do(cli: Cli) -> None:
    result = cli("sample", OPEN_ISING, "--method", "nuts()")
    assert result.code == 1
    assert "E0604" in result.err
    assert "gwg" in result.err
    assert "compiling" not in result.err


def test_auto_says_why(cli: Cli) -> None:
    result = cli("sample", OPEN_ISING, "--method", "auto()", "--draws", "50")
    assert "enumerate(), because 65,536 configurations" not in result.out
    assert "gibbs(), because 16 discrete sites in 2 colours" in result.out


def test_evidence_by_enumeration_is_exact(cli: Cli) -> None:
    result = cli("evidence", OPEN_ISING, "--json", "--draws", "100")
    assert result.data["out"] == "ising_open_fields.evidence.nc"
    assert abs(result.data["log_z"] - 14.7052) < 1e-3
    assert result.data["log_z_error"] < 1e-6
    assert result.data["weight_ess"] > 99


def test_train_learns_and_says_what(cli: Cli) -> None:
    result = cli("train", EXAMPLES / "normal_mle.energy", "--steps", "1500", "--json")
    assert abs(result.data["params"]["mu"] - 1.715) < 0.005
    assert result.data["out"] == "normal_mle.train.nc"
    assert result.data["loss"] < -1
    again = cli("train", EXAMPLES / "normal_mle.energy", "--steps", "20")
    assert "learned" in again.out
    assert "loss" in again.out


def test_data_from_files_and_from_the_command_line(cli: Cli, model: Path) -> None:
    Path("d.json").write_text('{"y": [1, 2, 3, 4], "unused": 1}')
    result = cli("sample", model, "--data", "d.json", "--set", "scale=2", "--draws", "20", "--json")
    assert result.code == 0
    assert result.codes == ["N0701"]
    result = cli("sample", model, "--data", "d.json", "--data", "y=[1,2]", "--draws", "20", "--quiet")
    assert result.code == 0
    assert "note[N0701]" in result.err


def test_data_that_is_wrong_is_exit_code_3(cli: Cli, model: Path) -> None:
    assert cli("sample", model, "--data", "nowhere.json").code == 3
    result = cli("sample", model, "--data", "z=3", "--json")
    assert (result.code, result.codes) == (3, ["E0706"])
    Path("missing.energy").write_text("data y: real[N]\nenergy e(x: real) { y ~ normal(x, 1) }")
    result = cli("sample", "missing.energy")
    assert result.code == 3
    assert "--data" in result.err


def test_a_condition_is_given_by_on(cli: Cli) -> None:
    Path("c.energy").write_text("energy e(x: real | scale: positive) = 0.5 * (x / scale)^2\n")
    result = cli("sample", "c.energy", "--draws", "20")
    assert (result.code, "E0608" in result.err) == (1, True)
    result = cli("sample", "c.energy", "--on", "scale=2.0", "--draws", "20", "--warmup", "20", "--quiet")
    assert result.code == 0, result.err


def test_several_energies_ask_for_one(cli: Cli) -> None:
    Path("two.energy").write_text("energy a(x: real) { x ~ normal(0, 1) }\nenergy b(x: real) { x ~ normal(0, 1) }\n")
    result = cli("sample", "two.energy")
    assert result.code == 1
    assert "--of a" in result.err
    assert cli("sample", "two.energy", "--of", "b", "--draws", "20", "--warmup", "20").code == 0


def test_resume_of_a_whole_run_compiles_nothing(cli: Cli, model: Path) -> None:
    first = cli("sample", model, "--json")
    again = cli("sample", model, "--resume")
    assert again.code == 0
    assert "is whole already" in again.err
    assert "compiling" not in again.err
    assert first.data["summary"] == cli("sample", model, "--resume", "--json").data["summary"]


def test_a_folder_that_is_not_there(cli: Cli, model: Path) -> None:
    result = cli("sample", model, "--out", "nowhere/x.nc")
    assert (result.code, "E0820" in result.err) == (2, True)


def test_resume_tells_another_const_apart(cli: Cli, model: Path) -> None:
    cli("sample", model, "--set", "scale=2")
    again = cli("sample", model, "--set", "scale=3", "--resume")
    assert "compiling" in again.err


def test_a_device_that_is_not_there(tmp_path: Path, model: Path) -> None:
    command = [sys.executable, "-m", "energylang", "sample", str(model), "--device", "tpu", "--json"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stderr
    assert [finding["code"] for finding in json.loads(done.stdout)["diagnostics"]] == ["E0902"]


def test_an_energy_without_params_cannot_be_trained(cli: Cli) -> None:
    Path("plain.energy").write_text("energy e(x: real) {\n  x ~ normal(0, 1)\n}\n")
    result = cli("train", "plain.energy", "--on", "x=[1, 2, 3]")
    assert (result.code, "E0604" in result.err, "compiling" in result.err) == (1, True, False)
    assert "no `param`" in result.err
