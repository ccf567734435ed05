"""How much memory a large run takes end to end: sampling, the netCDF file, the summary and its warnings.

    python -m benchmarks.large_run [--draws 250000] [--numbers 100] [--until AIM] [--reader PYTHON]…

Runs the command line on one model in a process of its own, prints its wall time and its peak resident memory, and
opens the file with the ArviZ of each `--reader` (a Python interpreter; this one by default): shapes, the mean of a
variable, and that no draw is missing. Exits with 1 where the peak is above LIMIT or the file is not whole.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

LIMIT = 1.5e9
"""Bytes that a run of 10^6 draws of 100 numbers may take."""

READ = """
import sys, warnings
warnings.simplefilter("ignore")
import arviz, numpy as np
tree = arviz.from_netcdf(sys.argv[1])
x = tree["posterior"]["x"]
values = np.asarray(x[:, -1000:])
assert np.isfinite(values).all() and np.unique(values[:, :, 0]).size > 3000, "draws are missing"
assert abs(values.mean()) < 0.02, values.mean()
print(f"ArviZ {arviz.__version__} reads x as {dict(x.sizes)}, {x.dtype}")
"""


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure the memory of a large run.")
    parser.add_argument("--draws", type=int, default=250_000, help="of each of 4 chains")
    parser.add_argument("--numbers", type=int, default=100)
    parser.add_argument("--until", help="an aim at which to end before")
    parser.add_argument("--reader", action="append", help="a Python with ArviZ")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        model, out = Path(folder) / "large.energy", Path(folder) / "large.nc"
        model.write_text(f"energy e(x: real[{given.numbers}]) {{ x ~ normal(0, 1) }}\n")
        command = [sys.executable, "-m", "energylang", "sample", model, "--out", out, "--quiet"]
        command += ["--method", "nuts()", "--draws", str(given.draws), "--warmup", "500"]
        began = time.perf_counter()
        subprocess.run(
            command + (["--until", given.until] if given.until else []), check=True, stdout=subprocess.DEVNULL
        )
        seconds = time.perf_counter() - began
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        peak = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
        print(
            f"{seconds:.0f} s, {usage.ru_utime:.0f} s of CPU, peak {peak / 1e6:,.0f} MB, file {out.stat().st_size / 1e6:,.0f} MB"
        )
        for reader in given.reader or [sys.executable]:
            subprocess.run([reader, "-c", READ, out], check=True)
    return int(peak > LIMIT)


if __name__ == "__main__":
    sys.exit(main())
