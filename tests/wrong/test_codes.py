"""Every code that a text can cause has an example that gives it, and its explanation can be read."""

from __future__ import annotations

import pytest

from energylang.api import assemble
from energylang.check import check_source
from energylang.code_examples import CODE_EXAMPLES
from energylang.codes import CODES
from energylang.diagnostics import DiagnosticError, Diagnostics
from energylang.source import Source

ELSEWHERE = {
    "files": ("E0120", "E0121", "E0122", "E0708"),
    "values given from outside": ("E0606", "E0608", "E0609", "E0706", "E0710", "N0701", "N0702", "N0715"),
    "check --verify": ("E0423", "L0120"),
    "files of modules": ("E0231", "E0232", "E0233"),
    "graphs": (*(f"E071{n}" for n in range(1, 9)), *(f"N071{n}" for n in range(1, 5))),
    "functions given from Python": ("E0238", "E0239"),
    "methods when they are made": (*(f"E064{n}" for n in range(9)), *(f"E065{n}" for n in (0, 1, 2, 5, 6, 7, 9))),
    "tasks when they are planned": ("E0664", "E0665"),
    "predictions asked for in a run": tuple(f"E053{n}" for n in range(1, 6)),
    "runs": tuple(code for code in CODES if code.startswith("E08") and code not in CODE_EXAMPLES),
    "the command line": tuple(code for code in CODES if code.startswith("E09")),
}
"""Codes that no text causes by itself, by where they come from; each has a test there."""


def test_every_code_has_an_example_or_comes_from_elsewhere():
    elsewhere = [code for codes in ELSEWHERE.values() for code in codes]
    assert sorted([*CODE_EXAMPLES, *elsewhere]) == sorted(CODES)


@pytest.mark.parametrize("code", CODE_EXAMPLES)
def test_the_example_gives_its_code_and_no_other(code, tmp_path):
    diagnostics = Diagnostics()
    try:
        module, program = check_source(Source("example.energy", CODE_EXAMPLES[code]), diagnostics)
        found = diagnostics.found
        if program is not None and code.startswith("E"):
            for name in (model := assemble(module, program, tmp_path, {}, diagnostics, 0)):
                model[name]
    except DiagnosticError as error:
        found = list(error.diagnostics)
    assert {finding.code for finding in found} == {code}
