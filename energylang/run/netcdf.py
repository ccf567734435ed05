"""Writing netCDF-4 as ArviZ lays it out, a few rows at a time, all or nothing."""

from __future__ import annotations

import glob
import io
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from energylang.run.files import sync_folder, temporary_of

CHUNK_BYTES = 256 << 10
BAND_BYTES = 32 << 20
"""Bytes of one HDF5 chunk of an integer variable, and of what is held back until whole chunks can be written."""


class Writer:
    """A netCDF-4 file in the making; it replaces `path` when the context ends well, and not otherwise."""

    def __init__(self, path: Path) -> None:
        self.path, self.temporary = path, temporary_of(path)

    def __enter__(self) -> Writer:
        import h5netcdf

        for left in self.path.parent.glob(f".{glob.escape(self.path.name)}.*.tmp"):
            left.unlink(missing_ok=True)  # by a run that was killed
        self._columns: dict[tuple[str, str], _Column] = {}
        self._raw = _Forgiving(self.temporary)
        self._file = h5netcdf.File(self._raw, "w")
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        try:
            if kind is None:
                for column in self._columns.values():
                    column.end()
            self._file.close()
            if kind is None:
                self._raw.sync()
                os.replace(self.temporary, self.path)
                sync_folder(self.path.parent)
        finally:
            self._raw.close()
            self.temporary.unlink(missing_ok=True)

    def group(self, name: str, attributes: Mapping[str, Any], **dims: int) -> None:
        """A group with its dims, each with a coordinate that counts from 0."""
        group = self._file.create_group(name)
        group.attrs.update(attributes)
        for dim, size in dims.items():
            self._dim(name, dim, size)

    def whole(self, group: str, name: str, values: np.ndarray, dims: Sequence[str] = ()) -> None:
        """A variable at once; dims beyond those given are `<name>_dim_0`…"""
        values = np.asarray(values)
        if values.size:
            named = self._dims(group, name, values.shape, dims)
            values, attributes = _without_bool(values)
            self._put(group, name, named, dtype=values.dtype, data=values).attrs.update(attributes)

    def text(self, group: str, dim: str, texts: Mapping[str, str]) -> None:
        """Texts of any length under their names: a variable `dim` along the dim `<dim>_name`."""
        import h5py

        if not texts:
            return
        label = f"{dim}_name"
        self._file[group].dimensions[label] = len(texts)
        for name, values in ((label, texts.keys()), (dim, texts.values())):
            data = np.array(list(values), object)
            self._put(group, name, (label,), dtype=h5py.string_dtype(), data=data)

    def extend(self, group: str, rows: Mapping[str, np.ndarray], total: int) -> None:
        """The next rows [chain, step, …] of variables whose dim `draw` is `total` long."""
        for name, values in rows.items():
            if not values.size:
                continue
            if (column := self._columns.get((group, name))) is None:
                shape = (values.shape[0], total, *values.shape[2:])
                dims = self._dims(group, name, shape, ("chain", "draw"))
                column = self._columns[group, name] = self._column(group, name, dims, shape, values.dtype)
            column.extend(values)
        self._raw.check()

    def _column(self, group: str, name: str, dims: tuple[str, ...], shape: tuple[int, ...], dtype: np.dtype) -> _Column:
        blank, attributes = _without_bool(np.empty(0, dtype))
        kept = blank.dtype
        if kept.kind not in "iu":
            return _Column(self._put(group, name, dims, dtype=kept), 1)
        # A chunk is compressed as a whole: written in pieces it would be unpacked and packed again each time.
        wanted = min(CHUNK_BYTES, max(BAND_BYTES // shape[0], 1 << 14))
        rows = int(np.clip(wanted // (int(np.prod(shape[2:])) * kept.itemsize), 1, shape[1]))
        variable = self._put(
            group,
            name,
            dims,
            dtype=kept,
            chunks=(1, rows, *shape[2:]),
            compression="gzip",
            compression_opts=1,
            shuffle=True,
        )
        variable.attrs.update(attributes)
        return _Column(variable, rows)

    def _dims(self, group: str, name: str, shape: tuple[int, ...], given: Sequence[str]) -> tuple[str, ...]:
        own = [f"{name}_dim_{axis}" for axis in range(len(shape) - len(given))]
        for dim, size in zip(own, shape[len(given) :], strict=True):
            self._dim(group, dim, size)
        return (*given, *own)

    def _dim(self, group: str, dim: str, size: int) -> None:
        self._file[group].dimensions[dim] = size
        self._file[group].create_variable(dim, (dim,), data=np.arange(size))

    def _put(self, group: str, name: str, dims: tuple[str, ...], **options: Any) -> Any:
        return self._file[group].create_variable(name, dims, **options)


class _Forgiving(io.FileIO):
    """A file that keeps its first error for later instead of raising it in the middle of HDF5.

    HDF5 cannot close a file that it failed to write; it takes the process down with it.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path, "w+b")
        self._error: OSError | None = None

    def write(self, data: Any, /) -> int:
        view = memoryview(data).cast("B")
        done = 0
        try:
            while self._error is None and done < len(view):
                done += _write_raw(self, view[done:])
        except OSError as error:
            self._error = error
        return len(view)

    def truncate(self, size: int | None = None, /) -> int:
        try:
            return super().truncate(size)
        except OSError as error:
            self._error = self._error or error
            return self.tell() if size is None else size

    def check(self) -> None:
        """Raise the error that was kept, if any."""
        if self._error is not None:
            raise self._error

    def sync(self) -> None:
        """Bring the file to the disk, or raise the error that was kept."""
        self.check()
        os.fsync(self.fileno())


def _write_raw(file: io.FileIO, data: memoryview) -> int:
    return io.FileIO.write(file, data) or 0


class _Column:
    """One variable being written: rows are held back until they fill whole chunks."""

    def __init__(self, variable: Any, rows: int) -> None:
        self._variable, self._rows, self._at = variable, rows, 0
        self._held: list[np.ndarray] = []

    def extend(self, values: np.ndarray) -> None:
        self._held.append(values)
        held = sum(part.shape[1] for part in self._held)
        if held >= self._rows:
            joined = np.concatenate(self._held, axis=1)
            whole = held - held % self._rows
            self._write(joined[:, :whole])
            self._held = [joined[:, whole:].copy()] if whole < held else []

    def end(self) -> None:
        if self._held:
            self._write(np.concatenate(self._held, axis=1))

    def _write(self, values: np.ndarray) -> None:
        stop = self._at + values.shape[1]
        self._variable[:, self._at : stop] = values.astype(np.int8) if values.dtype == bool else values
        self._at = stop


def _without_bool(values: np.ndarray) -> tuple[np.ndarray, dict[str, str]]:
    """netCDF has no booleans; xarray writes them as int8 with an attribute, and reads them back so."""
    return (values.astype(np.int8), {"dtype": "bool"}) if values.dtype == bool else (values, {})
