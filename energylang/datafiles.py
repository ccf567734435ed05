"""Data files: JSON (Stan's conventions), NPZ, NPY, CSV and netCDF, and graphs, as arrays by name.

What a file contains is never trusted: nothing is unpickled, sizes are looked at before anything is read, and whatever
is wrong becomes a diagnostic (E0707) with its cause and what to do.
"""

from __future__ import annotations

import csv
import json
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from math import prod
from pathlib import Path
from typing import Any

from energylang.diagnostics import DiagnosticError, Diagnostics, suggest
from energylang.graphs.formats import SUFFIXES, is_graph, with_options
from energylang.source import Span

JSON_GROWTH = 10
"""Bytes of Python objects that one byte of text becomes, about."""

MAPPED_BYTES = 1 << 28
"""Bytes from which on the numbers of an NPY file stay there, and are read as they are needed."""

_BINDING = re.compile(r"([A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*)=(.*)", re.DOTALL)
_WORDS = {
    **dict.fromkeys(("NaN", "nan", "NA", ""), float("nan")),
    **dict.fromkeys(("Inf", "+Inf", "inf", "Infinity", "+Infinity"), float("inf")),
    **dict.fromkeys(("-Inf", "-inf", "-Infinity"), float("-inf")),
}


class Unreadable(Exception):
    """Why a file cannot be read: the cause, and what to do."""

    def __init__(self, cause: str, fix: str = ""):
        self.cause, self.fix = cause, fix
        super().__init__(cause)


@dataclass(frozen=True)
class Wanted:
    """What of a file is looked for: the number of axes by name, and, for a file of one value, its name."""

    ranks: Mapping[str, int]
    single: str | None = None


Reader = Callable[[Path, Wanted], Mapping[str, Any]]
"""Everything in a file by name; what is not wanted may be None. A file of one value has it under the wanted name."""


def from_arguments(
    arguments: Sequence[str], ranks: Mapping[str, int], diagnostics: Diagnostics, option: str = "--data"
) -> dict[str, Any]:
    """Values by name from arguments such as `d.json`, `y=y.npy` and `sigma=2.5`; later ones win.

    ranks: the number of axes of each name that the model declares. A name beyond them stays if it was given as
    `name=`, so that binding reports it; the unused names of whole files are one note.
    """
    values: dict[str, Any] = {}
    unused: dict[str, list[str]] = {}
    for argument in arguments:
        binding = _BINDING.fullmatch(argument)
        if binding is None:
            found, rest = _split(Path(argument), ranks, diagnostics)
            values |= found
            if rest:
                unused[argument] = rest
            continue
        name, text = binding.groups()
        if not Path(text).exists() and (literal := _literal(text)) is not None:
            values[name] = literal
        elif (found := read_value(Path(text), name, ranks.get(name), diagnostics)) is not None:
            values[name] = found
    _note_unused(unused, ranks, values, diagnostics)
    return values


def from_file(path: Path, ranks: Mapping[str, int], diagnostics: Diagnostics) -> dict[str, Any]:
    """The values in one file of those names that the model declares; the others are a note."""
    values, rest = _split(path, ranks, diagnostics)
    _note_unused({str(path): rest} if rest else {}, ranks, values, diagnostics)
    return values


def read_names(path: Path, ranks: Mapping[str, int], diagnostics: Diagnostics) -> dict[str, Any]:
    """Everything in one file by name; what is not in `ranks` may be None."""
    return dict(_read(path, Wanted(ranks), diagnostics))


def _split(path: Path, ranks: Mapping[str, int], diagnostics: Diagnostics) -> tuple[dict[str, Any], list[str]]:
    """What a file has of the names in `ranks`, and its other names."""
    found = _read(path, Wanted(ranks), diagnostics)
    return {name: value for name, value in found.items() if name in ranks}, [n for n in found if n not in ranks]


def _note_unused(
    unused: Mapping[str, list[str]], ranks: Mapping[str, int], values: Mapping[str, Any], diagnostics: Diagnostics
) -> None:
    """One note about the names, by file, that the model does not declare."""
    if not unused:
        return
    listed = "; ".join(f"{', '.join(f'`{name}`' for name in names)} of {file}" for file, names in unused.items())
    free = [name for name in ranks if name not in values]
    near = [f"`{close}`" for names in unused.values() for name in names if (close := suggest(name, free))]
    fix = f"did you mean {', '.join(near)}?" if near else f"declared are {', '.join(ranks) or 'none'}"
    diagnostics.add("N0701", f"the model does not use {listed}", fix=fix)


def read_value(
    path: Path, name: str, rank: int | None, diagnostics: Diagnostics, span: Span | None = None
) -> Any | None:
    """The value of one name: all of a file that holds one value, or what a file of several calls by this name."""
    wanted = Wanted({} if rank is None else {name: rank}, name)
    found = _read(path, wanted, diagnostics, span)
    if found and found.get(name) is None:
        diagnostics.add(
            "E0707", f"the data file `{path}` has no `{name}`", span, cause=f"it has {', '.join(found)}", fix="check the name"
        )  # fmt: skip
    return found.get(name)


def read_beside(folder: Path | None, file: str, name: str, rank: int, span: Span, diagnostics: Diagnostics) -> Any:
    """The value of `data name: … from "file"`: the file lies in the model's folder, and nowhere else."""
    if folder is None:
        diagnostics.add(
            "E0707", f'`{name}` comes `from "{file}"`, and this model is a text without a folder', span,
            fix=f"give the value: `data = {{\"{name}\": …}}`",
        )  # fmt: skip
        return None
    path = folder / file
    if leaves(folder, file):
        diagnostics.add(
            "E0707", f'`from "{file}"` leaves the folder of the model', span,
            cause="a model reads files of its own folder only",
            fix=f"put the file beside the model, or give it on the command line: `--data {name}={file}`",
        )  # fmt: skip
        return None
    return read_value(path, name, rank, diagnostics, span)


def leaves(folder: Path, file: str) -> bool:
    """Whether a file that a model names lies outside the model's folder."""
    outside = os.path.isabs(file) or ".." in Path(file).parts or "\\" in file
    return outside or not (folder / file).resolve().is_relative_to(folder.resolve())


def _literal(text: str) -> Any | None:
    """A number, or nested lists of numbers, as JSON writes them; None where it is neither."""
    try:
        value = _numbers(json.loads(text))
    except (ValueError, RecursionError):
        return _WORDS.get(text) if text else None
    return value if isinstance(value, int | float | list) else None


def _read(path: Path, wanted: Wanted, diagnostics: Diagnostics, span: Span | None = None) -> Mapping[str, Any]:
    path, options = with_options(path)
    try:
        if is_graph(path, options):
            return _graph(path, options, wanted, diagnostics, span)
        reader = _reader(path)
        if options:
            name, value = next(iter(options.items()))
            raise Unreadable(f"`{name}={value}` is an option of graphs, and this is {_format(path)}", "leave it away")
        return reader(path, wanted)
    except Unreadable as error:
        cause, fix = error.cause, error.fix
    except DiagnosticError as error:
        for found in error.diagnostics:
            diagnostics.add(found.code, found.message, span, cause=found.cause, fix=found.fix)
        return {}
    except FileNotFoundError:
        cause, fix = "there is no such file", "check the path"
    except IsADirectoryError:
        cause, fix = "it is a folder", "name a file in it"
    except PermissionError:
        cause, fix = "you may not read it", "check its permissions"
    except MemoryError:
        cause, fix = "it does not fit into memory", "give a smaller file"
    except RecursionError:
        cause, fix = "its lists are nested too deeply", "write arrays as nested lists, one level an axis"
    except UnicodeDecodeError:
        cause, fix = "it is not UTF-8 text", "save it as UTF-8"
    except Exception as error:  # Whatever the readers of other libraries raise for bytes that are not what they seem.
        cause = str(error).strip().partition("\n")[0] or type(error).__name__
        fix = f"write it again as {_format(path)}"
    diagnostics.add("E0707", f"cannot read the data file `{path}`", span, cause=cause, fix=fix)
    return {}


def _reader(path: Path) -> Reader:
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise Unreadable(
            f"its format is not known by its name ({path.suffix or 'no suffix'})", f"the suffixes are {', '.join((*READERS, *SUFFIXES))}"
        )  # fmt: skip
    if path.is_dir():
        raise IsADirectoryError
    return reader


def _format(path: Path) -> str:
    return path.suffix.lstrip(".").upper()


def memory() -> int | None:
    """Bytes of memory of this machine; None where it does not tell."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return None


def _require_room(needed: int) -> None:
    """Refuse what could not be held in memory, before it is read."""
    there = memory()
    if there is not None and needed > there:
        raise Unreadable(
            f"it needs about {needed / 2**30:,.1f} GiB of memory, and this machine has {there / 2**30:,.1f}",
            "give fewer rows, or a binary format (NPY)",
        )


# --- JSON -----------------------------------------------------------------------------------------------------------


def _json(path: Path, wanted: Wanted) -> Mapping[str, Any]:
    _require_room(path.stat().st_size * JSON_GROWTH)
    text = path.read_text(encoding="utf-8-sig")
    if not text.strip():
        raise Unreadable("it is empty", 'write names and values: `{"y": [1, 2]}`')
    try:
        value = json.loads(text, object_pairs_hook=_distinct)
    except json.JSONDecodeError as error:
        raise Unreadable(f"line {error.lineno}, column {error.colno}: {error.msg}", "mend the JSON there") from None
    if not isinstance(value, dict):
        if wanted.single is None:
            raise Unreadable(
                "it holds one value without a name", f'name it: `--data name={path}`, or write `{{"name": …}}`'
            )
        return {wanted.single: _numbers(value)}
    return {name: _numbers(item) for name, item in value.items()}


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise Unreadable(f"the key `{twice}` stands in it twice", "keep one")
    return found


def _numbers(value: Any) -> Any:
    """Stan writes what JSON has no word for as text: "NaN", "Inf", "-Inf"."""
    if isinstance(value, list):
        # Most lists are plain numbers, and those stay as they are.
        return [_numbers(item) if isinstance(item, list | str) else item for item in value]
    return _WORDS.get(value, value) if isinstance(value, str) and value else value


# --- NumPy ----------------------------------------------------------------------------------------------------------


def _npy(path: Path, wanted: Wanted) -> Mapping[str, Any]:
    import numpy as np

    if wanted.single is None:
        raise Unreadable("an NPY file holds one value without a name", f"name it: `--data name={path}`")
    with path.open("rb") as file:
        version = np.lib.format.read_magic(file)
        header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = header(file)
        there = os.fstat(file.fileno()).st_size - file.tell()
    _require_numbers(dtype)
    if prod(shape) * dtype.itemsize > there:
        raise Unreadable("it is shorter than its header says", "write it again")
    return {wanted.single: np.load(path, "r" if there >= MAPPED_BYTES else None, allow_pickle=False)}


def _npz(path: Path, wanted: Wanted) -> Mapping[str, Any]:
    import zipfile

    import numpy as np

    with zipfile.ZipFile(path) as archive:
        sizes = {info.filename.removesuffix(".npy"): info.file_size for info in archive.infolist()}
    names = _chosen(sizes, wanted)
    _require_room(sum(sizes[name] for name in names))
    found: dict[str, Any] = dict.fromkeys(sizes)
    with np.load(path, allow_pickle=False) as archive:
        for name in names:
            array = archive[name]
            _require_numbers(array.dtype, name)
            found[name] = array
    return _named(found, wanted)


def _chosen(names: Iterable[str], wanted: Wanted) -> list[str]:
    """Which of a file's names are read: those wanted, or the only one where one value is."""
    listed = list(names)
    if wanted.single is not None:
        return listed if len(listed) == 1 else [name for name in listed if name == wanted.single]
    return [name for name in listed if name in wanted.ranks]


def _named(found: dict[str, Any], wanted: Wanted) -> dict[str, Any]:
    """The only value of a file is the one that is wanted, whatever its name."""
    if wanted.single is not None and len(found) == 1:
        return {wanted.single: next(iter(found.values()))}
    return found


def _require_numbers(dtype: Any, name: str = "") -> None:
    if dtype.hasobject:
        raise Unreadable("it holds Python objects, and unpickling them would run code", "save an array of numbers")
    if dtype.kind not in "biuf":
        where = f"`{name}` is" if name else "its entries are"
        raise Unreadable(f"{where} {dtype}, not real numbers", "save numbers")


# --- CSV ------------------------------------------------------------------------------------------------------------


def _csv(path: Path, wanted: Wanted) -> Mapping[str, Any]:
    _require_room(path.stat().st_size * JSON_GROWTH)
    with path.open(encoding="utf-8-sig", newline="") as file:
        first = file.readline()
        delimiter = max(",;\t", key=first.count) if first else ","
        rows = csv.reader(chain([first], file), delimiter=delimiter, skipinitialspace=True)
        try:
            table = [(rows.line_num, row) for row in rows if row]
        except csv.Error as error:
            raise Unreadable(f"line {rows.line_num}: {error}", "mend the line") from None
    if not table:
        raise Unreadable("it is empty", "give a line of column names, then the rows")
    width = len(table[0][1])
    for line, row in table:
        if len(row) != width:
            raise Unreadable(f"line {line} has {len(row)} fields, and the first has {width}", "give every row as many")
    header = [name.strip() for name in table[0][1]]
    titled = any(_number(name) is None for name in header)
    single = wanted.single
    if single and wanted.ranks.get(single) == 1 and titled and single not in header and width > 1 and len(table) > 2:
        near = suggest(single, header)
        fix = f"rename its column `{near}`" if near else "give one of its columns this name"
        raise Unreadable(f"it has no column `{single}`, but {', '.join(header)}", fix)
    if wanted.single is not None and not (titled and wanted.single in header and wanted.ranks.get(wanted.single) == 1):
        return {wanted.single: _matrix(table[1:] if titled else table, header, wanted.ranks.get(wanted.single))}
    if not titled:
        raise Unreadable("its first line has no column names", f"add them, or name the matrix: `--data name={path}`")
    if len(set(header)) < width:
        raise Unreadable("two of its columns have one name", "rename one")
    return {
        name: _column(table[1:], column, name) if name in wanted.ranks or name == wanted.single else None
        for column, name in enumerate(header)
    }


def _column(table: list[tuple[int, list[str]]], column: int, name: str) -> list[int] | list[float]:
    """Ints where all are, reals otherwise."""
    values = []
    for line, row in table:
        value = _number(row[column])
        if value is None:
            raise Unreadable(f"line {line}: `{row[column]}` in column `{name}` is not a number", "write a number there")
        values.append(value)
    return values


def _matrix(table: list[tuple[int, list[str]]], header: list[str], rank: int | None) -> Any:
    columns = [_column(table, column, name) for column, name in enumerate(header)]
    if rank == 1 and len(columns) == 1:
        return columns[0]
    if rank == 1 and len(table) == 1:
        return [column[0] for column in columns]
    return [list(row) for row in zip(*columns, strict=True)]


def _number(text: str) -> int | float | None:
    text = text.strip()
    if text in _WORDS:
        return _WORDS[text]
    try:
        return int(text)
    except ValueError:
        pass
    try:
        return float(text)
    except ValueError:
        return None


# --- netCDF ---------------------------------------------------------------------------------------------------------


def _netcdf(path: Path, wanted: Wanted) -> Mapping[str, Any]:
    import h5netcdf

    with path.open("rb") as file:
        if file.read(3) == b"CDF":
            raise Unreadable("it is netCDF-3", "convert it: `nccopy -k netCDF-4 old.nc new.nc`")
    with h5netcdf.File(path, "r") as file:
        variables = file.variables
        names = _chosen(variables, wanted)
        for name in names:
            _require_numbers(variables[name].dtype, name)
        _require_room(sum(prod(variables[name].shape) * variables[name].dtype.itemsize for name in names))
        found: dict[str, Any] = dict.fromkeys(variables)
        for name in names:
            found[name] = _unpacked(variables[name])
    return _named(found, wanted)


def _unpacked(variable: Any) -> Any:
    """The values by the CF conventions: what equals `_FillValue` is missing, packed numbers are scaled back."""
    import numpy as np

    values, attributes = np.asarray(variable[...]), variable.attrs
    missing = attributes.get("_FillValue")
    scale, offset = attributes.get("scale_factor"), attributes.get("add_offset")
    lost = None if missing is None else values == missing
    if scale is not None or offset is not None:
        values = values * np.float64(1 if scale is None else scale) + np.float64(0 if offset is None else offset)
    if lost is not None and lost.any():
        values = np.where(lost, np.nan, values)
    return values


# --- graphs ---------------------------------------------------------------------------------------------------------


def _graph(
    path: Path, options: Mapping[str, str], wanted: Wanted, diagnostics: Diagnostics, span: Span | None
) -> Mapping[str, Any]:
    """`edges`, `weights` and `n` of a graph; for one name of another spelling, what has as many axes."""
    from energylang.graphs.files import read_with
    from energylang.graphs.graph import why_in_parts

    if path.is_dir():
        raise IsADirectoryError
    _require_room(path.stat().st_size * JSON_GROWTH)
    graph = read_with(path, options)
    if (parts := graph.parts) > 1:
        diagnostics.add(
            "N0711", f"the graph of `{path}` falls into {parts:,} parts", span, cause=why_in_parts(graph),
            fix="right where it is meant; else look at `base` and `nodes`: where counting begins, and how many there are",
        )  # fmt: skip
    data, rank = graph.data, wanted.ranks.get(wanted.single or "", 2)
    if wanted.single is not None:
        name = wanted.single if wanted.single in data else {0: "n", 1: "weights"}.get(rank, "edges")
        return {wanted.single: data[name]}
    unused = {"n"} | ({"weights"} if graph.weights is None else set())
    return {name: value for name, value in data.items() if name in wanted.ranks or name not in unused}


READERS: dict[str, Reader] = {
    ".json": _json,
    ".csv": _csv,
    ".tsv": _csv,
    ".npy": _npy,
    ".npz": _npz,
    ".nc": _netcdf,
}
"""By suffix."""
