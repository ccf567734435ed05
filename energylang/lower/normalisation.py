"""Whether a `distribution` keeps its promise: its total mass at random arguments, by quadrature or summation in float64.

Continuous variables are integrated in double-exponential coordinates (Takahasi and Mori 1974), which reach the ends of
every space and its singularities there: one by adaptive quadrature, two by the trapezoidal rule on a grid, its error the
difference from the rule on every other point. Finite variables are summed; counts until nothing is added.
"""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from math import inf, prod
from typing import Any

import numpy as np
from scipy import integrate

from energylang.diagnostics import Diagnostic
from energylang.ir.nodes import Condition, Energy, Expr, Program, Symbol, Variable, symbols
from energylang.ir.types import Space
from energylang.lower.evaluate import evaluate
from energylang.lower.operations import NUMPY

ARGUMENTS = 2
"""How many random arguments each distribution is looked at."""
TRIES = 60
WIDTH = {1: 4.2, 2: 3.4}
"""Of double-exponential coordinates: values reach exp(52) and exp(23)."""
COARSE, FINEST = 48, 192
"""Points along each of two axes."""
MOST_COUNT = 2**14
LARGEST_TABLE = 40_000


@dataclass(frozen=True)
class Mass:
    """The mass of a distribution at some arguments, with a bound of its error."""

    value: float
    error: float
    arguments: dict[str, np.ndarray]

    @property
    def wrong(self) -> bool:
        return not abs(self.value - 1.0) <= 1e-5 + 3.0 * self.error


class Unverifiable(Exception):
    """A distribution that these rules cannot integrate; the text says why."""


def normalisation(program: Program) -> list[Diagnostic]:
    """What is wrong with the distributions that a model declares: E0423 where a mass is not one, L0120 where it is not known."""
    found = []
    for energy in program.distributions:
        try:
            wrong = [mass for mass in masses(energy) if mass.wrong]
        except Unverifiable as reason:
            found.append(Diagnostic("L0120", f"`{energy.name}` is not verified: {reason}", energy.span))
            continue
        if wrong:
            worst = max(wrong, key=lambda mass: abs(mass.value - 1.0))
            given = ", ".join(f"{name} = {_short(value)}" for name, value in worst.arguments.items())
            found.append(
                Diagnostic(
                    "E0423", f"the mass of `{energy.name}` is {worst.value:.6g} ± {worst.error:.1g}, not 1", energy.span,
                    cause=f"at {given}" if given else "", fix=_advice(worst, energy),
                )
            )  # fmt: skip
    return found


def _short(value: np.ndarray) -> str:
    return np.array2string(np.asarray(value), precision=4, separator=", ").replace("\n", "")


def _advice(mass: Mass, energy: Energy) -> str:
    if not np.isfinite(mass.value) or mass.value <= 0:
        return "look for NaN and infinite energies inside the space of its variables"
    return f"add log of this mass, here {np.log(mass.value):.6g}, as a function of the arguments; or declare it as an `energy`"


def masses(energy: Energy, seed: int = 0) -> list[Mass]:
    """The mass at some random arguments. Raises Unverifiable."""
    outside = [s.name for s in symbols(*(t.value for t in energy.terms)) if not isinstance(s, Variable | Condition)]
    if outside:
        raise Unverifiable(f"it depends on `{outside[0]}`")
    dims = _dims(energy)
    random = np.random.default_rng(seed)
    return [_mass(energy, dims, random) for _ in range(ARGUMENTS if energy.conditions else 1)]


def _dims(energy: Energy) -> dict[str, int]:
    """Two entries for every axis, three where an event of two would have only one free entry."""
    every = [s.space for s in (*energy.variables, *energy.conditions)]
    names = {
        n
        for space in every
        for d in (*space.shape, *([space.cardinality] if space.cardinality else []))
        for n in d.names
    }
    three = {
        n
        for space in every
        if space.kind in ("simplex", "cat")
        for d in (*space.shape, space.cardinality)
        if d
        for n in d.names
    }
    return {name: 3 if name in three else 2 for name in names}


def _mass(energy: Energy, dims: Mapping[str, int], random: np.random.Generator) -> Mass:
    for _ in range(TRIES):
        environment: dict[Symbol, Any] = {}
        for condition in energy.conditions:
            environment[condition] = _argument(condition.space, _sizes(condition.space, dims), random)
        bounds = [_bounds(v.space, environment, dims) for v in energy.variables]
        if all(np.all(np.asarray(low) < high) for low, high in bounds):
            break
    else:
        raise Unverifiable("no arguments were found that leave an interval")
    spaces = [(v, _sizes(v.space, dims), low, high) for v, (low, high) in zip(energy.variables, bounds, strict=True)]

    def density(values: Iterable[Any]) -> float:
        inner = {**environment, **dict(zip(energy.variables, values, strict=True))}
        with np.errstate(all="ignore"):
            total = sum(evaluate([t.value for t in energy.terms], inner, dims, NUMPY))
        return float(np.exp(-np.float64(total)))

    discrete = [v.space.discrete for v in energy.variables]
    if all(discrete):
        value, error = _sum(density, spaces, dims)
    elif not any(discrete):
        value, error = _integral(density, spaces)
    else:
        raise Unverifiable("it mixes discrete and continuous variables")
    return Mass(value, error, {c.name: environment[c] for c in energy.conditions})


def _sizes(space: Space, dims: Mapping[str, int]) -> tuple[int, ...]:
    return tuple(d.evaluate(dims) for d in space.shape)


def _bounds(space: Space, environment: Mapping[Symbol, Any], dims: Mapping[str, int]) -> tuple[Any, Any]:
    def number(bound: float | Expr | None, none: float) -> Any:
        if isinstance(bound, Expr):
            return evaluate([bound], environment, dims, NUMPY)[0]
        return none if bound is None else bound

    ends = {"unit": (0.0, 1.0), "positive": (0.0, inf)}.get(space.kind, (-inf, inf))
    return number(space.low, ends[0]), number(space.high, ends[1])


def _argument(space: Space, shape: tuple[int, ...], random: np.random.Generator) -> np.ndarray:
    """A value of a space, of the order of one; a square matrix of reals is drawn symmetric and positive definite."""
    match space.kind:
        case "positive":
            return 0.3 + np.exp(0.5 * random.normal(size=shape))
        case "unit":
            return random.uniform(0.1, 0.9, shape)
        case "interval":
            low, high = (b if isinstance(b, int | float) and abs(b) < inf else None for b in (space.low, space.high))
            low = low if low is not None else -1.0 if high is None else high - 2.0
            return low + ((high if high is not None else low + 2.0) - low) * random.uniform(0.1, 0.9, shape)
        case "simplex":
            draws = random.exponential(size=shape)
            return draws / draws.sum(-1, keepdims=True)
        case "ordered" | "positive_ordered":
            return np.cumsum(random.uniform(0.2, 1.0, shape), axis=-1)
        case "corr_cholesky" | "cov_cholesky":
            lower = np.tril(random.normal(size=shape), -1) + np.eye(shape[-1])
            return lower / np.linalg.norm(lower, axis=-1, keepdims=True)
        case "spin":
            return 2 * random.integers(0, 2, shape) - 1
        case "binary" | "bool":
            return random.integers(0, 2, shape)
        case "cat":
            return random.integers(0, 2, shape)
        case "count" | "int":
            return random.integers(1, 7, shape)
    if len(shape) >= 2 and shape[-1] == shape[-2]:
        factor = random.normal(size=shape)
        return factor @ np.swapaxes(factor, -1, -2) + 0.5 * np.eye(shape[-1])
    return random.normal(size=shape)


# --- sums -------------------------------------------------------------------------------------------------------

Described = list[tuple[Variable, tuple[int, ...], Any, Any]]


def _sum(density: Callable[[Iterable[Any]], float], spaces: Described, dims: Mapping[str, int]) -> tuple[float, float]:
    """(the sum over all values, the mass that a longer sum might add)."""
    entries = sum(prod(shape) for _, shape, _, _ in spaces)
    counts = any(v.space.kind == "count" for v, _, _, _ in spaces)
    top = 8 if counts else 0
    before = last = 0.0
    while True:
        axes = [_values(v.space, top, dims) for v, shape, _, _ in spaces for _ in range(prod(shape))]
        if prod(len(a) for a in axes) > LARGEST_TABLE:
            if before == 0.0:
                raise Unverifiable(f"its {entries} discrete entries have too many values together")
            return before, max(last, 1e-4)
        total = sum(density(_unflattened(point, spaces)) for point in itertools.product(*axes))
        last = abs(total - before)
        before = total
        if not counts or last < 1e-9 or top >= MOST_COUNT or not np.isfinite(total):
            return total, last if counts else 0.0
        top = 2 * top


def _values(space: Space, top: int, dims: Mapping[str, int]) -> list[int]:
    if space.kind == "spin":
        return [-1, 1]
    values = space.values
    return list(range(top if values is None else values.evaluate(dims)))


def _unflattened(point: Any, spaces: Described) -> list[Any]:
    found, start = [], 0
    for _, shape, _, _ in spaces:
        size = prod(shape)
        found.append(np.reshape(np.asarray(point[start : start + size]), shape))
        start += size
    return found


# --- integrals --------------------------------------------------------------------------------------------------


def _integral(density: Callable[[Iterable[Any]], float], spaces: Described) -> tuple[float, float]:
    maps = [_Coordinates(v.space, shape, low, high) for v, shape, low, high in spaces]
    free = sum(m.free for m in maps)
    if free not in (1, 2):
        raise Unverifiable(f"its variables have {free} free entries, and at most 2 are integrated")
    width = WIDTH[free]
    steep = np.concatenate([m.steep for m in maps])

    def integrand(*entries: float, left_out: float = 0.0) -> float:
        t = np.asarray(entries)
        inner, slope = 0.5 * np.pi * np.sinh(t), np.log(0.5 * np.pi * np.cosh(t))
        u = np.where(steep, inner, np.sinh(inner))
        log_slope = float(np.sum(np.where(steep, slope, slope + np.log(np.cosh(inner)))))
        points, start = [], 0
        for m in maps:
            point, log_volume = m.point(u[start : start + m.free])
            points.append(point)
            log_slope += log_volume
            start += m.free
        if not all(np.all(np.isfinite(p)) for p in points) or not np.isfinite(log_slope):
            return left_out
        found = density(points)
        return found * float(np.exp(log_slope)) if found else found

    if free == 1:
        t = np.linspace(-width, width, 49)
        lost = _beyond(np.array([integrand(a, left_out=-1.0) for a in t]), t[1] - t[0])
        with warnings.catch_warnings():
            # What quadrature cannot settle is in its error.
            warnings.simplefilter("ignore", integrate.IntegrationWarning)
            parts = [
                integrate.quad(integrand, a, b, limit=60, epsabs=1e-9, epsrel=1e-7)
                for a, b in itertools.pairwise(t[::2])
            ]
        return sum(p[0] for p in parts), sum(p[1] for p in parts) + lost
    points = COARSE
    while True:
        t = np.linspace(-width, width, points + 1)
        step = t[1] - t[0]
        grid = np.array([[integrand(a, b) for b in t] for a in t])
        fine = float(grid.sum()) * step**2
        coarse = float(grid[::2, ::2].sum()) * (2 * step) ** 2
        if not np.isfinite(fine) or abs(fine - coarse) < 1e-4 or 2 * points > FINEST:
            lost = sum(_beyond(grid.sum(axis) * step, step) for axis in (0, 1))
            return fine, abs(fine - coarse) + lost
        points *= 2


def _beyond(values: np.ndarray, step: float) -> float:
    """A bound of what lies beyond the ends of a grid, where an integrand falls at least exponentially.

    Negative values stand for points that cannot be told from the ends of their space.
    """
    inside = np.flatnonzero(values >= 0)
    if inside.size < 2 or not np.all(np.isfinite(values)):
        return 0.0
    total = 0.0
    for end, before in ((inside[0], inside[0] + 1), (inside[-1], inside[-1] - 1)):
        if values[end] <= 0:
            continue
        fall = float(np.log(max(values[before], 1e-300) / values[end])) / step
        total += float(values[end]) / fall if fall > 0 else float(values[end]) * step
    return total


class _Coordinates:
    """Real coordinates of a space: `point(u)` is (the value, the log of the volume that one unit of u covers)."""

    def __init__(self, space: Space, shape: tuple[int, ...], low: Any, high: Any):
        self.space, self.shape, self.low, self.high = space, shape, low, high
        size = prod(shape)
        k = shape[-1] if shape else 1
        if space.kind in ("sphere", "perm"):
            raise Unverifiable(f"{space.kind} is not integrated")
        if space.kind == "simplex":
            size -= size // k
        elif space.kind == "corr_cholesky":
            size = size // (k * k) * (k * (k - 1) // 2)
        elif space.kind == "cov_cholesky":
            size = size // (k * k) * (k * (k + 1) // 2)
        self.free = size
        self.steep = np.full(size, space.kind not in ("real", "ordered", "cov_cholesky"))
        """Which coordinates pass through exp, and reach the ends of their space sooner."""
        if space.kind == "ordered":
            self.steep[1:] = True
        elif space.kind == "cov_cholesky":
            self.steep[[i * (i + 3) // 2 for i in range(k)]] = True

    def point(self, u: np.ndarray) -> tuple[np.ndarray, float]:
        kind = self.space.kind
        with np.errstate(all="ignore"):
            if kind in ("simplex", "corr_cholesky", "cov_cholesky", "ordered", "positive_ordered"):
                if self.free != u.size or prod(self.shape[:-1]) != (self.shape[-1] if "cholesky" in kind else 1):
                    raise Unverifiable(f"batches of {kind} are not integrated")
                return _event(kind, u, self.shape[-1])
            low, high = np.broadcast_to(self.low, self.shape).ravel(), np.broadcast_to(self.high, self.shape).ravel()
            pairs = [_number(*entry) for entry in zip(u, low, high, strict=True)]
        return np.reshape([p[0] for p in pairs], self.shape), float(sum(p[1] for p in pairs))


def _number(u: float, low: float, high: float) -> tuple[float, float]:
    """A number between bounds; NaN where it cannot be told from a bound."""
    if low == -inf and high == inf:
        return float(u), 0.0
    if low == -inf or high == inf:
        x, log_slope = (low + np.exp(u) if high == inf else high - np.exp(u)), float(u)
    else:
        part = -np.logaddexp(0.0, -abs(u))
        step = (high - low) * np.exp(-np.logaddexp(0.0, abs(u)))
        x, log_slope = (low + step if u < 0 else high - step), np.log(high - low) + part - np.logaddexp(0.0, abs(u))
    return (float(x) if low < x < high else np.nan), float(log_slope)


def _event(kind: str, u: np.ndarray, k: int) -> tuple[np.ndarray, float]:
    """One event of a space whose entries depend on each other."""
    if kind == "ordered":
        return np.cumsum(np.concatenate([u[:1], np.exp(u[1:])])), float(u[1:].sum())
    if kind == "positive_ordered":
        return np.cumsum(np.exp(u)), float(u.sum())
    if kind == "simplex":
        rest, log_volume, x = 1.0, 0.0, []
        for entry in u:
            part, slope = _number(entry, 0.0, 1.0)
            log_volume += slope + np.log(rest)
            x.append(rest * part)
            rest *= np.exp(-np.logaddexp(0.0, entry))
        return np.array([*x, rest]), float(log_volume)
    lower, log_volume, start = np.zeros((k, k)), 0.0, 0
    for i in range(k):
        left = 1.0
        for j in range(i):
            if kind == "cov_cholesky":
                lower[i, j] = u[start]
            else:
                # The entries before leave a chord of half-length sqrt(left).
                half = np.sqrt(left)
                lower[i, j], slope = _number(u[start], -half, half)
                log_volume += slope
                left = max(left - lower[i, j] ** 2, 0.0)
            start += 1
        if kind == "cov_cholesky":
            lower[i, i] = np.exp(u[start])
            log_volume += u[start]
            start += 1
        else:
            lower[i, i] = np.sqrt(left)
    return lower, float(log_volume)
