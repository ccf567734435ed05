"""Functions as values: anonymous ones, and declared ones and those of the language where they are arguments."""

from __future__ import annotations

from collections.abc import Sequence

from energylang.check.context import POISON, Closure, Context, Meaning, Poison, Scope, Value
from energylang.check.expressions import meaning
from energylang.check.registry import FUNCTIONS, Site
from energylang.check.spaces import dim_of, space_of
from energylang.diagnostics import Label
from energylang.ir.nodes import Expr
from energylang.ir.types import SPACES, Dim
from energylang.source import Span
from energylang.syntax import ast


def form_of(name: str, parameters: Sequence[str]) -> str:
    """How a function is called."""
    return f"{name}({', '.join(parameters)})"


def argument(context: Context, node: ast.Expression, scope: Scope) -> Meaning:
    """The meaning of an argument: as `meaning`, and names of functions stand for themselves."""
    if isinstance(node, ast.Name):
        function = _named(context, node, scope)
        if function is not None:
            return function
    return meaning(context, node, scope)


def anonymous(context: Context, node: ast.Lambda, scope: Scope) -> Meaning:
    """`fn(s, x): e`, closing over what is in scope."""
    names = tuple(p.text for p in node.parameters)
    for place, parameter in enumerate(node.parameters):
        if parameter.text in names[:place]:
            return context.error("E0203", f"`{parameter.text}` is declared twice", parameter.span)

    def run(arguments: Sequence[Value], span: Span) -> Meaning:
        inner = scope.child()
        inner.entries.update(zip(names, arguments, strict=True))
        with context.expansion(f"fn {id(node)}", "this function", span) as allowed:
            return meaning(context, node.body, inner) if allowed else POISON

    return Closure("fn", names, node.span, run)


def _named(context: Context, node: ast.Name, scope: Scope) -> Closure | None:
    """The function that a name is, where it is no value."""
    name = node.text
    if node.qualifier is None and (name in scope.names() or name in context.values or name in scope.dims):
        return None
    if node.qualifier is not None and node.qualifier not in context.modules:
        return None
    if node.qualifier is not None:
        module = context.modules[node.qualifier]
        if isinstance(module, Poison) or name not in module.callables:
            return None
    found = context.callable(node)
    if isinstance(found, tuple) and isinstance(found[0], ast.Fn):
        declaration = found[0]

        def expand(arguments: Sequence[Value], span: Span) -> Meaning:
            return expanded(context, declaration, arguments, span)

        return Closure(name, tuple(p.name.text for p in declaration.parameters), declaration.name.span, expand)
    function = FUNCTIONS.get(name) if found is None and node.qualifier is None else None
    if function is None or function.unread or "*" in function.parameters:
        return None

    def make(arguments: Sequence[Value], span: Span) -> Meaning:
        values = [a for a in arguments if isinstance(a, Expr)]
        if len(values) < len(arguments):
            return context.error("E0210", f"`{name}` takes numbers and arrays", span)
        return function.make(context, values, Site(span, {}, scope))

    return Closure(name, tuple(p for p in function.parameters if p not in function.static), node.span, make)


def expanded(context: Context, declaration: ast.Fn, arguments: Sequence[Value], span: Span) -> Meaning:
    """The value of a declared function at arguments, one for each parameter."""
    name = declaration.name.text
    home = context.home(declaration)
    inner = home.top.child()
    values = dict(zip((p.name.text for p in declaration.parameters), arguments, strict=True))
    fits = True
    for parameter in declaration.parameters:
        value = values[parameter.name.text]
        if parameter.type is not None and not isinstance(value, Expr):
            context.error(
                "E0210", f"`{parameter.name.text}` of `{name}` is one value, and this is {'a function' if isinstance(value, Closure) else 'several'}",
                span, related=[Label(parameter.span, "declared here")], fix="leave the parameter's type away",
            )  # fmt: skip
            fits = False
        elif parameter.type is not None and isinstance(value, Expr):
            fits = _parameter_fits(home, name, parameter, parameter.type, value, inner) and fits
    if not fits:
        return POISON
    inner.entries.update(values)
    with home.expansion(f"fn {name}", name, span) as allowed:
        found = meaning(home, declaration.value, inner) if allowed else POISON
    if isinstance(found, Poison) or declaration.result is None:
        return found
    result = space_of(home, declaration.result, inner, data=True)
    if result is None:
        return POISON
    if isinstance(found, Expr) and result.type.kind >= found.type.kind and result.shape == found.type.shape:
        return found
    wrong_kind = isinstance(found, Expr) and result.type.kind < found.type.kind
    shown = (
        str(found.type) if isinstance(found, Expr) else "a function" if isinstance(found, Closure) else "several values"
    )
    return context.error(
        "E0302" if wrong_kind else "E0303", f"`{name}` promises {result.type}, and its value is {shown}", span,
        related=[Label(declaration.result.span, "promised here")], fix="change the type after `->`, or leave it away",
    )  # fmt: skip


def _parameter_fits(
    context: Context, name: str, parameter: ast.Parameter, declared: ast.TypeExpression, value: Expr, inner: Scope
) -> bool:
    """Whether an argument has the type of its parameter; dims that the type names get their value in `inner`."""
    shape = value.type.shape
    wanted: list[Dim] = []
    for pattern, dim in zip(declared.dims, shape, strict=False):
        if isinstance(pattern, ast.Name) and pattern.text not in inner.dims and pattern.text not in context.values:
            inner.dims[pattern.text] = dim
        found = dim_of(context, pattern, inner)
        if found is None:
            return False
        wanted.append(found)
    if declared.name.text not in SPACES:
        return space_of(context, declared, inner, data=True) is not None
    kind = SPACES[declared.name.text].kind
    if len(shape) == len(declared.dims) and wanted == list(shape) and value.type.kind <= kind:
        return True
    shown = f"{kind}[{', '.join(d.span.text for d in declared.dims)}]" if declared.dims else str(kind)
    code = "E0302" if value.type.kind > kind else "E0303" if len(shape) != len(declared.dims) else "E0301"
    context.error(
        code, f"`{parameter.name.text}` of `{name}` is {shown}, and this is {value.type}", value.span,
        related=[Label(parameter.span, "declared here")],
        fix="leave the parameter's type away, and the function takes arrays of every shape" if code != "E0302" else "",
    )  # fmt: skip
    return False
