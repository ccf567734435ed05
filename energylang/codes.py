"""The one registry of diagnostic codes; `energylang explain CODE` and the documentation read it.

Ranges: E01 text and syntax · E02 names · E03 types, shapes and indices · E04 spaces and supports ·
E05 normalisation and blocks · E06 tasks and methods · E07 data and parameters · E08 runs and files ·
E09 usage · L lints. A code is never reused for another meaning.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Code:
    """What a code means: `title` is a few words, `explanation` a paragraph with an example and its mend."""

    title: str
    explanation: str
    severity: Literal["error", "warning", "note"] = "error"
    exit_code: int = 1


CODES: dict[str, Code] = {}


def _register(table: dict[str, tuple[str, str]], *, severity: Literal["error", "warning", "note"] = "error", exit_code: int = 1) -> None:
    for name, (title, explanation) in table.items():
        if name in CODES:
            raise KeyError(f"diagnostic code {name} is registered twice")
        CODES[name] = Code(title, explanation, severity, exit_code)
