"""Saved params: leaves by name in the group `params` of a file."""

from __future__ import annotations

from pathlib import Path

import jax
import numpy as np

from energylang.diagnostics import Diagnostic, DiagnosticError
from energylang.model import Params
from energylang.run.data import PARAMS, FileData


def named_leaves(params: Params) -> dict[str, np.ndarray]:
    """Leaves by the path of their keys joined by dots, as the group `params` of a file has them."""
    found = jax.tree_util.tree_leaves_with_path(params)
    return {jax.tree_util.keystr(path, simple=True, separator="."): np.asarray(leaf) for path, leaf in found}


def read_params(path: Path, like: Params) -> Params:
    """The params that a training run wrote, in the tree of `like`.

    Raises E0831 where the file is not one of a run, or lacks a param, or has one of another shape.
    """
    data = FileData(Path(path))
    found, wrong = [], []
    for name, leaf in named_leaves(like).items():
        if name not in data.names(PARAMS):
            wrong.append(f"`{name}` is missing")
            continue
        value = data.read(PARAMS, name)
        if value.shape != leaf.shape:
            wrong.append(f"`{name}` has shape {list(value.shape)} there and {list(leaf.shape)} in the model")
        found.append(value.astype(leaf.dtype))
    if wrong:
        message = f"the params in `{path}` are not those of this model: {'; '.join(wrong)}"
        raise DiagnosticError([Diagnostic("E0831", message)])
    return jax.tree.unflatten(jax.tree.structure(like), found)
