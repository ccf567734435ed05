"""direct: exact draws against closed forms, and twins that must be rejected.

LANES independent draws; continuous marginals by their distance from the exact distribution function (DKWM), discrete
ones by Pearson's chi-square, all at level 1e-6; a distance of the laws of 0.022 (w = 0.052 over 36 cells) is detected with
power 0.999. A method that ignores its state has no mixing to test; its twins are one that always draws the same point, and
ones whose rate, scale, parent or transitions are wrong.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

import energylang as el
from energylang.methods.direct import Direct
from tests.support import invariance

LANES = 2**16

LAWS = """
# The numbers that twins change are data, so that one program draws from them all.
data x: real[N] = [-1.0, 0.0, 2.0]
data rate: positive = 2
data hop: simplex[2, 2] = [[0.9, 0.1], [0.3, 0.7]]
data follow: real = 1
data second: real = 1
energy laws(s: positive, a: real, b: real[N], p: simplex[3], k: cat(3)[2], c: cat(2)[3], w: unit, up: spin, o: real) {
  o ~ normal(if second * k[1] + (1 - second) * k[0] == 2 then 3 else a, 0.5)
  b ~ normal(a * x, s^follow)
  a ~ normal(1, 2)
  s ~ gamma(3, rate)
  k ~ categorical(p)
  p ~ dirichlet([1.0, 2.0, 3.0])
  c[0] ~ categorical([0.2, 0.8])
  c[1:] ~ categorical(hop[c[:-1]])
  w ~ beta(2, 3)
  up ~ field(w)
}
distribution field(x: spin | h: real) = -h * x + logaddexp(h, -h)
"""


@cache
def model() -> Any:
    return el.compile(LAWS)["laws"].target()


@jax.jit
def drawn(law: Any, keys: Any) -> dict[str, Any]:
    """Draws as a driver makes them: from the method, through the target's outputs."""
    path = Direct()

    def one(key: Any) -> dict[str, Any]:
        z, log_q = path.start(law, (), key)
        x, log_g = path.finish(law, (), z)
        return law.outputs(x, key).draws | {"log_weight": log_g - log_q, "energy": law.energy(x)}

    return jax.vmap(one)(keys)


def keys(test: str) -> Any:
    return jax.random.split(jax.random.key(invariance.seed(test)), LANES)


@cache
def draws() -> dict[str, np.ndarray]:
    return {name: np.asarray(value, np.float64) for name, value in drawn(model(), keys("direct")).items()}


def misfits(d: dict[str, np.ndarray]) -> dict[str, float]:
    """Each comparison over what chance allows; above 1 it is rejected."""
    given = stats.norm.cdf(d["b"], d["a"][:, None] * np.array([-1.0, 0.0, 2.0]), d["s"][:, None])
    parent = np.where(d["k"][:, 1] == 2, 3.0, d["a"])
    uniform = {
        "s": stats.gamma.cdf(d["s"], 3, scale=1 / 2),
        "a": stats.norm.cdf(d["a"], 1, 2),
        **{f"b[{i}] given a, s": given[:, i] for i in range(3)},
        "o given k, a": stats.norm.cdf(d["o"], parent, 0.5),
        "p[0]": stats.beta.cdf(d["p"][:, 0], 1, 5),
        "p[2] of the rest": stats.beta.cdf(d["p"][:, 2] / (1 - d["p"][:, 0]), 3, 2),
        "w": stats.beta.cdf(d["w"], 2, 3),
        # The marginal of the hierarchy, by its own closed form: a normal over another.
        "b[1] / s": stats.norm.cdf(d["b"][:, 1] / d["s"]),
    }
    threshold = invariance.dkwm_threshold(LANES)
    found = {name: invariance.distance(values, lambda u: u) / threshold for name, values in uniform.items()}
    # Dirichlet-multinomial: the law of k with p integrated out.
    alpha = np.array([1.0, 2.0, 3.0])
    pairs = (np.outer(alpha, alpha) + np.diag(alpha)) / (6 * 7)
    chain = np.einsum("i,ij,jk->ijk", [0.2, 0.8], [[0.9, 0.1], [0.3, 0.7]], [[0.9, 0.1], [0.3, 0.7]])
    for name, codes, law in (
        ("k", d["k"] @ [3, 1], pairs),
        ("c", d["c"] @ [4, 2, 1], chain),
    ):
        statistic, limit = invariance.chi_square(codes.astype(int), law.ravel())
        found[name] = statistic / limit
    up = stats.logistic.cdf(2 * d["w"])
    found["up given w"] = abs(np.mean((d["up"] == 1) - up)) / invariance.bernstein(LANES, np.mean(up * (1 - up)), 1.0)
    return found


def test_the_stated_effects() -> None:
    assert invariance.dkwm_effect(LANES) <= 0.022
    assert invariance.chi_square_effect(LANES, 36) <= 0.052


def test_draws_have_the_law_and_every_weight_is_zero() -> None:
    assert {name: misfit for name, misfit in misfits(draws()).items() if misfit >= 1} == {}
    assert not draws()["log_weight"].any()


def test_draws_are_independent() -> None:
    values = np.column_stack([draws()[name] for name in ("s", "a", "w")])
    lagged = np.corrcoef(values[1:].T, values[:-1].T)
    assert np.abs(lagged[~np.eye(6, dtype=bool)]).max() < stats.norm.isf(1e-6 / 30) / np.sqrt(LANES)


def test_a_draw_that_never_changes_is_rejected() -> None:
    same = drawn(model(), jnp.broadcast_to(jax.random.key(1), (LANES,)))
    assert min(misfits({name: np.asarray(v, np.float64) for name, v in same.items()}).values()) > 1


@pytest.mark.parametrize(
    ("wrong", "seen"),
    [
        ({"rate": 2.2}, "s"),
        ({"follow": 0.0}, "b[1] / s"),
        ({"second": 0.0}, "o given k, a"),
        ({"hop": [[0.9, 0.1], [0.4, 0.6]]}, "c"),
    ],
    ids=str,
)
def test_twins_are_rejected(wrong: dict[str, Any], seen: str) -> None:
    arrays = {name: jnp.asarray(value, jnp.float32) for name, value in wrong.items()}
    law = replace(model(), arrays={**model().arrays, **arrays})
    twin = drawn(law, keys(f"direct/{wrong}"))
    assert misfits({name: np.asarray(v, np.float64) for name, v in twin.items()})[seen] > 1


def test_the_energy_is_that_of_what_was_drawn() -> None:
    """The way to the unconstrained point and back loses nothing: minus the log of the joint density, by scipy."""
    d = {name: value[:500] for name, value in draws().items()}
    k, c, hop = d["k"].astype(int), d["c"].astype(int), np.array([[0.9, 0.1], [0.3, 0.7]])
    log_density = (
        stats.norm.logpdf(d["o"], np.where(k[:, 1] == 2, 3.0, d["a"]), 0.5)
        + stats.norm.logpdf(d["b"], d["a"][:, None] * np.array([-1.0, 0.0, 2.0]), d["s"][:, None]).sum(1)
        + stats.norm.logpdf(d["a"], 1, 2)
        + stats.gamma.logpdf(d["s"], 3, scale=0.5)
        + np.log(np.take_along_axis(d["p"], k, 1)).sum(1)
        + np.log(60.0 * d["p"][:, 1] * d["p"][:, 2] ** 2)
        + np.log(np.array([0.2, 0.8])[c[:, 0]] * hop[c[:, 0], c[:, 1]] * hop[c[:, 1], c[:, 2]])
        + stats.beta.logpdf(d["w"], 2, 3)
        + stats.logistic.logcdf(2 * d["w"] * d["up"])
    )
    np.testing.assert_allclose(-d["energy"], log_density, rtol=2e-4, atol=2e-3)
