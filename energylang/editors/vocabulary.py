"""The words of the language by class: the one list behind every highlighter and behind completion."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from energylang.catalog import BUILT_IN, NETS, SCHEDULES, VERBS
from energylang.check.compositions import COMPOSITIONS
from energylang.check.context import CONSTANTS
from energylang.check.densities import FORMS
from energylang.check.functions import FUNCTIONS
from energylang.ir.types import LATER_SPACES, SPACES
from energylang.syntax import ast
from energylang.syntax.layout import DECLARATION_WORDS
from energylang.syntax.library import parse_library
from energylang.syntax.table import parser_table


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Words, each class sorted. The first five are reserved; the others are names that mean something where they stand.

    declarations: begin a declaration (`data`, `energy`). tasks: begin a task (`sample`). controls: `if`, `for`, `with`,
    `report`. operators: `and`, `or`, `not`. truths: `true`, `false`. constants: `pi`. spaces: `simplex`.
    functions, distributions: what is called. forms: what energies, densities, nets and schedules are made by. methods: what stands after `with`.
    """

    declarations: tuple[str, ...]
    tasks: tuple[str, ...]
    controls: tuple[str, ...]
    operators: tuple[str, ...]
    truths: tuple[str, ...]
    constants: tuple[str, ...]
    spaces: tuple[str, ...]
    functions: tuple[str, ...]
    distributions: tuple[str, ...]
    forms: tuple[str, ...]
    methods: tuple[str, ...]


@cache
def vocabulary() -> Vocabulary:
    """The words as this version has them."""
    terminals = parser_table().keywords
    verbs = set(VERBS)
    declarations = {word for word, kind in terminals.items() if kind in DECLARATION_WORDS} - verbs
    operators = {word for word, kind in terminals.items() if kind in ("AND", "OR", "NOT")}
    truths = {word for word, kind in terminals.items() if kind in ("TRUE", "FALSE")}
    library = [d for d in parse_library("distributions").declarations if isinstance(d, ast.Energy | ast.Fn)]
    distributions = {d.name.text for d in library if isinstance(d, ast.Energy)}
    functions = {d.name.text for d in library} - distributions | set(FUNCTIONS)
    words = (
        declarations, verbs, set(terminals) - declarations - verbs - operators - truths, operators, truths,
        CONSTANTS, {*SPACES, *LATER_SPACES}, functions, distributions, {*COMPOSITIONS, *FORMS, *NETS, *SCHEDULES}, {method.name for method in BUILT_IN},
    )  # fmt: skip
    return Vocabulary(*(tuple(sorted(each)) for each in words))
