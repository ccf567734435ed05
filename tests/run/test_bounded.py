"""What writes and what reads the file of a run holds a part of it at a time."""

from __future__ import annotations

import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pytest

from energylang.run import summary
from energylang.run.data import FileData
from energylang.run.netcdf import Writer
from tests.run.drive import run


def test_writer_and_summary_take_a_bounded_part_of_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Written chunk by chunk and summarised piece by piece; as a whole it would be 10 MB in float64, and copies."""
    monkeypatch.setattr(summary, "PIECE_BYTES", 1 << 18)
    monkeypatch.setattr(summary, "BLOCK_BYTES", 1 << 18)
    generator = np.random.default_rng(zlib.crc32(b"bounded"))
    path, count, numbers = tmp_path / "r.nc", 5_000, 60
    run(out=path).summary()  # what is imported on the way is not what is measured
    tracemalloc.start()
    with Writer(path) as writer:
        writer.group("posterior", {}, chain=4, draw=count)
        for _ in range(0, count, 500):
            writer.extend("posterior", {"x": generator.normal(size=(4, 500, numbers)).astype(np.float32)}, count)
        writer.group("run", {"energy": "e"})
    table = summary.summarise([("x", FileData(path).view("posterior", "x"))])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(table) == numbers
    assert table["ESS_bulk"].min() > count
    assert peak < 6 << 20 < 4 * count * numbers * 8
