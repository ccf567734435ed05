"""Bijectors: round trip, support, and log-Jacobians against automatic differentiation of the free coordinates."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from energylang.ir.types import SPACES
from energylang.lower.spaces import BIJECTORS, RealSlot

SLOTS = [
    RealSlot("x", "real", (3,), 0),
    RealSlot("x", "positive", (2, 2), 0),
    RealSlot("x", "unit", (3,), 0),
    RealSlot("x", "interval", (3,), 0, -2.0, 5.0),
    RealSlot("x", "interval", (3,), 0, -2.0, np.inf),
    RealSlot("x", "interval", (3,), 0, -np.inf, 5.0),
    RealSlot("x", "ordered", (4,), 0),
    RealSlot("x", "positive_ordered", (2, 3), 0),
    RealSlot("x", "simplex", (2, 4), 0),
    RealSlot("x", "simplex", (1,), 0),
]
VECTORS = [np.linspace(-2, 2, 8), np.sin(np.arange(8.0) * 3), np.zeros(8), np.full(8, 6.0), np.full(8, -6.0)]


def free(slot: RealSlot, value: np.ndarray) -> np.ndarray:
    """The coordinates that Lebesgue measure counts: of a simplex all but the last."""
    return value[..., :-1] if slot.kind == "simplex" else value


def test_every_space_is_here():
    continuous = {name for name, info in SPACES.items() if not info.discrete}
    assert {s.kind for s in SLOTS} == continuous
    assert {id(s._bijector) for s in SLOTS} == {id(b) for b in BIJECTORS.values()}


@pytest.mark.parametrize("slot", SLOTS, ids=lambda s: f"{s.kind}({s.low},{s.high}){list(s.shape)}")
def test_bijectors(slot):
    with jax.enable_x64(True):
        for whole in VECTORS:
            vector = jnp.asarray(whole[: slot.size], jnp.float64)
            value, log_jacobian = slot.constrain(vector)
            assert value.shape == slot.shape
            np.testing.assert_allclose(slot.unconstrain(np.asarray(value)), vector, atol=1e-8)
            matrix = jax.jacobian(lambda u: jnp.ravel(free(slot, slot.constrain(u)[0])))(vector)
            if slot.size:
                _, expected = np.linalg.slogdet(np.asarray(matrix))
                np.testing.assert_allclose(log_jacobian, expected, rtol=1e-8, atol=1e-8)
            else:
                assert log_jacobian == 0.0


@pytest.mark.parametrize("slot", SLOTS, ids=lambda s: f"{s.kind}({s.low},{s.high}){list(s.shape)}")
def test_support(slot):
    for whole in VECTORS:
        value = np.asarray(slot.constrain(jnp.asarray(whole[: slot.size], jnp.float32))[0])
        if slot.kind in ("positive", "positive_ordered"):
            assert (value > 0).all()
        if slot.kind in ("unit", "interval"):
            assert ((value > slot.low) & (value < slot.high)).all()
        if slot.kind in ("ordered", "positive_ordered"):
            assert (np.diff(value) > 0).all()
        if slot.kind == "simplex":
            assert (value > 0).all()
            np.testing.assert_allclose(value.sum(-1), 1.0, rtol=1e-5)


def test_a_dropped_jacobian_is_noticed():
    """The broken twin: the log-Jacobian of another space."""
    slot, wrong = SLOTS[1], SLOTS[2]
    vector = jnp.asarray(VECTORS[0][:3], jnp.float32)
    assert abs(float(slot.constrain(jnp.pad(vector, (0, 1)))[1]) - float(wrong.constrain(vector)[1])) > 0.1
