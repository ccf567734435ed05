"""The file of a run: what ArviZ and xarray read, and what happens where it cannot be written."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from energylang.diagnostics import DiagnosticError
from energylang.run import checks, netcdf, parts, summary
from energylang.run.netcdf import Writer
from energylang.run.result import Run
from tests.run import toys
from tests.run.drive import PROVENANCE, digest, run


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return run(out=tmp_path_factory.mktemp("run") / "r.nc")


@pytest.fixture(scope="module")
def arviz() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import arviz

    return arviz


def failure(code: str, **options: Any) -> str:
    with pytest.raises(DiagnosticError) as caught:
        run(**options)
    (found,) = caught.value.diagnostics
    assert found.code == code
    return f"{found.message} {found.cause} {found.fix}"


def test_a_file_holds_what_memory_holds(written: Run) -> None:
    kept = run()
    assert digest(kept) == digest(written)
    assert kept.path is None
    assert list(kept) == list(written) == ["x", "s", "noise"]
    assert str(kept.summary()) == str(written.summary())
    assert set(written.data.groups()) == {*kept.data.groups(), "run"}
    np.testing.assert_array_equal(written.data.read("observed_data", "y"), np.arange(4.0))
    with pytest.raises(KeyError):
        written["nothing"]


def test_arviz_reads_the_file(written: Run, arviz: Any) -> None:
    data = arviz.from_netcdf(written.path)
    assert data.posterior.sizes == {"chain": 3, "draw": 60, "x_dim_0": 3, "s_dim_0": 2}
    assert data.warmup_posterior.sizes["draw"] == 40
    assert data.posterior.s.dtype == np.int8
    assert data.sample_stats.diverging.dtype == bool
    assert data.posterior.attrs["inference_library"] == "energylang"
    assert data.posterior.attrs["tuning_steps"] == 40
    np.testing.assert_array_equal(data.posterior.x, written["x"])
    np.testing.assert_array_equal(data.observed_data.y, np.arange(4.0))
    table = arviz.summary(data, var_names=["x"])
    assert table.index.tolist() == ["x[0]", "x[1]", "x[2]"]


def test_xarray_reads_the_file(written: Run) -> None:
    import xarray

    with xarray.open_datatree(written.path, engine="h5netcdf") as tree:
        assert tree["posterior"].sizes["draw"] == 60
        assert tree["posterior/x"].coords["x_dim_0"].values.tolist() == [0, 1, 2]
        said = tree["run"].attrs
        assert json.loads(said["options"])["draws"] == 60
        assert set(json.loads(said["versions"])) == {"energylang", "jax", "jaxlib", "blackjax", "diffrax"}
        assert said["energy"] == "toy"
        assert tree["run/source"].values.tolist() == list(PROVENANCE.sources.values())
        assert tree["run/source"].coords["source_name"].values.tolist() == ["toy.energy"]


def test_a_run_becomes_inference_data(written: Run, arviz: Any) -> None:
    for each in (written, run()):
        data = each.to_arviz()
        np.testing.assert_array_equal(data.posterior.x, written["x"])
        assert data.sample_stats.lp.shape == (3, 60)
        assert data.warmup_posterior.sizes["draw"] == 40


def test_a_run_can_be_opened_again(written: Run, tmp_path: Path) -> None:
    assert written.path is not None
    again = Run.open(written.path)
    assert digest(again) == digest(written)
    assert again.method == "metropolis()"
    for text in (b"", b"not netCDF", written.path.read_bytes()[:5000]):
        (tmp_path / "bad.nc").write_bytes(text)
        with pytest.raises(DiagnosticError) as caught:
            Run.open(tmp_path / "bad.nc")
        assert caught.value.diagnostics[0].code == "E0831"
    with pytest.raises(DiagnosticError):
        Run.open(tmp_path / "none.nc")


def test_a_summary_reads_a_file_in_pieces(written: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = str(run().summary())
    monkeypatch.setattr(summary, "PIECE_BYTES", 1)
    assert written.path is not None
    assert str(Run.open(written.path).summary()) == whole


def test_integers_are_compressed_in_whole_chunks(tmp_path: Path) -> None:
    values = np.random.default_rng(0).choice(np.array([-1, 1], np.int8), (2, 5000, 300))
    ordered = np.cumsum(np.ones((2, 5000)), axis=1, dtype=np.int32)
    with Writer(tmp_path / "w.nc") as writer:
        writer.group("run", {})
        writer.group("posterior", {}, chain=2, draw=5000)
        for at in range(0, 5000, 170):
            some = slice(at, at + 170)
            rows = {"s": values[:, some], "chain": ordered[:, some], "none": np.zeros((2, 170, 0))}
            writer.extend("posterior", {name.replace("chain", "n"): part for name, part in rows.items()}, 5000)
    found = Run.open(tmp_path / "w.nc")
    assert list(found) == ["s", "n"]
    np.testing.assert_array_equal(found["s"], values)
    np.testing.assert_array_equal(found["n"], ordered)
    assert (tmp_path / "w.nc").stat().st_size < values.nbytes / 3


def test_variables_may_have_the_names_of_dims(tmp_path: Path) -> None:
    provenance = PROVENANCE.__class__("toy", "m()", observed_data={"chain": np.arange(3), "flag": np.array([True])})
    found = run(provenance=provenance, out=tmp_path / "r.nc")
    assert found.data.read("observed_data", "chain_").tolist() == [0, 1, 2]
    assert found.data.read("observed_data", "flag").tolist() == [True]


# --- where it cannot be written -----------------------------------------------------------------------------------


def test_folders_that_are_not_there_or_not_folders(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "folder.nc").mkdir()
    assert "there is no such folder" in failure("E0820", out=tmp_path / "none" / "r.nc")
    assert "there is no such folder" in failure("E0820", out=tmp_path / "file" / "r.nc")
    assert "it is a folder" in failure("E0820", out=tmp_path / "folder.nc")
    (tmp_path / "s.nc.parts").write_text("")
    assert "cannot be written" in failure("E0820", out=tmp_path / "s.nc")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
def test_folders_of_others(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    assert "Permission denied" in failure("E0820", out=tmp_path / "r.nc")
    tmp_path.chmod(0o700)


def test_a_disk_that_is_full_while_sampling(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written = run()
    out = tmp_path / "r.nc"
    real, left = parts.write_whole, 8

    def full(path: Path, write: Any) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        real(path, write)

    with monkeypatch.context() as patch:
        patch.setattr(parts, "write_whole", full)
        message = failure("E0804", out=out, chunk=10)
    assert "no space is left" in message
    assert "--resume" in message
    assert digest(run(out=out, resume=True)) == digest(written)


def test_a_disk_that_is_full_while_assembling(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "r.nc"
    out.write_bytes(b"an older run")

    def full(self: Any, data: Any, /) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(netcdf, "_write_raw", full)
        assert "every draw is kept" in failure("E0804", out=out)
    assert out.read_bytes() == b"an older run"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["r.nc", "r.nc.parts"]
    assert digest(run(out=out, resume=True)) == digest(run())


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MiB, where this process may mount one."""
    mount = shutil.which("mount")
    if (
        mount is None
        or subprocess.run([mount, "-t", "tmpfs", "-o", "size=2m", "tmpfs", tmp_path], capture_output=True).returncode
    ):
        pytest.skip("no permission to mount a small disk")
    yield tmp_path
    subprocess.run(["umount", tmp_path], check=True)


def test_a_disk_that_is_full_in_earnest(small_disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """HDF5 itself would end the process here."""
    out = small_disk / "r.nc"
    many = {"chains": 4, "draws": 8000, "warmup": 50}
    assert "are free" in failure("E0804", out=out, **many | {"draws": 10**6})
    monkeypatch.setattr(checks, "require_space", lambda *_: None)
    failure("E0804", out=out, **many | {"draws": 20000})
    shutil.rmtree(small_disk / "r.nc.parts")
    assert "every draw is kept" in failure("E0804", out=out, **many)
    assert not out.exists()
    subprocess.run(["mount", "-o", "remount,size=16m", small_disk], check=True)
    assert digest(run(out=out, resume=True, **many)) == digest(run(**many))


def test_a_run_of_chains_has_no_weights(written: Run) -> None:
    assert written.log_z is None
    assert written.weight_ess is None
    assert not written.weighted
    assert written.options["chains"] == 3
    assert toys.LANES["cpu"] == written.facts["width"]
