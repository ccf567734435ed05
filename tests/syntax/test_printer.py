"""The formatter: its style, its comments, and that it changes nothing else."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmarks.formatter import kept, models
from energylang import resources
from energylang.diagnostics import DiagnosticError, Diagnostics
from energylang.source import Source
from energylang.syntax.compare import same
from energylang.syntax.parser import parse
from energylang.syntax.pretty import WIDTH
from energylang.syntax.printer import format_module, format_text
from tests.syntax.examples import EXAMPLES
from tests.syntax.trees import modules

_TEXTS = {**EXAMPLES, **{name: resources.text("stdlib", f"{name}.energy") for name in resources.names("stdlib")}}


_SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]


@settings(derandomize=True, max_examples=150, deadline=None, suppress_health_check=_SLOW)
@given(modules)
def test_parsing_what_was_printed_gives_the_same_tree(module):
    text = format_module(module)
    diagnostics = Diagnostics()
    again = parse(Source("printed", text), diagnostics)
    assert [found.message for found in diagnostics.found] == [], text
    assert same(module.declarations, again.declarations), text
    assert format_module(again) == text


@pytest.mark.parametrize("name", _TEXTS)
def test_formatting_twice_changes_nothing(name):
    once = format_text(_TEXTS[name], name)
    assert format_text(once, name) == once
    code = [line.split("  #")[0] for line in once.splitlines() if not line.lstrip().startswith("#")]
    assert all(len(line) <= WIDTH for line in code)


@settings(derandomize=True, max_examples=200, deadline=None)
@given(st.sampled_from(sorted(EXAMPLES)), st.randoms(use_true_random=False), st.integers(1, 6))
def test_comments_anywhere_are_kept(name, random, count):
    text = EXAMPLES[name]
    pieces = text.split(" ")
    for number in range(count):
        place = random.randrange(len(pieces))
        comment = f" # c{number}\n" if random.random() < 0.5 else f"\n # c{number}\n"
        pieces[place] += comment
    text = " ".join(pieces)
    diagnostics = Diagnostics()
    parse(Source(name, text), diagnostics)
    if diagnostics.failed:
        return
    once = format_text(text, name)
    for number in range(count):
        assert f"# c{number}" in once
    assert format_text(once, name) == once


def formatted(text: str) -> str:
    return format_text(text, "model.energy")


@pytest.mark.parametrize(
    ("written", "style"),
    [
        ("const   a=1+2", "const a = 1 + 2\n"),
        ("let a = ((x)) ^ (-2)", "let a = x^-2\n"),
        ("let a = (-x)^2 + (-(x^2))", "let a = (-x)^2 + -x^2\n"),
        ("let a = (a + b) + (c + d)", "let a = a + b + (c + d)\n"),
        ("let a = x [ 1 : , : - 1 , :: 2 ]", "let a = x[1:, :-1, ::2]\n"),
        ("let a = e( x|c )", "let a = e(x | c)\n"),
        ("let a = not(x)", "let a = not x\n"),
        ("let a = if (x) then (1) else (2)", "let a = if x then 1 else 2\n"),
        ("let a = 1 + (if x then 1 else 2)", "let a = 1 + (if x then 1 else 2)\n"),
        ("let a = [for i in n:x[i]]", "let a = [for i in n: x[i]]\n"),
        ("let ( a,b )=fn(s,x):(s,x)", "let (a, b) = fn(s, x): (s, x)\n"),
        ("param w:real[2]from normal(0,1)", "param w: real[2] from normal(0, 1)\n"),
        ("energy e ( ) { }", "energy e() {}\n"),
        ("energy e(x:real|c:real@t:noise)=x", "energy e(x: real | c: real @ t: noise) = x\n"),
        ("net f:(real[2],real)->real=mlp([3])", "net f: (real[2], real) -> real = mlp([3])\n"),
        ("energy e(x: real) { x~d() }", "energy e(x: real) {\n  x ~ d()\n}\n"),
        ("sample e with nuts,draws=1", "sample e with nuts(), draws = 1\n"),
        ("const a = 1\n\n\n\nconst b = 2\nconst c = 3\n\n\n", "const a = 1\n\nconst b = 2\nconst c = 3\n"),
        ("", ""),
        ("#only", "#only\n"),
    ],
)
def test_style(written, style):
    assert formatted(written) == style


def test_long_lines_are_broken():
    text = formatted(
        "energy e(first: real[10], second: positive[10], third: interval(0, 1)[10] | fourth: real[10] @ t: noise) = "
        "sum(first * second * third) + sum(for i in 10: some_function(first[i], second[i])) - log(another_function(a))"
    )
    assert text == (
        "energy e(\n  first: real[10],\n  second: positive[10],\n  third: interval(0, 1)[10]\n  | fourth: real[10]\n"
        "  @ t: noise\n) =\n  sum(first * second * third)\n  + sum(for i in 10: some_function(first[i], second[i]))\n"
        "  - log(another_function(a))\n"
    )


def test_long_tables_fill_their_lines():
    text = formatted(f"data y: real[60] = [{', '.join(['12.5'] * 60)}]")
    assert len(text.splitlines()) == 6


def test_comments_stay_where_they_are():
    text = """\
# head

# doc
energy e(x: real) {  # beside the brace
  # first

  # second
  x ~ normal(
    0,  # zero
    1  # one
    # own
  )  # after
  let y =
    a  # aa
    # bb
    + b  # cc
  # last
}  # end

data y: real[3] = [
  1, 2,  # two
  # before five
  5
]
# tail
"""
    assert formatted(text) == text


def test_long_sums_are_printed():
    text = "const a = " + " + ".join(["x"] * 5000)
    assert formatted(text).count("+") == 4999


def test_a_wrong_text_is_not_formatted():
    with pytest.raises(DiagnosticError):
        formatted("const a = = 3")


def test_every_model_of_the_repository_keeps_its_tree_and_its_comments():
    found = models()
    assert len(found) > 300
    for name, text in found:
        kept(text, name)
