"""Saved params: leaves by name in the group `params` of a file, and where they come from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jax
import numpy as np

from energylang.diagnostics import Diagnostic, DiagnosticError
from energylang.model import Params
from energylang.run.data import PARAMS, FileData


def named_leaves(params: Params) -> dict[str, np.ndarray]:
    """Leaves by the path of their keys joined by dots, as the group `params` of a file has them."""
    found = jax.tree_util.tree_leaves_with_path(params)
    return {jax.tree_util.keystr(path, simple=True, separator="."): np.asarray(leaf) for path, leaf in found}


@dataclass(frozen=True)
class SavedParams:
    """Unconstrained params by name. where: what they are called in messages; facts: of the training, sources: its texts."""

    values: Mapping[str, np.ndarray]
    where: str
    facts: Mapping[str, Any] = field(default_factory=dict)
    sources: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, given: Any) -> SavedParams:
        """Of the file of a training run, of a Training, or of params by name. Raises E0831 for a file without params."""
        if isinstance(given, str | Path):
            data = FileData(Path(given))
            if PARAMS not in data.groups():
                problem = f"`{given}` has no params: it is the file of `{data.facts.get('task', 'a run')}`"
                raise DiagnosticError([Diagnostic("E0831", problem, fix="give a file that `energylang train` wrote")])
            values = {name: data.read(PARAMS, name) for name in data.names(PARAMS)}
            return cls(values, f"`{given}`", data.facts, data.sources())
        if isinstance(given, Mapping):
            return cls(named_leaves(dict(given)), "what is given")
        return cls(named_leaves(given.params), "the training", given.facts)

    def fitted(self, like: Params) -> Params:
        """The params in the tree of `like`; raises E0831 where one is missing, or has another shape."""
        found, wrong = [], []
        for name, leaf in named_leaves(like).items():
            if name not in self.values:
                wrong.append(f"`{name}` is missing")
                continue
            value = self.values[name]
            if value.shape != leaf.shape:
                wrong.append(f"`{name}` has shape {list(value.shape)} there and {list(leaf.shape)} in the model")
            found.append(value.astype(leaf.dtype))
        if wrong:
            message = f"the params in {self.where} are not those of this model: {'; '.join(wrong)}"
            raise DiagnosticError([Diagnostic("E0831", message)])
        return jax.tree.unflatten(jax.tree.structure(like), found)

    def __str__(self) -> str:
        """Where they come from: the energy, how it was learned, and the first digits of what decided the numbers."""
        if not self.facts:
            return "given by name"
        return (
            f"{self.facts['energy']} by {self.facts['method']}, seed {self.facts['seed']}, {self.facts['closure'][:12]}"
        )

    def other_text(self, text: str) -> bool:
        """Whether they were learned with another text of the model."""
        return bool(self.sources) and next(iter(self.sources.values())) != text


def read_params(path: Path, like: Params) -> Params:
    """The params that a training run wrote, in the tree of `like`.

    Raises E0831 where the file is not one of a run, or lacks a param, or has one of another shape.
    """
    return SavedParams.of(path).fitted(like)
