"""The incomplete gamma and beta functions in logs, with their derivatives, also far in the tails where they underflow."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

TERMS = 200
"""Of series and continued fractions: they settle after a few times the root of the shapes, so shapes up to 10,000."""

Compute = Callable[..., Any]


def log_gammainc(b: Any, a: Any, x: Any, compute: Compute, upper: bool) -> Any:
    """log P(a, x), or log Q(a, x) = log(1 - P(a, x)).

    Where P or Q underflows: the series DLMF 8.11.4, and the continued fraction DLMF 8.9.2.
    """
    xp = b.xp
    a, x = a * 1.0, x * 1.0
    parts = b.special.gammainc(a, x), b.special.gammaincc(a, x)
    wanted, other = parts[::-1] if upper else parts
    far = _still(b, wanted) < 1e-20
    # Each form is computed where it is not taken as well: there its arguments are moved to where it is finite.
    middle = xp.where(far, a, x)
    p, q = b.special.gammainc(a, middle), b.special.gammaincc(a, middle)
    wanted, other = (q, p) if upper else (p, q)
    mostly = wanted > 0.5
    near = xp.where(mostly, xp.log1p(-xp.where(mostly, other, 0.0)), xp.log(xp.where(mostly, 1.0, wanted)))
    y = xp.where(far, x, 3.0 * a + 3.0 if upper else 0.3 * a)
    power = -compute("kl_div", a, y) - compute("stirling_excess", a)
    tail = power + (xp.log(a) - xp.log(_upper_fraction(b, a, y)) if upper else xp.log(_lower_series(b, a, y)))
    return xp.where(far, tail, near)


def _still(b: Any, value: Any) -> Any:
    if b.name != "jax":
        return value
    import jax

    return jax.lax.stop_gradient(value)


def _lower_series(b: Any, a: Any, x: Any) -> Any:
    """The sum of x^n / ((a + 1) … (a + n)), its end by a geometric series."""
    xp = b.xp
    ratios = xp.asarray(x)[..., None] / (xp.asarray(a)[..., None] + xp.arange(1, TERMS + 1))
    terms = xp.cumprod(ratios, axis=-1)
    last = ratios[..., -1]
    return 1.0 + xp.sum(terms, axis=-1) + terms[..., -1] * last / (1.0 - last)


def _upper_fraction(b: Any, a: Any, x: Any) -> Any:
    """x + 1 - a - 1 (1 - a) / (x + 3 - a - 2 (2 - a) / …), from its end."""

    def step(value: Any, n: Any) -> Any:
        return x + 2.0 * n - 1.0 - a - n * (n - a) / value

    return _backwards(b, step, x + 2.0 * TERMS + 1.0 - a)


def _backwards(b: Any, step: Callable[[Any, Any], Any], start: Any) -> Any:
    if b.name != "jax":
        for n in range(TERMS, 0, -1):
            start = step(start, float(n))
        return start
    import jax

    numbers = b.xp.arange(TERMS, 0, -1) * 1.0
    return jax.lax.scan(lambda value, n: (step(value, n), None), start, numbers)[0]


def log_betainc(b: Any, a: Any, c: Any, x: Any, y: Any, compute: Compute) -> Any:
    """log I_x(a, c), with y = 1 - x given for its digits: the continued fraction DLMF 8.17.22 of I_x or of 1 - I_x."""
    xp = b.xp
    a, c, x, y = xp.broadcast_arrays(*(xp.asarray(v) * 1.0 for v in (a, c, x, y)))
    swap = x * (a + c + 2.0) > a + 1.0
    first, second = xp.where(swap, c, a), xp.where(swap, a, c)
    u, v = xp.where(swap, y, x), xp.where(swap, x, y)
    tiny = float(xp.finfo(u.dtype).tiny)
    u, v = xp.maximum(u, tiny), xp.maximum(v, tiny)
    n = first + second
    power = (
        compute("stirling_excess", n) - compute("stirling_excess", first) - compute("stirling_excess", second)
        - compute("kl_div", first, n * u) - compute("kl_div", second, n * v)
    )  # fmt: skip

    def step(value: Any, m: Any) -> Any:
        even = m * (second - m) * u / ((first + 2.0 * m - 1.0) * (first + 2.0 * m))
        odd = -(first + m) * (n + m) * u / ((first + 2.0 * m) * (first + 2.0 * m + 1.0))
        return 1.0 + even / (1.0 + odd / value)

    fraction = _backwards(b, step, xp.ones_like(u))
    whole = 1.0 - n * u / (first + 1.0) / fraction
    found = power + xp.log(second / n) - xp.log(whole)
    return xp.where(swap, xp.log(-xp.expm1(xp.minimum(xp.where(swap, found, -1.0), -tiny))), found)
