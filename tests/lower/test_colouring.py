"""Colours of many sites at once, against networkx and against the loop over sites."""

from __future__ import annotations

from copy import copy
from dataclasses import replace

import networkx as nx
import numpy as np
import pytest

from energylang.lower import colouring

GRAPHS = {
    "even torus": nx.grid_2d_graph(6, 8, periodic=True),
    "odd torus": nx.grid_2d_graph(5, 7, periodic=True),
    "tree": nx.random_labeled_tree(200, seed=1),
    "sparse": nx.fast_gnp_random_graph(300, 0.02, seed=1),
    "dense": nx.fast_gnp_random_graph(60, 0.5, seed=1),
    "hubs": nx.barabasi_albert_graph(300, 4, seed=1),
    "complete": nx.complete_graph(70),
    "no edges": nx.empty_graph(5),
}


def pairs(name: str) -> tuple[np.ndarray, int]:
    graph = nx.convert_node_labels_to_integers(GRAPHS[name])
    return np.sort(np.array(graph.edges, np.int64).reshape(-1, 2), axis=1), len(graph)


@pytest.mark.parametrize("name", GRAPHS)
def test_two_colours_where_they_are_enough(name):
    edges, total = pairs(name)
    found = colouring._two_colours(edges, total)
    assert (found is not None) == nx.is_bipartite(GRAPHS[name])
    if found is not None:
        assert set(found.tolist()) <= {0, 1}
        assert (found[edges[:, 0]] != found[edges[:, 1]]).all()


@pytest.mark.parametrize("name", GRAPHS)
def test_rounds(name):
    """Neighbours differ, and a site of degree d has a colour of at most d: none is left out below it."""
    edges, total = pairs(name)
    found = colouring._rounds(edges, total)
    assert (found[edges[:, 0]] != found[edges[:, 1]]).all()
    assert (found <= np.bincount(edges.ravel(), minlength=total)).all()
    for site, mine in enumerate(found):
        around = found[np.concatenate([edges[edges[:, 0] == site, 1], edges[edges[:, 1] == site, 0]])]
        assert set(range(mine)) <= set(around.tolist())


def test_many_sites_are_coloured_as_few_are():
    """A torus of more sites than the loop is used for: two colours, found at once."""
    import energylang as el

    text = "import lattices\nenergy e(s: spin[{0}, {0}]) = lattices.ising_torus(s, 1)\n"
    side = int(np.sqrt(colouring.MANY)) + 2
    assert el.compile(text.format(side))["e"].compiled.program.facts.colours == 2
    assert 3 <= el.compile(text.format(side + 1))["e"].compiled.program.facts.colours <= 5


def test_distinct():
    generator = np.random.default_rng(0)
    for size in (0, 1, 50):
        codes = generator.integers(0, 20, size)
        assert np.array_equal(colouring._distinct(codes), np.unique(codes))


def test_layers():
    alternating, halves = np.array([0, 1, 0, 1]), np.array([1, 1, 0, 0])
    assert colouring.layers([halves], 2) == (((2, 4),), ((0, 2),))
    assert colouring.layers([halves, np.array([1])], 2) == (((2, 4), (0, 0)), ((0, 2), (0, 1)))
    assert colouring.layers([alternating], 2) == ()
    assert colouring.layers([np.arange(9)], 9) == ()


def test_a_sweep_by_layers_draws_what_one_by_colours_draws():
    import jax
    import jax.numpy as jnp

    import energylang as el
    from energylang.methods.gibbs import Gibbs
    from energylang.model import Point

    text = "data W: real[5, 3]\nenergy e(v: binary[5], h: binary[3]) = dot(v, W @ h)\n"
    model = el.compile(text, data={"W": np.random.default_rng(1).normal(size=(5, 3))})
    by_layers = model["e"].target()
    assert by_layers.facts.layers == (((0, 5),), ((5, 8),))
    program = copy(by_layers.program)
    program.facts = replace(program.facts, layers=())
    start = Point(jnp.zeros(0), (jnp.zeros(8, jnp.int32),))

    @jax.jit
    def swept(target, key):
        kernel = Gibbs()
        return kernel.step(target, (), kernel.init(target, start, key), key)[0].x.code[0]

    keys = jax.random.split(jax.random.key(0), 64)
    found, expected = (
        jax.vmap(swept, (None, 0))(target, keys) for target in (by_layers, replace(by_layers, program=program))
    )
    assert found.std() > 0
    assert np.array_equal(found, expected)
