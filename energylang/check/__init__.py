"""The checker: AST → IR. Reports everything that is wrong in one run; imports neither JAX nor numpy."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from energylang.check import constraints, nets, schedules
from energylang.check.bounds import in_turn
from energylang.check.constants import const, evaluate
from energylang.check.context import POISON, Closure, Const, Context, Found, Meaning, Poison, Several
from energylang.check.defaults import fitting_default
from energylang.check.energies import checked, space_like
from energylang.check.expressions import meaning, taken_apart
from energylang.check.lints import lint, without_allowed
from energylang.check.modules import new_context, placed
from energylang.check.recorder import Recorder, is_known, read
from energylang.check.spaces import require_solvable, space_of
from energylang.check.tasks import task
from energylang.diagnostics import Diagnostic, Diagnostics
from energylang.ir.nodes import Data, ExternNet, Let, Local, Param, Program, Reference, Variable, flows, symbols
from energylang.ir.types import Dim, Range
from energylang.ir.verify import verify
from energylang.source import Source
from energylang.syntax import ast
from energylang.syntax.parser import parse

FOLLOWING = frozenset(
    {"E0201", "E0202", "E0208", "E0305", "E0504", "E0600", "E0607", "L0102", "L0104", "L0105", "L0106"}
)
"""What can be said of names only because the text that declares them could not be read."""


def check_source(
    source: Source,
    diagnostics: Diagnostics,
    overrides: Mapping[str, Const] | None = None,
    recorder: Recorder | None = None,
    folder: Path | None = None,
) -> tuple[ast.Module, Program | None]:
    """Parse and check a text: everything that is wrong, of either kind, in one run.

    What could be read of a text with syntax errors is checked too, but for what may only follow from them.
    """
    module = parse(source, diagnostics)
    if not diagnostics.failed:
        return module, check(module, diagnostics, overrides, recorder, folder)
    behind = Diagnostics()
    check(module, behind, overrides, recorder, folder)
    diagnostics.found += [d for d in behind.found if d.code not in FOLLOWING or _nowhere_declared(d, source)]
    return module, None


def _nowhere_declared(diagnostic: Diagnostic, source: Source) -> bool:
    """Whether a name is missing from a text as a whole: nothing in it looks like its declaration."""
    if diagnostic.code not in ("E0201", "E0202") or diagnostic.span is None:
        return False
    name = re.escape(diagnostic.span.text)
    return (
        re.search(
            rf"\b{name}\s*[:=]|\b(fn|def|func|function|net|distribution|energy|score|flow)\s+{name}\b", source.text
        )
        is None
    )


def check(
    module: ast.Module,
    diagnostics: Diagnostics,
    overrides: Mapping[str, Const] | None = None,
    recorder: Recorder | None = None,
    folder: Path | None = None,
) -> Program | None:
    """The checked program, or None where there are errors (all of them are in `diagnostics`).

    `overrides` are values of consts given from outside (`--set beta=0.4`). `recorder` is told what each name means, and
    gets no program: it may know some of it already. `folder` is where the model's own modules lie.
    """
    modules: list[Context] = []
    before = len(diagnostics.found)
    try:
        context, modules = new_context(module, diagnostics, overrides, folder)
        context.recorder = recorder
        if recorder is not None:
            imported = {name: c.module for name, c in context.modules.items() if isinstance(c, Context)}
            recorder.begins(module, imported, [m.module.source for m in modules])
        program = _check(context, modules)
        if recorder is not None:
            recorder.ends(context.shared.calls)
        if not diagnostics.failed:
            lint(module, diagnostics)
        found = without_allowed(diagnostics.found[before:], [m.module for m in modules])
        diagnostics.found[before:] = placed(found, modules)
        return program
    except RecursionError:
        diagnostics.add(
            "E0209", "the declarations of this model lead too deeply into each other",
            cause="each is read where another first needs it",
            fix="declare what others need before them, and nest expressions less",
        )  # fmt: skip
        return None
    finally:
        # The ways back to contexts: without them all of this goes now, not when cycles are collected, which takes an
        # editor longer than a look.
        for each in modules:
            each.shared.homes.clear()
            each.imported = None


def _check(context: Context, modules: list[Context]) -> Program | None:
    diagnostics = context.diagnostics
    for module in modules:
        _declarations(module)
    energies = {module.full(name): found for module in modules for name, found in module.energies.items()}
    required = {module.full(name): found for module in modules for name, found in module.constraints.items()}
    constraints.lint_unused(context, required, energies)
    tasks = [
        read(context, d, partial(task, context, d, energies, required))
        for d in context.module.declarations
        if isinstance(d, ast.Task) and not is_known(context, d)
    ]
    if diagnostics.failed or context.recorder is not None:
        return None
    known = {name: found for name, found in energies.items() if found is not None}
    own = {name: found for name, found in known.items() if name in context.energies}
    return verify(
        Program(
            context.module.source,
            {m.full(name): value for m in modules for name, value in m.consts.items()},
            tuple(data for m in modules for data in m.data.values()),
            tuple(let for m in modules for let in m.lets.values()),
            tuple(param for m in modules for param in m.params.values()),
            own,
            tuple(t for t in tasks if t is not None),
            {name: found for name, found in known.items() if name not in own},
            tuple(m.module.source for m in modules),
            tuple(net for m in modules for net in m.nets.values() if isinstance(net, ExternNet)),
            tuple(found for m in modules if m.outer is not None for found in m.distributions),
            {name: found for name, found in required.items() if found is not None},
        )
    )


def _declarations(context: Context) -> None:
    """Everything that a module declares, but its tasks: these are for those who run it itself."""
    _order_free(context)
    _data(context)
    for name, declaration in context.values.items():
        if isinstance(declaration, ast.Const):
            const(context, name)
    _params(context)
    for declaration in context.module.declarations:
        if isinstance(declaration, ast.Net):
            nets.declare(context, declaration)
        elif isinstance(declaration, ast.Schedule):
            schedules.declare(context, declaration)
    _lets(context)
    for declaration in context.module.declarations:
        if isinstance(declaration, ast.Energy) and declaration.kind == "constraint":
            if is_known(context, declaration):
                context.constraints[declaration.name.text] = None
            else:
                found = read(context, declaration, partial(constraints.declared, context, declaration))
                context.constraints[declaration.name.text] = found
        elif isinstance(declaration, ast.Energy):
            if is_known(context, declaration):
                if declaration.kind in ("energy", "flow"):
                    context.energies[declaration.name.text] = None
                continue
            found = checked(context, declaration)
            if found is None or declaration.kind in ("energy", "flow"):
                context.energies[declaration.name.text] = found
            else:
                context.distributions.append(found)
        elif isinstance(declaration, ast.Fn) and not is_known(context, declaration):
            read(context, declaration, partial(_fn, context, declaration))


def _data(context: Context) -> None:
    declarations = [d for d in context.module.declarations if isinstance(d, ast.Data)]
    for declaration in declarations:
        # A bound may use the sizes of its own array, and other data wherever they stand.
        context.solvable.update(context.full(d.text) for d in declaration.type.dims if isinstance(d, ast.Name))
        context.top.entries[declaration.name.text] = in_turn(
            context, declaration, partial(_datum, context, declaration)
        )
    for declaration in declarations:
        context.top.find(declaration.name.text)
    context.data = {d.name.text: context.data[d.name.text] for d in declarations if d.name.text in context.data}
    for symbol in context.data.values():
        require_solvable(context, symbol.space.shape, symbol.space.cardinality, symbol.span, symbol.name, frozenset())


def _datum(context: Context, declaration: ast.Data) -> Found:
    name = declaration.name.text
    space = space_of(context, declaration.type, context.top, data=True)
    if space is None:
        return POISON
    outside = [s.name for s in symbols(*space.bounds) if isinstance(s, Param)]
    if outside:
        return context.error(
            "E0503", f"a bound of `{name}` uses `{outside[0]}`, which is learned, and data are there before", declaration.type.span,
            fix="bound data by consts and data",
        )  # fmt: skip
    default = None
    if declaration.default is not None:
        default = _default(context, declaration.default, len(space.shape))
        if default is not None and not fitting_default(context, declaration.name, space, declaration.default):
            default = None
    file = context.folder + declaration.source.value if declaration.source else None
    symbol = Data(context.full(name), space, declaration.name.span, default, file)
    context.data[name] = symbol
    found = space.range
    if space.kind == "int":
        size = Dim.of(context.full(name))
        found = Range(size, size) if not space.shape else space.range
    reference = Reference(space.type, declaration.name.span, symbol, range=found)
    return context.record(declaration.name.span, reference)


def _default(context: Context, node: ast.Expression, rank: int) -> Any:
    """Nested lists of numbers; None after a diagnostic."""
    if isinstance(node, ast.Array):
        items = [_default(context, i, rank - 1) for i in node.items]
        return None if any(i is None for i in items) else items
    return evaluate(context, node)


def _params(context: Context) -> None:
    declarations = [d for d in context.module.declarations if isinstance(d, ast.Param)]
    for name in [d.name.text for d in declarations]:
        context.top.find(name)
    context.params = {d.name.text: context.params[d.name.text] for d in declarations if d.name.text in context.params}


def _param(context: Context, declaration: ast.Param) -> Found:
    name = declaration.name.text
    space = space_of(context, declaration.type, context.top)
    if space is not None and space.info.discrete:
        context.error(
            "E0404",
            f"a param is learned by gradients, and `{space.kind}` is discrete",
            declaration.type.span,
            fix="use a real space",
        )
        space = None
    start = _start(context, declaration.start) if declaration.start is not None else None
    value = None
    if declaration.value is not None:
        value = _default(context, declaration.value, len(space.shape) if space else 0)
    if space is None or not require_solvable(context, space.shape, None, declaration.name.span, name, frozenset()):
        return POISON
    symbol = Param(context.full(name), space, declaration.name.span, value, start)
    context.params[name] = symbol
    return context.record(
        declaration.name.span, Reference(space.type, declaration.name.span, symbol, range=space.range)
    )


def _start(context: Context, node: ast.Expression) -> tuple[str, float, float] | None:
    """`from normal(mean, scale)` or `from uniform(low, high)`."""
    if isinstance(node, ast.Call) and node.function.text in ("normal", "uniform") and len(node.arguments) == 2:
        first, second = (evaluate(context, a.value) for a in node.arguments)
        return None if first is None or second is None else (node.function.text, float(first), float(second))
    context.error(
        "E0502",
        "a param starts from `normal(mean, scale)` or `uniform(low, high)`",
        node.span,
        fix="or from a value: `param b: real = 0`",
    )
    return None


def _order_free(context: Context) -> None:
    """Lets and params stand in the scope before any is read: bounds may use them wherever they are declared."""
    for declaration in context.module.declarations:
        if isinstance(declaration, ast.Param):
            compute_param = in_turn(context, declaration, partial(_param, context, declaration))
            context.top.entries[declaration.name.text] = compute_param
        if not isinstance(declaration, ast.Let):
            continue
        found: list[Sequence[Meaning]] = []

        def compute(place: int, declaration: ast.Let = declaration, found: list[Sequence[Meaning]] = found) -> Meaning:
            if not found:
                found.append(_let(context, declaration))
            return found[0][place]

        for place, name in enumerate(declaration.names):
            context.top.entries[name.text] = partial(compute, place)


def _lets(context: Context) -> None:
    for declaration in context.module.declarations:
        if isinstance(declaration, ast.Let):
            for name in declaration.names:
                context.top.find(name.text)


def _let(context: Context, declaration: ast.Let) -> Sequence[Meaning]:
    """What each name of a declaration stands for."""
    name = declaration.names[0]
    key = f"let {context.full(name.text)}"
    if key in context.expanding:
        context.error(
            "E0204", f"`{name.text}` depends on itself", name.span, fix="give one of the `let`s a value of its own"
        )
        return [POISON] * len(declaration.names)
    context.expanding.append(key)
    try:
        value = meaning(context, declaration.value, context.top)
    finally:
        context.expanding.pop()
    values = taken_apart(context, declaration.names, value, declaration.value.span)
    return [_named(context, declaration, *pair) for pair in zip(declaration.names, values, strict=True)]


def _named(context: Context, declaration: ast.Let, name: ast.Identifier, value: Meaning) -> Found:
    if isinstance(value, Several | Closure):
        several = isinstance(value, Several)
        return context.error(
            "E0210" if several else "E0208", f"`{name.text}` would stand for {'several values' if several else 'a function'}",
            declaration.value.span,
            fix="give each a name: `let (a, b) = …`" if several else f"declare it: `fn {name.text}({', '.join(value.parameters)}) = …`",
        )  # fmt: skip
    if isinstance(value, Poison):
        return POISON
    outside = [s.name for s in symbols(value) if isinstance(s, Param | Variable)]
    if outside:
        return context.error(
            "E0503", f"`{name.text}` uses `{outside[0]}`, and a top-level `let` is computed from data alone", declaration.value.span,
            fix="move the `let` into the energy",
        )  # fmt: skip
    if any(flow.learns for flow in flows(value)):
        return context.error(
            "E0503", f"`{name.text}` uses a flow, which is learned, and a top-level `let` is computed from data alone",
            declaration.value.span, fix="move the `let` into the energy",
        )  # fmt: skip
    symbol = Let(context.full(name.text), space_like(value), name.span, value)
    context.lets[name.text] = symbol
    return context.record(name.span, Reference(value.type, name.span, symbol, range=value.range))


def _fn(context: Context, declaration: ast.Fn) -> Meaning | None:
    """A function that nothing calls is still checked where its parameters are typed; else None."""
    scope = context.top.child()
    if any(p.type is None for p in declaration.parameters):
        return None
    for parameter in declaration.parameters:
        assert parameter.type is not None
        space = space_of(context, parameter.type, scope, data=True)
        if space is None:
            return None
        scope.dims |= context.own_dims(n for d in space.shape for n in d.names if n not in context.solvable)
        symbol = Local(parameter.name.text, space, parameter.name.span)
        reference = Reference(space.type, parameter.name.span, symbol, range=space.range)
        scope.entries[parameter.name.text] = context.record(parameter.name.span, reference)
    return meaning(context, declaration.value, scope)
