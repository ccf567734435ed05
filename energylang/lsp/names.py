"""Which names a text declares, where each is visible, and what each use means: by the rules of scope alone.

Types are the checker's (`analysis.py`); this works on texts that are wrong, too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal

from energylang.source import Span
from energylang.syntax import ast

Kind = Literal[
    "const", "data", "let", "param", "schedule", "dim", "variable", "condition", "level", "local", "report", "argument",
    "fn", "net", "distribution", "energy", "score", "flow", "constraint", "module",
]  # fmt: skip

CALLABLE = frozenset({"fn", "net", "distribution", "energy", "score", "flow", "constraint"})


@dataclass(frozen=True, eq=False, slots=True)
class Definition:
    """A name where it is declared. `node` declares it; `owner` is the declaration around it, itself at the top level."""

    name: str
    kind: Kind
    span: Span
    node: ast.Node
    owner: ast.AnyDeclaration

    @property
    def owner_name(self) -> str:
        """The name of the declaration around it; empty where that has none or several."""
        named = getattr(self.owner, "name", None)
        return named.text if isinstance(named, ast.Identifier) else ""

    @property
    def key(self) -> tuple[str, str, str]:
        """The same for the same name in a text that was edited elsewhere."""
        return self.owner_name, self.kind, self.name


@dataclass(frozen=True, slots=True)
class Use:
    """A name where it is used. role: what is looked up."""

    name: str
    span: Span
    role: Literal["value", "callable", "type", "method", "option", "binding"]
    definition: Definition | None
    call: ast.Call | ast.Task | None = None
    qualifier: str | None = None


@dataclass
class Scope:
    """The characters in which some names are visible, in the order of their declaration."""

    start: int
    end: int
    values: dict[str, Definition] = field(default_factory=dict)
    callables: dict[str, Definition] = field(default_factory=dict)
    inner: list[Scope] = field(default_factory=list)
    outer: Scope | None = None

    def child(self, span: Span) -> Scope:
        made = Scope(span.start, span.end, outer=self)
        self.inner.append(made)
        return made

    def find(self, name: str, callable: bool) -> Definition | None:
        scope: Scope | None = self
        while scope is not None:
            found = (scope.callables if callable else scope.values).get(name)
            if found is not None:
                return found
            scope = scope.outer
        return None


@dataclass
class Names:
    """All of a module's."""

    top: Scope
    definitions: list[Definition]
    uses: list[Use]

    def at(self, offset: int) -> Definition | Use | None:
        """The name that the character at an offset belongs to, or that ends there."""
        hits = [n for n in (*self.uses, *self.definitions) if n.span.start <= offset <= n.span.end]
        return min(hits, key=lambda n: (n.span.end == offset, n.span.end - n.span.start), default=None)

    def visible(self, offset: int) -> dict[str, Definition]:
        """Values and callables by name that may be used at an offset, inner ones first."""
        found: dict[str, Definition] = {}
        chain = [self.top]
        while inner := next((s for s in chain[-1].inner if s.start <= offset <= s.end), None):
            chain.append(inner)
        for scope in reversed(chain):
            for definition in (*scope.values.values(), *scope.callables.values()):
                # In a block a name is there from its statement on; at the top level the order is free.
                if definition.kind != "local" or definition.node.span.end < offset:
                    found.setdefault(definition.name, definition)
        return found


def names_of(module: ast.Module, imported: Mapping[str, Names] | None = None) -> Names:
    """Every definition and use of a module; `imported` has those of the modules that it imports."""
    return _Walk(module, imported or {}).run()


class _Walk:
    def __init__(self, module: ast.Module, imported: Mapping[str, Names]):
        self.module = module
        self.imported = imported
        self.top = Scope(0, len(module.source.text))
        self.names = Names(self.top, [], [])
        self.owner: ast.AnyDeclaration

    def run(self) -> Names:
        for look in (self._declare, self._dims, self._declaration, self._refers):
            for declaration in self.module.declarations:
                self.owner = declaration
                look(declaration)
        return self.names

    def _define(self, scope: Scope, identifier: ast.Identifier, kind: Kind, node: ast.Node) -> None:
        definition = Definition(identifier.text, kind, identifier.span, node, self.owner)
        self.names.definitions.append(definition)
        if kind != "report":
            (scope.callables if kind in CALLABLE else scope.values).setdefault(identifier.text, definition)

    def _declare(self, node: ast.AnyDeclaration) -> None:
        match node:
            case ast.Import(path=path, alias=alias):
                self._define(self.top, alias or path[-1], "module", node)
            case ast.Let(names=names):
                for name in names:
                    self._define(self.top, name, "let", node)
            case ast.Energy(kind=kind):
                self._define(self.top, node.name, kind, node)
            case ast.Const() | ast.Data() | ast.Param() | ast.Net() | ast.Fn() | ast.Schedule():
                kind = type(node).__name__.lower()
                self._define(self.top, node.name, kind, node)  # type: ignore[arg-type]

    def _dims(self, node: ast.AnyDeclaration) -> None:
        """Dims are declared by the data that have them."""
        if isinstance(node, ast.Data):
            for dim in node.type.dims:
                if isinstance(dim, ast.Name) and dim.text not in self.top.values:
                    self._define(self.top, ast.Identifier(dim.span, dim.text), "dim", node)

    def _refers(self, node: ast.AnyDeclaration) -> None:
        """What names the variables of other declarations: when all of these are known."""
        if isinstance(node, ast.Task):
            self._task(node, self.top.child(node.span))
        elif isinstance(node, ast.Energy) and node.signature is None:
            self._composition(node.body, self.top.child(node.span))

    def _composition(self, node: Any, scope: Scope) -> None:
        """Energies by name, forms that make energies of them, and their variables behind `over =` and `given =`."""
        if isinstance(node, ast.Name):
            self._use(node.text, node.span, "callable", scope, qualifier=node.qualifier)
        elif isinstance(node, ast.Call):
            self._use(node.function.text, node.function.span, "callable", scope, node, node.function.qualifier)
            for argument in node.arguments:
                if argument.name is None:
                    self._composition(argument.value, scope)
                elif argument.name.text in ("over", "given"):
                    items = argument.value.items if isinstance(argument.value, ast.Tuple) else (argument.value,)
                    for item in items:
                        self._binding(ast.Identifier(item.span, item.span.text), None)
                else:
                    self._visit(argument.value, scope)
        else:
            self._visit(node, scope)

    def _declaration(self, node: ast.AnyDeclaration) -> None:
        if isinstance(node, ast.Task | ast.Import) or (isinstance(node, ast.Energy) and node.signature is None):
            return
        scope = self.top.child(node.span)
        match node:
            case ast.Energy(signature=signature, body=body):
                if signature is not None:
                    self._signature(signature, scope)
                if isinstance(body, ast.Block):
                    self._block(body, scope)
                else:
                    self._visit(body, scope)
            case ast.Fn(parameters=parameters, result=result, value=value):
                for parameter in parameters:
                    self._define(scope, parameter.name, "argument", parameter)
                    self._visit(parameter.type, scope)
                self._visit(result, scope)
                self._visit(value, scope)
            case _:
                for each in fields(node):
                    if each.name not in ("name", "names"):
                        self._visit(getattr(node, each.name), scope)

    def _signature(self, signature: ast.Signature, scope: Scope) -> None:
        for kind, parameters in (("condition", signature.conditions), ("variable", signature.variables)):
            for parameter in parameters:
                self._define(scope, parameter.name, kind, parameter)  # type: ignore[arg-type]
                self._visit(parameter.type, scope)
        if signature.level is not None:
            self._define(scope, signature.level[0], "level", signature.level[0])
            self._visit(signature.level[1], scope)

    def _block(self, block: ast.Block, outer: Scope) -> None:
        scope = outer.child(block.span)
        for statement in block.statements:
            match statement:
                case ast.LetStatement(names=names, value=value):
                    self._visit(value, scope)
                    for name in names:
                        self._define(scope, name, "local", statement)
                case ast.Report(name=name, value=None, distribution=None):
                    self._use(name.text, name.span, "value", scope)
                case ast.Report(name=name, value=value, distribution=distribution):
                    self._visit(value, scope)
                    self._visit(distribution, scope)
                    self._define(scope, name, "report", statement)
                case _:
                    self._visit(statement, scope)

    def _task(self, node: ast.Task, scope: Scope) -> None:
        self._use(node.energy.text, node.energy.span, "callable", scope, qualifier=node.energy.qualifier)
        energy = self.top.callables.get(node.energy.text)
        for argument in node.bindings:
            if argument.name is not None:
                self._binding(argument.name, energy)
            self._visit(argument.value, scope)
        if node.method is not None:
            self._method(node.method, energy, scope)
        for argument in node.options:
            if argument.name is not None:
                self.names.uses.append(Use(argument.name.text, argument.name.span, "option", None, node))
            self._visit(argument.value, scope)

    def _binding(self, name: ast.Identifier, energy: Definition | None) -> None:
        """The name of a variable or condition of an energy, said from outside; of any where it is not known of which."""
        own = (d for d in self.names.definitions if d.kind in ("variable", "condition") and d.name == name.text)
        found = next((d for d in own if energy is None or d.owner is energy.owner), None)
        self.names.uses.append(Use(name.text, name.span, "binding", found))

    def _method(self, node: ast.Expression, energy: Definition | None, scope: Scope) -> None:
        if isinstance(node, ast.Name):
            self.names.uses.append(Use(node.text, node.span, "method", None))
        if not isinstance(node, ast.Call):
            return
        self.names.uses.append(Use(node.function.text, node.function.span, "method", None, node))
        for argument in node.arguments:
            inner = isinstance(argument.value, ast.Call)
            if argument.name is not None and inner:
                self._binding(argument.name, energy)
            elif argument.name is not None:
                self.names.uses.append(Use(argument.name.text, argument.name.span, "option", None, node))
            if inner:
                self._method(argument.value, energy, scope)
            elif not isinstance(argument.value, ast.Name):
                self._visit(argument.value, scope)

    # --- expressions ---------------------------------------------------------------------------------------------

    def _use(
        self, name: str, span: Span, role: Any, scope: Scope, call: Any = None, qualifier: str | None = None
    ) -> None:
        found = None
        if qualifier is None and role in ("value", "callable"):
            found = scope.find(name, role == "callable")
        elif qualifier is not None and qualifier in self.imported:
            found = self.imported[qualifier].top.find(name, role == "callable")
        elif qualifier is not None:
            found = self.top.values.get(qualifier)
        self.names.uses.append(Use(name, span, role, found, call, qualifier))

    def _visit(self, node: Any, scope: Scope) -> None:
        """An expression, a statement, a type or a tuple of them. Sums lean to the left; that spine is a loop."""
        while isinstance(node, ast.Binary):
            self._visit(node.right, scope)
            node = node.left
        match node:
            case ast.Name():
                self._use(node.text, node.span, "value", scope, qualifier=node.qualifier)
            case ast.Call(function=function, arguments=arguments, conditions=conditions):
                self._use(function.text, function.span, "callable", scope, node, function.qualifier)
                self._visit((*arguments, *(conditions or ())), scope)
            case ast.Argument(value=value):
                self._visit(value, scope)
            case ast.TypeExpression(name=name, arguments=arguments, dims=dims):
                self._use(name.text, name.span, "type", scope)
                self._visit((*arguments, *dims), scope)
            case ast.Lambda():
                self._bound(node, scope.child(node.span))
            case ast.Generator():
                self._bound(node, scope.child(node.span))
            case ast.Node():
                for each in fields(node):
                    self._visit(getattr(node, each.name), scope)
            case tuple():
                for each in node:
                    self._visit(each, scope)

    def _bound(self, node: ast.Lambda | ast.Generator, scope: Scope) -> None:
        """The body of what binds names of its own."""
        for part in _parts(node):
            if isinstance(part, ast.Identifier):
                self._define(scope, part, "argument", node)
            else:
                self._visit(part, scope)


def _parts(node: Any) -> Iterator[Any]:
    """What a node consists of, tuples opened."""
    for each in fields(node):
        stack = [getattr(node, each.name)]
        while stack:
            part = stack.pop()
            if isinstance(part, tuple):
                stack.extend(reversed(part))
            elif isinstance(part, ast.Node):
                yield part
