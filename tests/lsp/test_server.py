"""The server as an editor sees it."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from energylang.check import check_source
from energylang.diagnostics import Diagnostics
from energylang.source import Source
from energylang.syntax.printer import format_text
from tests.cli.conftest import EXAMPLES, Cli, cli
from tests.lsp.client import Client
from tests.lsp.long_model import TYPED, long_model

__all__ = ["cli"]

MODEL = """\
# How fast.
const rate = 2
data y: real[N] = [1, 2, 3]

fn twice(x) = x + x

# A line.
energy line(mu: real, sigma: positive | shift: real) {
  mu ~ normal(0, rate)
  sigma ~ half_normal(1)
  let centre = twice(y) - mu
  y ~ normal(mu + shift, sigma)
  report spread = sum(centre^2)
}

sample line on (shift = 1.0) with nuts(max_tree_depth = 8), draws = 100
"""


def place(text: str, mark: str, skip: int = 0) -> tuple[int, int]:
    """The line and the UTF-16 column behind the first `mark` (after `skip` others)."""
    offset = -1
    for _ in range(skip + 1):
        offset = text.index(mark, offset + 1)
    before = text[: offset + len(mark)]
    line = before.count("\n")
    return line, len(before.rpartition("\n")[2].encode("utf-16-le")) // 2


def hover(client: Client, text: str, mark: str, skip: int = 0) -> str:
    found = client.at("hover", *place(text, mark, skip))
    return "" if found is None else found["contents"]["value"]


def completions(client: Client, text: str, mark: str, skip: int = 0) -> dict[str, dict]:
    found = client.at("completion", *place(text, mark, skip))
    return {item["label"]: item for item in found["items"]}


# --- diagnostics ------------------------------------------------------------------------------------------------


def test_diagnostics_are_the_checker_s(client: Client) -> None:
    text = MODEL.replace("half_normal", "half_norml").replace("- mu", "- y[0, 0]")
    found = client.open(text)
    expected = Diagnostics()
    check_source(Source("m", text), expected)
    assert [d["code"] for d in found] == [d.code for d in expected.found] != []
    first = found[0]
    assert first["severity"] == 1
    assert first["source"] == "energylang"
    assert "did you mean `half_normal`?" in first["message"]
    line, column = place(text, "half_norml")
    assert first["range"] == {
        "start": {"line": line, "character": column - 10},
        "end": {"line": line, "character": column},
    }
    assert "errors.md#L" in first["codeDescription"]["href"]


def test_lints_are_warnings(client: Client) -> None:
    (found,) = client.open("energy e(x: real, y: real) {\n  x ~ normal(0, 1)\n}\n")
    assert (found["code"], found["severity"]) == ("L0102", 2)


def test_related_places_are_given(client: Client) -> None:
    (found,) = client.open("const a = 1\nconst a = 2\n")
    (related,) = found["relatedInformation"]
    assert related["message"] == "first here"
    assert related["location"]["range"]["start"] == {"line": 0, "character": 6}


def test_a_closed_text_has_no_diagnostics(client: Client) -> None:
    uri = "file:///nowhere/closed.energy"
    assert client.open("energy", uri) != []
    client.notify("textDocument/didClose", textDocument={"uri": uri})
    _, message = client._wait(lambda m: m.get("params", {}).get("uri") == uri)
    assert message["params"]["diagnostics"] == []
    assert client.at("hover", 0, 0, uri) is None


# --- positions --------------------------------------------------------------------------------------------------


def test_columns_are_counted_in_utf_16(client: Client) -> None:
    text = 'data y: real = 1 # 😀\nlet a = y # é 漢 😀\n\nenergy e(x: real) = y * "😀" + zz\n'
    found = client.open(text)
    (missing,) = [d for d in found if d["code"] == "E0201"]
    line, column = place(text, "zz")
    assert missing["range"]["end"] == {"line": line, "character": column}
    assert column == len('energy e(x: real) = y * "😀" + zz') + 1


@pytest.mark.parametrize(("encoding", "width"), [("utf-8", 4), ("utf-32", 1)])
def test_a_client_may_count_otherwise(encoding: str, width: int) -> None:
    client = Client(encodings=(encoding, "utf-16"))
    assert client.capabilities["positionEncoding"] == encoding
    found = client.open('energy e(x: real) = "😀" + zz\n')
    (missing,) = [d for d in found if d["code"] == "E0201"]
    assert missing["range"]["start"]["character"] == len('energy e(x: real) = "" + ') + width
    assert client.stop() == 0


def test_every_kind_of_newline_ends_a_line(client: Client) -> None:
    found = client.open("const a = 1\r\nconst b = 2\rconst a = 3\n\x0c# \u2028 two\nconst b = 3\n")
    assert [d["range"]["start"]["line"] for d in found if d["code"] == "E0203"] == [2, 4]


# --- hover ------------------------------------------------------------------------------------------------------


def test_hover_shows_types_and_shapes(client: Client) -> None:
    assert client.open(MODEL) == []
    assert "data y: real[N]" in hover(client, MODEL, "data y")
    assert "let centre: real[N]" in hover(client, MODEL, "let centre")
    assert "let centre: real[N]" in hover(client, MODEL, "sum(centre")
    sigma = hover(client, MODEL, "shift, sigma")
    assert "variable sigma: positive" in sigma
    assert "of energy `line`" in sigma
    assert "condition shift: real" in hover(client, MODEL, "+ shift")
    assert "argument x: real[N]" in hover(client, MODEL, "twice(x")
    assert "report spread: real" in hover(client, MODEL, "report spread")
    assert "How fast." in hover(client, MODEL, "(0, rate")
    assert "solved from the data `y`" in hover(client, MODEL, "real[N")


def test_hover_shows_what_callables_are(client: Client) -> None:
    client.open(MODEL)
    normal = hover(client, MODEL, "mu ~ normal")
    assert "distribution normal(x: real | mu: real, sigma: positive)" in normal
    assert "standard deviation sigma" in normal
    assert "fn twice(x) = x + x" in hover(client, MODEL, "= twice")
    assert "Here: real[N]." in hover(client, MODEL, "= twice")
    assert "sum(x, axis = …)" in hover(client, MODEL, "= sum")
    assert "A line." in hover(client, MODEL, "sample line")
    assert "a real above 0" in hover(client, MODEL, "sigma: positive")
    assert "target_acceptance" in hover(client, MODEL, "with nuts")
    assert "doublings" in hover(client, MODEL, "max_tree_depth")
    assert "draws kept per chain" in hover(client, MODEL, ", draws")
    assert "condition shift: real" in hover(client, MODEL, "on (shift")
    assert hover(client, MODEL, "# A lin") == ""


def test_hover_knows_the_names_of_a_text_that_is_wrong(client: Client) -> None:
    text = MODEL.replace("report spread = sum(centre^2)", "report spread = sum(centre^2) + (\n  += 1 * * 2")
    assert client.open(text) != []
    assert "let centre: real[N]" in hover(client, text, "let centre")


# --- definition, symbols ----------------------------------------------------------------------------------------


def test_definitions(client: Client) -> None:
    client.open(MODEL)

    def target(mark: str) -> tuple[str, int]:
        found = client.at("definition", *place(MODEL, mark))
        return found["uri"].rpartition("/")[2], found["range"]["start"]["line"]

    assert target("sum(centre") == ("model.energy", 10)
    assert target("= twice") == ("model.energy", 4)
    assert target("(0, rate") == ("model.energy", 1)
    assert target("+ shift") == ("model.energy", 7)
    assert target("on (shift") == ("model.energy", 7)
    assert target("sample line") == ("model.energy", 7)
    uri, line = target("mu ~ normal")
    library = (EXAMPLES.parent / "stdlib" / uri).read_text().splitlines()
    assert library[line].startswith("distribution normal(")
    assert client.at("definition", *place(MODEL, "= sum")) is None


def test_imported_modules(client: Client, tmp_path: Path) -> None:
    (tmp_path / "shapes.energy").write_text("const size = 4\n\n# Round.\nfn ring(x) = x * size\n")
    text = "import shapes as s\nimport lattices\n\nenergy e(x: spin[s.size]) = sum(s.ring(x)) + lattices.ising_ring(x, 1)\n"
    uri = (tmp_path / "model.energy").as_uri()
    assert client.open(text, uri) == []

    def at(method: str, mark: str) -> Any:
        return client.at(method, *place(text, mark), uri)

    found = at("definition", "s.ring")
    assert (found["uri"], found["range"]["start"]["line"]) == ((tmp_path / "shapes.energy").as_uri(), 3)
    assert at("definition", "lattices.ising_ring")["uri"].endswith("stdlib/lattices.energy")
    assert "Round." in at("hover", "s.ring")["contents"]["value"]
    assert "const size = 4" in at("hover", "s.size")["contents"]["value"]
    assert "`ring`" in at("hover", "shapes as s")["contents"]["value"]
    text = text.replace("s.ring(x)", "s.")
    client.open(text, uri)
    assert {item["label"] for item in at("completion", "sum(s.")["items"]} == {"size", "ring"}


def test_saving_a_module_looks_again_at_what_imports_it(client: Client, tmp_path: Path) -> None:
    module = tmp_path / "shapes.energy"
    module.write_text("const size = 4\n")
    uri = (tmp_path / "model.energy").as_uri()
    text = "import shapes\nenergy e(x: spin[shapes.size]) = sum(x)\n"
    assert client.open(text, uri) == []
    module.write_text("const length = 4\n")
    client.notify("textDocument/didSave", textDocument={"uri": module.as_uri()})
    assert [d["code"] for d in client.diagnostics(uri)] != []


def test_mistakes_in_imported_modules_are_shown_where_they_are_imported(client: Client, tmp_path: Path) -> None:
    (tmp_path / "shapes.energy").write_text("\nconst size = sze\n")
    uri = (tmp_path / "model.energy").as_uri()
    (found,) = [d for d in client.open("# A model.\nimport shapes\n", uri) if d["severity"] == 1]
    assert found["range"]["start"]["line"] == 1
    there = found["relatedInformation"][0]["location"]
    assert (there["uri"], there["range"]["start"]["line"]) == ((tmp_path / "shapes.energy").as_uri(), 1)


def test_compositions_name_energies_and_their_variables(client: Client) -> None:
    text = (
        "energy rest = marginal(both, over = z)\n"
        "energy both(x: real, z: cat(2)) {\n  z ~ categorical([0.5, 0.5])\n  x ~ normal(z, 1)\n}\n"
    )
    assert client.open(text) == []
    assert client.at("definition", *place(text, "marginal(both"))["range"]["start"]["line"] == 1
    assert "variable z: cat(2)" in hover(client, text, "over = z")
    assert "energy both" in hover(client, text, "marginal(both")


def test_symbols(client: Client) -> None:
    client.open(MODEL)
    found = client.request("textDocument/documentSymbol", textDocument={"uri": "file:///nowhere/model.energy"})
    assert [symbol["name"] for symbol in found] == ["rate", "y", "twice", "line", "sample line"]
    inner = {symbol["name"]: symbol["detail"] for symbol in found[3]["children"]}
    assert inner == {"shift": "real", "mu": "real", "sigma": "real", "centre": "real[N]", "spread": "real"}


# --- completion -------------------------------------------------------------------------------------------------


def test_completion_of_declarations_and_statements(client: Client) -> None:
    client.open(MODEL + "\n")
    found = completions(client, MODEL + "\n", "draws = 100\n\n")
    assert {"data", "energy", "sample"} <= set(found)
    assert "report" not in found
    text = MODEL.replace("  report", "  re\n  report")
    client.open(text)
    found = completions(client, text, "\n  re")
    assert {"report", "let", "mu", "centre", "y"} <= set(found)
    assert "energy" not in found
    assert found["centre"]["detail"] == "real[N]"
    assert found["sigma"]["detail"] == "positive"


def test_completion_of_distributions_spaces_and_values(client: Client) -> None:
    for text, mark, there, missing in [
        (MODEL.replace("normal(0, rate)", ""), "mu ~ ", {"normal", "beta"}, {"mu", "sum", "real"}),
        (MODEL.replace("sigma: positive", "sigma: "), "sigma: ", {"positive", "simplex"}, {"normal", "mu"}),
        (MODEL.replace("sum(centre^2)", "sum("), "sum(", {"centre", "mu", "exp", "if", "pi"}, {"data", "spread"}),
        (MODEL.replace("twice(y) - mu", "tw"), "= tw", {"twice", "mu"}, {"centre"}),
        (MODEL.replace("x + x", "x + "), "x + ", {"x", "rate"}, {"mu"}),
        (MODEL.replace("sum(centre^2)", "sum(centre, "), "sum(centre, ", {"axis =", "mu"}, {"report"}),
        (MODEL.replace("[N] = [1, 2, 3]", "["), "real[", {"rate"}, {"sigma"}),
    ]:  # fmt: skip
        client.open(text)
        found = set(completions(client, text, mark))
        assert there <= found, (mark, there - found)
        assert not missing & found, (mark, missing & found)


def test_completion_of_what_is_made_by_forms(client: Client) -> None:
    for written, there, missing in [
        ("energy both = ", {"line", "product", "marginal"}, {"mu", "exp", "twice"}),
        ("energy both = product(li", {"line"}, {"twice", "real"}),
        ("energy rest = marginal(line, over = ", {"mu", "sigma"}, {"real"}),
        ("schedule noise = ", {"cosine"}, {"mlp", "mu"}),
        ("schedule noise = cosine(", {"levels", "offset"}, {"mlp"}),
        ("net f: real -> real = ", {"mlp"}, {"cosine"}),
        ("net f: real -> real = mlp([4], act = ", {"tanh"}, {"bias"}),
    ]:  # fmt: skip
        client.open(MODEL + written)
        found = set(completions(client, MODEL + written, written))
        assert there <= found, (written, there - found)
        assert not missing & found, (written, missing & found)


def test_completion_in_tasks_reads_the_catalog(client: Client) -> None:
    task = "sample line on (shift = 1.0) with nuts(max_tree_depth = 8), draws = 100"
    for written, there, missing in [
        ("sample ", {"line"}, {"twice", "nuts"}),
        ("sample line on (", {"shift"}, {"mu", "y"}),
        ("sample line on (shift = ", {"y", "rate"}, {"shift"}),
        ("sample line with ", {"nuts", "mala", "auto"}, {"mle", "line"}),
        ("sample line with nuts(", {"target_acceptance", "metric"}, {"draws", "y"}),
        ("sample line with nuts(metric = ", {"diagonal", "dense"}, {"target_acceptance"}),
        ("sample line with blocks(", {"mu", "sigma", "nuts"}, {"draws"}),
        ("sample line with blocks(mu = nuts(", {"metric"}, {"gibbs"}),
        ("sample line with nuts(), ", {"draws", "chains"}, {"metric"}),
        ("evidence line with ", {"importance"}, {"nuts"}),
    ]:  # fmt: skip
        text = MODEL.replace(task, written)
        client.open(text)
        found = set(completions(client, text, written))
        assert there <= found, (written, there - found)
        assert not missing & found, (written, missing & found)


def test_no_completion_in_comments_strings_and_numbers(client: Client) -> None:
    for text, mark in [("# da\n", "# da"), ('data y: real from "da\n', '"da'), ("const a = 12e\n", "12e")]:
        client.open(text)
        assert completions(client, text, mark) == {}


# --- formatting, actions ----------------------------------------------------------------------------------------


def apply(text: str, edit: dict) -> str:
    lines = text.split("\n")
    start, end = edit["range"]["start"], edit["range"]["end"]

    def offset(at: dict) -> int:
        line = lines[at["line"]].encode("utf-16-le")[: 2 * at["character"]].decode("utf-16-le")
        return sum(len(other) + 1 for other in lines[: at["line"]]) + len(line)

    return text[: offset(start)] + edit["newText"] + text[offset(end) :]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "const   a=1 # 😀   \n\n\n\nconst b =  2",
        MODEL.replace(" ~ ", "~"),
        MODEL + "\n\n",
        MODEL[:-1],
        "\n" + MODEL,
    ],
)
def test_formatting_gives_what_fmt_gives(client: Client, text: str) -> None:
    client.open(text)
    uri = {"uri": "file:///nowhere/model.energy"}
    edits = client.request("textDocument/formatting", textDocument=uri, options={"tabSize": 2, "insertSpaces": True})
    made = text
    for edit in edits:
        made = apply(made, edit)
    assert made == format_text(text, "m")


def test_formatting_leaves_a_wrong_text_alone(client: Client) -> None:
    client.open("const a = (\n")
    uri = {"uri": "file:///nowhere/model.energy"}
    options = {"tabSize": 2, "insertSpaces": True}
    assert client.request("textDocument/formatting", textDocument=uri, options=options) is None


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("mu ~ normall(0, 1)", "mu ~ normal(0, 1)"),
        ("mu ~ normal(0, rte)", "mu ~ normal(0, rate)"),
        ("+= if mu = 1 then 0 else 1", "+= if mu == 1 then 0 else 1"),
    ],
)
def test_actions_mend(client: Client, wrong: str, right: str) -> None:
    text = f"const rate = 2\nenergy e(mu: real) {{\n  {wrong}\n}}\n"
    (found,) = [d for d in client.open(text) if d["severity"] == 1]
    uri = "file:///nowhere/model.energy"
    actions = client.request(
        "textDocument/codeAction", textDocument={"uri": uri}, range=found["range"], context={"diagnostics": [found]}
    )
    (action,) = actions
    assert action["kind"] == "quickfix"
    assert action["diagnostics"][0]["code"] == found["code"]
    (edit,) = action["edit"]["changes"][uri]
    assert apply(text, edit) == text.replace(wrong, right)
    nowhere = {"start": {"line": 0, "character": 0}, "end": {"line": 0, "character": 0}}
    assert client.request(
        "textDocument/codeAction", textDocument={"uri": uri}, range=nowhere, context={"diagnostics": []}
    ) == []  # fmt: skip


# --- editing, and what goes wrong -------------------------------------------------------------------------------


def test_a_long_edit_keystroke_by_keystroke(client: Client) -> None:
    text = long_model()
    assert text.count("\n") >= 300
    assert client.open(text) == []
    written = TYPED
    start = text.index("\n# ", len(text) // 2) + 1
    pause = random.Random(1)
    for end in range(1, len(written) + 1):
        client.change(text[:start] + written[:end] + text[start:])
        if pause.random() < 0.1:  # Mostly the next key comes before the answer.
            shown = {d["code"] for d in client.diagnostics()}
            expected = Diagnostics()
            check_source(Source("m", text[:start] + written[:end] + text[start:]), expected)
            assert shown == {d.code for d in expected.found}
    assert client.diagnostics() == []
    client.change(text)
    assert client.diagnostics() == []


def test_requests_are_answered_whatever_they_ask(client: Client) -> None:
    client.open(MODEL)
    for line, character in [(0, 0), (99999, 99999), (3, 5000)]:
        for method in ("hover", "definition", "completion"):
            client.at(method, line, character)
    for uri in ("file:///not/open.energy", "untitled:Untitled-1", "nonsense"):
        assert client.at("hover", 0, 0, uri) is None
    found = client.answer(client.ask("textDocument/hover", nonsense=True))
    assert "error" in found
    found = client.answer(client.ask("textDocument/noSuchThing"))
    assert "error" in found
    client.send_raw(b"{this is no JSON")
    client.send_raw(b'{"jsonrpc": "2.0"}')
    client.notify("textDocument/didChange", textDocument={"uri": 3})
    client.notify("textDocument/didClose", textDocument={"uri": "file:///not/open.energy"})
    assert client.open(MODEL) == []


@pytest.mark.parametrize(
    "text",
    ["\0\0", "(" * 5000, "energy " * 300, "let a = " + "1 + " * 3000 + "1", "\ud800 = 1", "😀" * 100, "[" * 90 + "for"],
)
def test_odd_texts_are_survived(client: Client, text: str) -> None:
    client.open(text, "untitled:odd")
    for method in ("hover", "definition", "completion"):
        client.at(method, 0, min(len(text), 60), "untitled:odd")
    for method in ("documentSymbol",):
        client.request(f"textDocument/{method}", textDocument={"uri": "untitled:odd"})


def test_a_defect_is_reported_and_survived() -> None:
    program = (
        "import energylang.lsp.analysis as a, energylang.lsp.documents as d\n"
        "from energylang.lsp import features, server\n"
        "right = a.analyse\n"
        "def wrong(source, *rest):\n"
        "    if 'boom' in source.text: raise ZeroDivisionError('boom')\n"
        "    return right(source, *rest)\n"
        "d.analyse = wrong\n"
        "def fails(*_): raise KeyError('hover')\n"
        "features.hover = fails\n"
        "server.serve()\n"
    )
    client = Client(program=program)
    (found,) = client.open("boom")
    assert (found["code"], found["range"]["start"]["line"]) == ("E0999", 0)
    assert "error" in client.answer(client.ask("textDocument/hover", textDocument={"uri": "file:///nowhere/model.energy"}, position={"line": 0, "character": 0}))  # fmt: skip
    assert client.open(MODEL) == []
    assert client.stop() == 0
    assert "ZeroDivisionError" in "".join(client.log)
    assert "KeyError" in "".join(client.log)


# --- starting ---------------------------------------------------------------------------------------------------


def test_nothing_heavy_is_imported() -> None:
    program = (
        "import sys\nfrom energylang.lsp.server import make_server\nfrom energylang.lsp.analysis import analyse\n"
        "from energylang.lsp.completion import complete\nfrom energylang.lsp import features, report\n"
        "from energylang.source import Source\n"
        f"a = analyse(Source('m', {MODEL!r}), 'utf-16')\ncomplete(a.source.text, 300, a)\n"
        "features.symbols(a)\nfeatures.formatting(a)\nmake_server()\n"
        "heavy = ('jax', 'numpy', 'scipy', 'blackjax', 'diffrax', 'rich', 'lark')\n"
        "found = [name for name in heavy if name in sys.modules]\nassert not found, found\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_without_pygls_the_command_says_what_to_install(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("energylang.cli.lsp.find_spec", lambda name: None)
    result = cli("lsp")
    assert result.code == 2
    assert "pip install 'energylang[lsp]'" in result.err


def test_the_log_is_not_between_the_messages() -> None:
    client = Client(program="import energylang.lsp.server as s\nm = s.make_server\ndef made():\n    print('loud')\n    return m()\ns.make_server = made\ns.serve()\n")  # fmt: skip
    assert client.open(MODEL) == []
    assert client.stop() == 0
    assert "loud\n" in client.log


def test_the_server_ends_with_its_editor() -> None:
    client = Client()
    assert client.process.stdin is not None
    client.process.stdin.close()
    client.process.wait(20)
    client._close()


def test_notes_on_editors_name_the_command() -> None:
    page = (Path(__file__).parents[2] / "docs" / "editors.md").read_text(encoding="utf-8")
    assert page.count('"energylang", "lsp"') >= 2
