"""A look that remembers earlier ones finds what a fresh look finds, whatever was edited in between."""

from __future__ import annotations

import gc
import random
from pathlib import Path
from typing import Any
from zlib import crc32

import pytest

from energylang.check.recorder import Recorder
from energylang.lsp.analysis import Analysis, analyse
from energylang.lsp.memory import Memory
from energylang.resources import folder
from energylang.source import Source
from energylang.syntax import ast

WHOLE = """\
import lattices as l
const k = 3
data n: int = 4
data y: real[N] = [1, 2]
let half = y / 2
fn twice(a) = 2 * a
fn thrice(a: real) = a + twice(a)
distribution wide(x: real | m: real) = (x - m)^2 / 8
energy early = product(late, other)
energy late(a: real, b: real[N]) {
  a ~ wide(1)
  b ~ normal(twice(half), 1)
  report c = thrice(a)
}
energy other(b: real[N]) = sum(twice(b)^2)
energy given(v: real[p] | s: real[p], w: positive) {
  v ~ normal(s, w)
  += l.ising_ring([1, -1], 1) * 0
}
energy fixed = condition(given, w = 2)
sample late with nuts(), draws = 10
sample given on (s = [1, 2], w = k) with nuts()
sample early with nuts()
"""

PIECES = [
    "\n",
    " ",
    "(",
    ")",
    "{",
    "}",
    "[",
    "x",
    "y",
    "N",
    "k",
    "late",
    "twice",
    "1",
    "+",
    "~",
    ",",
    ":",
    "# c\n",
    "let q = 1\n",
]


def shown(analysis: Analysis) -> tuple[Any, ...]:
    """Everything that an editor could be told."""
    found = [
        (d.code, d.message, d.span and (d.span.source.name, d.span.start, d.span.end), d.label, d.cause, d.fix,
         [(r.text, r.span.start, r.span.end) for r in d.related], d.edit and (d.edit.span.start, d.edit.span.end, d.edit.text))
        for d in analysis.diagnostics
    ]  # fmt: skip
    meanings = {
        span: [
            (type(m).__name__, str(m.type), str(m.range), getattr(getattr(m, "symbol", None), "name", "")) for m in each
        ]
        for span, each in analysis.meanings.items()
    }
    return found, meanings


def edited(text: str, chance: random.Random) -> str:
    """The text after one edit: characters typed or deleted, a line removed, doubled, moved, or a name changed."""
    place = chance.randrange(len(text) + 1)
    lines = text.splitlines(keepends=True) or [""]
    line = chance.randrange(len(lines))
    match chance.randrange(7):
        case 0 | 1:
            return text[:place] + chance.choice(PIECES) + text[place:]
        case 2 | 3:
            return text[:place] + text[place + chance.randrange(1, 4) :]
        case 4:
            return "".join(lines[:line] + lines[line + 1 :])
        case 5:
            return "".join([*lines[:line], lines[line], *lines[line:]])
        case _:
            words = [w for w in ("late", "twice", "N", "y", "half", "n", "k", "given", "p") if w in text]
            word = chance.choice(words or ["x"])
            return text.replace(word, chance.choice(["z9", word + "1", "other"]), chance.choice([1, -1]))


def texts() -> list[Any]:
    models = [("whole", WHOLE)]
    paths = sorted(folder("examples").glob("*.energy"))
    for number in range(0, len(paths), 4):
        models.append(
            (paths[number].stem, "\n".join(p.read_text(encoding="utf-8") for p in paths[number : number + 4]))
        )
    return [pytest.param(text, id=name) for name, text in models]


@pytest.mark.parametrize("text", texts())
def test_what_is_remembered_is_what_a_fresh_look_finds(text: str, request: pytest.FixtureRequest) -> None:
    chance = random.Random(crc32(request.node.name.encode()))
    memory = Memory()
    steps = 60 if text is WHOLE else 6
    for _ in range(3):
        now = text
        for _ in range(steps):
            remembered = analyse(Source("m.energy", now), "utf-16", memory=memory)
            assert shown(remembered) == shown(analyse(Source("m.energy", now), "utf-16")), now
            now = edited(now, chance)


def read_anew(text: str, memory: Memory, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the declarations that a look reads."""
    read: list[str] = []
    reads = Recorder.reads

    def noted(self: Recorder, declaration: ast.AnyDeclaration) -> None:
        read.append(declaration.span.text.split("\n")[0])
        reads(self, declaration)

    with monkeypatch.context() as patched:
        patched.setattr("energylang.lsp.memory.Look.reads", noted)
        patched.setattr("energylang.lsp.memory.Look.has_read", lambda *_: None)
        analyse(Source("m.energy", text), "utf-16", memory=memory)
    return read


def test_an_edit_has_what_leads_to_it_read_anew_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    text = (
        "data y: real[N]\nenergy a(x: real) = x^2\nenergy b(z: real[N]) = sum((z - y)^2)\n"
        "sample a with nuts()\nsample b with nuts()\nenergy c = product(a, b)\n"
    )
    memory = Memory()
    assert analyse(Source("m.energy", text), "utf-16", memory=memory).diagnostics == []
    assert read_anew(text, memory, monkeypatch) == []
    assert read_anew("# moved\n" + text.replace("energy c", "\nenergy c"), memory, monkeypatch) == []
    changed = read_anew(text.replace("x^2", "x^4"), memory, monkeypatch)
    assert changed == [
        "energy a(x: real) = x^4", "energy b(z: real[N]) = sum((z - y)^2)", "energy c = product(a, b)", "sample a with nuts()",
    ]  # fmt: skip
    dims = read_anew(text.replace("data y: real[N]", "data y: real[N] = [1]"), memory, monkeypatch)
    assert "energy b(z: real[N]) = sum((z - y)^2)" in dims
    assert "sample a with nuts()" not in dims


def test_calls_of_what_is_remembered_count(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("energylang.check.context", "energylang.lsp.analysis"):
        monkeypatch.setattr(f"{module}.MOST_CALLS", 200)
    doubling = "".join(f"fn f{n}(x) = f{n - 1}(x) + f{n - 1}(x)\n" for n in range(1, 7))
    text = f"fn f0(x) = x\n{doubling}energy a(x: real) = f6(x)\n"
    memory = Memory()
    assert analyse(Source("m.energy", text), "utf-16", memory=memory).diagnostics == []
    more = "energy b(x: real) = f6(x)\n" + text
    remembered = analyse(Source("m.energy", more), "utf-16", memory=memory)
    assert "E0209" in {d.code for d in remembered.diagnostics}
    assert shown(remembered) == shown(analyse(Source("m.energy", more), "utf-16"))


def test_a_module_that_changes_is_read_again(tmp_path: Path) -> None:
    (tmp_path / "shapes.energy").write_text("fn area(r) = r^2\n", encoding="utf-8")
    text = "import shapes\nenergy a(x: real[3]) = sum(shapes.area(x))\n"
    memory = Memory()
    source = Source(str(tmp_path / "m.energy"), text)
    assert analyse(source, "utf-16", memory=memory).diagnostics == []
    (tmp_path / "shapes.energy").write_text("fn area(r, h) = r^2 * h\n", encoding="utf-8")
    assert analyse(source, "utf-16", memory=memory).diagnostics


def test_looks_leave_no_cycles_behind() -> None:
    # What collects cycles is put off while somebody types.
    memory, place = Memory(), WHOLE.index("energy other")
    text = "energy typed(a: real[N]) = sum(a^2) + normal(a[0] | 0, 1)\n"
    for end in (0, len(text)):
        analyse(Source("m.energy", WHOLE + text[:end]), "utf-16", memory=memory)
    gc.collect()
    gc.disable()
    try:
        for end in range(len(text)):
            analyse(Source("m.energy", WHOLE[:place] + text[:end] + WHOLE[place:]), "utf-16", memory=memory)
        found = gc.collect()
    finally:
        gc.enable()
    assert found < len(text)
