"""Functions that work element by element."""

from __future__ import annotations

from energylang.check.registry import elementwise

for _name in [
    "exp",
    "log",
    "log1p",
    "expm1",
    "sqrt",
    "sin",
    "cos",
    "tan",
    "asin",
    "acos",
    "atan",
    "sinh",
    "cosh",
    "tanh",
    "erf",
    "erfc",
    "lgamma",
    "digamma",
    "logit",
    "inv_logit",
    "log_inv_logit",
    "softplus",
    "std_normal_cdf",
    "log_std_normal_cdf",
    "log_bessel_i0",
    "log_bessel_i0e",
    "abs",
    "sign",
    "floor",
    "ceil",
    "round",
]:
    elementwise(_name, _name, "x")
elementwise("sigmoid", "inv_logit", "x", "1 / (1 + exp(-x)), elementwise")
for _name in ("atan2", "logaddexp", "lbeta", "minimum", "maximum"):
    elementwise(_name, _name, "x y")
elementwise("kl_div", "kl_div", "x y", "x log(x / y) - x + y, without cancellation, elementwise")
for _name, _doc in (("log_gammainc", "P(a, x)"), ("log_gammaincc", "Q(a, x) = 1 - P(a, x)")):
    elementwise(_name, _name, "a x", f"the log of the regularised incomplete gamma function {_doc}, elementwise")
elementwise(
    "log_betainc", "log_betainc", "a b x y",
    "the log of the regularised incomplete beta function, y = 1 - x, elementwise",
)  # fmt: skip
elementwise("kl_div_log", "kl_div_log", "x log_y", "kl_div(x, exp(log_y)), elementwise")
elementwise(
    "stirling_excess", "stirling_excess", "x", "lgamma(x + 1) - x log(x) + x, without cancellation, elementwise"
)
