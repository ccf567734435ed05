"""Sums over discrete variables against enumeration in float64: chains, trees, cycles, mixed cardinalities; gradients; refusals."""

from __future__ import annotations

import itertools
import zlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import energylang as el
from energylang.diagnostics import DiagnosticError
from energylang.ir.verify import VerificationError
from energylang.lower import factors
from energylang.lower.elimination import Elimination, Order
from energylang.lower.evaluate import evaluate
from energylang.lower.forest import Forest
from energylang.lower.operations import NUMPY

random = np.random.default_rng(zlib.crc32(b"elimination"))

EDGES = [[0, 1], [1, 2], [1, 3], [5, 3], [6, 7]]
"""Two trees, and site 4 alone."""

MODELS: dict[str, tuple[str, str, type, dict[str, object]]] = {
    "each by itself": ("energy e(x: real, z: cat(3)[4]) = sum((x - z)^2) + x^2", "z", Forest, {}),
    "linear": (
        "data W: real[3, 5]\nenergy e(v: real[3], h: spin[5]) = -dot(v, W @ h) + norm2(v)", "h", Forest,
        {"W": random.normal(size=(3, 5))},
    ),
    "chain": (
        "data J: real[3, 3]\nenergy e(x: real, z: cat(3)[5]) = sum(J[z[1:], z[:-1]]) - x * sum(z == 1)", "z", Forest,
        {"J": random.normal(size=(3, 3))},
    ),
    "chains side by side": (
        "energy e(x: real, z: spin[3, 4]) = -x * sum(z[:, 1:] * z[:, :-1]) + 0.3 * sum(z)", "z", Forest, {},
    ),
    "trees by edges": (
        "data edges: cat(8)[5, 2]\ndata b: real[8]\n"
        "energy e(x: real, z: spin[8]) = -x * sum(z[edges[:, 0]] * z[edges[:, 1]]) - dot(b, z)", "z", Forest,
        {"edges": EDGES, "b": random.normal(size=8)},
    ),
    "an edge twice, and turned": (
        "data edges: cat(4)[4, 2]\ndata w: real[4]\nenergy e(x: real, z: cat(3)[4]) ="
        " x * sum(w * (z[edges[:, 0]] - 2 * z[edges[:, 1]])^2)", "z", Forest,
        {"edges": [[0, 1], [1, 0], [2, 1], [2, 1]], "w": random.normal(size=4)},
    ),
    "a row that reads one site twice": (
        "data edges: cat(3)[3, 2]\nenergy e(x: real, z: cat(3)[3]) = sum(if z[edges[:, 0]] == z[edges[:, 1]] then x else -x * z[edges[:, 0]])",
        "z", Forest, {"edges": [[0, 1], [1, 1], [2, 1]]},
    ),
    "two cardinalities": (
        "energy e(x: real, z: cat(3)[4], s: spin[4]) = sum(x * z * s) + 0.2 * sum(s[1:] * s[:-1])", "(z, s)", Forest, {},
    ),
    "a chain of one": (
        "data y: real[T]\nenergy e(z: cat(2)[T], theta: simplex[2, 2]) {\n  z[1:] ~ categorical(theta[z[:-1]])\n  y ~ normal(z, 1)\n}",
        "z", Forest, {"y": [0.3]},
    ),
    "nothing at all": ("data y: real[T]\nenergy e(x: real, z: cat(2)[T]) = sum((y - z)^2) + x^2", "z", Forest, {"y": []}),
    "ring": ("energy e(x: real, z: spin[6]) = -x * sum(z * roll(z, 1)) - 0.2 * sum(z)", "z", Order, {}),
    "lattice": (
        "energy e(x: real, z: spin[2, 3]) = -x * (sum(z * roll(z, 1, axis = 0)) + sum(z * roll(z, 1, axis = 1)))", "z",
        Order, {},
    ),
    "three at once": ("energy e(x: real, z: cat(3)[5]) = sum(x * z[2:] * z[1:-1] * z[:-2]) + 0.1 * sum(z)", "z", Order, {}),
    "without structure": ("energy e(x: real, z: binary[6]) = (sum(z) - x)^4", "z", Order, {}),
    "dense quadratic": (
        "data A: real[5, 5]\nenergy e(x: real, z: binary[5]) = x * dot(z, A @ z)", "z", Order,
        {"A": random.normal(size=(5, 5))},
    ),
    "a hidden Markov model": (
        "data y: real[T]\nenergy e(z: cat(2)[T], theta: simplex[2, 2], mu: ordered[2]) {\n  mu ~ normal([3, 10], 1)\n"
        "  z[1:] ~ categorical(theta[z[:-1]])\n  y ~ normal(mu[z], 1)\n}", "z", Forest,
        {"y": [2.5, 9.1, 10.2, 3.3, 3.1, 9.9]},
    ),
}  # fmt: skip


def compiled(name: str) -> tuple[el.Energy, el.Energy]:
    text, over, _, data = MODELS[name]
    model = el.compile(f"{text}\nenergy m = marginal(e, over = {over})", data=data)
    return model["e"], model["m"]


def points(energy: el.Energy, count: int) -> list[dict[str, np.ndarray]]:
    """Values of what is left, somewhere in its spaces."""
    found = []
    for _ in range(count):
        values = {}
        for v in energy.node.variables:
            shape = tuple(d.evaluate(energy.compiled.program.dims) for d in v.space.shape)
            value = random.normal(size=shape)
            if v.space.kind == "simplex":
                value = np.exp(value) / np.exp(value).sum(-1, keepdims=True)
            values[v.name] = np.sort(value, -1) if v.space.kind == "ordered" else value
        found.append(values)
    return found


def terms(energy: el.Energy, values: dict[str, np.ndarray]) -> float:
    """The energy in float64, by the evaluator over numpy."""
    program = energy.compiled.program
    environment = program.environment(program_arrays(energy), {})
    environment |= {v: np.asarray(values[v.name]) for v in energy.node.variables}
    return float(sum(evaluate([t.value for t in program.energy.terms], environment, program.dims, NUMPY)))


def program_arrays(energy: el.Energy) -> dict[str, np.ndarray]:
    return {
        k: np.asarray(v, np.float64 if v.dtype.kind == "f" else np.int64) for k, v in energy.model.bound.values.items()
    }


def summed(energy: el.Energy, left: el.Energy, values: dict[str, np.ndarray]) -> float:
    """-log of the sum over everything that is not left, by brute force."""
    names = {v.name for v in left.node.variables}
    program = energy.compiled.program
    axes, shapes = [], []
    for v in energy.node.variables:
        if v.name not in names:
            slot = program.code_slots[v]
            shapes.append((v.name, slot.shape, slot.size))
            axes += [slot.decode(np.arange(slot.cardinality)).tolist()] * slot.size
    energies = []
    for flat in itertools.product(*axes):
        inner, place = dict(values), 0
        for name, shape, size in shapes:
            inner[name] = np.reshape(flat[place : place + size], shape)
            place += size
        energies.append(terms(energy, inner))
    return -float(np.logaddexp.reduce(-np.asarray(energies)))


@pytest.mark.parametrize("name", MODELS)
def test_a_sum_is_the_enumeration(name: str) -> None:
    energy, left = compiled(name)
    (elimination,) = left.compiled.program.eliminations.values()
    assert type(elimination.plan) is MODELS[name][2], elimination.text
    for values in points(left, 2):
        wanted = summed(energy, left, values)
        assert terms(left, values) == pytest.approx(wanted, rel=1e-10, abs=1e-10)
        assert float(left(**values)) == pytest.approx(wanted, rel=2e-5, abs=2e-5)


@pytest.mark.parametrize("name", ["chain", "trees by edges", "ring", "linear", "a hidden Markov model"])
def test_its_gradient_is_that_of_the_enumeration(name: str) -> None:
    _, left = compiled(name)
    (values,) = points(left, 1)
    found = jax.grad(lambda v: left(**v))({k: jnp.asarray(v, float) for k, v in values.items()})
    for key, value in values.items():
        for place in np.ndindex(value.shape):
            moved = []
            for step in (1e-5, -1e-5):
                other = np.array(value)
                other[place] += step
                moved.append(terms(left, {**values, key: other}))
            assert float(found[key][place]) == pytest.approx((moved[0] - moved[1]) / 2e-5, rel=2e-3, abs=2e-3)


def test_a_forgotten_coupling_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The comparison above can fail: without the couplings of the chain the sum is another one."""
    energy, left = compiled("chain")
    monkeypatch.setattr(Elimination, "_pairs", lambda self, tables, backend: np.zeros((4, 3, 3)))
    (values,) = points(left, 1)
    assert abs(terms(left, values) - summed(energy, left, values)) > 1e-3


def test_wrong_factors_stop_the_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tables that miss what rows read twice, as a careless analysis would make them, are noticed when compiling."""
    plain = factors._of_rows

    def careless(*arguments: object) -> list[factors.Factor]:
        return [f for f in plain(*arguments) if f.sites.shape[1] > 1]

    monkeypatch.setattr(factors, "_of_rows", careless)
    with pytest.raises(VerificationError):
        compiled("a row that reads one site twice")[1]


def test_a_long_chain_keeps_its_digits() -> None:
    """Ten thousand sites in float32: the relative error is that of the data, not of the length."""
    text = "data b: real[T]\nenergy e(x: real, z: spin[T]) = -x * sum(z[1:] * z[:-1]) - dot(b, z)\nenergy m = marginal(e, over = z)"
    left = el.compile(text, data={"b": random.normal(size=10_000)})["m"]
    assert float(left(x=0.4)) == pytest.approx(terms(left, {"x": np.asarray(0.4)}), rel=1e-6)


def test_an_exact_log_z_of_a_lattice() -> None:
    """The Ising torus of 4 x 4: 65,536 configurations, summed out by transfer of tables (Kaufman's closed form agrees)."""
    text = (
        "energy e(x: real, s: spin[4, 4]) = -x * (sum(s * roll(s, 1, axis = 0)) + sum(s * roll(s, 1, axis = 1)))\n"
        "energy m = marginal(e, over = s)"
    )
    left = el.compile(text)["m"]
    n, k = 4, 0.4
    gamma = [0.0] * (2 * n)
    for r in range(2 * n):
        c = np.cosh(2 * k) / np.tanh(2 * k) - np.cos(np.pi * r / n)
        gamma[r] = 2 * k + np.log(np.tanh(k)) if r == 0 else np.log(c + np.sqrt(c * c - 1))
    odd, even = np.asarray(gamma[1::2]) * n / 2, np.asarray(gamma[0::2]) * n / 2
    parts = (
        np.prod(2 * np.cosh(odd)) + np.prod(2 * np.sinh(odd)) + np.prod(2 * np.cosh(even)) + np.prod(2 * np.sinh(even))
    )
    wanted = -(n * n / 2 * np.log(2 * np.sinh(2 * k)) + np.log(parts) - np.log(2))
    assert terms(left, {"x": np.asarray(k)}) == pytest.approx(wanted, rel=1e-9)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("energy e(x: real, z: spin[40, 40]) = -x * (sum(z * roll(z, 1, axis = 0)) + sum(z * roll(z, 1, axis = 1)))", "sites at once"),
        ("energy e(x: real, z: spin[200]) = (sum(z) - x)^4", "about 10^60 configurations"),
    ],
)  # fmt: skip
def test_a_sum_that_is_too_large_is_refused_with_its_cost(text: str, words: str) -> None:
    with pytest.raises(DiagnosticError) as refused:
        el.compile(f"{text}\nenergy m = marginal(e, over = z)")["m"]
    (found,) = refused.value.diagnostics
    assert found.code == "E0515"
    assert words in found.message


IMPOSSIBLE = {
    "seen or not": ("data y: binary[N] = [0, 1, 0]", "y ~ bernoulli(p * z)"),
    "how often": ("data y: count[N] = [0, 2, 0]", "y ~ binomial(3, p * z)"),
    "how many": ("data y: count[N] = [0, 2, 0]", "y ~ poisson(p * z)"),
}


@pytest.mark.parametrize("case", IMPOSSIBLE)
def test_values_that_cannot_be_have_no_slope(case):
    """Occupancy: where z is 0 nothing is seen, and log(p z) has no derivative; the sum has one."""
    data, observed = IMPOSSIBLE[case]
    text = f"{data}\nenergy e(p: unit, z: binary[N]) {{\n  z ~ bernoulli(0.5)\n  {observed}\n}}\nenergy m = marginal(e, over = z)\n"
    energy = el.compile(text)["m"]
    none, some = {
        "seen or not": (lambda p: 1 - p, lambda p: p),
        "how often": (lambda p: (1 - p) ** 3, lambda p: 3 * p**2 * (1 - p)),
        "how many": (lambda p: np.exp(-p), lambda p: 0.5 * p**2 * np.exp(-p)),
    }[case]

    def exact(p: float) -> float:
        return -2 * np.log(0.5 + 0.5 * none(p)) - np.log(0.5 * some(p))

    value, slope = jax.value_and_grad(lambda p: energy(p=p))(0.3)
    assert float(value) == pytest.approx(exact(0.3), rel=1e-5)
    assert float(slope) == pytest.approx((exact(0.3 + 1e-5) - exact(0.3 - 1e-5)) / 2e-5, rel=1e-4)


def test_states_that_cannot_be_reached_have_no_slope():
    """Capture and recapture: whoever is dead stays so, and everyone lives at first, so that a message is infinite."""
    energy = el.compile(
        """
data seen: binary[N, T] = [[1, 0, 1, 0], [0, 1, 0, 0], [0, 0, 1, 1]]
data first: int[N] = [0, 1, 2]
energy e(phi: unit, p: unit, alive: binary[N, T]) {
  let after = [for i in N, t in T: t > first[i]]
  alive[:, 0] ~ bernoulli(1)
  alive[:, 1:] ~ bernoulli(if after[:, 1:] then phi * alive[:, :-1] else 1)
  seen ~ bernoulli(if after then p * alive else seen)
}
energy m = marginal(e, over = alive)
"""
    )["m"]

    def exact(phi: float, p: float) -> float:
        once = 1 - phi + phi * (1 - p)  # never seen in one year
        twice = 1 - phi + phi * (1 - p) * once
        return -np.log(phi * (1 - p) * phi * p * once * twice * phi * p)

    value, slopes = jax.value_and_grad(lambda at: energy(phi=at[0], p=at[1]))(jnp.array([0.7, 0.6]))
    h = 1e-5
    expected = [
        (exact(0.7 + h, 0.6) - exact(0.7 - h, 0.6)) / (2 * h),
        (exact(0.7, 0.6 + h) - exact(0.7, 0.6 - h)) / (2 * h),
    ]
    assert float(value) == pytest.approx(exact(0.7, 0.6), rel=1e-5)
    np.testing.assert_allclose(slopes, expected, rtol=1e-4)
