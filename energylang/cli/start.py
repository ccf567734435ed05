"""Bringing JAX up as the command line asks: the device, the precision, the cache of compiled programs."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Literal

from energylang import cache
from energylang.cli.failures import fail
from energylang.cli.join import Meeting, join

Device = Literal["cpu", "gpu", "tpu"]

CACHE_BYTES = 1024**3


def start_jax(device: Device | None, x64: bool, meeting: Meeting | None = None) -> None:
    """Import JAX for a device ("None" lets JAX choose the fastest), join other processes, and start it.

    Raises DiagnosticError E0902 where there is no such device, E0841 where the other processes do not come.
    """
    if device == "cpu":
        os.environ["JAX_PLATFORMS"] = "cpu"
    elif device is not None:
        # JAX takes the fastest device by itself, and `JAX_PLATFORMS` knows the makers of GPUs, not GPUs.
        os.environ.pop("JAX_PLATFORMS", None)
    if x64:
        os.environ["JAX_ENABLE_X64"] = "1"
    import jax

    if meeting is not None:
        join(meeting)
    try:
        found, cause = jax.default_backend(), ""
    except RuntimeError as error:
        found, cause = "no device", str(error).partition("\n")[0]
    if cause or device not in (None, found):
        fail(
            "E0902", f"there is no {device or 'device'} here that JAX can use", cause=cause or f"it found the {found}",
            fix="`energylang doctor` lists the devices; JAX needs a build for each kind: `pip install 'jax[cuda12]'`",
        )  # fmt: skip
    if (
        found not in ("cpu", "no device")
        and cache.reason() is None
        and not jax.config.values["jax_compilation_cache_dir"]
    ):
        # On a CPU `energylang.run.executables` keeps programs; JAX's own cache knows what an accelerator needs.
        jax.config.update("jax_compilation_cache_dir", str(compiled_programs()))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)
        cache.prune(compiled_programs(), CACHE_BYTES)


def compiled_programs() -> Path:
    """The folder of JAX's cache for this kind of machine; a shared home serves several kinds."""
    return cache.place() / f"programs-{hashlib.sha256(cache.machine().encode()).hexdigest()[:12]}"
