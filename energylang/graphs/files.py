"""Graph files: edge lists, DIMACS and Matrix Market. Where counting begins is said by the format, the file or the caller,
and never guessed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from energylang.graphs.formats import DIMACS, MATRIX_MARKET
from energylang.graphs.graph import Graph, Wording, fail, from_edges

_DIRECTIVE = re.compile(r"[#%]\s*(base|nodes)\s*[:=]?\s*(\d+)\s*", re.IGNORECASE)
_SEPARATORS = re.compile(r"[\s,;]+")


@dataclass
class _Lines:
    """Edges as they stand in a file, by its own numbers, with their lines."""

    name: str
    ends: list[tuple[int, int]] = field(default_factory=list)
    weights: list[float] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)

    def add(self, number: int, words: list[str]) -> None:
        """An edge from the words of a line: two nodes, and a weight or not."""
        if len(words) not in (2, 3):
            fail(
                "E0707", f"{self.place(number)} has {len(words)} fields", cause="an edge is two nodes, and a weight or not",
                fix="mend the line; comments start with `#` or `%`",
            )  # fmt: skip
        if self.ends and (len(words) == 3) != bool(self.weights):
            fail(
                "E0707", f"{self.place(number)} has {len(words)} fields, and the edges before it have {5 - len(words)}",
                fix="give every edge a weight, or none",
            )  # fmt: skip
        try:
            self.ends.append((int(words[0]), int(words[1])))
            if len(words) == 3:
                self.weights.append(float(words[2]))
        except ValueError:
            fail(
                "E0707", f"{self.place(number)} is no edge: `{' '.join(words)[:40]}`", cause="nodes are whole numbers, weights are numbers",
                fix="number the nodes; for graphs with names, `energylang.graphs.from_networkx` does",
            )  # fmt: skip
        self.numbers.append(number)

    def place(self, number: int) -> str:
        return f"line {number} of `{self.name}`"

    def graph(self, base: int, nodes: int | None, simplify: bool, other_base: str = "") -> Graph:
        wording = Wording(
            lambda row: self.place(self.numbers[row]),
            f"`--data {self.name},simplify=true` leaves it out",
            base,
            other_base,
        )
        edges = np.array(self.ends, dtype=np.int64).reshape(-1, 2) - base
        return from_edges(edges, nodes, self.weights or None, simplify=simplify, wording=wording)


def read(path: str | Path, *, base: int | None = None, nodes: int | None = None, simplify: bool = False) -> Graph:
    """The graph in a file: an edge list (.txt, .edges, .edgelist, .csv, .tsv), DIMACS (.col, .clq, .dimacs) or Matrix Market (.mtx).

    base: what an edge list calls its first node, 0 or 1; a line `# base: 1` of the file says it too, and a file with a
    node 0 counts from 0. nodes: how many there are; the largest decides where neither this nor the file does.
    simplify: leave out self-loops, and edges that are there again. Raises DiagnosticError E0707, E0711 to E0717.
    """
    path = Path(path)
    if base not in (None, 0, 1) or (nodes is not None and nodes < 1):
        what = f"`base = {base}`: nodes are counted from 0 or 1" if base not in (None, 0, 1) else f"`nodes = {nodes}`"
        fail("E0717", what, fix="`base` is 0 or 1, `nodes` at least 1")
    suffix = path.suffix.lower()
    if base == 0 and suffix in (*DIMACS, *MATRIX_MARKET):
        fail(
            "E0717", f"`{path}` counts its nodes from 1, and `base = 0` says otherwise",
            cause="DIMACS and Matrix Market say so", fix="leave `base` away, or rename an edge list to end in `.edges`",
        )  # fmt: skip
    if not path.exists():
        fail("E0707", f"cannot read the graph file `{path}`", cause="there is no such file", fix="check the path")
    with path.open(encoding="utf-8-sig") as file:
        lines = enumerate(map(str.strip, file), 1)
        if suffix in DIMACS:
            return _dimacs(path, lines, nodes, simplify)
        if suffix in MATRIX_MARKET:
            return _matrix_market(path, lines, nodes, simplify)
        return _edge_list(path, lines, base, nodes, simplify)


Lines = Iterator[tuple[int, str]]


def _edge_list(path: Path, lines: Lines, base: int | None, nodes: int | None, simplify: bool) -> Graph:
    found = _Lines(str(path))
    stated: dict[str, int] = {}
    first: tuple[int, list[str]] | None = None
    counts: tuple[int, int] | None = None
    for number, line in lines:
        if not line or line[0] in "#%":
            if (directive := _DIRECTIVE.fullmatch(line)) is not None:
                stated[directive[1].lower()] = int(directive[2])
            continue
        words = _SEPARATORS.split(line.strip(",;"))
        if first is None:
            first = number, words
            if all(_number(word) is None for word in words):
                continue  # A line of column names.
        elif found.numbers == [first[0]] and len(words) == 3 and len(first[1]) == 2:
            # Two numbers above lines of three: how many nodes and edges there are, as in the G-set.
            counts = found.ends[0]
            found = _Lines(str(path))
        found.add(number, words)
    for name, given in (("base", base), ("nodes", nodes)):
        if given is not None and name in stated and stated[name] != given:
            fail(
                "E0717", f"`{path}` says `{name}: {stated[name]}`, and `{name}={given}` was given",
                fix=f"leave `{name}` away, or mend the file",
            )  # fmt: skip
    base, nodes = stated.get("base", base), stated.get("nodes", nodes)
    if base not in (None, 0, 1):
        fail("E0717", f"`{path}` says `base: {base}`", fix="nodes are counted from 0 or 1")
    if counts is not None:
        _check_count(path, counts[1], len(found.ends), "its first line")
        if nodes is not None and nodes != counts[0]:
            fail(
                "E0714",
                f"`{path}` says {counts[0]} nodes in its first line, and `nodes` is {nodes}",
                fix="leave `nodes` away",
            )
        nodes = counts[0]
    smallest = min((min(ends) for ends in found.ends), default=0)
    if base is None and smallest > 0:
        fail(
            "E0716", f"`{path}` has no node 0: it counts from 1, or node 0 has no edge",
            cause=f"its smallest node is {smallest}",
            fix=f"say which: `--data {path},base=1` or `base=0`, or a first line `# base: 1` in the file",
        )  # fmt: skip
    base = base or 0
    other = f"`--data {path},base={1 - base}` where nodes are counted from {1 - base}; else mend the edge or the number of nodes"
    return found.graph(base, nodes, simplify, other)


def _dimacs(path: Path, lines: Lines, nodes: int | None, simplify: bool) -> Graph:
    found = _Lines(str(path))
    header: tuple[int, int] | None = None
    for number, line in lines:
        words = line.split()
        if not words or words[0] in ("c", "d", "v", "x"):
            continue  # Comments, and coordinates of geometric graphs.
        if words[0] == "p":
            if len(words) != 4 or words[1] not in ("edge", "edges", "col") or not all(w.isdigit() for w in words[2:]):
                fail("E0707", f"{found.place(number)} is no header: `{line[:40]}`", fix="write `p edge NODES EDGES`")
            header = int(words[2]), int(words[3])
        elif words[0] in ("e", "a"):
            found.add(number, words[1:])
        elif words[0] == "n":
            fail(
                "E0707", f"{found.place(number)} weighs a node, and graphs have weights of edges alone",
                fix="delete the lines that begin with `n`, and give the weights as data of their own",
            )  # fmt: skip
        else:
            fail(
                "E0707", f"{found.place(number)} is not DIMACS: `{line[:40]}`", cause="lines begin with `c`, `p` or `e`",
                fix="name an edge list `.edges`",
            )  # fmt: skip
    if header is None:
        fail("E0707", f"`{path}` has no line `p edge NODES EDGES`", fix="add it, or name an edge list `.edges`")
    if nodes is not None and nodes != header[0]:
        fail("E0714", f"`{path}` says {header[0]} nodes, and `nodes` is {nodes}", fix="leave `nodes` away")
    # Some files list every edge in both directions and count them once.
    if len(found.ends) != 2 * header[1]:
        _check_count(path, header[1], len(found.ends), "its line `p`")
    graph = found.graph(1, header[0], simplify)
    if len(found.ends) != header[1]:
        _check_count(path, header[1], len(graph.edges), "its line `p`")
    return graph


def _matrix_market(path: Path, lines: Lines, nodes: int | None, simplify: bool) -> Graph:
    found = _Lines(str(path))
    _, banner = next(lines, (1, ""))
    words = banner.lower().split()
    if words[:2] != ["%%matrixmarket", "matrix"] or len(words) != 5:
        fail(
            "E0707",
            f"`{path}` is not Matrix Market",
            cause=f"it begins with `{banner[:40]}`",
            fix="name an edge list `.edges`",
        )
    _, _, layout, kind, symmetry = words
    if layout != "coordinate" or kind not in ("real", "integer", "pattern") or symmetry not in ("symmetric", "general"):
        fail(
            "E0707", f"`{path}` is `{layout} {kind} {symmetry}`, and a graph is `coordinate`, `real`, `integer` or `pattern`, and `symmetric` or `general`",
            fix="write it again as a sparse real matrix",
        )  # fmt: skip
    header: list[int] | None = None
    for number, line in lines:
        if not line or line[0] == "%":
            continue
        words = line.split()
        if header is None:
            if len(words) != 3 or not all(w.isdigit() for w in words):
                fail("E0707", f"{found.place(number)} is no header: `{line[:40]}`", fix="write `ROWS COLUMNS ENTRIES`")
            header = [int(w) for w in words]
            if header[0] != header[1]:
                fail(
                    "E0714",
                    f"`{path}` is {header[0]} by {header[1]}",
                    cause="a graph is a square matrix",
                    fix="give its adjacency matrix",
                )
            continue
        if len(words) != (2 if kind == "pattern" else 3):
            fail(
                "E0707",
                f"{found.place(number)} has {len(words)} fields",
                cause=f"entries of `{kind}` have {2 if kind == 'pattern' else 3}",
                fix="mend the line",
            )
        found.add(number, words)
    if header is None:
        fail("E0707", f"`{path}` has no line `ROWS COLUMNS ENTRIES`", fix="write it again")
    _check_count(path, header[2], len(found.ends), "its header")
    if nodes is not None and nodes != header[0]:
        fail("E0714", f"`{path}` says {header[0]} nodes, and `nodes` is {nodes}", fix="leave `nodes` away")
    return found.graph(1, header[0], simplify)


def _check_count(path: Path, said: int, there: int, where: str) -> None:
    if said != there:
        fail(
            "E0714", f"`{path}` says {said:,} edges in {where}, and there are {there:,}",
            cause="it is cut off, or was edited", fix="get it again, or mend the count",
        )  # fmt: skip


def _number(word: str) -> float | None:
    try:
        return float(word)
    except ValueError:
        return None


def read_with(path: Path, options: Mapping[str, str]) -> Graph:
    """`read` with options as text. Raises DiagnosticError E0717 for those that are not there, and as `read`."""
    given: dict[str, Any] = {}
    for name, value in options.items():
        if name in ("base", "nodes") and value.isdigit():
            given[name] = int(value)
        elif name == "simplify" and value in ("true", "false"):
            given[name] = value == "true"
        else:
            fail(
                "E0717", f"`{name}={value}` is no option of a graph file",
                fix="the options are `base=0` or `base=1`, `nodes=N` and `simplify=true`",
            )  # fmt: skip
    return read(path, **given)
