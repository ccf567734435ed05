"""The laws of the standard library's distributions by scipy: one table for their densities and for draws from them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import special, stats


@dataclass(frozen=True)
class Law:
    """space: of the variable. conditions: the space of each. arguments: their values. of: the law, by scipy.

    points: where the density is compared.
    """

    space: str
    conditions: dict[str, str]
    arguments: tuple[Any, ...]
    of: Callable[..., Any]
    points: tuple[Any, ...]

    def frozen(self, *changed: Any) -> Any:
        return self.of(*(changed or self.arguments))

    @property
    def discrete(self) -> bool:
        return self.space.startswith(("count", "binary", "cat"))

    def log_density(self, x: Any, *changed: Any) -> float:
        law = self.frozen(*changed)
        return float(law.logpmf(x) if self.discrete else law.logpdf(x))


REAL, POSITIVE, UNIT, COUNT = (-3.0, 0.1, 2.0), (0.05, 1.0, 4.0), (0.1, 0.5, 0.9), (0, 1, 2, 5)
LOCATION = {"mu": "real", "sigma": "positive"}
ONE_SCALE = {"sigma": "positive"}
SHAPES = {"alpha": "positive", "beta": "positive"}
SHAPE_SCALE = {"alpha": "positive", "sigma": "positive"}


def finite(weights: Any) -> Any:
    weights = np.asarray(weights, float)
    return stats.rv_discrete(values=(np.arange(len(weights)), weights / weights.sum()))


@dataclass(frozen=True)
class Half:
    """The upper half of a law that is symmetric around zero."""

    law: Any

    def logpdf(self, x: Any) -> Any:
        return self.law.logpdf(x) + np.log(2)

    def cdf(self, x: Any) -> Any:
        return 2 * self.law.cdf(x) - 1


def ordered_logistic(eta: float, c: Any) -> Any:
    return finite(np.diff(np.concatenate([[0.0], special.expit(np.asarray(c) - eta), [1.0]])))


@dataclass(frozen=True)
class Factored:
    """The Cholesky factor of a random matrix, with the Jacobian of L L' (Muirhead 1982, theorem 2.1.9)."""

    law: Any

    def logpdf(self, lower: Any) -> float:
        lower = np.tril(lower)
        k = len(lower)
        return self.law.logpdf(lower @ lower.T) + k * np.log(2) + np.sum((k - np.arange(k)) * np.log(np.diag(lower)))


@dataclass(frozen=True)
class Lkj:
    """det(C)^(eta - 1) over the volume that a C-vine gives: pairs whose partial correlation is given j others have the
    density (1 - p^2)^(b - 1) with b = eta + (k - 2 - j) / 2, and there are k - 1 - j of them."""

    eta: float

    def logpdf(self, lower: Any) -> float:
        k = len(lower)
        level = np.arange(k - 1)
        b = self.eta + 0.5 * (k - 2 - level)
        volume = np.sum((k - 1 - level) * ((2 * b - 1) * np.log(2) + special.betaln(b, b)))
        row = np.arange(1, k)
        return np.sum((k - 3 - row + 2 * self.eta) * np.log(np.diag(lower)[1:])) - volume


def squared(lower: Any) -> np.ndarray:
    return np.tril(lower) @ np.tril(lower).T


FACTOR = [[1.4, 0.0, 0.0], [0.4, 0.9, 0.0], [-0.3, 0.2, 1.1]]
CORRELATED = [[1.0, 0.0, 0.0], [0.6, 0.8, 0.0], [0.0, -0.6, 0.8]]

LAWS: dict[str, Law] = {
    "normal": Law("real", LOCATION, (0.3, 1.7), stats.norm, REAL),
    "std_normal": Law("real", {}, (), stats.norm, REAL),
    "student_t": Law("real", {"nu": "positive", **LOCATION}, (0.5, 0.3, 1.7), stats.t, REAL),
    "cauchy": Law("real", LOCATION, (0.3, 1.7), stats.cauchy, REAL),
    "laplace": Law("real", LOCATION, (0.3, 1.7), stats.laplace, REAL),
    "logistic": Law("real", LOCATION, (0.3, 1.7), stats.logistic, REAL),
    "gumbel": Law("real", {"mu": "real", "beta": "positive"}, (0.3, 1.7), stats.gumbel_r, REAL),
    "skew_normal": Law(
        "real", {"xi": "real", "omega": "positive", "alpha": "real"}, (0.3, 1.7, -2.5), lambda xi, omega, alpha: stats.skewnorm(alpha, xi, omega), REAL,
    ),
    "exp_mod_normal": Law(
        "real", {**LOCATION, "lambda": "positive"}, (0.3, 0.7, 1.3), lambda mu, sigma, rate: stats.exponnorm(1 / (sigma * rate), mu, sigma), REAL,
    ),
    "pareto_type_2": Law(
        "real", {"mu": "real", "lambda": "positive", "alpha": "positive"}, (-0.3, 1.7, 2.3), lambda mu, scale, alpha: stats.lomax(alpha, mu, scale),
        (-0.1, 0.1, 2.0),
    ),
    "half_normal": Law("positive", ONE_SCALE, (1.7,), lambda sigma: stats.halfnorm(0, sigma), POSITIVE),
    "half_student_t": Law("positive", {"nu": "positive", **ONE_SCALE}, (2.0, 1.7), lambda nu, sigma: Half(stats.t(nu, 0, sigma)), POSITIVE),
    "half_cauchy": Law("positive", ONE_SCALE, (1.7,), lambda sigma: stats.halfcauchy(0, sigma), POSITIVE),
    "lognormal": Law("positive", LOCATION, (0.3, 0.7), lambda mu, sigma: stats.lognorm(sigma, 0, np.exp(mu)), POSITIVE),
    "exponential": Law("positive", {"beta": "positive"}, (1.7,), lambda beta: stats.expon(0, 1 / beta), POSITIVE),
    "gamma": Law("positive", SHAPES, (0.3, 1.7), lambda alpha, beta: stats.gamma(alpha, 0, 1 / beta), POSITIVE),
    "inverse_gamma": Law("positive", SHAPES, (0.3, 1.7), lambda alpha, beta: stats.invgamma(alpha, 0, beta), POSITIVE),
    "chi_square": Law("positive", {"nu": "positive"}, (2.7,), stats.chi2, POSITIVE),
    "inv_chi_square": Law("positive", {"nu": "positive"}, (2.7,), lambda nu: stats.invgamma(nu / 2, 0, 0.5), POSITIVE),
    "scaled_inv_chi_square": Law(
        "positive", {"nu": "positive", "sigma": "positive"}, (2.7, 1.4), lambda nu, sigma: stats.invgamma(nu / 2, 0, nu * sigma**2 / 2), POSITIVE,
    ),
    "weibull": Law("positive", SHAPE_SCALE, (0.7, 1.7), lambda alpha, sigma: stats.weibull_min(alpha, 0, sigma), POSITIVE),
    "frechet": Law("positive", SHAPE_SCALE, (2.5, 1.7), lambda alpha, sigma: stats.invweibull(alpha, 0, sigma), POSITIVE[1:]),
    "rayleigh": Law("positive", ONE_SCALE, (1.7,), lambda sigma: stats.rayleigh(0, sigma), POSITIVE),
    "loglogistic": Law("positive", SHAPES, (1.3, 2.5), lambda alpha, beta: stats.fisk(beta, 0, alpha), POSITIVE),
    "pareto": Law("positive", {"y_min": "positive", "alpha": "positive"}, (0.04, 2.5), lambda low, alpha: stats.pareto(alpha, 0, low), POSITIVE),
    "beta": Law("unit", SHAPES, (0.2, 0.4), stats.beta, UNIT),
    "beta_proportion": Law("unit", {"mu": "unit", "kappa": "positive"}, (0.3, 2.5), lambda mu, kappa: stats.beta(mu * kappa, (1 - mu) * kappa), UNIT),
    "uniform": Law("interval(-1, 2)", {"alpha": "-1", "beta": "2"}, (), lambda *_: stats.uniform(-1, 3), UNIT),
    "von_mises": Law("interval(-pi, pi)", {"mu": "real", "kappa": "positive"}, (0.4, 2.2), lambda mu, kappa: stats.vonmises(kappa, mu), REAL),
    "bernoulli": Law("binary", {"theta": "unit"}, (0.3,), stats.bernoulli, (0, 1)),
    "bernoulli_logit": Law("binary", {"alpha": "real"}, (-0.8,), lambda alpha: stats.bernoulli(special.expit(alpha)), (0, 1)),
    "categorical": Law("cat(3)", {"theta": "simplex[3]"}, ([0.2, 0.3, 0.5],), finite, (0, 1, 2)),
    "categorical_logit": Law("cat(3)", {"beta": "real[3]"}, ([0.0, 0.5, 1.0],), lambda beta: finite(np.exp(beta)), (0, 1, 2)),
    "ordered_logistic": Law("cat(4)", {"eta": "real", "c": "ordered[3]"}, (0.4, [-1.0, 0.5, 2.0]), ordered_logistic, (0, 1, 2, 3)),
    "binomial": Law("count", {"N": "count", "theta": "unit"}, (7, 0.3), stats.binom, (0, 3, 7)),
    "binomial_logit": Law("count", {"N": "count", "alpha": "real"}, (7, 0.8), lambda n, alpha: stats.binom(n, special.expit(alpha)), (0, 3, 7)),
    "beta_binomial": Law("count", {"N": "count", **SHAPES}, (7, 0.7, 2.2), stats.betabinom, (0, 3, 7)),
    "geometric": Law("count", {"theta": "unit"}, (0.3,), lambda theta: stats.geom(theta, -1), COUNT),
    "poisson": Law("count", {"lambda": "positive"}, (3.5,), stats.poisson, COUNT),
    "poisson_log": Law("count", {"alpha": "real"}, (2.8,), lambda alpha: stats.poisson(np.exp(alpha)), COUNT),
    "neg_binomial": Law("count", SHAPES, (2.5, 0.7), lambda alpha, beta: stats.nbinom(alpha, beta / (1 + beta)), COUNT),
    "neg_binomial_2": Law("count", {"mu": "positive", "phi": "positive"}, (2.5, 0.7), lambda mu, phi: stats.nbinom(phi, phi / (mu + phi)), COUNT),
    "neg_binomial_2_log": Law(
        "count", {"eta": "real", "phi": "positive"}, (1.5, 0.7), lambda eta, phi: stats.nbinom(phi, phi / (np.exp(eta) + phi)), COUNT,
    ),
    "multinomial": Law(
        "count[3]", {"N": "count", "theta": "simplex[3]"}, (7, [0.2, 0.3, 0.5]), lambda n, theta: stats.multinomial(n, np.divide(theta, np.sum(theta))),
        ([3, 4, 0], [1, 1, 5]),
    ),
    "multinomial_logit": Law(
        "count[3]", {"N": "count", "beta": "real[3]"}, (7, [0.0, 0.5, 1.0]), lambda n, beta: stats.multinomial(n, special.softmax(beta)),
        ([3, 4, 0], [1, 1, 5]),
    ),
    "dirichlet_multinomial": Law(
        "count[3]", {"N": "count", "alpha": "positive[3]"}, (7, [0.3, 1.0, 2.5]), lambda n, alpha: stats.dirichlet_multinomial(alpha, n),
        ([3, 4, 0], [1, 1, 5]),
    ),
    "dirichlet": Law("simplex[3]", {"alpha": "positive[3]"}, ([0.3, 1.0, 2.5],), stats.dirichlet, ([0.2, 0.3, 0.5], [0.01, 0.09, 0.9])),
    "multi_normal": Law(
        "real[2]", {"mu": "real[2]", "Sigma": "real[2, 2]"}, ([0.3, -1.0], [[2.0, 0.5], [0.5, 1.0]]),
        lambda mu, sigma: stats.multivariate_normal(mu, (np.asarray(sigma) + np.transpose(sigma)) / 2), ([0.1, 0.2], [-2.0, 1.0]),
    ),
    "multi_normal_cholesky": Law(
        "real[2]", {"mu": "real[2]", "L": "real[2, 2]"}, ([0.3, -1.0], [[1.4, 0.0], [0.4, 0.9]]),
        lambda mu, lower: stats.multivariate_normal(mu, np.tril(lower) @ np.tril(lower).T), ([0.1, 0.2], [-2.0, 1.0]),
    ),
    "multi_normal_precision": Law(
        "real[2]", {"mu": "real[2]", "Omega": "real[2, 2]"}, ([0.3, -1.0], [[2.0, 0.5], [0.5, 1.0]]),
        lambda mu, omega: stats.multivariate_normal(mu, np.linalg.inv((np.asarray(omega) + np.transpose(omega)) / 2)), ([0.1, 0.2], [-2.0, 1.0]),
    ),
    "multi_student_t": Law(
        "real[2]", {"nu": "positive", "mu": "real[2]", "Sigma": "real[2, 2]"}, (3.5, [0.3, -1.0], [[2.0, 0.5], [0.5, 1.0]]),
        lambda nu, mu, sigma: stats.multivariate_t(mu, (np.asarray(sigma) + np.transpose(sigma)) / 2, nu), ([0.1, 0.2], [-2.0, 1.0]),
    ),
    "lkj_corr_cholesky": Law("corr_cholesky[3]", {"eta": "positive"}, (1.7,), Lkj, (CORRELATED,)),
    "wishart_cholesky": Law(
        "cov_cholesky[3]", {"nu": "positive", "L_S": "real[3, 3]"}, (4.5, FACTOR), lambda nu, lower: Factored(stats.wishart(float(nu), squared(lower))),
        ([[0.7, 0.0, 0.0], [0.4, 1.2, 0.0], [-1.0, 0.3, 0.6]],),
    ),
    "inv_wishart_cholesky": Law(
        "cov_cholesky[3]", {"nu": "positive", "L_S": "real[3, 3]"}, (4.5, FACTOR), lambda nu, lower: Factored(stats.invwishart(float(nu), squared(lower))),
        ([[0.7, 0.0, 0.0], [0.4, 1.2, 0.0], [-1.0, 0.3, 0.6]],),
    ),
}  # fmt: skip
