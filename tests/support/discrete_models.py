"""Small discrete models as users write them, each with the values its data take; all small enough to enumerate."""

from __future__ import annotations

from typing import Any

import numpy as np

_random = np.random.default_rng(7)

MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "ising torus with field": (
        """
data b: real[4, 3]
energy e(s: spin[4, 3]) =
  -0.44 * (sum(s * roll(s, 1, axis = 0)) + sum(s * roll(s, 1, axis = 1))) - sum(b * s)
""",
        {"b": _random.normal(size=(4, 3))},
    ),
    "ising open with field": (
        """
data b: real[3, 4]
energy e(s: spin[3, 4]) =
  -0.6 * (sum(s[1:] * s[:-1]) + sum(s[:, 1:] * s[:, :-1])) - sum(b * s)
""",
        {"b": _random.normal(size=(3, 4))},
    ),
    "potts torus": (
        """
const q = 3
data h: real[q]
energy e(s: cat(q)[3, 3]) = -0.8 * (sum(s == roll(s, 1, axis = 0)) + sum(s == roll(s, 1, axis = 1))) - sum(h[s])
""",
        {"h": _random.normal(size=3)},
    ),
    "potts open": (
        """
energy e(s: cat(4)[2, 3]) = -sum(s[1:] == s[:-1]) - 0.5 * sum(s[:, 1:] == s[:, :-1])
""",
        {},
    ),
    "rbm": (
        """
data W: real[V, H]
data b: real[V]
data c: real[H]
energy e(v: binary[V], h: binary[H]) = -(dot(v, W @ h) + dot(b, v) + dot(c, h))
""",
        {"W": _random.normal(size=(5, 4)), "b": _random.normal(size=5), "c": _random.normal(size=4)},
    ),
    "three-body": (
        """
data J: real[9]
energy e(s: spin[9]) = -sum(J * s * roll(s, 1) * roll(s, 3)) - 0.3 * sum(s)
""",
        {"J": _random.normal(size=9)},
    ),
    "squared sum": (
        """
energy e(x: binary[10]) = 0.3 * (sum(x) - 4)^2 - 0.2 * sum(x * roll(x, 1))
""",
        {},
    ),
    "squares of sums of columns": (
        """
energy e(x: binary[3, 4]) = 0.4 * norm2(sum(x, axis = 0) - 1) - 0.2 * sum(x[1:] * x[:-1])
""",
        {},
    ),
    "functions of sums": (
        """
data w: real[5]
data places: cat(5)[M]
energy e(x: binary[5], s: spin[2], a: cat(3)[1, 2]) {
  let load = sum(w * x) + 0.5 * sum(s)
  += 0.7 * abs(load - 1) + maximum(0, load)^1.5 - 0.3 * sum(x[1:] * x[:-1])
  += cos(mean(a == 1) * sum(x[places]))
}
""",
        {"w": _random.normal(size=5), "places": np.array([0, 3, 3, 4, 3])},
    ),
    "table of two categoricals": (
        """
data T: real[3, 4]
energy e(a: cat(3)[3], b: cat(4)[3]) = -sum(T[a, b]) - 0.5 * sum(a[1:] == a[:-1])
""",
        {"T": _random.normal(size=(3, 4))},
    ),
    "spin glass on edges": (
        """
data edges: cat(8)[M, 2]
data J: real[M]
energy e(s: spin[8]) = -sum(J * s[edges[:, 0]] * s[edges[:, 1]])
""",
        {
            "edges": np.array([[0, 1], [1, 2], [2, 3], [3, 4], [4, 5], [5, 0], [6, 0], [7, 6], [7, 7], [1, 2]]),
            "J": _random.normal(size=10),
        },
    ),
    "dense quadratic": (
        """
data J: real[7, 7]
energy e(s: binary[7]) = -0.5 * dot(s, J @ s)
""",
        {"J": _random.normal(size=(7, 7))},
    ),
    "opaque": (
        """
data W: real[6, 5]
energy e(v: binary[6]) = -sum(softplus(v @ W)) - 0.2 * sum(v)
""",
        {"W": _random.normal(size=(6, 5))},
    ),
    "opaque categoricals": (
        """
data W: real[3, 4]
data T: real[3, 3]
energy e(a: cat(3)[4], s: spin[3]) = -log(1 + exp(sum(W[a, 1]) + sum(T[a[0], a[1]] * s))) - sum(a[1:] == a[:-1])
""",
        {"W": _random.normal(size=(3, 4)), "T": _random.normal(size=(3, 3))},
    ),
    "density of labels": (
        """
const K = 3
data y: real[N]
data mu: real[K]
energy e(z: cat(K)[N], s: binary[N]) {
  z ~ categorical_logit([0.1, 0.5, -0.2])
  s ~ bernoulli(0.3)
  y ~ normal(mu[z] + 0.5 * s, 0.7)
}
""",
        {"y": _random.normal(size=4), "mu": np.array([-1.0, 0.0, 1.5])},
    ),
    "comprehension of a ring": (
        """
const n = 6
data J: real[n]
energy e(s: spin[n]) = -sum(for i in n: J[i] * s[i] * s[(i + 1) % n]) + 0.2 * sum(for i in n: if i > 2 then s[i] else 0)
""",
        {"J": _random.normal(size=6)},
    ),
    "comprehension of a grid": (
        """
energy e(s: cat(3)[2, 3]) =
  -sum(for i in 2, j in 3: s[i, j] == s[i, (j + 1) % 3]) - 0.3 * sum([for row in s: row[0] * row[1] + (row[0] == 2)])
""",
        {},
    ),
    "comprehension of pairs": (
        """
data W: real[3, 3]
energy e(z: cat(3)[4]) = -sum(for i in 4, j in 4: if j < i then W[z[i], z[j]] else 0)
""",
        {"W": _random.normal(size=(3, 3))},
    ),
    "comprehension of spins": (
        """
data J: real[n, n]
energy e(s: spin[n]) = -0.5 * sum(for i in n, j in n: if i != j then J[i, j] * s[i] * s[j] else 0)
""",
        {"J": _random.normal(size=(7, 7))},
    ),
}

EXACT = [name for name in MODELS if not name.startswith("opaque")]
