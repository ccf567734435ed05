"""The catalog and the methods say the same, and no method is without its tests."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from energylang import catalog
from energylang.catalog import MethodCall
from energylang.syntax.table import parser_table

ROOT = Path(__file__).parents[2]
SPECS = catalog.BUILT_IN


def build(name: str) -> object:
    spec = catalog.methods()[name]
    inner = ((None, MethodCall("gibbs")), (None, MethodCall("nuts")))
    if "inner" in spec.needs:
        inner = ((None, MethodCall("blocks", inner=inner)),)
    given = tuple((option.name, MethodCall("gibbs")) for option in spec.options if option.calls == "kernel")
    return catalog.build(MethodCall(name, given, inner if spec.combines else ()))


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_a_spec_names_tests_that_cover_it(spec: catalog.Method) -> None:
    file = ROOT / spec.tests
    assert file.is_file()
    text = file.read_text()
    assert spec.factory.split(":")[0] in text
    assert spec.factory.split(":")[1] in text
    if spec.protocol in ("kernel", "path"):
        assert "rejected" in text


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_options_and_defaults_are_those_of_the_method(spec: catalog.Method) -> None:
    method = build(spec.name)
    named = {field.name: field.default for field in fields(method) if field.name != "inner"}  # type: ignore[arg-type]
    kernels = {option.name for option in spec.options if option.calls == "kernel"}
    assert kernels <= named.keys(), "a kernel is always given: `auto` chooses those that are not"
    assert {name: value for name, value in named.items() if name not in kernels} == {
        option.name: option.default for option in spec.options if option.name not in kernels
    }
    hash(method)


@pytest.mark.parametrize("spec", [s for s in SPECS if s.protocol == "kernel"], ids=lambda spec: spec.name)
def test_a_kernel_moves_what_its_spec_says(spec: catalog.Method) -> None:
    assert getattr(build(spec.name), "moves") == spec.moves  # noqa: B009 - the attribute of any kernel


def test_the_catalog_needs_no_jax() -> None:
    code = "import sys, energylang.catalog as c; c.methods(); assert 'jax' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


def test_blackjax_is_imported_by_one_module() -> None:
    users = [path.name for path in (ROOT / "energylang").rglob("*.py") if "import blackjax" in path.read_text()]
    users += [path.name for path in (ROOT / "energylang").rglob("*.py") if "from blackjax" in path.read_text()]
    assert set(users) == {"_blackjax.py"}


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_options_can_be_written(spec: catalog.Method) -> None:
    """No option has a reserved word for a name or a choice: the language could not say it."""
    reserved = parser_table().keywords
    words = {word for option in spec.options for word in (option.name, *option.choices)}
    words |= {option.name for verb in spec.tasks for option in catalog.RUN_OPTIONS[verb]}
    assert not words & reserved.keys()
