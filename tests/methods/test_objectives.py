"""Objectives against maximum likelihood by enumeration or in closed form; what is broken is rejected.

`energylang.methods.pcd:Pcd` and `Cd`, `energylang.methods.pseudo_likelihood:PseudoLikelihood`.
"""

from __future__ import annotations

from itertools import product
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import energylang as el
from energylang.catalog import MethodCall
from energylang.diagnostics import DiagnosticError
from energylang.methods.gibbs import Gibbs
from energylang.methods.pcd import Cd, Pcd
from energylang.methods.pseudo_likelihood import PseudoLikelihood
from energylang.run.provenance import Provenance
from energylang.run.train import run_training
from tests.support.invariance import seed

EDGES = np.array(
    [
        (3 * r + c, 3 * r + c + d)
        for r, c in product(range(3), repeat=2)
        for d in (1, 3)
        if (c + (d == 1)) < 3 and r + (d == 3) < 3
    ]
)
"""Of the 3 x 3 lattice with free ends: twelve."""
STATES = np.array(list(product((-1, 1), repeat=9)))
PAIRS = STATES[:, EDGES[:, 0]] * STATES[:, EDGES[:, 1]]
TRUE = np.random.default_rng(3).uniform(-0.6, 0.6, 12)
ISING = """
data edges: int[E, 2]
data rows: spin[N, 9]
param J: real[E] = 0
energy ising(s: spin[9]) = -dot(J, s[edges[:, 0]] * s[edges[:, 1]])
"""


def law(couplings: np.ndarray) -> np.ndarray:
    weights = np.exp(PAIRS @ couplings)
    return weights / weights.sum()


def draws(count: int, name: str) -> np.ndarray:
    return np.random.default_rng(seed(name)).choice(512, size=count, p=law(TRUE))


def most_likely(chosen: np.ndarray) -> np.ndarray:
    """The couplings of the largest likelihood, by Newton's method over all 512 states."""
    wanted, found = PAIRS[chosen].mean(axis=0), np.zeros(12)
    for _ in range(30):
        p = law(found)
        mean = p @ PAIRS
        found = found + np.linalg.solve((PAIRS * p[:, None]).T @ PAIRS - np.outer(mean, mean), wanted - mean)
    return found


CHOSEN = draws(4000, "objectives")
MODEL = el.compile(ISING, data={"edges": EDGES, "rows": STATES[CHOSEN]})
BEST = most_likely(CHOSEN)
ADAM = MethodCall("adam", (("learning_rate", MethodCall("linear", (("rate", 0.03), ("end", 0.05)))),))
NEAR = 0.06
"""Couplings are within that of the most likely ones.

Of the estimates by particles: 1,024 of them give each moment to 0.03, averaged over the last two hundred steps to less than 0.01; the
inverse of the covariance of the moments multiplies that by two at most. Of pseudo-likelihood: it is another estimate, whose
distance from maximum likelihood is a part of the standard error, 0.02. The twins are off by more than 0.1.
"""


def learned(objective: Any, **options: Any) -> np.ndarray:
    given = {"steps": 400, "optimizer": ADAM, "seed": seed("learned"), "ema": 0.98} | options
    rows = {"s": STATES[CHOSEN]}
    return run_training(objective, MODEL["ising"].compiled, rows, provenance=Provenance("e", "m"), **given).params["J"]


def test_the_reference_is_the_maximum_of_the_likelihood() -> None:
    value = [np.mean(np.log(law(BEST + step * np.eye(12)[0])[CHOSEN])) for step in (-1e-3, 0, 1e-3)]
    assert value[0] < value[1] > value[2]
    assert np.abs(BEST - TRUE).max() < 0.1


def test_persistent_particles_find_the_maximum_of_the_likelihood() -> None:
    found = learned(Pcd(Gibbs(), particles=1024))
    assert np.abs(found - BEST).max() < NEAR


class Idle(Gibbs):
    """Moves nothing."""

    def step(self, target: Any, tune: Any, state: Any, key: Any) -> Any:
        return state, {"acceptance_rate": jnp.ones(())}


class Half(Pcd):
    """Counts the particles half."""

    def loss(self, player: Any, model: Any, memory: Any, batch: Any, key: Any) -> Any:
        loss, (memory, metrics) = super().loss(player, model, memory, batch, key)
        return 0.5 * loss + 0.5 * metrics["energy_of_data"], (memory, metrics)


@pytest.mark.parametrize("twin", [Pcd(Idle(), particles=1024), Half(Gibbs(), particles=1024)], ids=["idle", "half"])
def test_twins_of_persistent_particles_are_rejected(twin: Pcd) -> None:
    assert np.abs(learned(twin, steps=200) - BEST).max() > 0.1


def test_contrastive_divergence_is_near_and_idle_it_learns_nothing() -> None:
    assert np.abs(learned(Cd(Gibbs(), steps=3), steps=300, batch=200) - BEST).max() < NEAR
    assert np.abs(learned(Cd(Idle()), steps=3, batch=200)).max() == 0


def test_pseudo_likelihood_is_near_the_maximum_of_the_likelihood() -> None:
    found = learned(PseudoLikelihood(), steps=300)
    assert np.abs(found - BEST).max() < NEAR


MIXED = """
param a: real[3, 2] = 0
energy e(z: cat(3)[2], s: spin[2] | c: real[2]) = -a[z[0], 0] * s[0] - a[z[1], 1] * s[1] * c[1] - 0.3 * s[0] * s[1] * c[0]
"""


def test_pseudo_likelihood_is_that_of_the_conditionals() -> None:
    """Against conditionals read off the table of the joint law, and its slope against differences of those."""
    energy = el.compile(MIXED)["e"].compiled
    random = np.random.default_rng(seed("conditionals"))
    a, c = random.normal(size=(3, 2)), random.normal(size=(5, 2))
    z, s = random.integers(0, 3, (5, 2)), random.choice((-1, 1), (5, 2))

    def joint(a: np.ndarray, z: Any, s: Any, c: Any) -> float:
        return np.exp(a[z[0], 0] * s[0] + a[z[1], 1] * s[1] * c[1] + 0.3 * s[0] * s[1] * c[0])

    def wanted(a: np.ndarray, inverse: float = 1.0) -> float:
        total = 0.0
        for z_, s_, c_ in zip(z, s, c, strict=True):
            for at, values in ((0, range(3)), (1, range(3)), (2, (-1, 1)), (3, (-1, 1))):
                others = []
                for value in values:
                    whole = [*z_, *s_]
                    whole[at] = value
                    others.append(joint(a, whole[:2], whole[2:], c_) ** inverse)
                total -= np.log(joint(a, z_, s_, c_) ** inverse / sum(others))
        return total / 5

    batch = {"z": jnp.asarray(z), "s": jnp.asarray(s), "c": jnp.asarray(c, jnp.float32)}

    def loss(a: Any) -> Any:
        model = energy.with_params({"a": a})
        return PseudoLikelihood().loss(PseudoLikelihood().players[0], model, (), batch, jax.random.key(0))[0]

    value, slope = jax.jit(jax.value_and_grad(loss))(jnp.asarray(a, jnp.float32))
    assert float(value) == pytest.approx(wanted(a), rel=1e-5)
    assert float(value) != pytest.approx(wanted(a, inverse=-1.0), rel=1e-2), "the twin with gains of the wrong sign"
    change = np.zeros((3, 2))
    change[1, 0] = 1e-4
    assert float(slope[1, 0]) == pytest.approx((wanted(a + change) - wanted(a - change)) / 2e-4, rel=1e-3)


def test_particles_of_reals_learn_their_steps_and_the_law() -> None:
    """E = t (x - m)^2 / 2 without a normaliser: m is the mean of the rows, 1 / t their variance."""
    rows = np.random.default_rng(seed("reals")).normal(2.0, 0.5, 500)
    model = el.compile(
        "param m: real = 0\nparam t: positive = 1\nenergy e(x: real) = 0.5 * t * (x - m)^2\n"
        "train e with pcd(sampler = mala(), particles = 512, steps = 3)"
    )
    found = model.train(
        "e", on={"x": rows}, steps=400, optimizer="adam(linear(0.2, end = 0.02))", ema=0.98, seed=seed("reals")
    )
    params = model["e"].with_params(found.params).params
    # Particles are 512: their mean is known to 0.044 deviations at a step, and averaged over many; the rows decide the rest.
    assert float(params["m"]) == pytest.approx(rows.mean(), abs=0.05)
    assert float(params["t"]) == pytest.approx(1 / rows.var(), rel=0.1)
    assert 0.3 < found.trace["acceptance_rate"][-1] < 0.8


def test_contrastive_divergence_has_conditions() -> None:
    """E = (x - a c)^2 / 2: a is that of least squares."""
    random = np.random.default_rng(seed("conditions"))
    c = random.normal(size=400)
    x = 1.5 * c + random.normal(size=400)
    model = el.compile("param a: real = 0\nenergy e(x: real | c: real) = 0.5 * (x - a * c)^2")
    found = model.train(
        "e",
        on={"x": x, "c": c},
        method="cd(sampler = mala(step_size = 0.7), steps = 3)",
        steps=300,
        optimizer="adam(linear(0.05))",
        ema=0.98,
    )
    assert float(found.params["a"]) == pytest.approx(float(c @ x / (c @ c)), abs=0.05)


@pytest.mark.parametrize(
    ("method", "source", "said"),
    [
        ("pcd()", "param a: real\nenergy e(x: real | c: real) = 0.5 * (x - a * c)^2", "this energy has conditions"),
        ("pcd(sampler = gwg())", "param a: real\nenergy e(x: real) = 0.5 * (x - a)^2", "`gwg` does not fit this energy"),
        ("pcd(sampler = importance())", "param a: real\nenergy e(x: real) = 0.5 * (x - a)^2", "`importance` cannot stand inside `pcd`"),
        ("pcd(sampler = gwgg())", "param a: real\nenergy e(x: real) = 0.5 * (x - a)^2", "there is no method `gwgg`"),
        ("pcd(particles = 0)", "param a: real\nenergy e(x: real) = 0.5 * (x - a)^2", "`particles` is at least 1, not 0"),
        ("pseudo_likelihood()", "param a: real\nenergy e(x: real) = 0.5 * (x - a)^2", "it needs variables that all have finitely many"),
        ("mle()", "param a: real\nenergy e(x: real) = 0.5 * (x - a)^2", "it needs a normalised energy"),
        (
            "pseudo_likelihood()",
            "net f: real[3] -> real = mlp([4])\nenergy e(s: spin[3]) = f(s)",
            "the conditionals of single sites are not known exactly for this energy",
        ),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_said(method: str, source: str, said: str) -> None:
    model = el.compile(source)
    rows = {v.name: np.ones((4, 3) if v.name == "s" else 4) for v in model.node("e").variables}
    given = {c.name: np.ones(4) for c in model.node("e").conditions}
    with pytest.raises(DiagnosticError) as caught:
        model.train("e", on={**rows, **given}, method=method, steps=2)
    assert said in str(caught.value)


def test_auto_takes_what_the_energy_allows() -> None:
    sources = {
        "param a: real\nenergy e(x: real) { x ~ normal(a, 1) }": "mle()",
        "param a: real\nenergy e(s: spin[3]) = a * s[0] * s[1] + s[2]": "pseudo_likelihood()",
        "param a: real\nenergy e(x: real) = a * x^4 + x^2": "pcd(sampler = mala())",
        "param a: real\nenergy e(x: real | c: real) = (x - a * c)^4": "cd(sampler = mala())",
    }
    for source, wanted in sources.items():
        model = el.compile(source)
        rows = {
            v.name: np.ones((4, 3) if v.name == "s" else 4)
            for v in (*model.node("e").variables, *model.node("e").conditions)
        }
        plan = model["e"].plan("train", "auto()", rows)
        assert str(plan.method) == wanted
        assert plan.reason


def test_the_particles_are_part_of_the_checkpoint() -> None:
    """Chunks of one step carry them along: the numbers are those of one chunk."""
    one, other = (learned(Pcd(Gibbs(), particles=64), steps=5, chunk=chunk) for chunk in (1, 5))
    assert np.array_equal(one, other)
