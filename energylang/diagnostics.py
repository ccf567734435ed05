"""Diagnostics: what is wrong, where, why, and how to mend it. Collected, never thrown one by one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Literal

from energylang.codes import CODES
from energylang.source import Span

Severity = Literal["error", "warning", "note"]


@dataclass(frozen=True, slots=True)
class Label:
    """A second place that matters, with what it has to do with the error."""

    span: Span
    text: str


@dataclass(frozen=True, slots=True)
class Edit:
    """A replacement that mends the model: `span` becomes `text`."""

    span: Span
    text: str


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One finding.

    `message` is one sentence saying what is wrong in the user's own names. `label` is the short text under the
    underlined `span`; `related` are other underlined places; `cause` says why it is wrong; `fix` what to do next;
    `edit` is the fix as a replacement where one is certain. `span` is None for findings outside any text
    (a missing file, a wrong option).
    """

    code: str
    message: str
    span: Span | None = None
    label: str = ""
    related: tuple[Label, ...] = ()
    cause: str = ""
    fix: str = ""
    edit: Edit | None = None

    def __post_init__(self) -> None:
        if self.code not in CODES:
            raise KeyError(f"diagnostic code {self.code} is not in the registry (energylang/codes.py)")

    @property
    def severity(self) -> Severity:
        return CODES[self.code].severity

    @property
    def exit_code(self) -> int:
        return CODES[self.code].exit_code


class DiagnosticError(Exception):
    """Raised at the end of a stage that found errors; carries every diagnostic, notes and warnings included."""

    def __init__(self, diagnostics: Iterable[Diagnostic]):
        self.diagnostics = tuple(diagnostics)
        super().__init__("\n".join(f"{d.code}: {d.message}" for d in self.diagnostics))

    @property
    def exit_code(self) -> int:
        return min((d.exit_code for d in self.diagnostics if d.severity == "error"), default=1)


@dataclass
class Diagnostics:
    """A sink that every stage adds to."""

    found: list[Diagnostic] = field(default_factory=list)

    def add(
        self,
        code: str,
        message: str,
        span: Span | None = None,
        *,
        label: str = "",
        related: Iterable[Label] = (),
        cause: str = "",
        fix: str = "",
        edit: Edit | None = None,
    ) -> None:
        """Record a finding; the same code at the same span with the same message is recorded once."""
        diagnostic = Diagnostic(code, message, span, label, tuple(related), cause, fix, edit)
        if diagnostic not in self.found:
            self.found.append(diagnostic)

    @property
    def failed(self) -> bool:
        return any(d.severity == "error" for d in self.found)

    def raise_if_failed(self) -> None:
        """Raise a `DiagnosticError` with everything found if any of it is an error."""
        if self.failed:
            raise DiagnosticError(self.found)


def suggest(name: str, candidates: Iterable[str]) -> str | None:
    """The candidate nearest to a misspelt name, or None where none is near."""
    close = get_close_matches(name, list(candidates), n=1, cutoff=0.6)
    return close[0] if close else None
