"""Diagnostics as text and as data."""

from __future__ import annotations

import io
import json

from energylang.diagnostics import Diagnostic, Edit, Label
from energylang.render import printable, render, render_one, to_json, wants_color
from energylang.source import Source, Span


def place(source: Source, text: str) -> Span:
    start = source.text.index(text)
    return Span(source, start, start + len(text))


def finding(span: Span | None, **more) -> Diagnostic:
    return Diagnostic("E0106", "something is wrong", span, **more)


def test_a_finding_with_everything():
    source = Source("model.energy", "# one\n\nconst two = 2\nconst a = 0 < x < 1\n")
    diagnostic = finding(
        place(source, "< 1"), label="here", related=(Label(place(source, "0"), "and there"),), cause="so", fix="thus"
    )
    assert render([diagnostic], color=False) == (
        "error[E0106]: something is wrong\n"
        " --> model.energy:4:17\n"
        "  |\n"
        "2 |\n"
        "3 | const two = 2\n"
        "4 | const a = 0 < x < 1\n"
        "  |                 ^^^ here\n"
        "  |           - and there\n"
        "  |\n"
        "  cause: so\n"
        "  fix: thus\n"
        "\n"
        "1 error\n"
    )


def test_tabs_and_wide_characters_are_measured():
    source = Source("m", "\tlet 名前 = é\u0301 + bad\n")
    lines = render_one(finding(place(source, "bad"))).splitlines()
    assert lines[3] == "1 |     let 名前 = é\u0301 + bad"
    assert lines[4] == "  |                    ^^^"
    lines = render_one(finding(place(source, "名前"))).splitlines()
    assert lines[4] == "  |         ^^^^"


def test_several_lines():
    source = Source("m", "a\nb {\n  c\n\n  d\n}\n")
    lines = render_one(finding(place(source, "{\n  c\n\n  d\n}"), label="this block")).splitlines()
    assert lines[2:] == [
        "  |",
        "1 | a",
        "2 | b {",
        "  |   ^",
        "3 |   c",
        "  |   ^",
        "4 |",
        "5 |   d",
        "  |   ^",
        "6 | }",
        "  | ^ this block",
        "  |",
    ]


def test_many_lines_are_left_out():
    source = Source("m", "\n".join(f"line {n}" for n in range(1, 40)))
    text = render_one(finding(Span(source, source.text.index("line 5"), source.text.index("line 30") + 7)))
    assert "..." in text
    assert "line 15" not in text
    assert "line 30" in text


def test_distant_and_other_files():
    source = Source("m", "\n".join(f"line {n}" for n in range(1, 21)))
    other = Source("lib/other.energy", "x\nfn f(x) = x\n")
    related = (Label(place(source, "line 2"), "first"), Label(place(other, "f(x)"), "declared here"))
    lines = render_one(finding(place(source, "line 18"), related=related)).splitlines()
    assert lines == [
        "error[E0106]: something is wrong",
        "  --> m:18:1",
        "   |",
        " 2 | line 2",
        "   | ------ first",
        "...",
        "16 | line 16",
        "17 | line 17",
        "18 | line 18",
        "   | ^^^^^^^",
        "   |",
        "  ::: lib/other.energy:2:4",
        "   |",
        " 2 | fn f(x) = x",
        "   |    ---- declared here",
        "   |",
    ]


def test_the_end_of_a_text_can_be_shown():
    source = Source("m", "const a =\n")
    assert "  |          ^" in render_one(finding(Span(source, 9, 9)))
    assert "^" in render_one(finding(Span(Source("m", ""), 0, 0)))


def test_long_lines_are_cut_around_the_place():
    source = Source("m", "a" * 1000 + " bad " + "b" * 1000)
    lines = render_one(finding(place(source, "bad"))).splitlines()
    assert len(lines[3]) < 200
    assert lines[3][lines[4].index("^") :].startswith("bad")


def test_control_and_bidirectional_characters_are_not_echoed():
    source = Source("evil\x1b[2J.energy", "a \x1b[31m\u202e b\u200b\n")
    text = render([finding(place(source, "b"), label="\x07x", cause="\u2066y", fix="\x9bz\nw")], color=False)
    assert all(c == "\n" or c.isprintable() for c in text)
    assert "fix: z w" in text
    assert printable("a\u202eb\x00c") == "abc"


def test_colours_only_where_asked(monkeypatch):
    source = Source("m", "bad")
    diagnostic = finding(place(source, "bad"), fix="it")
    assert "\033[" in render([diagnostic], color=True)
    assert "\033[" not in render([diagnostic], color=False)

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert wants_color(Terminal())
    assert not wants_color(io.StringIO())
    monkeypatch.setenv("NO_COLOR", "1")
    assert not wants_color(Terminal())


def test_without_a_place():
    assert render([finding(None, fix="do this")], color=False) == (
        "error[E0106]: something is wrong\n  fix: do this\n\n1 error\n"
    )
    assert render([], color=False) == ""
    assert render([finding(None), finding(None, cause="x")], color=False).endswith("\n2 errors\n")


def test_json():
    source = Source("m", "const a = 1;\n")
    span = place(source, ";")
    related = (Label(place(source, "const"), "there"),)
    data = to_json(finding(span, label="here", related=related, cause="c", fix="f", edit=Edit(span, "")))
    assert data == {
        "code": "E0106",
        "severity": "error",
        "message": "something is wrong",
        "file": "m",
        "line": 1,
        "column": 12,
        "end_line": 1,
        "end_column": 13,
        "label": "here",
        "related": [{"file": "m", "line": 1, "column": 1, "end_line": 1, "end_column": 6, "label": "there"}],
        "cause": "c",
        "fix": "f",
        "edit": {"file": "m", "line": 1, "column": 12, "end_line": 1, "end_column": 13, "text": ""},
    }
    json.dumps(data)
    nowhere = to_json(finding(None))
    assert nowhere["file"] is nowhere["line"] is nowhere["edit"] is None
