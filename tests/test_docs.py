"""The documentation is true: models are checked, Python runs, commands print what the pages show.

Blocks of a page run in order, in one folder and one namespace. After ```energy stand `run` (lowered, and sampled briefly by
`pytest -m long`) or `wrong CODE` (must be found); a ```console block has commands after `$`, and lines that must come in this
order, numbers aside.
"""

from __future__ import annotations

import os
import re
import runpy
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

import energylang as el
from energylang.catalog import too_few
from energylang.check import check_source
from energylang.codes import CODES
from energylang.diagnostics import Diagnostics
from energylang.render import render
from energylang.source import Source
from energylang.syntax.printer import format_text
from tests.cli.conftest import EXAMPLES, Cli, cli

__all__ = ["cli"]

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), ROOT / "CHANGELOG.md"]
EXCERPTS = [ROOT / "docs" / "adding-a-method.md"]
"""Pages whose Python is quoted from the source."""
BLOCK = re.compile(r"^```(\w+)(?: ([^\n]*))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NEEDS = {"embedding.md": ("flatbuffers",)}
"""Packages of the extra `test` that a page uses, and that a plain installation leaves out."""
RUN = {"draws": 20, "warmup": 20, "chains": 2}


def blocks(page: Path) -> Iterator[tuple[str, str, str]]:
    for match in BLOCK.finditer(page.read_text(encoding="utf-8")):
        yield match[1], match[2] or "", match[3]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(EXAMPLES, tmp_path / "examples")
    return tmp_path


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_page(page: Path, folder: Path, cli: Cli) -> None:
    for package in NEEDS.get(page.name, ()):
        pytest.importorskip(package)
    namespace: dict[str, object] = {}
    for number, (language, flags, text) in enumerate(blocks(page)):
        if language == "energy":
            check_model(f"{page.name}, block {number}", flags, text)
        elif language == "python" and page not in EXCERPTS:
            exec(compile(text, f"{page.name}, block {number}", "exec"), namespace)
        elif language == "console":
            check_commands(text, cli)


def check_model(name: str, flags: str, text: str) -> None:
    diagnostics = Diagnostics()
    _, program = check_source(Source(name, text), diagnostics, {})
    found = [finding.code for finding in diagnostics.found]
    if flags.startswith("wrong"):
        assert found == flags.split()[1:], render(diagnostics.found)
        return
    assert program is not None, render(diagnostics.found)
    assert found == [], render(diagnostics.found)
    if flags == "run":
        model = el.compile(text)
        assert model[model.choose("sample")[0]].compiled is not None


@pytest.mark.long
@pytest.mark.parametrize(
    "page", [page for page in PAGES if any(flags == "run" for _, flags, _ in blocks(page))], ids=lambda page: page.name
)
def test_models_of_a_page_are_sampled(page: Path, folder: Path) -> None:
    for language, flags, text in blocks(page):
        if (language, flags) != ("energy", "run"):
            continue
        model = el.compile(text)
        name, task = model.choose("sample")
        options = dict(RUN)
        if task is not None and task.method is not None and task.method.name in ("enumerate", "importance"):
            options.pop("warmup")
        if task is not None and task.method is not None and too_few(task.method, RUN["chains"]):
            options["chains"] = 8
        model[name].sample(**options)


def check_commands(text: str, cli: Cli) -> None:
    parts = re.split(r"^\$ (.*)\n", text, flags=re.MULTILINE)
    for command, expected in zip(parts[1::2], parts[2::2], strict=True):
        words = shlex.split(command)
        assert words[0] == "energylang", command
        result = cli(*words[1:])
        assert result.code == 0, f"{command}: {result.err}"
        shown = plain(result.err + "\n" + result.out)
        at = 0
        for line in filter(None, map(plain, expected.splitlines())):
            if line == "…":
                continue
            place = shown.find(line, at)
            assert place >= 0, f"`{command}` does not print `{line}`, but\n{shown}"
            at = place + len(line)


def plain(text: str) -> str:
    """Numbers and blanks made equal: they differ between machines, the words do not."""
    text = re.sub(r"-?\b\d[\d,.]*(e[+-]?\d+)?", "#", text)
    return re.sub(r"[ \t]+", " ", text).strip()


@pytest.mark.parametrize("page", EXCERPTS, ids=lambda page: page.name)
def test_excerpts_are_of_the_source(page: Path) -> None:
    files = [*(ROOT / "energylang").rglob("*.py"), *(ROOT / "tests").rglob("*.py")]
    source = {" ".join(line.split()) for path in files for line in path.read_text(encoding="utf-8").splitlines()}
    for language, _, text in blocks(page):
        if language == "python":
            missing = [line for line in text.splitlines() if " ".join(line.split()) not in source]
            assert missing == []


def test_generated_pages_are_up_to_date() -> None:
    generate = runpy.run_path(str(ROOT / "docs" / "generate.py"))
    stale = [path.name for path, page in generate["generated"]().items() if path.read_text("utf-8") != page]
    assert stale == [], "run `python docs/generate.py`"


def test_every_code_is_in_a_section_and_in_use() -> None:
    generate = runpy.run_path(str(ROOT / "docs" / "generate.py"))
    assert all(code.startswith(tuple(generate["RANGES"])) for code in CODES)
    package = ROOT / "energylang"
    source = "".join(path.read_text() for path in package.rglob("*.py") if path.name != "codes.py")
    unused = [code for code in CODES if f'"{code}"' not in source]
    assert unused == []


def test_links_lead_somewhere() -> None:
    for page in PAGES:
        prose = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
        for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", prose):
            if "://" not in target:
                assert (page.parent / target).exists(), f"{page.name} links to {target}"


@pytest.mark.parametrize("example", sorted(EXAMPLES.glob("*.energy")), ids=lambda path: path.stem)
def test_example(example: Path, folder: Path) -> None:
    text = example.read_text(encoding="utf-8")
    assert text.startswith("# "), "an example begins by saying what it is"
    assert format_text(text, example.name) == text
    model = el.load(example)
    assert model.diagnostics == ()
    for task in model.program.tasks:
        assert model[task.energy.name].compiled is not None


@pytest.mark.long
@pytest.mark.parametrize("example", sorted(EXAMPLES.glob("*.energy")), ids=lambda path: path.stem)
def test_tasks_of_an_example_run(example: Path, folder: Path) -> None:
    model = el.load(example)
    for task in model.program.tasks:
        energy = model[task.energy.name]
        options = dict(RUN) if task.verb == "sample" else {"draws": 20} if task.verb == "evidence" else {"steps": 20}
        getattr(energy, task.verb)(**options)


def test_ci_runs_the_command_that_the_readme_gives() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
    commands = [text.strip() for language, _, text in blocks(ROOT / "README.md") if language == "sh"]
    (test_command,) = [command for command in commands if "pytest" in command]
    assert test_command in script
    assert ".venv/bin/energylang sample examples/eight_schools.energy" in readme
