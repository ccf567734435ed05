"""Reading files of every kind."""

from __future__ import annotations

import os

import pytest

from energylang.diagnostics import DiagnosticError, Diagnostics
from energylang.syntax.parser import parse
from energylang.syntax.read import SIZE_LIMIT, read_source


def refused(path) -> tuple[str, int, str]:
    with pytest.raises(DiagnosticError) as raised:
        read_source(path)
    (found,) = raised.value.diagnostics
    assert found.fix
    return found.code, raised.value.exit_code, found.cause


def test_texts(tmp_path):
    path = tmp_path / "model.energy"
    path.write_bytes(b"\xef\xbb\xbfconst a = 1\r\nconst b = 2\rconst c = 3\n")
    source = read_source(path)
    assert source.text == "const a = 1\nconst b = 2\nconst c = 3\n"
    assert source.name == str(path)
    diagnostics = Diagnostics()
    assert len(parse(source, diagnostics).declarations) == 3
    assert not diagnostics.found
    path.write_bytes(b"")
    assert read_source(str(path)).text == ""


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        ("const a = 1".encode("utf-16"), "UTF-16"),
        (b"\x89PNG\x00\x01", "zero bytes"),
        (b"const a = 1\nconst b = \xff", "line 2"),
        ("const µ = 1".encode("latin-1"), "0xB5"),
    ],
)
def test_what_is_no_text(tmp_path, content, cause):
    path = tmp_path / "model.energy"
    path.write_bytes(content)
    code, exit_code, said = refused(path)
    assert (code, exit_code) == ("E0121", 1)
    assert cause in said


def test_what_cannot_be_read(tmp_path):
    assert refused(tmp_path / "none.energy")[:2] == ("E0120", 2)
    assert refused(tmp_path) == ("E0120", 2, "it is a folder")
    assert refused(tmp_path / "x" / "y")[:2] == ("E0120", 2)
    assert refused("a\0b")[:2] == ("E0120", 2)
    assert refused("a" * 5000)[:2] == ("E0120", 2)


@pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() == 0, reason="the superuser may read everything")
def test_what_may_not_be_read(tmp_path):
    path = tmp_path / "model.energy"
    path.write_text("const a = 1")
    path.chmod(0)
    assert refused(path) == ("E0120", 2, "you may not read it")


def test_what_is_too_large(tmp_path):
    path = tmp_path / "model.energy"
    with path.open("wb") as file:
        file.truncate(SIZE_LIMIT + 1)
    assert refused(path)[:2] == ("E0122", 1)
