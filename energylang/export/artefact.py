"""Writing an energy as one file: a zip of a manifest, exported functions, arrays, and the loader that reads it.

manifest.json            names, spaces, shapes, layout of the flat vector; what is in the other entries
functions/NAME           a function as `jax.export` serialises it: StableHLO for each platform, any batch size
arrays/N.npy             data (float64 or int64, as given), lets and params (as the functions take them)
load_energy.py           `energylang/export/load_energy.py`, so that the file needs nothing beside it
__main__.py              `python NAME.energyx` says what is in it
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from energylang import __version__
from energylang.diagnostics import Diagnostic, DiagnosticError
from energylang.export import load_energy
from energylang.export.functions import functions
from energylang.export.limits import limits
from energylang.ir.nodes import Data, Let, Level, Program, Symbol, Variable, symbols
from energylang.lower.data import Bound
from energylang.lower.elimination import plans
from energylang.lower.energy import CompiledEnergy
from energylang.lower.evaluate import evaluate
from energylang.lower.operations import JAX
from energylang.run.files import as_diagnostics, require_writable, write_whole

PLATFORMS = load_energy.PLATFORMS
EPOCH = (1980, 1, 1, 0, 0, 0)
"""The time of every entry, so that the same model gives the same bytes."""
MAIN = "from load_energy import main\n\nmain()\n"


def write(
    compiled: CompiledEnergy, bound: Bound, program: Program, path: Path, platforms: Sequence[str] = PLATFORMS
) -> Path:
    """Write an energy to `path`. bound: the data it was compiled with, bound conditions among them.

    Raises DiagnosticError E0820, E0880, E0881, E0904.
    """
    require_flatbuffers()
    unknown = [name for name in platforms if name not in (*PLATFORMS, "rocm")]
    if unknown or not platforms:
        what = f"there is no platform `{unknown[0]}`" if unknown else "no platform is named"
        raise DiagnosticError([Diagnostic("E0881", what, fix="the platforms are cpu, cuda, rocm and tpu")])
    require_writable(path)
    with _without_places():
        content = _entries(compiled, bound, program, tuple(platforms))

    def archive(file: Any) -> None:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as whole:
            for name, data in content.items():
                whole.writestr(zipfile.ZipInfo(name, EPOCH), data, zipfile.ZIP_DEFLATED)

    with as_diagnostics(path):
        write_whole(path, archive)
    return path


def write_loader(path: Path) -> Path:
    """Write the loader that every exported energy has inside. Raises DiagnosticError E0820."""
    require_writable(path)
    with as_diagnostics(path):
        write_whole(path, lambda file: file.write(Path(load_energy.__file__).read_bytes()))
    return path


def require_flatbuffers() -> None:
    """Raise DiagnosticError E0904 without the package that `jax.export` writes with."""
    if find_spec("flatbuffers") is None:
        raise DiagnosticError(
            [
                Diagnostic(
                    "E0904", "export needs flatbuffers, which is not installed",
                    fix="`pip install 'energylang[export]'`, or `pip install flatbuffers`",
                )
            ]
        )  # fmt: skip


def _entries(
    compiled: CompiledEnergy, bound: Bound, program: Program, platforms: tuple[str, ...]
) -> dict[str, str | bytes]:
    """The entries of the file, the manifest first."""
    energy = compiled.program.energy
    used = symbols(*energy.roots)
    lets = tuple(s for s in symbols(*energy.roots, through_lets=True) if isinstance(s, Let))
    behind = symbols(*(let.value for let in lets if let.value is not None))
    shared = {"data": compiled.arrays, "params": compiled.values}
    found = limits(compiled, bound, lets)
    arrays: dict[str, bytes] = {}

    def stored(value: Any) -> str:
        name, file = f"arrays/{len(arrays)}.npy", io.BytesIO()
        np.save(file, np.asarray(value), allow_pickle=False)
        arrays[name] = file.getvalue()
        return name

    def described(symbol: Symbol, array: Any) -> dict[str, Any]:
        """A datum: its value as given, and as what the functions take it (nothing where only lets are made of it)."""
        used = compiled.arrays.get(symbol.key)
        limit = asdict(found[symbol]) if symbol in found else {}
        return {
            **_symbol(symbol, compiled), "key": symbol.key, "array": stored(array), **limit,
            "dtype": None if used is None else str(used.dtype),
        }  # fmt: skip

    data = {
        s.name: described(s, bound.values[s.key])
        for s in (*program.data, *energy.conditions)
        if s.key in compiled.arrays or s in behind
    }
    values = {
        let.key: {**described(let, bound.values[let.key]), "dtype": str(compiled.arrays[let.key].dtype)}
        for let in lets
        if let in used
    }
    exported, batched = _functions(compiled, shared, platforms)
    if values:
        exported["lets"] = _lets([let for let in lets if let in used], bound)
    manifest = {
        "format": load_energy.FORMAT,
        "version": load_energy.VERSION,
        "energylang": __version__,
        "jax": jax.__version__,
        "source": hashlib.sha256(program.source.text.encode()).hexdigest(),
        "energy": energy.name,
        "doc": energy.doc,
        "normalisation": energy.normalisation.value,
        "precision": str(jnp.result_type(float)),
        "platforms": platforms,
        "dims": dict(compiled.program.dims),
        "flat_size": compiled.program.facts.reals,
        "variables": {v.name: _variable(v, compiled) for v in energy.variables},
        "conditions": {
            c.name: {**_symbol(c, compiled), "level": isinstance(c, Level)}
            for c in energy.conditions
            if c.key not in compiled.arrays
        },
        "params": {
            p.name: {**_symbol(p, compiled), "array": stored(compiled.values[p.name])}
            for p in compiled.program.param_slots
        },
        "data": data,
        "lets": values,
        "functions": {name: {"arguments": names} for name, names in batched.items()},
    }
    loader = Path(load_energy.__file__).read_bytes()
    return {
        "manifest.json": json.dumps(manifest, ensure_ascii=False, indent=1),
        **{f"functions/{name}": data for name, data in exported.items()},
        **arrays,
        "load_energy.py": loader,
        "__main__.py": MAIN,
    }


def _symbol(symbol: Symbol, compiled: CompiledEnergy) -> dict[str, Any]:
    shape = [d.evaluate(compiled.program.dims) for d in symbol.space.shape]
    return {"space": str(symbol.space), "kind": symbol.space.kind, "shape": shape, "dtype": str(_dtype(symbol))}


def _variable(variable: Variable, compiled: CompiledEnergy) -> dict[str, Any]:
    """With its place in the flat vector, if it is continuous."""
    slot = compiled.program.real_slots.get(variable)
    place = {} if slot is None else {"start": slot.start, "size": slot.size}
    return {**_symbol(variable, compiled), "discrete": slot is None, **place}


def _dtype(symbol: Symbol) -> np.dtype:
    kind = symbol.space.info.kind.name
    return np.dtype({"INT": "int32", "BOOL": "bool"}.get(kind, str(jnp.result_type(float))))


def _functions(
    compiled: CompiledEnergy, shared: Any, platforms: tuple[str, ...]
) -> tuple[dict[str, bytes], dict[str, tuple[str, ...]]]:
    """The functions, serialised for any batch size, and the names of their batched arguments."""
    from jax import export

    (size,) = export.symbolic_shape("batch")
    shapes: dict[str, Any] = {
        s.name: jax.ShapeDtypeStruct((size, *_symbol(s, compiled)["shape"]), _dtype(s))
        for s in (*compiled.program.energy.variables, *compiled.program.energy.conditions)
    }
    real = jnp.result_type(float)
    shapes["flat"] = jax.ShapeDtypeStruct((size, compiled.program.facts.reals), real)
    shapes["weights"] = jax.ShapeDtypeStruct((size,), real)
    outside = jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape, a.dtype), shared)
    exported: dict[str, bytes] = {}
    batched: dict[str, tuple[str, ...]] = {}
    for name, (function, arguments) in functions(compiled).items():
        inside = {argument: shapes[argument] for argument in arguments}
        try:
            exported[name] = bytes(export.export(jax.jit(function), platforms=platforms)(inside, outside).serialize())
        except DiagnosticError:
            raise
        except Exception as error:
            # Whatever an operation raises that a platform, or any batch size, does not have.
            raise _refused(compiled, name, platforms, error) from error
        batched[name] = arguments
    return exported, batched


@contextmanager
def _without_places() -> Iterator[None]:
    """No paths of this machine, nor lines of this program, in what is exported: another run gives the same bytes."""
    flag = "jax_traceback_in_locations_limit"
    before = getattr(jax.config, flag)
    jax.config.update(flag, 0)
    try:
        yield
    finally:
        jax.config.update(flag, before)


def _refused(compiled: CompiledEnergy, name: str, platforms: tuple[str, ...], error: Exception) -> DiagnosticError:
    said = str(error).strip().partition("\n")[0][:300]
    fewer = "export for fewer platforms: `--platforms cpu`" if len(platforms) > 1 else "use the energy from Python"
    return DiagnosticError(
        [
            Diagnostic(
                "E0880", f"JAX cannot export `{compiled.program.energy.name}` for {', '.join(platforms)}",
                compiled.program.energy.span, cause=f"exporting its {name} raises {type(error).__name__}: {said}", fix=fewer,
            )
        ]
    )  # fmt: skip


def _lets(lets: list[Let], bound: Bound) -> bytes:
    """The top-level lets as a function of the data, in float64 as they are computed in a run."""
    from jax import export

    needed = [s for s in symbols(*(let.value for let in lets if let.value), through_lets=True) if isinstance(s, Data)]

    def values(data: Mapping[str, Any]) -> dict[str, Any]:
        environment: dict[Any, Any] = {s: data[s.key] for s in needed}

        def value(let: Let) -> Any:
            assert let.value is not None
            for other in symbols(let.value):
                if isinstance(other, Let) and other not in environment:
                    environment[other] = value(other)
            known = plans([let.value], environment, bound.dims)
            return jnp.asarray(evaluate([let.value], known, bound.dims, JAX)[0])

        return {let.key: value(let) for let in lets}

    with jax.enable_x64(True):
        shapes = {s.key: jax.ShapeDtypeStruct(bound.values[s.key].shape, bound.values[s.key].dtype) for s in needed}
        return bytes(export.export(jax.jit(partial(values)), platforms=("cpu",))(shapes).serialize())
