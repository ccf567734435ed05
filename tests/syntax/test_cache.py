"""The private cache, what is kept in it, and what a new process costs."""

from __future__ import annotations

import os
import pickle
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from energylang import cache, resources
from energylang.syntax import library, table
from energylang.syntax.compare import same

posix = pytest.mark.skipif(os.name != "posix", reason="permissions are POSIX's")


@pytest.fixture
def place(tmp_path, monkeypatch):
    folder = tmp_path / "caches" / "energylang"
    monkeypatch.setenv("ENERGYLANG_CACHE", str(folder))
    for cached in (cache._open, table.parser_table, library.parse_library):
        cached.cache_clear()
    yield folder
    for cached in (cache._open, table.parser_table, library.parse_library):
        cached.cache_clear()


def test_what_is_stored_is_loaded(place):
    assert cache.load("kind", "key") is None
    cache.store("kind", "key", b"content")
    assert cache.load("kind", "key") == b"content"
    assert cache.load("kind", "other") is cache.load("other", "key") is None
    assert cache.reason() is None
    assert [path.name.split("-")[0] for path in place.iterdir()] == ["kind"]


@posix
def test_the_folder_is_private(place):
    cache.store("kind", "key", b"content")
    assert stat.S_IMODE(place.stat().st_mode) == 0o700
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in place.iterdir())


@posix
def test_links_and_open_folders_are_refused(place, tmp_path):
    place.parent.mkdir()
    real = tmp_path / "real"
    real.mkdir(mode=0o700)
    place.symlink_to(real)
    assert "link" in str(cache.reason())
    cache.store("kind", "key", b"content")
    assert cache.load("kind", "key") is None
    assert not list(real.iterdir())
    cache._open.cache_clear()
    place.unlink()
    place.mkdir()
    place.chmod(0o777)
    assert "write" in str(cache.reason())
    cache._open.cache_clear()
    place.rmdir()
    place.write_text("a file")
    assert "not a folder" in str(cache.reason())


@posix
def test_a_linked_file_is_not_read(place, tmp_path):
    cache.store("kind", "key", b"content")
    (file,) = place.iterdir()
    moved = tmp_path / "elsewhere"
    file.rename(moved)
    file.symlink_to(moved)
    assert cache.load("kind", "key") is None


def test_relative_places_are_refused(monkeypatch):
    monkeypatch.setenv("ENERGYLANG_CACHE", "here")
    assert "absolute" in str(cache.reason())
    monkeypatch.delenv("ENERGYLANG_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "here")
    assert cache.place() == Path.home() / ".cache" / "energylang"
    monkeypatch.setenv("XDG_CACHE_HOME", "/there")
    assert cache.place() == Path("/there/energylang")


def test_too_much_is_not_stored(place, monkeypatch):
    monkeypatch.setattr(cache, "LIMIT", 100)
    cache.store("kind", "key", b"x" * 101)
    assert cache.load("kind", "key") is None


@pytest.mark.parametrize("damage", [b"", b"garbage" * 20, None])
def test_damaged_content_is_made_again(place, damage):
    module = library.parse_library("distributions")
    for path in place.iterdir():
        content = path.read_bytes()
        path.write_bytes(content[: len(content) // 2] if damage is None else damage)
    table.parser_table.cache_clear()
    library.parse_library.cache_clear()
    assert same(library.parse_library("distributions").declarations, module.declarations)


def test_content_of_the_wrong_kind_is_made_again(place):
    table.parser_table()
    text = resources.text("stdlib", "distributions.energy")
    key = "\0".join(("distributions", text, resources.text("grammar", "energy.lark"), library._shape_of_trees()))
    cache.store("library", key, pickle.dumps("no tree"))
    assert library.parse_library("distributions").declarations
    library.parse_library.cache_clear()
    assert library.parse_library("distributions").declarations


def test_the_table_that_ships_is_that_of_the_grammar(place, monkeypatch):
    shipped = table.parser_table()
    assert not place.exists()
    monkeypatch.setattr(table, "SHIPPED", "none.json")
    table.parser_table.cache_clear()
    assert table.parser_table() == shipped
    assert [path.name.split("-")[0] for path in place.iterdir()] == ["grammar"]
    assert table.build(resources.text("grammar", "energy.lark"))["states"] == list(shipped.states)


def test_there_is_no_such_library(place):
    for name in ("none", "../distributions", ""):
        with pytest.raises(FileNotFoundError):
            library.parse_library(name)


def test_parsing_imports_nothing_heavy(place):
    program = (
        "import sys\n"
        "from energylang.syntax.parser import parse\n"
        "from energylang.syntax.read import read_source\n"
        "from energylang.syntax.library import parse_library\n"
        "from energylang.render import render\n"
        "from energylang.diagnostics import Diagnostics\n"
        "parse_library('distributions')\n"
        "heavy = {'jax', 'numpy', 'rich', 'scipy', 'click', 'lark', 'importlib.metadata', 'hypothesis'}\n"
        "print(*sorted(heavy & set(sys.modules)))\n"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == ""
