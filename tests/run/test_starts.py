"""Starts that are given: they come back through every space, belong to the run, and what is wrong is said."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

import energylang
from energylang.diagnostics import DiagnosticError
from energylang.run import keys
from energylang.run.initial import given_of, starting_point
from energylang.run.starts import read_starts
from tests.run.test_resume import Crash, Stopping, crash

SPACES = """
energy spaces(
  r: real[2, 2], p: positive[2], u: unit, i: interval(-1, 3)[2], a: interval(2, infinity), b: interval(-infinity, 1), o: ordered[3],
  q: positive_ordered[3], s: simplex[2, 3], c: corr_cholesky[3], v: cov_cholesky[2], w: interval(0, u),
  spin: spin[3], bit: binary[2], cat: cat(4)[2], n: count[2]
) = sum(r * r) + sum(p) + u + sum(i) + a * a + b * b + sum(o * o) + sum(q) + sum(s * s) + sum(c * c) + sum(v * v) + w
  + 0.1 * sum(spin) + 0.1 * sum(bit) + 0.1 * sum(cat) + sum(n)
"""
VALUES: dict[str, Any] = {
    "r": [[1.0, -2.0], [0.5, 3.0]], "p": [0.1, 7.0], "u": 0.25, "i": [-0.9, 2.5], "a": 2.5, "b": -4.0, "o": [-2.0, 0.5, 0.75],
    "q": [0.5, 0.75, 4.0], "s": [[0.2, 0.3, 0.5], [0.7, 0.2, 0.1]], "c": [[1, 0, 0], [0.6, 0.8, 0], [0, 0.6, -0.8]],
    "v": [[2.0, 0.0], [-1.0, 0.5]], "w": 0.125, "spin": [1, -1, 1], "bit": [0, 1], "cat": [3, 0], "n": [0, 12],
}  # fmt: skip
VALUES["c"][2][2] = 0.8


@pytest.fixture(scope="module")
def spaces() -> Any:
    return energylang.compile(SPACES)["spaces"].target()


def started(target: Any, source: Any, chains: int = 3) -> list[dict[str, np.ndarray]]:
    """What each chain starts at, in the language's spaces."""
    starts = read_starts(source, target, chains)
    key = keys.root_key(keys.root_data(3))

    @jax.jit
    def at(chain: Any, given: Any) -> Any:
        return target.outputs(starting_point(starts, target, key, chain, given).x, key).draws

    return [{n: np.asarray(v) for n, v in at(c, given_of(starts)).items()} for c in range(chains)]


def test_values_come_back_through_every_space(spaces: Any, tmp_path: Path) -> None:
    (tmp_path / "start.json").write_text(json.dumps(VALUES))
    for point in started(spaces, tmp_path / "start.json"):
        assert point.keys() == VALUES.keys()
        for name, value in VALUES.items():
            np.testing.assert_allclose(point[name], value, rtol=2e-5, atol=1e-6, err_msg=name)


def test_each_chain_may_have_its_own_and_the_rest_is_random(spaces: Any, tmp_path: Path) -> None:
    own = {"u": np.array([0.5, 0.25, 0.75]), "w": 0.2, "cat": np.array([[0, 1], [2, 3], [1, 1]])}
    np.savez(tmp_path / "start.npz", **own)
    points = started(spaces, str(tmp_path / "start.npz"))
    for chain, point in enumerate(points):
        np.testing.assert_allclose([point["u"], point["w"]], [own["u"][chain], 0.2], rtol=1e-5)
        np.testing.assert_array_equal(point["cat"], own["cat"][chain])
    assert len({float(point["a"]) for point in points}) == 3


@pytest.mark.parametrize(
    ("source", "code"),
    [
        ({"uu": 0.5}, "E0860"),
        ({"r": [1.0, 2.0]}, "E0861"),
        ({"u": [0.5, 0.5]}, "E0861"),
        ({"u": 1.5}, "E0862"),
        ({"u": 1.0}, "E0862"),
        ({"p": [1.0, float("nan")]}, "E0862"),
        ({"cat": [4, 0]}, "E0862"),
        ({"spin": [0, 1, 1]}, "E0862"),
        ({"s": [[0.2, 0.3, 0.6], [0.7, 0.2, 0.1]]}, "E0862"),
        ({"o": [1.0, 0.0, 2.0]}, "E0862"),
        ({"w": 0.1}, "E0863"),
        ({"u": 0.1, "w": 0.5}, "E0862"),
        ({"n": [0.5, 1]}, "E0702"),
        ("nowhere.json", "E0707"),
        ("nowhere.nc", "E0831"),
    ],
)
def test_what_is_wrong_is_said(spaces: Any, source: Any, code: str) -> None:
    with pytest.raises(DiagnosticError) as caught:
        read_starts(source, spaces, 3)
    assert [d.code for d in caught.value.diagnostics] == [code]


NORMAL = """
energy e(x: real[2], k: cat(3)) {
  x ~ normal(0, 1)
  k ~ categorical([0.2, 0.3, 0.5])
  += -1e-9 * log(50 - x[0])
}
sample e with blocks(mala(step_size = 0.001), gibbs()), draws = 20, warmup = 0, chains = 2, init = "start.json"
"""
FAR = {"x": [[9.0, 9.0], [-9.0, -9.0]], "k": 2}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("model")
    (found / "start.json").write_text(json.dumps(FAR))
    (found / "normal.energy").write_text(NORMAL)
    return found


def test_a_run_starts_there_and_belongs_to_it(folder: Path) -> None:
    model = energylang.load(folder / "normal.energy")
    whole = model.sample(seed=5)
    assert whole["x"][0, 0].min() > 3
    assert whole["x"][1, 0].max() < -3
    out = folder / "r.nc"
    with pytest.raises(Crash):
        model.sample(seed=5, out=out, chunk=4, progress=Stopping(3, crash))
    other = {**FAR, "k": 1}
    with pytest.raises(DiagnosticError) as caught:
        model.sample(seed=5, out=out, resume=True, init=other)
    assert caught.value.diagnostics[0].code == "E0821"
    resumed = model.sample(seed=5, out=out, resume=True)
    for name in ("x", "k"):
        np.testing.assert_array_equal(resumed[name], whole[name])
    # Chain by chain from the last draws of the run, of which the first chain alone may be asked for.
    target = model["e"].target()
    (point,) = started(target, out, 1)
    np.testing.assert_allclose(point["x"], whole["x"][0, -1], rtol=1e-6)
    np.testing.assert_array_equal(point["k"], whole["k"][0, -1])
    with pytest.raises(DiagnosticError) as caught:
        model.sample(chains=3, init=resumed)
    assert caught.value.diagnostics[0].code == "E0861"


def test_a_start_without_density_is_named(folder: Path) -> None:
    model = energylang.load(folder / "normal.energy")
    with pytest.raises(DiagnosticError) as caught:
        model.sample(init={"x": [[60.0, 0.0], [0.0, 0.0]], "k": 0})
    (found,) = caught.value.diagnostics
    assert found.code == "E0865"
    assert "chain 0" in found.message
    outside = energylang.compile(NORMAL.replace('"start.json"', '"../start.json"'))
    with pytest.raises(DiagnosticError) as caught:
        outside.sample()
    assert caught.value.diagnostics[0].code == "E0707"
