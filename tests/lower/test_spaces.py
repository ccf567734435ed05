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
    RealSlot("x", "corr_cholesky", (4, 4), 0),
    RealSlot("x", "corr_cholesky", (2, 3, 3), 0),
    RealSlot("x", "corr_cholesky", (1, 1), 0),
    RealSlot("x", "cov_cholesky", (3, 3), 0),
    RealSlot("x", "cov_cholesky", (2, 2, 2), 0),
]
VECTORS = [np.linspace(-2, 2, 8), np.sin(np.arange(8.0) * 3), np.zeros(8), np.full(8, 6.0), np.full(8, -6.0)]


def free(slot: RealSlot, value: np.ndarray) -> np.ndarray:
    """The coordinates that Lebesgue measure counts: of a simplex all but the last."""
    if slot.kind in ("corr_cholesky", "cov_cholesky"):
        rows, columns = np.tril_indices(slot.shape[-1], -1 if slot.kind == "corr_cholesky" else 0)
        return value[..., rows, columns]
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
        if slot.kind in ("corr_cholesky", "cov_cholesky"):
            assert (np.triu(value, 1) == 0).all()
            assert (np.diagonal(value, axis1=-2, axis2=-1) > 0).all()
        if slot.kind == "corr_cholesky":
            np.testing.assert_allclose(np.square(value).sum(-1), 1.0, rtol=1e-5)


def test_a_dropped_jacobian_is_noticed():
    """The broken twin: the log-Jacobian of another space."""
    slot, wrong = SLOTS[1], SLOTS[2]
    vector = jnp.asarray(VECTORS[0][:3], jnp.float32)
    assert abs(float(slot.constrain(jnp.pad(vector, (0, 1)))[1]) - float(wrong.constrain(vector)[1])) > 0.1


@pytest.mark.parametrize("slot", [s for s in SLOTS if s.shape[-1] == 4 or s.kind == "cov_cholesky"], ids=str)
def test_extremes_in_single_precision(slot):
    """Far out, values stay in the closed space and every log-Jacobian finite, with a finite gradient."""
    for size in (20.0, 40.0):
        for whole in (np.full(8, size), np.full(8, -size), size * np.cos(np.arange(8.0) * np.pi)):
            vector = jnp.asarray(whole[: slot.size], jnp.float32)
            value, log_jacobian = slot.constrain(vector)
            assert np.isfinite(np.asarray(value)).all()
            assert np.isfinite(log_jacobian)
            assert np.isfinite(np.asarray(jax.grad(lambda u: slot.constrain(u)[1])(vector))).all()
            if slot.kind == "corr_cholesky":
                np.testing.assert_allclose(np.square(np.asarray(value)).sum(-1), 1.0, rtol=1e-5)


def test_a_correlation_of_two_by_quadrature():
    """Flat on the one entry below the diagonal: uniform on (-1, 1), so the mass is 2 and E r^2 is 1/3."""
    slot = RealSlot("x", "corr_cholesky", (2, 2), 0)
    with jax.enable_x64(True):
        u = jnp.linspace(-30, 30, 6001)[:, None]
        value, log_jacobian = jax.vmap(slot.constrain)(u)
        density = np.exp(np.asarray(log_jacobian))
        step = 0.01
        assert density.sum() * step == pytest.approx(2.0, rel=1e-9)
        assert (density * np.asarray(value)[:, 1, 0] ** 2).sum() * step / 2 == pytest.approx(1 / 3, rel=1e-9)


def test_a_covariance_of_two_by_quadrature():
    """A density on the lower triangle integrates to one: half-normals on the diagonal, a normal below it."""
    slot = RealSlot("x", "cov_cholesky", (2, 2), 0)
    with jax.enable_x64(True):
        log_axis, axis = np.arange(-12, 3, 0.1), np.arange(-6, 6, 0.2)
        first, below, last = np.meshgrid(log_axis, axis, log_axis, indexing="ij")
        u = jnp.asarray(np.stack([first.ravel(), below.ravel(), last.ravel()], axis=1))
        value, log_jacobian = jax.vmap(slot.constrain)(u)
        squares = 0.5 * jnp.sum(value**2, axis=(-2, -1))
        constant = 2 * np.log(np.sqrt(2 / np.pi)) - 0.5 * np.log(2 * np.pi)
        mass = np.exp(np.asarray(log_jacobian - squares) + constant).sum() * 0.1 * 0.2 * 0.1
        assert mass == pytest.approx(1.0, rel=1e-4)
