"""Every configuration listed: exact draws and the exact log Z of small discrete models."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

from energylang.diagnostics import Diagnostic, DiagnosticError
from energylang.lower.inversion import finite_peak
from energylang.methods._categorical import draw, summed
from energylang.model import Facts, Info, Point, PRNGKey, Scalar, Target

BATCH = 4096
"""Configurations evaluated together: bounds the memory to this many times that of one evaluation."""


def configuration(facts: Facts, number: Array) -> tuple[Array, ...]:
    """The codes of configuration `number` of 0..states-1: a mixed radix number, the last site the fastest."""
    radices = [k for k, count in zip(facts.cardinalities, facts.sites, strict=True) for _ in range(count)]
    digits = []
    for radix in reversed(radices):
        digits.append(number % radix)
        number = number // radix
    flat = jnp.stack(digits[::-1]) if digits else jnp.zeros(0, jnp.int32)
    ends = [sum(facts.sites[: i + 1]) for i in range(len(facts.sites))]
    return tuple(part.astype(jnp.int32) for part in jnp.split(flat, ends[:-1])) if ends else ()


def configurations(facts: Facts) -> tuple[Array, ...]:
    """Every configuration: int32[N, D_k] per code array, row by row as `log_densities` has them."""
    return jax.vmap(lambda number: configuration(facts, number))(jnp.arange(facts.states))


def log_densities(target: Target, real: Array | None = None) -> Array:
    """The log density of every configuration, float[N], the continuous variables (if any) fixed at `real`."""
    vector = jnp.zeros(0) if real is None else real

    def one(number: Array) -> Array:
        return target.log_density(Point(vector, configuration(target.facts, number)))

    states = target.facts.states
    return lax.map(one, jnp.arange(states), batch_size=min(states, BATCH))


def log_probabilities(target: Target) -> tuple[tuple[Array, ...], Array]:
    """Every configuration, int32[N, D_k] per code array, and its normalised log probability, float[N].

    The oracle of the tests of other methods; the log probabilities are exact up to rounding.
    """
    return configurations(target.facts), jax.nn.log_softmax(log_densities(target))


class EnumerateTable(NamedTuple):
    """sums: of the weights of all configurations, relative to the likeliest, as a tree. log_density: float[N]. log_z: scalar."""

    sums: Array
    log_density: Array
    log_z: Array


class EnumerateState(NamedTuple):
    """x: the Point. log_density: scalar, at x."""

    x: Point
    log_density: Array


@dataclass(frozen=True)
class Enumerate:
    """Exact summation over all configurations of a discrete target, as a path without spans.

    Draws are independent and exact, every weight is log Z up to the rounding of one addition. Cost: one evaluation of
    the log density for each configuration, once; O(log states) for each draw.
    """

    limit: int = 2**20

    @property
    def spans(self) -> int:
        return 0

    def prepare(self, target: Target, key: PRNGKey) -> EnumerateTable:
        facts = target.facts
        if facts.reals:
            message = f"`enumerate` lists configurations, and {facts.reals} unconstrained reals have none to list"
            raise DiagnosticError([Diagnostic("E0646", message, fix="use `nuts`, or `blocks` for a mixed model")])
        if facts.states > self.limit:
            message = f"{facts.states:.4g} configurations are more than `enumerate` may list ({self.limit})"
            fix = "use `gibbs` or `gwg`, or raise its `limit`"
            raise DiagnosticError([Diagnostic("E0645", message, fix=fix)])
        log_density = log_densities(target)
        peak = finite_peak(log_density)
        sums = summed(jnp.exp(log_density - peak))
        return EnumerateTable(sums, log_density, peak[0] + jnp.log(sums[0]))

    def start(self, target: Target, theta: EnumerateTable, key: PRNGKey) -> tuple[EnumerateState, Scalar]:
        number = draw(theta.sums, theta.log_density.shape[0], *jax.random.uniform(key, (2,)))
        log_density = theta.log_density[number]
        x = Point(jnp.zeros(0), configuration(target.facts, number))
        return EnumerateState(x, log_density), log_density - theta.log_z

    def forward(
        self, target: Target, theta: EnumerateTable, span: Array, z: EnumerateState, key: PRNGKey
    ) -> tuple[EnumerateState, Scalar, Info]:
        return z, jnp.zeros_like(z.log_density), {}

    def finish(self, target: Target, theta: EnumerateTable, z: EnumerateState) -> tuple[Point, Scalar]:
        return z.x, z.log_density
