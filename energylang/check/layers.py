"""The layers of a flow: read against the catalog, and whether each can stand where it stands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from energylang.catalog import BASES, LAYERS, Form, Layer, LayerCall, Slot
from energylang.catalog.layers import Chosen
from energylang.check.constants import evaluate
from energylang.check.context import Context, did_you_mean
from energylang.check.tasks import options_of
from energylang.diagnostics import Diagnostic
from energylang.ir.nodes import Variable
from energylang.ir.types import Shape
from energylang.source import Span
from energylang.syntax import ast

WIDEST = 2**20
"""Entries of one layer of a net."""
MOST = 10_000
"""Repetitions of a layer, normals of a base."""

TO: dict[tuple[str, str], str] = {
    ("real", "positive"): "exp", ("real", "unit"): "sigmoid", ("positive", "real"): "log", ("unit", "real"): "logit",
    ("unit", "positive"): "logit |> exp", ("positive", "unit"): "log |> sigmoid",
}  # fmt: skip
"""The layers from one space to another."""

MEANINGS = {"real": "reals", "positive": "positive reals", "unit": "numbers between 0 and 1"}


class Placed(NamedTuple):
    """A layer, and where it was written."""

    call: LayerCall
    span: Span


def name_of(node: ast.Expression) -> str:
    """What a stage of a flow is called; empty where it has no name."""
    named = node.function if isinstance(node, ast.Call) else node
    return named.text if isinstance(named, ast.Name) and named.qualifier is None else ""


def layers_of(context: Context, stages: Sequence[ast.Expression]) -> list[Placed] | None:
    """The layers of a pipe; None after diagnostics, one for each that is wrong."""
    found = [_layer(context, stage) for stage in stages]
    known = [layer for layer in found if layer is not None]
    return known if len(known) == len(found) else None


def _layer(context: Context, node: ast.Expression) -> Placed | None:
    name = name_of(node)
    spec = LAYERS.get(name)
    if spec is None:
        base = name in BASES or name in context.callable_names(ast.Energy)
        context.error(
            "E0562", f"`{name}` is no layer, but what a flow begins with" if base
            else f"there is no layer `{name}`" if name else "this is not a layer", node.span,
            cause="a flow is read in the direction of sampling: its base, then what moves the draws",
            fix=f"write it first: `{name} |> …`" if base
            else did_you_mean(name, LAYERS) or f"the layers are {', '.join(LAYERS)}",
        )  # fmt: skip
        return None
    call = chosen(context, spec, node)
    return None if call is None else Placed(call, node.span)


def chosen(context: Context, spec: Form, node: ast.Expression) -> LayerCall | None:
    """A layer, base or form with everything that was chosen; None after diagnostics."""
    arguments = node.arguments if isinstance(node, ast.Call) else ()
    if isinstance(node, ast.Call) and node.conditions is not None:
        context.error(
            "E0563", f"`{spec.name}` has no bar", node.span, cause="the conditions of a flow reach every layer",
            fix=f"for example `{spec.form}`",
        )  # fmt: skip
        return None
    slots = {slot.name: slot for slot in spec.slots}
    given: dict[str, ast.Argument] = {}
    options: list[ast.Argument] = []
    for argument in arguments:
        free = [name for name in slots if name not in given]
        if argument.name is not None and argument.name.text not in slots:
            options.append(argument)
        elif argument.name is not None and argument.name.text in free:
            given[argument.name.text] = argument
        elif argument.name is None and free:
            given[free[0]] = argument
        elif slots or argument.name is not None:
            what = f"`{argument.name.text}` twice" if argument.name is not None else "too many arguments"
            context.error("E0563", f"`{spec.name}` gets {what}", argument.span, fix=f"for example `{spec.form}`")
            return None
        else:
            options.append(argument)
    missing = [slot for name, slot in slots.items() if slot.needed and name not in given]
    if missing:
        context.error(
            "E0563", f"`{spec.name}` needs `{missing[0].name}`: {missing[0].doc}", node.span,
            fix=f"for example `{spec.form}`",
        )  # fmt: skip
    named = options_of(context, tuple(options), spec.options, f"`{spec.name}`")
    values: dict[str, Chosen] = {}
    good = not missing and named is not None
    for name, slot in slots.items():
        value = _of_slot(context, spec, slot, given[name].value) if name in given else ()
        if value is None:
            good = False
        else:
            values[name] = value
    if not good or named is None:
        return None
    defaults = {o.name: o.default for o in spec.options if o.default is not None}
    return LayerCall(spec.name, tuple({**values, **defaults, **dict(named)}.items()))


def _of_slot(context: Context, spec: Form, slot: Slot, node: ast.Expression) -> Chosen | None:
    match slot.kind:
        case "widths":
            return _widths(context, spec, node)
        case "count":
            return _count(context, node, slot.doc, MOST)
        case "layers":
            found = layers_of(context, node.stages if isinstance(node, ast.Pipe) else (node,))
            return None if found is None else tuple(placed.call for placed in found)
    name = name_of(node)
    if name not in slot.forms:
        context.error(
            "E0563", f"`{slot.name}` of `{spec.name}` is one of {', '.join(slot.forms)}", node.span,
            fix=did_you_mean(name, slot.forms) or f"for example `{spec.form}`",
        )  # fmt: skip
        return None
    return chosen(context, slot.forms[name], node)


def _widths(context: Context, spec: Form, node: ast.Expression) -> tuple[int, ...] | None:
    if not isinstance(node, ast.Array):
        context.error(
            "E0563", f"the widths of `{spec.name}` stand in brackets", node.span, fix=f"for example `{spec.form}`"
        )
        return None
    found = [_count(context, item, "a width", WIDEST) for item in node.items]
    known = tuple(width for width in found if width is not None)
    return known if len(known) == len(found) else None


def _count(context: Context, node: ast.Expression, what: str, most: int) -> int | None:
    value = evaluate(context, node)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
        context.error("E0563", f"{what} is an integer from 1 to {most:,}, not {value}", node.span, fix="write `8`")
        return None
    return value


# --- in their places --------------------------------------------------------------------------------------------


def fitting_layers(context: Context, layers: Sequence[Placed], base: str, variable: Variable) -> bool:
    """Whether each layer takes what the one before it gives, from the space of the base to the variable's.

    False after a diagnostic.
    """
    kind = base
    for call, span in layers:
        found = _through(context, call, span, kind, variable)
        if found is None:
            return False
        kind = found
    if kind == variable.space.kind:
        return True
    between = TO.get((kind, variable.space.kind))
    context.error(
        "E0564", f"these layers end with {MEANINGS[kind]}, and `{variable.name}` is {variable.space}", variable.span,
        fix=f"end them with `|> {between}`" if between else f"declare it `{kind}`",
    )  # fmt: skip
    return False


def _through(context: Context, call: LayerCall, span: Span, kind: str, variable: Variable) -> str | None:
    spec = LAYERS[call.name]
    if call.inner:
        start = kind
        for inner in call.inner:
            found = _through(context, inner, span, kind, variable)
            if found is None:
                return None
            kind = found
        if kind != start and dict(call.options)["count"] != 1:
            context.error(
                "E0564", f"these layers take {MEANINGS[start]} and give {MEANINGS[kind]}, so they cannot be repeated", span,
                fix="keep what changes the space outside of `repeat`",
            )  # fmt: skip
            return None
        return kind
    if spec.takes != kind:
        context.error(
            "E0564", f"`{spec.name}` takes {MEANINGS[spec.takes]}, and gets {MEANINGS[kind]}", span,
            fix=f"put `{TO[kind, spec.takes]} |>` before it",
        )  # fmt: skip
        return None
    shape = variable.space.shape
    if spec.rank is not None and len(shape) != spec.rank:
        what = "a number" if not shape else f"an array of {len(shape)} axes"
        context.error(
            "E0564", f"`{spec.name}` moves vectors, and `{variable.name}` is {what}", span,
            fix=f"declare it `{variable.name}: {variable.space.kind}[1]`" if not shape
            else f"declare it as a vector: `{variable.name}: {variable.space.kind}[n]`",
        )  # fmt: skip
        return None
    entries = known_entries(shape)
    if entries is not None and entries < spec.fewest:
        few = too_few(spec, variable.name, entries, span)
        context.error(few.code, few.message, span, fix=few.fix)
        return None
    return spec.gives


def known_entries(shape: Shape) -> int | None:
    """How many numbers an event has; None where that depends on data."""
    total = 1
    for dim in shape:
        if dim.constant is None:
            return None
        total *= dim.constant
    return total


def too_few(spec: Layer, name: str, entries: int, span: Span) -> Diagnostic:
    """What is said where an event has too few entries for a layer."""
    return Diagnostic(
        "E0564", f"`{spec.name}` needs {spec.fewest} entries, and `{name}` has {entries}", span,
        fix="`autoregressive(spline(bins = 8), [])` moves a single entry too",
    )  # fmt: skip
