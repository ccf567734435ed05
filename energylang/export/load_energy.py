"""Loads energies that EnergyLang exported. Needs jax, numpy and flatbuffers, and nothing else: copy this file freely.

    import sys
    sys.path.append("schools.energyx")  # an exported energy has this file inside; a copy beside your code will do too
    from load_energy import load

    energy = load("schools.energyx")
    energy(mu=0.0, tau=1.0, eta=eta)           # the energy, minus the log of an unnormalised density
    energy.log_density(flat)                   # over one flat unconstrained vector, for samplers
    energy.constrain(flat)                     # the variables in their spaces, by name

Every function takes single points or batches of any shape in front, and works under `jax.jit` and `jax.vmap`; the energy and
the log density are differentiable once, in reverse (`jax.grad`). `python schools.energyx` says what is in a file.
"""

from __future__ import annotations

import io
import json
import sys
import zipfile
from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.custom_batching import custom_vmap

FORMAT, VERSION = "energyx", 1
PLATFORMS = ("cpu", "cuda", "tpu")


class EnergyFileError(Exception):
    """What is wrong with a file or a value, in a sentence."""


def load(path: str | Path) -> ExportedEnergy:
    """The energy in a file. Raises EnergyFileError where it is damaged, of another kind, or not for this machine."""
    try:
        with zipfile.ZipFile(path) as whole:
            entries = {name: whole.read(name) for name in whole.namelist()}
    except OSError as error:
        raise EnergyFileError(f"{path} cannot be read: {error.strerror or error}") from None
    except Exception as error:
        # zipfile raises many kinds of errors for bytes that are no archive.
        raise EnergyFileError(f"{path} is damaged, or no exported energy: {error}") from None
    return ExportedEnergy(path, _manifest(path, entries), entries)


def _manifest(path: str | Path, entries: Mapping[str, bytes]) -> dict[str, Any]:
    try:
        found = json.loads(entries["manifest.json"])
        kind, version, precision = found["format"], found["version"], found["precision"]
    except (KeyError, ValueError, TypeError):
        raise EnergyFileError(f"{path} is no exported energy: it has no manifest") from None
    if kind != FORMAT or version != VERSION:
        raise EnergyFileError(f"{path} has format {kind} {version}, and this loader reads {FORMAT} {VERSION}")
    if precision == "float64" and not jax.config.read("jax_enable_x64"):
        raise EnergyFileError(f'{path} computes in float64: say `jax.config.update("jax_enable_x64", True)` first')
    return found


class ExportedEnergy:
    """An energy from a file: a function of its variables and conditions; data and params are in it, and can be changed.

    name, doc: of the energy. variables, conditions: by name, what the file says of each (space, shape, dtype…).
    data: by name, arrays as they were given. params: by name, constrained. flat_size: R, the length of the flat vector.
    """

    def __init__(self, path: str | Path, manifest: dict[str, Any], entries: Mapping[str, bytes]) -> None:
        self._path, self.manifest, self._entries = path, manifest, entries
        try:
            self.name: str = manifest["energy"]
            self.doc: str = manifest["doc"]
            self.variables: dict[str, Any] = manifest["variables"]
            self.conditions: dict[str, Any] = manifest["conditions"]
            self.flat_size: int = manifest["flat_size"]
            self.platforms: list[str] = manifest["platforms"]
            self.data = {name: self._array(d["array"]) for name, d in manifest["data"].items()}
            self.params = {name: jnp.asarray(self._array(p["array"])) for name, p in manifest["params"].items()}
            self._lets = {name: self._array(d["array"]) for name, d in manifest["lets"].items()}
            self._calls = {name: self._call(name, f["arguments"]) for name, f in manifest["functions"].items()}
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise EnergyFileError(f"{path} is damaged: {error}") from None

    def __repr__(self) -> str:
        signature = ", ".join(f"{name}: {found['space']}" for name, found in self.variables.items())
        after = ", ".join(f"{name}: {found['space']}" for name, found in self.conditions.items())
        return f"ExportedEnergy({self.name}({signature}{' | ' + after if after else ''}))"

    # --- the energy -------------------------------------------------------------------------------------------------

    def __call__(self, **values: Any) -> Array:
        """The energy, [batch…], from a value of each variable and condition in its space, [batch…, *shape]."""
        return self._value("energy", self._batched("energy", values))

    def energy_and_gradient(self, **values: Any) -> tuple[Array, dict[str, Array]]:
        """(the energy, [batch…]; its gradient by each continuous variable, [batch…, *shape])."""
        self._need("energy_and_gradient")
        energy, gradients = self._calls["energy_and_gradient"](self._batched("energy", values), self._shared)
        return energy, {name: gradients[name] for name, said in self.variables.items() if not said["discrete"]}

    def log_density(self, flat: Any, **given: Any) -> Array:
        """[batch…], the log density of flat vectors [batch…, R]: minus the energy, plus the log-Jacobian of the map.

        given: discrete variables and conditions.
        """
        self._need("log_density")
        return self._value("log_density", self._batched("log_density", {"flat": flat, **given}))

    def log_density_and_gradient(self, flat: Any, **given: Any) -> tuple[Array, Array]:
        """(the log density, [batch…]; its gradient by the flat vector, [batch…, R])."""
        self._need("log_density")
        values = self._batched("log_density", {"flat": flat, **given})
        density, gradients = self._calls["log_density_and_gradient"](values, self._shared)
        return density, gradients["flat"]

    def constrain(self, flat: Any, **given: Any) -> dict[str, Array]:
        """The continuous variables in their spaces, from flat vectors [batch…, R]. Not differentiable."""
        self._need("constrain")
        return self._calls["constrain"](self._batched("constrain", {"flat": flat, **given}), self._shared)

    def unconstrain(self, **values: Any) -> Array:
        """Flat vectors [batch…, R], from a value of each continuous variable. Not differentiable."""
        self._need("unconstrain")
        return self._calls["unconstrain"](self._batched("unconstrain", values), self._shared)

    def params_gradient(self, weights: Any, **values: Any) -> dict[str, Array]:
        """The gradient by each param of sum(weights * energy) over a batch: weights [n], values [n, *shape]."""
        self._need("params_gradient")
        return self._calls["params_gradient"](
            self._batched("params_gradient", {"weights": weights, **values}), self._shared
        )

    # --- other data and params --------------------------------------------------------------------------------------

    def with_params(self, **params: Any) -> ExportedEnergy:
        """The same energy at other params, in their spaces and of the same shapes; those not given stay."""
        changed = dict(self.params)
        for name, value in params.items():
            self._known(name, self.params, "param")
            changed[name] = jnp.asarray(value, changed[name].dtype)
            if changed[name].shape != self.params[name].shape:
                raise self._shape(name, self.params[name].shape, changed[name].shape)
        return self._changed(params=changed)

    def with_data(self, **data: Any) -> ExportedEnergy:
        """The same energy with other data of the same shapes; those not given stay. Checked like those of the model."""
        changed = dict(self.data)
        for name, value in data.items():
            self._known(name, self.data, "data")
            changed[name] = self._datum(name, np.asarray(value))
        if not self._lets:
            return self._changed(data=changed)
        by_key = {self.manifest["data"][name]["key"]: value for name, value in changed.items()}
        lets = self._deserialised("lets")
        needed = lets.in_tree.unflatten([""] * lets.in_tree.num_leaves)[0][0]
        with jax.enable_x64(True), jax.default_device(jax.devices("cpu")[0]):
            made = lets.call({key: jnp.asarray(by_key[key]) for key in needed})
            computed = {name: np.asarray(value) for name, value in made.items()}
        for name, value in computed.items():
            _check(self._path, name, self.manifest["lets"][name], value, self._lets[name])
        return self._changed(data=changed, _lets=computed)

    def _changed(self, **fields: Any) -> ExportedEnergy:
        other = ExportedEnergy.__new__(ExportedEnergy)
        other.__dict__.update({**self.__dict__, **fields})
        return other

    def _datum(self, name: str, value: np.ndarray) -> np.ndarray:
        stored, said = self.data[name], self.manifest["data"][name]
        if value.shape != stored.shape:
            raise self._shape(name, stored.shape, value.shape)
        if stored.dtype.kind == "i" and value.dtype.kind == "f" and not np.all(value == np.round(value)):
            raise EnergyFileError(f"`{name}` of `{self.name}` is {said['space']}: its entries are whole numbers")
        if value.dtype.kind not in "biuf":
            raise EnergyFileError(f"`{name}` of `{self.name}` is no array of numbers")
        _check(self._path, name, said, value.astype(stored.dtype), stored)
        return value.astype(stored.dtype)

    # --- what is inside ---------------------------------------------------------------------------------------------

    @property
    def _shared(self) -> dict[str, Any]:
        """Data, lets and params as the functions take them."""
        arrays = {
            said["key"]: jnp.asarray(value, said["dtype"])
            for values, table in ((self.data, self.manifest["data"]), (self._lets, self.manifest["lets"]))
            for said, value in ((table[name], value) for name, value in values.items())
            if said["dtype"] is not None
        }
        return {"data": arrays, "params": self.params}

    def _value(self, name: str, values: dict[str, Array]) -> Array:
        """The energy or the log density, differentiable where there is a gradient."""
        shared, gradient = self._shared, f"{name}_and_gradient"
        if gradient not in self._calls:
            return self._calls[name](values, shared)
        plain = lambda given: self._calls[name](given, shared)  # noqa: E731
        return _differentiable(plain, lambda given: self._calls[gradient](given, shared), tuple(values))(values)

    def _need(self, name: str) -> None:
        if name not in self._calls:
            why = "no variable is continuous" if name != "params_gradient" else "it has no params"
            raise EnergyFileError(f"`{self.name}` has no {name.replace('_', ' ')}: {why}")

    def _known(self, name: str, known: Mapping[str, Any], what: str) -> None:
        if name not in known:
            listed = ", ".join(known) or "none"
            raise EnergyFileError(f"`{self.name}` has no {what} `{name}`; it has {listed}")

    def _shape(self, name: str, wanted: tuple[int, ...], got: tuple[int, ...]) -> EnergyFileError:
        return EnergyFileError(f"`{name}` of `{self.name}` has shape {list(wanted)}, and this has {list(got)}")

    def _batched(self, function: str, given: Mapping[str, Any]) -> dict[str, Array]:
        """The arguments of a function, as arrays with one batch shape in front."""
        names = self.manifest["functions"][function]["arguments"]
        for name in given:
            self._known(name, dict.fromkeys(names), "variable or condition here")
        shapes, arrays = {}, {}
        for name in names:
            said = {**self.variables, **self.conditions}.get(name)
            real = {"shape": [self.flat_size] if name == "flat" else [], "dtype": self.manifest["precision"]}
            said = real if said is None else said
            if name not in given and not said.get("level"):
                raise EnergyFileError(f"`{self.name}` needs a value for `{name}`")
            shapes[name] = tuple(said["shape"])
            value = jnp.asarray(given.get(name, 0.0))
            if said["dtype"].startswith("int") and jnp.issubdtype(value.dtype, jnp.floating):
                raise EnergyFileError(f"`{name}` of `{self.name}` is {said['space']}: give integers")
            arrays[name] = value.astype(said["dtype"])
            rank = len(shapes[name])
            if arrays[name].ndim < rank or arrays[name].shape[arrays[name].ndim - rank :] != shapes[name]:
                raise self._shape(name, shapes[name], arrays[name].shape)
        leads = {name: array.shape[: array.ndim - len(shapes[name])] for name, array in arrays.items()}
        try:
            lead = np.broadcast_shapes(*leads.values())
        except ValueError:
            listed = ", ".join(f"{name}: {list(shape)}" for name, shape in leads.items())
            raise EnergyFileError(f"the batches of `{self.name}` do not fit together: {listed}") from None
        if 0 in lead:
            raise EnergyFileError(f"a batch of `{self.name}` is empty")
        return {name: jnp.broadcast_to(array, (*lead, *shapes[name])) for name, array in arrays.items()}

    def _call(self, name: str, arguments: list[str]) -> Callable[..., Any]:
        """A function over arguments with any batch dims in front, read from the file when it is first called."""
        ranks = {
            n: len(self.variables.get(n, self.conditions.get(n, {"shape": [0] * (n == "flat")}))["shape"])
            for n in arguments
        }
        read: list[Callable[..., Any]] = []

        def call(values: dict[str, Array], shared: Any) -> Any:
            if not read:
                read.append(jax.jit(self._deserialised(name).call))
            return read[0](values, shared)

        if name == "params_gradient":
            return call

        @custom_vmap
        def over_any_batch(values: dict[str, Array], shared: Any) -> Any:
            first = next(iter(values))
            lead = values[first].shape[: values[first].ndim - ranks[first]]
            flat = {n: v.reshape((-1, *v.shape[len(lead) :])) for n, v in values.items()}
            found = call(flat, shared)
            return jax.tree.map(lambda value: value.reshape((*lead, *value.shape[1:])), found)

        @over_any_batch.def_vmap
        def _(size: int, mapped: Any, values: dict[str, Array], shared: Any) -> Any:
            if any(jax.tree.leaves(mapped[1])):
                raise EnergyFileError(f"params of `{self.name}` cannot be mapped over: loop over them instead")
            whole = {n: v if mapped[0][n] else jnp.broadcast_to(v, (size, *v.shape)) for n, v in values.items()}
            found = over_any_batch(whole, shared)
            return found, jax.tree.map(lambda _: True, found)

        return over_any_batch

    def _array(self, entry: str) -> np.ndarray:
        return np.load(io.BytesIO(self._entries[entry]), allow_pickle=False)

    def _deserialised(self, name: str) -> Any:
        try:
            import_module("flatbuffers")
        except ImportError:
            raise EnergyFileError("exported energies are read with flatbuffers: `pip install flatbuffers`") from None
        from jax import export

        try:
            found: Any = export.deserialize(bytearray(self._entries[f"functions/{name}"]))
        except Exception as error:
            # Whatever the parser raises for bytes that it does not understand.
            raise EnergyFileError(
                f"the function `{name}` of {self._path} cannot be read: {type(error).__name__}: {error}; it was written"
                f" by jax {self.manifest['jax']}, and this is jax {jax.__version__}"
            ) from None
        platform = {"gpu": "cuda"}.get(jax.default_backend(), jax.default_backend())
        if name != "lets" and platform not in found.platforms:
            listed = ", ".join(found.platforms)
            raise EnergyFileError(f"{self._path} was exported for {listed}, and JAX uses the {platform} here")
        return found


def _differentiable(
    value: Callable[[dict[str, Array]], Array],
    with_gradient: Callable[[dict[str, Array]], tuple[Array, dict[str, Array]]],
    names: Iterable[str],
) -> Callable[[dict[str, Array]], Array]:
    """A function of arrays by name whose reverse derivative is what `with_gradient` computes with its value."""

    def backward(gradients: dict[str, Array], cotangent: Array) -> Any:
        def pulled(gradient: Array) -> Array:
            return cotangent.reshape(cotangent.shape + (1,) * (gradient.ndim - cotangent.ndim)) * gradient

        # Of integers there is no derivative.
        return ({name: pulled(gradients[name]) if name in gradients else None for name in names},)

    function = jax.custom_vjp(value)
    function.defvjp(with_gradient, backward)
    return function


def _check(path: str | Path, name: str, said: Mapping[str, Any], value: np.ndarray, stored: np.ndarray) -> None:
    """Raise EnergyFileError where new data do not fit what the energy was made for."""
    if said.get("fixed") and not np.array_equal(value, stored):
        raise EnergyFileError(
            f"`{name}` cannot be changed in {path}, as {said['fixed']}: export the model with the new data"
        )
    if not np.all(np.isfinite(value)):
        raise EnergyFileError(f"`{name}` has entries that are not finite")
    low, high, kind = said.get("low"), said.get("high"), said["kind"]
    below = low is not None and np.any(value <= low if said.get("open_low") else value < low)
    if below or (high is not None and np.any(value > high)):
        raise EnergyFileError(
            f"`{name}` is {said['space']}, and its entries run from {value.min():g} to {value.max():g}; this file takes"
            f" {'above' if said.get('open_low') else 'from'} {'-inf' if low is None else f'{low:g}'} to"
            f" {'inf' if high is None else f'{high:g}'}"
        )
    wrong = {
        "spin": lambda: np.any(value == 0),
        "ordered": lambda: np.any(np.diff(value, axis=-1) <= 0),
        "positive_ordered": lambda: np.any(np.diff(value, axis=-1) <= 0),
        "simplex": lambda: np.any(np.abs(value.sum(-1) - 1) > 1e-6),
        "corr_cholesky": lambda: np.any(np.triu(value, 1)) or np.any(np.abs(np.square(value).sum(-1) - 1) > 1e-6),
        "cov_cholesky": lambda: np.any(np.triu(value, 1)) or np.any(np.diagonal(value, axis1=-2, axis2=-1) <= 0),
    }.get(kind)
    if wrong is not None and wrong():
        raise EnergyFileError(f"`{name}` is not in its space, {said['space']}")


# --- what is in a file, in words ------------------------------------------------------------------------------------


def describe(energy: ExportedEnergy) -> str:
    """The energy, its variables, data and functions, in lines of text."""
    said = energy.manifest
    lines = [f"energy {energy.name}", *([energy.doc] if energy.doc else []), ""]
    for title, table in (
        ("variables", energy.variables),
        ("conditions", energy.conditions),
        ("params", said["params"]),
        ("data", said["data"]),
    ):
        if table:
            lines.append(title)
            lines += [f"  {name}: {one['space']}{_shape_of(one)}{_fixed(one)}" for name, one in table.items()]
    lines += [
        "",
        f"precision  {said['precision']}",
        f"platforms  {', '.join(said['platforms'])}",
        f"made by    energylang {said['energylang']}, jax {said['jax']}",
        f"normaliser {said['normalisation']}",
        "",
        "from load_energy import load",
        f'energy = load("{Path(energy._path).name}")',
        f"energy({', '.join(f'{name}=…' for name in (*energy.variables, *energy.conditions))})",
    ]
    if energy.flat_size:
        lines.append(f"energy.log_density(flat)  # flat: [{energy.flat_size}], or batches of it")
    return "\n".join(lines)


def _shape_of(said: Mapping[str, Any]) -> str:
    return f" {said['shape']}" if said["shape"] else ""


def _fixed(said: Mapping[str, Any]) -> str:
    return f", which cannot be changed: {said['fixed']}" if said.get("fixed") else ""


def main(arguments: list[str] | None = None) -> None:
    """Say what is in a file: that which this module lies in, or the one that is named."""
    given = sys.argv[1:] if arguments is None else arguments
    inside = Path(__file__).parent
    path = given[0] if given else inside
    if not given and not inside.is_file():
        sys.exit("name a file: python load_energy.py model.energyx")
    try:
        print(describe(load(path)))
    except EnergyFileError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
