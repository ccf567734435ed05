"""Dims as polynomials, and the verifier of the intermediate representation."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from energylang.check import check
from energylang.diagnostics import Diagnostics
from energylang.ir.nodes import Apply, Local, Map, Program, Reference, walk
from energylang.ir.operations import broadcast_shapes
from energylang.ir.terms import Analysis
from energylang.ir.types import Dim, Kind, Space, Type
from energylang.ir.verify import VerificationError, verify
from energylang.source import Source
from energylang.syntax.parser import parse

DIMS = st.recursive(
    st.one_of(st.integers(-3, 5).map(Dim.of), st.sampled_from("ab").map(Dim.of)),
    lambda inner: st.tuples(inner, st.sampled_from("+-*"), inner).map(
        lambda t: t[0] + t[2] if t[1] == "+" else t[0] - t[2] if t[1] == "-" else t[0] * t[2]
    ),
    max_leaves=6,
)


@given(DIMS, DIMS, st.integers(0, 5), st.integers(0, 5))
@settings(derandomize=True, deadline=None)
def test_dims_are_polynomials(x, y, a, b):
    """Arithmetic of dims is arithmetic of their values, and equal dims are equal everywhere."""
    values = {"a": a, "b": b}
    assert (x + y).evaluate(values) == x.evaluate(values) + y.evaluate(values)
    assert (x * y).evaluate(values) == x.evaluate(values) * y.evaluate(values)
    assert (x - y == Dim.of(0)) == (x == y)
    assert (x + y) - y == x
    assert x.substitute({"a": Dim.of(a)}).evaluate({"b": b}) == x.evaluate(values)


def test_dims_read_well():
    n, m = Dim.of("n"), Dim.of("m")
    assert str(n - 1) == "n - 1"
    assert str(n * m * 2 + n - 3) == "2*m*n + n - 3"
    assert str(Dim.of(0)) == "0"
    assert broadcast_shapes([(n, Dim.of(1)), (m,), ()]) == (n, m)


def program() -> Program:
    diagnostics = Diagnostics()
    text = "data a: real[N]\nenergy e(s: spin[N], x: simplex[2, 3]) {\n  += sum(a * s)\n  x ~ dirichlet([1, 1, 1])\n  += sum([for row in x: row @ x[0]])\n}"
    found = check(parse(Source("m", text), diagnostics), diagnostics)
    assert found is not None
    return found


def broken(change) -> Program:
    """The program with one application of its first term changed."""
    whole = program()
    energy = whole.energies["e"]
    term = energy.terms[0]
    return replace(whole, energies={"e": replace(energy, terms=(replace(term, value=change(term.value)),))})


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda e: replace(e, type=Type(Kind.INT)), "is marked int and is real"),
        (lambda e: replace(e, operation="summ"), "unknown operation"),
        (lambda e: replace(e, arguments=e.arguments * 2), "takes 1 operands, not 2"),
        (lambda e: e.arguments[0], "not a number"),
    ],
)
def test_the_verifier_refuses(change, words):
    with pytest.raises(VerificationError, match=words):
        verify(broken(change))


def test_the_verifier_refuses_what_escapes():
    whole = program()
    energy = whole.energies["e"]
    with pytest.raises(VerificationError, match="escapes its energy"):
        verify(replace(whole, energies={"e": replace(energy, variables=energy.variables[1:])}))
    span = energy.span
    local = Local("z", Space("real"), span)
    with pytest.raises(VerificationError, match="escapes its map"):
        verify(broken(lambda e: Reference(Type(Kind.REAL), span, local)))
    mapped = next(x for t in energy.terms for x in walk(t.value) if isinstance(x, Map))
    assert mapped.batch_rank == 1
    verify(whole)


def test_terms_are_split_and_their_degrees_known():
    diagnostics = Diagnostics()
    text = "data J: real[4, 4]\nenergy e(s: spin[4], b: binary[4]) = -(2 * dot(s, J @ b) + sum(s) / 3) - mean(s * s * b) + exp(sum(b))"
    found = check(parse(Source("m", text), diagnostics), diagnostics)
    assert found is not None
    term = found.energies["e"].terms[0]
    analysis = Analysis(term.value)
    summands = analysis.split(term)
    degrees = [analysis.degree(s.rows) for s in summands]
    assert [d.total if d else None for d in degrees] == [2, 1, 3, None]
    assert [len(s.scale) for s in summands] == [2, 2, 2, 0]
    assert isinstance(summands[0].rows, Apply)
    assert summands[0].rows.operation == "mul"
