"""The standard library, parsed once per version and kept in the private cache."""

from __future__ import annotations

import pickle
from functools import cache
from pathlib import Path

from energylang import cache as store
from energylang import resources
from energylang.diagnostics import Diagnostics
from energylang.source import Source
from energylang.syntax import ast
from energylang.syntax.parser import parse


@cache
def parse_library(name: str) -> ast.Module:
    """The syntax tree of `stdlib/<name>.energy`.

    Raises `FileNotFoundError` where the library has no such module, and `DiagnosticError` where it is broken.
    """
    text = resources.text("stdlib", f"{name}.energy")
    key = "\0".join((name, text, resources.text("grammar", "energy.lark"), _shape_of_trees()))
    stored = store.load("library", key)
    if stored is not None:
        try:
            module = pickle.loads(stored)
            if isinstance(module, ast.Module):
                return module
        except Exception:  # Whatever is wrong with what was stored, it can be made again.
            stored = None
    diagnostics = Diagnostics()
    module = parse(Source(f"{name}.energy", text), diagnostics)
    diagnostics.raise_if_failed()
    store.store("library", key, pickle.dumps(module, protocol=pickle.HIGHEST_PROTOCOL))
    return module


@cache
def _shape_of_trees() -> str:
    """The text of the tree's definition: while it is being worked on, its version number says nothing."""
    return Path(ast.__file__).read_text(encoding="utf-8") if Path(ast.__file__).suffix == ".py" else ""
