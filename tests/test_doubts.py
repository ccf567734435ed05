"""Data that are allowed and seldom meant: graphs as plain arrays, and variables of one value; from Python and by the command line."""

from __future__ import annotations

import numpy as np
import pytest

import energylang
from energylang.cli.main import main
from energylang.graphs import from_edges

GRAPH = """
data n: int
data edges: cat(n)[E, 2]
energy pairs(s: spin[n]) = -sum(s[edges[:, 0]] * s[edges[:, 1]])
"""
LOOP = """
data n: int
data edges: cat(n)[E, 2]
energy pairs(s: spin[n]) = -sum(for e in edges: s[e[0]] * s[e[1]])
"""
LET = """
data n: int
data edges: cat(n)[E, 2]
let first = edges[:, 0]
energy size(x: binary[n]) = -sum(x)
constraint apart(x: binary[n]) = x[first] + x[edges[:, 1]] <= 1
"""
RATERS = """
data n: int
data edges: cat(n)[E, 2]
energy ratings(p: simplex[n]) {
  edges ~ categorical(p)
}
"""
LOOPED = [[0, 1], [1, 2], [2, 2], [2, 3]]


def said(source: str, edges: object, n: int = 4) -> list[tuple[str, str, str]]:
    with pytest.warns(energylang.EnergyWarning) as caught:
        model = energylang.compile(source, data={"n": n, "edges": edges})
    assert [str(w.message)[:5] for w in caught] == [d.code for d in model.diagnostics]
    assert all(w.filename == __file__ for w in caught)
    return [(d.code, d.message, d.fix) for d in model.diagnostics]


@pytest.mark.parametrize("source", [GRAPH, LOOP, LET], ids=["columns", "rows", "let and constraint"])
def test_a_self_loop_in_an_array(source):
    ((code, message, fix),) = said(source, LOOPED)
    assert (code, message) == ("N0712", "`edges[2]` joins node 2 with itself")
    assert "from_edges(edges, simplify = True).edges" in fix
    mended = from_edges(LOOPED, simplify=True).edges
    assert energylang.compile(source, data={"n": 4, "edges": mended}).diagnostics == ()


@pytest.mark.parametrize("edges", [np.zeros((0, 2), int), []], ids=["no rows", "an empty list"])
def test_no_edges(edges):
    ((code, message, fix),) = said(GRAPH, edges)
    assert (code, message) == ("N0713", "`edges` has no edges")
    assert "give at least one edge" in fix


def test_a_graph_in_parts():
    ((code, message, _),) = said(GRAPH, [[0, 1], [2, 3]])
    assert (code, message) == ("N0711", "the graph of `edges` falls into 2 parts")


def test_what_is_no_graph_is_not_said_to_be_odd():
    """Two raters who agree are no self-loop."""
    assert energylang.compile(RATERS, data={"n": 4, "edges": LOOPED}).diagnostics == ()


def test_a_variable_of_one_value():
    with pytest.warns(energylang.EnergyWarning, match=r"N0714: `c` is cat\(k\)\[3\], which has one value"):
        energylang.compile("data k: int = 1\nenergy e(c: cat(k)[3], s: spin) = -sum(c) - s")


def test_the_command_line_says_so(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "m.energy").write_text(GRAPH)
    with pytest.raises(SystemExit) as stopped:
        main(["sample", "m.energy", "--data", "n=4", "--data", "edges=[[0, 1], [2, 2]]", "--draws", "20", "--quiet"])
    assert stopped.value.code == 0
    said = capsys.readouterr().err
    assert "warning[N0711]" in said
    assert "warning[N0712]" in said


@pytest.mark.parametrize(
    ("edges", "fix"),
    [
        ("[[1, 2], [2, 4]]", "categories count from 0: subtract 1, or give `cat` one value more"),
        ("[[0, 1], [1, 7]]", "mend the data, or declare 8 values instead of 4"),
        ("[[0, 1], [1, -1]]", "mend the data"),
    ],
)
def test_a_node_out_of_range(edges, fix):
    source = f"data edges: cat(4)[E, 2] = {edges}\nenergy e(s: spin[4]) = -sum(s[edges[:, 0]] * s[edges[:, 1]])"
    with pytest.raises(energylang.DiagnosticError) as stopped:
        energylang.compile(source)
    ((code, said),) = [(d.code, d.fix) for d in stopped.value.diagnostics]
    assert (code, said) == ("E0704", fix)
