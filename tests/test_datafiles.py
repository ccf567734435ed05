"""Data files: every format, and every way in which one can be wrong."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import energylang as el
from energylang import datafiles
from energylang.datafiles import from_arguments, read_value
from energylang.diagnostics import DiagnosticError, Diagnostics

RANKS = {"y": 1, "X": 2, "k": 0}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def read(*arguments: str) -> tuple[dict[str, Any], list[tuple[str, str, str]]]:
    diagnostics = Diagnostics()
    values = from_arguments(arguments, RANKS, diagnostics)
    return values, [(found.code, found.cause, found.fix) for found in diagnostics.found]


def failure(*arguments: str) -> tuple[str, str]:
    values, found = read(*arguments)
    assert values == {}
    ((code, cause, fix),) = found
    assert code == "E0707"
    assert fix
    return cause, fix


def same(found: Any, expected: Any) -> None:
    np.testing.assert_array_equal(np.asarray(found), np.asarray(expected))


# --- formats --------------------------------------------------------------------------------------------------------


def test_json_by_stans_conventions() -> None:
    Path("d.json").write_text('{"y": [1, 2.5, "NaN", "-Inf", "Inf"], "X": [[1, 2], [3, 4]], "k": 3}')
    values, found = read("d.json")
    assert found == []
    same(values["y"], [1, 2.5, np.nan, -np.inf, np.inf])
    assert (values["X"], values["k"]) == ([[1, 2], [3, 4]], 3)


def test_npz_npy_and_netcdf() -> None:
    import h5netcdf

    y, X = np.arange(3.0), np.arange(4).reshape(2, 2)
    np.savez("d.npz", y=y, X=X)
    np.save("y.npy", y)
    with h5netcdf.File("d.nc", "w") as file:
        file.dimensions = {"n": 3}
        variable = file.create_variable("y", ("n",), data=np.array([1, -9, 3]), dtype="i4", fillvalue=-9)
        variable.attrs["scale_factor"] = 0.5
    assert read("d.npz")[1] == []
    same(read("d.npz")[0]["X"], X)
    same(read("y=y.npy")[0]["y"], y)
    same(read("d.nc")[0]["y"], [0.5, np.nan, 1.5])
    same(read("y=d.nc")[0]["y"], [0.5, np.nan, 1.5])
    same(read("X=d.npz")[0]["X"], X)


def test_csv_columns_by_their_names() -> None:
    Path("d.csv").write_text("y, k, name\n1, 2, anna\n3, 4, bert\n")
    values, found = read("d.csv")
    assert values == {"y": [1, 3], "k": [2, 4]}
    assert [code for code, *_ in found] == ["N0701"]
    Path("d.csv").write_text("y;z\n1.5;2\n;4\n")
    same(read("d.csv")[0]["y"], [1.5, np.nan])


def test_csv_as_one_matrix_or_vector() -> None:
    Path("m.csv").write_text("1,2\n3,4.5\n")
    assert read("X=m.csv")[0] == {"X": [[1, 2], [3, 4.5]]}
    Path("m.csv").write_text("a,b\n1,2\n3,4\n")
    assert read("X=m.csv")[0] == {"X": [[1, 2], [3, 4]]}
    Path("column.csv").write_text("1\n2\n")
    assert read("y=column.csv")[0] == {"y": [1, 2]}
    assert read("X=column.csv")[0] == {"X": [[1], [2]]}
    Path("row.csv").write_text("1\t2\n")
    assert read("y=row.csv")[0] == {"y": [1, 2]}
    Path("named.csv").write_text("x,y\n1,2\n3,4\n")
    assert read("y=named.csv")[0] == {"y": [2, 4]}


def test_numbers_and_lists_on_the_command_line() -> None:
    assert read("k=3.5", "y=[1, 2]")[0] == {"k": 3.5, "y": [1, 2]}
    assert read("k=-Inf")[0] == {"k": -np.inf}


def test_later_ones_win() -> None:
    Path("a.json").write_text('{"y": [1], "k": 1}')
    Path("b.json").write_text('{"y": [2]}')
    assert read("a.json", "b.json")[0] == {"y": [2], "k": 1}
    assert read("a.json", "y=[3]", "k=9")[0] == {"y": [3], "k": 9}
    assert read("y=[3]", "a.json")[0] == {"y": [1], "k": 1}


def test_unused_names_of_files_are_one_note_and_named_ones_stay() -> None:
    Path("a.json").write_text('{"y": [1], "u": 1, "v": 2}')
    Path("b.json").write_text('{"w": [2]}')
    diagnostics = Diagnostics()
    values = from_arguments(["a.json", "b.json", "z=1"], RANKS, diagnostics)
    assert values == {"y": [1], "z": 1}
    (note,) = diagnostics.found
    assert note.code == "N0701"
    assert all(name in note.message for name in ("`u`", "`v`", "`w`", "a.json", "b.json"))


def test_a_misspelt_name_of_a_file_is_told_apart_from_an_unused_one() -> None:
    Path("a.json").write_text('{"yy": [1], "k": 1}')
    assert read("a.json")[1] == [("N0701", "", "did you mean `y`?")]


# --- failures -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content", "cause"),
    [
        ("d.json", b'{"y": [1, 2}', "line 1, column 12"),
        ("d.json", b'{"y": 1, "y": 2}', "`y` stands in it twice"),
        ("d.json", b"[1, 2]", "one value without a name"),
        ("d.json", b"\xff\xfe\x00", "not UTF-8"),
        ("d.json", b'{"y": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "nested too deeply"),
        ("d.json", b"", "it is empty"),
        ("d.csv", b"", "empty"),
        ("d.csv", b"y,z\n1\n", "line 2 has 1 fields, and the first has 2"),
        ("d.csv", b"y,z\n1,2\nx,3\n", "line 3: `x` in column `y`"),
        ("d.csv", b"1,2\n3,4\n", "no column names"),
        ("d.csv", b"y,y\n3,4\n", "two of its columns"),
        ("d.npz", b"PK no archive", ""),
        ("d.nc", b"CDF\x01 and so on", "netCDF-3"),
        ("d.nc", b"no netCDF", ""),
        ("d.npy", b"anything", "one value without a name"),
        ("d.pickle", b"", "not known"),
        ("d", b"", "not known"),
    ],
)
def test_files_that_cannot_be_read(name: str, content: bytes, cause: str) -> None:
    Path(name).write_bytes(content)
    assert cause in failure(name)[0]


@pytest.mark.parametrize(
    ("content", "cause"), [(b"noise", ""), (b"", ""), (b"\x93NUMPY\x01\x00\x10\x00{'descr': ", "")]
)
def test_npy_that_is_none(content: bytes, cause: str) -> None:
    Path("y.npy").write_bytes(content)
    assert cause in failure("y=y.npy")[0]


def test_npy_shorter_than_it_says() -> None:
    np.save("y.npy", np.zeros(100))
    content = Path("y.npy").read_bytes()
    Path("y.npy").write_bytes(content[:-8])
    assert "shorter than its header says" in failure("y=y.npy")[0]


def test_nothing_is_unpickled() -> None:
    np.save("y.npy", np.array([{}], dtype=object), allow_pickle=True)
    assert "would run code" in failure("y=y.npy")[0]
    np.savez("d.npz", y=np.array([print], dtype=object))
    failure("d.npz")


def test_arrays_of_other_things() -> None:
    np.save("y.npy", np.array(["a"]))
    assert "not real numbers" in failure("y=y.npy")[0]
    np.savez("d.npz", y=np.array([1j]))
    assert "`y` is complex128" in failure("d.npz")[0]


def test_what_does_not_fit_into_memory_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datafiles.os, "sysconf", lambda name: 100 if name == "SC_PHYS_PAGES" else 1)
    buffer = io.BytesIO()
    np.save(buffer, np.zeros(10_000))
    with zipfile.ZipFile("d.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("y.npy", buffer.getvalue())
    assert Path("d.npz").stat().st_size < 1000
    assert "of memory" in failure("d.npz")[0]
    Path("d.json").write_text(json.dumps({"y": list(range(20))}))
    assert "of memory" in failure("d.json")[0]


def test_a_file_that_is_not_there_a_folder_and_a_name_that_is_not_in_it() -> None:
    assert failure("nowhere.json")[0] == "there is no such file"
    assert failure("y=nowhere.csv")[0] == "there is no such file"
    Path("d.json").mkdir()
    assert failure("d.json")[0] == "it is a folder"
    np.savez("d.npz", a=np.zeros(1), b=np.zeros(1))
    assert failure("y=d.npz")[0] == "it has a, b"


def test_every_failure_is_reported() -> None:
    _, found = read("a.json", "b.json")
    assert len(found) == 2


def test_a_file_of_one_value_may_call_it_otherwise() -> None:
    np.savez("d.npz", arr_0=np.zeros(2))
    same(read_value(Path("d.npz"), "y", 1, Diagnostics()), [0, 0])


# --- `from` ---------------------------------------------------------------------------------------------------------

MODEL = 'data y: real[N] from "{file}"\nenergy e(x: real) {{ y ~ normal(x, 1) }}\n'


def load(file: str, **given: Any) -> el.Model:
    Path("models").mkdir(exist_ok=True)
    Path("models/m.energy").write_text(MODEL.format(file=file))
    return el.load("models/m.energy", **given)


def codes(error: pytest.ExceptionInfo[DiagnosticError]) -> list[str]:
    return [found.code for found in error.value.diagnostics]


def test_from_reads_beside_the_model() -> None:
    Path("models").mkdir()
    Path("models/y.json").write_text("[1, 2]")
    same(load("y.json").bound.values["y"], [1, 2])
    Path("models/all.json").write_text('{"y": [3], "z": 1}')
    same(load("all.json").bound.values["y"], [3])
    same(load("all.json", data={"y": [5]}).bound.values["y"], [5])


@pytest.mark.parametrize("file", ["../y.json", "/etc/passwd", "sub/../../y.json", "link.json"])
def test_from_never_leaves_the_folder(file: str) -> None:
    Path("models").mkdir()
    Path("y.json").write_text("[1]")
    Path("models/link.json").symlink_to(Path("y.json").resolve())
    with pytest.raises(DiagnosticError) as error:
        load(file)
    assert codes(error) == ["E0707"]
    assert error.value.diagnostics[0].span is not None
    assert "own folder" in error.value.diagnostics[0].cause


def test_from_a_file_that_is_not_there_or_in_a_text() -> None:
    with pytest.raises(DiagnosticError) as error:
        load("y.json")
    assert codes(error) == ["E0707"]
    with pytest.raises(DiagnosticError) as error:
        el.compile(MODEL.format(file="y.json"))
    assert codes(error) == ["E0707"]
    assert "without a folder" in str(error.value)
