"""What a user is told about each wrong program is what was read and found good; doing what it says mends the program."""

from __future__ import annotations

import pytest

from energylang.check import check_source
from energylang.diagnostics import Diagnostics
from energylang.source import Source
from tests.wrong.cases import FOLDER, fixed, programs, said, snapshots

_PROGRAMS = programs()
_NAMES = [str(path.relative_to(FOLDER).with_suffix("")) for path in _PROGRAMS]
_FIXED = [path for path in _PROGRAMS if fixed(path).exists()]


@pytest.mark.parametrize("path", _PROGRAMS, ids=_NAMES)
def test_everything_that_is_said(path):
    for snapshot, text in snapshots(path):
        assert snapshot.read_text(encoding="utf-8") == text, "python -m tests.wrong.promote, and read the difference"


def test_every_snapshot_belongs_to_a_program():
    programs_of = {path.with_suffix("") for path in _PROGRAMS}
    for path in FOLDER.glob("*/*.txt"):
        assert path.with_suffix("") in programs_of, path
        assert path.read_text(encoding="utf-8"), f"nothing is said about {path}"


@pytest.mark.parametrize("path", _FIXED, ids=[str(path.relative_to(FOLDER)) for path in _FIXED])
def test_doing_what_it_says_mends_the_program(path):
    assert fixed(path).read_text(encoding="utf-8") != path.read_text(encoding="utf-8")
    assert [found.message for found in said(fixed(path)) if found.severity == "error"] == []


@pytest.mark.parametrize("path", _PROGRAMS, ids=_NAMES)
def test_every_edit_removes_what_it_is_for(path):
    text = path.read_text(encoding="utf-8")
    before = _found(text)
    for finding in before:
        if finding.edit is None:
            continue
        span = finding.edit.span
        after = [(d.code, d.message) for d in _found(text[: span.start] + finding.edit.text + text[span.end :])]
        same = [(d.code, d.message) for d in before]
        key = (finding.code, finding.message)
        assert after.count(key) < same.count(key), finding


def _found(text):
    diagnostics = Diagnostics()
    check_source(Source("model.energy", text), diagnostics)
    return diagnostics.found
