"""Lanes: chains or particles that compile together, and where groups of them run.

A program is compiled for one group of `width` lanes. Groups go to a pool of threads on one device, or several at a
time to several devices, of this process or of several; each group runs the same instructions wherever it goes, so that draws depend on the width and
the platform and on nothing else.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from energylang.run.checks import memory_as_diagnostic
from energylang.run.executables import platform

Tree = Any

TOGETHER = "lanes"
"""The name of the lanes of a group where its function may look at all of them (`jax.lax.all_gather`)."""


def width_of(lanes: Mapping[str, int], count: int) -> int:
    """The width of a group: the method's own for this platform, at most the next power of two from `count`."""
    own = lanes["cpu" if platform() == "cpu" else "accelerator"]
    return max(1, min(own, 1 << (count - 1).bit_length()))


def cores() -> int:
    """The cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass
class Lanes:
    """`count` lanes in groups of `width`, over `devices`, on `threads` threads where there is one device.

    together: the lanes of a group may look at one another. Then the group has all lanes and none that fill it up
    (`width` is `count`), and runs on one device of one process.

    A unit is what one call of a program handles: a group for each device. Lanes beyond `count` fill the last unit up
    and are dropped. part: which of how many processes this is; each has consecutive groups, the first ones one more
    where they do not come out even. A process without any still runs one group, of which nothing is kept: it has the
    shapes of the others then, and takes the same way.
    """

    count: int
    width: int
    threads: int = 0
    devices: Sequence[Any] = ()
    part: tuple[int, int] = (0, 1)
    together: bool = False
    _pool: ThreadPoolExecutor = field(init=False, repr=False)

    def __post_init__(self) -> None:
        groups, (index, processes) = -(-self.count // self.width), self.part
        first, last = (-(-groups * place // processes) for place in (index, index + 1))
        self.first = min(self.count, first * self.width)
        self.mine = min(self.count, last * self.width) - self.first
        groups = max(1, last - first)
        self.devices = list(self.devices or jax.local_devices())[:groups]
        units = -(-groups // len(self.devices))
        self.unit = self.width * len(self.devices)
        begin = self.first if self.mine else 0
        self.starts = range(begin, begin + units * self.unit, self.unit)
        # With several devices a unit already keeps all of them busy.
        workers = 1 if len(self.devices) > 1 else max(1, min(self.threads or cores(), units))
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="lanes")

    @cached_property
    def mesh(self) -> Mesh:
        return Mesh(np.array(self.devices), ("chain",))

    def lower(
        self,
        function: Callable[[Tree, Tree], Mapping[str, Mapping[str, Any]]],
        shared: Tree,
        lanes: Tree,
        *,
        donate: bool,
    ) -> tuple[jax.stages.Lowered, dict[str, dict[str, jax.ShapeDtypeStruct]]]:
        """Trace `function` for one unit; `shared` and `lanes` (leading dim: the unit) may be shapes or arrays.

        The program takes and gives flat lists of leaves; beside it is what it gives, by part and name in the function's order.
        """
        given, inner = jax.tree.structure(shared), jax.tree.structure(lanes)
        layout: dict[str, list[str]] = {}

        def flat(shared: list[Any], lane: list[Any]) -> tuple[Any, ...]:
            results = function(jax.tree.unflatten(given, shared), jax.tree.unflatten(inner, lane))
            layout.update({part: list(names) for part, names in results.items()})
            return tuple(value for names in results.values() for value in names.values())

        group = _over_lanes(flat, self.width, self.together)
        placed: dict[str, Any] = {}
        if len(self.devices) > 1:
            everywhere, split = PartitionSpec(), PartitionSpec("chain")
            group = jax.shard_map(group, mesh=self.mesh, in_specs=(everywhere, split), out_specs=split, check_vma=False)
            placed["in_shardings"] = (NamedSharding(self.mesh, everywhere), NamedSharding(self.mesh, split))
            placed["out_shardings"] = NamedSharding(self.mesh, split)
        traced = jax.jit(group, donate_argnums=(1,) if donate else (), **placed)
        lowered = traced.lower(jax.tree.leaves(shared), jax.tree.leaves(lanes))
        leaves = iter(lowered.out_info)
        outputs = {part: {name: _shape(next(leaves)) for name in names} for part, names in layout.items()}
        return lowered, outputs

    def share(self, tree: Tree) -> Tree:
        """Put what all lanes read onto the devices, once."""
        if len(self.devices) > 1:
            return jax.device_put(tree, NamedSharding(self.mesh, PartitionSpec()))
        return jax.device_put(tree)

    def run(self, work: Callable[[int], Any], units: range | None = None) -> list[Any]:
        """work(unit index) for every unit, or for some, on the pool; results in order.

        The caller's thread waits in Python and so still hears signals while programs run.
        """
        futures = [self._pool.submit(work, index) for index in units or range(len(self.starts))]
        with memory_as_diagnostic():
            return [future.result() for future in futures]

    def numbers(self, index: int) -> Any:
        """The numbers of the lanes of a unit, uint32[unit]."""
        start = self.starts[index]
        return self._place(np.arange(start, start + self.unit, dtype=np.uint32))

    def _place(self, tree: Tree) -> Tree:
        """Put the lanes of a unit where they belong: several processes may not leave that to JAX."""
        if len(self.devices) > 1:
            return jax.device_put(tree, NamedSharding(self.mesh, PartitionSpec("chain")))
        return tree

    def join(self, units: Sequence[Tree]) -> Tree:
        """Host arrays of the units, joined along the lane dim, filling lanes dropped: the lanes of this process."""
        return jax.tree.map(lambda *parts: np.concatenate(parts)[: self.mine], *units)

    def split(self, tree: Tree) -> list[Tree]:
        """The units of this process, out of arrays of all lanes; filling lanes repeat the first lane."""
        units = [np.arange(start, start + self.unit) for start in self.starts]
        rows = [np.where(unit < self.count, unit, 0) for unit in units]
        return [self._place(jax.tree.map(lambda leaf, at=at: leaf[at], tree)) for at in rows]

    def close(self) -> None:
        """Let the threads go; work under way is not waited for."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def __enter__(self) -> Lanes:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def to_host(tree: Tree) -> Tree:
    """Copies on the host that outlive the donation of the device's buffers."""
    return jax.tree.map(lambda leaf: np.array(leaf, copy=True), tree)


def _shape(leaf: Any) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype)


def _over_lanes(function: Callable[[Tree, Tree], Tree], width: int, together: bool) -> Callable[[Tree, Tree], Tree]:
    """`function` over the leading dim of its second argument.

    One lane is not batched at all: under `vmap` every branch of a kernel is taken and every loop is masked.
    """
    if together:
        return jax.vmap(function, in_axes=(None, 0), axis_name=TOGETHER)
    if width > 1:
        return jax.vmap(function, in_axes=(None, 0))

    def alone(shared: Tree, lanes: Tree) -> Tree:
        result = function(shared, jax.tree.map(lambda leaf: leaf[0], lanes))
        return jax.tree.map(lambda leaf: leaf[None], result)

    return alone
