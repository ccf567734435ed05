"""Executables: lowered programs compiled side by side, and kept in the private cache for the next process.

On a CPU an executable is kept under the hash of its program's text, so that new data of the same shapes find it too. It
is loaded by unpickling, which is why it lies in a folder that only its owner can write to (`energylang.cache`). On an
accelerator JAX's own persistent cache does this (`energylang.cli.start`).
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache as once
from typing import Any

import jax
import numpy as np
from jax.experimental import serialize_executable

from energylang import cache
from energylang.run.checks import memory_as_diagnostic

CPU_OPTIONS: dict[str, str | bool] = {"xla_cpu_multi_thread_eigen": False}
"""A matrix product that is split over threads adds in an order that depends on how many there are."""

CALL = re.compile(r"custom_call @([\w.$]+)")
LAPACK = re.compile(r"lapack_\w+_ffi")
"""Calls that another process can bind again; a call into Python, say, can not."""

LIMIT = 1 << 30
"""Bytes of executables that are kept; those unused for longest go."""

_writer = ThreadPoolExecutor(1, thread_name_prefix="executables")


def platform() -> str:
    """`cpu`, or what JAX calls the accelerator."""
    return jax.default_backend()


def kept_here() -> bool:
    """Whether executables are kept by this module."""
    # What came out of JAX's cache lacks parts that writing it again needs (jaxlib 0.10 on CPU).
    theirs = jax.config.values["jax_enable_compilation_cache"] and jax.config.values["jax_compilation_cache_dir"]
    return platform() == "cpu" and not theirs and cache.reason() is None


class Executable:
    """A compiled program. key: what it is kept under; empty where it is not kept. fresh: compiled, not loaded."""

    def __init__(self, call: Any, key: str, fresh: bool) -> None:
        self.call, self.key, self.fresh = call, key, fresh


def compile_all(lowered: Sequence[jax.stages.Lowered]) -> list[Executable]:
    """`compile_one` of each, side by side (tracing holds Python's lock, compiling does not), for JAX's first device."""
    with ThreadPoolExecutor(len(lowered)) as pool:
        return list(pool.map(lambda one: compile_one(one, jax.local_devices()[:1]), lowered))


def compile_one(lowered: jax.stages.Lowered, devices: Sequence[Any]) -> Executable:
    """A program from the cache, or compiled; devices: those that it was lowered for."""
    key, lapack = _key(lowered) if kept_here() else ("", False)
    if key and (found := load(key, lowered.in_tree, lowered.out_tree, devices)) is not None:
        return found
    with memory_as_diagnostic():
        compiled = lowered.compile(compiler_options=CPU_OPTIONS if platform() == "cpu" else {})
    if key:
        _writer.submit(_store, compiled, key, lapack)
    return Executable(compiled, key, fresh=True)


def load(key: str, inputs: Any, outputs: Any, devices: Sequence[Any]) -> Executable | None:
    """The executable kept under a key, for trees of this structure; None where there is none that works."""
    content = cache.load("executable", key)
    if content is None:
        return None
    lapack, payload = content[:1] == b"L", content[1:]
    if lapack:
        # Its functions are bound when something is traced that needs them, and here nothing is.
        from jaxlib.lapack import prepare_lapack_call

        prepare_lapack_call("potrf_ffi", np.dtype(np.float32))
    try:
        call = serialize_executable.deserialize_and_load(payload, inputs, outputs, execution_devices=devices)
    except Exception:  # Whatever is wrong with it, it can be compiled again.
        return None
    return Executable(call, key, fresh=False)


def _key(lowered: jax.stages.Lowered) -> tuple[str, bool]:
    """What the executable is kept under, and whether it calls LAPACK; an empty key for what cannot be kept."""
    text = lowered.as_text()
    calls = set(CALL.findall(text)) - {"Sharding", "SPMDFullToShardShape", "SPMDShardToFullShape"}
    if not all(LAPACK.fullmatch(call) for call in calls):
        return "", False
    # The text lacks arguments that nothing is computed of; the executable refuses them in other shapes all the same.
    arguments = [str(argument) for argument in jax.tree.leaves(lowered.in_avals)]
    said = "\0".join((surroundings(), str(CPU_OPTIONS), *arguments, text))
    return hashlib.sha256(said.encode()).hexdigest(), bool(calls)


def surroundings() -> str:
    """What a compiled program depends on beside its text; it knows its devices by their numbers among all processes."""
    devices = " ".join(str(device.id) for device in jax.local_devices())
    return "\0".join((_machine(), os.environ.get("XLA_FLAGS", ""), devices))


@once
def _machine() -> str:
    import jaxlib.version

    return "\0".join((jaxlib.version.__version__, jax.__version__, cache.machine()))


def _store(compiled: jax.stages.Compiled, key: str, lapack: bool) -> None:
    try:
        content = serialize_executable.serialize(compiled)[0]
    except Exception:  # Not every program can be written; the next process compiles it again.
        return
    cache.store("executable", key, (b"L" if lapack else b"-") + content)
    cache.prune("executable", LIMIT)
