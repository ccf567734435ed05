"""Random small discrete models as texts: what the fuzzer compiles and compares."""

from __future__ import annotations

import random
from typing import Any

import numpy as np


class Writer:
    """One random model: `text` and `data`. Every expression is generated with its shape, so that models are right."""

    def __init__(self, seed: int):
        self.random = random.Random(seed)
        self.numbers = np.random.default_rng(seed)
        self.data: dict[str, Any] = {}
        self.declarations: list[str] = []
        n = self.random.choice([2, 3])
        self.n = n
        self.variables: dict[str, tuple[str, tuple[int, ...]]] = {}
        kinds = self.random.sample(["spin", "binary", "cat(3)"], self.random.choice([1, 2, 2]))
        for name, kind in zip("sxz", kinds, strict=False):
            self.variables[name] = (kind, self.random.choice([(n,), (n,), (2, n)]))
        terms = " + ".join(self.term() for _ in range(self.random.choice([1, 2, 3])))
        signature = ", ".join(f"{v}: {kind}{list(shape)}" for v, (kind, shape) in self.variables.items())
        self.text = "\n".join([*self.declarations, f"energy e({signature}) = {terms}"])

    # --- pieces -------------------------------------------------------------------------------------------------

    def constant(self, shape: tuple[int, ...]) -> str:
        name = f"d{len(self.data)}"
        self.data[name] = self.numbers.normal(size=shape).round(2)
        self.declarations.append(f"data {name}: real{list(shape) if shape else ''}")
        return name

    def indices(self, count: int, size: int) -> str:
        name = f"d{len(self.data)}"
        self.data[name] = self.numbers.integers(0, size, count)
        self.declarations.append(f"data {name}: cat({size})[{count}]")
        return name

    def reading(self, shape: tuple[int, ...]) -> str:
        """A discrete variable, gathered into a shape; its values are numbers."""
        name, (_, own) = self.random.choice(list(self.variables.items()))
        flat = int(np.prod(own))
        rows = shape[-1] if shape else 1
        options = []
        if own == shape:
            options += [
                name,
                name,
                f"roll({name}, {self.random.choice([1, 2])}, axis = {self.random.randrange(len(own))})",
            ]
        vector = name if len(own) == 1 else f"reshape({name}, [{flat}])"
        options.append(f"{vector}[{self.indices(rows, flat)}]")
        if rows < flat:
            options.append(f"{vector}[{flat - rows}:]")
            options.append(f"{vector}[:{rows}]")
        if len(own) == 2 and rows == own[1]:
            options += [f"{name}[{self.random.randrange(own[0])}]", f"roll({name}, 1, axis = 1)[0]"]
        chosen = self.random.choice(options)
        return chosen if shape else f"{chosen}[0]"

    def table(self, shape: tuple[int, ...]) -> str:
        """A table of numbers indexed by discrete values, or a comparison."""
        readings = [self.reading(shape), self.reading(shape)]
        kinds = [
            next(k for v, (k, _) in self.variables.items() if r.startswith((v, f"roll({v}", f"reshape({v}")))
            for r in readings
        ]
        if self.random.random() < 0.4 or "spin" in kinds:
            return f"({readings[0]} {self.random.choice(['==', '!=', '<'])} {readings[1]})"
        sizes = [3 if k == "cat(3)" else 2 for k in kinds]
        if self.random.random() < 0.5:
            return f"{self.constant((sizes[0],))}[{readings[0]}]"
        return f"{self.constant((sizes[0], sizes[1]))}[{readings[0]}, {readings[1]}]"

    def rows(self, shape: tuple[int, ...], depth: int) -> str:
        """An elementwise expression of a shape."""
        r = self.random.random()
        if depth == 0 or r < 0.25:
            return self.random.choice([self.reading, self.reading, self.table, self.constant])(shape)
        if r < 0.55:
            return f"{self.rows(shape, depth - 1)} * {self.rows(shape, depth - 1)}".join("()")
        if r < 0.75:
            return f"{self.rows(shape, depth - 1)} {self.random.choice('+-')} {self.rows(shape, depth - 1)}".join("()")
        if r < 0.8 and len(shape) == 1:
            return f"roll({self.rows(shape, depth - 1)}, 1)"
        if r < 0.9:
            function = self.random.choice(["exp", "tanh", "softplus", "cos"])
            return f"{function}(0.5 * {self.rows(shape, depth - 1)})"
        return f"{self.rows(shape, depth - 1)}^2"

    def term(self) -> str:
        shape = self.random.choice([(self.n,), (self.n,), (2, self.n), ()])
        scale = self.random.choice(["0.7", "-0.5", "-1", "exp(-0.3)"])
        r = self.random.random()
        if r < 0.55:
            inner = self.rows(shape, 2)
            return f"{scale} * {f'sum({inner})' if shape else inner}"
        if r < 0.7:
            return f"{scale} * (sum({self.reading((self.n,))}) - {self.random.choice([0, 1, 2])})^2"
        if r < 0.85:
            matrix = self.constant((self.n, self.n))
            return f"{scale} * dot({self.reading((self.n,))}, {matrix} @ {self.reading((self.n,))})"
        if r < 0.9:
            return f"{scale} * mean({self.rows((self.n,), 1)} / {self.random.choice(['2', 'exp(0.2)'])})"
        inner = f"sum({self.rows((self.n,), 1)})"
        if self.random.random() < 0.5:
            inner = f"{inner} - mean({self.table((self.n,))})"
        function = self.random.choice(["log(2 + exp({}))", "abs({} - 1)", "maximum(0, {})^2", "cos({})"])
        return f"{scale} * {function.format(inner)}"
