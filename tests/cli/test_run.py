"""`sample`, `evidence` and `train`: what they print, write and refuse."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

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


def test_run_options_of_the_file_the_command_line_and_python_are_one(cli: Cli, tmp_path: Path) -> None:
    import energylang

    text = "energy e(x: real) { x ~ normal(0, 1) }\nsample e with mala(), warmup = 60, chains = 2"
    (tmp_path / "f.energy").write_text(f'{text}, thin = 2, until = "ess=30, r_hat=2", budget = "9 min"\n')
    (tmp_path / "c.energy").write_text(text + "\n")
    file = cli("sample", "f.energy", "--json").data
    line = cli("sample", "c.energy", "--json", "--thin", "2", "--until", "r_hat=2, ess=30", "--budget", "540").data
    assert file["options"] == line["options"]
    assert file["summary"] == line["summary"]
    assert {name: file["options"][name] for name in ("draws", "thin", "until", "budget")} == {
        "draws": 100_000,
        "thin": 2,
        "until": "ess=30, r_hat=2",
        "budget": 540.0,
    }
    run = energylang.load("c.energy").sample(thin=2, until={"ess": 30, "r_hat": 2}, budget="9m")
    assert run.options == file["options"]
    assert run.facts["stopped"] == "until"
    assert run.summary().to_dict() == file["summary"]
    shown = cli("summary", "f.nc").out
    assert (
        f"2 chains of {run.facts['draws']:,}, one of 2 steps each, after 60 of warm-up, until ess=30, r_hat=2" in shown
    )


def test_an_aim_that_is_missed_is_poor_under_strict(cli: Cli, model: Path) -> None:
    result = cli("sample", model, "--until", "ess=1e7", "--strict", "--quiet")
    assert result.code == 5
    assert "`ess=10000000, r_hat=1.01` was not reached after 60 draws of a chain" in result.out


def test_a_budget_that_is_too_small_fails_and_keeps_the_earlier_run(cli: Cli, model: Path) -> None:
    cli("sample", model, "--quiet")
    before = Path("line.nc").read_bytes()
    result = cli("sample", model, "--budget", "0.01s")
    assert (result.code, "E0870" in result.err, "Traceback" in result.err) == (4, True, False)
    assert Path("line.nc").read_bytes() == before


def test_options_of_chains_are_left_aside_where_draws_are_independent(cli: Cli, model: Path) -> None:
    result = cli("sample", model, "--prior", "--until", "ess=400", "--thin", "3", "--out", "p.nc")
    assert result.code == 0
    assert "`until` is about chains: the draws of `direct` are independent, all are made" in result.err
    assert "240 independent" not in result.out
    assert "independent, from the prior itself" in result.out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--until", "400"), "`--until` is an aim such as `ess=400`"),
        (("--budget", "soon"), "`--budget` is a time above 0 such as `90s`"),
        (("--thin", "0"), "`--thin` is at least 1"),
    ],
)
def test_run_options_that_are_none(cli: Cli, model: Path, arguments: tuple[str, str], said: str) -> None:
    result = cli("sample", model, *arguments)
    assert (result.code, said in result.err) == (2, True)


def test_resume_of_an_interrupted_run_of_another_model_is_refused(cli: Cli, model: Path) -> None:
    """And leaves both the interrupted run and the earlier result as they were."""
    assert cli("sample", model, "--quiet").code == 0
    before = Path("line.nc").read_bytes()
    assert cli("sample", model, "--budget", "0.01s").code == 4
    kept = {path.name: path.read_bytes() for path in Path("line.nc.parts").iterdir()}
    assert "run.json" in kept
    text = model.read_text()
    model.write_text(text.replace("normal(mu, 1)", "normal(mu, 2)"))
    result = cli("sample", model, "--budget", "0.01s", "--resume")
    assert (result.code, "E0821" in result.err, "text of `line.energy` differs" in result.err) == (2, True, True)
    assert Path("line.nc").read_bytes() == before
    assert kept == {path.name: path.read_bytes() for path in Path("line.nc.parts").iterdir()}
    model.write_text(text)
    assert cli("sample", model, "--resume", "--budget", "10m").code == 0
