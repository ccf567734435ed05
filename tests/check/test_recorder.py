"""What editors learn from a check: the meaning of each name, and replacements for misspelt ones."""

from __future__ import annotations

from collections.abc import Sequence

from energylang.check import check_source
from energylang.check.context import Found, Poison
from energylang.check.recorder import Recorder
from energylang.diagnostics import Diagnostics
from energylang.source import Source, Span
from energylang.syntax import ast

MODEL = """\
data y: real[N, 3] = [[1, 2, 3]]
let half = y / 2

energy e(mu: real, z: cat(3)[N]) {
  let centred = y - mu
  += sum(centred^2) + sum(half) + mean(z)
  report m = sum(centred, axis = 1)
}
"""


class Recorded(Recorder):
    def __init__(self, source: Source):
        self.source = source
        self.found: dict[tuple[str, int], str] = {}
        self.modules: dict[str, ast.Module] = {}

    def begins(self, module: ast.Module, imported: dict[str, ast.Module], sources: Sequence[Source]) -> None:
        self.modules = imported

    def meaning(self, span: Span, meaning: Found) -> None:
        assert span.source is self.source, "nothing of the library is recorded"
        shown = "?" if isinstance(meaning, Poison) else str(meaning.type)
        self.found[span.text, self.source.position(span.start)[0]] = shown


def record(text: str) -> dict[tuple[str, int], str]:
    """The type at each recorded span, by its text and line."""
    source = Source("m.energy", text)
    recorder = Recorded(source)
    check_source(source, Diagnostics(), None, recorder)
    return recorder.found


def test_declarations_and_uses_have_types() -> None:
    found = record(MODEL)
    assert found["y", 1] == found["half", 2] == found["half", 6] == "real[N, 3]"
    assert found["centred", 5] == found["centred", 6] == "real[N, 3]"
    assert found["mu", 4] == found["mu", 5] == "real"
    assert found["z", 4] == found["z", 6] == "int[N]"
    assert found["m", 7] == "real[N]"
    assert found["sum(centred^2)", 6] == "real"


def test_what_is_wrong_elsewhere_leaves_the_rest_known() -> None:
    found = record(MODEL.replace("sum(half)", "sum(hafl)"))
    assert (found["centred", 6], found["hafl", 6], found["mu", 5]) == ("real[N, 3]", "?", "real")


def test_a_misspelt_name_has_a_replacement() -> None:
    diagnostics = Diagnostics()
    check_source(Source("m.energy", MODEL.replace("sum(half)", "sum(hafl)")), diagnostics)
    (finding,) = diagnostics.found
    assert finding.edit is not None
    assert (finding.edit.span.text, finding.edit.text) == ("hafl", "half")


def test_a_replacement_covers_the_name_alone() -> None:
    text = "energy e(x: real | width: positive) = x^2 / width\nsample e on (widht = 2) with nuts()\n"
    diagnostics = Diagnostics()
    check_source(Source("m.energy", text), diagnostics)
    edits = [(d.edit.span.text, d.edit.text) for d in diagnostics.found if d.edit is not None]
    assert edits == [("widht", "width")]


def test_modules_are_given_by_their_names() -> None:
    source = Source("m.energy", "import lattices as l\nimport nowhere\nlet a = l.ising_ring([1, 2], 1)\n")
    recorder = Recorded(source)
    check_source(source, Diagnostics(), None, recorder)
    assert list(recorder.modules) == ["l"]
    assert recorder.modules["l"].source.name == "lattices.energy"
