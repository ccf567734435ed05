"""The verifier: run after every pass; what it finds is a defect of the compiler, never of a model."""

from __future__ import annotations

from collections.abc import Sequence

from energylang.ir.nodes import (
    Apply,
    Binder,
    Energy,
    Expr,
    Extern,
    Local,
    Loop,
    Marginal,
    Output,
    Program,
    Reference,
    Transport,
    Variable,
    randoms,
    walk,
)
from energylang.ir.operations import OPERATIONS, OperationError, type_of
from energylang.ir.types import Kind


class VerificationError(AssertionError):
    """A broken invariant of the intermediate representation."""


def verify(program: Program) -> Program:
    """Check every energy, let and task binding; returns the program for chaining."""
    for energy in (*program.energies.values(), *program.imported.values()):
        _verify_energy(energy)
    for let in program.lets:
        if let.value is not None:
            _verify_expressions([let.value], frozenset())
    for constraint in program.constraints.values():
        own = frozenset(id(v) for v in (*constraint.variables, *constraint.conditions))
        _verify_expressions([e for r in constraint.requirements for e in (r.violation, r.penalty)], own)
    for task in program.tasks:
        _verify_expressions([value for _, value in task.bindings], frozenset())
    return program


def _verify_energy(energy: Energy) -> None:
    own = frozenset(id(v) for v in (*energy.variables, *energy.conditions))
    standing = [root for law in energy.standing for root in law.roots]
    _verify_expressions([*(x.value for x in (*energy.terms, *energy.reports)), *standing], own)
    before = {id(c) for c in energy.conditions}
    for variable in energy.variables:
        for bound in variable.space.bounds:
            _verify_expressions([bound], frozenset(before))
        before.add(id(variable))
    for term in energy.terms:
        if term.value.type.shape or term.value.type.kind is Kind.BOOL:
            raise VerificationError(f"a term of `{energy.name}` is {term.value.type}, not a number")
        if randoms(term.value):
            raise VerificationError(f"a term of `{energy.name}` is random")
    for law in energy.standing:
        if law.draw is not None and law.draw.type.shape != law.target.type.shape:
            raise VerificationError(f"a draw of `{law.name}` is {law.draw.type}, not {law.target.type}")


def _verify_expressions(roots: Sequence[Expr], own: frozenset[int]) -> None:
    """What several expressions share is looked at once."""
    below = list(walk(*roots))
    bound = {id(p) for e in below if isinstance(e, Binder) for p in e.parameters}
    own |= {id(v) for e in below if isinstance(e, Marginal) for v in e.variables}
    for expr in below:
        if isinstance(expr, Apply):
            operation = OPERATIONS.get(expr.operation)
            if operation is None:
                raise VerificationError(f"unknown operation {expr.operation}")
            if operation.arity is not None and len(expr.arguments) != operation.arity:
                raise VerificationError(f"{expr.operation} takes {operation.arity} operands, not {len(expr.arguments)}")
            try:
                found, _ = type_of(expr.operation, expr.arguments, expr.attributes)
            except OperationError as problem:
                raise VerificationError(f"{expr.operation}: {problem.message}") from problem
            if found != expr.type:
                raise VerificationError(f"{expr.operation} is marked {expr.type} and is {found}")
        elif isinstance(expr, Extern):
            output = expr.net.output.shape
            if (
                len(expr.arguments) != len(expr.net.inputs)
                or expr.type.shape[len(expr.type.shape) - len(output) :] != output
            ):
                raise VerificationError(f"`{expr.net.name}` is not called as it is declared")
        elif isinstance(expr, Reference):
            symbol = expr.symbol
            if isinstance(symbol, Variable) and id(symbol) not in own:
                raise VerificationError(f"variable `{symbol.name}` escapes its energy")
            if isinstance(symbol, Local) and id(symbol) not in bound:
                raise VerificationError(f"local `{symbol.name}` escapes its map")
            if symbol.space.type != expr.type:
                raise VerificationError(f"`{symbol.name}` is marked {expr.type} and is {symbol.space.type}")
        elif isinstance(expr, Loop):
            for state, start, after in zip(expr.parameters, expr.arguments, expr.bodies, strict=False):
                if not state.space.shape == start.type.shape == after.type.shape:
                    raise VerificationError(f"the state `{state.name}` of a loop changes its shape")
        elif isinstance(expr, Transport):
            value, event = expr.arguments[0].type, expr.flow.event
            if value != expr.type or value.shape[len(value.shape) - len(event) :] != event:
                raise VerificationError(f"`{expr.flow.name}` moves {value}, and is declared over {event}")
        elif isinstance(expr, Output) and isinstance(expr.source, Transport):
            shape = expr.source.type.shape
            if expr.type.shape != (shape[: len(shape) - len(expr.source.flow.event)] if expr.place else shape):
                raise VerificationError(f"an output of `{expr.source.flow.name}` is marked {expr.type}")
        elif isinstance(expr, Output) and isinstance(expr.source, Loop):
            loop, body = expr.source, expr.source.bodies[expr.place].type
            if expr.type.shape != ((loop.length, *body.shape) if loop.stacked else body.shape):
                raise VerificationError(f"an output of a loop is marked {expr.type} and is {body}")
