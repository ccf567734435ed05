"""Writes the parts of the documentation that come from registries, so that they cannot drift.

python docs/generate.py           writes docs/errors.md, docs/distributions.md, docs/grammar.md, the tables in docs/language.md and docs/command-line.md, and
                                  grammar/energy.tmLanguage.json, grammar/energy.table.json
python docs/generate.py --check   exit code 1 where one of them is out of date
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from pathlib import Path

from energylang.catalog import (
    BASES,
    LAYERS,
    NEEDS,
    NETS,
    OPTIMIZERS,
    RATES,
    RUN_OPTIONS,
    SCHEDULES,
    Family,
    Form,
    Layer,
    describe,
    methods,
)
from energylang.catalog.layers import FIELDS, TRANSFORMERS
from energylang.check.draws import DRAWABLE
from energylang.check.functions import FUNCTIONS
from energylang.cli.options import flag
from energylang.code_examples import CODE_EXAMPLES, LONGEST_SHOWN
from energylang.codes import CODES
from energylang.editors import textmate
from energylang.editors.vocabulary import vocabulary
from energylang.ir.types import LATER_SPACES, SPACE_MEANINGS, SPACES
from energylang.resources import text
from energylang.syntax import ast
from energylang.syntax.library import parse_library
from energylang.syntax.precedence import COMPARISON, LEVELS, OPERANDS, POWER
from energylang.syntax.table import SHIPPED, parser_table, shipped_form

DOCS = Path(__file__).parent

RANGES = {
    "E01": "Text and syntax",
    "E02": "Names",
    "E03": "Types, shapes and indices",
    "E04": "Spaces and supports",
    "E05": "Blocks and normalisation",
    "E06": "Tasks and methods",
    "E07": "Data and params",
    "E08": "Runs and files",
    "E09": "Usage",
    "L01": "Lints",
    "N07": "Notes",
}


def errors() -> str:
    """The page of diagnostic codes."""
    lines = [
        "# Diagnostic codes",
        "",
        "`energylang explain CODE` prints one of these. A code is never reused for another meaning. The exit code of a",
        "command is the smallest of its errors': 1 the model is wrong, 2 usage, 3 data or shape, 4 the run failed, 125 a",
        "defect of EnergyLang, 130 interrupted.",
    ]
    for start, title in RANGES.items():
        here = sorted(code for code in CODES if code.startswith(start))
        lines += ["", f"## {title}"]
        for code in here:
            entry = CODES[code]
            kind = f"exit code {entry.exit_code}" if entry.severity == "error" else entry.severity
            lines += ["", f"### {code}: {entry.title}", "", f"{entry.explanation} ({kind})"]
            example = CODE_EXAMPLES.get(code, "")
            if 0 < example.count("\n") <= LONGEST_SHOWN:
                lines += ["", "```text", *example.splitlines(), "```"]
    return "\n".join(lines) + "\n"


def spaces() -> str:
    """The table of spaces."""
    rows = ["| space | values | moved by |", "|---|---|---|"]
    for name, info in SPACES.items():
        moved = (
            "data only"
            if info.data_only
            else "`metropolis`"
            if name == "count"
            else "discrete methods"
            if info.discrete
            else "gradients"
        )
        rows.append(f"| `{name}` | {SPACE_MEANINGS[name]} | {moved} |")
    return "\n".join([*rows, "", f"Later: {', '.join(f'`{name}`' for name in LATER_SPACES)}."])


def _library() -> dict[str, list[ast.Energy]]:
    """The distributions of the library by section."""
    module = parse_library("distributions")
    titles = [c for c in module.comments if c.text.startswith(" --- ")]
    sections: dict[str, list[ast.Energy]] = {}
    title = ""
    for declaration in module.declarations:
        while titles and titles[0].span.start < declaration.span.start:
            title = titles.pop(0).text.removeprefix(" --- ")
        if isinstance(declaration, ast.Energy):
            sections.setdefault(f"{title[0].upper()}{title[1:]}", []).append(declaration)
    return sections


def distributions() -> str:
    """Signature, meaning and energy of each distribution of the library, from its own source."""
    lines: list[str] = []
    for title, found in _library().items():
        lines += ["", f"### {title}", ""]
        for declaration in found:
            assert declaration.signature is not None
            body, doc = declaration.body.span, " ".join(declaration.doc.split("\n"))
            formula = re.sub(r"\s*\n\s*", "; " if isinstance(declaration.body, ast.Block) else " ", body.text)
            formula = formula.replace("{;", "{").replace("; }", " }")
            lines += [f"- `{declaration.name.text}{declaration.signature.span.text}`: {doc}", f"  <br>`{formula}`"]
    return "\n".join(lines).strip()


def distributions_page() -> str:
    """Every distribution with its support, and what can be done with it."""
    functions = {d.name.text for d in parse_library("distributions").declarations if isinstance(d, ast.Fn)}
    lines = [
        "# Distributions",
        "",
        "The conditional densities of the standard library. Names, arguments and their order are Stan's; `multinomial` also",
        "takes the number N of trials, without which it would not be normalised. *Drawn*: exactly, by `report a ~ d(…)`.",
        "*Truncated*: by `truncate(d(…), lower = a, upper = b)`. [language.md](language.md) has their energies.",
    ]
    for title, found in _library().items():
        lines += ["", f"## {title}", "", "| distribution | support | drawn | truncated |", "|---|---|---|---|"]
        for declaration in found:
            signature, name = declaration.signature, declaration.name.text
            assert signature is not None
            form = f"{name}({', '.join(p.name.text for p in signature.conditions)})"
            supports = ", ".join(p.type.span.text for p in signature.variables if p.type is not None)
            doc = " ".join(declaration.doc.split("\n"))
            drawn, cut = (("yes" if known else "") for known in (name in DRAWABLE, f"{name}_log_cdf" in functions))
            lines.append(f"| `{form}`: {doc} | `{supports}` | {drawn} | {cut} |")
    return "\n".join(lines) + "\n"


def functions() -> str:
    """Every function: its form and what it is."""
    elementwise = [name for name, function in FUNCTIONS.items() if function.doc == "elementwise"]
    shared: dict[str, list[str]] = {}
    for name in elementwise:
        shared.setdefault(", ".join(FUNCTIONS[name].parameters), []).append(f"`{name}`")
    lines = [f"- Element by element, of ({parameters}): {', '.join(names)}." for parameters, names in shared.items()]
    lines += ["", "| form | value |", "|---|---|"]
    for name, function in FUNCTIONS.items():
        if name in elementwise:
            continue
        shown = [f"{p} = …" if p in function.static else "…" if p == "*" else p for p in function.parameters]
        lines.append(f"| `{name}({', '.join(shown)})` | {function.doc} |")
    return "\n".join(lines)


def catalog() -> str:
    """Every method with its options."""
    lines = []
    for spec in methods().values():
        lines += [f"### {spec.name}", "", f"{spec.summary[0].upper()}{spec.summary[1:]}.", ""]
        moves = "every variable" if spec.moves == "any" else f"{spec.moves} variables"
        needs = "".join(f" Needs {NEEDS[need]}." for need in spec.needs)
        lines += [
            f"For {', '.join(f'`{verb}`' for verb in spec.tasks)}; moves {moves}.{needs} Source: {spec.source}.",
            "",
        ]
        lines += [f"- `{option.name}`: {describe(option)}" for option in spec.options]
        if spec.options:
            lines.append("")
    return "\n".join(lines).rstrip()


def families(table: Mapping[str, Family] | Mapping[str, Form] | Mapping[str, Layer]) -> str:
    """Every form of a net, a schedule or a layer, with its options."""
    lines = []
    for spec in table.values():
        nature = f" Log-determinant {spec.log_determinant}, inverse {spec.inverse}." if isinstance(spec, Layer) else ""
        lines += [f"- `{spec.form}`: {spec.summary}. Source: {spec.source}.{nature}"]
        lines += [f"  - `{option.name}`: {describe(option)}" for option in spec.options]
    return "\n".join(lines)


def options() -> str:
    """The options of the runs."""
    lines = []
    for verb, table in RUN_OPTIONS.items():
        if table:
            lines += [f"| `{verb}` | value | meaning |", "|---|---|---|"]
            for option in table:
                kind, _, meaning = describe(option).partition(": ")
                lines.append(f"| `{flag(option.name)}` | {kind.replace('|', 'or')} | {meaning} |")
            lines.append("")
    return "\n".join(lines).rstrip()


def grammar() -> str:
    """The page of the grammar: its rules as they are, with the texts of the terminals; precedence; reserved words."""
    table = parser_table()
    written = {kind: f'"{word}"' for words in (table.keywords, table.symbols) for word, kind in words.items()}
    written |= {"NAME": "NAME", "NUMBER": "NUMBER", "STRING": "STRING", "_NEWLINE": "NEWLINE"}
    lines = [
        "# The grammar",
        "",
        "Generated from `grammar/energy.lark`, which the parser is made of, by `docs/generate.py`. [language.md](language.md) says",
        "what it all means. `( … )?` is optional, `( … )*` repeated, `|` separates alternatives. NEWLINE stands only between two",
        "declarations or two statements: newlines inside brackets and next to operators, `=` and commas do not count.",
    ]
    source = text("grammar", "energy.lark").partition("// --- terminals")[0]
    for section in re.split(r"^// --- ", source, flags=re.MULTILINE)[1:]:
        title, _, body = section.partition("\n")
        title = title.strip("- ")
        rules = _aligned(re.sub(r" *-> \w+", "", body.strip()))
        rules = re.sub(r"^\?|(?<![A-Za-z_])_(?=[a-z])", "", rules, flags=re.MULTILINE)
        rules = re.sub(r"\b_?[A-Z][A-Z_]+\b", lambda hit: written[hit[0]], rules)
        lines += ["", f"## {title[0].upper()}{title[1:]}", "", "```ebnf", rules, "```"]
    lines += ["", "## Tokens", "", "```ebnf"]
    for name in ("NAME", "NUMBER", "STRING"):
        pattern = table.patterns[name]
        if name == "NAME":
            pattern = pattern[pattern.index(r"\b)") + 3 :]
        shown = pattern.replace("\n", r"\n")
        lines.append(f"{name}: /{shown}/")
    lines += ["```", "", "A NAME is none of the reserved words. Comments go from `#` to the end of the line."]
    return "\n".join([*lines, "", *_precedence(), "", *_words()]) + "\n"


def _aligned(rules: str) -> str:
    """Alternatives on lines of their own below the colon of their rule, once the marks before its name are gone."""
    lines, column = [], 0
    for line in rules.split("\n"):
        if not line.startswith(" "):
            column = line.find(":") - len(line) + len(line.lstrip("?_"))
        lines.append(f"{' ' * column}{line.strip()}" if line.startswith(" ") else line)
    return "\n".join(lines)


def _precedence() -> list[str]:
    """The operators, loosest first."""
    sides = {True: "from the left", False: "not chained"}
    rows = [("`if c then a else b`, `fn(x): e`", "to the right as far as it goes"), ("`\\|>`", "from the left")]
    for level, (left, right) in sorted(OPERANDS.items()):
        operators = " ".join(f"`{operator}`" for operator, at in LEVELS.items() if at == level)
        if level == COMPARISON:
            rows.append(("`not`", "before its operand"))
        if level == POWER:
            rows += [("`-` `+`", "before their operand"), (operators, "from the right")]
        else:
            rows.append((operators, sides[left == level and right > level]))
    rows.append(("`x[…]` `f(…)`", "behind their operand"))
    table = [f"| {number} | {operators} | {how} |" for number, (operators, how) in enumerate(rows, 1)]
    return ["## Precedence", "", "Loosest first.", "", "| | operators | grouped |", "|---|---|---|", *table]


def _words() -> list[str]:
    """The reserved words by class."""
    words = vocabulary()
    classes = {
        "declarations": words.declarations, "tasks": words.tasks, "operators": words.operators, "values": words.truths,
        "others": words.controls,
    }  # fmt: skip
    lines = [f"- {title}: {', '.join(f'`{word}`' for word in group)}" for title, group in classes.items()]
    return [
        "## Reserved words",
        "",
        *lines,
        "",
        "Names of spaces, functions, distributions and methods are not reserved.",
    ]


SECTIONS = {
    "flows.md": {
        "layers": lambda: families(LAYERS),
        "transformers": lambda: families(TRANSFORMERS),
        "fields": lambda: families(FIELDS),
        "bases": lambda: families(BASES),
    },
    "language.md": {
        "spaces": spaces,
        "distributions": distributions,
        "functions": functions,
        "nets": lambda: families(NETS),
        "schedules": lambda: families(SCHEDULES),
    },
    "command-line.md": {"options": options, "methods": catalog},
    "train.md": {"optimizers": lambda: families(OPTIMIZERS), "rates": lambda: families(RATES)},
}


def generated() -> dict[Path, str]:
    """Each file with the text it should have."""
    found = {
        DOCS / "errors.md": errors(),
        DOCS / "distributions.md": distributions_page(),
        DOCS / "grammar.md": grammar(),
        DOCS.parent / "grammar" / "energy.tmLanguage.json": textmate.grammar(),
        DOCS.parent / "grammar" / SHIPPED: shipped_form(),
    }
    for name, sections in SECTIONS.items():
        page = (DOCS / name).read_text(encoding="utf-8")
        for section, make in sections.items():
            pattern = re.compile(rf"(<!-- generated: {section} -->\n).*?(<!-- end -->)", re.DOTALL)
            made = make().replace("\\", "\\\\")
            page, count = pattern.subn(rf"\g<1>{made}\n\g<2>", page)
            assert count == 1, f"{name} has {count} places for {section}"
        found[DOCS / name] = page
    return found


def main() -> int:
    stale = [path for path, page in generated().items() if not path.exists() or path.read_text("utf-8") != page]
    if "--check" in sys.argv:
        for path in stale:
            print(f"out of date: {path.name}; run `python docs/generate.py`")
        return int(bool(stale))
    pages = generated()
    for path in stale:
        path.write_text(pages[path], encoding="utf-8")
        print(f"wrote {path.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
