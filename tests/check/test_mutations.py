"""Texts with mistakes in them: whatever is wrong, what comes of it are diagnostics."""

from __future__ import annotations

import random
import re
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from energylang.check import check_source
from energylang.diagnostics import DiagnosticError, Diagnostics
from energylang.ir.nodes import Program
from energylang.lower.data import bind
from energylang.lower.program import lower
from energylang.source import Source

ROOT = Path(__file__).parents[2]
TOKEN = re.compile(r"\s+|[A-Za-z_]\w*|\d+\.?\d*|[^\w\s]")
MUTATIONS = 1_500
WORDS = TOKEN.findall(
    "roll sum mean reshape concatenate transpose zeros range outer dot@^//%if then else and not true 10^12 0-1 cumsum max "
    "logsumexp stack simplex ordered interval(0,1)cat(3)spin binary count int param let fn~+=|[:1][-1]"
)


def sources() -> list[list[str]]:
    """Tokens of the examples, the wrong programs and the standard library."""
    texts = [p.read_text(encoding="utf-8") for p in sorted((ROOT / "examples").glob("*.energy"))]
    wrong = (Path(__file__).parent / "wrong_programs.txt").read_text(encoding="utf-8")
    texts += [section.partition("\n")[2].partition(">>> ")[0] for section in wrong.split("### ")[1:]]
    texts.append((ROOT / "stdlib" / "distributions.energy").read_text(encoding="utf-8"))
    return [TOKEN.findall(text) for text in texts]


def mutated(tokens: list[str], others: list[list[str]], choose: random.Random) -> str:
    """Tokens dropped, exchanged, put in, or taken from elsewhere."""
    tokens = list(tokens)
    for _ in range(choose.choice([1, 1, 2, 3, 5])):
        place = choose.randrange(len(tokens)) if tokens else 0
        other = choose.choice(others)
        act = choose.random()
        if act < 0.25:
            del tokens[place : place + 1]
        elif act < 0.7:
            word = choose.choice(WORDS if choose.random() < 0.4 else other)
            tokens[place : place + (act < 0.5)] = [word, " "]
        else:
            start = choose.randrange(len(other))
            tokens[place : place + choose.randrange(4)] = other[start : start + choose.randrange(8)]
    return "".join(tokens)


def lowered(program: Program, random_: np.random.Generator) -> None:
    """Lower every energy with data of small sizes, none among them. Raises DiagnosticError where that cannot be."""
    sizes: dict[str, int] = {}
    given = {}
    for data in program.data:
        names = sorted({n for d in data.space.shape for n in d.names})
        sizes |= {n: int(random_.choice([0, 1, 3])) for n in names if n not in sizes}
        shape = [max(0, d.evaluate(sizes)) for d in data.space.shape]
        if data.default is None or random_.random() < 0.2:
            whole = data.space.discrete
            given[data.name] = random_.integers(0, 2, shape) if whole else random_.uniform(0.1, 0.9, shape)
    diagnostics = Diagnostics()
    bound = bind(program, given, diagnostics)
    assert (bound is None) == diagnostics.failed
    if bound is not None:
        for energy in program.energies.values():
            lower(energy, bound)


@pytest.mark.parametrize("part", range(4))
def test_mutations(part):
    choose = random.Random(part)
    tokens = sources()
    good = 0
    for number in range(MUTATIONS):
        text = mutated(choose.choice(tokens), tokens, choose)
        diagnostics = Diagnostics()
        _, program = check_source(Source("model.energy", text), diagnostics)
        assert (program is None) == diagnostics.failed, text
        if program is not None:
            good += 1
            with suppress(DiagnosticError):
                lowered(program, np.random.default_rng(number))
    assert good > 20
