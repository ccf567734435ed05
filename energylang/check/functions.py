"""Calls in expressions: the functions of the language, `fn` declarations, functions as values, nets and energies."""

from __future__ import annotations

from energylang.check import algebra, arrays, elementwise, loops
from energylang.check.closures import argument, expanded, form_of
from energylang.check.context import POISON, Context, Found, Meaning, Poison, Scope, Value, did_you_mean
from energylang.check.expressions import expression, module_as_value
from energylang.check.registry import FUNCTIONS, Function, Site
from energylang.check.suggestions import elsewhere
from energylang.diagnostics import Label
from energylang.source import Span
from energylang.syntax import ast

__all__ = ["FUNCTIONS", "algebra", "arrays", "call", "elementwise", "loops"]


def call(context: Context, node: ast.Call, scope: Scope) -> Meaning:
    """A call used as a value."""
    name = node.function.text
    closure = scope.closure(name) if node.function.qualifier is None else None
    if closure is not None:
        values = _matched(context, name, closure.parameters, closure.span, node, scope)
        return POISON if values is None else closure.run(values, node.span)
    schedule = context.values.get(node.function.qualifier or "")
    if isinstance(schedule, ast.Schedule):
        from energylang.check.schedules import schedule_call

        return schedule_call(context, schedule, node, scope)
    found = context.callable(node.function)
    if isinstance(found, Poison):
        return POISON
    declaration = found[0] if found else None
    if isinstance(declaration, ast.Fn):
        return _call_fn(context, declaration, node, scope)
    if isinstance(declaration, ast.Energy):
        from energylang.check.distributions import energy_call

        return energy_call(context, declaration, node, scope)
    if isinstance(found, tuple) and isinstance(declaration, ast.Net):
        from energylang.check.nets import net_call

        return net_call(context, found[1], declaration, node, scope)
    if name in FUNCTIONS and node.function.qualifier is None:
        return _call_function(context, name, FUNCTIONS[name], node, scope)
    if scope.find(name) is not None or name in context.values:
        return context.error(
            "E0208",
            f"`{name}` is a value, and it is called here",
            node.function.span,
            fix=f"multiply with `{name} * (…)`, index with `{name}[…]`",
        )
    if name in context.modules:
        return module_as_value(context, node.function)
    candidates = [*FUNCTIONS, *context.callable_names()]
    fix = elsewhere(name, candidates) or did_you_mean(name, candidates)
    if name in ("mixture", "truncate"):
        fix = f"`{name}` stands right of `~` (`y ~ {name}(…)`), and is no value"
    return context.error("E0202", f"there is no function `{name}`", node.function.span, fix=fix)


def _call_function(context: Context, name: str, function: Function, node: ast.Call, scope: Scope) -> Meaning:
    if node.conditions is not None:
        return context.error(
            "E0206", f"`{name}` is a function, and only energies are called with a bar", node.span,
            fix="separate the arguments by commas",
        )  # fmt: skip
    bound: dict[str, ast.Expression] = {}
    positional = [a for a in node.arguments if a.name is None]
    variadic = function.parameters[-1:] == ("*",)
    names = function.parameters[:-1] if variadic else function.parameters
    extra: list[ast.Expression] = []
    for i, given in enumerate(positional):
        if i < len(names):
            bound[names[i]] = given.value
        elif variadic:
            extra.append(given.value)
        else:
            return _wrong_call(
                context, name, function, node, f"takes at most {_arguments(len(names))}, not {len(positional)}"
            )
    for given in node.arguments:
        if given.name is None:
            continue
        if given.name.text not in names or given.name.text in bound:
            known = given.name.text in names
            return _wrong_call(
                context,
                name,
                function,
                node,
                f"gets `{given.name.text}` twice" if known else f"has no argument `{given.name.text}`",
            )
        bound[given.name.text] = given.value
    values: list[Found] = []
    for parameter in names:
        if parameter in function.static:
            continue
        if parameter not in bound:
            return _wrong_call(context, name, function, node, f"needs `{parameter}`")
        if parameter in function.unread:
            continue
        value = bound[parameter]
        if isinstance(value, ast.Tuple) and name not in _TAKES_SEVERAL:
            return _wrong_call(
                context, name, function, node, f"takes one value as `{parameter}`: write `[a, b]` for an array"
            )
        items = value.items if isinstance(value, ast.Tuple) else (value,)
        values += [expression(context, item, scope) for item in items]
    values += [expression(context, e, scope) for e in extra]
    known = [v for v in values if not isinstance(v, Poison)]
    if len(known) < len(values):
        return POISON
    unread = {p: bound[p] for p in (*function.static, *function.unread) if p in bound}
    first = positional[0].value if positional else None
    generated = len(first.bindings) if isinstance(first, ast.Generator) else 0
    return function.make(context, known, Site(node.span, unread, scope, generated))


_TAKES_SEVERAL = frozenset({"concatenate"})
"""Functions whose first argument is several values in brackets."""


def _arguments(count: int) -> str:
    return "1 argument" if count == 1 else f"{count} arguments"


def _wrong_call(context: Context, name: str, function: Function, node: ast.Call, what: str) -> Poison:
    shown = ", ".join("…" if p == "*" else f"{p} = …" if p in function.static else p for p in function.parameters)
    return context.error("E0206", f"`{name}` {what}", node.span, fix=f"its form is `{name}({shown})`: {function.doc}")


def _call_fn(context: Context, declaration: ast.Fn, node: ast.Call, scope: Scope) -> Meaning:
    name = declaration.name.text
    names = tuple(p.name.text for p in declaration.parameters)
    values = _matched(context, name, names, declaration.name.span, node, scope)
    return POISON if values is None else expanded(context, declaration, values, node.span)


def _matched(
    context: Context, name: str, names: tuple[str, ...], span: Span, node: ast.Call, scope: Scope
) -> list[Value] | None:
    """The arguments of a call in the order of the parameters; None after a diagnostic. span: of the declaration."""
    values: dict[str, Meaning] = {}
    for i, given in enumerate(node.arguments):
        parameter = given.name.text if given.name else names[i] if i < len(names) else None
        if parameter not in names or parameter in values:
            context.error(
                "E0206", f"`{name}` takes {_arguments(len(names))}", node.span, related=[Label(span, "declared here")],
                fix=f"its form is `{form_of(name, names)}`",
            )  # fmt: skip
            return None
        values[parameter] = argument(context, given.value, scope)
    missing = [n for n in names if n not in values]
    if missing or node.conditions is not None:
        context.error(
            "E0206", f"`{name}` needs `{', '.join(missing)}`" if missing else f"`{name}` is a function, and only energies are called with a bar",
            node.span, related=[Label(span, "declared here")], fix=f"its form is `{form_of(name, names)}`",
        )  # fmt: skip
        return None
    found = [values[n] for n in names]
    known = [v for v in found if not isinstance(v, Poison)]
    return known if len(known) == len(found) else None
