"""Parser and formatter: what they keep, and how fast they are.

python -m benchmarks.formatter           over every model of the repository and 10,000 generated ones: the tree that is
                                         printed is the tree that is read, formatting twice changes nothing, comments stay
python -m benchmarks.formatter --few 200

Times are of the process, so that other work on the machine does not count.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, settings

from energylang.diagnostics import Diagnostics
from energylang.source import Source
from energylang.syntax import ast
from energylang.syntax.compare import same
from energylang.syntax.parser import parse
from energylang.syntax.printer import format_module, format_text
from tests.syntax.trees import modules

ROOT = Path(__file__).parents[1]


def models() -> list[tuple[str, str]]:
    """Every model of the repository that has no syntax errors."""
    found = []
    for path in sorted(ROOT.rglob("*.energy")):
        text = path.read_text(encoding="utf-8")
        diagnostics = Diagnostics()
        parse(Source(path.name, text), diagnostics)
        if not diagnostics.failed:
            found.append((str(path.relative_to(ROOT)), text))
    return found


def kept(text: str, name: str) -> None:
    """Asserts that formatting keeps the tree and every comment, and that doing it twice changes nothing."""
    once = format_text(text, name)
    before, after = (parse(Source(name, t), Diagnostics()) for t in (text, once))
    assert same(before.declarations, after.declarations), name
    words = [sorted(" ".join(c.text for c in module.comments).split()) for module in (before, after)]
    assert words[0] == words[1], name
    assert format_text(once, name) == once, name


def generated(count: int) -> int:
    """Asserts parse(print(tree)) == tree for generated trees; the number of lines printed."""
    lines = 0

    @settings(
        max_examples=count, derandomize=True, deadline=None, phases=[Phase.generate], database=None,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(modules)
    def every(module: ast.Module) -> None:
        nonlocal lines
        text = format_module(module)
        diagnostics = Diagnostics()
        again = parse(Source("printed", text), diagnostics)
        assert not diagnostics.found, text
        assert same(module.declarations, again.declarations), text
        assert format_module(again) == text, text
        lines += text.count("\n")

    every()
    return lines


def speed(work: Callable[[], object], lines: int) -> float:
    """Lines in a second of this process."""
    start = time.process_time()
    work()
    return lines / (time.process_time() - start)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--few", type=int, default=10_000, help="how many models are generated")
    few = options.parse_args().few
    found = models()
    for name, text in found:
        kept(text, name)
    lines = sum(text.count("\n") for _, text in found)
    print(
        f"{len(found)} models of the repository, {lines:,} lines: trees and comments kept, formatting twice changes nothing"
    )
    # Many times over, so that a second is measured and the parser's table is warm.
    copies = max(1, 20_000 // lines)
    texts = [text for _, text in found] * copies
    lines *= copies
    parsed = [parse(Source("m", text), Diagnostics()) for text in texts]
    print(
        f"parser     {speed(lambda: [parse(Source('m', text), Diagnostics()) for text in texts], lines):8,.0f} lines/s"
    )
    print(f"printer    {speed(lambda: [format_module(module) for module in parsed], lines):8,.0f} lines/s")
    print(
        f"formatter  {speed(lambda: [format_text(text, 'm') for text in texts], lines):8,.0f} lines/s, with its own checks"
    )
    terms = "energy e(x: real) =\n  " + "\n  + ".join(f"x^{n}" for n in range(5000)) + "\n"
    start = time.process_time()
    kept(terms, "sum")
    print(f"a sum of 5,000 terms is formatted and checked in {time.process_time() - start:.1f} s")
    # Last: what hypothesis leaves behind slows the collector of garbage, and so everything after it.
    made = generated(few)
    print(f"{few:,} generated models, {made:,} lines: parse(print(tree)) == tree")


if __name__ == "__main__":
    main()
