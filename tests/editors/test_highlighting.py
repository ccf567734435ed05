"""Highlighters: nothing of a shipped file is unknown to them, every word has its class, and they agree."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pygments.lexers import load_lexer_from_file
from pygments.token import Comment, Error, Keyword, Name, Operator, Whitespace

from energylang.editors import textmate
from energylang.editors.pygments import TOKENS, EnergyLexer
from energylang.editors.vocabulary import vocabulary
from energylang.syntax.table import parser_table

ROOT = Path(__file__).parents[2]
FILES = sorted([*ROOT.glob("examples/*.energy"), *ROOT.glob("stdlib/*.energy")])
SAMPLE = """\
import shapes.rings as rings
extern net f: (real[2], count) -> simplex[2]
energy ring(x: real[2] @ t: noise, n: cat(k)[3]) = 0.5 * norm2(f(x, t)) + count - beta(1, 2) # beta(2)
sample ring with nuts(step_size = 1e-3), draws = 1_000
let a = if not x == "text" then pi else z[1:, :-1] |> exp(1)
"""


def lexed(text: str) -> list[tuple[str, Any]]:
    return [(piece, token) for token, piece in EnergyLexer(stripnl=False, ensurenl=False).get_tokens(text)]


def classes(text: str) -> dict[str, Any]:
    return {piece: token for piece, token in lexed(text) if token is not Whitespace}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_shipped_files_have_no_unknown_text(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    pieces = lexed(text)
    assert "".join(piece for piece, _ in pieces) == text
    assert [piece for piece, token in pieces if token in Error] == []


def test_the_grammar_s_words_have_classes() -> None:
    words = vocabulary()
    reserved = {*words.declarations, *words.tasks, *words.controls, *words.operators, *words.truths}
    assert reserved == set(parser_table().keywords)
    for expected, group in [
        (Keyword.Declaration, words.declarations),
        (Keyword, (*words.tasks, *words.controls)),
        (Operator.Word, words.operators),
        (Keyword.Constant, (*words.truths, *words.constants)),
    ]:
        for word in group:
            assert lexed(word) == [(word, expected)]
    for word in words.spaces:
        assert classes(f"data x: {word}[3]")[word] is Keyword.Type
    for word in (*words.functions, *words.distributions, *words.forms):
        assert classes(f"let x = {word}(1)")[word] is Name.Builtin
    for word in words.methods:
        assert classes(f"sample e with {word}")[word] is Name.Function


def test_a_word_s_class_depends_on_where_it_stands() -> None:
    assert classes("let beta = beta(2, 2)") != classes("let beta = 2")
    assert classes("+= count * unit")["count"] is Name
    assert classes("fn real(x) = x")["real"] is Name.Function
    assert classes("# data x: real") == {"# data x: real": Comment.Single}
    assert classes("net f: (real, unit) -> real = mlp([1])")["unit"] is Keyword.Type
    assert lexed("datable")[0][1] is Name


def test_unknown_characters_are_errors() -> None:
    assert lexed("let a = 1 $ 2")[8] == ("$", Error)


def test_the_entry_point_names_the_lexer() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    place = project["entry-points"]["pygments.lexers"]["energylang"]
    module, name = place.split(":")
    found = load_lexer_from_file(str(ROOT / (module.replace(".", "/") + ".py")), name)
    assert found.name == "EnergyLang"


# --- TextMate ---------------------------------------------------------------------------------------------------


def scopes(text: str) -> Iterator[tuple[str, str]]:
    """What a TextMate engine says: in each line the pattern that matches first, the earlier of those at one place."""
    patterns = [(re.compile(p["match"]), p) for p in json.loads(textmate.grammar())["patterns"]]
    for line in text.splitlines():
        place = 0
        while place < len(line):
            hits = [(m.start(), n, m) for n, (regex, _) in enumerate(patterns) if (m := regex.search(line, place))]
            if not hits:
                break
            _, number, hit = min(hits, key=lambda each: each[:2])
            pattern = patterns[number][1]
            if "captures" in pattern:
                for group, capture in pattern["captures"].items():
                    yield hit[int(group)], capture["name"]
            else:
                yield hit[0], pattern["name"]
            place = hit.end()


@pytest.mark.parametrize("text", [SAMPLE, *(path.read_text(encoding="utf-8") for path in FILES)])
def test_textmate_and_pygments_agree(text: str) -> None:
    names = {f"{scope}.energy": TOKENS[each] for each, scope in textmate.SCOPES.items()}
    ours = [(piece, names[scope]) for piece, scope in scopes(text)]
    assert ours == [(piece, token) for piece, token in lexed(text) if token is not Whitespace]


def test_the_written_grammar_is_up_to_date() -> None:
    assert (ROOT / "grammar" / "energy.tmLanguage.json").read_text(encoding="utf-8") == textmate.grammar()
