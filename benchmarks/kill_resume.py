"""Kill a run at random moments, resume it each time, and compare every number with a run that was left alone.

    python benchmarks/kill_resume.py [--kills 20] [--seed 0]

The moments are uniform over the writing of a part and the steps after it, warm-up included. Prints one JSON object
and ends with 1 if any number differs.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.run.test_resume import kill_and_resume


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        found, expected, kills = kill_and_resume(Path(folder) / "r.nc", given.kills, given.seed)
    same = found == expected != ""
    print(json.dumps({"kills": kills, "identical": same, "seconds": round(time.perf_counter() - began, 1)}))
    return 0 if same and kills else 1


if __name__ == "__main__":
    sys.exit(main())
