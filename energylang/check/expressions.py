"""Expressions: AST → IR, with types, shapes and ranges. Long operator chains are walked, not recursed into."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from energylang.check.constants import const, evaluate
from energylang.check.context import (
    CONSTANTS,
    POISON,
    Closure,
    Context,
    Found,
    Meaning,
    Poison,
    Scope,
    Several,
    did_you_mean,
    literal,
)
from energylang.diagnostics import Label
from energylang.ir.nodes import (
    Apply,
    Condition,
    Data,
    DimValue,
    Expr,
    Let,
    Literal,
    Local,
    Reference,
    Variable,
    symbols,
)
from energylang.ir.operations import OperationError, slice_length, type_of
from energylang.ir.types import Dim, Kind, Range, Type, show_shape
from energylang.source import Span
from energylang.syntax import ast

OPERATORS = {
    "+": "add", "-": "sub", "*": "mul", "/": "div", "//": "floordiv", "%": "mod", "@": "matmul", "^": "pow",
    "==": "eq", "!=": "ne", "<": "lt", "<=": "le", ">": "gt", ">=": "ge", "and": "and", "or": "or",
}  # fmt: skip


def expression(context: Context, node: ast.Expression, scope: Scope) -> Found:
    """The value of an expression: a number or an array; POISON after a diagnostic."""
    found = meaning(context, node, scope)
    if isinstance(found, Several):
        return context.error(
            "E0210", f"these are {len(found.items)} values, and one is needed here", node.span,
            related=[Label(found.span, "made here")] if found.span != node.span else [],
            fix="take them apart: `let (a, b) = …`, or write `[a, b]` for an array",
        )  # fmt: skip
    if isinstance(found, Closure):
        return context.error(
            "E0208", f"`{found.name}` is a function, and a value is needed here", node.span,
            fix=f"call it: `{found.name}({', '.join(found.parameters)})`" if isinstance(node, ast.Name)
            else "give it to a function that calls it, such as `scan`",
        )  # fmt: skip
    return found


def meaning(context: Context, node: ast.Expression, scope: Scope) -> Meaning:
    """What an expression stands for: a value, several, or a function; POISON after a diagnostic."""
    match node:
        case ast.Number(value=value) | ast.Boolean(value=value):
            return literal(value, node.span)
        case ast.Name():
            return context.record(node.span, _name(context, node, scope))
        case ast.Binary():
            return _binary(context, node, scope)
        case ast.Unary(operator=operator, operand=operand):
            value = expression(context, operand, scope)
            if isinstance(value, Poison) or operator == "+":
                return value
            return apply(context, "not" if operator == "not" else "neg", [value], node.span)
        case ast.If(condition=condition, then=then, otherwise=otherwise):
            parts = [expression(context, e, scope) for e in (condition, then, otherwise)]
            return _applied(context, "where", parts, node.span)
        case ast.Index():
            return _index(context, node, scope)
        case ast.Array(items=(ast.Generator() as generator,)) | (ast.Generator() as generator):
            from energylang.check.generators import comprehension

            return comprehension(context, generator, scope)
        case ast.Array(items=items):
            if not items:
                return context.error("E0303", "an empty array has no type", node.span)
            return _applied(context, "stack", [expression(context, e, scope) for e in items], node.span)
        case ast.Call():
            from energylang.check.functions import call

            return context.record(node.span, call(context, node, scope))
        case ast.Lambda():
            from energylang.check.closures import anonymous

            return anonymous(context, node, scope)
        case ast.Tuple(items=items):
            values = [expression(context, e, scope) for e in items]
            known = tuple(v for v in values if not isinstance(v, Poison))
            return Several(known, node.span) if len(known) == len(values) else POISON
        case ast.Pipe():
            return context.error(
                "E0560", "layers stand in a `flow` alone", node.span, cause="`|>` puts a layer behind a base, and this is a value",
                fix="declare it, `flow f(z: real[2]) = normal |> …`, and call it: `f(z)`",
            )  # fmt: skip
        case ast.String():
            return context.error("E0208", "text is not a value", node.span, fix="text stands only after `from` in data")
        case _:
            return context.error("E0208", "this is not a value", node.span)


def taken_apart(context: Context, names: Sequence[ast.Identifier], value: Meaning, span: Span) -> Sequence[Meaning]:
    """What each name of a `let` stands for; POISON for all after a diagnostic."""
    if len(names) == 1 or isinstance(value, Poison):
        return [value] * len(names)
    if isinstance(value, Several) and len(value.items) == len(names):
        return value.items
    count = f"these are {len(value.items)} values" if isinstance(value, Several) else "this is one value"
    if isinstance(value, Closure):
        count = "this is a function"
    shown = f"`let {names[0].text} = …`, then `{names[0].text}[0]`"
    context.error(
        "E0213", f"{len(names)} names, and {count}", span,
        related=[Label(names[0].span, "the first name")],
        fix=f"an array is taken apart by indices: {shown}" if isinstance(value, Expr) and value.type.shape else "give as many names as values",
    )  # fmt: skip
    return [POISON] * len(names)


def _name(context: Context, node: ast.Name, scope: Scope) -> Meaning:
    name = node.text
    if node.qualifier is not None:
        module = context.member(node)
        return POISON if isinstance(module, Poison) else _name(module, ast.Name(node.span, name), module.top)
    found = scope.find(name)
    if isinstance(found, Reference):
        # A reference knows where it is used; what a `let` names stays one object, so that it is computed once.
        return replace(found, span=node.span)
    if found is not None:
        return found
    declaration = context.values.get(name)
    if isinstance(declaration, ast.Const):
        value = const(context, name)
        return POISON if value is None else literal(value, node.span)
    if name in scope.dims:
        return _dim_value(scope.dims[name], node.span)
    if context.full(name) in context.solvable and declaration is None:
        return _dim_value(Dim.of(context.full(name)), node.span)
    if name in CONSTANTS:
        return literal(CONSTANTS[name], node.span)
    if isinstance(declaration, ast.Schedule):
        return context.error(
            "E0208", f"`{name}` is a schedule, and a value is needed here", node.span,
            fix=f"for example `{name}.alpha_bar(t)`",
        )  # fmt: skip
    if context.callable(node) is not None:
        return context.error(
            "E0208",
            f"`{name}` is a function or distribution, and a value is needed here",
            node.span,
            fix=f"call it: `{name}(…)`",
        )
    if name in context.modules:
        return module_as_value(context, node)
    candidates = [*scope.names(), *(n for n, d in context.values.items() if isinstance(d, ast.Const)), *CONSTANTS]
    fix = did_you_mean(name, candidates) or undeclared(context, node)
    return context.error("E0201", f"`{name}` is not declared", node.span, fix=fix)


def undeclared(context: Context, node: ast.Name) -> str:
    """What to do about a name that nothing declares and nothing resembles."""
    name = node.text
    for declaration in context.module.declarations:
        if not isinstance(declaration, ast.Energy):
            continue
        within = declaration.span.start <= node.span.start < declaration.span.end
        if within and isinstance(declaration.body, ast.Block):
            for statement in declaration.body.statements:
                if isinstance(statement, ast.LetStatement) and name in [n.text for n in statement.names]:
                    return f"move `let {name} = …` above this line: a block is read from its top"
        signature = declaration.signature
        if not within and signature and name in [p.name.text for p in (*signature.variables, *signature.conditions)]:
            return f"it belongs to `{declaration.name.text}`: list it in the signature here too, behind a bar if it is given"
    return f"declare it: in the signature as a variable, as `data {name}: real`, or with `let {name} = …`"


def module_as_value(context: Context, node: ast.Name) -> Poison:
    """Says that a module itself is neither a value nor a function."""
    module = context.modules[node.text]
    if isinstance(module, Poison):
        return POISON
    names = [*module.values, *module.callables]
    return context.error(
        "E0235", f"`{node.text}` is a module, and it stands here for something that it declares", node.span,
        related=[Label(context.imports[node.text], "imported here")],
        fix=f"name that: `{node.text}.{names[0]}`" if names else "",
    )  # fmt: skip


def _dim_value(dim: Dim, span: Span) -> Expr:
    if dim.constant is not None:
        return literal(dim.constant, span)
    return DimValue(Type(Kind.INT), span, dim, range=Range(dim, dim))


def _binary(context: Context, node: ast.Binary, scope: Scope) -> Found:
    links: list[ast.Binary] = []
    head: ast.Expression = node
    while isinstance(head, ast.Binary):
        links.append(head)
        head = head.left
    value = expression(context, head, scope)
    for link in reversed(links):
        right = expression(context, link.right, scope)
        if link.operator in ("==", "!="):
            _never_equal(context, value, right, link)
        value = _applied(context, OPERATORS[link.operator], [value, right], link.span, link.operator_span)
    return value


def _never_equal(context: Context, left: Found, right: Found, link: ast.Binary) -> None:
    """A lint where a discrete variable is compared with a number that it never is."""
    for value, other in ((left, right), (right, left)):
        if not isinstance(value, Reference) or not isinstance(other, Literal) or not isinstance(value.symbol, Variable):
            continue
        space = value.symbol.space
        low, high = (b.constant if isinstance(b, Dim) else None for b in (value.range.low, value.range.high))
        if not space.discrete or low is None or high is None:
            continue
        if not low <= other.value <= high or (space.kind == "spin" and other.value == 0):
            meaning = "-1 or 1" if space.kind == "spin" else f"{low} to {high}"
            context.diagnostics.add(
                "L0108", f"`{value.symbol.name}` is never {other.value:g}", link.span,
                cause=f"it is {space.kind}, so its values are {meaning}", fix="compare it with one of its values",
            )  # fmt: skip


def _applied(context: Context, operation: str, operands: Sequence[Found], span: Span, at: Span | None = None) -> Found:
    known = [o for o in operands if not isinstance(o, Poison)]
    if len(known) < len(operands):
        return POISON
    return apply(context, operation, known, span, at=at)


def apply(
    context: Context,
    operation: str,
    operands: Sequence[Expr],
    span: Span,
    attributes: tuple[Any, ...] = (),
    at: Span | None = None,
) -> Found:
    """An application, typed and simplified; POISON after a diagnostic that underlines what is to blame."""
    try:
        kind, found = type_of(operation, operands, attributes)
    except OperationError as problem:
        related = [
            Label(operands[i].span, f"this is {operands[i].type}") for i in problem.blame if operands[i].span != span
        ]
        return context.error(
            problem.code, problem.message, at or span, related=related, cause=problem.cause, fix=problem.fix,
            label="here" if related else "",
        )  # fmt: skip
    return (
        _folded(operation, operands, span)
        or _simplified(operation, operands, kind)
        or Apply(kind, span, operation, tuple(operands), attributes, range=found)
    )


_FOLD = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "div": lambda a, b: a / b,
    "floordiv": lambda a, b: a // b,
    "mod": lambda a, b: a % b,
    "pow": lambda a, b: float(a) ** b if b < 0 else a**b,
    "neg": lambda a: -a,
    "log": math.log,
    "exp": math.exp,
    "sqrt": math.sqrt,
    "lgamma": math.lgamma,
}


def _folded(operation: str, operands: Sequence[Expr], span: Span) -> Expr | None:
    values = [o.value for o in operands if isinstance(o, Literal)]
    if len(values) < len(operands) or operation not in _FOLD:
        return None
    if operation == "pow" and (abs(values[0]) > 1e6 or abs(values[1]) > 64):
        return None
    try:
        value = _FOLD[operation](*values)
    except (ValueError, ZeroDivisionError, OverflowError):
        return None
    if isinstance(value, complex) or (isinstance(value, int) and abs(value) >= 2**31):
        return None
    return literal(value, span)


def _simplified(operation: str, operands: Sequence[Expr], kind: Type) -> Expr | None:
    """x - 0, x + 0, x * 1, x / 1: what a library's general formula leaves behind."""
    if len(operands) != 2:
        return None
    left, right = operands
    neutral = {"add": 0, "sub": 0, "mul": 1, "div": 1}.get(operation)
    if neutral is None:
        return None
    if isinstance(right, Literal) and right.value == neutral and left.type == kind:
        return left
    if operation in ("add", "mul") and isinstance(left, Literal) and left.value == neutral and right.type == kind:
        return right
    return None


def _new_axis(node: ast.Index) -> str:
    """What `x[:, None]` is here; empty where no index is such."""
    if not any(isinstance(item, ast.Name) and item.text in ("None", "newaxis") for item in node.items):
        return ""
    return "all pairs of two arrays are `[for a in x, b in y: …]`; `reshape(x, [n, 1])` adds an axis"


# --- indices ----------------------------------------------------------------------------------------------------


def _index(context: Context, node: ast.Index, scope: Scope) -> Found:
    base = expression(context, node.base, scope)
    if isinstance(base, Poison):
        for item in node.items:
            if not isinstance(item, ast.Slice):
                expression(context, item, scope)
        return POISON
    rank = len(base.type.shape)
    if len(node.items) > rank:
        shown = f"{rank} axes" if rank != 1 else "1 axis"
        return context.error(
            "E0304", f"an index with {len(node.items)} items, and this has {shown if rank else 'no axes'}", node.span,
            related=[Label(node.base.span, f"this is {base.type}")],
            fix=_new_axis(node) or (f"give at most {rank}" if rank else "remove the brackets"),
        )  # fmt: skip
    attributes: list[tuple[Any, ...]] = []
    indices: list[Expr] = []
    failed = False
    for item, dim in zip(node.items, base.type.shape, strict=False):
        if isinstance(item, ast.Slice):
            ends = _slice(context, item, dim, scope)
            failed |= ends is None
            attributes.append(("slice", *ends) if ends else ())
            continue
        value = expression(context, item, scope)
        if isinstance(value, Poison) or not _inside(context, value, dim, item.span, node.base.span):
            failed = True
            continue
        attributes.append(("at",))
        indices.append(value)
    if failed:
        return POISON
    arrays = [i for i, a in enumerate(attributes) if a[0] == "at"]
    if arrays and arrays[-1] - arrays[0] + 1 > len(arrays):
        return context.error(
            "E0304", "indices with a slice between them", node.span, cause="it is not clear where the indexed axis would go",
            fix="index twice: `a[i][:, j]`",
        )  # fmt: skip
    return apply(context, "index", [base, *indices], node.span, tuple(attributes))


def _slice(context: Context, item: ast.Slice, dim: Dim, scope: Scope) -> tuple[Dim, Dim, int] | None:
    from energylang.check.spaces import known_dim, names_in

    depends = [n for part in (item.start, item.stop) if part is not None for n in names_in(part) if scope.local(n)]
    if depends:
        context.error(
            "E0211", f"the ends of a slice may not depend on `{depends[0]}`", item.span, cause="it differs from turn to turn, and arrays have one size",
            fix=f"index with an array of constant length: `x[{depends[0]} + range(3)]`",
        )  # fmt: skip
        return None
    step = 1
    if item.step is not None:
        value = evaluate(context, item.step)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            context.error(
                "E0304",
                f"the step of a slice is a positive integer, not {value}",
                item.step.span,
                fix="`reverse(x)` turns an axis round",
            )
            return None
        step = value
    ends: list[Dim | None] = []
    for part, default in ((item.start, Dim.of(0)), (item.stop, dim)):
        if part is None:
            ends.append(default)
            continue
        backwards = isinstance(part, ast.Unary) and part.operator == "-"
        found = known_dim(context, part.operand if isinstance(part, ast.Unary) and backwards else part, scope)
        if found is None:
            return None
        ends.append(dim - found if backwards else found)
    start, stop = ends
    assert start is not None
    assert stop is not None
    for end in (start, stop):
        beyond = (end - dim).constant
        if (beyond is not None and beyond > 0) or (end.constant is not None and end.constant < 0):
            context.error(
                "E0304", f"the slice `{item.span.text}` reaches outside an axis of size {dim}", item.span,
                cause="slices are never clamped", fix=f"keep both ends between 0 and {dim}",
            )  # fmt: skip
            return None
    length = (stop - start).constant
    if length is not None and length < 0:
        context.error(
            "E0304",
            "the slice ends before it starts",
            item.span,
            fix="a slice is `first:end`, and the end is not in it",
        )
        return None
    try:
        slice_length(start, stop, step, dim)
    except OperationError as problem:
        context.error(problem.code, problem.message, item.span, fix=problem.fix)
        return None
    return start, stop, step


def _inside(context: Context, value: Expr, dim: Dim, span: Span, base: Span) -> bool:
    """Whether an index is an integer and can be shown to lie inside the axis."""
    if value.type.kind is not Kind.INT:
        context.error(
            "E0302", f"an index is an integer, and this is {value.type.kind}", span,
            fix="an index is data of `int`, a variable of `cat(k)`, or made of these; `if` selects by comparing reals",
        )  # fmt: skip
        return False
    low, high = value.range.low, value.range.high
    if isinstance(low, Dim) and isinstance(high, Dim):
        if isinstance(value, Literal) and value.value < 0:
            low, high = low + dim, high + dim
        below, above = low.constant, (dim - 1 - high).constant
        if (below is None or below >= 0) and (above is None or above >= 0):
            if above is not None or high.constant is not None or below is None:
                return True
            cause = f"`{high + 1}` and `{dim}` are different dims: names never match by coincidence"
        else:
            cause = "indices count from 0"
        shown = f"is {value.value}" if isinstance(value, Literal) else f"runs from {low} to {high}"
        entries = "1 entry (0)" if dim.constant == 1 else f"{dim} entries (0 to {dim - 1})"
        context.error(
            "E0304", f"the index {shown}, and the axis has {entries}", span, related=[Label(base, "indexed here")], cause=cause,
            fix=_mended_index(value, low, high, dim),
        )  # fmt: skip
        return False
    if _from_data(value):
        return True
    context.error(
        "E0304", f"this index cannot be shown to stay inside an axis of size {dim}", span, related=[Label(base, "indexed here")],
        fix=f"take it modulo the size: `(…) % {dim}`",
    )  # fmt: skip
    return False


def _mended_index(value: Expr, low: Dim, high: Dim, dim: Dim) -> str:
    """What to do about an index that runs from low to high where the axis has dim entries."""
    if isinstance(value, Literal):
        if value.value < 0:
            return f"the first is 0; from the end, -1 is the last and -{dim} the first"
        return f"the last is {dim - 1}, or -1"
    if isinstance(value, Apply) and any(isinstance(s, Local) for s in symbols(value)):
        return f"take it modulo the size, `(…) % {dim}`, or let it run over less"
    if low.constant == -1 and high.constant == 1:
        return "a spin is -1 or 1: `(s + 1) // 2` is 0 or 1"
    if low.constant != 0:
        return f"make it run from 0 to {dim - 1}"
    return f"give the axis {high + 1} entries, or the index {dim} values"


def _from_data(value: Expr) -> bool:
    """Indices made of data alone are checked when the data are known."""
    return all(isinstance(s, Data | Let | Condition) for s in symbols(value))


def shaped(value: Expr) -> str:
    """How a value's shape is shown in messages."""
    return show_shape(value.type.shape) or "a scalar"
