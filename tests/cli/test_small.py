"""`explain`, `methods`, `fmt`, `new`, `doctor`, `plot`."""

from __future__ import annotations

import io
import stat
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from energylang.catalog import methods
from energylang.codes import CODES
from tests.cli.conftest import EXAMPLES, Cli


def test_explain_a_model(cli: Cli) -> None:
    out = cli("explain", EXAMPLES / "ising.energy").out
    for expected in ("1,024 rows, each of 2 sites", "2 colours", "gibbs()", "log Z is not known", "operations"):
        assert expected in out


def test_explain_names_the_dims_and_the_lowered_program(cli: Cli, model: Path) -> None:
    result = cli("explain", model, "--program")
    assert "N = 3" in result.out
    assert "lambda" in result.out
    data = cli("explain", model, "--json", "--program").data
    assert data["dims"] == {"N": 3}
    assert data["cost"]["gradient"] > 0


def test_explain_names_dense_couplings(cli: Cli) -> None:
    Path("d.energy").write_text("energy e(x: binary[6, 6]) = 0.4 * norm2(sum(x, axis = 0) - 1)\n")
    out = " ".join(cli("explain", "d.energy").out.split())
    assert "the couplings of 36 sites are dense, so they are a matrix, and sweeps carry what they add up to" in out
    assert "36 discrete sites whose dense couplings a sweep carries along as one field a site" in out


def test_explain_says_why_a_term_is_opaque(cli: Cli) -> None:
    Path("o.energy").write_text("energy e(s: spin[30]) = -log(2 + prod(s))\n")
    out = cli("explain", "o.energy").out
    assert "opaque, because" in out
    assert "estimates" in out


@pytest.mark.parametrize(
    ("model", "clusters", "trees"),
    [
        ("-sum(s * roll(s, 1, axis = 0))", "the couplings of 3 pairs of sites can all be met", "2 groups, each drawn jointly"),
        ("sum(s * roll(s, 1, axis = 0))", "the couplings around site 0 cannot all be met", "2 groups, each drawn jointly"),
        ("sum(s[1:] * s[:-1])", "the couplings of 2 pairs of sites can all be met", "all discrete sites are drawn jointly"),
        ("0.1 * sum(s)^2", "`sum(s)^2` is no sum over pairs", "no trees for forward_backward: `sum(s)^2` couples 3 sites"),
        ("-sum(s)", "", ""),
    ],
)  # fmt: skip
def test_explain_says_which_sites_move_together(cli: Cli, model: str, clusters: str, trees: str) -> None:
    Path("s.energy").write_text(f"energy e(s: spin[3]) = {model}\n")
    out = " ".join(cli("explain", "s.energy").out.split())
    assert clusters in out
    assert trees in out
    assert ("swendsen_wang" in out) == ("forward_backward" in out) == bool(clusters)


@pytest.mark.parametrize(
    ("a", "said"),
    [
        ("s @ W", "hidden variables for data_augmentation: 2 sites that are summed out; given these the others have 1 colour"),
        ("tanh(s @ W)", "no hidden variables for data_augmentation: its joint energy with them would still be opaque"),
    ],
)  # fmt: skip
def test_explain_says_which_hidden_variables_are_drawn_again(cli: Cli, a: str, said: str) -> None:
    Path("h.energy").write_text(
        f"let W = [for i in 16, j in 2: 1 / (1 + i + j)]\nenergy e(s: spin[16]) = -sum(softplus({a}))\n"
    )
    out = " ".join(cli("explain", "h.energy").out.split())
    assert said in out
    assert ("sample: data_augmentation(), because 2 hidden sites, summed out" in out) == (a == "s @ W")


@pytest.mark.parametrize("code", ["E0301", "l0101", "N0701"])
def test_explain_a_code(cli: Cli, code: str) -> None:
    result = cli("explain", code)
    assert CODES[code.upper()].title in result.out


def test_methods_are_those_of_the_catalog(cli: Cli) -> None:
    listed = cli("methods").out
    assert all(name in listed for name in methods())
    assert [entry["name"] for entry in cli("methods", "--json").data["methods"]] == list(methods())
    one = cli("methods", "nuts").out
    assert "target_acceptance" in one
    assert "Hoffman" in one
    wrong = cli("methods", "nutz")
    assert (wrong.code, "did you mean `nuts`?" in wrong.err) == (1, True)


def test_fmt_rewrites_and_keeps_the_mode(cli: Cli) -> None:
    path = Path("m.energy")
    path.write_text("energy   e(x:real)={x~normal(0,1)}\n".replace("=", " "))
    path.chmod(0o640)
    assert cli("fmt", "--check", path).code == 1
    result = cli("fmt", path)
    assert (result.code, "changed m.energy" in result.err) == (0, True)
    assert path.read_text() == "energy e(x: real) {\n  x ~ normal(0, 1)\n}\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert cli("fmt", "--check", path).code == 0


def test_fmt_leaves_a_broken_model_alone_and_formats_the_others(cli: Cli, model: Path) -> None:
    Path("broken.energy").write_text("energy e(x: real) {")
    model.write_text(model.read_text() + "\n\n\n")
    result = cli("fmt", "broken.energy", model)
    assert result.code == 1
    assert Path("broken.energy").read_text() == "energy e(x: real) {"
    assert not model.read_text().endswith("\n\n")


def test_fmt_of_standard_input(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    text = b"const   a = 1  # one\n"
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(text)))
    assert cli("fmt", "-").out == "const a = 1  # one\n"


def test_fmt_replaces_line_endings(cli: Cli) -> None:
    Path("m.energy").write_bytes(b"const a = 1\r\n")
    assert cli("fmt", "--check", "m.energy").code == 1
    cli("fmt", "m.energy")
    assert Path("m.energy").read_bytes() == b"const a = 1\n"


@pytest.mark.parametrize("name", ["first", "first.energy", "sample", "2nd-try", "normal"])
def test_new_writes_a_model_that_is_right_and_formatted(cli: Cli, name: str) -> None:
    assert cli("new", name).code == 0
    path = Path(name if name.endswith(".energy") else f"{name}.energy")
    checked = cli("check", path)
    assert checked.code == 0, checked.err
    assert checked.err == ""
    assert cli("fmt", "--check", path).code == 0
    before = path.read_text()
    again = cli("new", name)
    assert (again.code, "E0903" in again.err, path.read_text() == before) == (2, True, True)


def test_the_new_model_samples(cli: Cli) -> None:
    cli("new", "first")
    result = cli("sample", "first.energy", "--json")
    assert result.code == 0
    assert abs(result.data["summary"]["slope"]["Mean"] - 2) < 0.2
    assert result.data["warnings"] == []


@pytest.mark.parametrize("like", ["ising", "mixture"])
def test_what_new_can_begin_with(cli: Cli, like: str) -> None:
    cli("new", "first", "--like", like)
    assert cli("check", "first.energy").err == ""
    assert cli("fmt", "--check", "first.energy").code == 0
    result = cli("sample", "first.energy", "--json", "--draws", 400, "--warmup", 300)
    assert result.code == 0
    if like == "mixture":
        assert abs(result.data["summary"]["centre[0]"]["Mean"] + 2) < 0.3


@pytest.mark.parametrize("name", ["nowhere/first", "", "."])
def test_new_where_it_cannot(cli: Cli, name: str) -> None:
    assert cli("new", name).code == 2


def test_doctor(cli: Cli) -> None:
    result = cli("doctor")
    assert result.code == 0, result.out
    for expected in ("energylang", "jax", "devices", "cpu", "cache", "everything that EnergyLang needs is here"):
        assert expected in result.out
    assert cli("doctor", "--json").data["problems"] == []


def test_plot_of_reals_and_of_spins(cli: Cli, model: Path) -> None:
    cli("sample", model, "--quiet")
    assert cli("plot", "line.nc").out == "wrote line.trace.png\nwrote line.rank.png\n"
    cli("sample", EXAMPLES / "ising.energy", "--draws", "20", "--warmup", "8", "--chains", "2", "--quiet")
    result = cli("plot", "ising.nc", "--out", "pictures")
    assert result.out == "wrote pictures.trace.png\nwrote pictures.rank.png\nwrote pictures.states.s.png\n"
    assert all(Path(line.split()[1]).read_bytes().startswith(b"\x89PNG") for line in result.out.splitlines())
    wrong = cli("plot", "line.nc", "--var", "muu")
    assert (wrong.code, "did you mean `mu`?" in wrong.err) == (2, True)
    chosen = cli(
        "plot",
        "ising.nc",
        "--kind",
        "trace",
        "--kind",
        "autocorrelation",
        "--vars",
        "s[0,0], s[31,31]",
        "--out",
        "a.svg",
    )
    assert chosen.out == "wrote a.trace.svg\nwrote a.autocorrelation.svg\n"
    assert "<svg" in Path("a.trace.svg").read_text()
    for arguments, code in (
        (("--kind", "rnak"), "E0890"),
        (("--kind", "energy"), "E0891"),
        (("--var", "s[99,0]"), "E0892"),
    ):
        wrong = cli("plot", "ising.nc", *arguments)
        assert (wrong.code, code in wrong.err) == (2, True)
    assert cli("plot", "line.nc", "--out", "nowhere/a").code == 2


def test_plot_of_weighted_draws_and_of_training(cli: Cli) -> None:
    cli("sample", EXAMPLES / "rbm.energy", "--method", "enumerate()", "--draws", "40", "--quiet")
    assert "rbm.states.v.png" in cli("plot", "rbm.nc").out
    cli("train", EXAMPLES / "normal_mle.energy", "--steps", "30", "--quiet")
    assert cli("plot", "normal_mle.train.nc").out == "wrote normal_mle.train.loss.png\n"
    result = cli("report", "normal_mle.train.nc")
    assert (result.code, "E0850" in result.err) == (3, True)


def test_reports(cli: Cli, model: Path) -> None:
    result = cli("sample", model, "--json", "--report")
    assert (result.code, result.data["report"]) == (0, "line.html")
    first = Path("line.html").read_text(encoding="utf-8")
    assert "<h1>line: sample</h1>" in first
    assert cli("report", "line.nc", "--out", "again.html").out == "wrote again.html\n"
    assert Path("again.html").read_text(encoding="utf-8") == first
    result = cli("evidence", model, "--method", "importance()", "--draws", "50", "--quiet", "--report", "z.html")
    assert result.out.endswith("report in z.html\n")
    assert "log Z" in Path("z.html").read_text(encoding="utf-8")
    before = model.read_text()
    for arguments in (
        ("sample", "--report", model),
        ("sample", model, "--report", "line.nc"),
        ("report", "line.nc", "--out", model),
    ):
        wrong = cli(*arguments)
        assert (wrong.code, "E0893" in wrong.err) == (2, True)
    assert model.read_text() == before
    assert cli("report", "nowhere.nc").code == 3


@pytest.mark.parametrize("name", ["nowhere.nc", "line.energy", "noise.nc"])
def test_plot_of_what_is_no_run(cli: Cli, model: Path, name: str) -> None:
    Path("noise.nc").write_bytes(b"no run")
    result = cli("plot", name)
    assert (result.code, "E0831" in result.err) == (3, True)
