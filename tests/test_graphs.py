"""Graphs as data: every format, every mistake, networkx, and the generators against networkx and brute force."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import networkx as nx
import numpy as np
import pytest

import energylang as el
from energylang import graphs
from energylang.datafiles import from_arguments
from energylang.diagnostics import DiagnosticError, Diagnostics
from energylang.graphs import Graph

RANKS = {"n": 0, "edges": 2, "weights": 1}
MAX_CUT = Path(__file__).parents[1] / "examples" / "targets" / "max_cut.energy"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def read(text: str, name: str, options: str = "", ranks: dict[str, int] = RANKS):
    """What `--data` gives for a file of this text: values as lists, and (code, message, cause, fix) of findings."""
    Path(name).write_text(text)
    diagnostics = Diagnostics()
    values = from_arguments([name + options], ranks, diagnostics)
    found = [(d.code, d.message, d.cause, d.fix) for d in diagnostics.found]
    return {key: np.asarray(value).tolist() for key, value in values.items()}, found


def failure(text: str, name: str, options: str = "") -> tuple[str, str, str]:
    """Code, message and fix of the one error."""
    values, found = read(text, name, options)
    assert values == {}
    ((code, message, _, fix),) = found
    assert fix
    return code, message, fix


# --- formats --------------------------------------------------------------------------------------------------------

PATH = [[0, 1], [1, 2], [2, 3]]
SAME = {
    "spaces.edges": "# a path\n0 1\n1 2\n\n2   3\n",
    "commas.txt": "0,1\n1,2\n2,3\n",
    "directive.txt": "% base: 1\n1 2\n2 3\n3 4\n",
    "names.edgelist": "source target\n0\t1\n1\t2\n2\t3\n",
    "a.col": "c a path\np edge 4 3\ne 1 2\ne 2 3\ne 3 4\n",
    "both_ways.clq": "p col 4 3\ne 1 2\ne 2 3\ne 3 4\ne 2 1\ne 3 2\ne 4 3\n",
    "both_ways_counted.dimacs": "p edge 4 6\ne 1 2\ne 2 1\ne 2 3\ne 3 2\ne 3 4\ne 4 3\n",
    "symmetric.mtx": "%%MatrixMarket matrix coordinate pattern symmetric\n% a path\n4 4 3\n1 2\n2 3\n3 4\n",
    "general.mtx": "%%MatrixMarket matrix coordinate pattern general\n4 4 6\n1 2\n2 3\n3 4\n2 1\n3 2\n4 3\n",
}


@pytest.mark.parametrize("name", SAME)
def test_a_path_in_every_format(name):
    values, found = read(SAME[name], name)
    assert found == []
    assert values == {"n": 4, "edges": PATH, "weights": [1.0, 1.0, 1.0]}


WEIGHTED = {
    "w.txt": "0 1 2.5\n1 2 -1\n",
    "w.mtx": "%%MatrixMarket matrix coordinate real symmetric\n3 3 2\n1 2 2.5\n2 3 -1\n",
    "g_set.txt": "# base: 1\n3 2\n1 2 2.5\n2 3 -1\n",
    "w.col": "p edge 3 2\ne 1 2 2.5\ne 2 3 -1\n",
}


@pytest.mark.parametrize("name", WEIGHTED)
def test_weights(name):
    values, found = read(WEIGHTED[name], name)
    assert (values, found) == ({"n": 3, "edges": [[0, 1], [1, 2]], "weights": [2.5, -1.0]}, [])
    _, found = read(WEIGHTED[name], name, ranks={"n": 0, "edges": 2})
    assert [code for code, *_ in found] == ["N0701"]


def test_options():
    assert read("1 2\n2 3\n", "g.txt", ",base=1")[0]["edges"] == [[0, 1], [1, 2]]
    values, found = read("1 2\n2 3\n", "g.txt", ",base=0")
    assert values["n"] == 4
    assert [(code, cause) for code, _, cause, _ in found] == [("N0711", "node 0 has no edge")]
    assert read("0 1\n", "g.txt", ",nodes=2")[0]["n"] == 2
    assert read("0,1,2\n1,2,3\n", "t.csv", ",base=0")[0]["weights"] == [2.0, 3.0]
    values, found = read("0 0\n0 1\n1 0\n0 1\n", "g.txt", ",simplify=true,base=0")
    assert (values["edges"], values["n"], found) == ([[0, 1]], 2, [])


def test_a_file_whose_name_looks_like_options():
    assert read("0 1\n", "g,base=1.txt")[0]["edges"] == [[0, 1]]


def test_one_name_of_a_graph_by_its_axes():
    Path("g.mtx").write_text(WEIGHTED["w.mtx"])
    diagnostics = Diagnostics()
    ranks = {"friends": 2, "strength": 1, "people": 0}
    values = from_arguments([f"{name}=g.mtx" for name in ranks], ranks, diagnostics)
    assert diagnostics.found == []
    assert values["friends"].tolist() == [[0, 1], [1, 2]]
    assert (values["strength"].tolist(), values["people"]) == ([2.5, -1.0], 3)


def test_a_model_beside_its_graph(folder):
    Path("g.edges").write_text("0 1\n1 2\n2 0\n")
    source = 'data n: int from "g.edges"\ndata edges: cat(n)[E, 2] from "g.edges"\n'
    (folder / "m.energy").write_text(source + "energy e(s: spin[n]) = sum(s[edges[:, 0]] * s[edges[:, 1]])\n")
    assert float(el.load(folder / "m.energy")["e"](s=[1, 1, -1])) == -1


def test_the_command_line(folder, capsys):
    from energylang.cli.main import main

    Path("g.txt").write_text("1 2\n2 3\n3 1\n")
    with pytest.raises(SystemExit) as stopped:
        main(["explain", str(MAX_CUT), "--data", "g.txt"])
    assert stopped.value.code == 3
    assert "E0716" in capsys.readouterr().err
    with pytest.raises(SystemExit) as stopped:
        main(["explain", str(MAX_CUT), "--data", "g.txt,base=1"])
    assert not stopped.value.code
    assert "where n = 3, E = 3" in capsys.readouterr().out


# --- what is wrong --------------------------------------------------------------------------------------------------

WRONG = {
    "node out of range": ("a.txt", "# nodes: 3\n0 1\n1 3\n", "", "E0711", "line 3 of `a.txt` has node 3, and there are 3 nodes, 0 to 2", "mend the edge"),
    "counted from 1": ("a.txt", "# nodes: 3\n# base: 0\n1 2\n2 3\n", "", "E0711", "has node 3", "`--data a.txt,base=1` where nodes are counted from 1"),
    "node 0 counted from 1": ("a.txt", "0 1\n1 2\n", ",base=1", "E0711", "line 1 of `a.txt` has node 0, and there are 2 nodes, 1 to 2", "base=0"),
    "DIMACS out of range": ("a.col", "p edge 3 2\ne 1 2\ne 2 4\n", "", "E0711", "line 3 of `a.col` has node 4, and there are 3 nodes, 1 to 3", "mend"),
    "DIMACS from 0": ("a.col", "p edge 3 2\ne 0 1\ne 1 2\n", "", "E0711", "line 2 of `a.col` has node 0", "mend"),
    "self-loop": ("a.txt", "0 1\n1 1\n", "", "E0712", "line 2 of `a.txt` joins node 1 with itself", "simplify=true"),
    "self-loop of a matrix": ("a.mtx", "%%MatrixMarket matrix coordinate real symmetric\n2 2 2\n2 2 1\n2 1 1\n", "", "E0712", "line 3 of `a.mtx` joins node 2 with", "simplify=true"),
    "only self-loops": ("a.txt", "0 0\n", ",simplify=true", "E0715", "no edges but self-loops", "give"),
    "twice": ("a.txt", "0 1\n1 2\n1 0\n", "", "E0713", "line 3 of `a.txt` joins 1 and 0 again, after line 1", "simplify=true"),
    "both ways, other weights": ("a.txt", "0 1 1\n1 0 2\n", "", "E0713", "again", "delete"),
    "header of edges": ("a.col", "p edge 4 9\ne 1 2\n", "", "E0714", "says 9 edges in its line `p`, and there are 1", "again"),
    "header of a matrix": ("a.mtx", "%%MatrixMarket matrix coordinate pattern symmetric\n3 3 3\n2 1\n", "", "E0714", "says 3 edges in its header, and there are 1", "again"),
    "header of the G-set": ("a.txt", "3 3\n1 2 1\n", ",base=1", "E0714", "says 3 edges in its first line", "again"),
    "nodes against the header": ("a.col", "p edge 2 1\ne 1 2\n", ",nodes=3", "E0714", "says 2 nodes, and `nodes` is 3", "leave"),
    "not square": ("a.mtx", "%%MatrixMarket matrix coordinate pattern general\n3 4 1\n1 2\n", "", "E0714", "3 by 4", "adjacency"),
    "empty": ("a.txt", "# nothing\n", "", "E0715", "no edges", "give"),
    "no base": ("a.txt", "1 2\n2 3\n", "", "E0716", "no node 0", "a.txt,base=1"),
    "another base": ("a.txt", "1 2\n", ",base=2", "E0717", "`base = 2`", "0 or 1"),
    "no such option": ("a.txt", "1 2\n", ",first=1", "E0717", "`first=1` is no option", "simplify=true"),
    "two bases": ("a.txt", "# base: 1\n1 2\n", ",base=0", "E0717", "says `base: 1`, and `base=0` was given", "leave"),
    "DIMACS with a base": ("a.col", "p edge 2 1\ne 1 2\n", ",base=0", "E0717", "counts its nodes from 1", "leave"),
    "options of JSON": ("a.json", "{}", ",base=1", "E0707", "cannot read the data file `a.json`", "leave it away"),
    "names": ("a.txt", "anna ben\nben carl\n", "", "E0707", "line 2 of `a.txt` is no edge: `ben carl`", "from_networkx"),
    "one column": ("a.txt", "0 1\n2\n", "", "E0707", "line 2 of `a.txt` has 1 fields", "mend"),
    "some weights": ("a.txt", "0 1 2\n1 2\n", "", "E0707", "line 2 of `a.txt` has 2 fields, and the edges before it have 3", "every"),
    "no line p": ("a.col", "e 1 2\n", "", "E0707", "has no line `p edge NODES EDGES`", "add it"),
    "a bad line p": ("a.col", "p edge four 2\n", "", "E0707", "line 1 of `a.col` is no header", "write"),
    "weights of nodes": ("a.clq", "p col 2 1\nn 1 4\ne 1 2\n", "", "E0707", "weighs a node", "delete"),
    "not DIMACS": ("a.col", "p edge 2 1\n1 2\n", "", "E0707", "line 2 of `a.col` is not DIMACS", "edges"),
    "not Matrix Market": ("a.mtx", "1 2\n", "", "E0707", "not Matrix Market", "edges"),
    "a dense matrix": ("a.mtx", "%%MatrixMarket matrix array real general\n1 1\n1\n", "", "E0707", "`array real general`", "sparse"),
    "a short entry": ("a.mtx", "%%MatrixMarket matrix coordinate real symmetric\n2 2 1\n2 1\n", "", "E0707", "line 3 of `a.mtx` has 2 fields", "mend"),
    "no sizes": ("a.mtx", "%%MatrixMarket matrix coordinate real symmetric\n", "", "E0707", "no line `ROWS COLUMNS ENTRIES`", "again"),
    "bad sizes": ("a.mtx", "%%MatrixMarket matrix coordinate real symmetric\n2 2\n", "", "E0707", "no header", "write"),
    "not text": ("a.txt", "0 \x00\n", "", "E0707", "no edge", "number"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_said(case):
    name, text, options, code, message, fix = WRONG[case]
    found = failure(text, name, options)
    assert found[0] == code
    assert message in found[1]
    assert fix in found[2]


def test_a_file_that_is_not_there():
    diagnostics = Diagnostics()
    from_arguments(["nowhere.txt,base=1"], RANKS, diagnostics)
    ((code, cause),) = [(d.code, d.cause) for d in diagnostics.found]
    assert (code, cause) == ("E0707", "there is no such file")


def test_what_the_fixes_say_works():
    assert read("0 1\n1 1\n0 1\n", "g.txt", ",simplify=true")[1] == []
    assert read("# nodes: 3\n1 2\n2 3\n", "g.txt", ",base=1")[1] == []


def test_a_graph_in_parts_is_a_warning():
    values, found = read("p edge 7 3\ne 1 2\ne 2 3\ne 5 6\n", "g.col")
    assert values["n"] == 7
    ((code, message, cause, fix),) = found
    assert code == "N0711"
    assert "falls into 4 parts" in message
    assert cause == "nodes 3, 6 (counted from 0) have no edge"
    assert "base" in fix
    assert read("0 1\n2 3\n", "g.txt")[1][0][2] == "no path leads from one to another"


def test_a_node_out_of_range_in_arrays():
    with pytest.raises(DiagnosticError, match=r"E0704.*edges\[0, 1\]"):
        el.load(MAX_CUT, data={"n": 3, "edges": [[0, 3]], "weights": [1]})


# --- Python ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("edges", [[[0, 1, 2]], [[0.5, 1]], "abc", [["a", "b"]], [[0, 1], [2]], [0, 1], 3])
def test_what_is_no_array_of_edges(edges):
    with pytest.raises(DiagnosticError, match="E0711") as stopped:
        graphs.from_edges(edges, 3)
    assert "int[E, 2]" in stopped.value.diagnostics[0].fix


def test_a_weight_for_each_edge():
    with pytest.raises(DiagnosticError, match=r"E0711.*2 edges.*shape \(1,\)"):
        graphs.from_edges([[0, 1], [1, 2]], 3, [1.0])
    with pytest.raises(DiagnosticError, match=r"E0707.*nowhere"):
        graphs.read("nowhere.mtx")


def test_networkx_graphs():
    graph = nx.Graph([("a", "b", {"weight": 2.0}), ("b", "c")])
    found = graphs.from_networkx(graph)
    assert (found.n, found.edges.tolist(), found.weights.tolist()) == (3, [[0, 1], [1, 2]], [2.0, 1.0])
    assert graphs.edges_of(nx.petersen_graph()).shape == (15, 2)
    for bad, code in (
        (nx.DiGraph([(0, 1)]), "E0718"),
        (nx.Graph([(0, 0), (0, 1)]), "E0712"),
        (nx.MultiGraph([(0, 1), (0, 1)]), "E0713"),
        (nx.empty_graph(3), "E0715"),
    ):
        with pytest.raises(DiagnosticError, match=code):
            graphs.from_networkx(bad)


def test_a_graph_is_data():
    """The energy of every cut of a random graph is networkx's."""
    graph = nx.gnp_random_graph(8, 0.4, seed=3)
    energy = el.load(MAX_CUT, data=graphs.from_networkx(graph))["cut"]
    for side in ({0, 1}, {0, 3, 5, 7}):
        s = [1 if v in side else -1 for v in range(8)]
        assert float(energy(s=s)) == -nx.cut_size(graph, side)


@pytest.mark.parametrize(
    "make",
    [
        lambda seed: graphs.erdos_renyi(60, 0.2, seed),
        lambda seed: graphs.barabasi_albert(60, 4, seed),
        lambda seed: graphs.model_rb(8, 0.7, 1.0, 0.4, seed),
        lambda seed: graphs.torus((3, 4, 5), signs=True, seed=seed),
    ],
)
def test_seeds(make):
    first, again, other = make(1), make(1), make(2)
    assert np.array_equal(first.edges, again.edges)
    same = np.array_equal(first.edges, other.edges)
    assert not same if first.weights is None else not np.array_equal(first.weights, other.weights)
    assert first.parts == 1
    assert len({frozenset(map(int, edge)) for edge in first.edges}) == len(first.edges)


def test_sizes_of_random_graphs():
    assert len(graphs.barabasi_albert(100, 4).edges) == 96 * 4
    count = len(graphs.erdos_renyi(400, 0.15, seed=5).edges)
    mean, deviation = 0.15 * 79_800, np.sqrt(79_800 * 0.15 * 0.85)
    assert abs(count - mean) < 5 * deviation


def test_a_torus_is_the_lattice():
    """The same energy as the Ising model of the library on the same torus."""
    text = "import graphs\nimport lattices\ndata n: int\ndata edges: cat(n)[E, 2]\ndata weights: real[E]\n"
    text += "energy a(s: spin[n]) = graphs.spin_glass(s, edges, weights)\n"
    text += "energy b(s: spin[3, 4, 5]) = lattices.ising_torus_3d(s, 1)\n"
    model = el.compile(text, data=graphs.torus((3, 4, 5)))
    s = np.random.default_rng(0).choice([-1, 1], 60)
    assert float(model["a"](s=s)) == float(model["b"](s=s.reshape(3, 4, 5)))
    assert set(graphs.torus((5, 5, 5), signs=True).weights) == {-1.0, 1.0}


def test_model_rb():
    """A satisfiable instance has an independent set of n nodes, and none larger; the complement has the clique."""
    graph = graphs.model_rb(6, 0.8, 0.8, 0.3, seed=0)
    d = round(6**0.8)
    assert graph.n == 6 * d
    there = {frozenset(map(int, edge)) for edge in graph.edges}
    assert all(frozenset((d * v + a, d * v + b)) in there for v in range(6) for a, b in combinations(range(d), 2))
    clique, size = nx.max_weight_clique(nx.Graph(graph.complement().edges.tolist()), weight=None)
    assert size == 6
    assert not any(frozenset(pair) in there for pair in combinations(clique, 2))
    conflicts = round(0.8 * 6 * np.log(6))
    assert len(graph.edges) <= 6 * d * (d - 1) // 2 + conflicts * round(0.3 * d * d)


def test_graphs_that_are_none():
    for make in (
        lambda: graphs.erdos_renyi(1, 0.5),
        lambda: graphs.erdos_renyi(5, 1.5),
        lambda: graphs.barabasi_albert(4, 4),
        lambda: graphs.torus((2, 3)),
        lambda: graphs.model_rb(3, 1.0, 1.0, 1.5),
    ):
        with pytest.raises(DiagnosticError, match="E0718"):
            make()


def test_reading_from_python():
    Path("g.txt").write_text("1 2\n2 3\n3 3\n")
    found = graphs.read("g.txt", base=1, nodes=5, simplify=True)
    assert isinstance(found, Graph)
    assert (found.n, found.edges.tolist(), found.parts, found.isolated) == (5, [[0, 1], [1, 2]], 3, [3, 4])
    assert repr(found) == "Graph(5 nodes, 2 edges)"
    assert el.load(MAX_CUT, data="g.txt,base=1,simplify=true").data["n"] == 3
