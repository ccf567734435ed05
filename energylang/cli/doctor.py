"""`energylang doctor`: what to look at when something is odd, and what to send with a report."""

from __future__ import annotations

import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Any

import click

from energylang import __version__, cache
from energylang.cli.failures import print_json
from energylang.cli.options import json_option

OPTIONAL = {"matplotlib": "`energylang plot`", "arviz": "`run.to_arviz()`"}


@click.command("doctor")
@json_option
def doctor_command(as_json: bool) -> int:
    """Versions, devices, precision, threads, caches. Exit code 1 where EnergyLang cannot run."""
    found, problems = _look()
    if as_json:
        print_json({"exit_code": int(bool(problems)), **found, "problems": problems})
        return int(bool(problems))
    width = max(len(name) for name in found)
    for name, value in found.items():
        shown = value if isinstance(value, list) else [value]
        for place, line in enumerate(shown):
            click.echo(f"{(name if place == 0 else '').ljust(width)}  {line}")
    click.echo("")
    for problem in problems:
        click.echo(f"problem: {problem}")
    if not problems:
        click.echo("everything that EnergyLang needs is here")
    return int(bool(problems))


def _look() -> tuple[dict[str, Any], list[str]]:
    problems: list[str] = []
    found: dict[str, Any] = {
        "energylang": f"{__version__}, {Path(__file__).parents[1]}",
        "python": f"{platform.python_version()}, {sys.executable}",
        "system": f"{platform.system()} {platform.machine()}, {_cores()} cores",
    }
    found["packages"] = [f"{name} {_version(name) or 'missing'}" for name in _needed()]
    problems += [f"`{name}` is not installed" for name in _needed() if _version(name) is None]
    found["optional"] = [f"{name} {_version(name) or 'not installed'}, for {use}" for name, use in OPTIONAL.items()]
    from energylang.diagnostics import DiagnosticError

    try:
        from energylang.cli.start import start_jax

        start_jax(None, False)
        import jax

        found["devices"] = [f"{device.platform} {device.id}: {device.device_kind}" for device in jax.devices()]
        found["precision"] = "float64" if jax.config.read("jax_enable_x64") else "float32; `--x64` gives float64"
    except (DiagnosticError, ImportError) as error:
        problems.append(f"JAX does not start: {error}")
        return found, problems
    reason = cache.reason()
    place = str(cache.place())
    found["cache"] = f"{place}, {_size(cache.place())}" if reason is None else f"not used: {reason}"
    chosen = jax.config.values["jax_compilation_cache_dir"]
    found["programs"] = f"kept by JAX in {chosen}" if chosen else "not kept" if reason else "kept in the cache"
    settings = [f"{name}={value}" for name, value in sorted(os.environ.items()) if _matters(name)]
    found["environment"] = settings or ["nothing set"]
    return found, problems


def _matters(name: str) -> bool:
    return name.startswith(("ENERGYLANG_", "JAX_", "XLA_")) or name in ("CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS")


def _needed() -> list[str]:
    """The packages of the installation, extras left out."""
    try:
        listed = requires("energylang") or []
    except PackageNotFoundError:
        return ["jax", "numpy"]
    names = [requirement for requirement in listed if "extra ==" not in requirement]
    return ["".join(c if c.isalnum() or c in "-_" else " " for c in name).split()[0] for name in names]


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _size(folder: Path) -> str:
    total = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    return f"{total / 2**20:.1f} MiB"
