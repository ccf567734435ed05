"""Imports: modules beside the model and in the standard library, their names, and everything that can be wrong."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import energylang as el
from energylang.check import check_source
from energylang.diagnostics import Diagnostics
from energylang.render import render
from energylang.run.provenance import closure, differences
from energylang.syntax.read import read_source

RINGS = """\
const radius = 2
data centre: real[D] = [1, 0, 0]
let squared = sum(centre * centre)
param W: real[D] = 0.5

fn gap(x) = (norm2(x - centre) - radius^2) * sum(W)
distribution bump(x: real | mu: real) = 0.5 * (x - mu)^2 + 0.5 * log(2 * pi)
energy ring(x: real[D]) = gap(x) + squared
sample ring
"""


@pytest.fixture
def write(tmp_path: Path):
    def write(**files: str) -> Path:
        for name, text in files.items():
            path = tmp_path / f"{name.replace('__', '/')}.energy"
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
        return tmp_path / "model.energy"

    return write


def findings(path: Path, **overrides: float) -> tuple[list[tuple[str, str, str]], str]:
    """(code, file, what is underlined), and all of it as it is shown."""
    diagnostics = Diagnostics()
    check_source(read_source(path), diagnostics, overrides, folder=path.parent)
    found = [
        (d.code, Path(d.span.source.name).name if d.span else "", d.span.text if d.span else "")
        for d in diagnostics.found
    ]
    return found, render(diagnostics.found, color=False)


def test_names_of_a_module_are_qualified(write):
    """The same names in the model mean the model's own: consts, data, dims, functions, params."""
    path = write(
        shapes__rings=RINGS,
        model="""\
import shapes.rings as r
const radius = 5
data centre: real[D] = [9, 9]
param W: real = 3
fn gap(x) = sum(x)
energy both(x: real[r.D], y: real[D]) {
  += r.gap(x) + gap(y) + norm2(y - centre)
  += radius + 10 * r.radius + 100 * r.squared + W + sum(r.W) + D + 10 * r.D
  += sum(r.bump(y | 1))
}
""",
    )
    model = el.load(path)
    x, y = np.array([0.5, -1.0, 2.0]), np.array([1.0, 4.0])
    gap = (np.sum((x - [1, 0, 0]) ** 2) - 4) * 1.5
    expected = gap + 5 + 64 + 25 + 5 + 20 + 100 + 3 + 1.5 + 2 + 30 + 4.5 + np.log(2 * np.pi)
    assert float(model["both"](x=x, y=y)) == pytest.approx(expected, rel=1e-5)
    assert set(model["both"].params) == {"W", "r.W"}
    ring = model["r.ring"]
    assert float(ring(x=x)) == pytest.approx(gap + 1, rel=1e-5)


def test_values_from_outside(write):
    path = write(
        rings=RINGS, model="import rings\nenergy e(x: real[rings.D]) = rings.radius * sum(x) + rings.squared\n"
    )
    model = el.load(path, data={"rings.centre": [3.0, 4.0]}, set={"rings.radius": 7})
    assert model.program.consts == {"rings.radius": 7}
    assert float(model["e"](x=[1.0, 1.0])) == pytest.approx(39)
    assert findings(path, **{"rings.radios": 1})[0] == [("E0901", "", "")]
    assert {Path(s.name).name for s in model.program.sources} == {"model.energy", "rings.energy"}


def test_a_module_is_instantiated_once(write):
    """A diamond: both sides see the same param, named once, although the model does not import it itself."""
    path = write(
        base="param W: real = 2\n",
        left="import base\nfn f(x) = base.W * x\n",
        right="import base as b\nfn f(x) = b.W + x\n",
        model="import left\nimport right\nenergy e(x: real) = left.f(x) + right.f(x)\nsample e\n",
    )
    energy = el.load(path)["e"]
    assert list(energy.params) == ["base.W"]
    assert float(energy(x=3.0)) == pytest.approx(11)


def test_two_modules_of_one_name(write):
    path = write(
        a__shape="const n = 1\n",
        b__shape="const n = 2\nimport shape as own\nfn f() = own.n\n",
        shape="const n = 4\n",
        model="import a.shape\nimport b.shape as other\nenergy e(x: real) = shape.n * x + other.n + other.f()\n",
    )
    model = el.load(path)
    assert float(model["e"](x=10.0)) == pytest.approx(16)
    assert sorted(model.program.consts) == ["other.n", "other.shape.n", "shape.n"]


def test_tasks_of_a_module(write):
    """A module's own tasks are for those who run it; the model may run its energies."""
    path = write(rings=RINGS, model="import rings\nsample rings.ring with nuts(), draws = 7\n")
    model = el.load(path)
    assert [(t.verb, t.energy.name) for t in model.program.tasks] == [("sample", "rings.ring")]
    assert model.choose("sample")[0] == "rings.ring"


def test_a_run_belongs_to_the_texts_of_all_modules(write, tmp_path):
    path = write(rings=RINGS, model="import rings\nsample rings.ring with nuts()\n")
    before = closure(el.load(path).plan("sample").provenance(), {}, 1)
    (tmp_path / "rings.energy").write_text(RINGS + "# more\n")
    after = closure(el.load(path).plan("sample").provenance(), {}, 1)
    (found,) = differences(before, after)
    assert found.endswith("rings.energy` differs")


def test_the_standard_library_is_a_module():
    model = el.compile(
        "import distributions as d\ndistribution normal(x: real | a: real) = (x - a)^2\n"
        "energy e(x: real) = d.normal(x | 1, 2) + normal(x | 3)"
    )
    expected = 0.5 * 0.0625 + np.log(2) + 0.5 * np.log(2 * np.pi) + 2.25
    assert float(model["e"](x=1.5)) == pytest.approx(expected, rel=1e-6)


def test_data_of_a_module_come_from_beside_it(write, tmp_path):
    path = write(
        sub__rings='data y: real[N] from "y.json"\n', model="import sub.rings\nenergy e(x: real) = x * sum(rings.y)\n"
    )
    (tmp_path / "sub" / "y.json").write_text("[1, 2, 4]")
    assert float(el.load(path)["e"](x=1.0)) == pytest.approx(7)


WRONG = {
    "a missing file": ({"model": "import ringz\n", "rings": ""}, [("E0230", "model.energy", "import ringz")], "did you mean `rings`?"),
    "a name of both": (
        {"model": "import distributions\n", "distributions": ""}, [("E0231", "model.energy", "import distributions")],
        "rename distributions.energy",
    ),
    "a cycle": (
        {"model": "import a\n", "a": "import b\n", "b": "import a\n"}, [("E0233", "b.energy", "import a")],
        "a imports b imports a",
    ),
    "a module that imports the model": (
        {"model": "import a\n", "a": "import model\n"}, [("E0233", "a.energy", "import model")],
        "model.energy imports a imports model.energy",
    ),
    "an unknown value": (
        {"model": "import a\nenergy e(x: real) = x * a.wdth\n", "a": "const width = 2\n"},
        [("E0234", "model.energy", "a.wdth")], "did you mean `a.width`?",
    ),
    "an unknown function": (
        {"model": "import a\nenergy e(x: real) = a.ff(x)\n", "a": "fn f(x) = x\n"}, [("E0234", "model.energy", "a.ff")],
        "did you mean `a.f`?",
    ),
    "an unknown distribution": (
        {"model": "import a\nenergy e(x: real) {\n  x ~ a.normal(0, 1)\n}\n", "a": "const c = 2\n"},
        [("E0234", "model.energy", "a.normal")], "has no `normal`",
    ),
    "a function as a value": (
        {"model": "import a\nenergy e(x: real) = a.f * x\n", "a": "fn f(x) = x\n"}, [("E0234", "model.energy", "a.f")],
        "`f` is called: `a.f(…)`",
    ),
    "a module that is not imported": (
        {"model": "energy e(x: real[a.n]) = norm2(x)\n", "a": "const n = 2\n"}, [("E0234", "model.energy", "a.n")],
        "import it: `import a`",
    ),
    "what a module imports is its own": (
        {"model": "import a\nenergy e(x: real) = b.n * x\n", "a": "import b\n", "b": "const n = 2\n"},
        [("E0234", "model.energy", "b.n")], "there is no module `b`",
    ),
    "a module as a value": (
        {"model": "import a\nenergy e(x: real) = a * x\n", "a": "const n = 2\n"}, [("E0235", "model.energy", "a")],
        "name that: `a.n`",
    ),
    "a module that is called": (
        {"model": "import a\nenergy e(x: real) = a(x)\n", "a": "const n = 2\n"}, [("E0235", "model.energy", "a")], "imported here",
    ),
    "an alias twice": (
        {"model": "import a\nimport b as a\n", "a": "", "b": ""}, [("E0203", "model.energy", "a")], "import b as …",
    ),
    "an error inside a module": (
        {"model": "import a\nenergy e(x: real) = x^2 + a.n\n", "a": "const n = m\n"}, [("E0201", "a.energy", "m")], "imported here",
    ),
    "names in an error are those of its file": (
        {"model": "import a\nenergy e(x: real) = x^2\n", "a": "data y: real[N] = [1]\nfn f(x: real[n]) = x + y\n"},
        [("E0301", "a.energy", "+")], "shapes [n] and [N] do not fit",
    ),
    "a syntax error inside a module": (
        {"model": "import a\nenergy e(x: real) = x^2 + a.n\n", "a": "const n = = 2\n"}, [("E0106", "a.energy", "=")], "imported here",
    ),
    "an energy of a module that does not exist": (
        {"model": "import a\nsample a.e\n", "a": "energy f(x: real) = x^2\n"}, [("E0600", "model.energy", "a.e")], "a.f",
    ),
    "a task of an unknown module": ({"model": "sample b.e\n"}, [("E0234", "model.energy", "b.e")], "import b"),
}  # fmt: skip


@pytest.mark.parametrize("title", WRONG)
def test_wrong_imports(title, write):
    files, wanted, words = WRONG[title]
    found, shown = findings(write(**files))
    assert found == wanted, shown
    assert words in shown


def test_a_model_reads_nothing_outside_its_folder(write, tmp_path):
    outside = tmp_path / "outside.energy"
    outside.write_text("const n = 1\n")
    inner = tmp_path / "inner"
    inner.mkdir()
    (inner / "linked.energy").symlink_to(outside)
    (inner / "folder").symlink_to(tmp_path)
    (inner / "model.energy").write_text("import linked\nimport folder.outside\n")
    found, shown = findings(inner / "model.energy")
    assert found == [("E0232", "model.energy", "import linked"), ("E0232", "model.energy", "import folder.outside")], (
        shown
    )
    (inner / "dangling.energy").symlink_to(tmp_path / "nowhere.energy")
    (inner / "directory.energy").mkdir()
    (inner / "binary.energy").write_bytes(b"\0\0")
    (inner / "model.energy").write_text("import dangling\nimport directory\nimport binary\n")
    assert [code for code, *_ in findings(inner / "model.energy")[0]] == ["E0230", "E0230", "E0121"]


def test_a_text_imports_from_the_library_alone():
    with pytest.raises(el.DiagnosticError, match="E0230"):
        el.compile("import rings\nenergy e(x: real) = x^2")
