"""Where a run comes from: everything that decides its numbers, and how two runs differ in it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from energylang.run.executables import platform


@dataclass(frozen=True)
class Provenance:
    """What the caller knows of a run and a driver does not.

    energy: its name. method: the method with its options, as text. sources: the text of each file by name.
    data_hash: of everything bound to `data`, `const` and `param`. options: whatever else was resolved and can change
    a number (JSON values). observed_data: arrays kept with the draws. reason: why this method, one sentence.
    complete: whether all this decides the programs of the run, so that they may be kept under it.
    """

    energy: str
    method: str
    sources: Mapping[str, str] = field(default_factory=dict)
    data_hash: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    observed_data: Mapping[str, np.ndarray] = field(default_factory=dict)
    task: str = "sample"
    reason: str = ""
    complete: bool = False


def versions() -> dict[str, str]:
    """Of everything whose release can change a number."""
    from importlib.metadata import PackageNotFoundError, version

    def of(name: str) -> str:
        try:
            return version(name)
        except PackageNotFoundError:
            return "source"

    return {name: of(name) for name in ("energylang", "jax", "jaxlib", "blackjax", "diffrax")}


def closure(provenance: Provenance, options: Mapping[str, Any], width: int) -> dict[str, Any]:
    """All that the draws depend on, as JSON values: a checkpoint belongs to one closure."""
    import jax

    return {
        "task": provenance.task,
        "energy": provenance.energy,
        "method": provenance.method,
        "sources": {name: _hash(text.encode()) for name, text in sorted(provenance.sources.items())},
        "data": provenance.data_hash,
        "options": json.loads(json.dumps({**provenance.options, **options}, sort_keys=True, default=str)),
        "versions": versions(),
        "width": width,
        "platform": platform(),
        "device": jax.devices()[0].device_kind,
        "precision": "float64" if jax.config.read("jax_enable_x64") else "float32",
    }


ARGUMENTS = ("draws", "warmup", "chains", "seed", "keep_warmup")
"""Options that a program takes as arguments, or does not see."""


def program_closure(provenance: Provenance, options: Mapping[str, Any], width: int) -> dict[str, Any] | None:
    """All that the programs of a run depend on, as JSON values; None where that is not known."""
    if not provenance.complete:
        return None
    return closure(provenance, {name: value for name, value in options.items() if name not in ARGUMENTS}, width)


def closure_hash(closed: Mapping[str, Any]) -> str:
    return _hash(json.dumps(closed, sort_keys=True).encode())


def differences(was: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What differs between two closures, a phrase each."""
    found = []
    for key in sorted({*was, *now}):
        old, new = was.get(key), now.get(key)
        if old == new:
            continue
        if key == "data":
            found.append("the data differ")
        elif isinstance(old, Mapping) and isinstance(new, Mapping):
            for name in sorted({*old, *new}):
                if old.get(name) != new.get(name):
                    found.append(_phrase(key, name, old.get(name), new.get(name)))
        else:
            found.append(f"{key} was `{old}` and is `{new}`")
    return found


def _phrase(key: str, name: str, old: Any, new: Any) -> str:
    if key != "sources":
        return f"{name} was `{old}` and is `{new}`"
    if old is None:
        return f"`{name}` was not part of the model"
    return f"`{name}` is no longer part of the model" if new is None else f"the text of `{name}` differs"


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
