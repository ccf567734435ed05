"""The abstract syntax tree: what was written, with where it was written. No meaning is decided here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from energylang.source import Source, Span


@dataclass(frozen=True, slots=True)
class Node:
    span: Span


# --- expressions ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Identifier(Node):
    """A name where it is declared, or as a keyword of an argument."""

    text: str


@dataclass(frozen=True, slots=True)
class Number(Node):
    """`value` is an int exactly when the text has neither a point nor an exponent. Underscores are allowed."""

    value: int | float
    text: str


@dataclass(frozen=True, slots=True)
class String(Node):
    value: str


@dataclass(frozen=True, slots=True)
class Boolean(Node):
    """`true` or `false`."""

    value: bool


@dataclass(frozen=True, slots=True)
class Name(Node):
    """A name in use; `qualifier` is the module in `module.name`, or None. `noise.alpha_bar` is a Name too."""

    text: str
    qualifier: str | None = None


@dataclass(frozen=True, slots=True)
class Unary(Node):
    operator: Literal["-", "+", "not"]
    operand: Expression


@dataclass(frozen=True, slots=True)
class Binary(Node):
    """Operators: + - * / // % @ ^ == != < <= > >= and or. Chained comparisons are a syntax error with a fix."""

    operator: str
    left: Expression
    right: Expression
    operator_span: Span


@dataclass(frozen=True, slots=True)
class If(Node):
    condition: Expression
    then: Expression
    otherwise: Expression


@dataclass(frozen=True, slots=True)
class Argument(Node):
    """One argument of a call; `name` is None where it is positional."""

    name: Identifier | None
    value: Expression


@dataclass(frozen=True, slots=True)
class Call(Node):
    """`function(arguments | conditions)`; `conditions` is None where there is no bar."""

    function: Name
    arguments: tuple[Argument, ...]
    conditions: tuple[Argument, ...] | None = None


@dataclass(frozen=True, slots=True)
class Slice(Node):
    """`start:stop:step` inside brackets, each part optional; a bare `:` has none."""

    start: Expression | None
    stop: Expression | None
    step: Expression | None


@dataclass(frozen=True, slots=True)
class Index(Node):
    """`base[items]`."""

    base: Expression
    items: tuple[Expression | Slice, ...]


@dataclass(frozen=True, slots=True)
class Array(Node):
    """`[a, b, c]`; the only item of `[for i in n: e]` is a Generator."""

    items: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Tuple(Node):
    """`(a, b)`: two or more, only as the value of a `let`, a report, a function or an argument."""

    items: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Generator(Node):
    """`for i in n: e`, possibly over several names: `for i in n, j in m: e`; inside `[…]` or `sum(…)`."""

    bindings: tuple[tuple[Identifier, Expression], ...]
    body: Expression


@dataclass(frozen=True, slots=True)
class Lambda(Node):
    """`fn(s, x): e`."""

    parameters: tuple[Identifier, ...]
    body: Expression


@dataclass(frozen=True, slots=True)
class Pipe(Node):
    """`base |> layer |> layer`, flattened."""

    stages: tuple[Expression, ...]


Expression = (
    Number | String | Boolean | Name | Unary | Binary | If | Call | Index | Array | Tuple | Generator | Lambda | Pipe
)


# --- types and parameters ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TypeExpression(Node):
    """`name(arguments)[dims]`: `real`, `interval(0, 1)[n]`, `cat(q)[16, 16]`, `simplex[k]`."""

    name: Identifier
    arguments: tuple[Expression, ...]
    dims: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class FunctionType(Node):
    """`real[2] -> real[10]`, or `(real[2], real) -> real[2]`."""

    inputs: tuple[TypeExpression, ...]
    output: TypeExpression


@dataclass(frozen=True, slots=True)
class Parameter(Node):
    """`name: type`; `type` is None in an untyped `fn` parameter."""

    name: Identifier
    type: TypeExpression | None


@dataclass(frozen=True, slots=True)
class Signature(Node):
    """`(variables | conditions @ level: schedule)`. `level` is (its name, the schedule's name)."""

    variables: tuple[Parameter, ...]
    conditions: tuple[Parameter, ...]
    level: tuple[Identifier, Name] | None


# --- statements of a block --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Tilde(Node):
    """`target ~ distribution(…)`."""

    target: Expression
    distribution: Expression


@dataclass(frozen=True, slots=True)
class Increment(Node):
    """`+= e`."""

    value: Expression


@dataclass(frozen=True, slots=True)
class LetStatement(Node):
    """`let a = e` or `let (a, b) = e`."""

    names: tuple[Identifier, ...]
    value: Expression


@dataclass(frozen=True, slots=True)
class Report(Node):
    """`report a`, `report a = e`, `report a ~ d(…)`: at most one of `value` and `distribution` is given."""

    name: Identifier
    value: Expression | None
    distribution: Expression | None


Statement = Tilde | Increment | LetStatement | Report


@dataclass(frozen=True, slots=True)
class Block(Node):
    statements: tuple[Statement, ...]


# --- declarations -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Declaration(Node):
    """`doc` is the comment block right above, without the `#`."""

    doc: str


@dataclass(frozen=True, slots=True)
class Import(Declaration):
    """`import lattice`, `import shapes.rings as rings`."""

    path: tuple[Identifier, ...]
    alias: Identifier | None


@dataclass(frozen=True, slots=True)
class Const(Declaration):
    name: Identifier
    value: Expression


@dataclass(frozen=True, slots=True)
class Data(Declaration):
    """`data y: real[N] = [...]` or `data y: real[N] from "y.json"`."""

    name: Identifier
    type: TypeExpression
    default: Expression | None
    source: String | None


@dataclass(frozen=True, slots=True)
class Let(Declaration):
    names: tuple[Identifier, ...]
    value: Expression


@dataclass(frozen=True, slots=True)
class Param(Declaration):
    """`param W: real[n] from normal(0, 1)` (`start`) or `param b: real = 0` (`value`)."""

    name: Identifier
    type: TypeExpression
    value: Expression | None
    start: Expression | None


@dataclass(frozen=True, slots=True)
class Net(Declaration):
    """`net f: A -> B = mlp(…)`; `extern net f: A -> B` has `extern` true and no value."""

    name: Identifier
    type: FunctionType
    value: Expression | None
    extern: bool


@dataclass(frozen=True, slots=True)
class Fn(Declaration):
    """`fn name(a: real, b) -> real = e`; types are optional."""

    name: Identifier
    parameters: tuple[Parameter, ...]
    result: TypeExpression | None
    value: Expression


@dataclass(frozen=True, slots=True)
class Schedule(Declaration):
    name: Identifier
    value: Expression


@dataclass(frozen=True, slots=True)
class Energy(Declaration):
    """`distribution`, `energy`, `score`, `flow` or `constraint`, as `kind` says.

    `signature` is None in the form `energy both = product(ring, bars)`.
    """

    kind: Literal["distribution", "energy", "score", "flow", "constraint"]
    name: Identifier
    signature: Signature | None
    body: Expression | Block


@dataclass(frozen=True, slots=True)
class Task(Declaration):
    """`sample E on (x = e) with method(…), draws = 10`; every part after the verb and the energy is optional."""

    verb: Literal["sample", "evidence", "train", "test", "optimize"]
    energy: Name
    bindings: tuple[Argument, ...]
    method: Call | None
    options: tuple[Argument, ...]


AnyDeclaration = Import | Const | Data | Let | Param | Net | Fn | Schedule | Energy | Task


@dataclass(frozen=True, slots=True)
class Comment(Node):
    """A `#` comment to the end of its line; `own_line` is false where code stands before it."""

    text: str
    own_line: bool


@dataclass(frozen=True, slots=True)
class Module:
    """One file: declarations in the order written, and every comment (for the formatter)."""

    source: Source
    declarations: tuple[AnyDeclaration, ...]
    comments: tuple[Comment, ...]
