"""Targets written by hand, with exact draws: the methods are tested against these before any compiler is involved."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.nn import log_sigmoid
from scipy import stats

from energylang.methods.blocks import merge, restrict
from energylang.model import Facts, Outputs, Point, Selection, TermFact


class Definition(Protocol):
    """The static part of a hand-written target: frozen and hashable, a function of its data."""

    @property
    def facts(self) -> Facts: ...
    @property
    def variables(self) -> Mapping[str, Selection]: ...
    def colouring(self, data: Any) -> tuple[Array, ...]: ...
    def energy(self, data: Any, x: Point) -> Array: ...
    def log_jacobian(self, data: Any, x: Point) -> Array: ...
    def gains(self, data: Any, x: Point) -> tuple[Array, ...]: ...


@partial(
    jax.tree_util.register_dataclass, data_fields=["data", "level", "rest"], meta_fields=["definition", "selection"]
)
@dataclass(frozen=True)
class HandTarget:
    """A Target around a `Definition`; everything but the definition and the selection is a leaf."""

    definition: Any
    data: Any
    level: Array
    rest: Point | None = None
    selection: Selection | None = None

    @property
    def facts(self) -> Facts:
        whole = self.definition.facts
        if self.selection is None:
            return whole
        kept = [(k, len(places)) for k, places in zip(whole.cardinalities, self.selection.code, strict=True) if places]
        gains = whole.gains if kept else "none"
        colours = whole.colours if kept else 0
        return Facts(len(self.selection.real), tuple(k for k, _ in kept), tuple(d for _, d in kept), gains, colours)

    @property
    def variables(self) -> Mapping[str, Selection]:
        return self.definition.variables

    def whole(self, x: Point) -> Point:
        return x if self.selection is None or self.rest is None else merge(self.rest, self.selection, x)

    def part(self, arrays: tuple[Array, ...]) -> tuple[Array, ...]:
        if self.selection is None:
            return arrays
        return restrict(Point(jnp.zeros(self.definition.facts.reals), arrays), self.selection).code

    @property
    def colouring(self) -> tuple[Array, ...]:
        return self.part(self.definition.colouring(self.data))

    def energy(self, x: Point) -> Array:
        return self.level * self.definition.energy(self.data, self.whole(x))

    def log_jacobian(self, x: Point) -> Array:
        return self.definition.log_jacobian(self.data, self.whole(x))

    def log_density(self, x: Point) -> Array:
        return -self.energy(x) + self.log_jacobian(x)

    def gains(self, x: Point) -> tuple[Array, ...]:
        return self.part(tuple(self.level * gain for gain in self.definition.gains(self.data, self.whole(x))))

    def outputs(self, x: Point, key: Array) -> Outputs:
        whole = self.whole(x)
        return Outputs({"real": whole.real} | {f"code_{i}": code for i, code in enumerate(whole.code)})

    def at(self, level: Array) -> HandTarget:
        return replace(self, level=jnp.asarray(level, self.level.dtype))

    def select(self, selection: Selection, rest: Point) -> HandTarget:
        return replace(self, selection=selection, rest=rest)

    def given(self, rest: Point) -> HandTarget:
        return replace(self, rest=rest)


def target(definition: Definition, data: Any) -> HandTarget:
    return HandTarget(definition, data, jnp.ones(()))


# Continuous spaces: one target, a product of a law on each space, so that one program tests them all.

SPACES = ("real", "positive", "unit", "interval", "simplex", "ordered")
CORRELATION = 0.6
CONCENTRATION = np.array([1.0, 2.0, 3.0])


@dataclass(frozen=True)
class Continuous:
    """Independent laws with exact draws, float[10] unconstrained.

    real[2]: normal, correlation 0.6. positive: gamma(2). unit: beta(2, 3). interval(-1, 3): -1 + 4 beta(3, 2).
    simplex[3]: dirichlet(1, 2, 3). ordered[3]: three normals in order. data: float[6], the factor on the log Jacobian
    of each space; ones is right, a zero drops that space's.
    """

    @property
    def facts(self) -> Facts:
        return Facts(10, (), (), "none")

    @property
    def variables(self) -> Mapping[str, Selection]:
        places = {"real": (0, 1), "positive": (2,), "unit": (3,), "interval": (4,), "simplex": (5, 6)}
        return {name: Selection(real, ()) for name, real in (places | {"ordered": (7, 8, 9)}).items()}

    def colouring(self, data: Array) -> tuple[Array, ...]:
        return ()

    def gains(self, data: Array, x: Point) -> tuple[Array, ...]:
        return ()

    def energy(self, data: Array, x: Point) -> Array:
        u = x.real
        quadratic = (u[0] ** 2 + u[1] ** 2 - 2 * CORRELATION * u[0] * u[1]) / (2 * (1 - CORRELATION**2))
        positive = jnp.exp(u[2]) - u[2]
        unit = -log_sigmoid(u[3]) - 2 * log_sigmoid(-u[3])
        interval = -2 * log_sigmoid(u[4]) - log_sigmoid(-u[4])
        simplex = -jnp.sum((CONCENTRATION - 1) * _log_simplex(u[5:7]))
        ordered = 0.5 * jnp.sum(_ordered(u[7:10]) ** 2)
        return quadratic + positive + unit + interval + simplex + ordered

    def log_jacobian(self, data: Array, x: Point) -> Array:
        u = x.real
        stick = u[5] - jnp.log(2.0)
        each = jnp.stack(
            [
                jnp.zeros(()),
                u[2],
                log_sigmoid(u[3]) + log_sigmoid(-u[3]),
                log_sigmoid(u[4]) + log_sigmoid(-u[4]),
                log_sigmoid(stick) + 2 * log_sigmoid(-stick) + log_sigmoid(u[6]) + log_sigmoid(-u[6]),
                u[8] + u[9],
            ]
        )
        return jnp.sum(data * each)

    def draws(self, seed: int, lanes: int) -> Point:
        """Exact draws, float[N, 10], made and unconstrained in float64."""
        rng = np.random.default_rng(seed)
        first = rng.normal(size=lanes)
        second = CORRELATION * first + np.sqrt(1 - CORRELATION**2) * rng.normal(size=lanes)
        simplex = rng.dirichlet(CONCENTRATION, lanes)
        ordered = np.sort(rng.normal(size=(lanes, 3)), axis=1)
        columns = [first, second, np.log(rng.gamma(2, size=lanes))]
        columns += [_logit(rng.beta(2, 3, lanes)), _logit(rng.beta(3, 2, lanes))]
        columns += [_logit(simplex[:, 0]) + np.log(2), _logit(simplex[:, 1] / (simplex[:, 1] + simplex[:, 2]))]
        columns += [ordered[:, 0], *np.log(np.diff(ordered, axis=1)).T]
        return Point(jnp.asarray(np.stack(columns, axis=1), jnp.float32), ())

    def projections(self, real: np.ndarray, space: str) -> list[tuple[np.ndarray, Callable[[Any], Any]]]:
        """Scalars of the constrained values of a space, each with its exact distribution function."""
        u = np.asarray(real, np.float64)
        if space == "real":
            norm = stats.norm.cdf
            spread, narrow = np.sqrt(2 + 2 * CORRELATION), np.sqrt(2 - 2 * CORRELATION)
            sums = [((u[:, 0] + u[:, 1]) / spread, norm), ((u[:, 0] - u[:, 1]) / narrow, norm)]
            return [(u[:, 0], norm), (u[:, 1], norm), *sums]
        if space == "positive":
            return [(np.exp(u[:, 2]), stats.gamma(2).cdf)]
        if space == "unit":
            return [(_sigmoid(u[:, 3]), stats.beta(2, 3).cdf)]
        if space == "interval":
            return [(-1 + 4 * _sigmoid(u[:, 4]), stats.beta(3, 2, loc=-1, scale=4).cdf)]
        if space == "simplex":
            first = _sigmoid(u[:, 5] - np.log(2))
            second = (1 - first) * _sigmoid(u[:, 6])
            values = [first, second, 1 - first - second]
            total = CONCENTRATION.sum()
            return [(v, stats.beta(a, total - a).cdf) for v, a in zip(values, CONCENTRATION, strict=True)]
        values = np.cumsum(np.stack([u[:, 7], np.exp(u[:, 8]), np.exp(u[:, 9])]), axis=0)
        return [(v, partial(_order_statistic, rank)) for rank, v in enumerate(values)]


PROJECTIONS = 13
"""How many scalars `Continuous.projections` compares over all spaces."""


def _log_simplex(u: Array) -> Array:
    """Log of stick-breaking, as Stan's: float[2] to float[3]."""
    first = u[0] - jnp.log(2.0)
    rest = log_sigmoid(-first)
    return jnp.stack([log_sigmoid(first), rest + log_sigmoid(u[1]), rest + log_sigmoid(-u[1])])


def _ordered(u: Array) -> Array:
    return jnp.cumsum(jnp.concatenate([u[:1], jnp.exp(u[1:])]))


def _logit(p: np.ndarray) -> np.ndarray:
    return np.log(p) - np.log1p(-p)


def _sigmoid(u: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-u))


def _order_statistic(rank: int, value: np.ndarray) -> np.ndarray:
    return stats.binom.sf(rank, 3, stats.norm.cdf(value))


# Discrete spaces: pairwise energies of features of the codes.


@dataclass(frozen=True)
class Pairwise:
    """E = -sum_i b_i[c_i] - 1/2 sum_ij J_ij f(c_i) . f(c_j), over code arrays of several cardinalities.

    A spin and a binary model are one program: they differ in the data, f = (-1, 1) or (0, 1). With `gains` "estimate"
    the gains are spoilt on purpose, as those from a relaxation would be.

    data: bias (float[D_k, k] each), coupling (float[D, D], symmetric, no diagonal), features (float[k, F] each),
    colours (int32[D_k] each).
    """

    cardinalities: tuple[int, ...]
    sites: tuple[int, ...]
    quality: str = "exact"
    colours: int = 2
    terms: tuple[TermFact, ...] = ()

    @property
    def facts(self) -> Facts:
        return Facts(0, self.cardinalities, self.sites, self.quality, self.colours, terms=self.terms)  # pyright: ignore

    @property
    def variables(self) -> Mapping[str, Selection]:
        count = len(self.sites)
        return {
            f"s{i}": Selection((), tuple(tuple(range(d)) if j == i else () for j in range(count)))
            for i, d in enumerate(self.sites)
        }

    def colouring(self, data: Any) -> tuple[Array, ...]:
        return data["colours"]

    def _features(self, data: Any, x: Point) -> Array:
        return jnp.concatenate([table[code] for table, code in zip(data["features"], x.code, strict=True)])

    def energy(self, data: Any, x: Point) -> Array:
        features = self._features(data, x)
        single = sum(
            jnp.take_along_axis(bias, code[:, None], axis=1).sum()
            for bias, code in zip(data["bias"], x.code, strict=True)
        )
        return -single - 0.5 * jnp.sum(features * (data["coupling"] @ features))

    def log_jacobian(self, data: Any, x: Point) -> Array:
        return jnp.zeros(())

    def gains(self, data: Any, x: Point) -> tuple[Array, ...]:
        field = data["coupling"] @ self._features(data, x)
        gains, start = [], 0
        for bias, table, code in zip(data["bias"], data["features"], x.code, strict=True):
            count = code.shape[0]
            log_weight = bias + field[start : start + count] @ table.T
            exact = log_weight - jnp.take_along_axis(log_weight, code[:, None], axis=1)
            gains.append(exact if self.quality == "exact" else 0.6 * exact + 0.3 * jnp.sin(3.0 * exact))
            start += count
        return tuple(gains)


def pairwise(
    values: Mapping[int, np.ndarray], sites: Mapping[int, int], quality: str = "exact", dense: bool = False,
    known: bool = False,
) -> HandTarget:  # fmt: skip
    """A pairwise target: feature tables and numbers of sites by cardinality; bipartite (two colours) unless `dense`.

    known: whether its facts say that it is pairwise.
    """
    rng = np.random.default_rng(7)
    cardinalities = tuple(sorted(sites))
    counts = tuple(sites[k] for k in cardinalities)
    sites_of = list(zip(cardinalities, counts, strict=True))
    total = sum(counts)
    coupling = rng.normal(0, 0.5, (total, total))
    colours = np.arange(total) % 2
    if not dense:
        coupling = coupling * (colours[:, None] != colours[None, :])
    coupling = np.triu(coupling, 1) + np.triu(coupling, 1).T
    data = {
        "bias": tuple(jnp.asarray(rng.normal(0, 0.4, (d, k)), jnp.float32) for k, d in sites_of),
        "coupling": jnp.asarray(coupling, jnp.float32),
        "features": tuple(jnp.asarray(values[k], jnp.float32) for k in cardinalities),
        "colours": tuple(jnp.asarray(c, jnp.int32) for c in np.split(colours, np.cumsum(counts)[:-1])),
    }
    terms = (TermFact("gather", total * total, 2, "J"),) if known else ()
    return target(Pairwise(cardinalities, counts, quality, 0 if dense else 2, terms), data)


SPIN = {2: np.array([[-1.0, 0, 0], [1, 0, 0]])}
BINARY = {2: np.array([[0.0, 0, 0], [1, 0, 0]])}
CATEGORICAL = {3: np.eye(3)}


def discrete(space: str, quality: str = "exact", dense: bool = False, known: bool = False) -> HandTarget:
    """The target of a discrete space: spin[6], binary[6], cat(3)[4], or mixed binary[3] with cat(3)[2]."""
    if space == "mixed":
        return pairwise(BINARY | CATEGORICAL, {2: 3, 3: 2}, quality, dense, known)
    values = {"spin": SPIN, "binary": BINARY, "categorical": CATEGORICAL}[space]
    return pairwise(values, {3: 4} if space == "categorical" else {2: 6}, quality, dense, known)


DISCRETE = ("spin", "binary", "categorical", "mixed")


def numbers(facts: Facts, code: tuple[Array, ...]) -> np.ndarray:
    """The configuration number, 0..states-1, of each row of codes; the order is that of `enumerate`."""
    result = np.zeros(np.asarray(code[0]).shape[0], np.int64)
    for cardinality, array in zip(facts.cardinalities, code, strict=True):
        for column in np.asarray(array).T:
            result = result * cardinality + column
    return result


# A mixed target: a discrete part whose value moves a continuous one.


@dataclass(frozen=True)
class Mixture:
    """z ~ categorical(w) over 3, s ~ a spin with field 0.3, x | z, s ~ normal(2 z + s, 0.7), y | z ~ gamma(1 + z).

    x is real and y positive: float[2] unconstrained. data: float, the factor on the log Jacobian (one is right).
    """

    weights: tuple[float, ...] = (0.2, 0.5, 0.3)
    deviation: float = 0.7

    @property
    def facts(self) -> Facts:
        return Facts(2, (2, 3), (1, 1), "exact", 2)

    @property
    def variables(self) -> Mapping[str, Selection]:
        return {
            "x": Selection((0,), ((), ())),
            "y": Selection((1,), ((), ())),
            "s": Selection((), ((0,), ())),
            "z": Selection((), ((), (0,))),
        }

    def colouring(self, data: Array) -> tuple[Array, ...]:
        return (jnp.zeros(1, jnp.int32), jnp.ones(1, jnp.int32))

    def energy(self, data: Array, x: Point) -> Array:
        return -self._log_joint(x.real, 2.0 * x.code[0][0] - 1.0, x.code[1][0])

    def _log_joint(self, real: Array, s: Array, z: Array) -> Array:
        residual = (real[0] - 2.0 * z - s) / self.deviation
        log_gamma = z * real[1] - jnp.exp(real[1]) - jax.scipy.special.gammaln(1.0 + z)
        return jnp.log(jnp.asarray(self.weights))[z] + 0.3 * s - 0.5 * residual**2 + log_gamma

    def log_jacobian(self, data: Array, x: Point) -> Array:
        return data * x.real[1]

    def gains(self, data: Array, x: Point) -> tuple[Array, ...]:
        s, z = 2.0 * x.code[0][0] - 1.0, x.code[1][0]
        here = self._log_joint(x.real, s, z)
        flips = jax.vmap(lambda value: self._log_joint(x.real, value, z))(jnp.array([-1.0, 1.0]))
        moves = jax.vmap(lambda value: self._log_joint(x.real, s, value))(jnp.arange(3))
        return (flips - here)[None], (moves - here)[None]

    def probabilities(self) -> np.ndarray:
        """Of the six configurations (s, z), in the order of `numbers`."""
        spin = np.exp([-0.3, 0.3]) / np.sum(np.exp([-0.3, 0.3]))
        return np.outer(spin, self.weights).ravel()

    def draws(self, seed: int, lanes: int) -> Point:
        rng = np.random.default_rng(seed)
        number = rng.choice(6, size=lanes, p=self.probabilities())
        s, z = number // 3, number % 3
        x = 2.0 * z + (2.0 * s - 1.0) + self.deviation * rng.normal(size=lanes)
        real = np.stack([x, np.log(rng.gamma(1.0 + z))], axis=1)
        code = (jnp.asarray(s[:, None], jnp.int32), jnp.asarray(z[:, None], jnp.int32))
        return Point(jnp.asarray(real, jnp.float32), code)

    def projections(self, x: Point) -> list[tuple[np.ndarray, Callable[[Any], Any]]]:
        """Uniform where x and y have their conditional laws given the discrete part."""
        real = np.asarray(x.real, np.float64)
        s, z = 2.0 * np.asarray(x.code[0])[:, 0] - 1.0, np.asarray(x.code[1])[:, 0]
        first = stats.norm.cdf((real[:, 0] - 2.0 * z - s) / self.deviation)
        return [(first, stats.uniform.cdf), (stats.gamma.cdf(np.exp(real[:, 1]), 1.0 + z), stats.uniform.cdf)]
