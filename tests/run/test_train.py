"""Training: it finds the maximum, players take turns, it resumes to the same numbers, and says where it fails."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from energylang.diagnostics import DiagnosticError
from energylang.model import Player
from energylang.run.train import Training, read_params, run_training
from tests.run import toys
from tests.run.drive import PROVENANCE

ROWS = np.random.default_rng(0).normal(3, 2, 500).astype(np.float32)
PLAYERS = (Player("place", ("mu",)), Player("spread", ("log_sigma",), 3))


def train(**changes: Any) -> Training:
    given: dict[str, Any] = {
        "objective": toys.Likelihood(),
        "model": toys.normal(),
        "data": {"x": ROWS},
        "provenance": PROVENANCE,
        "steps": 200,
        "batch": 32,
        "learning_rate": 0.05,
    }
    given |= changes
    return run_training(given.pop("objective"), given.pop("model"), given.pop("data"), **given)


def same(first: Training, second: Training) -> bool:
    return list(first.trace) == list(second.trace) and all(
        np.array_equal(first.trace[name], second.trace[name], equal_nan=True) for name in first.trace
    )


@pytest.mark.parametrize("players", [(Player("model"),), PLAYERS])
def test_it_finds_the_maximum_of_the_likelihood(players: tuple[Player, ...]) -> None:
    found = train(objective=toys.Likelihood(players), steps=3000, batch=None, learning_rate=1e-2)
    assert found.params["mu"] == pytest.approx(ROWS.mean(), abs=1e-3)
    assert found.params["log_sigma"] == pytest.approx(np.log(ROWS.std()), abs=1e-3)
    entropy = np.log(ROWS.std()) + 0.5 * np.log(2 * np.pi * np.e)
    assert found.loss == pytest.approx(entropy, abs=1e-3)
    assert found.trace["loss"].shape == (3000,)
    assert found.programs == 2


def test_players_own_their_params_and_take_turns() -> None:
    found = train(objective=toys.Likelihood(PLAYERS), steps=10)
    assert list(found.trace) == ["loss", "noise", "loss_spread", "noise_spread"] or set(found.trace) == {
        *("loss", "noise", "loss_spread", "noise_spread")
    }
    assert np.flatnonzero(np.isfinite(found.trace["loss_spread"])).tolist() == [0, 3, 6, 9]
    alone = train(objective=toys.Likelihood(PLAYERS[:1]), steps=10)
    assert alone.params["log_sigma"] == 0
    assert alone.params["mu"] != 0


def test_chunks_change_no_bit() -> None:
    assert same(train(), train(chunk=7))
    assert not same(train(), train(seed=1))


class Stop(BaseException):
    """Stands for a kill."""


class Stopping:
    def __init__(self) -> None:
        self.calls, self.notes = 0, []

    def phase(self, text: str) -> None: ...

    def note(self, text: str) -> None:
        self.notes.append(text)

    def advance(self, done: int, total: int, facts: object) -> None:
        self.calls += 1
        if self.calls == 4:
            raise Stop


def test_a_stopped_training_resumes_to_the_same_numbers(tmp_path: Path) -> None:
    out = tmp_path / "t.nc"
    with pytest.raises(Stop):
        train(out=out, chunk=20, progress=Stopping())
    assert not out.exists()
    found = train(out=out, resume=True)
    assert same(found, train())
    assert found.programs == 1
    assert [path.name for path in tmp_path.iterdir()] == ["t.nc"]
    like = toys.normal().params
    again = train(out=out, resume=True)
    assert same(again, found)
    for params in (read_params(out, like), again.params):
        assert {name: float(value) for name, value in params.items()} == {
            name: float(value) for name, value in found.params.items()
        }


def test_params_of_another_model_are_refused(tmp_path: Path) -> None:
    train(out=tmp_path / "t.nc", steps=5)
    with pytest.raises(DiagnosticError) as caught:
        read_params(tmp_path / "t.nc", {"mu": np.zeros(2), "nu": np.zeros(())})
    assert "`mu` has shape [] there and [2] in the model; `nu` is missing" in str(caught.value)


def test_a_loss_that_is_not_finite_stops_it() -> None:
    with pytest.raises(DiagnosticError) as caught:
        train(objective=toys.Likelihood(broken=True))
    assert caught.value.exit_code == 4
    assert "E0806: the loss of `model` is nan at step 50" in str(caught.value)


def test_a_model_begins_from_data_and_its_buffers_move_by_themselves(tmp_path: Path) -> None:
    model = toys.Standardised({**toys.normal().params, "centre": np.float32(0)})
    found = train(model=model, steps=10, batch=None, out=tmp_path / "t.nc")
    assert found.params["centre"] == pytest.approx(ROWS.mean() + 10, abs=1e-4)
    assert float(read_params(tmp_path / "t.nc", model.params)["centre"]) == found.params["centre"]
    assert same(found, train(steps=10, batch=None))
