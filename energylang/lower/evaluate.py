"""The evaluator: expressions of the intermediate representation to arrays, traced by JAX or computed by numpy.

One loop over the operands-first order of the graph; what is shared is computed once; depth is no limit.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, TypeGuard

from energylang.ir.bodies import invariants
from energylang.ir.nodes import (
    Apply,
    Binder,
    DimValue,
    Expr,
    Extern,
    Literal,
    Loop,
    Map,
    Marginal,
    Output,
    Quantile,
    Random,
    Recovered,
    Reference,
    Trajectory,
    Transport,
)
from energylang.ir.operations import OPERATIONS
from energylang.ir.types import Dim, Kind
from energylang.lower.bodies import compute_body
from energylang.lower.externs import called
from energylang.lower.operations import JAX, Backend, compute

Environment = Mapping[Any, Any]
"""Values by `Symbol`; for every `Marginal` the plan by which it is computed (`energylang.lower.elimination`); keys of what
is drawn, by its node (`Random`, `Recovered`)."""

TOGETHER = "rows together"
"""In an environment: whether rows that are mapped over go through flows as one batch. What comes out can be differentiated,
but its derivative cannot be mapped."""


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
    selections = _Selections(roots, values) if backend.name == "jax" else None
    for expr in operands_first(roots, values, selections):
        if selections is not None and selections.guarded(expr):
            values[id(expr)] = selections.value(expr, values, environment, dims)
        else:
            values[id(expr)] = _value(expr, values, environment, dims, backend)
    return [values[id(root)] for root in roots]


def operands_first(
    roots: Sequence[Expr], known: Mapping[int, Any] | None = None, selections: _Selections | None = None
) -> list[Expr]:
    """The nodes below the roots, operands before what uses them; bodies are left to their node."""
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
        if selections is not None and selections.guarded(expr):
            stack.extend((operand, False) for operand in reversed(selections.operands(expr)))
        else:
            stack.extend((operand, False) for operand in reversed(operands(expr)))
    return order


def operands(expr: Expr) -> tuple[Expr, ...]:
    """What must be known before a node; of one with bodies also what they compute only once."""
    if isinstance(expr, Apply | Random | Extern | Transport):
        return expr.arguments
    if isinstance(expr, Binder):
        return (*expr.arguments, *invariants(expr))
    return (expr.source,) if isinstance(expr, Output) else ()


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
        case Apply(operation=operation, arguments=arguments, attributes=attributes):
            return compute(backend, operation, [values[id(a)] for a in arguments], numbers(attributes, dims))
        case Marginal():
            return environment[expr].energy(environment, backend)
        case Random():
            return _drawn(expr, [values[id(a)] for a in expr.arguments], environment[expr], dims)
        case Recovered(marginal=marginal, variable=variable):
            return environment[marginal].draw(environment, backend, environment[expr])[variable]
        case Extern():
            return called(expr, [values[id(a)] for a in expr.arguments], dims, backend)
        case Transport():
            return transported(expr, [values[id(a)] for a in expr.arguments], environment, dims, backend)
        case Output(source=source, place=place):
            return values[id(source)][place]
        case Map() | Loop() | Trajectory() | Quantile():
            return compute_body(expr, values, environment, dims, backend, evaluate)
    raise TypeError(f"cannot evaluate {type(expr).__name__}")


SINGULAR = frozenset(
    [
        "div",
        "pow",
        "log",
        "log1p",
        "sqrt",
        "logit",
        "asin",
        "acos",
        "atan2",
        "lgamma",
        "lbeta",
        "digamma",
        "logaddexp",
        "trigamma",
        "acosh",
        "atanh",
        "log2",
        "log10",
        "cbrt",
        "log1m_exp",
        "std_normal_quantile",
        "erfinv",
        "xlogy",
        "xlog1py",
        "log_bessel_i1",
        "gammainc",
        "gammaincc",
        "kl_div",
    ]
)
"""Operations whose derivative can be infinite where their value is not selected."""


_DEEPEST = 50
"""Selections inside each other beyond which a derivative is no longer guarded."""


class _Selections:
    """`if`, elementwise, with a derivative of exactly zero through the branch that is not taken.

    A selection alone would multiply an infinite derivative by zero. So what enters a branch keeps its value and loses
    its derivative where the branch is not taken: the selection in front discards what comes back. A branch reaches
    down through elementwise operations, and through the branches of selections that nothing else uses; its nodes are
    computed once for every branch that they are in, so a chain of `else if` costs what it is long.
    """

    def __init__(self, roots: Sequence[Expr], known: Mapping[int, Any]):
        self._known = frozenset(known)
        self._uses: Counter[int] = Counter()
        self._entering: dict[int, list[Expr]] = {}
        order = operands_first(roots, known)
        if any(_selects(node) for node in order):
            self._uses.update(id(a) for node in order for a in operands(node))
            for node in order:
                if _selects(node):
                    entering, singular = self._reach(node)
                    if singular:
                        self._entering[id(node)] = entering

    def guarded(self, expr: Expr) -> bool:
        return id(expr) in self._entering

    def operands(self, expr: Expr) -> list[Expr]:
        """What must be known before the value of a guarded selection."""
        return self._entering[id(expr)]

    def _inside(self, node: Expr) -> bool:
        """Whether a node belongs to the branches that reach it, and does not merely enter them."""
        if id(node) in self._known or not isinstance(node, Apply):
            return False
        if node.operation == "where":
            return self._uses[id(node)] == 1
        return OPERATIONS[node.operation].group == "elementwise"

    def _reach(self, selection: Apply) -> tuple[list[Expr], bool]:
        """What enters the condition and the branches of a selection; whether a derivative inside can be infinite."""
        entering: dict[int, Expr] = {}
        depths: dict[int, int] = {}
        singular = False
        pending = [(argument, 1) for argument in selection.arguments]
        while pending:
            node, depth = pending.pop()
            if id(node) in depths or id(node) in entering:
                continue
            if not self._inside(node) or depth > _DEEPEST:
                entering[id(node)] = node
                continue
            assert isinstance(node, Apply)
            depths[id(node)] = depth
            singular = singular or node.operation in SINGULAR
            pending.extend((argument, depth + (node.operation == "where")) for argument in node.arguments)
        return list(entering.values()), singular

    def value(self, expr: Expr, values: Mapping[int, Any], environment: Environment, dims: Mapping[str, int]) -> Any:
        """The value of a guarded selection; `values` has what enters it."""
        assert isinstance(expr, Apply)
        return self._branch(expr, None, values, environment, dims)

    def _branch(
        self, root: Expr, taken: Any, values: Mapping[int, Any], environment: Environment, dims: Mapping[str, int]
    ) -> Any:
        """A node's value, what enters it without derivative where the mask `taken` is false."""
        found: dict[int, Any] = {}
        stack: list[tuple[Expr, bool]] = [(root, False)]
        while stack:
            node, ready = stack.pop()
            if id(node) in found:
                continue
            if id(node) in values:
                found[id(node)] = values[id(node)] if taken is None else _guarded(values[id(node)], taken)
                continue
            assert isinstance(node, Apply)
            operands = node.arguments[:1] if node.operation == "where" else node.arguments
            if not ready:
                stack.append((node, True))
                stack.extend((operand, False) for operand in operands)
            elif node.operation == "where":
                found[id(node)] = self._choice(node, found[id(operands[0])], taken, values, environment, dims)
            else:
                found[id(node)] = _value(node, found, environment, dims, JAX)
        return found[id(root)]

    def _choice(
        self, node: Apply, condition: Any, taken: Any, values: Mapping[int, Any], environment: Environment,
        dims: Mapping[str, int],
    ) -> Any:  # fmt: skip
        import jax.numpy as jnp

        chosen = []
        for branch, here in zip(node.arguments[1:], (condition, jnp.logical_not(condition)), strict=True):
            mask = here if taken is None else jnp.logical_and(taken, here)
            chosen.append(self._branch(branch, mask, values, environment, dims))
        return jnp.where(condition, *chosen)


def _selects(expr: Expr) -> TypeGuard[Apply]:
    return isinstance(expr, Apply) and expr.operation == "where" and expr.type.kind is Kind.REAL


def _guarded(value: Any, taken: Any) -> Any:
    """A real value without its derivative where a mask is false; as wide as both, for one value enters many elements."""
    import jax
    import jax.numpy as jnp

    if not jnp.issubdtype(jnp.result_type(value), jnp.floating):
        return value
    return jnp.where(taken, value, jax.lax.stop_gradient(value))


def transported(
    expr: Transport, arguments: list[Any], environment: Environment, dims: Mapping[str, int], backend: Backend
) -> tuple[Any, Any]:
    """As `energylang.lower.flows.chain.transported`, which only models with flows import."""
    from energylang.lower.flows import chain

    return chain.transported(expr, arguments, dims, backend, together=bool(environment.get(TOGETHER)))


def _drawn(expr: Random, arguments: list[Any], key: Any, dims: Mapping[str, int]) -> Any:
    from energylang.lower.samplers import draw

    shape = tuple(d.evaluate(dims) for d in expr.type.shape)
    given = dict(zip(expr.names, arguments, strict=True))
    return draw(expr.distribution, key, given, shape, expr.event_rank)
