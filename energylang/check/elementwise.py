"""Functions that work element by element."""

from __future__ import annotations

from energylang.check.context import POISON, Context, Found, Poison, literal
from energylang.check.expressions import apply
from energylang.check.registry import Site, elementwise, function
from energylang.ir.nodes import Expr

ONE_ARGUMENT = (
    "exp", "log", "log1p", "expm1", "sqrt", "sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "tanh",
    "erf", "erfc", "lgamma", "digamma", "logit", "inv_logit", "log_inv_logit", "softplus", "std_normal_cdf",
    "log_std_normal_cdf", "log_bessel_i0", "log_bessel_i0e", "abs", "sign", "floor", "ceil", "round", "trunc", "trigamma", "log1m_exp",
    "std_normal_quantile", "erfinv", "cbrt", "asinh", "acosh", "atanh", "log2", "log10", "log_bessel_i1",
)  # fmt: skip
for _name in ONE_ARGUMENT:
    elementwise(_name, _name, "x")
for _name in ("sigmoid", "expit"):
    elementwise(_name, "inv_logit", "x", "1 / (1 + exp(-x)), elementwise")
elementwise("log1p_exp", "softplus", "x", "log(1 + exp(x)), elementwise")
for _name in ("atan2", "logaddexp", "lbeta", "minimum", "maximum", "xlogy", "xlog1py"):
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
elementwise("gammainc", "gammainc", "a x", "the regularised lower incomplete gamma function P(a, x), elementwise")
elementwise("gammaincc", "gammaincc", "a x", "the regularised upper incomplete gamma function Q(a, x), elementwise")


class _Formula:
    """A formula of elementwise operations at one call: applications after a mistake are the mistake."""

    def __init__(self, context: Context, site: Site):
        self.context, self.site = context, site

    def __call__(self, operation: str, *operands: Found | float) -> Found:
        known: list[Expr] = []
        for operand in operands:
            value = literal(operand, self.site.span) if isinstance(operand, int | float) else operand
            if isinstance(value, Poison):
                return POISON
            known.append(value)
        return apply(self.context, operation, known, self.site.span)


@function("square", "x", "x^2, elementwise")
def _square(context: Context, values: list[Expr], site: Site) -> Found:
    return _Formula(context, site)("pow", values[0], 2)


@function("log1m", "x", "log(1 - x), elementwise")
def _log1m(context: Context, values: list[Expr], site: Site) -> Found:
    of = _Formula(context, site)
    return of("log1p", of("neg", values[0]))


@function("log_diff_exp", "x y", "log(exp(x) - exp(y)) where x > y, elementwise")
def _log_diff_exp(context: Context, values: list[Expr], site: Site) -> Found:
    of = _Formula(context, site)
    return of("add", values[0], of("log1m_exp", of("sub", values[1], values[0])))


@function("inv_cloglog", "x", "1 - exp(-exp(x)), elementwise")
def _inv_cloglog(context: Context, values: list[Expr], site: Site) -> Found:
    of = _Formula(context, site)
    return of("neg", of("expm1", of("neg", of("exp", values[0]))))


@function("log_choose", "n k", "log of the binomial coefficient, elementwise")
def _log_choose(context: Context, values: list[Expr], site: Site) -> Found:
    of = _Formula(context, site)
    n, k = values
    rest = of("add", of("sub", n, k), 1)
    return of("sub", of("neg", of("log1p", n)), of("lbeta", rest, of("add", k, 1)))


@function("betainc", "a b x", "the regularised incomplete beta function I_x(a, b), elementwise")
def _betainc(context: Context, values: list[Expr], site: Site) -> Found:
    of = _Formula(context, site)
    return of("exp", of("log_betainc", *values, of("sub", 1, values[2])))


@function("log_mix", "theta x y", "log(theta exp(x) + (1 - theta) exp(y)), elementwise")
def _log_mix(context: Context, values: list[Expr], site: Site) -> Found:
    of = _Formula(context, site)
    theta, x, y = values
    return of("logaddexp", of("add", of("log", theta), x), of("add", of("log1p", of("neg", theta)), y))


@function("step", "x", "1 where x is at least 0, otherwise 0, elementwise")
def _step(context: Context, values: list[Expr], site: Site) -> Found:
    of = _Formula(context, site)
    return of("where", of("ge", values[0], 0), 1, 0)


@function("clip", "x low high", "x, and the nearer bound where it lies outside, elementwise")
def _clip(context: Context, values: list[Expr], site: Site) -> Found:
    of = _Formula(context, site)
    return of("minimum", of("maximum", values[0], values[1]), values[2])
