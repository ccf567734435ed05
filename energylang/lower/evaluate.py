"""The evaluator: expressions of the intermediate representation to arrays, traced by JAX or computed by numpy.

One loop over the operands-first order of the graph; what is shared is computed once; depth is no limit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from energylang.ir.nodes import Apply, DimValue, Expr, Literal, Map, Reference, Symbol
from energylang.ir.operations import OPERATIONS
from energylang.ir.types import Dim, Kind
from energylang.lower.operations import JAX, Backend, compute

Environment = Mapping[Symbol, Any]


def evaluate(
    roots: Sequence[Expr],
    environment: Environment,
    dims: Mapping[str, int],
    backend: Backend = JAX,
    known: Mapping[int, Any] | None = None,
) -> list[Any]:
    """The values of the roots. `environment` has a value for every symbol they mention.

    known: values of nodes, by identity, that need not be computed.
    """
    values: dict[int, Any] = dict(known or {})
    for expr in operands_first(roots, values):
        values[id(expr)] = _value(expr, values, environment, dims, backend)
    return [values[id(root)] for root in roots]


def operands_first(roots: Sequence[Expr], known: Mapping[int, Any] | None = None) -> list[Expr]:
    """The nodes below the roots, operands before what uses them; bodies of maps are left to their map."""
    seen: set[int] = set(known or ())
    order: list[Expr] = []
    stack: list[tuple[Expr, bool]] = [(root, False) for root in reversed(roots)]
    while stack:
        expr, ready = stack.pop()
        if ready:
            order.append(expr)
            continue
        if id(expr) in seen:
            continue
        seen.add(id(expr))
        stack.append((expr, True))
        if isinstance(expr, Apply | Map):
            stack.extend((argument, False) for argument in reversed(expr.arguments))
    return order


def numbers(attributes: tuple[Any, ...], dims: Mapping[str, int]) -> tuple[Any, ...]:
    """Attributes with every dim replaced by its size."""
    return tuple(
        a.evaluate(dims) if isinstance(a, Dim) else numbers(a, dims) if isinstance(a, tuple) else a for a in attributes
    )


def _value(
    expr: Expr, values: dict[int, Any], environment: Environment, dims: Mapping[str, int], backend: Backend
) -> Any:
    match expr:
        case Literal(value=value):
            return value
        case DimValue(dim=dim):
            return dim.evaluate(dims)
        case Reference(symbol=symbol):
            return environment[symbol]
        case Apply(operation="where") if backend.name == "jax" and expr.type.kind is Kind.REAL:
            return _selected(expr, values, environment, dims)
        case Apply(operation=operation, arguments=arguments, attributes=attributes):
            return compute(backend, operation, [values[id(a)] for a in arguments], numbers(attributes, dims))
        case Map():
            return _mapped(expr, [values[id(a)] for a in expr.arguments], environment, dims, backend)
    raise TypeError(f"cannot evaluate {type(expr).__name__}")


_SINGULAR = frozenset(
    ["div", "pow", "log", "log1p", "sqrt", "logit", "asin", "acos", "atan2", "lgamma", "lbeta", "digamma", "logaddexp"]
)
"""Operations whose derivative can be infinite where their value is not selected."""


def _selected(expr: Apply, values: dict[int, Any], environment: Environment, dims: Mapping[str, int]) -> Any:
    """`if`, elementwise, with a derivative of exactly zero through the branch that is not taken.

    A selection alone would multiply an infinite derivative by zero. So what enters a branch keeps its value and loses
    its derivative where the branch is not taken: the selection in front discards what comes back.
    """
    import jax
    import jax.numpy as jnp

    condition, *branches = expr.arguments
    shape = expr.type.shape
    chosen = []
    for branch, taken in zip(branches, (values[id(condition)], jnp.logical_not(values[id(condition)])), strict=True):
        above, entering = _elementwise_above(branch, shape)
        if not any(isinstance(node, Apply) and node.operation in _SINGULAR for node in above):
            chosen.append(values[id(branch)])
            continue
        known = dict(values)
        for node in above:
            del known[id(node)]
        for node in entering:
            value = values[id(node)]
            if node.type.kind is Kind.REAL and node.type.shape == shape:
                known[id(node)] = jnp.where(taken, value, jax.lax.stop_gradient(value))
        chosen.append(evaluate([branch], environment, dims, JAX, known)[0])
    return jnp.where(values[id(condition)], *chosen)


def _elementwise_above(root: Expr, shape: tuple[Dim, ...]) -> tuple[list[Expr], list[Expr]]:
    """The nodes of a branch reached from its root through elementwise operations of its shape, and those they end at."""
    above: dict[int, Expr] = {}
    entering: dict[int, Expr] = {}
    pending = [root]
    while pending:
        node = pending.pop()
        if id(node) in above or id(node) in entering:
            continue
        if isinstance(node, Apply) and OPERATIONS[node.operation].group == "elementwise" and node.type.shape == shape:
            above[id(node)] = node
            pending.extend(node.arguments)
        else:
            entering[id(node)] = node
    return list(above.values()), list(entering.values())


def _mapped(
    expr: Map, arguments: list[Any], environment: Environment, dims: Mapping[str, int], backend: Backend
) -> Any:
    """The body over the batch: arguments broadcast to it, then one vmap over all its axes at once."""
    xp = backend.xp
    batch = tuple(d.evaluate(dims) for d in expr.type.shape)
    stretched = []
    for parameter, argument in zip(expr.parameters, arguments, strict=True):
        event = tuple(d.evaluate(dims) for d in parameter.space.shape)
        stretched.append(xp.broadcast_to(xp.asarray(argument), (*batch, *event)).reshape((-1, *event)))

    def body(*slices: Any) -> Any:
        inner = {**environment, **dict(zip(expr.parameters, slices, strict=True))}
        return xp.asarray(evaluate([expr.body], inner, dims, backend)[0])

    if backend.name == "jax":
        import jax

        return jax.vmap(body)(*stretched).reshape(batch)
    count = stretched[0].shape[0]
    kind = float if expr.type.kind is Kind.REAL else int
    return xp.array([body(*(s[i] for s in stretched)) for i in range(count)], dtype=kind).reshape(batch)
