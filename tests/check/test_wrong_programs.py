"""Wrong programs and everything that is said of them: code, line, words, and no more than that."""

from __future__ import annotations

from pathlib import Path

import pytest

from energylang.check import check, check_source
from energylang.diagnostics import Diagnostics
from energylang.render import render
from energylang.source import Source
from energylang.syntax.parser import parse


def cases() -> list[tuple[str, str, list[tuple[str, int, list[str]]]]]:
    """(title, program, expected diagnostics as (code, line, fragments)) from the files."""
    found = []
    texts = [path.read_text() for path in sorted(Path(__file__).parent.glob("wrong_programs*.txt"))]
    for section in "\n".join(texts).split("### ")[1:]:
        title, _, body = section.partition("\n")
        program, _, rest = body.partition(">>> ")
        wanted = []
        for line in rest.strip().split("\n>>> "):
            code, number, text = line.split(" ", 2)
            wanted.append((code, int(number), [f.strip() for f in text.split(" | ")]))
        found.append((title, program, wanted))
    return found


@pytest.mark.parametrize(
    ("title", "program", "wanted"), cases(), ids=lambda v: v if isinstance(v, str) and "\n" not in v else ""
)
def test_wrong_program(title, program, wanted):
    diagnostics = Diagnostics()
    assert check(parse(Source("model.energy", program), diagnostics), diagnostics) is None
    errors = sorted(
        (d for d in diagnostics.found if d.severity == "error"), key=lambda d: d.span.start if d.span else -1
    )
    shown = render(errors, color=False)
    assert [(d.code, d.span.source.position(d.span.start)[0]) for d in errors if d.span] == [w[:2] for w in wanted], (
        shown
    )
    for diagnostic, (_, _, fragments) in zip(errors, wanted, strict=True):
        said = f"{diagnostic.message} {diagnostic.cause} {diagnostic.fix}"
        for fragment in fragments:
            assert fragment in said, shown


def test_every_shape_error_underlines_both_places():
    diagnostics = Diagnostics()
    program = "data a: real[N]\ndata b: real[M]\nenergy e(x: real) = x * sum(a + b)\n"
    check(parse(Source("model.energy", program), diagnostics), diagnostics)
    (found,) = diagnostics.found
    assert [r.text for r in found.related] == ["this is real[N]", "this is real[M]"]
    assert [r.span.text for r in found.related] == ["a", "b"]


def test_syntax_errors_do_not_hide_the_others():
    """What could be read is checked; a name whose declaration could not be read is not reported as missing."""
    diagnostics = Diagnostics()
    text = "const n = = 3\nenergy e(x: real[n]) {\n  x ~ normal(muu, -1)\n  x ~ nromal(0, 1)\n  += n\n}\nsample e with nutts()\n"
    _, program = check_source(Source("m", text), diagnostics)
    assert program is None
    codes = [d.code for d in diagnostics.found]
    assert codes[0].startswith("E01")
    assert codes[1:] == ["E0201", "E0202", "E0601"]


def test_overrides_of_consts():
    def energy(overrides):
        diagnostics = Diagnostics()
        program = check(
            parse(Source("m", "const n = 2\nenergy e(x: real[n]) = norm2(x)"), diagnostics), diagnostics, overrides
        )
        return program, diagnostics.found

    program, _ = energy({"n": 5})
    assert str(program.energies["e"].variables[0].space) == "real[5]"
    program, found = energy({"m": 5})
    assert program is None
    assert found[0].code == "E0901"


@pytest.mark.parametrize(
    ("body", "normalised"),
    [
        ("{\n  x ~ normal(0, 1)\n  y ~ normal(x, 1)\n}", True),
        ("{\n  x ~ normal(y, 1)\n  y ~ normal(x, 1)\n}", False),
        ("{\n  x ~ normal(0, 1)\n}", False),
        ("{\n  x ~ normal(0, 1)\n  y ~ normal(x, 1)\n  += x\n}", False),
        ("{\n  x ~ normal(0, 1)\n  x ~ normal(0, 1)\n  y ~ normal(x, 1)\n}", False),
        ("{\n  x ~ normal(0, 1)\n  y ~ normal(x, 1)\n  d ~ normal(x, 1)\n}", False),
        ("= x^2 + y^2", False),
    ],
)
def test_normalisation(body, normalised):
    diagnostics = Diagnostics()
    module = parse(Source("m", f"data d: real = 1\nenergy e(x: real, y: real) {body}"), diagnostics)
    program = check(module, diagnostics)
    assert program is not None, diagnostics.found
    assert program.energies["e"].traits.normalised is normalised
