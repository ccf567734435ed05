"""Writes the parts of the documentation that come from registries, so that they cannot drift.

python docs/generate.py           writes docs/errors.md, the tables in docs/language.md and docs/command-line.md, and
                                  grammar/energy.tmLanguage.json
python docs/generate.py --check   exit code 1 where one of them is out of date
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from pathlib import Path

from energylang.catalog import NEEDS, NETS, RUN_OPTIONS, SCHEDULES, Family, describe, methods
from energylang.check.functions import FUNCTIONS
from energylang.cli.options import flag
from energylang.code_examples import CODE_EXAMPLES, LONGEST_SHOWN
from energylang.codes import CODES
from energylang.editors import textmate
from energylang.ir.types import LATER_SPACES, SPACE_MEANINGS, SPACES
from energylang.resources import text

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
            "data only" if info.data_only or name == "count" else "discrete methods" if info.discrete else "gradients"
        )
        rows.append(f"| `{name}` | {SPACE_MEANINGS[name]} | {moved} |")
    return "\n".join([*rows, "", f"Later: {', '.join(f'`{name}`' for name in LATER_SPACES)}."])


def distributions() -> str:
    """Signature, meaning and energy of each distribution of the library, from its own source."""
    source = text("stdlib", "distributions.energy")
    lines = []
    for section in re.split(r"^# --- ", source, flags=re.MULTILINE)[1:]:
        title, _, body = section.partition("\n")
        lines += [f"### {title[0].upper()}{title[1:]}", ""]
        for doc, signature, energy in re.findall(
            r"^# (.*?)\ndistribution (\w+\(.*?\)) =\s*(.*?)(?=\n\n|\n*\Z)", body, flags=re.MULTILINE | re.DOTALL
        ):
            formula = re.sub(r"\s*\n\s*", " ", energy)
            lines += [f"- `{signature}`: {doc}", f"  <br>`{formula}`"]
        lines.append("")
    return "\n".join(lines).rstrip()


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


def families(table: Mapping[str, Family]) -> str:
    """Every form of a net or a schedule, with its options."""
    lines = []
    for spec in table.values():
        lines += [f"- `{spec.form}`: {spec.summary}. Source: {spec.source}."]
        lines += [f"  - `{option.name}`: {describe(option)}" for option in spec.options]
    return "\n".join(lines)


def options() -> str:
    """The options of the runs."""
    lines = []
    for verb, table in RUN_OPTIONS.items():
        if table:
            lines += [f"`{verb}`:", "", *(f"- `{flag(option.name)}`, {describe(option)}" for option in table), ""]
    return "\n".join(lines).rstrip()


SECTIONS = {
    "language.md": {
        "spaces": spaces,
        "distributions": distributions,
        "functions": functions,
        "nets": lambda: families(NETS),
        "schedules": lambda: families(SCHEDULES),
    },
    "command-line.md": {"options": options, "methods": catalog},
}


def generated() -> dict[Path, str]:
    """Each file with the text it should have."""
    found = {
        DOCS / "errors.md": errors(),
        DOCS.parent / "grammar" / "energy.tmLanguage.json": textmate.grammar(),
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
