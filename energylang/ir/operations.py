"""The primitive operations: how each is typed, and what kind it is to the analyses. No JAX, no numpy.

How an operation is computed stands in `energylang.lower.operations`, under the same names.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, Literal

from energylang.ir.nodes import Expr
from energylang.ir.nodes import Literal as LiteralNode
from energylang.ir.types import ANYWHERE, NONNEGATIVE, POSITIVE, UNIT, Dim, Kind, Range, Shape, Type, show_shape

Group = Literal["elementwise", "gather", "reduce", "along", "linear", "other"]


class OperationError(Exception):
    """An application that has no type: `code` of the registry, and which operands are to blame."""

    def __init__(self, code: str, message: str, *, blame: Sequence[int] = (), cause: str = "", fix: str = ""):
        self.code, self.message, self.blame, self.cause, self.fix = code, message, tuple(blame), cause, fix
        super().__init__(message)


Rule = Callable[[Sequence[Expr], tuple[Any, ...]], tuple[Type, Range]]


@dataclass(frozen=True, slots=True)
class Operation:
    """`group`: elementwise (broadcasting), gather (entries moved, none computed), reduce (attributes: axes), along
    (attributes: one axis, which stays), linear, or other."""

    name: str
    group: Group
    arity: int | None
    rule: Rule


OPERATIONS: dict[str, Operation] = {}


def define(names: str, group: Group, arity: int | None, rule: Callable[[str], Rule]) -> None:
    """Register operations; `rule(name)` types each."""
    for name in names.split():
        OPERATIONS[name] = Operation(name, group, arity, rule(name))


def type_of(operation: str, arguments: Sequence[Expr], attributes: tuple[Any, ...] = ()) -> tuple[Type, Range]:
    """The type and range of an application. Raises OperationError."""
    return OPERATIONS[operation].rule(arguments, attributes)


def broadcast_shapes(shapes: Sequence[Shape]) -> Shape:
    """The common shape, trailing axes aligned; equality of dims is equality of polynomials. Raises OperationError."""
    result: list[Dim] = []
    owner: list[int] = []
    for position, shape in enumerate(shapes):
        for back, dim in enumerate(reversed(shape)):
            if back == len(result):
                result.append(dim)
                owner.append(position)
            elif dim != result[back]:
                if result[back].constant == 1:
                    result[back], owner[back] = dim, position
                elif dim.constant != 1:
                    first, second = shapes[owner[back]], shape
                    raise OperationError(
                        "E0301",
                        f"shapes {show_shape(first)} and {show_shape(second)} do not fit together",
                        blame=(owner[back], position),
                        cause=mismatch(result[back], dim),
                        fix=_alike(result[back], dim, first, second),
                    )
    return tuple(reversed(result))


def mismatch(left: Dim, right: Dim) -> str:
    if left.constant is not None and right.constant is not None:
        return f"an axis of size {left} meets an axis of size {right}"
    return f"`{left}` and `{right}` are different dims: names never match by coincidence"


def _alike(left: Dim, right: Dim, first: Shape, second: Shape) -> str:
    """What to do about two dims that should be one."""
    wide, narrow = (first, second) if len(first) >= len(second) else (second, first)
    if len(wide) == 2 and len(narrow) == 1 and wide[0] == narrow[0]:
        return "axes are aligned from the last: `transpose(…)` the matrix, and the result where it should be as before"
    if left.single_name and right.single_name:
        one = f"if they are one size by their meaning, declare both with one name, such as `{left}`"
        if len(wide) == len(narrow) == 1:
            return f"{one}; for all pairs write `[for i in {left}, j in {right}: …]`"
        return one
    if left.constant is not None and right.constant is not None:
        return "give both the same size, or take a slice of the longer one"
    return "take a slice of the longer one, or reshape one side"


# --- elementwise ------------------------------------------------------------------------------------------------


def common_shape(arguments: Sequence[Expr]) -> Shape:
    return broadcast_shapes([a.type.shape for a in arguments])


def _point(expr: Expr) -> float | None:
    return expr.value if isinstance(expr, LiteralNode) else None


def _bound(operator: str, left: Any, right: Any) -> Any:
    if left is None or right is None:
        return None
    if isinstance(left, Dim) != isinstance(right, Dim):
        left = left if isinstance(left, Dim) else (Dim.of(int(left)) if float(left).is_integer() else left)
        right = right if isinstance(right, Dim) else (Dim.of(int(right)) if float(right).is_integer() else right)
        if not (isinstance(left, Dim) and isinstance(right, Dim)):
            left = left.constant if isinstance(left, Dim) else left
            right = right.constant if isinstance(right, Dim) else right
            if left is None or right is None:
                return None
    return left + right if operator == "add" else left - right


def _arithmetic_range(operator: str, arguments: Sequence[Expr]) -> Range:
    a, b = arguments[0].range, arguments[1].range
    if operator == "add":
        return Range(
            _bound("add", a.low, b.low),
            _bound("add", a.high, b.high),
            a.open_low or b.open_low,
            a.open_high or b.open_high,
        )
    if operator == "sub":
        return Range(
            _bound("sub", a.low, b.high),
            _bound("sub", a.high, b.low),
            a.open_low or b.open_high,
            a.open_high or b.open_low,
        )
    if operator == "mul" and isinstance(a.low, Dim) and isinstance(b.low, Dim) and a.low == a.high and b.low == b.high:
        return Range(a.low * b.low, a.low * b.low)
    low_a, low_b = a.number_low(), b.number_low()
    if low_a is not None and low_b is not None and low_a >= 0 and low_b >= 0:
        whole = all(isinstance(bound, Dim) for bound in (a.low, a.high, b.low, b.high)) and operator == "mul"
        strict = (a.open_low or low_a > 0) and (b.open_low or low_b > 0 or operator == "div")
        if whole and isinstance(a.high, Dim) and isinstance(b.high, Dim):
            return Range(Dim.of(int(low_a * low_b)), a.high * b.high, strict)
        return Range(0.0 if operator == "div" else low_a * low_b, None, strict)
    return ANYWHERE


def _arithmetic(name: str) -> Rule:
    def rule(arguments: Sequence[Expr], attributes: tuple[Any, ...]) -> tuple[Type, Range]:
        kind = Kind.REAL if name == "div" else max(Kind.INT, *(a.type.kind for a in arguments))
        return Type(kind, common_shape(arguments)), _arithmetic_range(name, arguments)

    return rule


def _integer(name: str) -> Rule:
    def rule(arguments: Sequence[Expr], attributes: tuple[Any, ...]) -> tuple[Type, Range]:
        for i, a in enumerate(arguments):
            if a.type.kind is Kind.REAL:
                sign = "//" if name == "floordiv" else "%"
                raise OperationError(
                    "E0302",
                    f"`{sign}` takes integers, and this is real",
                    blame=(i,),
                    fix="use `/` for real division, or `floor(x / y)`",
                )
        divisor = arguments[1].range
        low, high = divisor.low, divisor.high
        # A divisor that is a dim (or an int from data) is one value; that it is positive is seen when data are bound.
        above = isinstance(low, Dim) and (low == high if low.constant is None else low.constant > 0)
        if name == "mod" and above:
            return Type(Kind.INT, common_shape(arguments)), Range(
                Dim.of(0), high - 1 if isinstance(high, Dim) else None
            )
        if name == "floordiv" and isinstance(low, Dim) and low == high and (low.constant or 0) > 0:
            return Type(Kind.INT, common_shape(arguments)), _divided(arguments[0].range, low.constant or 1)
        return Type(Kind.INT, common_shape(arguments)), ANYWHERE

    return rule


def _divided(found: Range, divisor: int) -> Range:
    """The range of integers divided by a positive number, where it is known in numbers."""
    low, high = (bound.constant if isinstance(bound, Dim) else None for bound in (found.low, found.high))
    return Range(
        None if low is None else Dim.of(low // divisor),
        None if high is None else Dim.of(high // divisor),
    )


def _power(name: str) -> Rule:
    def rule(arguments: Sequence[Expr], attributes: tuple[Any, ...]) -> tuple[Type, Range]:
        base, exponent = arguments
        point = _point(exponent)
        whole = (
            base.type.kind is not Kind.REAL and exponent.type.kind is not Kind.REAL and point is not None and point >= 0
        )
        even = point is not None and float(point).is_integer() and int(point) % 2 == 0
        low = base.range.number_low()
        positive = low is not None and (low > 0 or (low == 0 and base.range.open_low))
        found = POSITIVE if positive else NONNEGATIVE if even or (low is not None and low >= 0) else ANYWHERE
        return Type(Kind.INT if whole else Kind.REAL, common_shape(arguments)), found

    return rule


def _compare(name: str) -> Rule:
    return lambda arguments, attributes: (Type(Kind.BOOL, common_shape(arguments)), Range(Dim.of(0), Dim.of(1)))


def _logic(name: str) -> Rule:
    def rule(arguments: Sequence[Expr], attributes: tuple[Any, ...]) -> tuple[Type, Range]:
        for i, a in enumerate(arguments):
            if a.type.kind is not Kind.BOOL:
                raise OperationError(
                    "E0302",
                    f"`{name}` takes bool values, and this is {a.type.kind}",
                    blame=(i,),
                    cause="numbers are never taken for bool",
                    fix="compare it: `x == 1`, `x > 0`",
                )
        return Type(Kind.BOOL, common_shape(arguments)), Range(Dim.of(0), Dim.of(1))

    return rule


def _where(name: str) -> Rule:
    def rule(arguments: Sequence[Expr], attributes: tuple[Any, ...]) -> tuple[Type, Range]:
        condition, then, otherwise = arguments
        if condition.type.kind is not Kind.BOOL:
            raise OperationError(
                "E0302",
                f"a condition is bool, and this is {condition.type.kind}",
                blame=(0,),
                fix="compare it: `if x == 1 then … else …`",
            )
        found = then.range if then.range == otherwise.range else ANYWHERE
        return Type(max(then.type.kind, otherwise.type.kind), common_shape(arguments)), found

    return rule


def real_valued(found: Range) -> Callable[[str], Rule]:
    return lambda name: lambda arguments, attributes: (Type(Kind.REAL, common_shape(arguments)), found)


def _same(name: str) -> Rule:
    def rule(arguments: Sequence[Expr], attributes: tuple[Any, ...]) -> tuple[Type, Range]:
        found = ANYWHERE
        a = arguments[0].range
        if name == "neg":
            low = -a.high if a.high is not None else None
            high = -a.low if a.low is not None else None
            found = Range(low, high, a.open_high, a.open_low)
        if name == "abs":
            found = NONNEGATIVE
        return Type(max(Kind.INT, *(x.type.kind for x in arguments)), common_shape(arguments)), found

    return rule


def _to_int(name: str) -> Rule:
    return lambda arguments, attributes: (Type(Kind.INT, common_shape(arguments)), ANYWHERE)


define("add sub mul div", "elementwise", 2, _arithmetic)
define("floordiv mod", "elementwise", 2, _integer)
define("pow", "elementwise", 2, _power)
define("eq ne lt le gt ge", "elementwise", 2, _compare)
define("and or", "elementwise", 2, _logic)
define("not", "elementwise", 1, _logic)
define("where", "elementwise", 3, _where)
define("neg abs sign", "elementwise", 1, _same)
define("minimum maximum", "elementwise", 2, _same)
define("floor ceil round trunc", "elementwise", 1, _to_int)
define("exp", "elementwise", 1, real_valued(POSITIVE))
define("softplus sqrt", "elementwise", 1, real_valued(NONNEGATIVE))
define("inv_logit std_normal_cdf", "elementwise", 1, real_valued(UNIT))
define(
    "log log1p expm1 sin cos tan asin acos atan sinh cosh tanh erf erfc lgamma digamma logit log_inv_logit "
    "log_std_normal_cdf log_bessel_i0 log_bessel_i0e stirling_excess",
    "elementwise", 1, real_valued(ANYWHERE),
)  # fmt: skip
define("atan2 logaddexp lbeta", "elementwise", 2, real_valued(ANYWHERE))
define("log_gammainc log_gammaincc", "elementwise", 2, real_valued(ANYWHERE))
define("log_betainc", "elementwise", 4, real_valued(ANYWHERE))
define("kl_div kl_div_log", "elementwise", 2, real_valued(NONNEGATIVE))


# --- gathers ----------------------------------------------------------------------------------------------------


def _roll(name: str) -> Rule:
    """attributes: (shift, axis)."""
    return lambda arguments, attributes: (arguments[0].type, arguments[0].range)


def _index(name: str) -> Rule:
    """attributes: items, each ("slice", start, stop, step) with start and stop as dims, or ("at",) for an argument.

    Arguments: the base, then one integer expression per ("at",). Axes without an item are kept whole.
    """

    def rule(arguments: Sequence[Expr], attributes: tuple[Any, ...]) -> tuple[Type, Range]:
        base, *indices = arguments
        shape: list[Dim] = []
        position = 0
        where: int | None = None
        for item, dim in zip(attributes, base.type.shape, strict=False):
            if item[0] == "slice":
                shape.append(slice_length(item[1], item[2], item[3], dim))
            else:
                where = len(shape) if where is None else where
                position += 1
        shape += base.type.shape[len(attributes) :]
        if where is not None:
            found = broadcast_shapes([i.type.shape for i in indices])
            shape[where:where] = found
        return Type(base.type.kind, tuple(shape)), base.range

    return rule


def slice_length(start: Dim, stop: Dim, step: int, dim: Dim) -> Dim:
    """How many entries `start:stop:step` takes; with a step other than 1 both ends must be numbers."""
    if step == 1:
        return stop - start
    first, last = start.constant, stop.constant
    if first is None or last is None:
        raise OperationError(
            "E0304",
            f"a slice with a step needs an axis of known size, and this one is `{dim}`",
            blame=(0,),
            fix="give the size as a const",
        )
    return Dim.of(len(range(first, last, step)))


def _reshape(name: str) -> Rule:
    """attributes: the shape."""

    def rule(arguments: Sequence[Expr], attributes: tuple[Any, ...]) -> tuple[Type, Range]:
        old, new = Dim.of(1), Dim.of(1)
        for dim in arguments[0].type.shape:
            old = old * dim
        for dim in attributes:
            new = new * dim
        if old != new:
            raise OperationError(
                "E0303",
                f"cannot reshape {show_shape(arguments[0].type.shape)} to {show_shape(attributes)}",
                blame=(0,),
                cause=f"the first has {old} entries, the second {new}",
            )
        return Type(arguments[0].type.kind, tuple(attributes)), arguments[0].range

    return rule


def _transpose(name: str) -> Rule:
    """attributes: the permutation."""
    return lambda arguments, attributes: (
        Type(arguments[0].type.kind, tuple(arguments[0].type.shape[i] for i in attributes)),
        arguments[0].range,
    )


def _common_range(arguments: Sequence[Expr]) -> Range:
    return arguments[0].range if all(a.range == arguments[0].range for a in arguments) else ANYWHERE


def _concatenate(name: str) -> Rule:
    """attributes: (axis,)."""

    def rule(arguments: Sequence[Expr], attributes: tuple[Any, ...]) -> tuple[Type, Range]:
        (axis,) = attributes
        first = arguments[0].type.shape
        total = Dim(())
        for i, a in enumerate(arguments):
            shape = a.type.shape
            if len(shape) != len(first) or any(
                d != e for k, (d, e) in enumerate(zip(shape, first, strict=True)) if k != axis
            ):
                raise OperationError(
                    "E0301",
                    f"cannot concatenate {show_shape(first)} and {show_shape(shape)} along axis {axis}",
                    blame=(0, i),
                    cause="every other axis must be the same",
                )
            total = total + shape[axis]
        shape = (*first[:axis], total, *first[axis + 1 :])
        return Type(max(a.type.kind for a in arguments), shape), _common_range(arguments)

    return rule


def _stack(name: str) -> Rule:
    """Items of an array literal, along a new first axis."""

    def rule(arguments: Sequence[Expr], attributes: tuple[Any, ...]) -> tuple[Type, Range]:
        first = arguments[0].type.shape
        for i, a in enumerate(arguments):
            if a.type.shape != first:
                raise OperationError(
                    "E0301",
                    f"items of an array differ in shape: {show_shape(first) or 'a scalar'} and "
                    f"{show_shape(a.type.shape) or 'a scalar'}",
                    blame=(0, i),
                )
        return Type(max(a.type.kind for a in arguments), (Dim.of(len(arguments)), *first)), _common_range(arguments)

    return rule


def _broadcast(name: str) -> Rule:
    """attributes: the shape."""
    return lambda arguments, attributes: (Type(arguments[0].type.kind, tuple(attributes)), arguments[0].range)


define("roll", "gather", 1, _roll)
define("index", "gather", None, _index)
define("reshape", "gather", 1, _reshape)
define("transpose", "gather", 1, _transpose)
define("concatenate", "gather", None, _concatenate)
define("stack", "gather", None, _stack)
define("broadcast", "gather", 1, _broadcast)


def entries(shape: Shape) -> int | None:
    """How many numbers an array holds, where every dim is known."""
    sizes = [d.constant for d in shape]
    return None if any(s is None for s in sizes) else prod(s for s in sizes if s is not None)
