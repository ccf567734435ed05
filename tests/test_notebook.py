"""Notebooks: the cell magic in a real IPython shell, and what models, energies and runs show there."""

from __future__ import annotations

from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import energylang as el
from energylang.diagnostics import DiagnosticError
from energylang.notebook import HOOK
from tests.test_docs import ROOT, blocks

PAGE = ROOT / "docs" / "embedding.md"

CELL = """data y: real[N]
data sigma: positive = 1
const scale = 10
energy line(mu: real) {
  mu ~ normal(0, scale)
  y ~ normal(mu, sigma)
}
"""


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """An IPython shell with the extension, in an empty folder; it keeps no history."""
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.chdir(tmp_path)
    interactive = pytest.importorskip("IPython.core.interactiveshell", reason="needs the extra `test`")
    config = pytest.importorskip("traitlets.config").Config()
    config.HistoryManager.enabled = False
    config.InteractiveShell.colors = "nocolor"
    made = interactive.InteractiveShell(config=config)
    made.run_line_magic("load_ext", "energylang")
    yield made
    made.run_line_magic("unload_ext", "energylang")
    assert not hasattr(DiagnosticError, HOOK)


def run(shell: Any, line: str, cell: str = CELL) -> Any:
    return shell.run_cell(f"%%energy {line}\n{cell}", store_history=False)


def test_a_cell_becomes_a_model(shell: Any) -> None:
    shell.user_ns |= {"heights": [1.0, 2.0, 3.0], "sigma": np.float64(2.0), "y": np.arange(4.0)}
    assert run(shell, "lines --data y=heights --data sigma --set scale=3").success
    model = shell.user_ns["lines"]
    assert isinstance(model, el.Model)
    assert model.data["y"].tolist() == [1, 2, 3]
    assert model.data["sigma"] == 2.0
    alike = el.compile(CELL, data={"y": [1.0, 2.0, 3.0], "sigma": 2.0}, set={"scale": 3})
    assert float(model["line"](mu=0.5)) == float(alike["line"](mu=0.5))
    assert run(shell, "--data y").success
    assert shell.user_ns["model"].data["y"].tolist() == [0, 1, 2, 3]


def test_tables_literals_and_files(shell: Any) -> None:
    shell.user_ns |= {"table": {"y": [5.0, 6.0], "unused": [1, 2]}}
    found = run(shell, "m --data table --data 'sigma=0.5'")
    assert found.success
    assert shell.user_ns["m"].data["y"].tolist() == [5, 6]
    assert shell.user_ns["m"].data["sigma"] == 0.5
    Path("d.json").write_text('{"y": [7]}')
    assert run(shell, "m --data d.json").success
    assert shell.user_ns["m"].data["y"].tolist() == [7]


@pytest.mark.parametrize(
    ("line", "cell", "code", "said"),
    [
        ("m --data y", CELL.replace("normal(mu", "normall(mu"), "E0202", "did you mean `normal`?"),
        ("m", CELL, "E0701", "no value for `y`"),
        ("m --data heigths", CELL, "E0882", "did you mean `heights`?"),
        ("m --data text", CELL, "E0706", "no data `text`"),
        ("m --data y=text", CELL, "E0702", "not an array of numbers"),
        ("2m", CELL, "E0901", "no name of a Python variable"),
        ("m --dta y", CELL, "E0901", "--dta"),
        ("m --seed x", CELL, "E0901", "not a valid integer"),
        ("m --data 'y", CELL, "E0901", "quotation"),
        ("m --data y --set scal=2", CELL, "E0901", "did you mean `scale`?"),
    ],
)
def test_what_is_wrong_is_said_as_elsewhere(
    shell: Any, capsys: pytest.CaptureFixture[str], line: str, cell: str, code: str, said: str
) -> None:
    shell.user_ns |= {"heights": [1.0, 2.0], "y": [1.0], "text": "abc"}
    capsys.readouterr()
    found = run(shell, line, cell)
    assert isinstance(found.error_in_exec, el.DiagnosticError)
    assert "m" not in shell.user_ns
    shown = "".join(capsys.readouterr())
    assert f"error[{code}]" in shown
    assert said in shown
    assert "Traceback" not in shown


def test_errors_of_python_are_diagnostics_too(shell: Any, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    shell.run_cell("import energylang\nenergylang.compile('energy e(x: real) = y')", store_history=False)
    shown = "".join(capsys.readouterr())
    assert "error[E0201]" in shown
    assert "Traceback" not in shown


def test_the_cells_of_the_documentation(shell: Any, capsys: pytest.CaptureFixture[str]) -> None:
    cells = [(flags, text) for language, flags, text in blocks(PAGE) if language == "ipython"]
    assert len(cells) >= 3
    for flags, text in cells:
        capsys.readouterr()
        found = shell.run_cell(text, store_history=False)
        assert found.success == (not flags), text
        assert not flags or f"error[{flags.split()[1]}]" in "".join(capsys.readouterr())


# --- what is shown ------------------------------------------------------------------------------------------------


class Reader(HTMLParser):
    """Collects the text, and that every element is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.text: list[str] = []
        self.open: list[str] = []
        self.tags: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open.append(tag)
        self.tags.add(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def read(html: str) -> list[str]:
    reader = Reader()
    reader.feed(html)
    assert reader.open == []
    assert reader.tags <= {"div", "table", "thead", "tbody", "tr", "th", "td", "pre"}
    for word in ("http", "#fff", "white", "black", "<script"):
        assert word not in html, "self-contained, and of the page's own colours"
    return reader.text


def test_models_and_energies() -> None:
    model = el.compile(
        "# A line.\nenergy line(mu: real, s: spin[3] | c: real) = 0.5 * mu^2 * sum(s) + c\n"
        "data y: real[N] = [1, 2]\nparam w: positive[2] = [1, 2]\n"
        "energy other(x: real) = sum(w) * sum((x - y)^2)\nsample other with nuts()"
    )
    words = read(model._repr_html_())
    assert {"mu: real, s: spin[3] | c: real", "log Z is not known", "y", "[2]", "w", "nuts()"} <= set(words)
    words = read(model["line"]._repr_html_())
    assert {
        "Energy line",
        "A line.",
        "mu",
        "spin[3]",
        "[3]",
        "condition",
        "1 real, 3 discrete sites; log Z is not known",
    } <= set(words)
    assert repr(model["line"]) == "Energy(line(mu: real, s: spin[3] | c: real))"


def test_runs_and_what_is_escaped(tmp_path: Path) -> None:
    path = tmp_path / "a<b>&.nc"
    drawn = el.compile("energy e(x: real[40]) = 0.5 * sum(x^2)")["e"].sample(draws=40, warmup=40, chains=2, out=path)
    html = drawn._repr_html_()
    words = read(html)
    assert "<b>" not in html
    assert "a&lt;b&gt;&amp;.nc" in html
    row = words.index("x[0]")
    assert words[row + 1] == str(drawn.summary()).split("x[0] ")[1].split()[0]
    assert "R_hat" in words
    assert any("more of `x`" in word for word in words)
    assert repr(drawn).startswith("<Run of `e` with nuts(")
