"""What graph files are called, and the options that stand behind their names; without numpy."""

from __future__ import annotations

import re
from pathlib import Path

EDGE_LISTS = (".txt", ".edges", ".edgelist")
DIMACS = (".col", ".clq", ".dimacs")
MATRIX_MARKET = (".mtx",)
SUFFIXES = (*EDGE_LISTS, *DIMACS, *MATRIX_MARKET)
TABLES = (".csv", ".tsv")
"""Tables, which are edge lists where an option says so."""

_OPTIONS = re.compile(r"(.*?)((?:,[A-Za-z_]+=[^,]*)+)", re.DOTALL)


def with_options(path: Path) -> tuple[Path, dict[str, str]]:
    """`graph.txt,base=1` taken apart: the file, and its options by name; a file that is there has none."""
    parts = _OPTIONS.fullmatch(str(path))
    if parts is None or path.exists():
        return path, {}
    settings = (setting.partition("=") for setting in parts[2][1:].split(","))
    return Path(parts[1]), {name.strip(): value.strip() for name, _, value in settings}


def is_graph(path: Path, options: dict[str, str]) -> bool:
    """Whether a file is read as a graph: by its suffix, or as a table with options."""
    suffix = path.suffix.lower()
    return suffix in SUFFIXES or (bool(options) and suffix in TABLES)
