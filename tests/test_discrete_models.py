"""Eight discrete models, drawn by each discrete kernel through the whole path, against enumeration.

64 independent chains each; a chain's mean of a statistic is one observation, so the errors need no autocorrelation.
Statistics: every site's indicator of each value but the first, and the energy. The level is 1e-6 for all statistics of a
model together, by Student's t with 63 degrees of freedom; with 400 draws a chain the detectable shift of a probability
is about 0.03 at every site.
"""

from __future__ import annotations

import zlib

import jax
import numpy as np
import pytest
from scipy import stats

import energylang
from tests.support.discrete_models import MODELS

EIGHT = [
    "ising torus with field", "ising open with field", "potts torus", "potts open", "rbm", "three-body", "squared sum",
    "table of two categoricals",
]  # fmt: skip
LEVEL = 1e-6
CHAINS, DRAWS = 64, 400


def exact(energy) -> tuple[dict[str, np.ndarray], float]:
    """P(variable[i] = value) by variable [*shape, k], and E[energy], from the table of all configurations."""
    from tests.lower.test_gains import every_point

    target = energy.target()
    points = every_point(target)
    energies = np.asarray(jax.jit(jax.vmap(target.energy))(points), np.float64)
    weights = np.exp(-(energies - energies.min()))
    weights /= weights.sum()
    values = jax.vmap(lambda point: target.outputs(point, jax.random.key(0)).draws)(points)
    table = {}
    for variable, slot in energy.compiled.program.code_slots.items():
        drawn = np.asarray(values[variable.name])
        levels = slot.decode(np.arange(slot.cardinality))
        table[variable.name] = np.tensordot(weights, drawn[..., None] == levels, axes=1)
    return table, float(weights @ energies)


def observed(energy, run) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Per chain: frequencies [chain, *shape, k] and the mean energy [chain]."""
    table = {}
    for variable, slot in energy.compiled.program.code_slots.items():
        levels = slot.decode(np.arange(slot.cardinality))
        table[variable.name] = (run[variable.name][..., None] == levels).mean(axis=1)
    return table, run.stats("model_energy").mean(axis=1)


def largest(found, wanted) -> tuple[float, int]:
    """The largest |t| over all statistics, and how many there are."""
    scores = []
    for name, frequencies in found[0].items():
        scores.append(_scores(frequencies[..., 1:], wanted[0][name][..., 1:]).ravel())
    scores.append(_scores(found[1], np.array(wanted[1])).ravel())
    joined = np.concatenate(scores)
    return float(np.abs(joined).max()), joined.size


def _scores(chains: np.ndarray, expected: np.ndarray) -> np.ndarray:
    error = chains.std(axis=0, ddof=1) / np.sqrt(len(chains))
    return (chains.mean(axis=0) - expected) / np.maximum(error, 1e-12)


@pytest.mark.parametrize("method", ["gibbs()", "gwg()"])
@pytest.mark.parametrize("name", EIGHT)
def test_draws_agree_with_enumeration(name, method):
    text, data = MODELS[name]
    energy = energylang.compile(text, data=data)["e"]
    seed = zlib.crc32(f"{name} {method}".encode())
    run = energy.sample(method=method, chains=CHAINS, draws=DRAWS, warmup=100, seed=seed)
    wanted, found = exact(energy), observed(energy, run)
    worst, count = largest(found, wanted)
    limit = stats.t.ppf(1 - LEVEL / (2 * count), CHAINS - 1)
    assert worst < limit, f"{worst} of {count} statistics, limit {limit}"
    # The twin: the law at energies a third larger is not what was drawn.
    hotter = exact(energylang.compile(text.replace("energy e(", "energy f(") + _scaled(text), data=data)["e"])
    assert largest(found, hotter)[0] > limit


def _scaled(text: str) -> str:
    """An energy `e` that is 4/3 of the one in the text, which is called `f` there."""
    signature = text.split("energy e(")[1].split(") =")[0]
    names = [part.split(":")[0].strip() for part in signature.replace("],", "]|").split("|")]
    return f"\nenergy e({signature}) = 4 / 3 * f({', '.join(names)})\n"
