"""The no-U-turn sampler with Stan's warm-up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

from energylang import threefry
from energylang.methods._adaptation import Moments, shrunk
from energylang.methods._trajectories import (
    DIVERGENCE,
    Place,
    Trajectories,
    TrajectoryState,
    TrajectoryTuning,
    leapfrog,
)
from energylang.model import Info, Point, PRNGKey, Target

FEW = 64
"""Reals up to which a dense metric costs little beside a gradient, and a window of warm-up has draws enough for it."""
MOMENTUM, DIRECTIONS, LEAVES = 2, 3, 4
"""Streams of the random numbers of a step."""


class _Drawn(NamedTuple):
    """The point drawn of a tree so far. energy: scalar, the Hamiltonian. log_weight: scalar, of the whole tree."""

    real: Array
    gradient: Array
    log_density: Array
    energy: Array
    log_weight: Array


class _Tree(NamedTuple):
    """What is carried from leaf to leaf.

    left, right, here: the ends of the tree, and where the half that is being added has come to. drawn, total: of the
    tree, the point drawn and the sum of momenta; half, half_total: of the half. leaf: how many the half has; depth: how
    often the tree was doubled. momenta, totals: float[max_tree_depth, R], the first momentum of each open subtree of the
    half, and the sum up to it. turning: of the tree or a subtree.
    """

    left: Place
    right: Place
    here: Place
    drawn: _Drawn
    half: _Drawn
    total: Array
    half_total: Array
    momenta: Array
    totals: Array
    leaf: Array
    depth: Array
    leaves: Array
    acceptance: Array
    turning: Array
    diverging: Array


@dataclass(frozen=True)
class Nuts(Trajectories):
    """NUTS: multinomial, iterative, with the generalised U-turn criterion (Hoffman and Gelman 2014; Betancourt 2017).

    One loop over the leaves of all doublings, so that the gradient is compiled once and chains side by side wait only
    for the longest trajectory; subtrees are found from the binary digits of a leaf's number (Phan et al. 2019).

    Warm-up is Stan's: dual averaging of the step size to `target_acceptance`, the inverse mass matrix from the draws
    of each slow window. No step size is searched for at the start, which would compile the gradient once more:
    from `step_size` dual averaging falls by a factor of five a step, and a trajectory that diverges costs one gradient.

    metric: "diagonal" or "dense" as Stan's, or "auto": up to 64 reals a dense matrix whose correlations are shrunk as far as
    they are noise (`shrunk`), diagonal beyond. "low_rank" is diagonal but for a few directions, learned from draws and
    gradients (`_low_rank.learned`).

    Info: acceptance_rate (mean over the trajectory), diverging (energy error above 1000), step_size, n_steps
    (gradients), tree_depth, reached_max_tree_depth, energy (the Hamiltonian at the new state), energy_error.
    """

    max_tree_depth: int = 10
    metric: Literal["auto", "diagonal", "dense", "low_rank"] = "auto"

    def dense(self, reals: int) -> bool:
        return self.metric == "dense" or (self.metric == "auto" and 1 < reals <= FEW)

    @property
    def low_rank(self) -> bool:
        return self.metric == "low_rank"

    def covariance(self, moments: Moments) -> Array:
        return shrunk(moments) if self.metric == "auto" and moments.squares.ndim == 2 else super().covariance(moments)

    def step(
        self, target: Target, tune: TrajectoryTuning, state: TrajectoryState, key: PRNGKey
    ) -> tuple[TrajectoryState, Info]:
        step_size, root = tune
        real, gradient, log_density = state.x.real, state.gradient, state.log_density
        momentum = threefry.normals(key, real.shape[0], MOMENTUM)
        toss = threefry.words(key, 1, DIRECTIONS)[0]
        before = 0.5 * momentum @ momentum - log_density

        def add(tree: _Tree) -> _Tree:
            right = (toss >> tree.depth.astype(toss.dtype)) & 1 == 1
            first = tree.leaf == 0
            end = jax.tree.map(lambda left, other: jnp.where(right, other, left), tree.left, tree.right)
            start = jax.tree.map(lambda edge, here: jnp.where(first, edge, here), end, tree.here)
            here = leapfrog(target, state.x.code, root, jnp.where(right, step_size, -step_size), start)
            energy = 0.5 * here.momentum @ here.momentum - here.log_density
            error = jnp.where(jnp.isnan(energy - before), jnp.inf, energy - before)
            take, merge = threefry.two_uniforms(key, LEAVES, tree.leaves)

            log_weight = jnp.where(first, -error, jnp.logaddexp(tree.half.log_weight, -error))
            half = _choose(
                first | (jnp.log(take) < -error - log_weight),
                _Drawn(here.real, here.gradient, here.log_density, energy, log_weight),
                tree.half._replace(log_weight=log_weight),
            )
            half_total = jnp.where(first, 0.0, tree.half_total) + here.momentum
            momenta, totals, turned = subtrees(tree.leaf, tree.momenta, tree.totals, here.momentum, half_total)
            diverging = error > DIVERGENCE
            whole = (tree.leaf + 1 == 1 << tree.depth) & ~turned & ~diverging
            merged = tree._replace(
                here=here, half=half, half_total=half_total, momenta=momenta, totals=totals,
                leaf=jnp.where(whole, 0, tree.leaf + 1), leaves=tree.leaves + 1,
                acceptance=tree.acceptance + jnp.exp(-jnp.maximum(error, 0.0)),
                turning=turned, diverging=diverging,
            )  # fmt: skip
            return _choose(whole, self.merge(merged, right, merge), merged)

        def growing(tree: _Tree) -> Array:
            return ~tree.turning & ~tree.diverging & (tree.depth < self.max_tree_depth)

        edge, drawn = (
            Place(real, momentum, gradient, log_density),
            _Drawn(real, gradient, log_density, before, jnp.zeros_like(before)),
        )
        none, no = jnp.zeros((), jnp.int32), jnp.zeros((), bool)
        open_subtrees = jnp.zeros((self.max_tree_depth, real.shape[0]), real.dtype)
        tree = lax.while_loop(growing, add, _Tree(
            edge, edge, edge, drawn, drawn, momentum, momentum, open_subtrees, open_subtrees,
            none, none, none, jnp.zeros_like(before), no, no,
        ))  # fmt: skip
        end = tree.drawn
        info: dict[str, Any] = {
            "acceptance_rate": tree.acceptance / tree.leaves,
            "diverging": tree.diverging,
            "step_size": step_size,
            "n_steps": tree.leaves,
            "tree_depth": tree.depth,
            "reached_max_tree_depth": tree.depth >= self.max_tree_depth,
            "energy": end.energy,
            "energy_error": end.energy - before,
        }
        return TrajectoryState(Point(end.real, state.x.code), end.log_density, end.gradient), info

    def merge(self, tree: _Tree, right: Array, uniform: Array) -> _Tree:
        """The tree with the half that was added: the new half is favoured (Betancourt 2017, appendix A.3.2)."""
        left_end = _choose(right, tree.left, tree.here)
        right_end = _choose(right, tree.here, tree.right)
        log_weight = jnp.logaddexp(tree.drawn.log_weight, tree.half.log_weight)
        taken = jnp.log(uniform) < tree.half.log_weight - tree.drawn.log_weight
        total = tree.total + tree.half_total
        return tree._replace(
            left=left_end, right=right_end, total=total, depth=tree.depth + 1,
            drawn=_choose(taken, tree.half, tree.drawn)._replace(log_weight=log_weight),
            turning=turning(left_end.momentum, right_end.momentum, total),
        )  # fmt: skip


def turning(first: Array, last: Array, total: Array) -> Array:
    """Whether a stretch of the trajectory turns back: its ends' momenta, and the sum of all; float[..., R].

    The ends count half, as in Stan and NumPyro, which is the integral of the momentum by the trapezoid rule.
    """
    middle = total - 0.5 * (first + last)
    return (jnp.sum(first * middle, axis=-1) <= 0) | (jnp.sum(last * middle, axis=-1) <= 0)


def subtrees(leaf: Array, momenta: Array, totals: Array, momentum: Array, total: Array) -> tuple[Array, Array, Array]:
    """After leaf number `leaf`: the momenta and totals of open subtrees, and whether one that this leaf ends turns.

    With a leaf of even number a subtree begins; it is kept at as many places as the number has ones, the last digit aside.
    One of odd number ends a subtree for each of its trailing ones.
    """
    depths = momenta.shape[0]
    last = lax.population_count(leaf >> 1)
    trailing = lax.population_count(leaf & ~(leaf + 1))
    begins = trailing == 0
    momenta = lax.dynamic_update_index_in_dim(momenta, jnp.where(begins, momentum, momenta[last]), last, 0)
    totals = lax.dynamic_update_index_in_dim(totals, jnp.where(begins, total, totals[last]), last, 0)
    place = jnp.arange(depths)
    ended = (place <= last) & (place > last - trailing)
    return momenta, totals, jnp.any(ended & turning(momenta, momentum, total - totals + momenta))


def _choose(condition: Array, yes: Any, no: Any) -> Any:
    return jax.tree.map(lambda new, old: jnp.where(condition, new, old), yes, no)
