"""What is allowed of data and seldom meant: edges from a node to itself, no edges, a graph in parts, one value to choose from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from energylang.diagnostics import Diagnostic
from energylang.graphs.graph import Graph, why_in_parts
from energylang.ir.nodes import Apply, Data, Expr, Let, Literal, Program, Reference, Variable, walk


def doubts(program: Program, values: Mapping[str, np.ndarray], dims: Mapping[str, int]) -> Iterator[Diagnostic]:
    """Warnings N0711 to N0714 of data in place, values by `Symbol.key`."""
    for data, variable in _edges(program).items():
        nodes = variable.space.shape[0]
        if data.key in values and nodes.names <= dims.keys():
            yield from _of_graph(data, variable, values[data.key], nodes.evaluate(dims))
    seen: set[str] = set()
    for energy in program.energies.values():
        for variable in energy.variables:
            number = variable.space.values
            if number is None or variable.name in seen or not number.names <= dims.keys() or number.evaluate(dims) != 1:
                continue
            seen.add(variable.name)
            yield Diagnostic(
                "N0714", f"`{variable.name}` is {variable.space}, which has one value: it is 0 in every draw", variable.span,
                fix="give it two values or more; or leave it out, and write 0 where it stands",
            )  # fmt: skip


def _edges(program: Program) -> dict[Data, Variable]:
    """The data whose two columns index one variable, such as `s[edges[:, 0]] * s[edges[:, 1]]`, with that variable."""
    columns: dict[tuple[Data, Variable], set[int]] = {}
    constraints = [
        part for c in program.constraints.values() for r in c.requirements for part in (r.violation, r.penalty)
    ]
    energies = [root for energy in program.energies.values() for root in energy.roots]
    for node in walk(*energies, *constraints):
        if not (isinstance(node, Apply) and node.operation == "index" and isinstance(node.arguments[0], Reference)):
            continue
        variable = node.arguments[0].symbol
        if isinstance(variable, Variable) and node.attributes[0] == ("at",):
            found = _column(node.arguments[1])
            if found is not None:
                columns.setdefault((found[0], variable), set()).add(found[1])
    return {data: variable for (data, variable), found in columns.items() if found >= {0, 1}}


def _column(place: Expr) -> tuple[Data, int] | None:
    """The data with two columns, and which of them, that an index is."""
    if isinstance(place, Reference) and isinstance(place.symbol, Let) and place.symbol.value is not None:
        place = place.symbol.value
    if not (isinstance(place, Apply) and place.operation == "index" and isinstance(place.arguments[0], Reference)):
        return None
    data, last = place.arguments[0].symbol, place.arguments[-1]
    if not isinstance(data, Data) or len(data.space.shape) != 2 or data.space.shape[1].constant != 2:
        return None
    if not isinstance(last, Literal) or place.attributes[-1] != ("at",) or len(place.attributes) != 2:
        return None
    return data, int(last.value)


def _of_graph(data: Data, variable: Variable, edges: np.ndarray, nodes: int) -> Iterator[Diagnostic]:
    """What is odd about edges, int[E, 2], of which the index check says whether they are in range."""
    if not len(edges):
        yield Diagnostic(
            "N0713", f"`{data.name}` has no edges", data.span, cause=f"nothing couples the entries of `{variable.name}`",
            fix="give at least one edge; independent entries need no graph",
        )  # fmt: skip
        return
    edges = np.where(edges < 0, edges + nodes, edges)
    if ((edges < 0) | (edges >= nodes)).any():
        return
    loops = np.flatnonzero(edges[:, 0] == edges[:, 1])
    if len(loops):
        more = f", and {len(loops) - 1:,} more do" if len(loops) > 1 else ""
        yield Diagnostic(
            "N0712", f"`{data.name}[{loops[0]}]` joins node {edges[loops[0], 0]} with itself{more}", data.span,
            cause="a term of one entry with itself couples nothing; what it adds is a constant or a field",
            fix=f"leave such rows out; in Python, `energylang.graphs.from_edges({data.name}, simplify = True).edges` does",
        )  # fmt: skip
    graph = Graph(nodes, edges)
    if (parts := graph.parts) > 1:
        yield Diagnostic(
            "N0711", f"the graph of `{data.name}` falls into {parts:,} parts", data.span, cause=why_in_parts(graph),
            fix="right where it is meant; else look whether nodes are counted from 0, and how many there are",
        )  # fmt: skip
