"""Options of methods, of runs and of families: given by name, and checked against the catalog."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

from energylang.catalog import CALLS, KINDS, OPTIMIZERS, RUN_OPTIONS, MethodCall, Option, methods, shown
from energylang.check.constants import evaluate, is_constant_call
from energylang.check.context import Context, did_you_mean
from energylang.diagnostics import Label
from energylang.source import Span
from energylang.stopping import read_aim, read_seconds
from energylang.syntax import ast

Reader = Callable[[ast.Expression], "MethodCall | None"]
"""Reads a method that is the value of an option; None after diagnostics."""


def options_of(
    context: Context,
    arguments: tuple[ast.Argument, ...],
    options: tuple[Option, ...],
    owner: str,
    first: str = "",
    kernel: Reader | None = None,
) -> tuple[tuple[str, Any], ...] | None:
    """Options given by name, as values; None after diagnostics.

    owner: whose they are, for messages. first: the one that may be given without its name, before the others. kernel:
    reads those that are methods.
    """
    table = {o.name: o for o in options}
    values: dict[str, Any] = {}
    seen: dict[str, Span] = {}
    good = True
    for place, argument in enumerate(arguments):
        if argument.name is None and not (first and place == 0):
            example = f"`{options[0].name} = {argument.value.span.text}`" if len(arguments) == 1 and options else ""
            context.error(
                "E0602", f"options of {owner} are given by name", argument.span,
                fix=f"for example {example}" if example else _example(options),
            )  # fmt: skip
            good = False
            continue
        name, span = (argument.name.text, argument.name.span) if argument.name else (first, argument.span)
        if name not in table:
            context.error(
                "E0602",
                f"{owner} has no option `{name}`",
                span,
                fix=unknown_option(name, table, argument.value.span.text),
            )
            good = False
            continue
        if name in seen:
            context.error("E0203", f"`{name}` is given twice", span, related=[Label(seen[name], "first here")])
            good = False
        seen[name] = span
        value = _value(context, argument.value, table[name], kernel)
        if value is None:
            good = False
        else:
            values[name] = value
    return tuple(values.items()) if good else None


def unknown_option(name: str, table: Collection[str], value: str = "…") -> str:
    """What to write in the place of an option that is not in a table."""
    if "optimizer" in table and any(o.name == name for spec in OPTIMIZERS.values() for o in spec.options):
        given = value if name == "learning_rate" else f"1e-3, {name} = {value}"
        owner = next(spec.name for spec in OPTIMIZERS.values() if any(o.name == name for o in spec.options))
        return f"it belongs to the optimizer: `optimizer = {owner}({given})`"
    near = did_you_mean(name, table)
    return near or _elsewhere(name) or (f"its options are {', '.join(table)}" if table else "it has none")


def _elsewhere(name: str) -> str:
    """Where an option belongs that was given to the method or to the run by mistake."""
    owners = [spec.name for spec in methods().values() if name in [o.name for o in spec.options]]
    if owners:
        return f"it is an option of {', '.join(f'`{o}`' for o in owners)}: write it in the brackets, `{owners[0]}({name} = …)`"
    if any(name in [o.name for o in options] for options in RUN_OPTIONS.values()):
        return f"it is an option of the run: write it after the method, `…(), {name} = …`"
    return ""


def _example(options: tuple[Option, ...]) -> str:
    return _meant(options[0]) if options else "it has no options"


def family_call(context: Context, node: ast.Expression, option: Option) -> MethodCall | None:
    """An optimizer, or a schedule of learning rates, with its options; None after diagnostics."""
    table, what = CALLS[option.calls], KINDS[option.calls]
    name = node.function.text if isinstance(node, ast.Call) else node.text if isinstance(node, ast.Name) else ""
    spec = table.get(name)
    if spec is None:
        form = next(iter(table.values())).form
        given = f"write `{option.name} = {form.partition('(')[0]}({node.span.text})`" if not name else ""
        context.error(
            "E0851", f"there is no {what.partition(' ')[2]} `{name}`" if name else f"this is not {what}",
            node.function.span if isinstance(node, ast.Call) else node.span,
            fix=did_you_mean(name, table) or given or f"there are {', '.join(table)}; for example `{option.name} = {form}`",
        )  # fmt: skip
        return None
    arguments = node.arguments if isinstance(node, ast.Call) else ()
    found = options_of(context, arguments, spec.options, f"`{name}`", spec.first)
    return None if found is None else MethodCall(name, found)


def _value(context: Context, node: ast.Expression, option: Option, kernel: Reader | None) -> Any:
    if option.calls == "kernel":
        assert kernel is not None, "a method's own options are read with its reader"
        return kernel(node)
    if option.type == "call" or (option.calls and isinstance(node, ast.Call) and not is_constant_call(node)):
        return family_call(context, node, option)
    if option.type == "names":
        items = node.items if isinstance(node, ast.Array) else (node,)
        if all(isinstance(item, ast.Name) for item in items):
            return ", ".join(item.span.text for item in items)
        context.error("E0603", f"`{option.name}` {option_problem(option, 0)}", node.span, fix=_meant(option))
        return None
    if option.type in TEXTS and isinstance(node, ast.String):
        problem = option_problem(option, node.value)
        if problem:
            context.error("E0603", f"`{option.name}` {problem}", node.span, fix=_meant(option))
            return None
        return settled(option, node.value)
    if option.type in ("choice", "string"):
        text = node.text if isinstance(node, ast.Name) else node.value if isinstance(node, ast.String) else None
        file = option.files and isinstance(node, ast.String)
        if text is None or (option_problem(option, text) if file else option.choices and text not in option.choices):
            context.error(
                "E0603", f"`{option.name}` is one of {', '.join(option.choices)}", node.span,
                cause="a file is written as a text, with its suffix" if option.files else "",
                fix=did_you_mean(text or "", option.choices) or f"for example `{option.name} = {option.choices[0]}`",
            )  # fmt: skip
            return None
        return text
    if isinstance(node, ast.String):
        context.error(
            "E0603", f"`{option.name}` {option_problem(option, node.value)}, not text", node.span, fix=_meant(option)
        )
        return None
    value = evaluate(context, node)
    if value is None:
        return None
    if option.type == "int" and isinstance(value, float) and value.is_integer():
        # `1e4` draws are ten thousand draws.
        value = int(value)
    problem = option_problem(option, value)
    if problem:
        context.error(
            "E0603",
            f"`{option.name}` {problem}, not {value}",
            node.span,
            cause=f"it is: {option.doc}",
            fix=_meant(option),
        )
        return None
    return settled(option, value)


def _meant(option: Option) -> str:
    """A value that an option takes."""
    if option.type in TEXTS:
        return f"for example `{option.name} = {TEXTS[option.type]}`"
    if option.type == "names":
        return f"for example `{option.name} = [first, second]`; `[]` for none"
    if option.default is None:
        return f"for example `{option.name} = {1 if option.type == 'int' else 1.0}`"
    return f"for example `{option.name} = {shown(option.default)}`"


TEXTS = {"aim": '"ess=400"', "time": '"2m"'}
"""Types of options that are written as texts, with an example."""

NAMES = "is a list of names such as `[first, second]`"


def settled(option: Option, value: Any) -> Any:
    """A value that has no problem in the one form that runs know: aims and lists of names as texts, times as seconds."""
    if option.type == "names":
        return value if isinstance(value, str) else ", ".join(value)
    if option.type == "aim":
        return str(read_aim(value))
    if option.type == "time":
        return read_seconds(value)
    return float(value) if option.type == "real" else value


def option_problem(option: Option, value: Any) -> str | None:
    """What is wrong with a value of an option, as the end of a sentence; None where nothing is."""
    if option.type in TEXTS:
        try:
            settled(option, value)
        except ValueError as error:
            return str(error)
        return None
    if option.type == "names":
        listed = value.split(",") if isinstance(value, str) else value
        named = isinstance(listed, Sequence) and all(
            isinstance(n, str) and n.strip().replace(".", "_").isidentifier() for n in listed if n != ""
        )
        return None if named else NAMES
    if option.type == "bool":
        return None if isinstance(value, bool) else "is true or false"
    if option.type == "call":
        return None if isinstance(value, MethodCall) else f"is {KINDS[option.calls]} such as `{option.default}`"
    if option.type == "choice":
        # A file has a suffix, so that a slip in a name is not taken for one.
        good = value in option.choices or (option.files and "." in str(value))
        return (
            None
            if good
            else f"is one of {', '.join(option.choices)}{', or a file with its suffix' if option.files else ''}"
        )
    if isinstance(value, bool) or not isinstance(value, int | float):
        return f"is {'an integer' if option.type == 'int' else 'a number'}"
    if option.type == "int" and not isinstance(value, int):
        return "is an integer"
    low, high = option.minimum, option.maximum
    if value != value or (low is not None and (value < low or (option.open and value == low))):
        return f"is {'above' if option.open else 'at least'} {low:g}"
    if high is not None and (value > high or (option.open and value == high)):
        return f"is {'below' if option.open else 'at most'} {high:g}"
    return None
