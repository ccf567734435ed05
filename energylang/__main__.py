"""`python -m energylang`."""

from __future__ import annotations

from energylang.cli.main import main

if __name__ == "__main__":
    main()
