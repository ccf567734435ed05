"""After a change that is meant: `python -m tests.wrong.promote`, then read the difference before committing it."""

from __future__ import annotations

from tests.wrong.cases import programs, snapshots


def promote() -> None:
    """Write what is said now as what is expected."""
    for program in programs():
        for path, text in snapshots(program):
            path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    promote()
