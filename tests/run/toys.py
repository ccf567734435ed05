"""Small targets and kernels that the tests of the drivers run."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from energylang.model import Facts, Outputs, Player, Point, Selection, fold

LANES = {"cpu": 1, "accelerator": 8}


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Gaussian:
    """A correlated normal `x` of any length, and `spins` independent spins of their own field."""

    factor: Any  # float[n, n]: precision = factor factor'
    mean: Any
    field: Any  # float[spins]
    beta: Any

    @property
    def facts(self) -> Facts:
        spins = self.field.shape[0]
        return Facts(self.mean.shape[0], (2,) if spins else (), (spins,) if spins else (), "exact" if spins else "none")

    @property
    def variables(self) -> dict[str, Selection]:
        reals, spins = self.mean.shape[0], self.field.shape[0]
        found = {"x": Selection(tuple(range(reals)), ((),) if spins else ())}
        return {**found, "s": Selection((), (tuple(range(spins)),))} if spins else found

    def energy(self, x: Point) -> Array:
        total = 0.5 * jnp.sum(jnp.square((x.real - self.mean) @ self.factor))
        if x.code:
            total = total - jnp.sum(self.field * (2 * x.code[0] - 1))
        return self.beta * total

    def log_jacobian(self, x: Point) -> Array:
        return jnp.zeros(())

    def log_density(self, x: Point) -> Array:
        return -self.energy(x)

    def outputs(self, x: Point, key: Array) -> Outputs:
        found = {"x": x.real} if self.mean.shape[0] else {}
        drawn = {"noise": jax.random.normal(key, (2,))}
        return Outputs({**found, "s": (2 * x.code[0] - 1).astype(jnp.int8)} if x.code else found, drawn)


def gaussian(length: int = 3, spins: int = 2, seed: int = 0) -> Gaussian:
    generator = np.random.default_rng(seed)
    factor = np.eye(length) + 0.3 * np.tril(generator.normal(size=(length, length)), -1)
    return Gaussian(
        factor.astype(np.float32),
        np.arange(length, dtype=np.float32),
        np.linspace(-0.5, 0.5, spins, dtype=np.float32),
        np.float32(1.0),
    )


class State(NamedTuple):
    x: Point
    log_density: Array


class Tune(NamedTuple):
    step_size: Array
    scale: Array


@dataclass(frozen=True)
class Metropolis:
    """Random-walk Metropolis on reals and single flips of codes; adapts its step and its scale."""

    slow: int = 0  # extra work a step
    scope: Any = "chain"
    reject: bool = False

    def init(self, target: Any, x: Point, key: Any) -> State:
        return State(x, target.log_density(x))

    def refresh(self, target: Any, state: State) -> State:
        return State(state.x, target.log_density(state.x))

    def step(self, target: Any, tune: Tune, state: State, key: Any) -> tuple[State, dict[str, Array]]:
        noise = jax.random.normal(fold(key, 0), state.x.real.shape)
        real = state.x.real + tune.step_size * tune.scale * noise
        code = state.x.code
        if code:
            at = jax.random.randint(fold(key, 1), (), 0, code[0].shape[0])
            code = (code[0].at[at].set(1 - code[0][at]),)
        x = Point(real, code)
        density = target.log_density(x)
        if self.slow:
            wasted = jax.lax.fori_loop(0, self.slow, lambda i, a: jnp.sin(a) + 1e-3, density)
            density = density + 0.0 * jnp.where(jnp.isfinite(wasted), 1.0, 0.0)
        ratio = density - state.log_density
        accept = jnp.log(jax.random.uniform(fold(key, 2))) < ratio
        if self.reject:
            accept = jnp.zeros((), bool)
        new = jax.tree.map(lambda a, b: jnp.where(accept, a, b), State(x, density), state)
        rate = jnp.minimum(1.0, jnp.exp(ratio))
        info = {
            "acceptance_rate": jnp.zeros(()) if self.reject else rate,
            "diverging": ratio < -1000,
            "step_size": tune.step_size,
        }
        return new, info

    def tuning(self, target: Any) -> tuple[Tune, Any]:
        reals = target.facts.reals
        zero = jnp.zeros(reals)
        return Tune(jnp.float32(0.5), jnp.ones(reals)), (jnp.int32(0), zero, zero)

    def adapt(self, phase: Any, tune: Tune, memory: Any, state: State, info: Any) -> tuple[Tune, Any]:
        step_size = tune.step_size * jnp.exp(0.1 * (info["acceptance_rate"] - 0.4) * (1.1 - phase.progress))
        count, mean, square = memory
        count = count + phase.slow
        delta = state.x.real - mean
        mean = jnp.where(phase.slow, mean + delta / jnp.maximum(count, 1), mean)
        square = jnp.where(phase.slow, square + delta * (state.x.real - mean), square)
        learned = jnp.sqrt(square / jnp.maximum(count - 1, 1) + 1e-3)
        scale = jnp.where(phase.window_end, learned, tune.scale)
        keep = ~phase.window_end
        return Tune(step_size, scale), (count * keep, mean * keep, square * keep)


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Normal:
    """A normalised energy to train: x ~ normal(mu, exp(log_sigma)), two parameters."""

    params: dict[str, Any]
    buffers: ClassVar[tuple[str, ...]] = ()

    def with_params(self, params: dict[str, Any]) -> Normal:
        return replace(self, params=params)

    def begun(self, batch: Any, key: Any) -> Normal:
        return self

    def settled(self) -> Normal:
        return self

    def rows(self, values: Any) -> Array:
        return jax.vmap(self)(dict(values))

    def __call__(self, values: Any) -> Array:
        mu, log_sigma = self.params["mu"], self.params["log_sigma"]
        return 0.5 * jnp.square((values["x"] - mu) / jnp.exp(log_sigma)) + log_sigma + 0.5 * jnp.log(2 * jnp.pi)

    def target(self, conditions: Any) -> Any:
        raise NotImplementedError


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Standardised(Normal):
    """A normal around `centre`, a buffer: the mean of the first batch, and one more after every step."""

    buffers: ClassVar[tuple[str, ...]] = ("centre",)

    def begun(self, batch: Any, key: Any) -> Standardised:
        return Standardised({**self.params, "centre": jnp.mean(batch["x"])})

    def settled(self) -> Standardised:
        return Standardised({**self.params, "centre": self.params["centre"] + 1})


def normal() -> Normal:
    return Normal({"mu": np.float32(0), "log_sigma": np.float32(0)})


@dataclass(frozen=True)
class Likelihood:
    """Maximum likelihood by one player, or by two that own a parameter each."""

    players: tuple[Player, ...] = (Player("model"),)
    broken: bool = False

    def init(self, model: Any, key: Any) -> Array:
        return jnp.int32(0)

    def loss(self, player: Player, model: Any, memory: Array, batch: Any, key: Any) -> Any:
        loss = jnp.mean(jax.vmap(model)(batch))
        loss = jnp.where(memory >= 50, jnp.nan, loss) if self.broken else loss
        return loss, (memory + 1, {"noise": jax.random.uniform(key)})
