"""Which distributions of the standard library can be drawn from exactly; how stands in `energylang.lower.samplers`."""

from __future__ import annotations

DRAWABLE = frozenset([
    "normal", "std_normal", "student_t", "cauchy", "laplace", "logistic", "gumbel", "skew_normal", "exp_mod_normal", "pareto_type_2",
    "half_normal", "half_student_t", "half_cauchy", "lognormal", "exponential", "gamma", "inverse_gamma",
    "chi_square", "inv_chi_square", "scaled_inv_chi_square", "weibull", "frechet", "rayleigh", "loglogistic", "pareto",
    "beta", "beta_proportion", "uniform", "von_mises",
    "bernoulli", "bernoulli_logit", "categorical", "categorical_logit", "ordered_logistic",
    "binomial", "binomial_logit", "beta_binomial", "geometric", "poisson", "poisson_log",
    "neg_binomial", "neg_binomial_2", "neg_binomial_2_log", "multinomial", "multinomial_logit", "dirichlet_multinomial",
    "dirichlet", "multi_normal", "multi_normal_cholesky", "multi_normal_precision", "multi_student_t",
    "lkj_corr_cholesky", "wishart_cholesky", "inv_wishart_cholesky",
])  # fmt: skip
