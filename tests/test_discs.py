"""The benchmark of discrete samplers: its targets, its ESS and its bound, each against what it should be."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

import energylang
from benchmarks.discs.combinatorial import APART, CUT, Problem, cut_bound, problems, solve
from benchmarks.discs.protocol import Measured, _ess, samplers
from benchmarks.discs.references import kept_reference, proven_cut, searched_cut
from benchmarks.discs.targets import SIZES, Target, rbm
from energylang import graphs

pytestmark = pytest.mark.long


@pytest.mark.parametrize("name", SIZES["small"])
def test_targets_are_models_without_a_finding(name):
    target = SIZES["small"][name]()
    model = energylang.compile(target.source(), data=target.all_data())
    assert not model.diagnostics
    assert model["target"].compiled.program.facts.gains == ("estimate" if name == "deep" else "exact")


def test_the_machine_fitted_to_digits(monkeypatch):
    """The visible and the joint form have one law of v: differences of the sums over h."""
    small = {"W": np.array([[1.0, -0.5], [0.3, 0.8]]), "b": np.array([0.1, -0.2]), "c": np.array([0.0, 0.4])}
    monkeypatch.setattr("benchmarks.discs.targets.fitted_rbm", lambda hidden: small)
    visible, joint = rbm(2), rbm(2, joint=True)
    one = energylang.compile(visible.source(), data=visible.all_data())["target"]
    both = energylang.compile(joint.source(), data=joint.all_data())["target"]
    for v in product((0, 1), repeat=2):
        summed = -np.logaddexp.reduce([-float(both(v=v, h=h)) for h in product((0, 1), repeat=2)])
        assert float(one(v=v)) == pytest.approx(summed, abs=1e-5)


def test_effective_sizes():
    """Independent draws count fully, an autoregression by (1 - rho) / (1 + rho), and a chain that stands still not at all."""
    generator = np.random.default_rng(0)
    noise = generator.normal(size=20_000)
    assert _ess(noise) == pytest.approx(20_000, rel=0.1)
    series = np.zeros_like(noise)
    for t in range(1, len(series)):
        series[t] = 0.8 * series[t - 1] + noise[t]
    assert _ess(series) == pytest.approx(20_000 / 9, rel=0.2)
    assert _ess(np.ones(100)) == 0


def test_a_row():
    """Independent coins under Gibbs: every sweep is an independent draw, and the mean energy is the entropy."""
    log_odds = np.array([0.5, -1.0, 2.0, 0.0])
    target = Target(
        "x: binary[4]",
        "data log_odds: real[4]",
        "sum(bernoulli_logit(x | log_odds))",
        {"log_odds": log_odds},
        (4,),
        (0, 1),
    )
    row = Measured(target).run("gibbs", chains=8, seconds=1.0, steps=500)
    p = 1 / (1 + np.exp(-log_odds))
    entropy = -(p * np.log(p) + (1 - p) * np.log1p(-p)).sum()
    assert row.steps == 500
    assert 0.8 < row.ess / (8 * 500) < 1.25
    assert abs(row.energy - entropy) < 5 * row.energy_error + 1e-3
    assert row.per_second > 0
    assert row.gradient > 0
    assert "gibbs" in samplers()


@pytest.mark.parametrize("graph", [graphs.erdos_renyi(12, 0.5, seed=1), graphs.torus((4, 3), signs=True, seed=2)])
def test_references_of_cuts(graph, tmp_path):
    """Proven and searched cuts, against the largest of all; and what is kept is not sought again."""
    sides = np.array(list(product((0, 1), repeat=graph.n - 1)))
    sides = np.concatenate([np.zeros((len(sides), 1), int), sides], axis=1)
    largest = ((sides[:, graph.edges[:, 0]] != sides[:, graph.edges[:, 1]]) @ graph.data["weights"]).max()
    proven = proven_cut(graph)
    assert proven.proven
    assert proven.value == proven.bound == largest
    assert searched_cut(graph, 0.1, starts=4).value == largest
    hasty = proven_cut(graph, 0.0)
    assert not hasty.proven
    assert hasty.bound == graph.data["weights"].clip(0).sum()
    assert kept_reference(tmp_path, "one", graph, 10.0) == kept_reference(tmp_path, "one", graph, 10.0)


def test_the_bound_of_cuts():
    """Above the largest cut of every small graph, and not by much; tight on an even ring."""
    for number in range(3):
        graph = graphs.erdos_renyi(12, 0.4, seed=number)
        sides = np.array(list(product((0, 1), repeat=11)))
        sides = np.concatenate([np.zeros((len(sides), 1), int), sides], axis=1)
        largest = (sides[:, graph.edges[:, 0]] != sides[:, graph.edges[:, 1]]).sum(axis=1).max()
        assert largest <= cut_bound(graph) < 1.15 * largest
    ring = graphs.from_edges([[i, (i + 1) % 8] for i in range(8)])
    assert cut_bound(ring) == pytest.approx(8, abs=1e-3)


def test_problems_are_solved():
    """A planted solution is found, and what is counted are the edges of the graph itself."""
    graph = graphs.model_rb(5, 0.7, 0.8, 0.3, seed=0)
    problem = Problem(APART, lambda number: (graph, 5.0), "anneal(gibbs())", 100, 1, "")
    found = solve("cliques", problem, 0, chains=4)
    assert (found.objective, found.nodes) == (5, graph.n)
    assert set(problems("small")) == set(problems("paper"))
    assert {p.model for p in problems("small").values()} == {APART, CUT}
