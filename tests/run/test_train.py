"""Training: it finds the maximum, players take turns, it resumes to the same numbers, and says where it fails."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

from energylang.catalog import MethodCall
from energylang.diagnostics import DiagnosticError
from energylang.model import Player
from energylang.run import batches
from energylang.run.params import read_params
from energylang.run.train import run_training
from energylang.run.training import Training
from tests.run import toys
from tests.run.drive import PROVENANCE

ROWS = np.random.default_rng(0).normal(3, 2, 500).astype(np.float32)
PLAYERS = (Player("place", ("mu",)), Player("spread", ("log_sigma",), 3))


def adam(rate: Any) -> MethodCall:
    return MethodCall("adam", (("learning_rate", rate),))


def train(**changes: Any) -> Training:
    given: dict[str, Any] = {
        "objective": toys.Likelihood(),
        "model": toys.normal(),
        "data": {"x": ROWS},
        "provenance": PROVENANCE,
        "steps": 200,
        "batch": 32,
        "optimizer": adam(0.05),
    }
    given |= changes
    return run_training(given.pop("objective"), given.pop("model"), given.pop("data"), **given)


def same(first: Training, second: Training) -> bool:
    """Whether every number of the trace and of the params is the same."""
    pairs = [*((first.trace[name], second.trace[name]) for name in first.trace)]
    pairs += [(first.params[name], second.params[name]) for name in first.params]
    return list(first.trace) == list(second.trace) and all(np.array_equal(a, b, equal_nan=True) for a, b in pairs)


@pytest.mark.parametrize("players", [(Player("model"),), PLAYERS])
def test_it_finds_the_maximum_of_the_likelihood(players: tuple[Player, ...]) -> None:
    found = train(objective=toys.Likelihood(players), steps=3000, batch=None, optimizer=adam(1e-2))
    assert found.params["mu"] == pytest.approx(ROWS.mean(), abs=1e-3)
    assert found.params["log_sigma"] == pytest.approx(np.log(ROWS.std()), abs=1e-3)
    entropy = np.log(ROWS.std()) + 0.5 * np.log(2 * np.pi * np.e)
    assert found.loss == pytest.approx(entropy, abs=1e-3)
    assert found.trace["loss"].shape == (3000,)
    assert found.programs == 2


def test_players_own_their_params_and_take_turns() -> None:
    found = train(objective=toys.Likelihood(PLAYERS), steps=10)
    assert {*found.trace} == {
        *("loss", "gradient_norm", "noise", "loss_spread", "gradient_norm_spread", "noise_spread", "rolled_back")
    }
    assert np.flatnonzero(np.isfinite(found.trace["loss_spread"])).tolist() == [0, 3, 6, 9]
    alone = train(objective=toys.Likelihood(PLAYERS[:1]), steps=10)
    assert alone.params["log_sigma"] == 0
    assert alone.params["mu"] != 0


EVERYTHING: dict[str, Any] = {
    "steps": 60, "validation": 0.2, "every": 6, "patience": 7, "ema": 0.9, "clip": 0.5,
    "optimizer": MethodCall("adamw", (("learning_rate", MethodCall("cosine", (("rate", 0.05), ("warmup", 7)))),)),
}  # fmt: skip
"""A training with a bit of everything; 400 rows are left, so an epoch has twelve and a half minibatches."""


@pytest.fixture(scope="module")
def everything() -> Training:
    return train(**EVERYTHING)


@pytest.mark.parametrize("chunk", [1, 7, 60])
def test_chunks_change_no_bit(everything: Training, chunk: int) -> None:
    assert same(everything, train(**EVERYTHING, chunk=chunk))


def test_rows_sent_from_the_host_change_no_bit(everything: Training, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "STACK_BYTES", 32 * 4 * 5)
    sent = train(**EVERYTHING, resident=False)
    assert same(everything, sent)
    assert not same(everything, train(**EVERYTHING, seed=1))


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


def test_a_stopped_training_resumes_to_the_same_numbers(tmp_path: Path, everything: Training) -> None:
    out = tmp_path / "t.nc"
    with pytest.raises(Stop):
        train(**EVERYTHING, out=out, chunk=7, progress=Stopping())
    assert not out.exists()
    found = train(**EVERYTHING, out=out, resume=True)
    assert same(found, everything)
    assert (found.best_step, found.ended) == (everything.best_step, everything.ended)
    assert found.programs == 2, "the chunk, and the look at what is held out"
    assert [path.name for path in tmp_path.iterdir()] == ["t.nc"]
    like = toys.normal().params
    again = train(**EVERYTHING, out=out, resume=True)
    assert same(again, found)
    assert same(again, Training.open(out, like))


def test_params_of_another_model_are_refused(tmp_path: Path) -> None:
    train(out=tmp_path / "t.nc", steps=5)
    with pytest.raises(DiagnosticError) as caught:
        read_params(tmp_path / "t.nc", {"mu": np.zeros(2), "nu": np.zeros(())})
    assert "`mu` has shape [] there and [2] in the model; `nu` is missing" in str(caught.value)


class Cliff(toys.Likelihood):
    """A likelihood that is not a number where mu is above `edge`."""

    edge = 0.5

    def loss(self, player: Player, model: Any, memory: Any, batch: Any, key: Any) -> Any:
        loss, aux = super().loss(player, model, memory, batch, key)
        return jnp.where(model.params["mu"] > self.edge, jnp.nan, loss), aux


def test_a_step_over_a_cliff_is_taken_back_and_steps_are_halved() -> None:
    found = train(objective=Cliff(), steps=40, optimizer=MethodCall("sgd", (("learning_rate", 0.4),)), batch=None)
    back = np.flatnonzero(found.trace["rolled_back"])
    assert found.facts["rollbacks"] == back.size > 0
    assert found.facts["step_scale"] == 0.5**back.size
    assert 0.3 < found.params["mu"] <= 0.5
    assert np.isnan(found.trace["loss"][back]).all()
    again = back[back < 39]
    assert again.size
    assert np.array_equal(found.trace["loss"][again + 1], found.trace["loss"][again - 1])
    assert "had a loss or a gradient that is not finite" in found.warnings[0]
    assert train(steps=40).warnings == []


def test_a_loss_that_stays_infinite_stops_it_and_the_last_good_params_are_kept(tmp_path: Path) -> None:
    out = tmp_path / "t.nc"
    with pytest.raises(DiagnosticError) as caught:
        train(objective=toys.Likelihood(broken=True), out=out)
    assert caught.value.exit_code == 4
    # The params of step 49 are tried again ten times, those after them are never good.
    assert "E0806: the loss of `model` is nan at step 68" in str(caught.value)
    kept, there = Training.open(out, toys.normal().params), train(steps=49)
    assert same(kept, Training(there.params, kept.trace, {}, None))
    assert kept.ended == "diverged"
    with pytest.raises(DiagnosticError):
        train(objective=toys.Likelihood(broken=True), out=out, resume=True)


def test_training_ends_by_what_is_held_out_and_keeps_the_best_params() -> None:
    given = {"validation": 490, "batch": None, "steps": 400, "optimizer": adam(0.05)}
    found = train(**given, every=5, patience=3)
    seen = found.trace["validation_loss"]
    looked = np.flatnonzero(~np.isnan(seen))
    assert (looked % 5 == 4).all()
    best = int(looked[np.argmin(seen[looked])])
    assert (found.ended, found.best_step, found.validation_loss) == ("patience", best + 1, seen[best])
    assert found.steps == best + 1 + 15
    shorter = train(**given | {"steps": best + 1})
    assert same(Training(shorter.params, found.trace, {}, None), found)


class Told(toys.Likelihood):
    """A likelihood that says where it was computed."""

    def loss(self, player: Player, model: Any, memory: Any, batch: Any, key: Any) -> Any:
        return super().loss(player, model, memory, batch, key)[0], (memory, {"mu": model.params["mu"]})


def test_the_average_is_that_of_the_params_whose_loss_was_finite() -> None:
    found = train(objective=Told(), steps=8, ema=0.7)
    mean, twin = 0.0, 0.0
    for step, place in enumerate(found.trace["mu"].tolist()):
        mean += (1 - min(0.7, (1 + step) / (10 + step))) * (place - mean)
        twin += 0.3 * (place - twin)
    assert found.params["mu"] == pytest.approx(mean, rel=1e-5)
    assert found.params["mu"] != pytest.approx(twin, rel=1e-3), "it rises faster than an average from zero on"


def test_steps_are_those_of_optax_by_hand() -> None:
    """Of plain gradient descent with a moving rate and a clip, computed with NumPy."""
    rate = MethodCall("linear", (("rate", 0.5), ("warmup", 4), ("end", 0.2)))
    found = train(steps=12, batch=None, clip=0.3, optimizer=MethodCall("sgd", (("learning_rate", rate),)))
    mu, log_sigma, rows = 0.0, 0.0, ROWS.astype(np.float64)
    rates = [0.5 * (t + 1) / 4 if t < 4 else 0.5 - 0.4 * (t - 4) / 7 for t in range(12)]
    for step in rates:
        z = (rows - mu) / np.exp(log_sigma)
        slope = np.array([-np.mean(z) / np.exp(log_sigma), 1 - np.mean(z**2)])
        slope *= min(1.0, 0.3 / np.linalg.norm(slope))
        mu, log_sigma = np.array([mu, log_sigma]) - step * slope
    assert [float(found.params[name]) for name in ("mu", "log_sigma")] == pytest.approx([mu, log_sigma], rel=1e-4)


def test_a_transformation_of_optax_is_an_optimizer() -> None:
    import optax

    assert same(train(steps=20), train(steps=20, optimizer=optax.adam(0.05)))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"data": {"x": ROWS[:0]}}, "E0854: there are no rows to train on"),
        ({"batch": 501}, "E0852: a minibatch has 501 rows, and there are 500 to train on"),
        (
            {"batch": 480, "validation": 30},
            "E0852: a minibatch has 480 rows, and there are 470 to train on, and 30 are held",
        ),
        ({"validation": 0.0001}, "E0853: `validation = 0.0001` holds out none of 500 rows"),
        ({"validation": 500}, "E0853: `validation = 500` leaves none of 500 rows to train on"),
        ({"validation": 2.5}, "E0853: `validation = 2.5` is neither a part of the rows nor a number of them"),
        ({"patience": 3}, "E0855: `patience` is about rows that are held out, and none are"),
        (
            {"optimizer": adam(MethodCall("cosine", (("warmup", 200),)))},
            "E0856: the learning rate rises for 200 steps, and there are 200",
        ),
    ],
)
def test_what_cannot_be_trained_is_said(change: dict[str, Any], said: str) -> None:
    with pytest.raises(DiagnosticError) as caught:
        train(**change)
    assert said in str(caught.value)


def test_a_model_begins_from_data_and_its_buffers_move_by_themselves(tmp_path: Path) -> None:
    model = toys.Standardised({**toys.normal().params, "centre": np.float32(0)})
    found = train(model=model, steps=10, batch=None, out=tmp_path / "t.nc")
    assert found.params["centre"] == pytest.approx(ROWS.mean() + 10, abs=1e-4)
    assert float(read_params(tmp_path / "t.nc", model.params)["centre"]) == found.params["centre"]
    assert found.params["mu"] == train(steps=10, batch=None).params["mu"]
