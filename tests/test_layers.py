"""Each layer imports only from those above it; what must start fast, or run lean, imports nothing heavy."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "energylang"

LAYERS = (
    "source", "codes", "code_examples", "diagnostics", "cache", "resources", "render", "html", "syntax", "stopping", "catalog", "ir", "check", "editors",
    "lsp", "graphs", "toy_sets", "datafiles", "threefry", "model", "lower", "methods", "run", "export", "tasks", "describe", "api", "cli", "notebook",
)  # fmt: skip
"""From the lowest up; `energylang` itself and `__main__` are the doors."""

LIGHT = LAYERS[: LAYERS.index("graphs")]
HEAVY = ("jax", "jaxlib", "numpy", "scipy", "rich", "blackjax", "optax", "h5py", "h5netcdf")


def layer(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path: Path, inside_functions: bool = True) -> list[tuple[int, str]]:
    """Every module that a file imports, with its line; what only a type checker sees is left out."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    hidden = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    if not inside_functions:
        functions = (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
        hidden |= {id(inner) for node in functions for inner in ast.walk(node)}
    found = []
    for node in ast.walk(tree):
        if id(node) in hidden:
            continue
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            found.append((node.lineno, node.module))
            if node.module == "energylang":
                found += [(node.lineno, f"energylang.{alias.name}") for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            pytest.fail(f"{path}:{node.lineno} has a relative import")
    return found


DOORS = (PACKAGE / "__init__.py", PACKAGE / "__main__.py")
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if path not in DOORS)


def test_every_module_has_a_layer() -> None:
    assert {layer(path) for path in MODULES} <= set(LAYERS)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_upwards_only(path: Path) -> None:
    own = LAYERS.index(layer(path))
    for line, module in imports(path):
        parts = module.split(".")
        if parts[0] != "energylang" or len(parts) == 1 or parts[1].startswith("__"):
            continue
        assert LAYERS.index(parts[1]) <= own, f"{path.relative_to(ROOT)}:{line} imports {module}"


@pytest.mark.parametrize("name", LIGHT)
def test_light_layers_import_nothing_heavy(name: str) -> None:
    for path in MODULES:
        if layer(path) == name:
            for line, module in imports(path):
                assert module.split(".")[0] not in HEAVY, f"{path.relative_to(ROOT)}:{line} imports {module}"


def test_subcommands_import_nothing_heavy_at_their_top() -> None:
    for path in (PACKAGE / "cli").glob("*.py"):
        if path.stem == "report":  # imported by functions, once JAX is there
            continue
        for line, module in imports(path, inside_functions=False):
            assert module.split(".")[0] not in HEAVY, f"{path.relative_to(ROOT)}:{line} imports {module}"


def test_drivers_mention_no_method() -> None:
    from energylang.catalog import BUILT_IN

    for path in (PACKAGE / "run").glob("*.py"):
        words = {node.value for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Constant)}
        named = {spec.name for spec in BUILT_IN} & words
        assert not named, f"{path.name} names {named}"


def test_the_run_path_imports_nothing_that_the_model_does_not_need(tmp_path: Path) -> None:
    program = (
        "import sys\nfrom energylang.cli.main import main\n"
        f"try:\n    main(['sample', {str(ROOT / 'examples' / 'eight_schools.energy')!r}, '--draws', '4', '--warmup', '4'])\n"
        "except SystemExit as end:\n    assert end.code == 0, end.code\n"
        "heavy = ('distrax', 'diffrax', 'equinox', 'xarray', 'arviz', 'matplotlib', 'pandas', 'rich', 'tensorflow')\n"
        "found = [name for name in heavy if name in sys.modules]\nassert not found, found\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
