"""The programs of one run: traced and compiled, or found from an earlier run of the same closure without tracing.

Every program is a function of what all lanes share and of one lane, and gives arrays by name. What is kept of it beside
its executable is which names, shapes and dtypes come out, so that a driver can do its bookkeeping before, or without,
tracing anything.
"""

from __future__ import annotations

import hashlib
import json
from collections import OrderedDict
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax import Array

import energylang
from energylang import cache, resources
from energylang.run import executables
from energylang.run.executables import Executable, compile_one
from energylang.run.lanes import Lanes

Results = dict[str, dict[str, Array]]
"""What a program gives: by part (`carry`, `rows`…) and name, with a leading dim of the lanes of a unit."""

LaneFunction = Callable[[Any, Any], Mapping[str, Mapping[str, Array]]]
"""function(shared, lane) -> results, all in the shapes of one lane."""

LIMIT = 1 << 24
"""Bytes of descriptions of programs that are kept; their executables have a limit of their own."""
REMEMBERED = 16
"""Programs that stay loaded in this process."""

SETTINGS = (
    "jax_enable_x64", "jax_default_matmul_precision", "jax_numpy_dtype_promotion", "jax_debug_nans", "jax_debug_infs",
    "jax_disable_jit", "jax_threefry_partitionable", "jax_numpy_rank_promotion", "jax_softmax_custom_jvp",
)  # fmt: skip
"""Settings of JAX that decide what is traced."""

_remembered: OrderedDict[str, Program] = OrderedDict()


class Program:
    """One program. outputs: shapes and dtypes of what it gives, by part and name, in the function's order."""

    def __init__(
        self, outputs: dict[str, dict[str, jax.ShapeDtypeStruct]], key: str, lowered: jax.stages.Lowered | None = None
    ) -> None:
        self.outputs, self.key, self.lowered = outputs, key, lowered
        self.executable: Executable | None = None
        self.compiling: Future[Executable] | None = None
        self.inputs: tuple[int, int] = (0, 0)

    def __call__(self, shared: Any, lanes: Any) -> Results:
        """Run it for one unit; the arguments are trees with the leaves that it was traced for."""
        assert self.executable is not None, "compile it first"
        leaves = iter(self.executable.call(jax.tree.leaves(shared), jax.tree.leaves(lanes)))
        return {part: {name: next(leaves) for name in names} for part, names in self.outputs.items()}


def code() -> str:
    """Which code makes programs: a release by its number; of a working copy the state of its files too, the library's too."""
    digest = hashlib.sha256()
    files = [*Path(energylang.__file__).parent.rglob("*.py"), *resources.folder("stdlib").rglob("*.energy")]
    for file in sorted(files):
        status = file.stat()
        digest.update(f"{file.name} {status.st_size} {status.st_mtime_ns}\n".encode())
    return f"{getattr(energylang, '__version__', '')} {digest.hexdigest()}"


class Programs:
    """Makes the programs of a run. closed: all that decides them, as JSON values; None where that is not known.

    `compiled` counts what had to be compiled.
    """

    def __init__(self, lanes: Lanes, closed: Mapping[str, Any] | None) -> None:
        self.lanes = lanes
        self.compiled = 0
        self._pool = ThreadPoolExecutor(2, thread_name_prefix="programs")
        self.key = None
        if closed is not None and executables.kept_here():
            settings = {name: str(jax.config.values.get(name)) for name in SETTINGS}
            known = [closed, lanes.unit, settings, code(), executables.surroundings()]
            self.key = hashlib.sha256(json.dumps(known, sort_keys=True).encode()).hexdigest()

    def get(
        self, name: str, function: LaneFunction, arguments: Callable[[], tuple[Any, Any]], *, donate: bool = False
    ) -> Program:
        """The program `name`: loaded, or else traced (and then to be compiled) for these arguments, trees of arrays or
        shapes whose second has a leading dim of the unit. donate: the second may be overwritten.
        """
        key = "" if self.key is None else f"{self.key} {name}"
        if key and (found := self._kept(key)):
            return found
        shared, lanes = arguments()
        lowered, outputs = self.lanes.lower(function, shared, lanes, donate=donate)
        program = Program(outputs, key, lowered)
        program.inputs = (len(jax.tree.leaves(shared)), len(jax.tree.leaves(lanes)))
        return program

    def prepare(self, program: Program) -> None:
        """Begin to compile a program while others are traced; a loaded one is ready."""
        if program.lowered is not None and program.compiling is None:
            program.compiling = self._pool.submit(compile_one, program.lowered, self.lanes.devices)

    def compile(self, *programs: Program) -> None:
        """Make programs ready to run, side by side; a loaded one is."""
        wanted = [program for program in programs if program.executable is None]
        for program in wanted:
            self.prepare(program)
        for program in wanted:
            assert program.compiling is not None
            executable = program.compiling.result()
            program.executable, program.lowered, program.compiling = executable, None, None
            self.compiled += executable.fresh
            if program.key and executable.key:
                _remember(program)
                cache.store("program", program.key, _described(program))
                cache.prune("program", LIMIT)

    def _kept(self, key: str) -> Program | None:
        if key in _remembered:
            _remembered.move_to_end(key)
            return _remembered[key]
        content = cache.load("program", key)
        if content is None:
            return None
        said = json.loads(content)
        outputs = {
            part: {name: jax.ShapeDtypeStruct(shape, np.dtype(dtype)) for name, shape, dtype in names}
            for part, names in said["outputs"]
        }
        shared, lanes = said["inputs"]
        inputs = jax.tree.structure((([0] * shared, [0] * lanes), {}))
        results = jax.tree.structure((0,) * sum(map(len, outputs.values())))
        executable = executables.load(said["executable"], inputs, results, self.lanes.devices)
        if executable is None:
            return None
        program = Program(outputs, key)
        program.executable = executable
        _remember(program)
        return program


def _remember(program: Program) -> None:
    _remembered[program.key] = program
    while len(_remembered) > REMEMBERED:
        _remembered.popitem(last=False)


def _described(program: Program) -> bytes:
    assert program.executable is not None
    outputs = [
        [part, [[name, leaf.shape, str(leaf.dtype)] for name, leaf in names.items()]]
        for part, names in program.outputs.items()
    ]
    said = {"executable": program.executable.key, "inputs": program.inputs, "outputs": outputs}
    return json.dumps(said).encode()
