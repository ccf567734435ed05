"""Files that ship with the language: the grammar, the standard library, the examples, the page of diagnostics."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

ResourceKind = Literal["grammar", "stdlib", "examples", "docs"]

_PACKAGE = Path(__file__).parent


def folder(kind: ResourceKind) -> Path:
    """The folder of a kind: inside an installed wheel, or at the repository's root for an editable install."""
    # The wheel is always unpacked, so the package's own path serves as `importlib.resources` would, without its
    # import, which costs more than parsing a model.
    installed = _PACKAGE / "_resources" / kind
    return installed if installed.is_dir() else _PACKAGE.parent / kind


def resource(kind: ResourceKind, name: str) -> Path:
    """The path of one resource. Raises `FileNotFoundError` where there is none of that name."""
    path = folder(kind) / name
    if Path(name).name != name or not path.is_file():
        raise FileNotFoundError(f"no {kind} resource is called {name}")
    return path


def names(kind: ResourceKind, suffix: str = ".energy") -> list[str]:
    """The names of a kind's resources, without their suffix, sorted."""
    place = folder(kind)
    return sorted(path.stem for path in place.glob(f"*{suffix}")) if place.is_dir() else []


def text(kind: ResourceKind, name: str) -> str:
    """The text of one resource."""
    return resource(kind, name).read_text(encoding="utf-8")
