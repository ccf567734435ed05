"""Starting points of chains: random, and tried again until density and gradient are finite; or what Pathfinder finds."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from energylang.diagnostics import Diagnostic, DiagnosticError
from energylang.model import UNBOUNDED, Point, PRNGKey, Target, fold
from energylang.run import keys
from energylang.run.starts import Given, Starts

TRIES = 100
RADIUS = 2.0
SHRINK = 0.95
"""Stan draws from uniform(-2, 2) a hundred times; here the radius shrinks too, to 0.01 at the last try."""
PATHS = 16
"""Of a chain's own search: a mode that a path in three finds is missed by one chain in 650."""


class Trial(NamedTuple):
    """One attempt, of one chain: what of it was finite. `gradient` is bool[R]."""

    tries: Array
    x: Point
    energy: Array
    jacobian: Array
    gradient: Array

    @property
    def good(self) -> Array:
        return self.energy & self.jacobian & jnp.all(self.gradient)


def given_of(init: str | Starts) -> tuple[Given, Given] | None:
    """Values and where there are any, as programs take them (at the precision of the run); None where none were given."""
    if isinstance(init, str):
        return None
    return init.point._replace(real=init.point.real.astype(jnp.result_type(float))), init.known


def initial_point(
    target: Target, key: PRNGKey, chain: Array | int = 0, given: tuple[Given, Given] | None = None
) -> Trial:
    """The first attempt that is finite, or the last one: uniform reals, uniform codes, and what is given."""
    facts = target.facts

    def known(part: Array, values: Array, there: Array) -> Array:
        return jnp.where(there, jnp.asarray(values)[jnp.minimum(chain, values.shape[0] - 1)], part)

    def attempt(number: Array) -> Trial:
        radius = RADIUS * SHRINK**number
        real = radius * jax.random.uniform(fold(key, number, 0), (facts.reals,), minval=-1.0, maxval=1.0)
        code = tuple(
            _codes(fold(key, number, 1, place), cardinality, sites, radius)
            for place, (cardinality, sites) in enumerate(zip(facts.cardinalities, facts.sites, strict=True))
        )
        if given is not None:
            values, there = given
            real = known(real, values.real, there.real)
            code = tuple(known(*parts) for parts in zip(code, values.code, there.code, strict=True))
        x = Point(real, code)

        def density(real: Array) -> tuple[Array, tuple[Array, Array]]:
            energy, jacobian = target.energy(Point(real, code)), target.log_jacobian(Point(real, code))
            return jacobian - energy, (energy, jacobian)

        if facts.reals:
            gradient, (energy, jacobian) = jax.grad(density, has_aux=True)(real)
        else:
            gradient, (_, (energy, jacobian)) = real, density(real)
        return Trial(number + 1, x, jnp.isfinite(energy), jnp.isfinite(jacobian), jnp.isfinite(gradient))

    # The loop starts from an attempt that failed, so that the density is compiled once.
    blank = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), jax.eval_shape(attempt, jnp.int32(0)))
    return jax.lax.while_loop(
        lambda trial: ~((trial.tries > 0) & trial.good) & (trial.tries < TRIES),
        lambda trial: attempt(trial.tries),
        blank,
    )


def starting_point(
    init: str | Starts, target: Target, key: PRNGKey, chain: Array, given: tuple[Given, Given] | None = None
) -> Trial:
    """Where one chain starts; key: that of the run. given: `given_of(init)`, so that a program can take it as an argument."""
    if init == "pathfinder" and target.facts.reals:
        return _searched(target, fold(key, keys.SEARCH, chain))
    return initial_point(target, fold(key, keys.INITIAL, chain), chain, given)


def _searched(target: Target, key: PRNGKey) -> Trial:
    """A draw of the best of PATHS approximations, each from a random start of its own; a random start where all fail."""
    from energylang.methods._pathfinder import pathfinder

    def path(number: Array) -> tuple[Trial, Array]:
        trial = initial_point(target, fold(key, number))
        found = pathfinder(target, trial.x, fold(key, PATHS))
        worst = jnp.finfo(found.elbo.dtype).min
        rank = jnp.where(trial.good, jnp.maximum(found.elbo, worst), -jnp.inf)
        return trial._replace(x=trial.x._replace(real=found.draw)), rank

    trials, ranks = jax.lax.map(path, jnp.arange(PATHS))
    best = jnp.argmax(ranks)
    return jax.tree.map(lambda leaf: leaf[best], trials)


def _codes(key: PRNGKey, cardinality: int, sites: int, radius: Array) -> Array:
    """Uniform codes; counts whose log is as far out as reals are."""
    if cardinality != UNBOUNDED:
        return jax.random.randint(key, (sites,), 0, cardinality, jnp.int32)
    return jnp.exp(radius * jax.random.uniform(key, (sites,), minval=-1.0, maxval=1.0)).astype(jnp.int32)


def require_start(target: Target, trials: Trial, init: str | Starts = "random") -> None:
    """Raise E0801, or E0865 where all was given, if a chain found no start; `trials` are host arrays with a leading dim
    of chains."""
    good = trials.energy & trials.jacobian & np.all(trials.gradient, axis=1)
    if np.all(good):
        return
    bad = int(np.argmin(good))
    if not trials.energy[bad]:
        what = "the energy is not finite"
    elif not trials.jacobian[bad]:
        what = "the Jacobian of the map to the constrained space is not finite"
    else:
        what = f"the gradient is not finite in {_named(target, ~np.asarray(trials.gradient[bad]))}"
    if isinstance(init, Starts) and init.whole:
        problem = f"chain {bad} cannot start where {init.label} says: {what}"
        raise DiagnosticError(
            [Diagnostic("E0865", problem, fix="start it where the energy is finite, or leave some variables out")]
        )
    raise DiagnosticError(
        [
            Diagnostic(
                "E0801",
                f"{int(np.sum(~good))} of {good.size} chains found no place to start: {what}",
                cause=f"{TRIES} random points were tried, ever nearer to the middle of each space; the last one is meant.",
                fix=_support(target),
            )
        ]
    )


def _support(target: Target) -> str:
    """What to do where no random point has a finite energy."""
    formula = "look for log(0), 0/0 and overflow in the energy (`--x64` tells overflow from a wrong formula)"
    if target.facts.reals:
        return f"narrow the space of the variables that leave the support, or {formula}"
    return f"say where to start, `--init start.json`, or let what is forbidden cost a finite energy instead of `infinity`; else {formula}"


def _named(target: Target, where: np.ndarray) -> str:
    names = [name for name, selection in target.variables.items() if np.any(where[list(selection.real)])]
    return ", ".join(f"`{name}`" for name in names) or "an unnamed variable"
