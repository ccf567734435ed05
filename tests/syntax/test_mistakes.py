"""What is said about wrong programs: every case of the table, and recovery."""

from __future__ import annotations

import pytest

from energylang.diagnostics import Diagnostics
from energylang.source import Source
from energylang.syntax.parser import parse, parse_expression
from energylang.syntax.tokens import FINDINGS_LIMIT
from tests.syntax.examples import EXAMPLES
from tests.syntax.tables import findings, wrong_programs

_CASES = wrong_programs()


@pytest.mark.parametrize(("program", "expected"), [case[1:] for case in _CASES], ids=[case[0] for case in _CASES])
def test_findings(program, expected):
    # After a change that is meant: python -m tests.syntax.tables, and read the difference.
    assert findings(program) == expected


def test_no_finding_names_a_terminal_of_the_grammar():
    for _, _, lines in _CASES:
        for line in lines:
            words = line.replace("`", " ").split()
            assert not any(word.isupper() and len(word) > 3 and "_" in word for word in words), line


def test_every_edit_mends_its_own_finding():
    for name, program, _ in _CASES:
        diagnostics = Diagnostics()
        parse(Source("model.energy", program), diagnostics)
        for found in diagnostics.found:
            if found.edit is None:
                continue
            span = found.edit.span
            mended = program[: span.start] + found.edit.text + program[span.end :]
            again = Diagnostics()
            parse(Source("model.energy", mended), again)
            left = [(other.code, other.message) for other in again.found]
            before = [(other.code, other.message) for other in diagnostics.found]
            assert left.count((found.code, found.message)) < before.count((found.code, found.message)), name


@pytest.mark.parametrize("name", EXAMPLES)
def test_independent_errors_are_each_found_once(name):
    """An error in every second place where a declaration begins; what is between is still read."""
    lines = EXAMPLES[name].splitlines()
    starts = [n for n, line in enumerate(lines) if line[:1].isalpha()]
    wrong = list(lines)
    inserted = 0
    for start in reversed(starts[::2]):
        wrong.insert(start, "const broken = 1 + + * 2")
        inserted += 1
    diagnostics = Diagnostics()
    good = len(parse(Source("model.energy", EXAMPLES[name]), diagnostics).declarations)
    module = parse(Source("model.energy", "\n".join(wrong)), diagnostics)
    assert len(module.declarations) == good
    assert [found.code for found in diagnostics.found] == ["E0106"] * inserted


def test_errors_in_a_block_leave_the_other_statements():
    text = "energy e(x: real) {\n  x ~ ~ d()\n  x ~ normal(0, 1)\n  let a = = 3\n  += )\n  report x\n}\nconst b = 3"
    diagnostics = Diagnostics()
    module = parse(Source("model.energy", text), diagnostics)
    lines = [found.span.source.position(found.span.start)[0] for found in diagnostics.found if found.span]
    assert lines == [2, 4, 5]
    assert len(module.declarations) == 2


def test_findings_are_limited_in_number():
    diagnostics = Diagnostics()
    parse(Source("model.energy", "const a = $ = ;\n" * 2000), diagnostics)
    assert len(diagnostics.found) <= 2 * FINDINGS_LIMIT


@pytest.mark.parametrize("text", ["", "1 +", "f(", "1 2", "x = 3", "const a = 3", "{", "a\nb"])
def test_a_wrong_expression_is_none(text):
    diagnostics = Diagnostics()
    assert parse_expression(Source("--method", text), diagnostics) is None or diagnostics.failed
    assert diagnostics.failed
