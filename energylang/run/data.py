"""The groups of a run, wherever they are: in memory, or in its netCDF file, read one array at a time."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from energylang.diagnostics import Diagnostic, DiagnosticError

POSTERIOR, STATS = "posterior", "sample_stats"
PREDICTIVE, LIKELIHOOD = "posterior_predictive", "log_likelihood"
PRIOR = {POSTERIOR: "prior", PREDICTIVE: "prior_predictive", STATS: "sample_stats_prior"}
"""What groups are called where the draws are those of the prior."""
OPTIMUM = {POSTERIOR: "optimum", STATS: "optimum_stats", PREDICTIVE: "optimum_predictive"}
"""What groups are called where a chain's one draw is the best point of a restart."""
TRACE = "trace"
WARMUP = {POSTERIOR: "warmup_posterior", STATS: "warmup_sample_stats"}
WEIGHTED, OBSERVED, RUN, PARAMS = "weighted_posterior", "observed_data", "run", "params"
RESERVED = ("chain", "draw")


def safe_name(name: str) -> str:
    """The name of a variable in a file: netCDF has one namespace for variables and dims."""
    return f"{name}_" if name in RESERVED else name


class Data(Protocol):
    """Arrays by group and name; those of draws are [chain, draw, …]."""

    def groups(self) -> tuple[str, ...]: ...

    def names(self, group: str) -> tuple[str, ...]: ...

    def read(self, group: str, name: str) -> np.ndarray:
        """The whole array; raises KeyError where there is none."""
        ...

    def view(self, group: str, name: str) -> Any:
        """The array, or something with its shape and dtype that reads what it is sliced by."""
        ...

    def sources(self) -> dict[str, str]:
        """The texts of the model by the names of their files, its own first."""
        ...


class MemoryData:
    """Groups as dictionaries of arrays."""

    def __init__(
        self, groups: Mapping[str, Mapping[str, np.ndarray]], sources: Mapping[str, str] | None = None
    ) -> None:
        self._sources = dict(sources or {})
        self._groups = {group: arrays for group, arrays in groups.items() if arrays}

    def groups(self) -> tuple[str, ...]:
        return tuple(self._groups)

    def names(self, group: str) -> tuple[str, ...]:
        return tuple(self._groups.get(group, ()))

    def read(self, group: str, name: str) -> np.ndarray:
        return self._groups[group][name]

    def view(self, group: str, name: str) -> np.ndarray:
        return self.read(group, name)

    def sources(self) -> dict[str, str]:
        return dict(self._sources)


class FileData:
    """Groups of a netCDF-4 file; opened for each read, so that nothing keeps the file from being replaced."""

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        with self.open() as file:
            self._names = {group: _variables(file[group]) for group in file if hasattr(file[group], "keys")}
            self.facts: dict[str, Any] = {key: _plain(value) for key, value in file[RUN].attrs.items()}

    def groups(self) -> tuple[str, ...]:
        return tuple(self._names)

    def names(self, group: str) -> tuple[str, ...]:
        return self._names.get(group, ())

    def read(self, group: str, name: str) -> np.ndarray:
        if name not in self.names(group):
            raise KeyError(name)
        with self.open() as file:
            variable = file[f"{group}/{name}"]
            array = variable[...]
            return array.astype(bool) if variable.attrs.get("dtype") == "bool" else array

    def view(self, group: str, name: str) -> Stored:
        if name not in self.names(group):
            raise KeyError(name)
        return Stored(self, f"{group}/{name}")

    def sources(self) -> dict[str, str]:
        with self.open() as file:
            if "source" not in file[RUN]:
                return {}
            names, texts = file[RUN]["source_name"].asstr()[...], file[RUN]["source"].asstr()[...]
        return dict(zip(names.tolist(), texts.tolist(), strict=True))

    def open(self) -> Any:
        """The file itself, as h5py has it; raises E0831 where it is not one of a run."""
        import h5py

        try:
            file = h5py.File(self.path, "r")
        except OSError as error:
            raise _not_a_run(self.path, "it cannot be opened as netCDF-4") from error
        if RUN not in file:
            file.close()
            raise _not_a_run(self.path, "it has no group `run`")
        return file


class Stored:
    """A variable of a file that is read slice by slice."""

    def __init__(self, data: FileData, place: str) -> None:
        self._data, self._place = data, place
        with data.open() as file:
            self.shape, self.dtype = file[place].shape, file[place].dtype

    def __getitem__(self, key: Any) -> np.ndarray:
        with self._data.open() as file:
            return file[self._place][key]


def _variables(group: Any) -> tuple[str, ...]:
    """Names in the order they were written, coordinates left out."""
    return tuple(name for name in group if group[name].attrs.get("CLASS") != b"DIMENSION_SCALE")


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode()
    # h5netcdf writes a number as an array of one.
    return value.item() if isinstance(value, np.ndarray | np.generic) and value.size == 1 else value


def _not_a_run(path: Path, why: str) -> DiagnosticError:
    return DiagnosticError([Diagnostic("E0831", f"`{path}` is not the file of a run: {why}")])
