"""Tasks and methods: names, options and fit, all against the catalog."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from energylang.catalog import (
    RUN_OPTIONS,
    Method,
    MethodCall,
    Traits,
    Value,
    Verb,
    ensemble,
    fitting,
    methods,
    misfit,
    too_few,
)
from energylang.check.constraints import meant, no_energy, unfit, unknown
from energylang.check.context import Context, Poison, did_you_mean
from energylang.check.expressions import expression
from energylang.check.options import options_of
from energylang.check.spaces import within
from energylang.diagnostics import Diagnostic
from energylang.ir.nodes import Constraint, Energy, Expr, Level, Task, flows, symbols
from energylang.ir.nodes import Variable as VariableNode
from energylang.source import Span
from energylang.syntax import ast


def task(
    context: Context, node: ast.Task, energies: dict[str, Energy | None], constraints: Mapping[str, Constraint | None]
) -> Task | None:
    """A checked task; None after diagnostics. Energies that already have diagnostics are None."""
    name = node.energy.text
    if node.energy.qualifier is not None:
        module = context.module_named(node.energy)
        if isinstance(module, Poison):
            return None
        name = module.full(name)
    options = run_options(context, node.verb, node.options)
    energy = energies.get(name)
    if energy is None:
        if name in constraints:
            no_energy(context, node.energy)
        elif name not in energies:
            context.error(
                "E0600",
                f"there is no energy `{name}`",
                node.energy.span,
                fix=did_you_mean(name, energies) or "declare it: `energy …`",
            )
        elif node.method is not None:
            method_call(context, node.method, node.verb, None)
        return None
    method = method_call(context, node.method, node.verb, energy.traits) if node.method is not None else None
    bindings = _bindings(context, node, energy)
    if options is None or bindings is None or (node.method is not None and method is None):
        return None
    if method is not None and "chains" in (given := dict(options)):
        few = too_few(method, int(given["chains"]))
        if few is not None:
            problem, cause, fix = few
            at = next(a.span for a in node.options if a.name is not None and a.name.text == "chains")
            context.error("E0809", problem, at, cause=cause, fix=fix)
            return None
    if node.verb == "optimize" and not _constrained(
        context, node, energy, constraints, dict(options).get("constraints")
    ):
        return None
    return Task(node.verb, energy, bindings, method, options, node.span)


def _constrained(
    context: Context, node: ast.Task, energy: Energy, table: Mapping[str, Constraint | None], names: Value | None
) -> bool:
    """Whether the constraints of a task are there and are about its energy; False after diagnostics."""
    text = None if names is None else str(names)
    span = next((o.value.span for o in node.options if o.name is not None and o.name.text == "constraints"), node.span)
    problems = [
        Diagnostic("E0663", f"there is no constraint `{name}`", span, fix=fix) for name, fix in unknown(table, text)
    ]
    known = {name: constraint for name, constraint in table.items() if constraint is not None}
    problems += [found for c in meant(energy, known, text) if (found := unfit(c, energy))]
    for found in problems:
        context.diagnostics.add(
            found.code, found.message, found.span, related=found.related, cause=found.cause, fix=found.fix
        )
    return not problems


def _bindings(context: Context, node: ast.Task, energy: Energy) -> tuple[tuple[str, Expr], ...] | None:
    places = {c.name: c for c in energy.conditions}
    if node.verb in ("train", "test"):
        places |= {v.name: v for v in energy.variables}
    bound: dict[str, Expr] = {}
    good = True
    for argument in node.bindings:
        value = expression(context, argument.value, context.top)
        if argument.name is None or argument.name.text not in places:
            shown = f"`{argument.name.text}`" if argument.name else "this"
            what = "conditions" if node.verb not in ("train", "test") else "variables or conditions"
            name = argument.name.text if argument.name else ""
            context.error(
                "E0607", f"{shown} is not one of the {what} of `{energy.name}`", argument.span,
                fix=_bindable(energy, name, list(places)),
            )  # fmt: skip
            good = False
        elif (
            isinstance(value, Poison)
            or any(isinstance(s, VariableNode) for s in symbols(value))
            or (isinstance(places[argument.name.text], Level) and not within(context, value))
        ):
            good = False
        elif moved := flows(value):
            context.error(
                "E0560", f"`{argument.name.text}` goes through the flow `{moved[0].name}`", argument.span,
                cause="what a task binds is made of consts and data", fix="call the flow in the energy",
            )  # fmt: skip
            good = False
        else:
            bound[argument.name.text] = value
    return tuple(bound.items()) if good else None


def _bindable(energy: Energy, name: str, places: list[str]) -> str:
    """What `on (…)` could have meant."""
    if not name:
        return "write `on (name = value)`"
    if any(v.name == name for v in energy.variables):
        return f"`{name}` is random; to give it a value, list it behind a bar in the signature: `| {name}: …`"
    known = f"its conditions are {', '.join(places)}" if places else "it has none: remove `on (…)`"
    return did_you_mean(name, places) or known


def run_options(
    context: Context, verb: Verb, arguments: tuple[ast.Argument, ...]
) -> tuple[tuple[str, Any], ...] | None:
    """The run's options (draws, warmup, …) as values; None after diagnostics."""
    return options_of(context, arguments, RUN_OPTIONS[verb], f"`{verb}`")


def method_call(
    context: Context, node: ast.Expression, verb: Verb | None, traits: Traits | None, inside: Method | None = None
) -> MethodCall | None:
    """A method with its options; where traits are known, whether it fits. None after diagnostics.

    inside: the method that this one is an argument of, if any.
    """
    if isinstance(node, ast.Name):
        node = ast.Call(node.span, node, ())
    if not isinstance(node, ast.Call):
        given = isinstance(node, ast.Number | ast.String) and inside is not None and inside.options
        context.error(
            "E0601", "this is not a method", node.span,
            fix=f"options are given by name: `{inside.options[0].name} = {node.span.text}`" if given and inside else "for example `nuts()`",
        )  # fmt: skip
        return None
    table = methods()
    name = node.function.text
    spec = table.get(name)
    if spec is None:
        context.error(
            "E0601", f"there is no method `{name}`", node.function.span,
            fix=did_you_mean(name, table) or f"the methods are {', '.join(_serving(verb, inside))}",
        )  # fmt: skip
        return None
    if verb is not None and verb not in spec.tasks:
        context.error(
            "E0605", f"`{name}` does not do `{verb}`", node.function.span,
            fix=f"methods that do: {', '.join(_serving(verb, inside))}",
        )  # fmt: skip
        return None
    inner: tuple[tuple[str | None, MethodCall], ...] = ()
    arguments = node.arguments
    if spec.combines:
        found = _inner(context, spec, node, verb, traits)
        if found is None:
            return None
        inner, arguments = found
    # What an objective's particles are moved by, a sampler would do.
    reader = partial(_kernel, context, traits=traits, outer=spec)
    options = options_of(context, arguments, spec.options, f"`{name}`", kernel=reader)
    if options is None or not _fits(context, spec, verb, traits, node.span, inside):
        return None
    return MethodCall(name, options, inner)


def _kernel(context: Context, node: ast.Expression, traits: Traits | None, outer: Method) -> MethodCall | None:
    """A method that is the value of an option of another; None after diagnostics."""
    call = method_call(context, node, "sample", traits, outer)
    return call if call is not None and _nests(context, outer, call, node.span) else None


def _serving(verb: Verb | None, inside: Method | None) -> list[str]:
    """The methods that do a task, or can stand inside of another."""
    return [name for name, spec in methods().items() if (verb is None or verb in spec.tasks) and _may(spec, inside)]


def _may(spec: Method, inside: Method | None) -> bool:
    """Whether a method may stand where it would be an argument of another."""
    if inside is not None and inside.protocol == "objective":
        return spec.protocol == "kernel"
    return inside is None or (
        spec.protocol == "kernel" and spec.nests and (spec.chains is None or "inner" not in inside.needs)
    )


def _fits(
    context: Context, spec: Method, verb: Verb | None, traits: Traits | None, span: Span, inside: Method | None
) -> bool:
    if traits is None:
        return True
    reason = misfit(spec, traits)
    if reason is None:
        return True
    table = methods()
    fits = [m for m in fitting(verb or "sample", traits) if m != "auto" and _may(table[m], inside)]
    listed = [
        example(table[m], traits) if table[m].combines else m
        for m in fits
        if m != "blocks" or traits.continuous + traits.discrete + traits.counts > 1
    ]
    context.error(
        "E0604", f"`{spec.name}` does not fit this energy: {reason}", span,
        fix=f"methods that fit: {', '.join(listed)}" if fits else "no method fits it yet",
    )  # fmt: skip
    return False


def _inner(
    context: Context, spec: Method, node: ast.Call, verb: Verb | None, traits: Traits | None
) -> tuple[tuple[tuple[str | None, MethodCall], ...], tuple[ast.Argument, ...]] | None:
    names = {o.name for o in spec.options}
    alone = "inner" in spec.needs
    found: list[tuple[str | None, MethodCall]] = []
    rest: list[ast.Argument] = []
    good = True
    for argument in node.arguments:
        if argument.name is not None and argument.name.text in names:
            rest.append(argument)
            continue
        # What anneals runs a sampler.
        own = "sample" if spec.protocol == "search" else verb
        call = method_call(context, argument.value, own, traits if alone else None, spec)
        variable = argument.name.text if argument.name else None
        if call is not None and not _nests(context, spec, call, argument.value.span):
            good = False
        if alone and variable is not None:
            context.error(
                "E0602", f"`{spec.name}` has no option `{variable}`", argument.span,
                cause="the method inside moves every variable, so it is bound to none",
                fix=did_you_mean(variable, names) or f"for example `{example(spec, traits)}`",
            )  # fmt: skip
            good = False
        elif traits is not None and variable is not None and variable not in traits.variables:
            context.error(
                "E0607", f"`{variable}` is not a variable of the energy", argument.span,
                fix=did_you_mean(variable, traits.variables) or f"its variables are {', '.join(traits.variables)}",
            )  # fmt: skip
            good = False
        if call is None:
            good = False
        else:
            found.append((variable, call))
    if good and len(found) < 2 and "blocks" in spec.needs:
        context.error(
            "E0206",
            f"`{spec.name}` combines at least two methods",
            node.span,
            fix=f"for example `{example(spec, traits)}`",
        )
        good = False
    if good and alone and len(found) != 1:
        what = "one method, and here are" if found else "one method, and here is"
        context.error(
            "E0206", f"`{spec.name}` takes {what} {len(found) or 'none'}", node.span,
            cause="several are put together by `blocks`" if found else "", fix=f"for example `{example(spec, traits)}`",
        )  # fmt: skip
        good = False
    return (tuple(found), tuple(rest)) if good else None


def _nests(context: Context, outer: Method, call: MethodCall, span: Span) -> bool:
    """Whether a method can stand inside of another; what is wrong is reported."""
    spec = methods()[call.name]
    together = ensemble(call) if "inner" in outer.needs else None
    if together is not None:
        context.error(
            "E0811", f"`{outer.name}` takes a method of one chain, and the chains of `{together.name}` learn together", span,
            cause=f"the chains of `{together.name}` share one tuning, and the copies of `{outer.name}` each learn their own",
            fix="take a method whose chains are independent: `nuts()`",
        )  # fmt: skip
        return False
    if spec.protocol == "kernel" and (spec.nests or outer.protocol == "objective"):
        return True
    around = spec.protocol == "kernel" and spec.combines
    cause = "it makes draws, and does not move a point"
    if spec.protocol == "kernel":
        cause = (
            "it keeps copies of every variable" if around else "it moves a whole energy, at the temperature that it has"
        )
    context.error(
        "E0658", f"`{call.name}` cannot stand inside `{outer.name}`", span, cause=cause,
        fix=f"put `{outer.name}` inside it: `{call.name}({outer.name}(…))`" if around and outer.nests and outer.protocol == "kernel"
        else "name a method that moves a point, such as `gibbs()`, `gwg()` or `nuts()`",
    )  # fmt: skip
    return False


def example(spec: Method, traits: Traits | None) -> str:
    """A combining method as it may be written for an energy."""
    if "inner" not in spec.needs:
        return f"{spec.name}(gibbs(), nuts())"
    if traits is None or not traits.discrete:
        return f"{spec.name}({'metropolis' if traits and traits.counts else 'nuts'}())"
    return f"{spec.name}({'blocks(gibbs(), nuts())' if traits.continuous else 'gibbs()'})"
