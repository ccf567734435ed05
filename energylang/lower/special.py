"""Special functions over numpy with scipy (float64) and JAX, each with derivatives that hold where its value does."""

from __future__ import annotations

import math
from typing import Any

from energylang.lower.backend import Backend, Implementation


def _real(b: Backend, x: Any) -> Any:
    return b.xp.asarray(x) * 1.0


def _special(name: str) -> Implementation:
    return lambda b, *arguments: getattr(b.special, name)(*(_real(b, a) for a in arguments))


def _plain(name: str) -> Implementation:
    return lambda b, x: getattr(b.xp, name)(_real(b, x))


def _trigamma(b: Backend, x: Any) -> Any:
    return b.special.polygamma(1, _real(b, x))


def _log1m_exp(b: Backend, x: Any) -> Any:
    """log(1 - exp(x)) for x below 0 (Maechler 2012, Accurately computing log(1 - exp(-|a|)))."""
    xp = b.xp
    x = _real(b, x)
    near = x > -math.log(2.0)
    # Each form is computed where it is not taken as well: there it is moved to where it is finite.
    return xp.where(near, xp.log(-xp.expm1(xp.where(near, x, -1.0))), xp.log1p(-xp.exp(xp.where(near, -1.0, x))))


def _log_bessel_i1(b: Backend, x: Any) -> Any:
    x = _real(b, x)
    return b.xp.log(b.special.i1e(x)) + b.xp.abs(x)


SPECIAL: dict[str, Implementation] = {
    "trigamma": _trigamma,
    "log1m_exp": _log1m_exp,
    "log_bessel_i1": _log_bessel_i1,
    **{
        name: _special(theirs)
        for name, theirs in {
            "std_normal_quantile": "ndtri", "erfinv": "erfinv", "xlogy": "xlogy", "xlog1py": "xlog1py",
            "gammainc": "gammainc", "gammaincc": "gammaincc",
        }.items()
    },
    **{
        name: _plain(theirs)
        for name, theirs in {
            "cbrt": "cbrt", "asinh": "arcsinh", "acosh": "arccosh", "atanh": "arctanh", "log2": "log2", "log10": "log10",
        }.items()
    },
}  # fmt: skip
"""By the names of `energylang.ir.special`."""
