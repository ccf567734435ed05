"""Which distributions of the standard library can be drawn from exactly; how stands in `energylang.lower.samplers`."""

from __future__ import annotations

DRAWABLE = frozenset([
    "normal", "student_t", "cauchy", "laplace", "logistic", "gumbel",
    "half_normal", "half_student_t", "half_cauchy", "lognormal", "exponential", "gamma", "inverse_gamma", "weibull",
    "beta", "uniform",
    "bernoulli", "bernoulli_logit", "categorical", "categorical_logit", "poisson", "poisson_log",
    "dirichlet",
])  # fmt: skip
