"""How bodies are computed for many values of their parameters: mapped over a batch, carried along a loop, solved, inverted.

What does not depend on the parameters is computed before (`energylang.ir.bodies.invariants`) and found in `values`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import Any

import numpy as np

from energylang.ir.bodies import invariants
from energylang.ir.nodes import Binder, Loop, Map, Quantile, Trajectory
from energylang.ir.types import Dim, Kind
from energylang.lower.operations import Backend

Compute = Callable[..., list[Any]]
"""`evaluate`, or another evaluator with the same arguments."""


def compute_body(
    expr: Binder, values: Mapping[int, Any], environment: Mapping[Any, Any], dims: Mapping[str, int], backend: Backend,
    compute: Compute, relaxed: bool = False,
) -> Any:  # fmt: skip
    """The value of a node with bodies; of a `Loop` the tuple of its values.

    values: those of its arguments and of its invariants, by identity. relaxed: whether values of integers may lie
    between them, so that a loop carries all of its states as reals.
    """
    known = {id(e): values[id(e)] for e in invariants(expr)}
    arguments = [values[id(a)] for a in expr.arguments]

    def body(*locals_: Any) -> list[Any]:
        inner = {**environment, **dict(zip(expr.parameters, locals_, strict=True))}
        return compute(expr.bodies, inner, dims, backend, known)

    if isinstance(expr, Map):
        return _mapped(expr, arguments, body, dims, backend)
    if isinstance(expr, Loop):
        kinds = [Kind.REAL] * len(expr.bodies) if relaxed else kinds_of(expr)
        return _looped(expr, kinds, arguments, body, dims, backend)
    if isinstance(expr, Quantile):
        from energylang.lower.quantile import quantile

        return quantile(body, *arguments, shape=_sizes(expr.type.shape, dims), integers=expr.type.kind is Kind.INT)
    return _solved(expr, arguments, known, environment, dims, backend, compute)


def _sizes(shape: tuple[Dim, ...], dims: Mapping[str, int]) -> tuple[int, ...]:
    return tuple(d.evaluate(dims) for d in shape)


def _mapped(
    expr: Map, arguments: list[Any], body: Callable[..., list[Any]], dims: Mapping[str, int], backend: Backend
) -> Any:
    """Arguments broadcast to the batch, then one vmap over all its axes at once."""
    xp = backend.xp
    shape = _sizes(expr.type.shape, dims)
    batch = shape[: expr.batch_rank]
    count = prod(batch)

    def stretched(value: Any, place: int) -> Any:
        event = _sizes(expr.parameters[place].space.shape, dims)
        # Relaxed values have an axis more than their expression.
        event += np.shape(value)[len(expr.arguments[place].type.shape) :]
        return xp.broadcast_to(xp.asarray(value), (*batch, *event)).reshape((count, *event))

    if backend.name == "jax":
        import jax

        wide = [jax.tree.map(lambda leaf, i=i: stretched(leaf, i), a) for i, a in enumerate(arguments)]
        return jax.vmap(lambda *slices: xp.asarray(body(*slices)[0]))(*wide).reshape(shape)
    wide = [stretched(a, i) for i, a in enumerate(arguments)]
    kind = float if expr.type.kind is Kind.REAL else int
    return xp.array([body(*(w[i] for w in wide))[0] for i in range(count)], dtype=kind).reshape(shape)


def kinds_of(loop: Loop) -> tuple[Kind, ...]:
    """The kinds that the states are carried in: a body that had to become real makes its state real."""
    return tuple(max(p.space.type.kind, b.type.kind) for p, b in zip(loop.parameters, loop.bodies, strict=False))


def _looped(
    expr: Loop, kinds: Sequence[Kind], arguments: list[Any], body: Callable[..., list[Any]], dims: Mapping[str, int],
    backend: Backend,
) -> tuple[Any, ...]:  # fmt: skip
    count = len(expr.bodies)
    length = expr.length.evaluate(dims)
    if backend.name == "numpy":
        types = [{Kind.REAL: float, Kind.INT: int, Kind.BOOL: bool}[kind] for kind in kinds]
        states = [np.asarray(a, t) for a, t in zip(arguments[:count], types, strict=True)]
        after = [np.empty((length, *s.shape), s.dtype) for s in states]
        for number in range(length):
            found = body(*states, *(np.asarray(a)[number] for a in arguments[count:]))
            states = [np.asarray(f, t) for f, t in zip(found, types, strict=True)]
            for place, state in enumerate(states):
                after[place][number] = state
        return tuple(after if expr.stacked else states)
    import jax
    import jax.numpy as jnp

    types = [{Kind.REAL: jnp.result_type(float), Kind.INT: jnp.int32, Kind.BOOL: jnp.bool_}[kind] for kind in kinds]

    def cast(values: list[Any]) -> tuple[Any, ...]:
        return tuple(jnp.asarray(v, t) for v, t in zip(values, types, strict=True))

    def turn(states: tuple[Any, ...], elements: tuple[Any, ...]) -> tuple[tuple[Any, ...], Any]:
        found = cast(body(*states, *elements))
        return found, found if expr.stacked else None

    last, after = jax.lax.scan(turn, cast(arguments[:count]), tuple(arguments[count:]), length=length)
    return tuple(after if expr.stacked else last)


def _solved(
    expr: Trajectory, arguments: list[Any], known: Mapping[int, Any], environment: Mapping[Any, Any],
    dims: Mapping[str, int], backend: Backend, compute: Compute,
) -> Any:  # fmt: skip
    """The solver gets what the derivative depends on as a value of its own: its derivatives are taken implicitly."""

    def derivative(time: Any, state: Any, known: Mapping[int, Any]) -> Any:
        inner = {**environment, **dict(zip(expr.parameters, (time, state), strict=True))}
        found = backend.xp.asarray(compute(expr.bodies, inner, dims, backend, known)[0])
        return found.astype(state.dtype)

    if backend.name == "numpy":
        from energylang.lower.ode import solve
    else:
        from energylang.lower._diffrax import solve
    start, times, origin = arguments
    return solve(expr, derivative, start, times, origin, dict(known))
