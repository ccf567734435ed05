"""Reports: one page that loads nothing, says what the run says, escapes what it is given, and works in a browser."""

from __future__ import annotations

import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from energylang.diagnostics import DiagnosticError
from energylang.run import report
from energylang.run.data import MemoryData
from energylang.run.report import page
from energylang.run.report.tables import LONG, MOST
from energylang.run.report.text import highlighted, safe, sentence
from energylang.run.result import Run
from tests.run.synthetic import RINGS, a_run, autoregressive, normal, of_rings, of_weights

EXAMPLES = Path(__file__).parents[2] / "examples"
VOID = {"meta", "link", "img", "br", "hr"}


class Page(HTMLParser):
    """Elements with their attributes, and the text outside of style and script; fails where tags do not match."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text, self._open = "", []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] not in ("style", "script"):
            self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture(scope="module")
def doubtful() -> Run:
    """Draws that depend on each other and diverge, with a long vector."""
    posterior = {"mu": autoregressive(4, 300, 0.98), "theta": normal(4, 300, LONG + 3), "flat": np.ones((4, 300))}
    return a_run(posterior, {"m.energy": RINGS}, stats={"diverging": posterior["mu"] > 1.8})


@pytest.fixture(scope="module")
def written(doubtful: Run) -> str:
    return page(doubtful)


def test_nothing_is_loaded_and_everything_has_a_name(written: str) -> None:
    found = Page(written)
    for tag, attributes in found.elements:
        for name in ("src", "href", "srcset", "data", "action", "poster"):
            value = attributes.get(name) or "data:"
            assert value.startswith(("data:", "#")), (tag, value)
    assert not re.search(r"@import|@font-face|url\(|https?://|//[a-z]", re.sub(r'src="data:[^"]*"', "", written))
    assert found.elements[0] == ("html", {"lang": "en"})
    policy = next(m["content"] for m in found.all("meta") if m.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None
    assert policy.startswith("default-src 'none'")
    assert all(image["alt"] and image["width"] and image["height"] for image in found.all("img"))
    assert len(found.all("img")) >= 5
    assert all(head["scope"] in ("col", "row") for head in found.all("th"))
    assert len(found.all("h1")) == 1
    ids = [attributes["id"] for _, attributes in found.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert {link["href"] for link in found.all("a")} == {f"#{name}" for name in ids}
    assert len(written) < 1_000_000


def test_the_page_says_what_the_run_says(doubtful: Run, written: str) -> None:
    text = Page(written).text
    for warning in doubtful.warnings:
        assert warning[1:].replace("`", "") in text
    assert len(doubtful.warnings) == 3
    assert "3 things are doubtful." in text
    # The most doubtful scalar is the first that is seen.
    assert "Densities and traces by chain of mu, " in text
    assert f"theta, {LONG + 3} entries" in text
    for row in ("mu", "lp", "flat", f"theta[{LONG + 2}]"):
        assert row in text
    for shown in (
        "nuts()",
        "float64",
        "energylang 0",
        "4 chains of 300 after 300 of warm-up",
        "8 * (r - 3)^2",
        "m.energy",
    ):
        assert shown in text
    assert [i["alt"] for i in Page(written).all("img") if "divergences" in str(i["alt"])] or "diverged" in text


def test_other_runs_have_their_own_words() -> None:
    good = page(of_rings(4, 400))
    assert "Nothing doubtful was found." in good
    assert "Contours of the energy" in good
    weighted = Page(page(of_weights())).text
    assert "-0.500 ± 0.02" in weighted
    assert "Weights of 500 draws" in weighted
    empty = page(Run(MemoryData({}), of_rings(1, 1).facts | {"log_z": 0.0, "log_z_error": 0.0}))
    assert "0, as of every normalised energy" in Page(empty).text


def test_what_is_given_is_escaped() -> None:
    evil = '<script>alert("1")</script>\x1b[31m\u202eevil\ud800'
    run = of_rings(2, 40)
    bad = a_run(
        {"z": run["z"]}, {evil: f"# {evil}\nenergy e(x: real) = x^2"}, {"energy": evil, "method": evil, "reason": evil},
        consts={evil: evil},
    )  # fmt: skip
    text = page(bad)
    text.encode("utf-8")
    found = Page(text)
    assert len(found.all("script")) == 1
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "‹1B›[31m‹202E›evil‹D800›" in found.text
    assert safe("a\tb\nc") == "a\tb\nc"
    assert sentence("use `<b>` now") == "use <code>&lt;b&gt;</code> now"
    assert sentence("a ` alone") == "a ` alone"


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.energy")), ids=lambda path: path.stem)
def test_highlighting_changes_no_character(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    found = Page(f"<pre>{highlighted(text)}</pre>")
    assert found.text == text
    assert {"d", "n"} <= {str(span["class"]) for span in found.all("span")}


def test_long_vectors_are_listed_by_their_most_doubtful_entries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "_pictures", lambda _run: "")
    values = normal(4, 100, 3000)
    values[:, :, 2999] = autoregressive(4, 100, 0.99, seed=2)
    found = Page(page(a_run({"x": values})))
    rows = [head["title"] for head in found.all("th") if head.get("scope") == "row" and "title" in head]
    assert rows[0] == "lp"
    assert rows[1] == "x[2999]"
    assert len(rows) == 1 + MOST
    assert "x, 3,000 entries: means from" in found.text


def test_without_matplotlib_there_is_a_report_without_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "matplotlib", None)
    found = Page(page(of_rings(2, 40)))
    assert found.all("img") == []
    assert "they need Matplotlib" in found.text
    with pytest.raises(DiagnosticError) as error:
        of_rings(2, 40).plot("trace")
    assert error.value.diagnostics[0].code == "E0904"


@pytest.mark.parametrize("path", ["model.energy", "nowhere/report.html", None])
def test_where_no_report_can_go(path: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(report, "page", lambda _run: "")
    with pytest.raises(DiagnosticError) as error:
        of_rings(1, 2).report(path)
    assert error.value.diagnostics[0].code == "E0893"
    assert list(tmp_path.iterdir()) == []


# --- in a browser ---------------------------------------------------------------------------------------------------

BROWSER = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None
)
PROBE = """<script>
const order = () => [...document.querySelector("table.summary").tBodies[0].rows].map(row => row.cells[0].textContent);
const head = [...document.querySelectorAll("table.summary")[0].tHead.rows[0].cells].find(c => c.textContent === "ESS_bulk");
const before = order(); head.firstChild.click(); const up = order(); const sorted = head.getAttribute("aria-sort");
head.firstChild.click(); const down = order();
const wide = document.documentElement.scrollWidth, room = document.documentElement.clientWidth;
const broken = [...document.images].filter(image => !image.naturalWidth).length;
document.title = "PROBE" + JSON.stringify({before, up, down, sorted, wide, room, broken,
  paper: getComputedStyle(document.body).backgroundColor});
</script></body>"""


def looked_at(text: str, folder: Path, *options: str) -> dict[str, Any]:
    import json
    from html import unescape

    place = folder / "page.html"
    place.write_text(text.replace("</body>", PROBE), encoding="utf-8")
    command = [
        str(BROWSER), "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder / 'profile'}", *options,
        "--dump-dom", place.as_uri(),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    title = re.search(r"<title>PROBE(.*?)</title>", done.stdout, re.DOTALL)
    assert title, done.stdout[:300] + done.stderr[-800:]
    return json.loads(unescape(title[1]))


@pytest.mark.skipif(BROWSER is None, reason="there is no Chromium or Chrome to open a page in")
def test_a_browser_sorts_the_table_and_nothing_overflows(doubtful: Run, written: str, tmp_path: Path) -> None:
    found = looked_at(written, tmp_path, "--window-size=500,900")
    summary = doubtful.summary().select({"lp", "mu", "flat"})
    expected = [summary.names[at] for at in np.argsort(summary["ESS_bulk"])]
    assert found["up"] == expected
    assert found["down"] == expected[::-1]
    assert sorted(found["before"]) == sorted(expected)
    assert found["sorted"] == "ascending"
    assert found["wide"] <= found["room"] <= 500
    assert found["broken"] == 0
    dark = looked_at(written, tmp_path, "--blink-settings=preferredColorScheme=0")
    assert (found["paper"], dark["paper"]) == ("rgb(255, 255, 255)", "rgb(20, 25, 30)")
