"""Data augmentation: hidden variables that an energy sums out are drawn, then its own variables given them."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate
from typing import cast

import jax.numpy as jnp
from jax import Array

from energylang.methods._uncached import Uncached, UncachedState
from energylang.methods.gibbs import by_colour
from energylang.model import Augmented, Facts, Info, Point, PRNGKey, Target
from energylang.threefry import uniforms


@dataclass(frozen=True)
class DataAugmentation(Uncached):
    """Data augmentation (Tanner and Wong 1987), of restricted Boltzmann machines layer-wise Gibbs sampling (Hinton 2002).

    The compiler finds the joint energy of which the target is a sum over hidden variables: those of a `marginal`, and a binary one
    for every entry of `-softplus(a)`. A step draws all hidden variables from their law given the others, exactly and at once,
    then sweeps over the others given them, the sites of one colour at once. Both leave the joint law invariant, so a step
    leaves the target's own law invariant without any rejection; the hidden variables are not kept, as the next step draws them
    anew.

    Info: acceptance_rate (always one).
    """

    def step(self, target: Target, tune: tuple[()], state: UncachedState, key: PRNGKey) -> tuple[UncachedState, Info]:
        joint = cast(Augmented, target).augmented()
        x = _beside_hidden(state.x, target.facts, joint.facts)
        parts = jnp.split(uniforms(key, joint.facts.discrete), list(accumulate(joint.facts.sites))[:-1])
        code = self._sweep(joint, x, tuple(parts))
        return UncachedState(_without_hidden(code, state.x, target.facts, joint.facts)), {
            "acceptance_rate": jnp.ones(())
        }

    def _sweep(self, joint: Target, x: Point, parts: tuple[Array, ...]) -> tuple[Array, ...]:
        """All sites of the joint target drawn anew: colour 0 has the hidden ones, so that they are first."""
        return by_colour(joint, x, parts)

    def tuning(self, target: Target) -> tuple[tuple[()], tuple[()]]:
        cast(Augmented, target).augmented()
        return (), ()


def _beside_hidden(x: Point, own: Facts, joint: Facts) -> Point:
    """The joint Point with any values, as they are drawn before they are read, for hidden sites."""
    code = []
    for cardinality, sites in zip(joint.cardinalities, joint.sites, strict=True):
        mine = (
            x.code[own.cardinalities.index(cardinality)]
            if cardinality in own.cardinalities
            else jnp.zeros(0, jnp.int32)
        )
        code.append(jnp.pad(mine, (0, sites - mine.shape[0])))
    return Point(x.real, tuple(code))


def _without_hidden(code: tuple[Array, ...], x: Point, own: Facts, joint: Facts) -> Point:
    arrays = [code[joint.cardinalities.index(cardinality)] for cardinality in own.cardinalities]
    return Point(x.real, tuple(array[:sites] for array, sites in zip(arrays, own.sites, strict=True)))
