"""How soon diagnostics come after a keystroke in a file of 300 lines, and what each keystroke costs the server.

    python -m benchmarks.lsp_latency [SECONDS BETWEEN KEYS]

An energy is typed into the middle of a text made of the shipped examples, key by key, through the syntax errors on the
way, three times; then it is deleted key by key. Latency runs from the moment the key is sent to the moment its
diagnostics arrive, both in the editor's process. CPU is that of the server's process, all threads, over its keys: on a
busy machine the clock says how busy it is, and CPU what the work is.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from pathlib import Path

from tests.lsp.client import Client
from tests.lsp.long_model import TYPED, long_model

ROUNDS = 3


def cpu(process: int) -> float:
    """Seconds of CPU that a process has used."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    pause = float(sys.argv[1]) if len(sys.argv) > 1 else 0.0
    text = long_model()
    middle = text.index("\n# ", len(text) // 2) + 1
    texts = [text[:middle] + TYPED[:end] + text[middle:] for end in range(1, len(TYPED) + 1)]
    client = Client()
    client.open(text)
    for edited in texts[:5]:
        client.change(edited)
        client.diagnostics()
    took, wrong, began = [], 0, cpu(client.process.pid)
    for _ in range(ROUNDS):
        for edited in [*texts, *reversed(texts)]:
            time.sleep(pause)
            sent = time.perf_counter()
            client.change(edited)
            arrived, found = client.diagnostics_at()
            took.append(1000 * (arrived - sent))
            wrong += bool(found)
    spent = 1000 * (cpu(client.process.pid) - began) / len(took)
    assert client.stop() == 0
    took.sort()
    print(f"{text.count(chr(10))} lines, {len(took)} keystrokes, {wrong} of them leave the text wrong")
    shown = " · ".join(
        f"{name} {took[min(int(part * len(took)), len(took) - 1)]:.0f} ms"
        for name, part in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99), ("max", 1.0))
    )
    print(f"latency: mean {statistics.mean(took):.0f} ms · {shown}; load {os.getloadavg()[0]:.1f}")
    print(f"CPU of the server: {spent:.0f} ms a keystroke")


if __name__ == "__main__":
    main()
