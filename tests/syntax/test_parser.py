"""What the grammar accepts, and what tree it makes of it."""

from __future__ import annotations

import pytest

from energylang import resources
from energylang.diagnostics import Diagnostics
from energylang.source import Source
from energylang.syntax import ast
from energylang.syntax.compare import same
from energylang.syntax.layout import NESTING_LIMIT
from energylang.syntax.parser import parse, parse_expression
from energylang.syntax.table import build
from tests.syntax.examples import EXAMPLES


def module(text: str) -> ast.Module:
    diagnostics = Diagnostics()
    parsed = parse(Source("model.energy", text), diagnostics)
    assert diagnostics.found == []
    return parsed


def only(text: str) -> ast.AnyDeclaration:
    (declaration,) = module(text).declarations
    return declaration


def expression(text: str) -> ast.Expression:
    diagnostics = Diagnostics()
    parsed = parse_expression(Source("option", text), diagnostics)
    assert diagnostics.found == []
    assert parsed is not None
    return parsed


def codes(text: str) -> list[str]:
    diagnostics = Diagnostics()
    parse(Source("model.energy", text), diagnostics)
    return [found.code for found in diagnostics.found]


def test_the_grammar_has_no_conflicts():
    pytest.importorskip("interegular")
    build(resources.text("grammar", "energy.lark"), strict=True)


@pytest.mark.parametrize("name", EXAMPLES)
def test_examples_parse(name):
    assert module(EXAMPLES[name]).declarations


@pytest.mark.parametrize("name", resources.names("stdlib"))
def test_the_library_parses(name):
    assert module(resources.text("stdlib", f"{name}.energy")).declarations


def test_a_block_and_its_signature():
    energy = only("distribution d(x: real[n] | mu: real, s: interval(0, 1)[n] @ t: noise) {\n  x ~ normal(mu, s)\n}")
    assert isinstance(energy, ast.Energy)
    assert energy.kind == "distribution"
    assert energy.signature is not None
    assert [p.name.text for p in energy.signature.variables] == ["x"]
    assert [p.name.text for p in energy.signature.conditions] == ["mu", "s"]
    assert energy.signature.level is not None
    assert energy.signature.level[1].text == "noise"
    assert isinstance(energy.body, ast.Block)
    assert [type(s) for s in energy.body.statements] == [ast.Tilde]


def test_statements():
    energy = only(
        "energy e(x: real) {\n let (a, b) = f(x)\n log(x)[0] ~ d(a | b)\n += a\n report a\n report c = (a, b)\n"
        " report y ~ d(1)\n}"
    )
    assert isinstance(energy, ast.Energy)
    assert isinstance(energy.body, ast.Block)
    let, tilde, increment, plain, value, draw = energy.body.statements
    assert isinstance(let, ast.LetStatement)
    assert [name.text for name in let.names] == ["a", "b"]
    assert isinstance(tilde, ast.Tilde)
    assert isinstance(tilde.distribution, ast.Call)
    assert tilde.distribution.conditions is not None
    assert isinstance(increment, ast.Increment)
    assert isinstance(plain, ast.Report)
    assert plain.value is plain.distribution is None
    assert isinstance(value, ast.Report)
    assert isinstance(value.value, ast.Tuple)
    assert isinstance(draw, ast.Report)
    assert isinstance(draw.distribution, ast.Call)


def test_declarations():
    parsed = module(
        "import shapes.rings as rings\nconst n = 5_000\ndata y: real[N] from 'y.json'\n".replace("'", '"')
        + "let (a, b) = (1, 2)\nparam w: real[n] from normal(0, 1)\nparam v: real\nextern net f: real[2] -> real\n"
        + "net g: (real[2], real) -> real[2] = mlp([2])\nfn h(a: real, b) -> real = a\nfn k() = 1\n"
        + "schedule noise = cosine(levels = 100)\nconstraint c(x: real) = x > 0\nscore s(x: real @ t: noise) = g(x, t)\n"
        + "flow z(x: real) = normal |> a() |> b()\nevidence e\ntest e on (x = y) with ksd, draws = 1e3\n"
    ).declarations
    assert [type(d).__name__ for d in parsed] == (
        [
            "Import",
            "Const",
            "Data",
            "Let",
            "Param",
            "Param",
            "Net",
            "Net",
            "Fn",
            "Fn",
            "Schedule",
            "Energy",
            "Energy",
            "Energy",
            "Task",
            "Task",
        ]
    )
    task = parsed[-1]
    assert isinstance(task, ast.Task)
    assert task.method is not None
    assert (task.verb, task.method.function.text, task.options[0].name and task.options[0].name.text) == (
        "test",
        "ksd",
        "draws",
    )
    const = parsed[1]
    assert isinstance(const, ast.Const)
    assert isinstance(const.value, ast.Number)
    assert (const.value.value, type(const.value.value)) == (5000, int)


@pytest.mark.parametrize(
    ("loose", "explicit"),
    [
        ("-x^2", "-(x^2)"),
        ("2^-x^2", "2^(-(x^2))"),
        ("a^b^c", "a^(b^c)"),
        ("a - b - c", "(a - b) - c"),
        ("a / b * c @ d", "((a / b) * c) @ d"),
        ("-a * b", "(-a) * b"),
        ("a * -b", "a * (-b)"),
        ("not a == b and c or d", "((not (a == b)) and c) or d"),
        ("a + b < c * d", "(a + b) < (c * d)"),
        ("a or b |> c", "(a or b) |> c"),
        ("if a then b else c |> d", "if a then b else (c |> d)"),
        ("if a then b else if c then d else e", "if a then b else (if c then d else e)"),
        ("fn(x): x + 1", "fn(x): (x + 1)"),
        ("-x[0]", "-(x[0])"),
        ("f(x)[0]^2", "(f(x)[0])^2"),
        ("1 // 2 % 3", "(1 // 2) % 3"),
    ],
)
def test_precedence(loose, explicit):
    assert same(expression(loose), expression(explicit))


def test_expressions():
    index = expression("theta[z[:-1], 1:, ::2, a]")
    assert isinstance(index, ast.Index)
    assert [type(item).__name__ for item in index.items] == ["Index", "Slice", "Slice", "Name"]
    comprehension = expression("[for i in n, j in m: a[i, j]]")
    assert isinstance(comprehension, ast.Array)
    assert isinstance(comprehension.items[0], ast.Generator)
    assert len(comprehension.items[0].bindings) == 2
    total = expression("sum(for i in n: x[i], axis = 0)")
    assert isinstance(total, ast.Call)
    assert isinstance(total.arguments[0].value, ast.Generator)
    name = expression("noise.alpha_bar(t)")
    assert isinstance(name, ast.Call)
    assert (name.function.qualifier, name.function.text) == ("noise", "alpha_bar")
    assert isinstance(expression("lambda"), ast.Name)
    assert isinstance(expression("mala(step = 0.1)"), ast.Call)
    string = expression(r'"a\\n\"\n"')
    assert isinstance(string, ast.String)
    assert string.value == 'a\\n"\n'


@pytest.mark.parametrize(
    "text",
    [
        "let a = 1 +\n  2",
        "let a = 1\n  + 2",
        "let a = 1\n  - 2",
        "let a\n  = 1",
        "let a =\n\n  # why\n  1",
        "let a = f(\n  1,\n\n  2\n)",
        "let a = [1,\n2\n,3]",
        "let a = if x\n  then y\n  else z",
        "let a = if x then\n y else\n z",
        "let a = b\n  |> c\n  |> d",
        "let a = b |>\n  c",
        "sample e\n  on (x = 1)\n  with nuts(),\n  draws = 10\n  , chains = 4",
        "energy e(x: real\n  | c: real\n  @ t: noise)\n  = x",
        "energy e(x: real)\n{\n x ~ d() }",
        "energy e(x: real) { x ~ d() }",
        "energy e(x: real) {}",
        "let a = b and\n not c\n or d",
        "extern\n net f: real\n -> real",
        "param w: real\n  from normal(0, 1)",
        "\n\n let a = 1\n\n\n",
        "\tlet a = 1\t# tab\r\n",
    ],
)
def test_one_declaration_over_several_lines(text):
    only(text)


def test_statements_begin_on_new_lines():
    energy = only("energy e(x: real) {\n  x ~ d()\n  += 1\n  let a = 2\n  report a\n\n\n  x ~ d() - 1\n}")
    assert isinstance(energy, ast.Energy)
    assert isinstance(energy.body, ast.Block)
    assert len(energy.body.statements) == 5


@pytest.mark.parametrize(
    "text", ["paramx: real", "energywell(x: real) = x", "energy energy(x: real) = x", "constn = 3"]
)
def test_keywords_are_whole_words(text):
    assert codes(text)


def test_comments_and_documentation():
    parsed = module("# file\n\n# about a\n#   more\nconst a = 1 # side\n# about b\nconst b = 2\n#end")
    assert [(c.text, c.own_line) for c in parsed.comments] == [
        (" file", True),
        (" about a", True),
        ("   more", True),
        (" side", False),
        (" about b", True),
        ("end", True),
    ]
    assert [d.doc for d in parsed.declarations] == ["about a\n  more", "about b"]
    assert parsed.comments[3].span.text == "# side"


def test_spans_cover_what_was_written():
    const = only("const a = (x + f(y))  * 2")
    assert isinstance(const, ast.Const)
    assert isinstance(const.value, ast.Binary)
    assert const.span.text == "const a = (x + f(y))  * 2"
    assert const.value.span.text == "(x + f(y))  * 2"
    assert const.value.left.span.text == "x + f(y)"
    assert const.value.operator_span.text == "*"


def test_long_sums_are_fine():
    const = only("const a = " + " + ".join(["x"] * 5000))
    assert isinstance(const, ast.Const)
    count, node = 1, const.value
    while isinstance(node, ast.Binary):
        count, node = count + 1, node.left
    assert count == 5000


@pytest.mark.parametrize(
    "text",
    [
        "(" * 10_000 + "x" + ")" * 10_000,
        "[" * 10_000,
        "f(" * 10_000 + ")" * 10_000,
        "-" * 10_000 + "x",
        "not " * 10_000 + "x",
        "x^" * 10_000 + "x",
        "if a then b else " * 5_000 + "c",
        "fn(x): " * 5_000 + "c",
        "x" + "[0]" * 5_000,
        "x" + " |> (y" * 5_000 + ")" * 5_000,
        "(" * 5_000 + "x" + " + 1) * 2" * 5_000,
    ],
)
def test_deep_nesting_is_one_error_and_never_an_overflow(text):
    assert codes(f"const a = {text}\nconst b = = 2") == ["E0118", "E0106"]


def test_nesting_within_the_limit():
    depth = NESTING_LIMIT - 1
    only("const a = " + "f(" * depth + "x" + ")" * depth)
    only("const a = " + "(" * depth + "x" + ")" * depth)


def test_an_empty_text_is_an_empty_module():
    assert module("").declarations == ()
    assert module("\n# only words\n\n").declarations == ()
