"""Posteriors of posteriordb in EnergyLang: every mean and mean square against the reference draws.

    python -m benchmarks.posteriordb PATH_OF_A_CLONE [NAME…]

Data and reference come from a clone of github.com/stan-dev/posteriordb; the models are `benchmarks/posteriordb/*.energy` and
`tests/posteriordb/*.energy`, named as in posteriordb. Each runs as its own `sample` declaration says.
"""

from __future__ import annotations

import argparse
import io
import json
import re
import time
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import jax
import numpy as np

import energylang
from energylang.run.result import Run
from energylang.run.summary import summarise

ROOT = Path(__file__).parents[1]
FOLDERS = (ROOT / "tests" / "posteriordb", ROOT / "benchmarks" / "posteriordb")
IN_EXAMPLES = {"eight_schools_noncentered": "eight_schools", "eight_schools_centered": "eight_schools_centred"}
IN_DOUBLE = frozenset({"gp_pois_regr", "one_comp_mm_elim_abs"})
"""Models that need float64; docs/posteriordb.md says why."""
BOUND = 4.5
"""In combined Monte Carlo errors: one in 150,000 for a normal, and there are about 700 comparisons."""


@dataclass(frozen=True)
class Moments:
    """The mean and the mean square of a quantity, each with its Monte Carlo error."""

    mean: float
    square: float
    mean_error: float
    square_error: float

    @staticmethod
    def of(draws: np.ndarray) -> Moments:
        """Of draws [chain, draw]; the errors are those of dependent draws."""
        draws = np.asarray(draws, np.float64)
        mean, square = summarise([("x", draws)]), summarise([("x", draws**2)])
        return Moments(*(float(s[column][0]) for column in ("Mean", "MCSE") for s in (mean, square)))


@dataclass(frozen=True)
class Comparison:
    """How far a run is from its reference: z of means and mean squares by quantity, worst R_hat, least ESS_bulk."""

    mean: dict[str, float]
    square: dict[str, float]
    r_hat: float
    ess: float

    @property
    def worst(self) -> tuple[float, float]:
        """The largest |z| of the means, and of the mean squares."""
        return tuple(float(np.max(np.abs(list(z.values())))) for z in (self.mean, self.square))  # type: ignore[return-value]

    @property
    def good(self) -> bool:
        return max(self.worst) < BOUND and self.r_hat < 1.01 and self.ess >= 400


def compare(run: Run, reference: Mapping[str, Moments]) -> Comparison:
    """Every quantity of the reference; R_hat and ESS are over the same quantities."""
    mean, square, found = {}, {}, []
    for name, known in reference.items():
        draws = quantity(run, name)
        ours = Moments.of(draws)
        mean[name] = (ours.mean - known.mean) / np.hypot(ours.mean_error, known.mean_error)
        square[name] = (ours.square - known.square) / np.hypot(ours.square_error, known.square_error)
        found.append((name, draws))
    summary = summarise(found)
    return Comparison(mean, square, float(np.max(summary["R_hat"])), float(np.min(summary["ESS_bulk"])))


def quantity(run: Run, name: str) -> np.ndarray:
    """Draws [chain, draw] by posteriordb's name: indices from 1, and `theta1[2]` may be an entry of the rows of `theta`."""
    base, *index = re.findall(r"\w+", name)
    if base not in run:
        base, row = base[:-1], base[-1]
        index = [row, *index]
    draws = np.asarray(run[base], np.float64)
    if draws.ndim == 2:
        return draws
    return draws[(..., *(int(i) - 1 for i in index))]


def model_file(model: str) -> Path | None:
    """The model by posteriordb's name."""
    if model in IN_EXAMPLES:
        return ROOT / "examples" / f"{IN_EXAMPLES[model]}.energy"
    return next((path for folder in FOLDERS if (path := folder / f"{model}.energy").exists()), None)


# --- a clone of posteriordb -------------------------------------------------------------------------------------------


def posteriors(clone: Path) -> Iterator[dict[str, Any]]:
    """What posteriordb says about each posterior that has a reference."""
    for path in sorted((clone / "posterior_database" / "posteriors").glob("*.json")):
        described = json.loads(path.read_text())
        if described.get("reference_posterior_name"):
            yield described


def unzipped(path: Path) -> Any:
    with zipfile.ZipFile(path) as archive:
        return json.load(io.TextIOWrapper(archive.open(archive.namelist()[0]), "utf-8"))


def reference(clone: Path, name: str) -> dict[str, Moments]:
    """From the reference draws; where a partial clone lacks them, from posteriordb's own summary of them."""
    folder = clone / "posterior_database" / "reference_posteriors"
    draws = folder / "draws" / "draws" / f"{name}.json.zip"
    if draws.exists():
        chains = unzipped(draws)
        return {quantity: Moments.of(np.stack([chain[quantity] for chain in chains])) for quantity in chains[0]}
    known = {}
    for kind in ("mean_value", "mean_squared_value"):
        table = json.loads((folder / "summary_statistics" / kind / kind / f"{name}.json").read_text())
        known[kind] = dict(zip(table["names"], zip(table[kind], table["mcse_mean"], strict=True), strict=True))
    return {
        quantity: Moments(mean, known["mean_squared_value"][quantity][0], error, known["mean_squared_value"][quantity][1])
        for quantity, (mean, error) in known["mean_value"].items()
    }  # fmt: skip


def run_one(clone: Path, described: Mapping[str, Any], path: Path) -> tuple[Comparison, Run, float]:
    """Sample as the file says; also the seconds it took, compilation among them."""
    archive = zipfile.ZipFile(clone / "posterior_database" / "data" / "data" / f"{described['data_name']}.json.zip")
    began = time.perf_counter()
    with TemporaryDirectory() as folder, jax.enable_x64(described["model_name"] in IN_DOUBLE):
        model = energylang.load(path, data=archive.extract(archive.namelist()[0], folder))
        run = model.sample(seed=zlib.crc32(described["name"].encode()))
        seconds = time.perf_counter() - began
        return compare(run, reference(clone, described["reference_posterior_name"])), run, seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clone", type=Path)
    parser.add_argument("names", nargs="*", help="posteriors; by default all that have a reference and a model here")
    parser.add_argument("-v", "--verbose", action="store_true", help="every quantity")
    options = parser.parse_args()
    print("| posterior | max \\|z\\| of means | of mean squares | R_hat | least ESS | divergences | seconds |")
    print("|---|---|---|---|---|---|---|")
    tried = matched = 0
    for described in posteriors(options.clone):
        path = model_file(described["model_name"])
        if path is None or (options.names and described["name"] not in options.names):
            continue
        found, run, seconds = run_one(options.clone, described, path)
        tried, matched = tried + 1, matched + found.good
        mean, square = found.worst
        print(
            f"| {described['name']} | {mean:.1f} | {square:.1f} | {found.r_hat:.3f} | {found.ess:,.0f}"
            f" | {int(np.sum(run.stats('diverging')))} | {seconds:.0f} |{'' if found.good else ' differs'}",
            flush=True,
        )
        if options.verbose:
            for name in found.mean:
                print(f"    {name}: {found.mean[name]:+.2f} {found.square[name]:+.2f}")
            print(*run.warnings, sep="\n")
    print(f"{matched} of {tried} match")


if __name__ == "__main__":
    main()
