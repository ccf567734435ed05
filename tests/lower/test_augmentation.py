"""Energies with their sums written out: minus the log of the sum over the hidden variables is the energy, in float64.

What is summed over is listed; neither gains nor colours have a part in it.
"""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from scipy.special import logsumexp

import energylang
from energylang.diagnostics import DiagnosticError
from energylang.lower.verify import plain, random_value, verify_structure
from tests.support.invariance import seed

HEAD = "data W: real[4, 3]\ndata K: real[3, 3]\nparam p: real[3] = 0.3\n"
MODELS: dict[str, tuple[str, int]] = {
    "softplus": ("energy e(v: binary[4]) = -sum(softplus(p + v @ W)) - 0.2 * sum(v)", 3),
    "a sum subtracted in a sum": ("energy e(v: spin[4]) = 0.3 * v[0] - (sum(softplus(v @ W)) - v[1])", 3),
    "a mean": ("energy e(v: spin[4]) = -3 * mean(softplus(v @ W))", 0),
    "rows side by side": ("energy e(v: binary[4, 3]) = -sum(softplus(v[:-1] @ K - v[1:] @ transpose(K) - 0.4))", 9),
    "log1p of exp": ("energy e(v: spin[4]) = -sum(log1p(exp(v @ W)))", 3),
    "logaddexp of zero": ("energy e(v: spin[4]) = -sum(logaddexp(0, v @ W))", 3),
    "logaddexp of two": ("energy e(v: spin[4]) = -sum(logaddexp(p, v @ W)) - sum(logaddexp(-(v @ W), v @ W))", 6),
    "logs of sums": (
        "energy e(v: spin[4]) = -sum(log(1 + exp(v @ W))) - sum(log(exp(v @ W) + 1)) - log(exp(v[0] * v[1] * v[2]) + exp(dot(p, v[1:])))", 7,
    ),
    "one sum twice": ("fn s(v: real[4]) = sum(softplus(v @ W))\nenergy e(v: spin[4]) {\n  let a = s(v)\n  += -a - a\n}", 6),
    "a marginal": (
        "energy joint(v: spin[4], h: cat(3)[2]) = -sum(h * (v[:2] + v[2:])) - sum(h == 1) + v[0] * v[1]\n"
        "energy e = marginal(joint, over = h)", 2,
    ),
    "a marginal beside another of the same name": (
        "energy one(v: spin[4], h: binary[3]) = -dot(v, W @ h)\nenergy two(v: spin[4], h: spin[3]) = 0.5 * dot(v, W @ h)\n"
        "energy first = marginal(one, over = h)\nenergy second = marginal(two, over = h)\nenergy e = product(first, second, first)",
        9,
    ),
}  # fmt: skip


@pytest.mark.parametrize("model", MODELS)
def test_the_sum_over_hidden_variables_is_the_energy(model: str) -> None:
    source, count = MODELS[model]
    random = np.random.default_rng(seed(model))
    data = {"W": random.normal(size=(4, 3)), "K": random.normal(size=(3, 3))}
    program = energylang.compile(HEAD + source, data=data)["e"].compiled.program
    if not count:
        with pytest.raises(DiagnosticError, match="E0659"):
            _ = program.augmented
        return
    joint = program.augmented
    hidden = {v: slot for v, slot in joint.code_slots.items() if v not in program.code_slots}
    assert sum(slot.size for slot in hidden.values()) == count
    assert len({v.name for v in joint.code_slots}) == len(joint.code_slots)
    params = {"p": random.normal(size=3)}
    verify_structure(joint, joint.bound, params)
    for _ in range(3):
        point = {v: random_value(v, program, {}, random) for v in program.energy.variables}
        energies = []
        for codes in product(*(range(slot.cardinality) for slot in hidden.values() for _ in range(slot.size))):
            given = iter(codes)
            values = {
                v: slot.decode(np.asarray([next(given) for _ in range(slot.size)]).reshape(slot.shape))
                for v, slot in hidden.items()
            }
            energies.append(plain(joint, {**joint.environment(joint.bound.values, params), **point, **values}))
        energy = plain(program, {**program.environment(program.bound.values, params), **point})
        assert energy == pytest.approx(-logsumexp(-np.asarray(energies)), rel=1e-12, abs=1e-12)
