"""What may be written at a place: the grammar says what fits, the scopes and registries say what there is."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from lsprotocol import types

from energylang.catalog import NETS, RUN_OPTIONS, SCHEDULES, VERBS, Family, Method, Option, describe, methods
from energylang.check.compositions import COMPOSITIONS
from energylang.check.context import CONSTANTS
from energylang.check.densities import FORMS
from energylang.check.functions import FUNCTIONS
from energylang.diagnostics import Diagnostics
from energylang.editors.vocabulary import vocabulary
from energylang.ir.types import SPACES
from energylang.lsp.analysis import Analysis
from energylang.lsp.cursor import Cursor, cursor_at
from energylang.lsp.names import CALLABLE, Definition, Names, names_of
from energylang.lsp.words import about_declaration, about_function, about_method, about_space, library_entry
from energylang.source import Source
from energylang.syntax.parser import parse
from energylang.syntax.tokens import NEWLINE, Token

Item = types.CompletionItem
Kind = types.CompletionItemKind

ENERGIES = frozenset({"energy", "score", "flow", "constraint", "distribution"})
_PLACEHOLDER = "word_at_the_cursor"
_KINDS = {
    "const": Kind.Constant, "data": Kind.Field, "let": Kind.Variable, "param": Kind.Property, "schedule": Kind.Value,
    "dim": Kind.TypeParameter, "variable": Kind.Variable, "condition": Kind.Variable, "level": Kind.Variable,
    "local": Kind.Variable, "argument": Kind.Variable, "fn": Kind.Function, "net": Kind.Function, "module": Kind.Module,
}  # fmt: skip


def complete(text: str, offset: int, analysis: Analysis) -> list[Item]:
    """What may stand at an offset, or complete the word that ends there. `analysis`: the last one, for types."""
    start = offset
    while start and (text[start - 1].isalnum() or text[start - 1] == "_"):
        start -= 1
    if start < offset and text[start].isdigit():
        return []
    cursor = cursor_at(text, start)
    if cursor is None:
        return []
    # With a word in place of what is being written, the statement around it can be read.
    end = offset + len(re.match(r"\w*", text[offset:])[0])  # type: ignore[index]
    patched = Source("", f"{text[:start]}{_PLACEHOLDER}{text[end:]}")
    names = names_of(parse(patched, Diagnostics()))
    return list(_Place(cursor, names, start, analysis).items())


class _Place:
    def __init__(self, cursor: Cursor, names: Names, offset: int, analysis: Analysis):
        self.cursor = cursor
        self.names = names
        self.offset = offset
        self.imported = analysis.imported
        self.types = {d.key: t for d in analysis.names.definitions if (t := analysis.types(d))}
        self.tokens = cursor.tokens
        self.previous = self.tokens[-1].kind if self.tokens else NEWLINE

    def items(self) -> Iterator[Item]:
        """The items, each label once."""
        seen = {_PLACEHOLDER}
        for item in self._all():
            if item.label not in seen:
                seen.add(item.label)
                yield item

    def _all(self) -> Iterator[Item]:
        first = self._statement()
        if first is not None and first.text in VERBS:
            yield from self._task(first)
            return
        if self.previous == "_DOT":
            yield from self._members()
            return
        if first is not None and (made := self._made_by(first)) is not None:
            yield from made
            return
        if self.previous == "_TILDE":
            yield from self._distributions()
        elif "type" in self.cursor.wanted:
            yield from self._spaces()
        elif "atom" in self.cursor.wanted:
            yield from self._arguments()
            yield from self._values()
            yield from self._callables()
        yield from self._keywords()

    def _made_by(self, first: Token) -> Iterator[Item] | None:
        """Behind the `=` of what is made by a form of its own; None elsewhere."""
        words = [token.text for token in self.tokens]
        words = words[len(words) - words[::-1].index(first.text) - 1 :]
        if "=" not in words:
            return None
        inside = bool(self._brackets())
        if first.text in ("net", "schedule"):
            return _families(NETS if first.text == "net" else SCHEDULES, words[words.index("=") + 1 :], inside)
        if first.text in ENERGIES and words[2:3] == ["="]:
            return self._composition(inside)
        return None

    def _composition(self, inside: bool) -> Iterator[Item]:
        yield from (self._item(d, "0") for d in self.names.top.callables.values() if d.kind in ENERGIES)
        yield from (Item(name, kind=Kind.Function, insert_text=f"{name}(", sort_text="1") for name in COMPOSITIONS)
        if inside:
            own = (d for d in self.names.definitions if d.kind in ("variable", "condition"))
            yield from (self._item(d, "2") for d in own)
            yield from self._values()

    def _members(self) -> Iterator[Item]:
        """What the module before the point declares."""
        names = self.imported.get(self.tokens[-2].text) if len(self.tokens) > 1 else None
        for definition in (*names.top.values.values(), *names.top.callables.values()) if names is not None else ():
            yield self._item(definition, "0")

    def _statement(self) -> Token | None:
        """The token that the statement or declaration at the cursor begins with."""
        first = None
        for token in reversed(self.tokens):
            if token.kind in (NEWLINE, "_LEFT_BRACE"):
                break
            first = token
        return first

    # --- tasks ---------------------------------------------------------------------------------------------------

    def _task(self, verb: Token) -> Iterator[Item]:
        energy = next((t.text for t in self.tokens[self.tokens.index(verb) + 1 :] if t.kind == "NAME"), "")
        brackets = self._brackets()
        if self.previous == verb.kind:
            yield from (self._item(d, "0") for d in self.names.top.callables.values() if d.kind in ENERGIES)
        elif self.previous == "_WITH":
            yield from self._methods(verb.text)
        elif not brackets:
            if self.previous == "_COMMA":
                yield from map(_option, RUN_OPTIONS[verb.text])  # type: ignore[index]
            yield from self._keywords()
        elif self._binds(brackets[-1]):
            if self.previous in ("_LEFT_PARENTHESIS", "_COMMA"):
                yield from self._bindings(
                    energy, ("variable", "condition") if verb.text in ("train", "test") else ("condition",)
                )
            else:
                yield from self._values()
        else:
            yield from self._method_arguments(brackets[-1], verb.text, energy)

    def _method_arguments(self, bracket: int, verb: str, energy: str) -> Iterator[Item]:
        spec = methods().get(self.tokens[bracket - 1].text) if bracket else None
        if spec is None:
            return
        if self.previous in ("_LEFT_PARENTHESIS", "_COMMA"):
            yield from map(_option, spec.options)
            if spec.combines:
                yield from self._bindings(energy, ("variable",))
                yield from self._methods(verb)
        elif self.previous == "_EQUAL":
            option = next((o for o in spec.options if o.name == self.tokens[-2].text), None)
            if option is None:
                yield from self._methods(verb)
            else:
                choices = option.choices or (("true", "false") if option.type == "bool" else ())
                yield from (Item(choice, kind=Kind.EnumMember) for choice in choices)

    def _methods(self, verb: str) -> Iterator[Item]:
        for spec in methods().values():
            if verb in spec.tasks:
                yield _method(spec)

    def _bindings(self, energy: str, kinds: tuple[str, ...]) -> Iterator[Item]:
        for definition in self.names.definitions:
            if definition.kind in kinds and definition.owner_name == energy:
                item = self._item(definition, "0")
                item.insert_text = f"{definition.name} = "
                yield item

    def _binds(self, bracket: int) -> bool:
        return bracket > 0 and self.tokens[bracket - 1].kind == "_ON"

    def _brackets(self) -> list[int]:
        """Where the round brackets that are open at the cursor stand among the tokens."""
        found: list[int] = []
        for place, token in enumerate(self.tokens):
            if token.kind in (NEWLINE, "_LEFT_BRACE", "_RIGHT_BRACE"):
                found.clear()
            elif token.kind == "_LEFT_PARENTHESIS":
                found.append(place)
            elif token.kind == "_RIGHT_PARENTHESIS" and found:
                found.pop()
        return found

    # --- expressions and types -----------------------------------------------------------------------------------

    def _arguments(self) -> Iterator[Item]:
        """Names of the static arguments of the function whose brackets are open: `axis = `."""
        brackets = self._brackets()
        if brackets and brackets[-1] and self.previous == "_COMMA":
            function = FUNCTIONS.get(self.tokens[brackets[-1] - 1].text)
            for name in function.static if function is not None else ():
                yield Item(f"{name} =", kind=Kind.Property, insert_text=f"{name} = ", sort_text="0")

    def _values(self) -> Iterator[Item]:
        for definition in self.names.visible(self.offset).values():
            if definition.kind not in CALLABLE:
                yield self._item(
                    definition, "0" if definition.kind in ("variable", "condition", "local", "argument") else "1"
                )
        for name, value in CONSTANTS.items():
            yield Item(name, kind=Kind.Constant, detail=f"{value}", sort_text="3")

    def _callables(self) -> Iterator[Item]:
        yield from (self._item(d, "1") for d in self.names.top.callables.values())
        words = vocabulary()
        for name in words.functions:
            found = about_function(name) or about_declaration(library_entry(name))  # type: ignore[arg-type]
            yield _documented(name, Kind.Function, found, "2")
        yield from self._library()

    def _distributions(self) -> Iterator[Item]:
        yield from (Item(name, kind=Kind.Function, insert_text=f"{name}(", sort_text="1") for name in FORMS)
        yield from (self._item(d, "0") for d in self.names.top.callables.values() if d.kind in ENERGIES)
        yield from self._library()

    def _library(self) -> Iterator[Item]:
        for name in vocabulary().distributions:
            declaration = library_entry(name)
            if declaration is not None:
                yield _documented(name, Kind.Function, about_declaration(declaration), "2")

    def _spaces(self) -> Iterator[Item]:
        yield from (_documented(name, Kind.TypeParameter, about_space(name), "0") for name in SPACES)

    def _keywords(self) -> Iterator[Item]:
        yield from (Item(word, kind=Kind.Keyword, sort_text="4") for word in self.cursor.keywords())

    def _item(self, definition: Definition, sort: str) -> Item:
        if definition.kind in CALLABLE:
            return _documented(definition.name, Kind.Function, about_declaration(definition.node), sort)
        found = self.types.get(definition.key)
        declared = getattr(definition.node, "type", None)
        space = declared.span.text if declared is not None and definition.kind != "dim" else ""
        detail = space or (" or ".join(found) if found else definition.kind)
        return Item(definition.name, kind=_KINDS.get(definition.kind, Kind.Variable), detail=detail, sort_text=sort)


def _families(table: Mapping[str, Family], words: list[str], inside: bool) -> Iterator[Item]:
    """The forms of nets or of schedules; inside the brackets of one, its options or their choices."""
    family = table.get(words[0]) if words else None
    if family is None or not inside:
        for each in table.values():
            yield _documented(each.name, Kind.Function, (each.form, each.summary), "0")
    elif words[-1] == "=":
        chosen = next((o for o in family.options if o.name == words[-2]), None)
        yield from (Item(choice, kind=Kind.EnumMember) for choice in (chosen.choices if chosen is not None else ()))
    else:
        yield from map(_option, family.options)


def _option(option: Option) -> Item:
    return Item(
        option.name, kind=Kind.Property, insert_text=f"{option.name} = ", documentation=describe(option), sort_text="0"
    )


def _method(spec: Method) -> Item:
    detail, text = about_method(spec)
    return Item(
        spec.name, kind=Kind.Method, detail=detail, documentation=_markdown(text), insert_text=f"{spec.name}()", sort_text="0"
    )  # fmt: skip


def _documented(name: str, kind: types.CompletionItemKind, found: tuple[str, str] | None, sort: str) -> Item:
    detail, text = found or ("", "")
    return Item(name, kind=kind, detail=detail, documentation=_markdown(text) if text else None, sort_text=sort)


def _markdown(text: str) -> types.MarkupContent:
    return types.MarkupContent(types.MarkupKind.Markdown, text)


def labels(items: Iterable[Item]) -> list[str]:
    """The words that items offer."""
    return [item.label for item in items]
