"""Graphs as data: files, networkx graphs, and generators of the graphs that samplers and optimisers are measured on.

A `Graph` is data of a model: `energylang.load("max_cut.energy", data = erdos_renyi(800, 0.15, seed = 0))` fills those of
`n`, `edges` and `weights` that the model declares. `data edges: cat(n)[E, 2]` has a row for each edge, counted from 0.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from energylang.graphs.files import read
    from energylang.graphs.generators import barabasi_albert, edges_of, erdos_renyi, from_networkx, model_rb, torus
    from energylang.graphs.graph import Graph, from_edges

__all__ = [
    "Graph", "barabasi_albert", "edges_of", "erdos_renyi", "from_edges", "from_networkx", "model_rb", "read", "torus",
]  # fmt: skip

_PLACES = {"Graph": "graph", "from_edges": "graph", "read": "files"}


def __getattr__(name: str) -> Any:
    # The names of graph files are asked for before numpy is needed.
    if name not in __all__:
        raise AttributeError(f"module 'energylang.graphs' has no attribute {name!r}")
    return getattr(import_module(f"energylang.graphs.{_PLACES.get(name, 'generators')}"), name)
