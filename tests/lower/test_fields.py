"""Fields of dense couplings: gains from them against energies at every configuration, and against fields made afresh."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import energylang
from energylang.ir.verify import VerificationError
from energylang.lower import couplings
from energylang.lower.verify import verify_structure
from energylang.model import Point
from tests.lower.test_fuzz import lowered
from tests.lower.test_gains import brute_gains, every_point

_random = np.random.default_rng(11)
_pairs = np.array([[i, j] for i in range(9) for j in range(i)])
_most = np.array([[i, j] for i in range(10) for j in range(i) if (i, j) != (7, 2)])

MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "independent set": (
        """
data edges: cat(10)[E, 2]
energy e(x: binary[10], price: positive) =
  0.2 * (sum(x) - 3)^2 - 1.3 * sum(x) + price * sum(x[edges[:, 0]] * x[edges[:, 1]]) + price
""",
        {"edges": _most},
    ),
    "spin glass": (
        """
data edges: cat(n)[E, 2]
data J: real[E]
data b: real[n]
energy e(s: spin[n]) = -sum(J * s[edges[:, 0]] * s[edges[:, 1]] * (1 + s[edges[:, 1]])) - sum(b * s)
""",
        {
            "edges": np.concatenate([_pairs, _pairs[:5], [[3, 3]]]),
            "J": _random.normal(size=len(_pairs) + 6),
            "b": _random.normal(size=9),
        },
    ),
    "dense product": (
        """
data J: real[n, n]
data b: real[n]
energy e(x: binary[n], beta: positive) = -beta * (0.5 * dot(x, J @ x) + dot(b, x)) + beta
""",
        {"J": _random.normal(size=(9, 9)), "b": _random.normal(size=9)},
    ),
    "comprehension": (
        """
data J: real[n, n]
energy e(s: spin[n]) = -0.5 * sum(for i in n, j in n: if i != j then J[i, j] * s[i] * s[j] else 0) + 0.1 * abs(sum(s))
""",
        {"J": _random.normal(size=(9, 9))},
    ),
    "potts": (
        """
data edges: cat(9)[E, 2]
data J: real[E]
energy e(s: cat(3)[9]) = -sum(J * (s[edges[:, 0]] == s[edges[:, 1]])) + 0.3 * sum((s[edges[:, 0]])^2 + s[edges[:, 1]])
""",
        {"edges": _pairs, "J": _random.normal(size=len(_pairs))},
    ),
    "several arrays": (
        """
data edges: cat(9)[E, 2]
data J: real[E]
data T: real[3, 2]
energy e(x: binary[4], s: spin[5], c: cat(3)[2], price: positive) {
  let all = concatenate((2 * x - 1, s), axis = 0)
  += -sum(J * all[edges[:, 0]] * all[edges[:, 1]]) - price * sum(all[edges[:, 0]] * (J > 0) * all[edges[:, 1]])
  += sum(T[c, x[:2]]) - 0.4 * sum(c[1:] == c[:-1]) + 0.5 * price^2
}
""",
        {"edges": _pairs, "J": 0.5 * _random.normal(size=len(_pairs)), "T": _random.normal(size=(3, 2))},
    ),
}


@cache
def compiled(name: str) -> Any:
    text, data = MODELS[name]
    return energylang.compile(text, data=data)["e"]


@cache
def table(name: str) -> tuple[Point, list[np.ndarray]]:
    """Every configuration, the reals at 0.3, and the gains by differences of energies: per code array [states, D, k]."""
    target = compiled(name).target()
    facts = target.facts
    points = every_point(target)._replace(real=jnp.full((facts.states, facts.reals), 0.3))
    energies = np.asarray(jax.jit(jax.vmap(target.energy))(points), np.float64)
    sizes = [k for k, n in zip(facts.cardinalities, facts.sites, strict=True) for _ in range(n)]
    gains = brute_gains(energies, sizes)
    found = []
    for count in facts.sites:
        found.append(np.stack(gains[:count], axis=1))
        gains = gains[count:]
    return points, found


@jax.jit
def by_fields(target: Any, x: Point, start: Point) -> Any:
    """Gains of all sites at x: with fields made there, without, and with those of `start` carried to x colour by colour."""
    everywhere = tuple(jnp.arange(n, dtype=jnp.int32) for n in target.facts.sites)

    def move(colour: Any, now: Any) -> Any:
        place, carried = now
        found = target.gains_of_colour(place, colour, carried)
        values = tuple(new[jnp.minimum(s, len(new) - 1)] for (s, _, _), new in zip(found, x.code, strict=True))
        carried = target.carried_after(place, carried, colour, values)
        code = tuple(
            old.at[sites].set(new, mode="drop")
            for (sites, _, _), old, new in zip(found, place.code, values, strict=True)
        )
        return Point(x.real, code), carried

    traced = jax.lax.fori_loop(0, target.facts.colours, move, (start, target.carried(start)))
    static = (start, target.carried(start))
    for colour in range(target.facts.colours):
        static = move(colour, static)
    carried = [target.carried(x), None, traced[1], static[1]]
    return [target.gains_at(x, everywhere, one) for one in carried]


def misfit(name: str, target: Any) -> float:
    """The largest difference of a gain from the energies', relative to the largest; infinite where a gain is no number."""
    points, wanted = table(name)
    start = jax.tree.map(lambda a: a[17 % len(a)], points)
    start = start._replace(code=tuple(jnp.flip(c) for c in start.code))
    found = jax.vmap(lambda x: by_fields(target, x, start))(points)
    size = 1 + max(np.abs(w).max() for w in wanted)
    worst = [np.abs(np.asarray(a) - w).max() / size for one in found for a, w in zip(one, wanted, strict=True)]
    return float(np.max(worst)) if np.isfinite(worst).all() else float("inf")


@pytest.mark.parametrize("name", MODELS)
def test_gains_by_fields_are_energy_differences(name: str) -> None:
    energy = compiled(name)
    facts = energy.compiled.program.facts
    assert facts.fields == (10 if name == "independent set" else 9)
    assert facts.reach
    assert misfit(name, energy.target()) < 2e-6
    verify_structure(energy.compiled.program, energy.model.bound, {})


def verified(energy: Any) -> None:
    for seed in range(20):
        verify_structure(energy.compiled.program, energy.model.bound, {}, seed)


@pytest.mark.parametrize("name", ["independent set", "dense product", "potts"])
@pytest.mark.parametrize("what", ["own", "matrix"])
def test_wrong_tables_are_noticed(name: str, what: str) -> None:
    """The broken twin: a coupling, or a site's own energy, that is not what it should be. The compiler notices it too."""
    energy = compiled(name)
    program = energy.compiled.program
    key = f"field/0/{what}"
    right = program.tables[key]
    wrong = np.where(right == right.flat[np.abs(right).argmax()], right + 0.5, right)
    target = energy.target()
    assert misfit(name, replace(target, tables=target.tables | {key: jnp.asarray(wrong)})) > 1e-2
    program.tables[key] = wrong
    try:
        with pytest.raises(VerificationError, match="fields"):
            verified(energy)
    finally:
        program.tables[key] = right


def test_sparse_couplings_are_gathered() -> None:
    """A lattice has few colours and neighbours; three-body rows, infinite energies and couplings of params are no matrix."""
    ring = "energy e(s: spin[n]) = -sum(s * roll(s, 1))\nconst n = 400"
    assert energylang.compile(ring)["e"].compiled.program.facts.fields == 0
    head = "data edges: cat(9)[E, 2]\ndata J: real[E]\n"
    data = {"edges": _pairs, "J": np.ones(len(_pairs))}
    for rest in (
        "energy e(s: spin[9]) = -sum(J * s[edges[:, 0]] * s[edges[:, 1]] * s[(edges[:, 1] + 1) % 9])",
        "energy e(x: binary[9]) = -sum(log(1 - J * x[edges[:, 0]] * x[edges[:, 1]]))",
        "param W: real[E] = 1\nenergy e(s: spin[9]) = -sum(W * J * s[edges[:, 0]] * s[edges[:, 1]])",
        "energy e(s: spin[9], w: real[E]) = -sum(w * s[edges[:, 0]] * s[edges[:, 1]]) + sum((w - J)^2)",
        "energy e(s: cat(3)[9]) = -sum(J * s[edges[:, 0]] * s[edges[:, 1]])",
    ):
        facts = energylang.compile(head + rest, data=data)["e"].compiled.program.facts
        assert (facts.fields, facts.colours) == (0, 9), rest


def test_fields_of_random_models(monkeypatch: pytest.MonkeyPatch) -> None:
    """The fuzzer's models, with a matrix wherever there can be one, against their energies in float64."""
    monkeypatch.setattr(couplings, "FEW_COLOURS", 0)
    monkeypatch.setattr(couplings, "SPARSE", 10**9)
    found = 0
    for seed in range(60):
        program, bound, _ = lowered(seed)
        verify_structure(program, bound, {}, seed)
        found += program.facts.fields > 0
    assert found > 5
