"""Bringing JAX up as the command line asks: the device, the precision, the cache of compiled programs."""

from __future__ import annotations

import hashlib
import os
import platform
from contextlib import suppress
from pathlib import Path
from typing import Literal

from energylang import cache
from energylang.cli.failures import fail

Device = Literal["cpu", "gpu", "tpu"]

CACHE_BYTES = 1024**3


def start_jax(device: Device | None, x64: bool) -> None:
    """Import JAX for a device ("None" lets JAX choose the fastest) and start it.

    Raises DiagnosticError E0902 where there is no such device.
    """
    if device == "cpu":
        os.environ["JAX_PLATFORMS"] = "cpu"
    elif device is not None:
        # JAX takes the fastest device by itself, and `JAX_PLATFORMS` knows the makers of GPUs, not GPUs.
        os.environ.pop("JAX_PLATFORMS", None)
    if x64:
        os.environ["JAX_ENABLE_X64"] = "1"
    if cache.reason() is None and "JAX_COMPILATION_CACHE_DIR" not in os.environ:
        os.environ["JAX_COMPILATION_CACHE_DIR"] = str(compiled_programs())
        _prune(compiled_programs())
        os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.2")
    import jax

    try:
        found, cause = jax.default_backend(), ""
    except RuntimeError as error:
        found, cause = "no device", str(error).partition("\n")[0]
    if cause or device not in (None, found):
        fail(
            "E0902", f"there is no {device or 'device'} here that JAX can use", cause=cause or f"it found the {found}",
            fix="`energylang doctor` lists the devices; JAX needs a build for each kind: `pip install 'jax[cuda12]'`",
        )  # fmt: skip


def compiled_programs() -> Path:
    """The folder of compiled programs for this kind of machine; a shared home serves several kinds."""
    kind = f"{platform.machine()} {platform.processor()} {_flags()}"
    return cache.place() / f"programs-{hashlib.sha256(kind.encode()).hexdigest()[:12]}"


def _prune(folder: Path) -> None:
    """Keep the cache below its limit: the programs unused for longest go. (JAX's own limit needs one more package.)"""
    with suppress(OSError):
        files = sorted((entry.stat().st_mtime, entry.stat().st_size, entry.path) for entry in os.scandir(folder))
        excess = sum(size for _, size, _ in files) - CACHE_BYTES
        for _, size, path in files:
            if excess <= 0:
                break
            os.unlink(path)
            excess -= size


def _flags() -> str:
    """What the processor can do, where the system says so: a program is compiled for exactly that."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
            return next((line for line in file if line.startswith(("flags", "Features"))), "")
    except OSError:
        return ""
