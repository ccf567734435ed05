"""`scan`, `fold` and `ode`: functions computed turn after turn, or solved for."""

from __future__ import annotations

from collections.abc import Sequence

from energylang.catalog import SOLVERS
from energylang.check.closures import argument, form_of
from energylang.check.constants import evaluate
from energylang.check.context import (
    POISON,
    Closure,
    Context,
    Found,
    Meaning,
    Poison,
    Several,
    Value,
    did_you_mean,
    literal,
)
from energylang.check.expressions import expression, meaning, shaped
from energylang.check.generators import indices
from energylang.check.mapping import plain_space
from energylang.check.registry import Site, function
from energylang.diagnostics import Label
from energylang.ir.nodes import Expr, Local, Loop, Output, Reference, Trajectory
from energylang.ir.types import ANYWHERE, Dim, Kind, Range, Space, Type, hull
from energylang.source import Span
from energylang.syntax import ast

TRUTH = Range(Dim.of(0), Dim.of(1))


@function("scan", "f init xs", "the states after every turn: s becomes f(s, x) for each x of xs", unread="f init xs")
def _scan(context: Context, values: list[Expr], site: Site) -> Meaning:
    return _loop(context, site, "scan")


@function("fold", "f init xs", "the state after the last turn: s becomes f(s, x) for each x of xs", unread="f init xs")
def _fold(context: Context, values: list[Expr], site: Site) -> Meaning:
    return _loop(context, site, "fold")


def _loop(context: Context, site: Site, name: str) -> Meaning:
    function = _function(context, site, name)
    start = meaning(context, site.static["init"], site.scope)
    sequences = _sequences(context, name, site)
    if isinstance(start, Closure):
        return context.error("E0208", f"the state of `{name}` starts with a function", site.static["init"].span)
    if function is None or isinstance(start, Poison) or sequences is None:
        return POISON
    states = start.items if isinstance(start, Several) else (start,)
    count = len(states) + len(sequences)
    if len(function.parameters) != count:
        one = "1 part" if len(states) == 1 else f"{len(states)} parts"
        return _wrong_arity(
            context, name, function, site, count, f"the state has {one}, and it runs over {len(sequences)} sequences"
        )
    elements = [
        _local(p, s.type.kind, s.type.shape[1:], s)
        for p, s in zip(function.parameters[len(states) :], sequences, strict=True)
    ]
    kinds = [s.type.kind for s in states]
    before = len(context.diagnostics.found)
    while True:
        carried = [
            _local(p, k, s.type.shape, None, s.span)
            for p, k, s in zip(function.parameters, kinds, states, strict=False)
        ]
        found = function.run([reference for _, reference in (*carried, *elements)], site.span)
        bodies = _bodies(context, name, found, states, function)
        if bodies is None:
            return POISON
        wider = [max(k, b.type.kind) for k, b in zip(kinds, bodies, strict=True)]
        if wider == kinds:
            break
        # A state that becomes real is real from the start: read the body again, without repeating what it was told.
        kinds = wider
        del context.diagnostics.found[before:]
    length = sequences[0].type.shape[0]
    stacked = name == "scan"
    shapes = [(length, *s.type.shape) if stacked else s.type.shape for s in states]
    types = [Type(kind, shape) for kind, shape in zip(kinds, shapes, strict=True)]
    locals_ = tuple(local for local, _ in (*carried, *elements))
    loop = Loop(types[0], site.span, locals_, (*states, *sequences), tuple(bodies), length, stacked)
    outputs: list[Expr] = []
    for place, (body, state) in enumerate(zip(bodies, states, strict=True)):
        known = body.range if stacked else hull(body.range, state.range)
        outputs.append(Output(types[place], site.span, loop, place, range=known))
    return Several(tuple(outputs), site.span) if isinstance(start, Several) else outputs[0]


def _local(
    name: str, kind: Kind, shape: tuple[Dim, ...], value: Expr | None, span: Span | None = None
) -> tuple[Local, Expr]:
    """A local, and a reference to it. value: the array whose element it is; the range of its elements is known."""
    at = value.span if value is not None else span
    assert at is not None
    local = Local(name, Space(plain_space(kind), shape), at)
    known = value.range if value is not None else TRUTH if kind is Kind.BOOL else ANYWHERE
    return local, Reference(local.space.type, at, local, range=known)


def _function(context: Context, site: Site, name: str) -> Closure | None:
    """The first argument, which must be a function."""
    node = site.static["f"]
    found = argument(context, node, site.scope)
    if isinstance(found, Closure):
        return found
    if not isinstance(found, Poison):
        context.error(
            "E0214", f"`{name}` takes a function first, and this is {found.type if isinstance(found, Expr) else 'a tuple'}", node.span,
            fix=f"write `{name}(fn({'t, y' if name == 'ode' else 's, x'}): …, …)`, or the name of an `fn`",
        )  # fmt: skip
    return None


def _wrong_arity(context: Context, name: str, function: Closure, site: Site, count: int, cause: str) -> Poison:
    given = "1 argument" if len(function.parameters) == 1 else f"{len(function.parameters)} arguments"
    shown = [f"s{i + 1}" if count > 2 else "s" for i in range(count - 1)]
    return context.error(
        "E0214", f"`{name}` calls its function with {count} arguments, and it takes {given}", site.static["f"].span,
        related=[Label(function.span, f"`{form_of(function.name, function.parameters)}`")] if function.span != site.static["f"].span else [],
        cause=cause, fix=f"give it {count} parameters: `fn({', '.join([*shown, 'x'])}): …`" if name != "ode" else "write `fn(t, y): …`",
    )  # fmt: skip


def _sequences(context: Context, name: str, site: Site) -> list[Expr] | None:
    """What a loop runs over: arrays of one length, or the indices below a size. None after a diagnostic."""
    node = site.static["xs"]
    found = meaning(context, node, site.scope)
    if isinstance(found, Poison):
        return None
    parts = found.items if isinstance(found, Several) else (found,)
    sequences: list[Expr] = []
    for part in parts:
        if isinstance(part, Closure):
            context.error("E0208", f"`{name}` runs over a size or an array, and this is a function", node.span)
            return None
        size = part.range.low
        if part.type.shape:
            sequences.append(part)
        elif (
            part.type.kind is Kind.INT
            and isinstance(size, Dim)
            and size == part.range.high
            and (size.constant or 0) >= 0
        ):
            sequences.append(indices(size, part.span))
        else:
            context.error(
                "E0212", f"`{name}` runs over a size or an array, and this is {part.type}", part.span,
                fix="for the numbers 0 to n - 1 write `n`; for several arrays together `(xs, ys)`",
            )  # fmt: skip
            return None
    first = sequences[0]
    for other in sequences[1:]:
        if other.type.shape[0] != first.type.shape[0]:
            context.error(
                "E0301", f"`{name}` runs over arrays of one length, and these have {first.type.shape[0]} and {other.type.shape[0]}",
                node.span, related=[Label(s.span, f"this is {s.type}") for s in (first, other)], fix="cut the longer one: `xs[:n]`",
            )  # fmt: skip
            return None
    return sequences


def _bodies(
    context: Context, name: str, found: Meaning, states: Sequence[Expr], function: Closure
) -> tuple[Expr, ...] | None:
    """The new states, which must have the shapes of the old; None after a diagnostic."""
    if isinstance(found, Poison):
        return None
    items: tuple[Value, ...] = found.items if isinstance(found, Several) else (found,)
    bodies = tuple(i for i in items if isinstance(i, Expr))
    if len(bodies) != len(states) or len(bodies) < len(items):
        shown = "a function" if len(bodies) < len(items) else f"{len(items)} value{'s' if len(items) > 1 else ''}"
        context.error(
            "E0310", f"the state of `{name}` has {len(states)} part{'s' if len(states) > 1 else ''}, and its function gives {shown}",
            found.span, related=[Label(states[0].span, "the state starts here")],
            fix="the function gives the whole next state, in the order of the first one",
        )  # fmt: skip
        return None
    for body, state, parameter in zip(bodies, states, function.parameters, strict=False):
        if body.type.shape != state.type.shape:
            scalar = not state.type.shape
            size = ", ".join(map(str, body.type.shape))
            context.error(
                "E0310", f"the state `{parameter}` of `{name}` starts as {shaped(state)} and becomes {shaped(body)}", body.span,
                related=[Label(state.span, f"it starts as {state.type}")], cause="a state keeps its shape from turn to turn",
                fix=f"start it with `zeros([{size}])`" if scalar else "let the function give a state of the same shape",
            )  # fmt: skip
            return None
    return bodies


# --- differential equations -------------------------------------------------------------------------------------


@function(
    "ode", "f y0 ts t0 rtol atol solver max_steps",
    "the solution of dy/dt = f(t, y) at the times ts, from y0 at t0 (0)", "t0 rtol atol solver max_steps", "f y0 ts",
)  # fmt: skip
def _ode(context: Context, values: list[Expr], site: Site) -> Found:
    function = _function(context, site, "ode")
    start = expression(context, site.static["y0"], site.scope)
    times = expression(context, site.static["ts"], site.scope)
    origin = expression(context, site.static["t0"], site.scope) if "t0" in site.static else literal(0.0, site.span)
    tolerances = [_positive(context, site, n, 1e-6) for n in ("rtol", "atol")]
    steps = _positive(context, site, "max_steps", 4096, whole=True)
    solver = _solver(context, site)
    if function is None or solver is None or steps is None:
        return POISON
    if isinstance(start, Poison) or isinstance(times, Poison) or isinstance(origin, Poison):
        return POISON
    rtol, atol = tolerances
    if rtol is None or atol is None:
        return POISON
    for value, rank, what in (
        (times, 1, "the times of an `ode` are a vector"),
        (origin, 0, "an `ode` starts at one time"),
    ):
        if len(value.type.shape) != rank:
            return context.error(
                "E0303", f"{what}, and this is {value.type}", value.span, fix="write `[t]` for one time" if rank else "",
            )  # fmt: skip
    if len(function.parameters) != 2:
        return _wrong_arity(context, "ode", function, site, 2, "it is given the time and the state")
    time, at = _local(function.parameters[0], Kind.REAL, (), None, times.span)
    state, now = _local(function.parameters[1], Kind.REAL, start.type.shape, None, start.span)
    body = function.run([at, now], site.span)
    if isinstance(body, Poison):
        return POISON
    if not isinstance(body, Expr) or body.type.shape != start.type.shape:
        shown = shaped(body) if isinstance(body, Expr) else "several values"
        return context.error(
            "E0310", f"the state of an `ode` is {shaped(start)}, and its derivative {shown}", body.span,
            related=[Label(start.span, f"it starts as {start.type}")], cause="every part of the state has its own derivative",
            fix="write the derivatives as an array: `[…, …]`",
        )  # fmt: skip
    kind = Type(Kind.REAL, (times.type.shape[0], *start.type.shape))
    return Trajectory(kind, site.span, (time, state), (start, times, origin), body, solver, rtol, atol, int(steps))


def _positive(context: Context, site: Site, name: str, default: float, *, whole: bool = False) -> float | None:
    """An option that is a positive number known when the model is checked; None after a diagnostic."""
    if name not in site.static:
        return default
    node = site.static[name]
    value = evaluate(context, node)
    if value is None:
        return None
    if isinstance(value, bool) or not 0 < value < float("inf") or (whole and not isinstance(value, int)):
        kind = "a positive integer" if whole else "a positive number"
        context.error(
            "E0206", f"`{name}` of `ode` is {kind}, not {value}", node.span, fix=f"its default is {default:g}"
        )
        return None
    return value


def _solver(context: Context, site: Site) -> str | None:
    node = site.static.get("solver")
    if node is None:
        return "tsit5"
    name = node.text if isinstance(node, ast.Name) and node.qualifier is None else node.span.text
    if name in SOLVERS:
        return name
    context.error(
        "E0215", f"there is no solver `{name}`", node.span,
        fix=did_you_mean(name, SOLVERS) or f"the solvers are {', '.join(SOLVERS)}; `kvaerno5` is for stiff equations",
    )  # fmt: skip
    return None
