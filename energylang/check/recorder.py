"""What a check tells somebody who wants to know more than its diagnostics: an editor."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

from energylang.source import Source, Span
from energylang.syntax import ast

if TYPE_CHECKING:
    from energylang.check.context import Context, Found

R = TypeVar("R")


class Recorder:
    """Told what a check finds out about a text. What it raises ends the check."""

    def begins(self, module: ast.Module, imported: dict[str, ast.Module], sources: Sequence[Source]) -> None:
        """The text; the modules that could be read, by the names it imports them under; all texts it is made of."""

    def meaning(self, span: Span, meaning: Found) -> None:
        """What a name or a call means; more than once for what is read at every call."""

    def known(self, declaration: ast.AnyDeclaration) -> int | None:
        """How many calls the reading of an energy, a `fn` or a task expands, where it would tell nothing new and is left
        out; else None, and it is read."""

    def reads(self, declaration: ast.AnyDeclaration) -> None:
        """A declaration is about to be read, maybe in the midst of another that needs it."""

    def has_read(self, declaration: ast.AnyDeclaration, right: bool, calls: int) -> None:
        """That is done. right: nothing is wrong with it, not even a lint; calls: how many calls it expanded."""

    def ends(self, calls: int) -> None:
        """Everything was read, which expanded so many calls."""


def is_known(context: Context, declaration: ast.AnyDeclaration) -> bool:
    """Whether the recorder knows what reading a declaration would find, and has it left out."""
    calls = context.recorder.known(declaration) if context.recorder is not None else None
    context.shared.calls += calls or 0
    return calls is not None


def read(context: Context, declaration: ast.AnyDeclaration, reading: Callable[[], R]) -> R:
    """What the reading of a declaration gives; the recorder is told where it begins and ends."""
    from energylang.check.context import Poison

    sites = context.dim_sites
    said, calls = context.diagnostics.said, context.shared.calls
    # Where a dim was first seen is a question about one declaration: its answer must not depend on what others were read.
    context.dim_sites = dict(sites)
    if context.recorder is not None:
        context.recorder.reads(declaration)
    right = False
    try:
        found = reading()
        right = found is not None and not isinstance(found, Poison) and context.diagnostics.said == said
    finally:
        context.dim_sites = sites
        if context.recorder is not None:
            context.recorder.has_read(declaration, right, context.shared.calls - calls)
    return found
