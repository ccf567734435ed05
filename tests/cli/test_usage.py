"""How the command line answers what it was not asked well."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from energylang.cli import failures
from energylang.cli.main import COMMANDS
from tests.cli.conftest import Cli


def test_help_lists_every_command(cli: Cli) -> None:
    result = cli("--help")
    assert result.code == 0
    assert all(name in result.out for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_each_command_has_words_for_every_option(cli: Cli, name: str) -> None:
    result = cli(name, "--help")
    assert result.code == 0
    assert f"energylang {name}" in result.out


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["smaple", "m.energy"], "did you mean `sample`?"),
        (["m.energy"], "`energylang sample m.energy`"),
        (["test", "m.energy"], "not in this version"),
        (["sample"], "missing argument"),
        (["sample", "m.energy", "--drwas", "3"], "did you mean `--draws`?"),
        (["sample", "m.energy", "--draws", "many"], "`--draws` is an integer, not many"),
        (["sample", "m.energy", "--draws", "0"], "`--draws` is at least 1"),
        (["sample", "m.energy", "--device", "abacus"], "`--device`"),
        (["sample", "m.energy", "--set", "beta"], "not of the form name=value"),
        (["sample", "m.energy", "--set", "beta=high"], "`high` is not a value of a const"),
        (["sample", "nowhere.energy"], "there is no such file"),
        (["explain", "E9999"], "there is no diagnostic code E9999"),
    ],
)
def test_wrong_usage_is_exit_code_2_with_what_to_do(cli: Cli, arguments: list[str], expected: str) -> None:
    if "m.energy" in arguments and "--set" in arguments:
        Path("m.energy").write_text("energy e(x: real) { x ~ normal(0, 1) }")
    result = cli(*arguments)
    assert result.code == 2
    assert expected in result.err
    assert result.out == ""


def test_with_json_an_error_is_one_object_on_stdout(cli: Cli) -> None:
    result = cli("sample", "nowhere.energy", "--json")
    assert (result.code, result.codes, result.data["exit_code"], result.err) == (2, ["E0120"], 2, "")


def test_a_defect_is_125_and_no_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    def broken() -> None:
        raise ZeroDivisionError("a thing nobody foresaw")

    assert failures.guarded(broken, []) == 125
    shown = capsys.readouterr()
    assert "E0999" in shown.err
    assert "a thing nobody foresaw" in shown.err
    assert "Traceback" not in shown.err


def test_memory_that_is_not_enough_is_a_failed_run(capsys: pytest.CaptureFixture[str]) -> None:
    def hungry() -> None:
        raise RuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 5 bytes")

    assert failures.guarded(hungry, []) == 4
    assert "E0805" in capsys.readouterr().err


def test_stopping_a_run_says_how_to_go_on(capsys: pytest.CaptureFixture[str]) -> None:
    def stopped() -> None:
        raise KeyboardInterrupt

    assert failures.guarded(stopped, ["sample", "my model.energy"]) == 130
    assert "energylang sample 'my model.energy' --resume" in capsys.readouterr().err


def test_a_closed_pipe_is_no_error() -> None:
    command = f"{sys.executable} -m energylang methods | head -n 1"
    done = subprocess.run(["bash", "-c", f"set -o pipefail; {command}"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "sample\n", "")


def test_ctrl_c_then_resume_gives_the_draws_of_an_uninterrupted_run(tmp_path: Path, model: Path, cli: Cli) -> None:
    arguments = ["sample", str(model), "--draws", "400000", "--warmup", "500", "--chains", "1", "--seed", "3"]
    process = subprocess.Popen(
        [sys.executable, "-m", "energylang", *arguments, "--out", "a.nc"],
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ},
    )  # fmt: skip
    assert process.stderr is not None
    first = process.stderr.readline()
    assert first == "checking line.energy\n"
    for line in process.stderr:
        if line.startswith("sampling"):
            process.send_signal(signal.SIGINT)
            break
    rest = process.stderr.read()
    code = process.wait()
    process.stdout.close()  # type: ignore[union-attr]
    process.stderr.close()
    assert code == 130, rest
    assert "--resume`" in rest
    assert Path("a.nc.parts").is_dir()
    resumed = cli(*arguments, "--out", "a.nc", "--resume", "--json")
    assert resumed.code == 0
    assert not Path("a.nc.parts").exists()
    whole = cli(*arguments, "--out", "b.nc", "--json")
    assert resumed.data["summary"] == whole.data["summary"]
