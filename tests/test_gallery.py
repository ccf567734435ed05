"""The gallery: textbook models, each right without a finding, formatted, and with a finite energy and gradient."""

from __future__ import annotations

import zlib
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import energylang
from energylang.model import UNBOUNDED, Point
from energylang.syntax.printer import format_text

FILES = sorted((Path(__file__).parents[1] / "examples" / "gallery").glob("*.energy"))
FAST_TO_COMPILE = {
    "xla_backend_optimization_level": 0,
    "xla_llvm_disable_expensive_passes": True,
    "xla_cpu_use_fusion_emitters": False,
}
"""Each function runs once."""


def check_model_file(path: Path) -> None:
    """Assert what every model of the gallery keeps."""
    text = path.read_text(encoding="utf-8")
    assert text.startswith("# "), "a comment on top says what the model is"
    assert format_text(text, path.name) == text
    model = energylang.load(path)
    assert not model.diagnostics
    name, task = model.choose("sample")
    assert task is not None
    target = model[name].target()
    generator = np.random.default_rng(zlib.crc32(path.stem.encode()))
    # Half of Stan's radius: every model is finite there, and a single point has no second try.
    real = generator.uniform(-1, 1, target.facts.reals).astype(np.float32)
    codes = tuple(
        jnp.asarray(generator.integers(0, 3 if cardinality == UNBOUNDED else cardinality, sites), jnp.int32)
        for cardinality, sites in zip(target.facts.cardinalities, target.facts.sites, strict=True)
    )
    function = jax.jit(lambda real: jax.value_and_grad(lambda x: target.log_density(Point(x, codes)))(real))
    value, gradient = function.lower(real).compile(compiler_options=FAST_TO_COMPILE)(real)
    assert np.isfinite(value)
    assert np.all(np.isfinite(gradient))
    assert not gradient.size or np.any(gradient != 0)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_model_is_right_and_finite(path):
    check_model_file(path)


@pytest.mark.parametrize(
    "text",
    [
        "energy e(x: real) = x^2\n\nsample e\n",
        "# No task.\nenergy e(x: real) = x^2\n",
        "# A lint.\nenergy e(x: real, y: real) = x^2\n\nsample e\n",
        "# Not formatted.\nenergy  e(x: real) = x^2\n\nsample e\n",
        "# Nowhere finite.\nenergy e(x: real) = log(-1 - x^2)\n\nsample e\n",
        "# No gradient.\nenergy e(x: real) = x^2 + sqrt(x - x)\n\nsample e\n",
    ],
)
def test_a_model_that_is_not_is_found(text, tmp_path):
    path = tmp_path / "model.energy"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(AssertionError):
        check_model_file(path)
