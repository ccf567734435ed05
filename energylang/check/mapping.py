"""A body for every element of a batch: whole arrays in place of its locals where that is possible, a `Map` otherwise.

Bodies of distributions and of comprehensions are read once, over locals that have the shape of one element. Lifted, a
node that depends on a batched local has the axes of the batch before its own; several axes of a batch, and batches of
fewer axes, broadcast against each other from the last.
"""

from __future__ import annotations

from collections.abc import Sequence

from energylang.check.context import POISON, Context, Found, Poison
from energylang.check.expressions import apply
from energylang.ir.nodes import Apply, Expr, Local, Map, Reference, children, walk, with_children
from energylang.ir.operations import OPERATIONS, OperationError, broadcast_shapes
from energylang.ir.types import Dim, Kind, Shape, Type
from energylang.source import Span

ONE = Dim.of(1)


def mapped(
    context: Context, body: Expr, values: dict[Local, Expr], batched: frozenset[Local], batch: Shape, span: Span
) -> Found:
    """The body over a batch, its own shape last.

    values: per local the array of its elements, whose leading dims broadcast to `batch`. batched: the locals that
    differ between elements.
    """
    shape = (*batch, *body.type.shape)
    try:
        direct = _lifted(context, body, values, batched)
    except _NotLifted:
        return Map(
            Type(body.type.kind, shape), span, tuple(values), tuple(values.values()), body, len(batch), range=body.range
        )
    if isinstance(direct, Poison) or direct.type.shape == shape:
        return direct
    return apply(context, "broadcast", [direct], span, shape)


def plain_space(kind: Kind) -> str:
    """The space of a local that is only known to be of a kind."""
    return {Kind.REAL: "real", Kind.INT: "int", Kind.BOOL: "bool"}[kind]


class _NotLifted(Exception):
    """A node has no form over whole arrays."""


def _lifted(context: Context, body: Expr, values: dict[Local, Expr], batched: frozenset[Local]) -> Found:
    """The body over whole arrays, simplified where locals are numbers. Raises _NotLifted."""
    made: dict[int, Expr] = {}
    dependent: set[int] = set()
    for node in walk(body):
        below = children(node)
        replaced = [made[id(c)] for c in below]
        found: Found = node
        if isinstance(node, Reference) and isinstance(node.symbol, Local):
            found = values.get(node.symbol, node)
            if node.symbol in batched:
                dependent.add(id(node))
        elif any(id(c) in dependent for c in below):
            dependent.add(id(node))
            if not isinstance(node, Apply):
                raise _NotLifted
            operands = [
                _Operand(new, len(old.type.shape), id(old) in dependent)
                for old, new in zip(below, replaced, strict=True)
            ]
            found = _Lifting(context, node).apply(operands)
        elif any(a is not b for a, b in zip(replaced, below, strict=True)):
            if isinstance(node, Apply):
                found = apply(context, node.operation, replaced, node.span, node.attributes)
            else:
                found = with_children(node, tuple(replaced))
        if isinstance(found, Poison):
            return POISON
        made[id(node)] = found
    return made[id(body)]


class _Operand:
    """An operand, lifted. rank: how many axes its own shape has, the last ones; those before are the batch."""

    def __init__(self, value: Expr, rank: int, dependent: bool):
        self.value, self.rank, self.dependent = value, rank, dependent

    @property
    def batch(self) -> Shape:
        shape = self.value.type.shape
        return shape[: len(shape) - self.rank] if self.dependent else ()

    @property
    def event(self) -> Shape:
        return self.value.type.shape[len(self.batch) :]


class _Lifting:
    """One application over operands that have a batch."""

    def __init__(self, context: Context, node: Apply):
        self.context, self.node = context, node

    def apply(self, operands: Sequence[_Operand]) -> Found:
        node = self.node
        group = OPERATIONS[node.operation].group
        first = operands[0]
        depth = len(first.batch)
        if group == "elementwise":
            return self._made(self._aligned(operands), node.attributes)
        if node.operation == "index":
            return self._index(operands)
        if group in ("reduce", "along"):
            return self._made([first.value], tuple(axis + depth for axis in node.attributes))
        match node.operation:
            case "roll":
                shift, axis = node.attributes
                return self._made([first.value], (shift, axis + depth))
            case "reshape":
                return self._made([first.value], (*first.batch, *node.attributes))
            case "transpose":
                return self._made([first.value], (*range(depth), *(axis + depth for axis in node.attributes)))
            case "broadcast":
                spread = self._spread(first, len(node.attributes))
                return POISON if spread is None else self._made([spread], (*first.batch, *node.attributes))
            case "concatenate":
                wide, depth = self._same_batch(operands)
                return self._made(wide, (node.attributes[0] + depth,))
            case "stack":
                wide, depth = self._same_batch(operands)
                return self._batch_first(self._made(wide, ()), 1, depth)
            case "cholesky" | "triangular_solve":
                return self._made([o.value for o in operands], node.attributes)
        raise _NotLifted

    def _made(self, operands: Sequence[Expr], attributes: tuple) -> Found:
        return apply(self.context, self.node.operation, operands, self.node.span, attributes)

    def _spread(self, operand: _Operand, rank: int) -> Expr | None:
        """An operand with axes of size 1 between its batch and its own, so that the latter are `rank`."""
        if not operand.batch or rank == operand.rank:
            return operand.value
        shape = (*operand.batch, *[ONE] * (rank - operand.rank), *operand.event)
        found = apply(self.context, "reshape", [operand.value], operand.value.span, shape)
        return None if isinstance(found, Poison) else found

    def _aligned(self, operands: Sequence[_Operand]) -> list[Expr]:
        rank = max(o.rank for o in operands)
        return [found for o in operands if (found := self._spread(o, rank)) is not None]

    def _same_batch(self, operands: Sequence[_Operand]) -> tuple[list[Expr], int]:
        """The operands broadcast to one batch, and how many axes it has."""
        try:
            batch = broadcast_shapes([o.batch for o in operands])
        except OperationError:
            raise _NotLifted from None
        found: list[Expr] = []
        for operand in operands:
            shape = (*batch, *operand.event)
            wide = operand.value
            if wide.type.shape != shape:
                wide = apply(self.context, "broadcast", [wide], wide.span, shape)
            if isinstance(wide, Poison):
                raise _NotLifted
            found.append(wide)
        return found, len(batch)

    def _batch_first(self, value: Found, before: int, depth: int) -> Found:
        """A value whose batch stands behind `before` axes of its own, with the batch moved to the front."""
        if isinstance(value, Poison) or not before or not depth:
            return value
        rank = len(value.type.shape)
        order = (*range(before, before + depth), *range(before), *range(before + depth, rank))
        return apply(self.context, "transpose", [value], self.node.span, order)

    def _index(self, operands: Sequence[_Operand]) -> Found:
        base, *indices = operands
        items = self.node.attributes
        if not base.dependent:
            depth = max(len(i.batch) for i in indices)
            before = next(place for place, item in enumerate(items) if item[0] == "at")
            return self._batch_first(self._made([base.value, *self._aligned(indices)], items), before, depth)
        if any(i.dependent for i in indices):
            raise _NotLifted
        whole = tuple(("slice", Dim(()), size, 1) for size in base.batch)
        return self._made([base.value, *(i.value for i in indices)], (*whole, *items))
