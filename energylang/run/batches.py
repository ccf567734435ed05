"""The rows of training: those of each step, those that are held out, and how they get to the device.

An epoch goes through the rows in an order of its own, a keyed permutation; the next begins within a minibatch where their
numbers do not divide, so that no row is left out. Orders are made on the host: no random shape is in a program.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from energylang.diagnostics import Diagnostic, DiagnosticError
from energylang.model import Batch
from energylang.run import keys
from energylang.run.pace import BUFFER_STEPS
from energylang.threefry import folded, permutation

RESIDENT_BYTES = 1 << 28
"""Bytes of rows up to which all lie on the device; of more the host sends the minibatches of some steps at a time."""
STACK_BYTES = 16 << 20
"""Bytes of the minibatches that are learned from in one call."""
HELD_BLOCK = 4096
"""Rows at most of which the loss of what is held out is computed at once."""

Table = Mapping[str, np.ndarray]
"""Arrays by name, one leading dim of rows in common; they may be mapped files."""


@dataclass(frozen=True)
class Split:
    """Numbers of rows, in ascending order. held: of parts of one size, and nothing where nothing is held out."""

    trained: np.ndarray
    held: tuple[np.ndarray, ...] = ()


def split(rows: int, batch: int | None, validation: float | None, root: np.ndarray) -> Split:
    """The rows to train on, and those held out: `validation` of them, or that part of all where it is below one.

    Raises DiagnosticError: E0852 (fewer rows than a minibatch has), E0853 (nothing to hold out, or nothing left), E0854.
    """
    if not rows:
        raise DiagnosticError(
            [Diagnostic("E0854", "there are no rows to train on", fix="give data with at least one row")]
        )
    held: tuple[np.ndarray, ...] = ()
    trained = np.arange(rows)
    if validation is not None:
        count = _held(rows, validation)
        parts = ceil(count / HELD_BLOCK)
        count -= count % parts
        order = permutation(folded(root, keys.SPLIT), rows)
        held = tuple(np.sort(order[:count]).reshape(parts, -1))
        trained = np.sort(order[count:])
    if batch is not None and batch > trained.size:
        beside = f", and {rows - trained.size:,} are held out" if held else ""
        raise DiagnosticError(
            [
                Diagnostic(
                    "E0852", f"a minibatch has {batch:,} rows, and there are {trained.size:,} to train on{beside}",
                    fix=f"give `batch = {min(trained.size, max(1, trained.size // 4))}`, or leave it out: then each step takes all",
                )
            ]
        )  # fmt: skip
    return Split(trained, held)


def _held(rows: int, validation: float) -> int:
    count = round(rows * validation) if validation < 1 else int(validation)
    if validation >= 1 and count != validation:
        problem, fix = "is neither a part of the rows nor a number of them", "for example `validation = 0.1`"
    elif not count:
        problem, fix = f"holds out none of {rows:,} rows", "give the number of rows: `validation = 1`"
    elif count >= rows:
        problem, fix = f"leaves none of {rows:,} rows to train on", "for example `validation = 0.1`"
    else:
        return count
    raise DiagnosticError([Diagnostic("E0853", f"`validation = {validation:g}` {problem}", fix=fix)])


class Batches:
    """Minibatches of the rows to train on, of `batch` rows each; all rows at once where it is None.

    A program has `whole`, once, and for some steps what `some` gives; `stacked` makes minibatches of both, and `taken` the
    one of a step.
    """

    def __init__(
        self, data: Table, trained: np.ndarray, batch: int | None, root: np.ndarray, resident: bool | None = None
    ) -> None:
        self.data, self.trained, self.root = dict(data), trained, root
        self.batch = batch if batch is not None and batch < trained.size else None
        row_bytes = sum(_dtype(values).itemsize * values[:1].size for values in data.values())
        fits = row_bytes * trained.size <= RESIDENT_BYTES if resident is None else resident
        self.resident = fits or self.batch is None
        wanted = max(1, STACK_BYTES // max(1, row_bytes * (self.batch or 1)))
        self.steps = min(BUFFER_STEPS, 1 << (wanted.bit_length() - 1))
        """Steps whose rows are sent at a time: fixed by the data and the batch alone."""
        self._orders: dict[int, np.ndarray] = {}

    def whole(self) -> Batch:
        """All rows on the device, or nothing where they stay on the host."""
        if not self.resident:
            return {}
        every = self.trained.size == next(iter(self.data.values())).shape[0]
        rows = {name: values if every else values[self.trained] for name, values in self.data.items()}
        return jax.device_put({name: cast(values) for name, values in rows.items()})

    def some(self, start: int, count: int) -> Any:
        """What the steps start, …, start + count - 1 take, leading dim `self.steps`; beyond `count` it means nothing."""
        if self.batch is None:
            return ()
        chosen = np.zeros((self.steps, self.batch), np.int32)
        chosen[:count] = self._places(start * self.batch, count * self.batch).reshape(count, self.batch)
        if self.resident:
            return chosen
        found = {}
        for name, values in self.data.items():
            rows = cast(values[self.trained[chosen[:count].ravel()]])
            stack = np.zeros((self.steps, self.batch, *rows.shape[1:]), rows.dtype)
            stack[:count] = rows.reshape(count, self.batch, *rows.shape[1:])
            found[name] = stack
        return found

    def stacked(self, whole: Batch, some: Any, count: Array | int) -> Batch:
        """The minibatches of `count` steps, leading dim `self.steps`; inside a program.

        Found before the steps are made, which are then one program, to the bit, whoever sends the rows.
        """
        if self.batch is None or not self.resident:
            return whole if self.batch is None else some
        shape, chosen = (self.steps, self.batch), jnp.asarray(some)
        blank = {name: jnp.zeros((*shape, *values.shape[1:]), values.dtype) for name, values in whole.items()}

        def fill(at: Array | int, stack: Batch) -> dict[str, Array]:
            return {name: stack[name].at[at].set(values[chosen[at]]) for name, values in whole.items()}

        return jax.lax.fori_loop(0, count, fill, blank)

    def taken(self, stack: Batch, at: Array | int) -> Batch:
        """The rows of the step of number `at` among those of `stacked`; inside a program."""
        return stack if self.batch is None else {name: values[at] for name, values in stack.items()}

    def _places(self, start: int, count: int) -> np.ndarray:
        """Numbers among the rows to train on, of these places in the sequence of all epochs."""
        rows = self.trained.size
        first, last = start // rows, (start + count - 1) // rows
        self._orders = {
            epoch: self._orders[epoch]
            if epoch in self._orders
            else permutation(folded(self.root, keys.BATCH, epoch), rows)
            for epoch in range(first, last + 1)
        }
        joined = np.concatenate([self._orders[epoch] for epoch in range(first, last + 1)])
        return joined[start - first * rows : start - first * rows + count]

    def held(self, number: np.ndarray) -> dict[str, np.ndarray]:
        """Rows of these numbers, on the host."""
        return {name: cast(values[number]) for name, values in self.data.items()}


def cast(values: np.ndarray) -> np.ndarray:
    """At the precision of the run: reals as these are, integers in 32 bits."""
    return np.asarray(values, _dtype(values))


def _dtype(values: np.ndarray) -> np.dtype:
    kinds = {"f": jnp.result_type(float), "i": np.int32, "u": np.int32}
    return np.dtype(kinds.get(values.dtype.kind, values.dtype))
