"""What every part of the checker shares: the module's tables, the sink of diagnostics, and scopes of names."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from energylang.check.recorder import Recorder
from energylang.diagnostics import Diagnostics, Edit, Label, suggest
from energylang.ir.nodes import (
    Constraint,
    Data,
    Energy,
    Expr,
    ExternNet,
    Let,
    Literal,
    Local,
    Param,
    Reference,
    Schedule,
)
from energylang.ir.types import ANYWHERE, Dim, Kind, Range, Type
from energylang.source import Span
from energylang.syntax import ast

if TYPE_CHECKING:
    from energylang.check.flows import Declared
    from energylang.check.nets import Net

M = TypeVar("M")

CONSTANTS: dict[str, float] = {"pi": 3.141592653589793, "infinity": float("inf")}
"""Values that the language itself names."""

Const = bool | int | float

DEEPEST_CALLS = 100
MOST_CALLS = 20_000
"""Beyond these a model is refused: deeper than Python's stack can follow, or longer than anyone waits."""


class Poison:
    """Stands for what already got a diagnostic, so that one mistake is reported once."""


POISON = Poison()

Found = Expr | Poison


@dataclass(frozen=True, eq=False)
class Several:
    """A tuple: what `let (a, b) = …` takes apart."""

    items: tuple[Expr, ...]
    span: Span


@dataclass(frozen=True, eq=False)
class Closure:
    """A function as a value. name: as it is shown; run: its value at arguments, of which there are as many as parameters."""

    name: str
    parameters: tuple[str, ...]
    span: Span
    run: Callable[[Sequence[Value], Span], Meaning]


Value = Expr | Several | Closure
Meaning = Value | Poison
"""What a name or an expression can stand for."""


@dataclass
class Scope:
    """Values by name, innermost first. A callable entry is computed at its first use (top-level names are order-free)."""

    entries: dict[str, Meaning | Callable[[], Meaning]] = field(default_factory=dict)
    spans: dict[str, Span] = field(default_factory=dict)
    parent: Scope | None = None
    dims: dict[str, Dim] = field(default_factory=dict)

    def child(self) -> Scope:
        return Scope(parent=self, dims=dict(self.dims))

    def find(self, name: str) -> Meaning | None:
        scope: Scope | None = self
        while scope is not None:
            if name in scope.entries:
                entry = scope.entries[name]
                if callable(entry):
                    entry = entry()
                    scope.entries[name] = entry
                return entry
            scope = scope.parent
        return None

    def closure(self, name: str) -> Closure | None:
        """The function that a name of a block or of a parameter stands for."""
        scope: Scope | None = self
        while scope is not None and name not in scope.entries:
            scope = scope.parent
        entry = scope.entries[name] if scope is not None else None
        return entry if isinstance(entry, Closure) else None

    def local(self, name: str) -> bool:
        """Whether a name means something that differs from turn to turn: a parameter of a body."""
        scope: Scope | None = self
        while scope is not None and name not in scope.entries:
            scope = scope.parent
        entry = scope.entries[name] if scope is not None else None
        return isinstance(entry, Reference) and isinstance(entry.symbol, Local)

    def names(self) -> list[str]:
        found: list[str] = []
        scope: Scope | None = self
        while scope is not None:
            found += scope.entries
            scope = scope.parent
        return found


AnyCallable = ast.Energy | ast.Fn | ast.Net
"""What may stand before a bracket or after `~`."""


@dataclass
class Shared:
    """What all modules of one check have in common."""

    expanding: list[str] = field(default_factory=list)
    """Functions and distributions being expanded, to find cycles."""
    calls: int = 0
    """How many calls were expanded: functions that double in size would never end."""
    energies: dict[int, Energy | None] = field(default_factory=dict)
    """Every energy that was read, by the identity of its declaration."""
    reading: list[int] = field(default_factory=list)
    """Energies being read, to find cycles of compositions."""
    homes: dict[int, Context] = field(default_factory=dict)
    """The context of every declaration, by its identity."""
    flows: dict[int, Declared] = field(default_factory=dict)
    """Every flow that was read, by the identity of its declaration."""
    solvable: set[str] = field(default_factory=set)
    """Dim names that data fix, with the names of their modules."""


@dataclass
class Context:
    """One check of one module: of a model, of a file that it imports, or of the standard library."""

    module: ast.Module
    diagnostics: Diagnostics
    overrides: dict[str, Const]
    shared: Shared = field(default_factory=Shared)
    outer: Context | None = None
    """The standard library, the outermost scope of callables; None in the library itself."""
    prefix: str = ""
    """`rings.` in the module `rings`, nothing in the model: what makes a name unique in the whole model."""
    modules: dict[str, Context | Poison] = field(default_factory=dict)
    """What the module imports, by alias; POISON for what could not be read."""
    imports: dict[str, Span] = field(default_factory=dict)
    """Where each alias was declared."""
    imported: tuple[Context, Span] | None = None
    """Which module first imports this one, and where."""
    folder: str = ""
    """The folder of the module's file below the model's: `shapes/`."""
    schedules: dict[str, Schedule | None] = field(default_factory=dict)
    """The schedules of the module, those with errors as None."""
    nets: dict[str, Net | ExternNet | None] = field(default_factory=dict)
    """The nets of the module, those with errors as None."""
    energies: dict[str, Energy | None] = field(default_factory=dict)
    """The energies of the module, those with errors as None."""
    distributions: list[Energy] = field(default_factory=list)
    """What the module declares to be normalised, without errors."""
    constraints: dict[str, Constraint | None] = field(default_factory=dict)
    """The constraints of the module, those with errors as None."""
    values: dict[str, ast.AnyDeclaration] = field(default_factory=dict)
    callables: dict[str, AnyCallable] = field(default_factory=dict)
    consts: dict[str, Const] = field(default_factory=dict)
    broken: set[str] = field(default_factory=set)
    """Consts that already got a diagnostic."""
    data: dict[str, Data] = field(default_factory=dict)
    params: dict[str, Param] = field(default_factory=dict)
    lets: dict[str, Let] = field(default_factory=dict)
    dim_sites: dict[str, Span] = field(default_factory=dict)
    """Where a dim name was first seen."""
    top: Scope = field(default_factory=Scope)
    recorder: Recorder | None = None

    def callable(self, node: ast.Name) -> tuple[AnyCallable, Context] | Poison | None:
        """The declaration that a name before a bracket or after `~` means, and the context its own names are read in.

        None where there is none of that name; POISON after a diagnostic about the module it names.
        """
        if node.qualifier is not None:
            module = self.module_named(node)
            if isinstance(module, Poison):
                return POISON
            found = module.callables.get(node.text)
            return (found, module) if found is not None else module.missing(node, module.callables)
        context: Context | None = self
        while context is not None:
            declaration = context.callables.get(node.text)
            if declaration is not None:
                return declaration, context
            context = context.outer
        return None

    def callable_names(self, *kinds: type) -> list[str]:
        """What `callable` finds without a module's name: for suggestions. kinds: only declarations of these."""
        context: Context | None = self
        found: list[str] = []
        while context is not None:
            found += [n for n, d in context.callables.items() if not kinds or isinstance(d, kinds)]
            context = context.outer
        return unique(found)

    def module_named(self, node: ast.Name) -> Context | Poison:
        """The module that a qualified name names; POISON after a diagnostic, or where the module has one."""
        assert node.qualifier is not None
        found = self.modules.get(node.qualifier)
        if found is not None:
            return found
        if isinstance(self.values.get(node.qualifier), ast.Schedule):
            return self.error(
                "E0208", f"`{node.qualifier}` is a schedule, and what it has are functions of a level", node.span,
                fix=f"for example `{node.qualifier}.alpha_bar(t)`",
            )  # fmt: skip
        fix = did_you_mean(node.qualifier, self.modules) or f"import it: `import {node.qualifier}`"
        if node.qualifier in _LIBRARIES:
            fix = f"write `{node.text}`: what the language has needs no module"
        return self.error(
            "E0234", f"there is no module `{node.qualifier}`", node.span,
            cause="a name with a point is a name of a module", fix=fix,
        )  # fmt: skip

    def member(self, node: ast.Name) -> Context | Poison:
        """The module that declares a qualified value or dim; POISON after a diagnostic."""
        module = self.module_named(node)
        if isinstance(module, Poison) or node.text in module.values or module.full(node.text) in self.solvable:
            return module
        return module.missing(node, module.values)

    def missing(self, node: ast.Name, candidates: Iterable[str]) -> Poison:
        """Says that this module does not declare a qualified name."""
        near = suggest(node.text, candidates)
        fix = f"did you mean `{node.qualifier}.{near}`?" if near else ""
        if node.text in self.callables:
            fix = f"`{node.text}` is called: `{node.qualifier}.{node.text}(…)`"
        elif node.text in self.values:
            fix = f"`{node.text}` is a value, and it is called here"
        return self.error(
            "E0234", f"the module `{node.qualifier}` has no `{node.text}`" if node.text not in self.values and node.text not in self.callables
            else f"`{node.qualifier}.{node.text}` is used as the wrong kind of thing",
            node.span, fix=fix or f"it declares {', '.join(unique([*self.values, *self.callables])) or 'nothing'}",
        )  # fmt: skip

    def full(self, name: str) -> str:
        """A name of this module as it is unique in the whole model."""
        return self.prefix + name

    def own_dims(self, names: Iterable[str]) -> dict[str, Dim]:
        """Dims by the names that this module writes for them."""
        return {name.removeprefix(self.prefix): Dim.of(name) for name in names}

    def home(self, declaration: ast.AnyDeclaration) -> Context:
        """Where the names in a declaration are looked up: in the module that it stands in, and nowhere else.

        So a model that declares `k` or `fn lgamma` changes nothing in the standard library.
        """
        return self.shared.homes.get(id(declaration), self)

    @property
    def expanding(self) -> list[str]:
        return self.shared.expanding

    @property
    def solvable(self) -> set[str]:
        return self.shared.solvable

    @contextmanager
    def expansion(self, key: str, name: str, span: Span) -> Iterator[bool]:
        """Around the body of something that is expanded where it is called; False, after a diagnostic, where it must not be."""
        self.shared.calls += 1
        key = f"{self.prefix}{key}"
        if key in self.expanding:
            calls = [e.partition(" ")[2] for e in self.expanding[self.expanding.index(key) :] if " " in e]
            self.error(
                "E0204", f"`{name}` calls itself", span,
                cause=" calls ".join(f"`{called}`" for called in [*calls, name]) if len(calls) > 1 else "",
                fix="use whole-array operations instead of recursion",
            )  # fmt: skip
            yield False
        elif len(self.expanding) >= DEEPEST_CALLS or self.shared.calls > MOST_CALLS:
            deep = len(self.expanding) >= DEEPEST_CALLS
            if deep or self.shared.calls == MOST_CALLS + 1:
                limit = f"{DEEPEST_CALLS} calls inside each other" if deep else f"{MOST_CALLS:,} expanded calls"
                self.error(
                    "E0209", f"`{name}` takes the model beyond {limit}", span,
                    cause="a function is expanded wherever it is called, so those that call others twice double in size",
                    fix="name what is used twice with `let`, or use fewer functions",
                )  # fmt: skip
            yield False
        else:
            self.expanding.append(key)
            try:
                yield True
            finally:
                self.expanding.pop()

    def record(self, span: Span, meaning: M) -> M:
        """Tell the recorder, where there is one, what stands at a span; returns the meaning."""
        if self.recorder is not None and isinstance(meaning, Expr | Poison):
            self.recorder.meaning(span, meaning)
        return meaning

    def error(
        self,
        code: str,
        message: str,
        span: Span | None,
        *,
        label: str = "",
        related: Iterable[Label] = (),
        cause: str = "",
        fix: str = "",
    ) -> Poison:
        """Record a diagnostic; returns POISON, so that a caller can `return context.error(…)`."""
        edit = fix.edit(span) if isinstance(fix, DidYouMean) else None
        if self.prefix and span is not None and span.source is self.module.source:
            message, label, cause, fix = map(self._as_written, (message, label, cause, fix))
            related = [Label(r.span, self._as_written(r.text)) if r.span.source is span.source else r for r in related]
        self.diagnostics.add(code, message, span, label=label, related=related, cause=cause, fix=fix, edit=edit)
        return POISON

    def _as_written(self, text: str) -> str:
        """A text about the module's own file: there its names stand without the module's."""
        return re.sub(rf"(?<![\w.]){re.escape(self.prefix)}(?=[A-Za-z_])", "", text)

    def not_yet(self, what: str, span: Span) -> Poison:
        return self.error(
            "E0500", f"{what} not part of this version of EnergyLang", span, fix="see `docs/language.md` for what is"
        )


_LIBRARIES = frozenset(
    ["np", "numpy", "jnp", "jax", "math", "torch", "tf", "scipy", "sp", "stats", "dist", "distrax", "pm", "numpyro"]
)
"""Modules of Python by their usual names."""


class DidYouMean(str):
    """A fix that names the nearest candidate, and knows what it replaces."""

    name: str
    near: str

    def edit(self, span: Span | None) -> Edit | None:
        """The replacement of the name, where the underlined text begins with it."""
        if span is None or not span.text.startswith(self.name):
            return None
        return Edit(Span(span.source, span.start, span.start + len(self.name)), self.near)


def did_you_mean(name: str, candidates: Iterable[str]) -> str:
    """A fix naming the nearest candidate, or nothing."""
    near = suggest(name, candidates)
    if not near:
        return ""
    found = DidYouMean(f"did you mean `{near}`?")
    found.name, found.near = name, near
    return found


def literal(value: Const, span: Span) -> Literal:
    """A number as an expression, its range the number itself."""
    kind = Kind.BOOL if isinstance(value, bool) else Kind.INT if isinstance(value, int) else Kind.REAL
    if value != value:
        found = ANYWHERE
    elif kind is Kind.REAL:
        found = Range(value, value)
    else:
        found = Range(Dim.of(int(value)), Dim.of(int(value)))
    return Literal(Type(kind), span, value, range=found)


K = TypeVar("K")


def unique(items: Iterable[K]) -> list[K]:
    """Without repetition, first occurrence kept."""
    return list(dict.fromkeys(items))
