"""Arrays by name as bytes, for the way from one process to another."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

Arrays = Mapping[str, np.ndarray]


def packed(arrays: Arrays, said: Any = None) -> bytes:
    """Arrays by name, and a JSON value, as bytes: a line that says what they are, and the numbers."""
    contiguous = {name: np.asarray(values, order="C") for name, values in arrays.items()}
    shapes = [[name, values.dtype.name, values.shape] for name, values in contiguous.items()]
    header = json.dumps({"said": said, "arrays": shapes}).encode()
    return b"".join([header, b"\n", *(values.tobytes() for values in contiguous.values())])


def unpacked(content: bytes) -> dict[str, np.ndarray]:
    """The reverse of `packed`."""
    header, at = header_of(content)
    arrays: dict[str, np.ndarray] = {}
    for name, dtype, shape in header["arrays"]:
        size = int(np.prod(shape, dtype=np.int64))
        arrays[name] = np.frombuffer(content, np.dtype(dtype), size, at).reshape(shape)
        at += arrays[name].nbytes
    return arrays


def header_of(content: bytes) -> tuple[dict[str, Any], int]:
    end = content.index(b"\n")
    return json.loads(content[:end]), end + 1
