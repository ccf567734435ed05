"""Values known when a model is checked: consts, options, bounds, axes."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from energylang.check.context import CONSTANTS, Const, Context, did_you_mean
from energylang.diagnostics import Label
from energylang.syntax import ast

_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "exp": math.exp,
    "log": math.log,
    "log1p": math.log1p,
    "expm1": math.expm1,
    "sqrt": math.sqrt,
    "sin": math.sin,
    "cos": math.cos,
    "tan": math.tan,
    "tanh": math.tanh,
    "atan": math.atan,
    "abs": abs,
    "floor": math.floor,
    "ceil": math.ceil,
    "round": round,
    "min": min,
    "max": max,
    "minimum": min,
    "maximum": max,
    "lgamma": math.lgamma,
}

_OPERATORS: dict[str, Callable[[Const, Const], Const]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b,
    "//": lambda a, b: a // b,
    "%": lambda a, b: a % b,
    "^": lambda a, b: float(a) ** b if b < 0 else a**b,
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
    "and": lambda a, b: bool(a) and bool(b),
    "or": lambda a, b: bool(a) or bool(b),
}

_LARGEST = 2**63 - 1
_SMALLER = "integers have 64 bits; write a real, such as `10.0^20`, or a smaller number"


def evaluate(context: Context, node: ast.Expression, *, quiet: bool = False) -> Const | None:
    """The value of a constant expression, or None after a diagnostic (without one where `quiet`)."""
    if isinstance(node, ast.Number | ast.Boolean):
        return node.value
    return _Evaluation(context, quiet).visit(node)


def is_constant_call(node: ast.Call) -> bool:
    """Whether a call is one of the functions that constants are made with."""
    return node.function.text in _FUNCTIONS


@dataclass(frozen=True, slots=True)
class _Evaluation:
    """How to read one expression; `quiet`: without diagnostics."""

    context: Context
    quiet: bool

    def refuse(self, code: str, message: str, span: ast.Span, fix: str = "", cause: str = "") -> None:
        if not self.quiet:
            self.context.error(code, message, span, cause=cause, fix=fix)

    def visit(self, e: ast.Expression) -> Const | None:
        match e:
            case ast.Number(value=value) | ast.Boolean(value=value):
                return value
            case ast.Name(text=name, qualifier=str()):
                module = self.context.modules.get(e.qualifier or "") if self.quiet else self.context.member(e)
                inner = ast.Name(e.span, name)
                return evaluate(module, inner, quiet=self.quiet) if isinstance(module, Context) else None
            case ast.Name(text=name):
                if name in self.context.values and isinstance(self.context.values[name], ast.Const):
                    return const(self.context, name)
                if name in CONSTANTS:
                    return CONSTANTS[name]
                if name in self.context.values or name in _dims_of_data(self.context):
                    self.refuse(
                        "E0207", f"`{name}` is not a const", e.span,
                        "what is made of data is a `let`, at the top level or in the energy", "it is known only with the data",
                    )  # fmt: skip
                    return None
                consts = [n for n, d in self.context.values.items() if isinstance(d, ast.Const)]
                near = did_you_mean(name, [*consts, *CONSTANTS])
                self.refuse("E0201", f"`{name}` is not declared", e.span, near or f"declare it: `const {name} = …`")
                return None
            case ast.Unary(operator=operator, operand=operand):
                value = self.visit(operand)
                if value is None:
                    return None
                return (not value) if operator == "not" else -value if operator == "-" else +value
            case ast.Binary(operator=operator) if operator in _OPERATORS:
                return self.chain(e)
            case ast.If(condition=condition, then=then, otherwise=otherwise):
                value = self.visit(condition)
                return None if value is None else self.visit(then if value else otherwise)
            case ast.Call(function=ast.Name(text=name), arguments=arguments, conditions=None) if name in _FUNCTIONS:
                values = [self.visit(a.value) for a in arguments]
                known = [v for v in values if v is not None]
                if len(known) < len(values):
                    return None
                return self.compute(e, lambda: _FUNCTIONS[name](*known))
        self.refuse("E0207", "this must be known when the model is checked", e.span, "use numbers and consts here")
        return None

    def chain(self, e: ast.Expression) -> Const | None:
        links: list[ast.Binary] = []
        while isinstance(e, ast.Binary) and e.operator in _OPERATORS:
            links.append(e)
            e = e.left
        value = self.visit(e)
        for link in reversed(links):
            right = self.visit(link.right)
            if value is None or right is None:
                value = None
                continue
            a, b = value, right
            value = self.compute(link, lambda a=a, b=b, link=link: _OPERATORS[link.operator](a, b))
        return value

    def compute(self, e: ast.Expression, act: Callable[[], Const]) -> Const | None:
        if isinstance(e, ast.Binary) and e.operator == "^" and _too_large(self.visit(e.left), self.visit(e.right)):
            self.refuse("E0207", "this number is too large", e.span, _SMALLER)
            return None
        try:
            value = act()
        except (ValueError, ZeroDivisionError, OverflowError, TypeError) as problem:
            self.refuse("E0207", f"this has no value: {problem}", e.span)
            return None
        if isinstance(value, complex) or (isinstance(value, int) and abs(value) > _LARGEST):
            self.refuse("E0207", "this number is too large", e.span, _SMALLER)
            return None
        return value


def _dims_of_data(context: Context) -> set[str]:
    """The dim names of all data, solved only when the data are known."""
    declared = [d.type for d in context.module.declarations if isinstance(d, ast.Data)]
    return {dim.text for type_ in declared for dim in type_.dims if isinstance(dim, ast.Name)}


def _too_large(base: Const | None, exponent: Const | None) -> bool:
    if not isinstance(base, int) or not isinstance(exponent, int) or abs(base) < 2:
        return False
    return exponent * math.log2(abs(base)) > 63


def _as_declared(context: Context, name: str, value: Const) -> Const:
    """`--set n=1e3` is an integer where the const of the file is one."""
    declaration = context.values[name]
    assert isinstance(declaration, ast.Const)
    if isinstance(value, float) and value.is_integer() and abs(value) <= _LARGEST:
        declared = evaluate(context, declaration.value, quiet=True)
        if isinstance(declared, int) and not isinstance(declared, bool):
            return int(value)
    return value


def const(context: Context, name: str) -> Const | None:
    """The value of a `const`, an override first; cycles are reported once."""
    if name in context.overrides:
        # Kept with the others: a run's provenance is made of them.
        context.consts[name] = _as_declared(context, name, context.overrides[name])
    if name in context.consts:
        return context.consts[name]
    if name in context.broken:
        return None
    declaration = context.values[name]
    assert isinstance(declaration, ast.Const)
    key = f"const {context.full(name)}"
    if key in context.expanding:
        own = f"const {context.prefix}"
        cycle = [e.removeprefix(own) for e in context.expanding if e.startswith(own)]
        around = cycle[cycle.index(name) :]
        context.broken.update(around)
        context.error(
            "E0204", f"`{name}` depends on itself", declaration.name.span,
            related=[Label(d.name.span, "needed for it") for n in around[1:] if isinstance(d := context.values[n], ast.Const)],
            fix="give one of them a value of its own" if around[1:] else "give it a value of its own",
        )  # fmt: skip
        return None
    context.expanding.append(key)
    try:
        value = evaluate(context, declaration.value)
    finally:
        context.expanding.pop()
    if value is not None:
        context.consts[name] = value
    return value
