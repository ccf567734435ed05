"""What the compiler costs: energies and gradients against the same mathematics written by hand in JAX.

Compiled flops and bytes are exact counts (XLA's cost analysis); timings are paired, alternating in one run, with a
bootstrap interval of the median ratio. Run with `python -m benchmarks.zero_cost`.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import energylang


@dataclass(frozen=True)
class Case:
    """A model in the language and by hand: `hand(data)` gives an energy of the same named values."""

    name: str
    text: str
    data: dict[str, Any]
    hand: Callable[[dict[str, jax.Array]], Callable[..., jax.Array]]
    values: dict[str, Any]
    gradient: tuple[str, ...]


_random = np.random.default_rng(0)
HALF_LOG_TWO_PI = 0.5 * np.log(2 * np.pi)


def _normal(x: Any, mu: Any, sigma: Any) -> jax.Array:
    return 0.5 * ((x - mu) / sigma) ** 2 + jnp.log(sigma) + HALF_LOG_TWO_PI


def _schools(data: dict[str, jax.Array]) -> Callable[..., jax.Array]:
    def energy(mu: Any, tau: Any, eta: Any) -> jax.Array:
        prior = 0.5 * (mu / 5) ** 2 + np.log(5) + HALF_LOG_TWO_PI
        prior += jnp.log1p((tau / 5) ** 2) + np.log(5) + np.log(0.5 * np.pi)
        prior += jnp.sum(0.5 * eta**2 + HALF_LOG_TWO_PI)
        return prior + jnp.sum(_normal(data["y"], mu + tau * eta, data["sigma"]))

    return energy


def _schools_centred(data: dict[str, jax.Array]) -> Callable[..., jax.Array]:
    def energy(mu: Any, tau: Any, theta: Any) -> jax.Array:
        prior = 0.5 * (mu / 5) ** 2 + np.log(5) + HALF_LOG_TWO_PI
        prior += jnp.log1p((tau / 5) ** 2) + np.log(5) + np.log(0.5 * np.pi)
        prior += jnp.sum(_normal(theta, mu, tau))
        return prior + jnp.sum(_normal(data["y"], theta, data["sigma"]))

    return energy


def _logistic(data: dict[str, jax.Array]) -> Callable[..., jax.Array]:
    def energy(alpha: Any, beta: Any) -> jax.Array:
        prior = 0.5 * (alpha / 5) ** 2 + np.log(5) + HALF_LOG_TWO_PI + jnp.sum(_normal(beta, 0.0, 2.0))
        logits = alpha + data["X"] @ beta
        return prior + jnp.sum(jnp.logaddexp(logits, 0.0) - data["y"] * logits)

    return energy


def _ising(data: dict[str, jax.Array]) -> Callable[..., jax.Array]:
    return lambda s: -0.4407 * (jnp.sum(s * jnp.roll(s, 1, 0)) + jnp.sum(s * jnp.roll(s, 1, 1)))


def _ising_open(data: dict[str, jax.Array]) -> Callable[..., jax.Array]:
    return lambda s: -0.5 * (jnp.sum(s[1:] * s[:-1]) + jnp.sum(s[:, 1:] * s[:, :-1])) - jnp.sum(data["b"] * s)


def _potts(data: dict[str, jax.Array]) -> Callable[..., jax.Array]:
    def energy(s: Any) -> jax.Array:
        return -(jnp.sum(s == jnp.roll(s, 1, 0)) + jnp.sum(s == jnp.roll(s, 1, 1))) * 1.0

    return energy


def _rbm(data: dict[str, jax.Array]) -> Callable[..., jax.Array]:
    return lambda v, h: -(jnp.sum(v * (data["W"] @ h)) + jnp.sum(data["b"] * v) + jnp.sum(data["c"] * h))


def _three_body(data: dict[str, jax.Array]) -> Callable[..., jax.Array]:
    return lambda s: -jnp.sum(data["J"] * s * jnp.roll(s, 1) * jnp.roll(s, 3)) - 0.3 * jnp.sum(s)


def _squared_sum(data: dict[str, jax.Array]) -> Callable[..., jax.Array]:
    return lambda x: 0.01 * (jnp.sum(x) - 40) ** 2


def _table(data: dict[str, jax.Array]) -> Callable[..., jax.Array]:
    return lambda a, b: -jnp.sum(data["T"][a, b])


def _mixture(data: dict[str, jax.Array]) -> Callable[..., jax.Array]:
    def energy(z: Any, mu: Any, sigma: Any) -> jax.Array:
        logits = np.log([0.2, 0.3, 0.5])
        prior = jnp.sum(_normal(mu, 0.0, 3.0)) + 0.5 * sigma**2 + 0.5 * np.log(0.5 * np.pi)
        labels = jnp.sum(jax.scipy.special.logsumexp(logits) - jnp.asarray(logits)[z])
        return prior + labels + jnp.sum(_normal(data["y"], mu[z], sigma))

    return energy


CASES = [
    Case(
        "eight schools", """
data y: real[J]
data sigma: positive[J]
energy e(mu: real, tau: positive, eta: real[J]) {
  mu ~ normal(0, 5)
  tau ~ half_cauchy(5)
  eta ~ normal(0, 1)
  y ~ normal(mu + tau * eta, sigma)
}""",
        {"y": [28, 8, -3, 7, -1, 1, 18, 12], "sigma": [15, 10, 16, 11, 9, 11, 10, 18]}, _schools,
        {"mu": 1.0, "tau": 2.0, "eta": _random.normal(size=8)}, ("mu", "tau", "eta"),
    ),
    Case(
        "eight schools, centred", """
data y: real[J]
data sigma: positive[J]
energy e(mu: real, tau: positive, theta: real[J]) {
  mu ~ normal(0, 5)
  tau ~ half_cauchy(5)
  theta ~ normal(mu, tau)
  y ~ normal(theta, sigma)
}""",
        {"y": [28, 8, -3, 7, -1, 1, 18, 12], "sigma": [15, 10, 16, 11, 9, 11, 10, 18]}, _schools_centred,
        {"mu": 1.0, "tau": 2.0, "theta": _random.normal(size=8)}, ("mu", "tau", "theta"),
    ),
    Case(
        "logistic regression", """
data X: real[N, D]
data y: binary[N]
energy e(alpha: real, beta: real[D]) {
  alpha ~ normal(0, 5)
  beta ~ normal(0, 2)
  y ~ bernoulli_logit(alpha + X @ beta)
}""",
        {"X": _random.normal(size=(1000, 20)), "y": _random.integers(0, 2, 1000)}, _logistic,
        {"alpha": 0.1, "beta": _random.normal(size=20)}, ("alpha", "beta"),
    ),
    Case(
        "ising 50x50", "energy e(s: spin[50, 50]) = -0.4407 * (sum(s * roll(s, 1, axis = 0)) + sum(s * roll(s, 1, axis = 1)))",
        {}, _ising, {"s": 2.0 * _random.integers(0, 2, (50, 50)) - 1}, ("s",),
    ),
    Case(
        "ising open with field", """
data b: real[50, 50]
energy e(s: spin[50, 50]) = -0.5 * (sum(s[1:] * s[:-1]) + sum(s[:, 1:] * s[:, :-1])) - sum(b * s)""",
        {"b": _random.normal(size=(50, 50))}, _ising_open, {"s": 2.0 * _random.integers(0, 2, (50, 50)) - 1}, ("s",),
    ),
    Case(
        "potts 30x30", "energy e(s: cat(4)[30, 30]) = -(sum(s == roll(s, 1, axis = 0)) + sum(s == roll(s, 1, axis = 1)))",
        {}, _potts, {"s": _random.integers(0, 4, (30, 30))}, (),
    ),
    Case(
        "rbm 784x25", """
data W: real[V, H]
data b: real[V]
data c: real[H]
energy e(v: binary[V], h: binary[H]) = -(dot(v, W @ h) + dot(b, v) + dot(c, h))""",
        {"W": _random.normal(size=(784, 25)), "b": _random.normal(size=784), "c": _random.normal(size=25)}, _rbm,
        {"v": 1.0 * _random.integers(0, 2, 784), "h": 1.0 * _random.integers(0, 2, 25)}, ("v", "h"),
    ),
    Case(
        "three-body 1000", "data J: real[1000]\nenergy e(s: spin[1000]) = -sum(J * s * roll(s, 1) * roll(s, 3)) - 0.3 * sum(s)",
        {"J": _random.normal(size=1000)}, _three_body, {"s": 2.0 * _random.integers(0, 2, 1000) - 1}, ("s",),
    ),
    Case(
        "squared sum 100", "energy e(x: binary[100]) = 0.01 * (sum(x) - 40)^2", {}, _squared_sum,
        {"x": 1.0 * _random.integers(0, 2, 100)}, ("x",),
    ),
    Case(
        "table 16x32", "data T: real[16, 32]\nenergy e(a: cat(16)[500], b: cat(32)[500]) = -sum(T[a, b])",
        {"T": _random.normal(size=(16, 32))}, _table,
        {"a": _random.integers(0, 16, 500), "b": _random.integers(0, 32, 500)}, (),
    ),
    Case(
        "mixture with labels", """
data y: real[N]
energy e(z: cat(3)[N], mu: real[3], sigma: positive) {
  mu ~ normal(0, 3)
  sigma ~ half_normal(1)
  z ~ categorical_logit([log(0.2), log(0.3), log(0.5)])
  y ~ normal(mu[z], sigma)
}""",
        {"y": _random.normal(size=500)}, _mixture,
        {"z": _random.integers(0, 3, 500), "mu": np.array([-1.0, 0.0, 1.0]), "sigma": 0.8}, ("mu", "sigma"),
    ),
]  # fmt: skip


@dataclass(frozen=True)
class Cost:
    value: float
    flops: float
    bytes: float


def functions(case: Case) -> dict[str, tuple[Any, Any, tuple[Any, ...]]]:
    """Per function ("energy", "gradient"): ours and the hand-written one, jitted over (model data, values)."""
    energy = energylang.compile(case.text, data=case.data)["e"]
    arrays = energy.compiled.arrays
    values = {n: jnp.asarray(v) for n, v in case.values.items()}

    def ours(model: Any, values: Any) -> jax.Array:
        return model(**values)

    def hand(data: Any, values: Any) -> jax.Array:
        return case.hand(data)(**values)

    found = {"energy": (jax.jit(ours), jax.jit(hand), (energy, arrays, values))}
    if case.gradient:
        moving = {n: values[n] for n in case.gradient}
        fixed = {n: v for n, v in values.items() if n not in case.gradient}

        def gradient(function: Any) -> Any:
            return jax.jit(jax.value_and_grad(lambda x, first: function(first, {**x, **fixed})))

        ours_gradient, hand_gradient = gradient(ours), gradient(hand)
        found["gradient"] = (
            jax.jit(lambda first, x: ours_gradient(x, first)), jax.jit(lambda first, x: hand_gradient(x, first)), (energy, arrays, moving),
        )  # fmt: skip
    return found


def cost(function: Any, *arguments: Any) -> Cost:
    compiled = function.lower(*arguments).compile()
    analysis = compiled.cost_analysis()
    value = compiled(*arguments)
    value = value[0] if isinstance(value, tuple) else value
    return Cost(float(value), float(analysis.get("flops", 0.0)), float(analysis.get("bytes accessed", 0.0)))


def paired(ours: Any, hand: Any, rounds: int) -> tuple[float, float, float]:
    """Median of the paired time ratios, with its 95 % bootstrap interval."""
    ratios = []
    repeat = 1
    while True:
        start = time.perf_counter()
        for _ in range(repeat):
            hand()
        if time.perf_counter() - start > 2e-3:
            break
        repeat *= 2
    for i in range(rounds):
        times = {}
        for name in ("ours", "hand") if i % 2 else ("hand", "ours"):
            run = ours if name == "ours" else hand
            start = time.perf_counter()
            for _ in range(repeat):
                run()
            times[name] = time.perf_counter() - start
        ratios.append(times["ours"] / times["hand"])
    draws = np.random.default_rng(0).choice(ratios, (2000, len(ratios)))
    low, high = np.quantile(np.median(draws, axis=1), [0.025, 0.975])
    return float(np.median(ratios)), float(low), float(high)


def measure(rounds: int) -> list[str]:
    """The table, a row per model and function."""
    lines = [
        "| model | function | flops, ours / hand | bytes, ours / hand | time ratio (95 %) |",
        "|---|---|---|---|---|",
    ]
    for case in CASES:
        for name, (ours, hand, (model, arrays, values)) in functions(case).items():
            a, b = cost(ours, model, values), cost(hand, arrays, values)
            assert abs(a.value - b.value) <= 1e-4 * (1 + abs(b.value)), (case.name, a.value, b.value)
            compiled_ours = ours.lower(model, values).compile()
            compiled_hand = hand.lower(arrays, values).compile()
            ratio, low, high = paired(
                lambda c=compiled_ours, m=model, v=values: jax.block_until_ready(c(m, v)),
                lambda c=compiled_hand, m=arrays, v=values: jax.block_until_ready(c(m, v)), rounds,
            ) if rounds else (float("nan"),) * 3  # fmt: skip
            lines.append(
                f"| {case.name} | {name} | {a.flops:,.0f} / {b.flops:,.0f} = {_ratio(a.flops, b.flops)} | "
                f"{a.bytes:,.0f} / {b.bytes:,.0f} = {_ratio(a.bytes, b.bytes)} | {ratio:.2f} ({low:.2f} to {high:.2f}) |"
            )
            print(lines[-1], flush=True)
    return lines


def _ratio(a: float, b: float) -> str:
    return f"{a / b:.3f}" if b else "equal" if a == b else "more"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=40, help="paired timings; 0 for counts alone")
    print("\n".join(measure(parser.parse_args().rounds)[:2]))
