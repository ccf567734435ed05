"""The drivers know protocols, not methods; and every file of theirs stays small."""

from __future__ import annotations

import ast
import builtins
import subprocess
import sys
from pathlib import Path

import energylang.run
from energylang.catalog import methods

FOLDER = Path(energylang.run.__file__).parent
FILES = sorted(FOLDER.glob("*.py"))


def mentions(text: str, names: set[str]) -> set[str]:
    """The names that a file says as a quoted string or an identifier; Python's own functions are not meant."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(text)):
        said = [getattr(node, field, None) for field in ("id", "attr", "name", "arg", "value")]
        for word in said:
            built_in = isinstance(node, ast.Name) and isinstance(word, str) and hasattr(builtins, word)
            if isinstance(word, str) and word.lower() in names and not built_in:
                found.add(word)
    return found


def test_no_driver_mentions_a_method() -> None:
    names = set(methods())
    assert names
    assert {path.name: found for path in FILES if (found := mentions(path.read_text(), names))} == {}


def test_a_mention_is_noticed() -> None:
    text = "if name == 'nuts': x = Gwg().mala\nfor i in enumerate(y): pass"
    assert mentions(text, {"nuts", "gwg", "mala", "gibbs", "enumerate"}) == {"nuts", "Gwg", "mala"}


def test_sampling_imports_neither_optax_nor_xarray_nor_matplotlib() -> None:
    code = "import sys, energylang.run.chains, energylang.run.paths; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    roots = {name.partition(".")[0] for name in done.stdout.split()}
    assert not roots & {"optax", "xarray", "matplotlib", "arviz", "rich", "pandas"}


def test_files_are_small_and_say_what_they_are_for() -> None:
    for path in FILES:
        text = path.read_text()
        assert len(text.splitlines()) < 400, path.name
        assert path.name == "__init__.py" or ast.get_docstring(ast.parse(text)), path.name
