"""Hypothesis strategies that make syntax trees."""

from __future__ import annotations

from hypothesis import strategies as st

from energylang.source import Source, Span
from energylang.syntax import ast

SOURCE = Source("made", "")
SPAN = Span(SOURCE, 0, 0)

_words = st.sampled_from(["x", "y", "mu", "theta", "normal", "lambda", "real", "a_rather_long_name_for_a_variable"])
identifiers = st.builds(ast.Identifier, st.just(SPAN), _words)
names = st.builds(ast.Name, st.just(SPAN), _words, st.one_of(st.none(), _words))
_number_texts = st.sampled_from([("0", 0), ("5_000", 5000), ("1e-3", 1e-3), ("2.5", 2.5), ("10", 10)])
numbers = _number_texts.map(lambda pair: ast.Number(SPAN, pair[1], pair[0]))
_letters = st.sampled_from(["a", " ", '"', "\\", "\n", "\t", "#", "é", "{"])
strings = st.builds(ast.String, st.just(SPAN), st.text(_letters, max_size=5))
_leaves = st.one_of(names, numbers, st.builds(ast.Boolean, st.just(SPAN), st.booleans()), strings)
_OPERATORS = ["+", "-", "*", "/", "//", "%", "@", "^", "==", "!=", "<", "<=", ">", ">=", "and", "or"]


def _tuples(items, least=0, most=3):
    return st.lists(items, min_size=least, max_size=most).map(tuple)


def _larger(inner):
    values = st.one_of(inner, st.builds(ast.Tuple, st.just(SPAN), _tuples(inner, 2)))
    bindings = _tuples(st.tuples(identifiers, inner), 1, 2)
    generators = st.builds(ast.Generator, st.just(SPAN), bindings, inner)
    arguments = st.one_of(
        st.builds(ast.Argument, st.just(SPAN), st.none(), st.one_of(values, generators)),
        st.builds(ast.Argument, st.just(SPAN), identifiers, values),
    )
    slices = st.builds(ast.Slice, st.just(SPAN), *[st.one_of(st.none(), inner)] * 3)
    return st.one_of(
        st.builds(ast.Unary, st.just(SPAN), st.sampled_from(["-", "+", "not"]), inner),
        st.builds(ast.Binary, st.just(SPAN), st.sampled_from(_OPERATORS), inner, inner, st.just(SPAN)),
        st.builds(ast.If, st.just(SPAN), inner, inner, inner),
        st.builds(ast.Call, st.just(SPAN), names, _tuples(arguments), st.one_of(st.none(), _tuples(arguments, 1))),
        st.builds(ast.Index, st.just(SPAN), inner, _tuples(st.one_of(inner, slices), 1)),
        st.builds(ast.Array, st.just(SPAN), st.one_of(_tuples(inner, 0, 5), generators.map(lambda one: (one,)))),
        st.builds(ast.Lambda, st.just(SPAN), _tuples(identifiers), values),
        st.builds(ast.Pipe, st.just(SPAN), _tuples(inner, 2)),
    )


expressions = st.recursive(_leaves, _larger, max_leaves=20)
_small = st.recursive(_leaves, _larger, max_leaves=4)
_values = st.one_of(expressions, st.builds(ast.Tuple, st.just(SPAN), _tuples(expressions, 2)))

types = st.builds(ast.TypeExpression, st.just(SPAN), identifiers, _tuples(_small, 0, 2), _tuples(_small, 0, 2))
_parameters = st.builds(ast.Parameter, st.just(SPAN), identifiers, types)
_loose_parameters = st.builds(ast.Parameter, st.just(SPAN), identifiers, st.one_of(st.none(), types))
_signatures = st.builds(
    ast.Signature,
    st.just(SPAN),
    _tuples(_parameters, 0, 4),
    _tuples(_parameters, 0, 2),
    st.one_of(st.none(), st.tuples(identifiers, names)),
)
_patterns = st.one_of(st.tuples(identifiers), _tuples(identifiers, 2))
_targets = st.one_of(names, st.builds(ast.Index, st.just(SPAN), names, _tuples(_small, 1)))
_statements = st.one_of(
    st.builds(ast.Tilde, st.just(SPAN), _targets, expressions),
    st.builds(ast.Increment, st.just(SPAN), expressions),
    st.builds(ast.LetStatement, st.just(SPAN), _patterns, _values),
    st.builds(ast.Report, st.just(SPAN), identifiers, st.none(), st.none()),
    st.builds(ast.Report, st.just(SPAN), identifiers, _values, st.none()),
    st.builds(ast.Report, st.just(SPAN), identifiers, st.none(), expressions),
)
_blocks = st.builds(ast.Block, st.just(SPAN), _tuples(_statements, 0, 4))
_named = st.builds(ast.Argument, st.just(SPAN), identifiers, _values)
_methods = st.builds(ast.Call, st.just(SPAN), names, st.just(()), st.none())
_function_types = st.builds(ast.FunctionType, st.just(SPAN), _tuples(types), types)
_opening = (st.just(SPAN), st.just(""))
_kinds = st.sampled_from(["distribution", "energy", "score", "flow", "constraint"])
_maybe = st.one_of(st.none(), expressions)

declarations = st.one_of(
    st.builds(ast.Import, *_opening, _tuples(identifiers, 1), st.one_of(st.none(), identifiers)),
    st.builds(ast.Const, *_opening, identifiers, expressions),
    st.builds(ast.Data, *_opening, identifiers, types, _maybe, st.one_of(st.none(), strings)),
    st.builds(ast.Let, *_opening, _patterns, _values),
    st.builds(ast.Param, *_opening, identifiers, types, _maybe, st.none()),
    st.builds(ast.Param, *_opening, identifiers, types, st.none(), expressions),
    st.builds(ast.Net, *_opening, identifiers, _function_types, expressions, st.just(False)),
    st.builds(ast.Net, *_opening, identifiers, _function_types, st.none(), st.just(True)),
    st.builds(ast.Fn, *_opening, identifiers, _tuples(_loose_parameters), st.one_of(st.none(), types), _values),
    st.builds(ast.Schedule, *_opening, identifiers, expressions),
    st.builds(ast.Energy, *_opening, _kinds, identifiers, _signatures, st.one_of(expressions, _blocks)),
    st.builds(ast.Energy, *_opening, _kinds, identifiers, st.none(), expressions),
    st.builds(
        ast.Task,
        *_opening,
        st.sampled_from(["sample", "evidence", "train", "test", "optimize"]),
        names,
        _tuples(_named, 0, 2),
        st.one_of(st.none(), _methods),
        _tuples(_named),
    ),
)
modules = st.builds(ast.Module, st.just(SOURCE), _tuples(declarations, 0, 3), st.just(()))
