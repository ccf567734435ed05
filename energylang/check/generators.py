"""Comprehensions: `[for i in n, j in m: e]`, and generators as arguments: `sum(for i in n: e)`.

The body is read once, with a local for every name; what it means for all of them is decided in `mapping`.
"""

from __future__ import annotations

from energylang.check.context import POISON, Context, Found, Poison, Scope
from energylang.check.expressions import apply, expression
from energylang.check.mapping import mapped, plain_space
from energylang.check.spaces import names_in
from energylang.diagnostics import Label
from energylang.ir.nodes import Apply, Expr, Local, Reference
from energylang.ir.types import Dim, Kind, Range, Space, Type
from energylang.source import Span
from energylang.syntax import ast


def comprehension(context: Context, node: ast.Generator, scope: Scope) -> Found:
    """The array of the body's values, one leading axis for each name, the outer first."""
    inner = scope.child()
    names: dict[str, Span] = {}
    domains: list[Expr | None] = []
    failed = False
    for name, domain in node.bindings:
        if name.text in names:
            context.error(
                "E0203", f"`{name.text}` is declared twice", name.span, related=[Label(names[name.text], "first here")]
            )
            failed = True
        domains.append(_domain(context, domain, scope, names))
        names[name.text] = name.span
    values: dict[Local, Expr] = {}
    for (name, _), domain in zip(node.bindings, domains, strict=True):
        if domain is None:
            inner.entries[name.text] = POISON
            failed = True
            continue
        local = Local(name.text, Space(plain_space(domain.type.kind), domain.type.shape[1:]), name.span)
        inner.entries[name.text] = Reference(local.space.type, name.span, local, range=domain.range)
        values[local] = domain
    body = expression(context, node.body, inner)
    if isinstance(body, Poison) or failed:
        return POISON
    batch = tuple(domain.type.shape[0] for domain in values.values())
    one = Dim.of(1)
    for axis, (local, domain) in enumerate(values.items()):
        if len(batch) > 1:
            around = tuple(size if axis == place else one for place, size in enumerate(batch))
            shaped = apply(context, "reshape", [domain], domain.span, (*around, *local.space.shape))
            if isinstance(shaped, Poison):
                return POISON
            values[local] = shaped
    return mapped(context, body, values, frozenset(values), batch, node.span)


def _domain(context: Context, node: ast.Expression, scope: Scope, names: dict[str, Span]) -> Expr | None:
    """What a name runs over, as an array: the indices below a size, or the entries of an array."""
    earlier = next((n for n in names_in(node) if n in names), None)
    if earlier is not None:
        return _dependent(context, node, earlier)
    value = expression(context, node, scope)
    if isinstance(value, Poison):
        return None
    if value.type.shape:
        return value
    size = value.range.low
    if value.type.kind is Kind.INT and isinstance(size, Dim) and size == value.range.high:
        if size.constant is not None and size.constant < 0:
            context.error("E0306", f"an axis cannot have size {size}", node.span)
            return None
        return indices(size, node.span)
    depends = next((n for n in names_in(node) if scope.local(n)), None)
    if depends is not None:
        return _dependent(context, node, depends)
    context.error(
        "E0212", f"a generator runs over a size or an array, and this is {value.type}", node.span,
        cause="a size is known before the model runs" if value.type.kind is Kind.INT else "",
        fix="sizes are integers, consts, data ints, dim names, and +, -, * of these",
    )  # fmt: skip
    return None


def indices(size: Dim, span: Span) -> Expr:
    """The integers below a size."""
    return Apply(Type(Kind.INT, (size,)), span, "iota", (), (size,), range=Range(Dim.of(0), size - 1))


def _dependent(context: Context, node: ast.Expression, name: str) -> None:
    context.error(
        "E0211", f"how far a generator runs may not depend on `{name}`", node.span, cause="all rows of an array have one length",
        fix="run over all, and select: `if j < i then … else 0`",
    )  # fmt: skip
