from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.lsp.client import Client


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    """One server for a module of tests: what a test opens is gone with the next one's."""
    found = Client()
    yield found
    assert found.stop() == 0
