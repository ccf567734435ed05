"""Maps of one number each, with their numbers from a net: rows last, zeros are the identity.

`inward` goes from the data to the base, the direction of training, and is the one with the fewest operations.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from math import exp, log
from typing import Any, Protocol

import jax
import jax.numpy as jnp
from jax import Array

from energylang.catalog import LayerCall


class Transformer(Protocol):
    """`size`: how many numbers one entry takes. raw: float[m, size, B]; entries and log-derivatives: float[m, B]."""

    @property
    def size(self) -> int: ...

    def inward(self, x: Array, raw: Array) -> tuple[Array, Array]: ...

    def outward(self, z: Array, raw: Array) -> tuple[Array, Array]: ...


@dataclass(frozen=True)
class Affine:
    """x = z exp(s) + shift, with s = bound tanh(raw / bound) (Dinh et al. 2017, arXiv:1605.08803, eq. 7)."""

    bound: float
    size: int = 2

    def _numbers(self, raw: Array) -> tuple[Array, Array]:
        return raw[:, 0], self.bound * jnp.tanh(raw[:, 1] / self.bound)

    def inward(self, x: Array, raw: Array) -> tuple[Array, Array]:
        shift, scale = self._numbers(raw)
        return (x - shift) * jnp.exp(-scale), -scale

    def outward(self, z: Array, raw: Array) -> tuple[Array, Array]:
        shift, scale = self._numbers(raw)
        return z * jnp.exp(scale) + shift, scale


LEAST = 1e-3
"""The least share of a bin, and the least slope at a knot."""


@dataclass(frozen=True)
class Spline:
    """The monotonic rational-quadratic spline on [-bound, bound], slope 1 at its ends, the identity beyond (Durkan et al.
    2019, arXiv:1906.04032, eq. 4 to 8 of Gregory and Delbourgo 1982)."""

    bins: int
    bound: float

    @property
    def size(self) -> int:
        return 3 * self.bins - 1

    def _pieces(self, raw: Array) -> tuple[Array, Array, Array]:
        """Widths and heights of the bins [m, bins, B], slopes at the knots between them [m, bins - 1, B]."""
        count = self.bins
        shares = jax.nn.softmax(raw[:, : 2 * count].reshape(-1, 2, count, raw.shape[-1]), axis=2)
        sizes = 2.0 * self.bound * (LEAST + (1.0 - LEAST * count) * shares)
        slopes = LEAST + jax.nn.softplus(raw[:, 2 * count :] + log(exp(1.0 - LEAST) - 1.0))
        return sizes[:, 0], sizes[:, 1], slopes

    def inward(self, x: Array, raw: Array) -> tuple[Array, Array]:
        inside = jnp.abs(x) < self.bound
        held = jnp.where(inside, x, 0.0)
        left, bottom, width, height, before, after = _bin(held + self.bound, False, *self._pieces(raw))
        slope, t = height / width, (held + self.bound - left) / width
        rise = height * (slope * t**2 + before * t * (1.0 - t)) / _bend(slope, t, before, after)
        log_slope = _log_slope(slope, t, before, after)
        return jnp.where(inside, bottom + rise - self.bound, x), jnp.where(inside, log_slope, 0.0)

    def outward(self, z: Array, raw: Array) -> tuple[Array, Array]:
        inside = jnp.abs(z) < self.bound
        held = jnp.where(inside, z, 0.0)
        left, bottom, width, height, before, after = _bin(held + self.bound, True, *self._pieces(raw))
        slope, rise = height / width, held + self.bound - bottom
        bend = rise * (before + after - 2.0 * slope)
        a, b, c = height * (slope - before) + bend, height * before - bend, -slope * rise
        # the root in [0, 1], in the form that loses no digits where b is positive and large
        t = jnp.clip(2.0 * c / (-b - jnp.sqrt(jnp.maximum(b**2 - 4.0 * a * c, 0.0))), 0.0, 1.0)
        x = left + width * t - self.bound
        return jnp.where(inside, x, z), jnp.where(inside, -_log_slope(slope, t, before, after), 0.0)


@partial(jax.custom_jvp, nondiff_argnums=(1,))
def _bin(value: Array, up: bool, widths: Array, heights: Array, slopes: Array) -> tuple[Array, ...]:
    """Of the bin that holds each value, counted from the first knot: left end, bottom, width, height, slopes at both ends.

    up: whether values are searched along the heights. Selected one bin after another, on a CPU quicker than a gather or
    sums over one-hot vectors. The bin itself has no derivative, and that of a selection is written with masks: its transpose
    is one broadcast, and not an addition of padded slices.
    """
    count = widths.shape[1]
    left = bottom = jnp.zeros_like(value)
    width, height = widths[:, 0], heights[:, 0]
    before, after = jnp.ones_like(value), slopes[:, 0]
    end, top = width, height
    for k in range(1, count):
        here = value >= (top if up else end)
        left, bottom = jnp.where(here, end, left), jnp.where(here, top, bottom)
        width, height = jnp.where(here, widths[:, k], width), jnp.where(here, heights[:, k], height)
        before = jnp.where(here, slopes[:, k - 1], before)
        after = jnp.where(here, slopes[:, k] if k < count - 1 else 1.0, after)
        end, top = end + widths[:, k], top + heights[:, k]
    return left, bottom, width, height, before, after


@_bin.defjvp
def _bin_jvp(up: bool, primals: tuple[Array, ...], tangents: tuple[Array, ...]) -> tuple[Any, Any]:
    value, widths, heights, slopes = primals
    _, by_widths, by_heights, by_slopes = tangents
    count = widths.shape[1]
    ends = jax.lax.stop_gradient(jnp.cumsum((heights if up else widths)[:, :-1], axis=1))
    place = jnp.sum(value[:, None] >= ends, axis=1)[:, None]
    bins = jnp.arange(count)[None, :, None]

    def total(part: Array, mask: Array) -> Array:
        return jnp.sum(jnp.where(mask, part, 0.0), axis=1)

    knots = bins[:, 1:]
    changes = (
        total(by_widths, bins < place), total(by_heights, bins < place), total(by_widths, bins == place),
        total(by_heights, bins == place), total(by_slopes, knots == place), total(by_slopes, knots == place + 1),
    )  # fmt: skip
    return _bin(value, up, widths, heights, slopes), changes


def _bend(slope: Array, t: Array, before: Array, after: Array) -> Array:
    return slope + (before + after - 2.0 * slope) * t * (1.0 - t)


def _log_slope(slope: Array, t: Array, before: Array, after: Array) -> Array:
    top = slope**2 * (after * t**2 + 2.0 * slope * t * (1.0 - t) + before * (1.0 - t) ** 2)
    return jnp.log(top) - 2.0 * jnp.log(_bend(slope, t, before, after))


_KINDS: dict[str, Any] = {"affine": Affine, "spline": Spline}


def made(call: LayerCall) -> Transformer:
    return _KINDS[call.name](**dict(call.options))
