"""The drivers know protocols, not methods; and every file of theirs stays small."""

from __future__ import annotations

import ast
import builtins
from pathlib import Path

import energylang.run
from energylang.catalog import methods

FOLDER = Path(energylang.run.__file__).parent
FILES = sorted(FOLDER.glob("*.py"))


def test_no_driver_mentions_a_method() -> None:
    names = set(methods())
    assert names
    found = []
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text())):
            words = [getattr(node, field, None) for field in ("id", "attr", "name", "arg", "value")]
            said = {word.lower() for word in words if isinstance(word, str)} & names
            found += [
                (path.name, word) for word in said if not (isinstance(node, ast.Name) and hasattr(builtins, word))
            ]
    assert found == []


def test_the_test_would_notice() -> None:
    tree = ast.parse("if name == 'nuts': x = Gwg()")
    assert [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)] == ["nuts"]


def test_files_are_small_and_say_what_they_are_for() -> None:
    for path in FILES:
        text = path.read_text()
        assert len(text.splitlines()) < 400, path.name
        assert path.name == "__init__.py" or ast.get_docstring(ast.parse(text)), path.name
