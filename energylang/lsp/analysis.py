"""One look at one text: what is wrong with it, and what its names mean."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from energylang.check import check_source
from energylang.check.context import MOST_CALLS
from energylang.diagnostics import Diagnostic, Diagnostics
from energylang.ir.nodes import Expr
from energylang.lsp.memory import Look, Memory
from energylang.lsp.names import Definition, Names, Use, names_of
from energylang.lsp.positions import Positions
from energylang.source import Source, Span
from energylang.syntax import ast


@dataclass
class Analysis:
    """`meanings` has what the checker found at a span, once for each time it was read (a `fn` is read at every call)."""

    source: Source
    positions: Positions
    module: ast.Module
    diagnostics: list[Diagnostic]
    meanings: dict[tuple[int, int], list[Expr]] = field(default_factory=dict)
    modules: dict[str, ast.Module] = field(default_factory=dict)
    """What the text imports, by the names it gives them."""

    @cached_property
    def names(self) -> Names:
        return names_of(self.module, self.imported)

    @cached_property
    def imported(self) -> dict[str, Names]:
        """The names of the imported modules."""
        return {name: names_of(module) for name, module in self.modules.items()}

    def meaning(self, name: Definition | Use) -> list[Expr]:
        """What the checker found for a name: at this use, else where it is declared, else at all its uses."""
        found = self._at(name.span)
        if not found and isinstance(name, Use):
            return [] if name.definition is None else self.meaning(name.definition)
        if not found:
            return [each for use in self.names.uses if use.definition is name for each in self._at(use.span)]
        return found

    def _at(self, span: Span) -> list[Expr]:
        return self.meanings.get((span.start, span.end), []) if span.source is self.source else []

    def types(self, name: Definition | Use) -> list[str]:
        """The types of a name, each once."""
        return list(dict.fromkeys(str(each.type) for each in self.meaning(name)))


def analyse(
    source: Source,
    encoding: str,
    superseded: Callable[[], bool] = lambda: False,
    memory: Memory | None = None,
) -> Analysis:
    """Parse and check; what the memory has of the declarations is taken from it, and what is read goes into it.

    Raises `Superseded` soon after `superseded()` has become true.
    """
    memory = memory or Memory()
    diagnostics, look = Diagnostics(), Look(source, superseded, memory)
    path = Path(source.name)
    folder = path.parent if path.is_absolute() else None
    module, _ = check_source(source, diagnostics, None, look, folder)
    if look.calls > MOST_CALLS:
        # Which call is one too many shows only where all are read.
        diagnostics, look = Diagnostics(), Look(source, superseded, Memory())
        module, _ = check_source(source, diagnostics, None, look, folder)
    return Analysis(source, Positions(source, encoding), module, diagnostics.found, look.meanings, look.modules)


def failed(source: Source, encoding: str, error: Exception) -> Analysis:
    """A look that a defect of ours ended: the editor says so, and everything else goes on."""
    finding = Diagnostic(
        "E0999",
        f"internal error: {type(error).__name__}",
        Span(source, 0, 0),
        cause=str(error).partition("\n")[0][:200],
        fix="this is a defect of EnergyLang, not of your model: report it with the model and the server's log",
    )
    return Analysis(source, Positions(source, encoding), ast.Module(source, (), ()), [finding])
