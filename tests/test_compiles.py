"""How many programs a command compiles, counted by JAX itself: what compiles twice is felt by everyone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import jax
import pytest
from jax import monitoring

from tests.cli.conftest import EXAMPLES, Cli, cli

__all__ = ["cli"]

COMPILED: list[str] = []


def listen(event: str, seconds: float, **facts: object) -> None:
    if event == "/jax/core/compile/backend_compile_duration":
        COMPILED.append(str(facts.get("fun_name")))


monitoring.register_event_duration_secs_listener(listen)


@pytest.fixture(autouse=True)
def counted() -> Iterator[None]:
    """From nothing: what an earlier test compiled must not hide what this one would."""
    jax.clear_caches()
    COMPILED.clear()
    yield
    COMPILED.clear()


def test_eight_schools_is_two_programs_and_resuming_a_whole_run_none(cli: Cli, tmp_path: Path) -> None:
    arguments = ("sample", EXAMPLES / "eight_schools.energy", "--draws", 20, "--warmup", 20, "--json")
    first = cli(*arguments)
    assert first.data["programs"] == 2
    assert len(COMPILED) <= 2, COMPILED
    COMPILED.clear()
    jax.clear_caches()
    assert cli(*arguments, "--resume").code == 0
    assert COMPILED == []


@pytest.mark.parametrize(
    ("arguments", "programs"),
    [
        (("sample", "ising.energy", "--draws", 4, "--warmup", 4, "--chains", 2), 2),
        (("evidence", "ising_open_fields.energy", "--draws", 8), 2),
        (("train", "normal_mle.energy", "--steps", 5), 10),  # and params brought into their spaces, op by op
    ],
    ids=["gibbs", "enumerate", "mle"],
)
def test_every_task_stays_within_its_programs(cli: Cli, arguments: tuple[object, ...], programs: int) -> None:
    verb, model, *rest = arguments
    result = cli(verb, EXAMPLES / str(model), *rest, "--json")
    assert result.code == 0, result.out
    assert result.data["programs"] == 2
    assert len(COMPILED) <= programs, COMPILED


def test_refusing_a_method_compiles_nothing(cli: Cli) -> None:
    assert cli("sample", EXAMPLES / "ising.energy", "--method", "nuts()").code == 1
    assert COMPILED == []
