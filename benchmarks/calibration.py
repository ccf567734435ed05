"""Simulation-based calibration at length: the models of tests/test_calibration.py with many replications and fine ranks.

    python -m benchmarks.calibration [--replications 8192]

For each scalar Pearson's chi-square of its ranks 0 to 63 against the uniform law (63 degrees of freedom), as a p-value; and the
same for the twin that has half the prior scale. Ranks of a chain that starts at the truth are uniform up to what is left of the
chain's correlation between two draws that are kept (Talts et al. 2018, arXiv:1804.06788, section 5.1).
"""

from __future__ import annotations

import argparse
import time

import numpy as np
from scipy import stats

from tests.support import calibration


def p_values(found: dict[str, np.ndarray]) -> dict[str, float]:
    """Of the uniformity of the ranks of each scalar."""
    classes = calibration.DRAWS + 1
    return {
        name: float(stats.chisquare(np.bincount(values, minlength=classes)).pvalue) for name, values in found.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--replications", type=int, default=8192)
    replications = parser.parse_args().replications
    print("| model | scalars | smallest p | median p | twin, smallest p | seconds |\n|---|---|---|---|---|---|")
    for name, case in calibration.MODELS.items():
        calibration.ranks(case, replications, seed=1)
        began = time.perf_counter()
        right = p_values(calibration.ranks(case, replications, seed=2))
        seconds = time.perf_counter() - began
        wrong = p_values(calibration.ranks(case, replications, seed=2, twin=True))
        least, middle = min(right.values()), float(np.median(list(right.values())))
        print(
            f"| {name} | {len(right)} | {least:.3g} | {middle:.2f} | {min(wrong.values()):.1g} | {seconds:.1f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
