"""The guide to adding a method shows the code as it is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs/adding-a-method.md").read_text()
SOURCES = [
    (ROOT / path).read_text()
    for path in ("energylang/methods/mala.py", "energylang/catalog/continuous.py", "tests/methods/test_continuous.py")
]


@pytest.mark.parametrize("block", re.findall(r"```python\n(.*?)```", GUIDE, re.DOTALL))
def test_a_block_is_text_of_a_file(block: str) -> None:
    assert any(block in source for source in SOURCES)


def test_the_files_it_names_exist() -> None:
    named = set(re.findall(r"`((?:energylang|tests)/[\w/.]+\w/?)`", GUIDE))
    assert len(named) > 6
    assert all((ROOT / name).exists() for name in named)
