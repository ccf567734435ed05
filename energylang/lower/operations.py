"""How each primitive operation is computed, over numpy (float64 on the host) or JAX: one table for both.

Attributes are those that `energylang.ir.operations` documents, their dims already numbers.
"""

from __future__ import annotations

import math
from typing import Any

from energylang.lower import incomplete
from energylang.lower.algebra import ALGEBRA
from energylang.lower.backend import JAX, NUMPY, Backend, Implementation
from energylang.lower.special import SPECIAL

__all__ = ["JAX", "NUMPY", "Backend", "compute"]


def compute(backend: Backend, operation: str, arguments: list[Any], attributes: tuple[Any, ...]) -> Any:
    """The value of one application."""
    return _TABLE[operation](backend, *arguments, *attributes)


def _plain(name: str) -> Implementation:
    return lambda b, *arguments: getattr(b.xp, name)(*arguments)


def _special(name: str) -> Implementation:
    return lambda b, x: getattr(b.special, name)(x)


def _to_int(name: str) -> Implementation:
    return lambda b, x: getattr(b.xp, name)(x).astype(int if b.name == "numpy" else b.xp.int32)


def _arithmetic(name: str) -> Implementation:
    """bool operands count as 0 and 1 (numpy would refuse or saturate)."""

    def run(b: Backend, *arguments: Any) -> Any:
        lifted = [
            a * 1 if getattr(getattr(a, "dtype", None), "kind", "") == "b" or a is True or a is False else a
            for a in arguments
        ]
        return getattr(b.xp, name)(*lifted)

    return run


def _power(b: Backend, base: Any, exponent: Any) -> Any:
    if isinstance(exponent, int | float) and float(exponent).is_integer() and abs(exponent) <= 16:
        # A Python int stays static in JAX: the derivative is one power less, not one product more.
        return (base if exponent >= 0 else base * 1.0) ** int(exponent)
    return b.xp.power(base * 1.0, exponent)


def _lgamma(b: Backend, x: Any) -> Any:
    return b.special.gammaln(x * 1.0)


def _lbeta(b: Backend, x: Any, y: Any) -> Any:
    """log Beta(x, y), without the cancellation of large lgammas (DiDonato and Morris 1992, ACM TOMS 18(3), section 2)."""
    xp = b.xp
    small, large = xp.minimum(x, y) * 1.0, xp.maximum(x, y) * 1.0
    # Each form is computed where it is not taken as well: there its arguments are moved to where it is finite.
    s, t = xp.maximum(small, 8.0), xp.maximum(large, 8.0)
    ratio = xp.log1p(s / t)
    both = (
        0.5 * math.log(2 * math.pi) - 0.5 * xp.log(t) + (s - 0.5) * xp.log(s / (s + t)) - t * ratio
        + _stirling(s) + _stirling(t) - _stirling(s + t)
    )  # fmt: skip
    u = xp.minimum(small, 8.0)
    one = _lgamma(b, u) - (u + t - 0.5) * xp.log1p(u / t) - u * xp.log(t) + u + _stirling(t) - _stirling(u + t)
    v = xp.minimum(large, 8.0)
    plain = _lgamma(b, u) + _lgamma(b, v) - _lgamma(b, u + v)
    return xp.where(small >= 8.0, both, xp.where(large >= 8.0, one, plain))


def _stirling(x: Any) -> Any:
    """lgamma(x) - ((x - 1/2) log x - x + log(2 pi) / 2) for x of at least 8, to 1e-15."""
    inverse = 1.0 / x
    square = inverse * inverse
    total = 1 / 156
    for coefficient in (-691 / 360360, 1 / 1188, -1 / 1680, 1 / 1260, -1 / 360, 1 / 12):
        total = total * square + coefficient
    return total * inverse


def _stirling_excess(b: Backend, x: Any) -> Any:
    """lgamma(x + 1) - x log x + x, for x of at least 0: what Stirling's formula leaves out (Loader 2000)."""
    xp = b.xp
    x = x * 1.0
    large, small = xp.maximum(x, 8.0), xp.minimum(x, 8.0)
    # 0 log 0 is 0, and its derivative is not asked for: there the other part of the density takes it back.
    within = xp.maximum(small, float(xp.finfo(xp.result_type(x)).tiny))
    plain = _lgamma(b, small + 1.0) - small * xp.log(within) + small
    return xp.where(x >= 8.0, stirling(b, large), plain)


def stirling(b: Backend, x: Any) -> Any:
    """`stirling_excess` for x of at least 8."""
    return 0.5 * b.xp.log(2 * math.pi * x) + _stirling(x)


def _kl_div(b: Backend, x: Any, y: Any) -> Any:
    """x log(x / y) - x + y, for x and y of at least 0, without cancellation near x = y (Loader 2000, section 4)."""
    return _divergence(b, x * 1.0, y * 1.0, None)


def _kl_div_log(b: Backend, x: Any, log_y: Any) -> Any:
    """`kl_div(x, exp(log_y))`, also where exp overflows or underflows."""
    return _divergence(b, x * 1.0, b.xp.exp(log_y), log_y * 1.0)


def _divergence(b: Backend, x: Any, y: Any, log_y: Any) -> Any:
    xp = b.xp
    # Each form is computed where it is not taken as well: there its arguments are moved to where it is finite.
    zero = x <= 0.0
    s = xp.where(zero, 1.0, x)
    near = xp.logical_and(y > 0.6 * s, y < 1.6 * s)
    t = xp.where(near, y, s)
    r = (t - s) / (t + s)
    square = r * r
    series = 1 / 27
    for power in range(25, 2, -2):
        series = series * square + 1 / power
    # log(x / y) = -2 (r + r^3 / 3 + r^5 / 5 + …)
    close = (t - s) * r - 2.0 * s * r * square * series
    away = xp.logical_or(near, zero)
    log_t = xp.log(xp.where(away, 1.0, y)) if log_y is None else xp.where(away, 0.0, log_y)
    far = s * (xp.log(s) - log_t) - s + xp.where(away, 1.0, y)
    return xp.where(zero, y, xp.where(near, close, far))


def _log_gammainc(upper: bool) -> Implementation:
    def run(b: Backend, a: Any, x: Any) -> Any:
        return incomplete.log_gammainc(b, a, x, lambda name, *values: compute(b, name, list(values), ()), upper)

    return run


def _log_betainc(b: Backend, a: Any, c: Any, x: Any, y: Any) -> Any:
    return incomplete.log_betainc(b, a, c, x, y, lambda name, *values: compute(b, name, list(values), ()))


def _softplus(b: Backend, x: Any) -> Any:
    return b.xp.logaddexp(x, 0.0)


def _log_inv_logit(b: Backend, x: Any) -> Any:
    return -b.xp.logaddexp(-x, 0.0)


def _log_bessel_i0(b: Backend, x: Any) -> Any:
    return _log_bessel_i0e(b, x) + b.xp.abs(x)


def _log_bessel_i0e(b: Backend, x: Any) -> Any:
    return b.xp.log(b.special.i0e(x))


def _where(b: Backend, condition: Any, then: Any, otherwise: Any) -> Any:
    return b.xp.where(condition, then, otherwise)


def _roll(b: Backend, x: Any, shift: int, axis: int) -> Any:
    return b.xp.roll(x, shift, axis=axis)


def _index(b: Backend, base: Any, *rest: Any) -> Any:
    """Slices first, then the integer indices together: the indexed axes are adjacent, so they stay in place."""
    count = sum(1 for item in rest if isinstance(item, tuple) and item[0] == "at")
    indices, items = list(rest[:count]), rest[count:]
    base = b.xp.asarray(base)
    cut = tuple(slice(item[1], item[2], item[3]) if item[0] == "slice" else slice(None) for item in items)
    if any(
        s != slice(None) and (s.start, s.stop, s.step) != (0, size, 1) for s, size in zip(cut, base.shape, strict=False)
    ):
        base = base[cut]
    if not indices:
        return base
    indices = [i if getattr(getattr(i, "dtype", None), "kind", "i") in "iu" else b.xp.asarray(i, int) for i in indices]
    return base[tuple(indices.pop(0) if item[0] == "at" else slice(None) for item in items)]


def _reshape(b: Backend, x: Any, *shape: int) -> Any:
    return b.xp.reshape(x, shape)


def _transpose(b: Backend, x: Any, *order: int) -> Any:
    return b.xp.transpose(x, order)


def _concatenate(b: Backend, *rest: Any) -> Any:
    *arrays, axis = rest
    return b.xp.concatenate([b.xp.asarray(a) for a in arrays], axis=axis)


def _stack(b: Backend, *items: Any) -> Any:
    import numpy

    if all(isinstance(i, int | float | numpy.ndarray) for i in items):
        return numpy.stack([numpy.asarray(i) for i in items])
    return b.xp.stack([b.xp.asarray(i) for i in items])


def _broadcast(b: Backend, x: Any, *shape: int) -> Any:
    return b.xp.broadcast_to(x, shape)


def _reduction(name: str) -> Implementation:
    return lambda b, x, *axes: getattr(b.xp, name)(x, axis=tuple(axes))


def _logsumexp(b: Backend, x: Any, *axes: int) -> Any:
    return b.special.logsumexp(x, axis=tuple(axes))


def _cumsum(b: Backend, x: Any, axis: int) -> Any:
    return b.xp.cumsum(x, axis=axis)


def _softmax(b: Backend, x: Any, axis: int) -> Any:
    return b.special.softmax(x, axis=axis)


def _log_softmax(b: Backend, x: Any, axis: int) -> Any:
    return x - b.special.logsumexp(x, axis=axis, keepdims=True)


def _iota(b: Backend, size: int) -> Any:
    return b.xp.arange(size)


_TABLE: dict[str, Implementation] = {
    **{name: _arithmetic(f) for name, f in {"add": "add", "sub": "subtract", "neg": "negative", "mul": "multiply"}.items()},
    **{name: _plain(f) for name, f in {
        "div": "true_divide", "floordiv": "floor_divide", "mod": "mod", "eq": "equal", "ne": "not_equal", "lt": "less",
        "le": "less_equal", "gt": "greater", "ge": "greater_equal", "and": "logical_and", "or": "logical_or", "not": "logical_not",
        "minimum": "minimum", "maximum": "maximum", "abs": "abs", "sign": "sign", "exp": "exp", "log": "log", "log1p": "log1p",
        "expm1": "expm1", "sqrt": "sqrt", "sin": "sin", "cos": "cos", "tan": "tan", "asin": "arcsin", "acos": "arccos",
        "atan": "arctan", "sinh": "sinh", "cosh": "cosh", "tanh": "tanh", "atan2": "arctan2", "logaddexp": "logaddexp",
    }.items()},
    **{name: _special(f) for name, f in {
        "erf": "erf", "erfc": "erfc", "digamma": "digamma", "logit": "logit", "inv_logit": "expit", "std_normal_cdf": "ndtr",
        "log_std_normal_cdf": "log_ndtr",
    }.items()},
    **{name: _to_int(name) for name in ("floor", "ceil", "round", "trunc")},
    **{name: _reduction(name) for name in ("sum", "prod", "mean", "max", "min", "any", "all")},
    "pow": _power, "lgamma": _lgamma, "lbeta": _lbeta, "stirling_excess": _stirling_excess, "kl_div": _kl_div, "kl_div_log": _kl_div_log, "softplus": _softplus, "log_inv_logit": _log_inv_logit,
    "log_bessel_i0": _log_bessel_i0, "log_bessel_i0e": _log_bessel_i0e, "where": _where, "roll": _roll, "index": _index, "reshape": _reshape,
    "transpose": _transpose, "concatenate": _concatenate, "stack": _stack, "broadcast": _broadcast, "logsumexp": _logsumexp,
    "cumsum": _cumsum, "softmax": _softmax, "log_softmax": _log_softmax, "iota": _iota,
    **ALGEBRA, **SPECIAL,
    "log_gammainc": _log_gammainc(False), "log_gammaincc": _log_gammainc(True), "log_betainc": _log_betainc,
}  # fmt: skip
