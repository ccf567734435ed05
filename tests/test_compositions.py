"""Compositions against what they mean: values from the parts, types by the rules, recovered draws by enumeration."""

from __future__ import annotations

import zlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

import energylang as el
from energylang.ir.nodes import Normalisation

TEXT = """
data y: real = 1.5
data w: simplex[2] = [0.3, 0.7]
param strength: positive = 2

energy prior(mu: real) {
  mu ~ normal(0, 2)
}
energy likelihood(x: real | mu: real) {
  x ~ normal(mu, 1)
}
energy other(mu: real) {
  mu ~ normal(5, 1)
  report far = mu > 4
}
energy coupled(mu: real, z: cat(3)) {
  z ~ categorical([0.2, 0.3, 0.5])
  mu ~ normal([-2, 0, 3][z], 1)
}
energy well(x: real, z: spin) = (x^2 - 1)^2 - 0.5 * x * z

energy strip(low: real, v: interval(low, low + 2)) {
  low ~ normal(0, 1)
  v ~ uniform(low, low + 2)
}

energy joint = product(prior, likelihood)
energy posterior = condition(joint, x = y)
energy two = mixture(prior, other, weights = w)
energy relative = mixture(temper(prior, 2), other, weights = [1, 3], relative = true)
energy cold = temper(well, strength)
energy free = marginal(well, over = z)
energy side = condition(well, given = x)
energy moved = rename(well, x = position, z = s)
energy labels = condition(coupled, given = mu)
energy mus = marginal(coupled, over = z)
energy kinds = marginal(coupled, over = mu)
energy given_kind = condition(coupled, given = z)
energy predictive = marginal(joint, over = x)
energy above = condition(strip, given = low)
energy lows = marginal(strip, over = v)
energy both = product(prior, rename(likelihood, x = a), rename(likelihood, x = b))
energy called(u: real[3] | m: real) {
  u ~ likelihood(m)
  += 0.5 * sum(two(u))
}
"""


@pytest.fixture(scope="module")
def model() -> el.Model:
    return el.compile(TEXT)


def normal(x: float, mu: float, sigma: float) -> float:
    return -stats.norm(mu, sigma).logpdf(x)


def well(x: float, z: int) -> float:
    return (x * x - 1) ** 2 - 0.5 * x * z


def coupled(mu: float, z: int) -> float:
    return normal(mu, [-2, 0, 3][z], 1) - np.log([0.2, 0.3, 0.5][z])


def logsumexp(values: list[float]) -> float:
    return float(np.logaddexp.reduce(values))


M, X = 0.7, -0.4
VALUES = {
    "joint": ({"mu": M, "x": X}, normal(M, 0, 2) + normal(X, M, 1)),
    "posterior": ({"mu": M}, normal(M, 0, 2) + normal(1.5, M, 1)),
    "two": ({"mu": M}, -logsumexp([np.log(0.3) - normal(M, 0, 2), np.log(0.7) - normal(M, 5, 1)])),
    "relative": ({"mu": M}, -logsumexp([-2 * normal(M, 0, 2), np.log(3) - normal(M, 5, 1)])),
    "cold": ({"x": X, "z": 1}, 2 * well(X, 1)),
    "free": ({"x": X}, -logsumexp([-well(X, -1), -well(X, 1)])),
    "side": ({"x": X, "z": 1}, well(X, 1) + logsumexp([-well(X, -1), -well(X, 1)])),
    "moved": ({"position": X, "s": -1}, well(X, -1)),
    "labels": ({"mu": M, "z": 2}, coupled(M, 2) + logsumexp([-coupled(M, k) for k in range(3)])),
    "mus": ({"mu": M}, -logsumexp([-coupled(M, k) for k in range(3)])),
    "kinds": ({"z": 1}, -np.log(0.3)),
    "given_kind": ({"mu": M, "z": 1}, normal(M, 0, 1)),
    "predictive": ({"mu": M}, normal(M, 0, 2)),
    "both": ({"mu": M, "a": 1.0, "b": -1.0}, normal(M, 0, 2) + normal(1, M, 1) + normal(-1, M, 1)),
    "above": ({"low": 0.3, "v": 1.1}, np.log(2)),
    "called": (
        {"u": np.array([0.1, 2.0, -1.0]), "m": 0.3},
        sum(
            normal(u, 0.3, 1) - 0.5 * logsumexp([np.log(0.3) - normal(u, 0, 2), np.log(0.7) - normal(u, 5, 1)])
            for u in (0.1, 2.0, -1.0)
        ),
    ),
}

NORMALISED = {"joint", "two", "side", "labels", "mus", "kinds", "given_kind", "predictive", "both", "above"}


@pytest.mark.parametrize("name", VALUES)
def test_what_a_composition_is_worth(model: el.Model, name: str) -> None:
    values, wanted = VALUES[name]
    assert float(model[name](**values)) == pytest.approx(wanted, rel=2e-5, abs=2e-5)


@pytest.mark.parametrize("name", VALUES)
def test_what_is_known_of_its_normaliser(model: el.Model, name: str) -> None:
    state = model.node(name).normalisation
    assert (state is Normalisation.NORMALISED) == (name in NORMALISED), model.node(name).reason


@pytest.mark.parametrize("name", ["two", "mus", "predictive"])
def test_what_is_normalised_integrates_to_one(model: el.Model, name: str) -> None:
    grid = jnp.linspace(-25.0, 25.0, 20_001)
    density = jnp.exp(-jax.vmap(lambda mu: model[name](mu=mu))(grid))
    assert float(jnp.trapezoid(density, grid)) == pytest.approx(1.0, abs=1e-4)


def test_mixtures_after_tilde() -> None:
    """Shared weights, weights of every element, parts of different families, a mixture in a mixture."""
    text = """
data y: real[3] = [0.3, -1.2, 2.5]
data each: simplex[3, 2] = [[0.5, 0.5], [0.9, 0.1], [0.2, 0.8]]
energy shared(m: real) {
  y ~ mixture(normal(m, 1), cauchy(0, 2), weights = [0.3, 0.7])
}
energy own(m: real) {
  y ~ mixture(normal(m, 1), cauchy(0, 2), weights = each)
}
energy equal(m: real) {
  y ~ mixture(normal(m, 1), mixture(normal(m + 1, 1), normal(m - 1, 2), weights = [0.25, 0.75]))
}
energy drawn(x: real) {
  x ~ mixture(normal(-1, 1), normal(2, 1), weights = [0.4, 0.6])
}
"""
    model = el.compile(text)
    y, m = np.array([0.3, -1.2, 2.5]), 0.4
    first, second = stats.norm(m, 1).pdf(y), stats.cauchy(0, 2).pdf(y)
    each = np.array([[0.5, 0.5], [0.9, 0.1], [0.2, 0.8]])
    inner = 0.25 * stats.norm(m + 1, 1).pdf(y) + 0.75 * stats.norm(m - 1, 2).pdf(y)
    wanted = {
        "shared": 0.3 * first + 0.7 * second, "own": each[:, 0] * first + each[:, 1] * second,
        "equal": 0.5 * first + 0.5 * inner,
    }  # fmt: skip
    for name, density in wanted.items():
        assert float(model[name](m=m)) == pytest.approx(-np.log(density).sum(), rel=1e-5)
    assert model.node("drawn").normalisation is Normalisation.NORMALISED


def test_conditions_that_a_product_leaves_and_discharges(model: el.Model) -> None:
    assert [c.name for c in model.node("likelihood").conditions] == ["mu"]
    assert model.node("joint").conditions == ()
    assert {v.name for v in model.node("both").variables} == {"mu", "a", "b"}
    assert [c.name for c in model.node("side").conditions] == ["x"]


def test_a_sampled_product_is_the_posterior(model: el.Model) -> None:
    """A normal prior and one observation: mean 1.2, variance 0.8 (conjugate)."""
    run = model["posterior"].sample(draws=1000, seed=zlib.crc32(b"posterior"), method="nuts()")
    draws = np.asarray(run["mu"])
    error = np.sqrt(0.8 / float(np.nanmin(run.summary().columns["ESS_bulk"])))
    assert abs(draws.mean() - 1.2) < 4.5 * error
    assert abs(draws.mean() - 1.5) > 4.5 * error


HIDDEN = """
data y: real[T] = [0.3, 2.1, 1.9, 0.2]
data p: simplex[2, 2] = [[0.9, 0.1], [0.3, 0.7]]
energy states(a: real, z: cat(2)[T]) {
  a ~ normal(0, 0.01)
  z[1:] ~ categorical(p[z[:-1]])
  y ~ normal(2 * z + a, 0.8)
  report z
}
energy line = marginal(states, over = z)
"""


def posterior_of_states() -> np.ndarray:
    y, p = [0.3, 2.1, 1.9, 0.2], np.array([[0.9, 0.1], [0.3, 0.7]])
    weights = np.zeros((2, 2, 2, 2))
    for z in np.ndindex(2, 2, 2, 2):
        weights[z] = np.prod([p[z[t], z[t + 1]] for t in range(3)]) * np.prod(stats.norm(2 * np.array(z), 0.8).pdf(y))
    return weights / weights.sum()


def frequencies(model: el.Model) -> tuple[np.ndarray, int]:
    target = model["line"].target()
    count = 40_000
    keys = jax.vmap(lambda i: jax.random.fold_in(jax.random.key(zlib.crc32(b"states")), i))(jnp.arange(count))
    from energylang.model import Point

    point = Point(jnp.zeros(1), ())
    z = jax.jit(jax.vmap(lambda key: target.outputs(point, key).draws["z"]))(keys)
    found = np.zeros((2, 2, 2, 2))
    np.add.at(found, tuple(np.asarray(z).T), 1)
    return found, count


def test_what_is_summed_out_is_recovered_from_its_law() -> None:
    """Draws of all sixteen paths against their exact probabilities, chi-squared at level 1e-6; shifted labels fail."""
    found, count = frequencies(el.compile(HIDDEN))
    wanted = posterior_of_states() * count
    limit = stats.chi2(15).isf(1e-6)
    assert ((found - wanted) ** 2 / wanted).sum() < limit
    twin = wanted[::-1]
    assert ((found - twin) ** 2 / twin).sum() > limit
