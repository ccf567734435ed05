"""Modules: the contexts of a model and of everything that it imports, each file read and checked once.

`import shapes.rings` is `shapes/rings.energy` below the model's folder, or a file of the standard library, whose
modules import from the library alone. A name that both have is an error: neither hides the other silently.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from energylang import resources
from energylang.check.context import CONSTANTS, POISON, Const, Context, Poison, Shared, did_you_mean, unique
from energylang.diagnostics import Diagnostic, DiagnosticError, Diagnostics, Label, suggest
from energylang.source import Source, Span
from energylang.syntax import ast
from energylang.syntax.library import parse_library
from energylang.syntax.parser import parse
from energylang.syntax.read import read_source


def new_context(
    module: ast.Module,
    diagnostics: Diagnostics,
    overrides: Mapping[str, Const] | None = None,
    folder: Path | None = None,
) -> tuple[Context, list[Context]]:
    """The context of a model, and those of the modules that it is made of, what others import first, the model last.

    folder: where the model lies; a text without one imports from the standard library alone.
    """
    shared = Shared()
    library = tables(Context(parse_library("distributions"), diagnostics, {}, shared, prefix="distributions."))
    context = tables(Context(module, diagnostics, {}, shared, library))
    loader = _Loader(folder, library, context)
    loader.imports(context, [])
    loader.name()
    _override(loader.order, dict(overrides or {}), diagnostics)
    return context, loader.order


def tables(context: Context) -> Context:
    """The context with the names of its module; those declared twice are reported."""
    for declaration in context.module.declarations:
        context.shared.homes[id(declaration)] = context
        names: tuple[ast.Identifier, ...] = ()
        table: dict[str, Any] = context.values
        if isinstance(declaration, ast.Const | ast.Data | ast.Param | ast.Schedule):
            names = (declaration.name,)
        elif isinstance(declaration, ast.Let):
            names = declaration.names
        elif isinstance(declaration, ast.Energy | ast.Fn | ast.Net):
            names, table = (declaration.name,), context.callables
        for name in names:
            if name.text in table:
                context.error(
                    "E0203",
                    f"`{name.text}` is declared twice",
                    name.span,
                    related=[Label(_name_span(table[name.text], name.text), "first here")],
                )
            elif name.text in CONSTANTS and table is context.values:
                context.error(
                    "E0205", f"`{name.text}` is a constant of the language", name.span, fix="choose another name"
                )
            else:
                table[name.text] = declaration
    return context


def _name_span(declaration: Any, name: str) -> Span:
    if isinstance(declaration, ast.Let):
        return next(n.span for n in declaration.names if n.text == name)
    return declaration.name.span


def _override(contexts: list[Context], overrides: dict[str, Const], diagnostics: Diagnostics) -> None:
    """Values from outside to the consts that they are for."""
    consts = {c.full(n): (c, n) for c in reversed(contexts) for n, d in c.values.items() if isinstance(d, ast.Const)}
    for name, value in overrides.items():
        if name in consts:
            context, own = consts[name]
            context.overrides[own] = value
        else:
            diagnostics.add(
                "E0901", f"`--set {name}=…`: the model has no const `{name}`",
                fix=did_you_mean(name, consts) or f"its consts are {', '.join(consts) or 'none'}",
            )  # fmt: skip


def placed(found: list[Diagnostic], contexts: list[Context]) -> list[Diagnostic]:
    """Findings of imported modules with the places where these were imported."""
    labels = {id(c.module.source): _way(c) for c in contexts if c.imported is not None}
    return [
        replace(d, related=(*d.related, *labels[id(d.span.source)])) if d.span and id(d.span.source) in labels else d
        for d in found
    ]


def _way(context: Context) -> tuple[Label, ...]:
    steps = []
    at: Context | None = context
    while at is not None and at.imported is not None:
        at, span = at.imported
        steps.append(Label(span, "imported here"))
    return tuple(steps)


@dataclass
class _Loader:
    """Finds and reads the modules of one model."""

    folder: Path | None
    library: Context
    model: Context
    order: list[Context] = field(default_factory=list)
    """What others import first."""
    known: dict[Path, Context | Poison] = field(default_factory=dict)
    paths: dict[int, str] = field(default_factory=dict)
    """The dotted path of each context, by its identity."""

    def imports(self, context: Context, chain: list[tuple[Path, str]], *, standard: bool = False) -> None:
        """Read what a module imports; `chain` are the files, and their names, that led here."""
        if not chain and self.folder is not None:
            own = _resolved(Path(context.module.source.name))
            chain = [(own, Path(context.module.source.name).name)] if own is not None else []
        for declaration in context.module.declarations:
            if not isinstance(declaration, ast.Import):
                continue
            name = declaration.alias or declaration.path[-1]
            clash = context.imports.get(name.text)
            schedule = context.values.get(name.text)
            if clash is None and isinstance(schedule, ast.Schedule):
                clash = schedule.name.span
            if clash is not None:
                context.error(
                    "E0203", f"`{name.text}` is declared twice", name.span, related=[Label(clash, "first here")],
                    fix=f"give the module another name: `import {_dotted(declaration)} as …`",
                )  # fmt: skip
                continue
            context.imports[name.text] = name.span
            context.modules[name.text] = self._module(context, declaration, chain, standard)
        self.order.append(context)

    def _module(
        self, importer: Context, declaration: ast.Import, chain: list[tuple[Path, str]], standard: bool
    ) -> Context | Poison:
        path = self._find(importer, declaration, standard)
        if isinstance(path, Poison):
            return POISON
        names = [name for _, name in chain]
        cycle = [i for i, (file, _) in enumerate(chain) if file == path]
        if cycle:
            return importer.error(
                "E0233", "these modules import each other in a cycle", declaration.span,
                cause=" imports ".join([*names[cycle[0] :], names[cycle[0]]]),
                fix="move what they share into a module of its own, which both import",
            )  # fmt: skip
        if path not in self.known:
            library = _standard(path.stem)
            self.known[path] = self._read(importer, declaration, path, path == library, chain)
        return self.known[path]

    def _read(
        self, importer: Context, declaration: ast.Import, path: Path, standard: bool, chain: list[tuple[Path, str]]
    ) -> Context | Poison:
        diagnostics = importer.diagnostics
        if standard and path.stem == "distributions":
            return self.library
        context = Context(ast.Module(importer.module.source, (), ()), diagnostics, {}, importer.shared, self.library)
        context.imported = (importer, declaration.span)
        if standard:
            context.module = parse_library(path.stem)
        else:
            assert self.folder is not None
            behind = Diagnostics()
            try:
                text = read_source(path).text
                shown = self.folder / Path(*(part.text for part in declaration.path)).with_suffix(".energy")
                context.module = parse(Source(str(shown), text), behind)
            except DiagnosticError as error:
                behind.found += [replace(d, span=declaration.span) for d in error.diagnostics]
            if behind.failed:
                diagnostics.found += placed(behind.found, [context])
                return POISON
            context.folder = "".join(f"{part.text}/" for part in declaration.path[:-1])
        self.paths[id(context)] = _dotted(declaration)
        tables(context)
        self.imports(context, [*chain, (path, _dotted(declaration))], standard=standard)
        return context

    def _find(self, importer: Context, declaration: ast.Import, standard: bool) -> Path | Poison:
        parts = [part.text for part in declaration.path]
        dotted, span = _dotted(declaration), declaration.span
        library = _standard(parts[0]) if len(parts) == 1 else None
        if standard or self.folder is None:
            if library is not None:
                return library
            where = (
                "the standard library"
                if standard
                else "the standard library, and this model is a text without a folder"
            )
            return importer.error(
                "E0230", f"there is no module `{dotted}`", span, cause=f"it was looked for in {where}",
                fix=_near(dotted, resources.names("stdlib")),
            )  # fmt: skip
        file = self.folder.joinpath(*parts).with_suffix(".energy")
        own = _resolved(file)
        if own is not None and own == library:
            return own
        if own is not None and library is not None:
            return importer.error(
                "E0231", f"`{dotted}` is a file of the model's folder and a module of the standard library", span,
                cause=f"{file} and {library}", fix=f"rename {file.name}: neither hides the other",
            )  # fmt: skip
        if own is not None:
            if own.is_relative_to(self.folder.resolve()):
                return own
            return importer.error(
                "E0232", f"`{dotted}` leaves the folder of the model", span, cause=f"{file} is a link to {own}",
                fix="copy the file into the folder: a model reads files of its own folder only",
            )  # fmt: skip
        if library is not None:
            return library
        beside = sorted(p.relative_to(self.folder).with_suffix("").as_posix().replace("/", ".") for p in _beside(file))
        return importer.error(
            "E0230", f"there is no module `{dotted}`", span,
            cause=f"neither {file} nor a module of the standard library of this name exists",
            fix=_near(dotted, [*beside, *resources.names("stdlib")]),
        )  # fmt: skip

    def name(self) -> None:
        """Give each module its prefix: the name that the model itself uses for it, else its path."""
        taken: set[str] = set()
        for alias, module in self.model.modules.items():
            if isinstance(module, Context) and module.prefix in ("", "distributions."):
                module.prefix = f"{alias}."
                taken.add(module.prefix)
        for context in self.order:
            if context is self.model or context.prefix:
                continue
            path = self.paths[id(context)]
            at = context.imported
            while f"{path}." in taken:
                importer = at[0] if at is not None else self.model
                path = f"{importer.prefix or 'model.'}{path}"
                at = importer.imported
            context.prefix = f"{path}."
            taken.add(context.prefix)


def _dotted(declaration: ast.Import) -> str:
    return ".".join(part.text for part in declaration.path)


def _near(name: str, candidates: list[str]) -> str:
    near = suggest(name, candidates)
    return f"did you mean `{near}`?" if near else f"there are {', '.join(unique(candidates)) or 'none'}"


def _resolved(path: Path) -> Path | None:
    """The file that a path leads to, links followed; None where there is none."""
    try:
        found = path.resolve()
        return found if found.is_file() else None
    except (OSError, RuntimeError):
        return None


def _beside(file: Path) -> Iterator[Path]:
    """The modules of a folder, for suggestions."""
    try:
        yield from (path for path in file.parent.glob("*.energy") if path.stem.isidentifier())
    except OSError:
        return


def _standard(name: str) -> Path | None:
    """The file of a module of the standard library; None where there is none of that name."""
    try:
        return resources.resource("stdlib", f"{name}.energy").resolve()
    except FileNotFoundError:
        return None
