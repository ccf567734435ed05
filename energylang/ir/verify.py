"""The verifier: run after every pass; what it finds is a defect of the compiler, never of a model."""

from __future__ import annotations

from energylang.ir.nodes import Apply, Energy, Expr, Local, Map, Marginal, Program, Reference, Variable, randoms, walk
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
            _verify_expression(let.value, frozenset())
    for task in program.tasks:
        for _, value in task.bindings:
            _verify_expression(value, frozenset())
    return program


def _verify_energy(energy: Energy) -> None:
    own = frozenset(id(v) for v in (*energy.variables, *energy.conditions))
    for term in energy.terms:
        _verify_expression(term.value, own)
        if term.value.type.shape or term.value.type.kind is Kind.BOOL:
            raise VerificationError(f"a term of `{energy.name}` is {term.value.type}, not a number")
        if randoms(term.value):
            raise VerificationError(f"a term of `{energy.name}` is random")
    for report in energy.reports:
        _verify_expression(report.value, own)
    for law in energy.standing:
        for root in law.roots:
            _verify_expression(root, own)
        if law.draw is not None and law.draw.type.shape != law.target.type.shape:
            raise VerificationError(f"a draw of `{law.name}` is {law.draw.type}, not {law.target.type}")


def _verify_expression(root: Expr, own: frozenset[int]) -> None:
    bound = {id(p) for e in walk(root) if isinstance(e, Map) for p in e.parameters}
    own |= {id(v) for e in walk(root) if isinstance(e, Marginal) for v in e.variables}
    for expr in walk(root):
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
        elif isinstance(expr, Reference):
            symbol = expr.symbol
            if isinstance(symbol, Variable) and id(symbol) not in own:
                raise VerificationError(f"variable `{symbol.name}` escapes its energy")
            if isinstance(symbol, Local) and id(symbol) not in bound:
                raise VerificationError(f"local `{symbol.name}` escapes its map")
            if symbol.space.type != expr.type:
                raise VerificationError(f"`{symbol.name}` is marked {expr.type} and is {symbol.space.type}")
