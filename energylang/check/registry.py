"""The registry of the functions of the language: what the checker, the editors and the reference page know of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from energylang.check.context import Context, Meaning, Scope
from energylang.check.expressions import apply
from energylang.ir.nodes import Expr
from energylang.source import Span
from energylang.syntax import ast


@dataclass(frozen=True)
class Site:
    """Where a function is called, with its static arguments (those given) and the scope to read them in."""

    span: Span
    static: dict[str, ast.Expression]
    scope: Scope
    generated: int = 0
    """How many leading axes of the first argument a generator made."""


@dataclass(frozen=True)
class Function:
    """A function of the language: its parameter names, those of them that are static, and how it is made.

    `make(context, values, site)`: the other arguments in order, and the call.
    """

    parameters: tuple[str, ...]
    static: tuple[str, ...]
    make: Callable[[Context, list[Expr], Site], Meaning]
    doc: str
    unread: tuple[str, ...] = ()
    """Parameters that it needs and reads itself: functions, tuples. They are found among the static arguments."""


FUNCTIONS: dict[str, Function] = {}


def function(
    name: str, parameters: str, doc: str, static: str = "", unread: str = ""
) -> Callable[[Callable[..., Meaning]], Callable[..., Meaning]]:
    """Register a function under a name; the decorated makes it (see `Function`)."""

    def register(make: Callable[..., Meaning]) -> Callable[..., Meaning]:
        FUNCTIONS[name] = Function(tuple(parameters.split()), tuple(static.split()), make, doc, tuple(unread.split()))
        return make

    return register


def elementwise(name: str, operation: str, parameters: str, doc: str = "elementwise") -> None:
    """Register a function that is one operation on all its arguments."""

    def make(context: Context, values: list[Expr], site: Site) -> Meaning:
        return apply(context, operation, values, site.span)

    FUNCTIONS[name] = Function(tuple(parameters.split()), (), make, doc)
