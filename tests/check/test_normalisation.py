"""When a block is normalised: parts that cover, shifts that go forward; and log Z by enumeration agrees."""

from __future__ import annotations

import numpy as np
import pytest

import energylang as el
from energylang.check import check_source
from energylang.diagnostics import Diagnostics
from energylang.ir.nodes import Normalisation
from energylang.source import Source

CHAIN = """
data theta: simplex[3, 3] = [[0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.3, 0.3, 0.4]]
data start: simplex[3] = [0.2, 0.3, 0.5]
energy e(z: cat(3)[4]{more}) {{
{body}
}}
"""

NORMALISED = {
    "a chain": "  z[0] ~ categorical(start)\n  z[1:] ~ categorical(theta[z[:-1]])",
    "in another order": "  z[1:] ~ categorical(theta[z[:-1]])\n  z[0] ~ categorical(start)",
    "two at the start": "  z[:2] ~ categorical(start)\n  z[2:] ~ categorical(theta[z[:-2]])",
    "all on the first": "  z[0] ~ categorical(start)\n  z[1:] ~ categorical(theta[z[0]])",
    "entry by entry": "  z[0] ~ categorical(start)\n  z[1] ~ categorical(theta[z[0]])\n  z[2:] ~ categorical(theta[z[0]])",
    "the last by a negative index": "  z[:-1] ~ categorical(start)\n  z[-1] ~ categorical(theta[z[0]])",
}

NOT = {
    "no start": ("  z[1:] ~ categorical(theta[z[:-1]])", "each of its entries once"),
    "an entry twice": ("  z ~ categorical(start)\n  z[1:] ~ categorical(theta[z[:-1]])", "each of its entries once"),
    "backwards": ("  z[-1] ~ categorical(start)\n  z[:-1] ~ categorical(theta[z[1:]])", "in a cycle"),
    "on itself": ("  z[0] ~ categorical(start)\n  z[1:] ~ categorical(theta[z[1:]])", "in a cycle"),
    "turned round": ("  z[0] ~ categorical(start)\n  z[1:] ~ categorical(theta[reverse(z[:-1])])", "in a cycle"),
    "two whole ones": ("  z ~ categorical(start)\n  z ~ categorical(start)", "two densities"),
}


@pytest.mark.parametrize("name", NORMALISED)
def test_covered_forwards(name: str) -> None:
    model = el.compile(CHAIN.format(body=NORMALISED[name], more=""))
    assert model.node("e").normalisation is Normalisation.NORMALISED, model.node("e").reason
    configurations = np.stack(np.meshgrid(*[range(3)] * 4, indexing="ij"), -1).reshape(-1, 4)
    import jax

    energies = jax.vmap(lambda z: model["e"](z=z))(configurations)
    assert float(jax.numpy.sum(jax.numpy.exp(-energies))) == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize("name", NOT)
def test_not_covered_or_not_forwards(name: str) -> None:
    body, words = NOT[name]
    diagnostics = Diagnostics()
    _, program = check_source(Source("m", CHAIN.format(body=body, more="")), diagnostics)
    assert program is not None, diagnostics.found
    assert program.energies["e"].normalisation is Normalisation.UNKNOWN
    assert words in program.energies["e"].reason


def test_a_random_walk_is_normalised_and_a_broadcast_is_no_shift() -> None:
    text = "energy e(x: real[5]) {\n  x[0] ~ normal(0, 1)\n  x[1:] ~ normal(0.5 * x[:-1] + 1, 2)\n}"
    assert el.compile(text).node("e").normalisation is Normalisation.NORMALISED
    # [4] against [4, 5] lines up with the last axis, not the first: rows are not shifted entries.
    text = "energy e(x: real[5, 4]) {\n  x[0] ~ normal(0, 1)\n  x[1:] ~ normal(x[:-1, 0], 1)\n}"
    assert el.compile(text).node("e").normalisation is Normalisation.UNKNOWN
