"""Discrete variables summed out by the compiler against the same sums written by hand in JAX.

A forward algorithm by `lax.scan`, a mixture by `logsumexp`, a restricted Boltzmann machine by `softplus`: energies and
gradients, paired timings alternating in one run, with a bootstrap interval of the median ratio. Run with
`python -m benchmarks.marginals`. (XLA counts the body of a loop once, so flops say nothing here.)
"""

from __future__ import annotations

import argparse
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import logsumexp

from benchmarks.zero_cost import HALF_LOG_TWO_PI, Case, functions, paired

_random = np.random.default_rng(0)
STEPS, STATES, SAMPLES, VISIBLE, HIDDEN = 1000, 4, 1000, 784, 200


def _hmm(data: dict[str, jax.Array]) -> Any:
    def energy(theta: Any, mu: Any) -> jax.Array:
        emission = -0.5 * (data["y"][:, None] - mu) ** 2 - HALF_LOG_TWO_PI
        move = jnp.log(theta)

        def step(forward: Any, here: Any) -> Any:
            return logsumexp(forward[:, None] + move, axis=0) + here, None

        forward, _ = jax.lax.scan(step, emission[0], emission[1:])
        return -logsumexp(forward)

    return energy


def _mixture(data: dict[str, jax.Array]) -> Any:
    def energy(weight: Any, mu: Any, sigma: Any) -> jax.Array:
        parts = jnp.log(weight) - 0.5 * ((data["y"][:, None] - mu) / sigma) ** 2 - jnp.log(sigma) - HALF_LOG_TWO_PI
        return -jnp.sum(logsumexp(parts, axis=1))

    return energy


def _rbm(data: dict[str, jax.Array]) -> Any:
    def energy(v: Any, c: Any) -> jax.Array:
        return -jnp.dot(data["b"], v) - jnp.sum(jax.nn.softplus(v @ data["W"] + c))

    return energy


CASES = [
    Case(
        "hidden Markov model, 1,000 steps of 4 states",
        f"const K = {STATES}\ndata y: real[T]\nenergy joint(z: cat(K)[T], theta: simplex[K, K], mu: ordered[K]) {{\n"
        "  z[1:] ~ categorical(theta[z[:-1]])\n  y ~ normal(mu[z], 1)\n}\nenergy e = marginal(joint, over = z)",
        {"y": _random.normal(size=STEPS)}, _hmm,
        {"theta": _random.dirichlet(np.ones(STATES), STATES), "mu": np.arange(STATES) - 1.5}, ("theta", "mu"),
    ),
    Case(
        "mixture, 1,000 labels of 4 values",
        f"const K = {STATES}\ndata y: real[N]\n"
        "energy joint(z: cat(K)[N], weight: simplex[K], mu: real[K], sigma: positive) {\n"
        "  z ~ categorical(weight)\n  y ~ normal(mu[z], sigma)\n}\nenergy e = marginal(joint, over = z)",
        {"y": _random.normal(size=SAMPLES)}, _mixture,
        {"weight": np.full(STATES, 0.25), "mu": np.arange(STATES) - 1.5, "sigma": 1.3}, ("weight", "mu", "sigma"),
    ),
    Case(
        "restricted Boltzmann machine, 784 x 200",
        "data W: real[V, H]\ndata b: real[V]\nenergy joint(v: binary[V], h: binary[H], c: real[H]) ="
        " -(dot(v, W @ h) + dot(b, v) + dot(c, h))\nenergy e = marginal(joint, over = h)",
        {"W": 0.1 * _random.normal(size=(VISIBLE, HIDDEN)), "b": _random.normal(size=VISIBLE)}, _rbm,
        {"v": _random.integers(0, 2, VISIBLE), "c": _random.normal(size=HIDDEN)}, ("c",),
    ),
]  # fmt: skip


def measure(rounds: int) -> None:
    """Print a row per model and function."""
    print("| model | function | time ratio, ours / hand (95 %) |\n|---|---|---|")
    for case in CASES:
        for name, (ours, hand, (model, arrays, values)) in functions(case).items():
            a, b = ours.lower(model, values).compile(), hand.lower(arrays, values).compile()
            first, second = jax.tree.leaves(a(model, values))[0], jax.tree.leaves(b(arrays, values))[0]
            assert np.allclose(first, second, rtol=1e-4), (case.name, first, second)
            ratio, low, high = paired(
                lambda c=a, m=model, v=values: jax.block_until_ready(c(m, v)),
                lambda c=b, m=arrays, v=values: jax.block_until_ready(c(m, v)), rounds,
            )  # fmt: skip
            print(f"| {case.name} | {name} | {ratio:.2f} ({low:.2f} to {high:.2f}) |", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=40, help="paired timings")
    measure(parser.parse_args().rounds)
