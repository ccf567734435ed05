"""What Stan, NumPy, SciPy and JAX call things: names that are not ours, and what to write instead."""

from __future__ import annotations

from collections.abc import Collection

_SIZE = "the name of the dim"
_SUFFIXES = ("_lpdf", "_lpmf", "_rng")

ELSEWHERE: dict[str, str] = {
    "arange": "range(n)", "array": "[a, b, c]", "arccos": "acos", "arcsin": "asin", "arctan": "atan",
    "arctan2": "atan2", "bessel_i0": "log_bessel_i0", "bessel_i1": "log_bessel_i1", "betaln": "lbeta",
    "binomial_coefficient_log": "log_choose", "lchoose": "log_choose", "choose": "exp(log_choose(n, k))", "col_sums": "sum(x, axis = 0)",
    "colSums": "sum(x, axis = 0)", "cumulative_sum": "cumsum", "cov_exp_quad": "exp_quad", "gp_exp_quad_cov": "exp_quad",
    "det": "determinant", "diag": "diagonal_matrix(x), or diagonal(a) of a matrix", "diag_pre_multiply": "diagonal_matrix(x) @ a", "diag_post_multiply": "a * x", "diag_matrix": "diagonal_matrix",
    "dims": _SIZE, "distance": "norm(x - y)", "dot_product": "dot", "dot_self": "norm2", "einsum": "sum(a * b, axis = …), or a comprehension",
    "eigenvalues_sym": "eigh", "eigenvectors_sym": "eigh", "eye": "identity", "fabs": "abs", "fmax": "maximum",
    "fmin": "minimum", "full": "zeros([n]) + value", "gammaln": "lgamma", "gamma_p": "gammainc", "gamma_q": "gammaincc",
    "identity_matrix": "identity", "int_step": "step", "inv": "1 / x, or inverse(a) of a matrix",
    "inv_Phi": "std_normal_quantile", "inv_sqrt": "1 / sqrt(x)", "inv_square": "1 / x^2", "inverse_spd": "inverse",
    "cholesky_decompose": "cholesky", "len": _SIZE, "length": _SIZE, "linspace": "a + (b - a) * range(n) / (n - 1)",
    "linspaced_vector": "a + (b - a) * range(n) / (n - 1)", "log_det": "log_determinant", "logdet": "log_determinant", "slogdet": "log_determinant",
    "log_inv_logit_diff": "log_diff_exp", "log_sum_exp": "logsumexp", "logsigmoid": "log_inv_logit", "log_sigmoid": "log_inv_logit",
    "logsubexp": "log_diff_exp", "map": "[for x in xs: …]", "matmul": "a @ b", "mdivide_left": "solve", "mdivide_left_tri_low": "triangular_solve",
    "multiply_log": "xlogy", "lmultiply": "xlogy", "ndtr": "std_normal_cdf", "Phi": "std_normal_cdf", "phi": "std_normal_cdf",
    "Phi_approx": "std_normal_cdf", "ndtri": "std_normal_quantile", "norm_cdf": "std_normal_cdf", "num_elements": _SIZE,
    "ode_bdf": "ode(…, solver = kvaerno5)", "ode_rk45": "ode", "odeint": "ode", "solve_ivp": "ode", "integrate_ode_rk45": "ode",
    "integrate_ode_bdf": "ode(…, solver = kvaerno5)", "pow": "x ^ y", "power": "x ^ y", "polygamma": "digamma or trigamma", "psi": "digamma",
    "quad_form": "quadratic_form", "reduce": "fold", "relu": "maximum(x, 0)", "rep_array": "zeros([n]) + value", "rep_matrix": "zeros([n, m]) + value",
    "rep_vector": "zeros([n]) + value", "reversed": "reverse", "flip": "reverse", "rows_dot_product": "sum(x * y, axis = 1)",
    "head": "x[:n]", "tail": "x[-n:]", "segment": "x[i:i + n]", "quad_form_diag": "outer(x, x) * a", "square_root": "sqrt", "stack": "[a, b]",
    "multiply_lower_tri_self_transpose": "L @ transpose(L)", "row_sums": "sum(x, axis = 1)", "rowSums": "sum(x, axis = 1)", "size": _SIZE,
    "std": "sd", "std_normal_inv_cdf": "std_normal_quantile", "stddev": "sd", "tgamma": "exp(lgamma(x))", "to_array_1d": "reshape", "to_matrix": "reshape",
    "to_vector": "reshape", "to_row_vector": "reshape", "tile": "zeros([n]) + x", "var": "variance", "vmap": "[for x in xs: …]",
    "where": "if c then a else b", "hypot": "sqrt(x^2 + y^2)", "log_gamma": "lgamma", "loggamma": "lgamma",
    "swish": "x * inv_logit(x)", "append_row": "concatenate", "append_col": "concatenate", "hstack": "concatenate", "vstack": "concatenate",
    "tcrossprod": "x @ transpose(x)", "crossprod": "transpose(x) @ x", "t": "transpose", "T": "transpose", "positive_infinity": "infinity",
    "append": "concatenate", "binomial_coefficient": "exp(log_choose(n, k))",
}  # fmt: skip
"""By the name elsewhere: a function of ours, or how it is written."""

SPACES_ELSEWHERE: dict[str, str] = {
    "cholesky_factor_corr": "corr_cholesky", "cholesky_factor_cov": "cov_cholesky", "corr_matrix": "corr_cholesky",
    "cov_matrix": "cov_cholesky", "integer": "int", "float": "real", "probability": "unit", "boolean": "binary",
    "categorical": "cat", "positive_real": "positive", "natural": "count",
}  # fmt: skip
"""By the name elsewhere: a space of ours; matrices are had of their factor, `L @ transpose(L)`."""


def elsewhere(name: str, known: Collection[str]) -> str:
    """What a function that other systems have is here, as a fix; empty where we do not know it."""
    if name in ELSEWHERE:
        here = ELSEWHERE[name]
        return f"here it is {here}" if here == _SIZE else f"here it is `{here}`"
    for suffix in _SUFFIXES:
        distribution = name.removesuffix(suffix)
        if distribution != name and distribution in known:
            if suffix == "_rng":
                return f"draws are reports: `report name ~ {distribution}(…)`"
            return f"here it is `{distribution}(x | …)`, which is minus the log density"
    return ""
