"""Predictive draws, pointwise log likelihoods, the prior: against closed forms, numpy and scipy.

Draws of a report given the variables are compared with their exact law given each draw: the probability transform of
each must be uniform (DKWM, level 1e-6), whatever the posterior of the variables is.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
from scipy import stats

import energylang as el
from energylang.run.result import Run
from tests.support import invariance

REPORTS = """
data y: real[J] = [0.3, -1.2, 2.0]
distribution die(x: cat(k) | w: positive[k]) = -log(w[x]) + log(sum(w))
distribution field(x: spin | h: real) = -h * x + logaddexp(h, -h)
energy e(mu: real, p: simplex[3]) {
  mu ~ normal(0, 1)
  p ~ dirichlet([1.0, 1.0, 1.0])
  y ~ normal(mu, 2)
  report y_rep ~ normal(mu + y, 2)
  report again ~ normal(mu, 2)
  report face ~ die([1.0, 2.0, 5.0])
  report s ~ field(mu * y)
  report which ~ categorical(p)
  report part ~ dirichlet(1 + 4 * p)
  report m ~ mixture(normal(-3, 1), normal(3 + mu, 0.5), weights = [0.3, 0.7])
  report two ~ mixture(dirichlet(1 + p), dirichlet(10 * p + 1), weights = [0.5, 0.5])
}
"""


@cache
def reported() -> Run:
    return el.compile(REPORTS)["e"].sample(draws=1000, warmup=300, chains=4, seed=1)


def flat(name: str) -> np.ndarray:
    values = np.asarray(reported()[name], np.float64)
    return values.reshape(-1, *values.shape[2:])


def uniform_misfit(transform: np.ndarray) -> float:
    """How far probability transforms are from uniform, over what chance allows at level 1e-6."""
    values = np.ravel(transform)
    return invariance.distance(values, lambda u: u) / invariance.dkwm_threshold(values.size)


def test_a_draw_has_the_law_of_its_distribution_given_the_variables() -> None:
    mu, y = flat("mu")[:, None], np.array([0.3, -1.2, 2.0])
    assert uniform_misfit(stats.norm.cdf(flat("y_rep"), mu + y, 2)) < 1
    assert uniform_misfit(stats.norm.cdf(flat("again"), mu[:, 0], 2)) < 1
    assert uniform_misfit(stats.norm.cdf(flat("y_rep"), mu, 2)) > 1  # the twin without y
    mixed = 0.3 * stats.norm.cdf(flat("m"), -3, 1) + 0.7 * stats.norm.cdf(flat("m"), 3 + mu[:, 0], 0.5)
    assert uniform_misfit(mixed) < 1
    parts = 1 + 4 * flat("p")
    assert uniform_misfit(stats.beta.cdf(flat("part")[:, 0], parts[:, 0], parts[:, 1:].sum(1))) < 1
    first, second = 1 + flat("p"), 10 * flat("p") + 1
    both = [stats.beta.cdf(flat("two")[:, 1], a[:, 1], a.sum(1) - a[:, 1]) for a in (first, second)]
    assert uniform_misfit(sum(both) / 2) < 1


def test_finite_distributions_of_the_model_are_drawn_by_their_weights() -> None:
    probabilities = np.array([1.0, 2.0, 5.0]) / 8
    statistic, threshold = invariance.chi_square(flat("face").astype(int), probabilities)
    assert statistic < threshold
    up = stats.logistic.cdf(2 * flat("mu")[:, None] * np.array([0.3, -1.2, 2.0]))
    bound = invariance.bernstein(up.size, float(np.mean(up * (1 - up))), 1.0)
    assert abs(np.mean((flat("s") == 1) - up)) < bound
    assert set(np.unique(flat("s"))) == {-1, 1}
    p = flat("p")
    for k in range(3):
        bound = invariance.bernstein(len(p), float(np.mean(p[:, k] * (1 - p[:, k]))), 1.0, 3)
        assert abs(np.mean((flat("which") == k) - p[:, k])) < bound


def test_draws_are_independent_of_each_other() -> None:
    """Reports with one law and different numbers, and elements of one report, share no randomness."""
    noise = np.column_stack(
        [flat("y_rep") - flat("mu")[:, None] - np.array([0.3, -1.2, 2.0]), flat("again") - flat("mu")]
    )
    correlation = np.corrcoef(noise.T)[np.triu_indices(4, 1)]
    assert np.abs(correlation).max() < stats.norm.isf(1e-6 / 12) / np.sqrt(len(noise))
    steps = noise.reshape(4, 1000, 4)
    lag = np.mean(steps[:, 1:] * steps[:, :-1]) / np.mean(steps**2)
    assert abs(lag) < stats.norm.isf(1e-6) / np.sqrt(steps[:, 1:].size)


def test_where_draws_are_kept() -> None:
    run = reported()
    assert run.data.names("posterior") == ("mu", "p")
    assert run.data.names("posterior_predictive") == ("y_rep", "again", "face", "s", "which", "part", "m", "two")
    assert list(run) == [*run.data.names("posterior"), *run.data.names("posterior_predictive")]
    assert run["y_rep"].shape == (4, 1000, 3)
    assert run["face"].dtype.kind == "i"
    assert run.summary().row("again")["Mean"] == pytest.approx(flat("again").mean(), abs=1e-6)
    assert "posterior_predictive" in run.to_arviz().groups()
    np.testing.assert_array_equal(run.predictive("m"), run["m"])


def test_a_report_does_not_change_the_energy() -> None:
    plain = "\n".join(line for line in REPORTS.splitlines() if "report" not in line)
    values: Any = {"mu": 0.3, "p": np.array([0.2, 0.3, 0.5])}
    assert float(el.compile(REPORTS)["e"](**values)) == float(el.compile(plain)["e"](**values))


# --- observations ---------------------------------------------------------------------------------------------------

OBSERVED = """
data y: real[N] = [0.3, -1.2, 2.0, 0.1, 0.7]
data n: count[M] = [3, 0, 7]
data v: simplex[2, 3] = [[0.2, 0.3, 0.5], [0.6, 0.2, 0.2]]
data r: real[T] = [0.5, 0.4, 0.1, -0.2, -0.6, 0.2]
data h: real[4] = [1.0, 2.0, 3.0, 4.0]
let doubled = 2 * y
energy e(mu: real, rate: positive, phi: unit) {
  mu ~ normal(0, 1)
  rate ~ gamma(4, 1)
  phi ~ beta(4, 4)
  y ~ normal(mu, 2)
  n ~ poisson(rate)
  v ~ dirichlet([1.0, 2.0, 3.0])
  r[1:] ~ normal(phi * r[:-1], 0.3)
  h[:2] ~ normal(mu, 1)
  h[2:] ~ student_t(4, mu, 2)
  doubled ~ mixture(normal(mu, 1), normal(-mu, 3), weights = [0.4, 0.6])
}
"""


@cache
def observed() -> Run:
    return el.compile(OBSERVED)["e"].sample(
        draws=500, warmup=300, chains=4, seed=2, predictive=True, log_likelihood=True
    )


def values_of(name: str) -> np.ndarray:
    return np.asarray(observed()[name], np.float64)


def data_of(name: str) -> np.ndarray:
    return observed().data.read("observed_data", name)


def test_the_log_likelihood_of_each_observation() -> None:
    run, mu, rate, phi = (
        observed(),
        values_of("mu")[..., None],
        values_of("rate")[..., None],
        values_of("phi")[..., None],
    )
    y, r, h = data_of("y"), data_of("r"), data_of("h")
    wanted = {
        "y": stats.norm.logpdf(y, mu, 2),
        "n": stats.poisson.logpmf(data_of("n"), rate),
        "v": np.broadcast_to([stats.dirichlet.logpdf(row, [1, 2, 3]) for row in data_of("v")], (4, 500, 2)),
        "r": stats.norm.logpdf(r[1:], phi * r[:-1], 0.3),
        "h": np.concatenate([stats.norm.logpdf(h[:2], mu, 1), stats.t.logpdf(h[2:], 4, mu, 2)], axis=-1),
        "doubled": np.log(0.4 * stats.norm.pdf(2 * y, mu, 1) + 0.6 * stats.norm.pdf(2 * y, -mu, 3)),
    }
    assert run.data.names("log_likelihood") == tuple(wanted)
    for name, values in wanted.items():
        np.testing.assert_allclose(run.log_likelihood(name), values, rtol=1e-4, atol=2e-5, err_msg=name)
    # What all observations say, and the prior, is all that the energy is.
    total = sum(run.log_likelihood(name).sum(axis=-1) for name in wanted)
    prior = stats.norm.logpdf(mu) + stats.gamma.logpdf(rate, 4) + stats.beta.logpdf(phi, 4, 4)
    np.testing.assert_allclose(run.stats("lp"), total + prior[..., 0], rtol=1e-4)


def test_leave_one_out_of_arviz() -> None:
    """Against importance sampling by hand: without smoothing, whose tail here is light."""
    import arviz

    found = arviz.loo(observed().to_arviz(), var_name="y", pointwise=True)
    log_likelihood = np.asarray(observed().log_likelihood("y"), np.float64).reshape(-1, 5)
    by_hand = -np.log(np.mean(np.exp(-log_likelihood), axis=0))
    np.testing.assert_allclose(found.loo_i, by_hand, atol=0.02)


def test_data_are_drawn_anew_from_their_laws() -> None:
    run, mu, rate, phi = (
        observed(),
        values_of("mu")[..., None],
        values_of("rate")[..., None],
        values_of("phi")[..., None],
    )
    assert run.data.names("posterior_predictive") == ("y", "n", "v", "r", "h", "doubled")
    assert uniform_misfit(stats.norm.cdf(run.predictive("y"), mu, 2)) < 1
    # Counts by a probability transform at random between the steps of their distribution function.
    n, noise = run.predictive("n"), np.random.default_rng(0).random((4, 500, 3))
    assert n.dtype.kind == "i"
    assert uniform_misfit(stats.poisson.cdf(n - 1, rate) + noise * stats.poisson.pmf(n, rate)) < 1
    assert uniform_misfit(stats.beta.cdf(run.predictive("v")[..., 2], 3, 3)) < 1
    h = run.predictive("h")
    assert (
        uniform_misfit(np.stack([stats.norm.cdf(h[..., 0], mu[..., 0]), stats.t.cdf(h[..., 3], 4, mu[..., 0], 2)])) < 1
    )
    doubled = run.predictive("doubled")
    assert uniform_misfit(0.4 * stats.norm.cdf(doubled, mu, 1) + 0.6 * stats.norm.cdf(doubled, -mu, 3)) < 1
    assert uniform_misfit(stats.norm.cdf(doubled, mu, 1)) > 1
    # A replicated series follows itself, from the entry that no `~` gives: it does not follow the data.
    r, given = run.predictive("r"), data_of("r")
    np.testing.assert_array_equal(r[..., 0], np.full((4, 500), given[0], r.dtype))
    assert uniform_misfit(stats.norm.cdf(r[..., 1:], phi * r[..., :-1], 0.3)) < 1
    assert uniform_misfit(stats.norm.cdf(r[..., 1:], phi * given[:-1], 0.3)) > 1


def test_chunks_and_threads_change_no_prediction(tmp_path: Any) -> None:
    energy = el.compile(
        "data y: real[N] = [0.3, -1.2]\nenergy e(mu: real) {\n mu ~ normal(0, 1)\n y ~ normal(mu, 2)\n}"
    )["e"]
    options: dict[str, Any] = {"draws": 40, "warmup": 20, "chains": 3, "predictive": True, "log_likelihood": True}
    first = energy.sample(**options, chunk=40, threads=1)
    second = energy.sample(**options, chunk=7, threads=2, out=tmp_path / "run.nc")
    for group in ("posterior", "posterior_predictive", "log_likelihood"):
        for name in first.data.names(group):
            np.testing.assert_array_equal(first.data.read(group, name), second.data.read(group, name))
    assert set(second.data.groups()) == {*first.data.groups(), "run"}
    assert energy.sample(**options, out=tmp_path / "run.nc", resume=True).programs == second.programs


@pytest.mark.long
def test_the_prior_with_its_data() -> None:
    run = el.compile(OBSERVED)["e"].sample(prior=True, draws=4000, chains=2, seed=3)
    assert run.data.groups() == ("prior", "prior_predictive", "sample_stats_prior", "observed_data")
    mu, rate, phi = (np.asarray(run[name], np.float64) for name in ("mu", "rate", "phi"))
    assert mu.shape == (2, 4000)
    assert uniform_misfit(stats.norm.cdf(mu)) < 1
    assert uniform_misfit(stats.gamma.cdf(rate, 4)) < 1
    assert uniform_misfit(stats.beta.cdf(phi, 4, 4)) < 1
    # The evidence by closed forms: each datum with the variable integrated out.
    assert uniform_misfit(stats.norm.cdf(run.predictive("y")[..., 0], 0, np.sqrt(5))) < 1
    assert uniform_misfit(stats.norm.cdf(run.predictive("y")[..., 0], 0, 1)) > 1  # the twin without noise
    statistic, threshold = invariance.chi_square(
        np.minimum(run.predictive("n")[..., 0].ravel(), 15),
        np.append(stats.nbinom.pmf(np.arange(15), 4, 0.5), stats.nbinom.sf(14, 4, 0.5)),
    )
    assert statistic < threshold
    lp = stats.norm.logpdf(mu) + stats.gamma.logpdf(rate, 4) + stats.beta.logpdf(phi, 4, 4)
    np.testing.assert_allclose(run.stats("lp"), lp, rtol=1e-4, atol=1e-4)
    assert not run.weighted
    assert run.log_z is None
    assert run.summary().row("mu")["R_hat"] < 1.01


def test_the_evidence_of_a_normalised_energy_is_known() -> None:
    run = el.compile("energy e(x: real, s: positive) {\n  s ~ gamma(2, 1)\n  x ~ normal(0, s)\n}")["e"].evidence()
    assert (run.log_z, run.log_z_error, run.programs) == (0.0, 0.0, 0)
    assert "every variable has one density" in run.reason
    assert len(run.summary()) == 0


@pytest.mark.parametrize(
    ("block", "options", "code", "words"),
    [
        ("x ~ normal(0, 1)", {"log_likelihood": True}, "E0531", "observes nothing"),
        ("x ~ normal(0, 1)\n d ~ odd(x)", {"predictive": True}, "E0532", "`odd`"),
        ("x ~ normal(0, 1)\n d ~ normal(x, 1)\n d ~ normal(0, 1)", {"predictive": True}, "E0532", "2 densities"),
        ("x ~ normal(0, 1)\n d ~ normal(mean(d), 1)", {"predictive": True}, "E0532", "depends on `d` itself"),
        ("d ~ normal(x, 1)", {"prior": True}, "E0533", "`x` has no density of its own"),
        ("x ~ normal(0, 1)\n += x^4", {"prior": True}, "E0533", "energy that no `~` gives"),
        ("x ~ odd(0)", {"prior": True}, "E0533", "`odd`"),
        ("x ~ normal(0, 1)\n x ~ normal(1, 1)", {"prior": True}, "E0533", "2 densities"),
        ("x ~ normal(0, 1)", {"prior": True, "method": "nuts"}, "E0534", "not by `nuts`"),
    ],
)
def test_what_cannot_be_drawn_is_said(block: str, options: dict[str, Any], code: str, words: str) -> None:
    odd = "distribution odd(x: real | m: real) = cosh(x - m)\ndata d: real[K] = [1.0, 2.0]\n"
    energy = el.compile(f"{odd}energy e(x: real) {{\n {block}\n}}")["e"]
    with pytest.raises(el.DiagnosticError) as caught:
        energy.sample(**options)
    (found,) = [d for d in caught.value.diagnostics if d.severity == "error"]
    assert found.code == code
    assert words in f"{found.message} {found.cause}"
    assert found.fix


def test_each_entry_needs_one_density() -> None:
    source = "energy e(z: real[3]) {\n z[0] ~ normal(0, 1)\n z[PLACES] ~ normal(z[READ], 1)\n}"
    good = el.compile(source.replace("PLACES", "1:").replace("READ", ":-1"))["e"].sample(
        prior=True, draws=2000, chains=2
    )
    assert uniform_misfit(stats.norm.cdf(good["z"], 0, np.sqrt([1, 2, 3]))) < 1
    with pytest.raises(el.DiagnosticError) as caught:
        el.compile(source.replace("PLACES", "2:").replace("READ", "1:2"))["e"].sample(prior=True)
    assert [d.code for d in caught.value.diagnostics] == ["E0535"]
    assert "`z[1]` has no density" in caught.value.diagnostics[0].message
