"""Schedules of noise: how much of the data is left at every level t in [0, 1], where 0 is the data.

A level t means x_t = sqrt(alpha_bar) x_0 + sigma noise, with sigma^2 = 1 - alpha_bar. Every function is written so
that neither alpha_bar near t = 1 nor sigma near t = 0 is a difference of numbers that are nearly equal.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import cos, cosh, log, pi, sinh

from energylang.catalog import SCHEDULES
from energylang.check.context import POISON, Context, Found, Poison, Scope, did_you_mean, literal
from energylang.check.expressions import apply, expression
from energylang.check.options import options_of
from energylang.check.spaces import within
from energylang.diagnostics import Label
from energylang.ir.nodes import Expr, Level, Schedule
from energylang.ir.types import Space
from energylang.source import Span
from energylang.syntax import ast

FUNCTIONS = {
    "alpha_bar": "the part of the data's variance that is left, 1 at t = 0",
    "sigma": "the standard deviation of the noise, sqrt(1 - alpha_bar)",
    "log_snr": "log(alpha_bar / (1 - alpha_bar))",
}
"""What a schedule computes of a level."""


def declare(context: Context, declaration: ast.Schedule) -> None:
    """Put a schedule into the table of its module; None there after diagnostics."""
    name, node = declaration.name.text, declaration.value
    context.schedules[name] = None
    family = node.function.text if isinstance(node, ast.Call) else node.text if isinstance(node, ast.Name) else ""
    spec = SCHEDULES.get(family)
    if spec is None or not isinstance(node, ast.Call) or node.function.qualifier or node.conditions is not None:
        context.error(
            "E0240", f"`{family}` is no kind of schedule" if family and spec is None else "this is not a schedule", node.span,
            fix=did_you_mean(family, SCHEDULES) or f"for example `schedule {name} = {next(iter(SCHEDULES.values())).form}`",
        )  # fmt: skip
        return
    given = options_of(context, node.arguments, spec.options, f"`{family}`")
    if given is None:
        return
    options = {o.name: o.default for o in spec.options if o.default is not None} | dict(given)
    low, high = options.get("sigma_min", options.get("start")), options.get("sigma_max", options.get("end"))
    if low is not None and high is not None and float(low) >= float(high):
        names = [o.name for o in spec.options if o.name in ("sigma_min", "sigma_max", "start", "end")]
        context.error(
            "E0603", f"`{names[0]}` is below `{names[1]}`, not {low:g} and {high:g}", node.span,
            fix="noise grows with the level",
        )  # fmt: skip
        return
    context.schedules[name] = Schedule(context.full(name), family, tuple(sorted(options.items())))


def schedule_named(context: Context, node: ast.Name) -> Schedule | None:
    """The schedule that stands after `@ t:`; None after a diagnostic."""
    home: Context | Poison = context if node.qualifier is None else context.member(node)
    if isinstance(home, Poison):
        return None
    if node.text in home.schedules:
        return home.schedules[node.text]
    context.error(
        "E0240", f"`{node.text}` is not a schedule" if node.text in home.values else f"there is no schedule `{node.text}`",
        node.span, fix=did_you_mean(node.text, home.schedules) or f"declare it: `schedule {node.text} = cosine()`",
    )  # fmt: skip
    return None


def level_of(context: Context, declared: tuple[ast.Identifier, ast.Name]) -> Level | None:
    """The level that a signature declares; None after a diagnostic."""
    name, written = declared
    found = schedule_named(context, written)
    return None if found is None else Level(name.text, Space("interval", low=0.0, high=1.0), name.span, found)


# --- functions of a level ---------------------------------------------------------------------------------------


def schedule_call(context: Context, declaration: ast.Schedule, node: ast.Call, scope: Scope) -> Found:
    """`noise.alpha_bar(t)`, element by element."""
    name, function = declaration.name.text, node.function.text
    values = [expression(context, argument.value, scope) for argument in node.arguments]
    if function not in FUNCTIONS:
        return context.error(
            "E0202", f"a schedule has no function `{function}`", node.function.span, related=[Label(declaration.name.span, "declared here")],
            fix=did_you_mean(function, FUNCTIONS) or f"it has {', '.join(FUNCTIONS)}",
        )  # fmt: skip
    if len(values) != 1 or node.arguments[0].name is not None or node.conditions is not None:
        return context.error(
            "E0206", f"`{name}.{function}` takes a level", node.span, fix=f"write `{name}.{function}(t)`"
        )
    (level,) = values
    schedule = context.schedules.get(name)
    if isinstance(level, Poison) or schedule is None or not within(context, level):
        return POISON
    options = {key: float(value) for key, value in schedule.options}
    work = _Work(context, node.span)
    noise = _NOISE[schedule.family](work, level, options)
    match function:
        case "alpha_bar":
            found = noise.left
        case "sigma":
            found = work.of("sqrt", noise.lost)
        case _:
            found = noise.log_snr if noise.log_snr is not None else work.log_ratio(noise)
    return found


@dataclass(frozen=True)
class _Noise:
    """alpha_bar, 1 - alpha_bar and, where a formula of its own has it, the log of their ratio."""

    left: Expr
    lost: Expr
    log_snr: Expr | None = None


@dataclass(frozen=True)
class _Work:
    """Operations at the place of a call; all are elementwise, so that everything fits."""

    context: Context
    span: Span

    def of(self, operation: str, *operands: Expr | float) -> Expr:
        made = [literal(float(o), self.span) if isinstance(o, int | float) else o for o in operands]
        found = apply(self.context, operation, made, self.span)
        assert not isinstance(found, Poison), f"{operation} inside a schedule"
        return found

    def log_ratio(self, noise: _Noise) -> Expr:
        return self.of("sub", self.of("log", noise.left), self.of("log", noise.lost))


def _cosine(work: _Work, t: Expr, options: dict[str, float]) -> _Noise:
    """alpha_bar = (cos a / cos a_0)^2, a = (t + s) / (1 + s) pi / 2 (Nichol and Dhariwal 2021, eq. 17).

    1 - alpha_bar = sin(a - a_0) sin(a + a_0) / cos(a_0)^2, and cos a = sin((1 - t) / (1 + s) pi / 2).
    """
    quarter = pi / 2 / (1 + options["offset"])
    start = options["offset"] * quarter
    gone = work.of("mul", t, quarter)
    left = work.of("sin", work.of("mul", work.of("sub", 1, t), quarter))
    lost = work.of("mul", work.of("sin", gone), work.of("sin", work.of("add", gone, 2 * start)))
    scale = cos(start) ** 2
    return _Noise(work.of("div", work.of("mul", left, left), scale), work.of("div", lost, scale))


def _linear(work: _Work, t: Expr, options: dict[str, float]) -> _Noise:
    """alpha_bar = exp(-B), B = beta_min t + (beta_max - beta_min) t^2 / 2 (Song et al. 2021, eq. 33)."""
    slope = 0.5 * (options["beta_max"] - options["beta_min"])
    total = work.of("mul", t, work.of("add", options["beta_min"], work.of("mul", slope, t)))
    minus = work.of("neg", total)
    lost = work.of("neg", work.of("expm1", minus))
    return _Noise(work.of("exp", minus), lost, work.of("sub", minus, work.of("log", lost)))


def _sigmoid(work: _Work, t: Expr, options: dict[str, float]) -> _Noise:
    """alpha_bar = (S(b) - S(u)) / (S(b) - S(a)), u = a + t (b - a), S the logistic function (Jabri et al. 2023).

    By S(x) - S(y) = sinh((x - y) / 2) / (2 cosh(x / 2) cosh(y / 2)).
    """
    a, b = options["start"] / options["temperature"], options["end"] / options["temperature"]
    half = 0.5 * (b - a)
    below = work.of("cosh", work.of("add", 0.5 * a, work.of("mul", t, half)))
    left = work.of("div", work.of("sinh", work.of("mul", work.of("sub", 1, t), half)), below)
    lost = work.of("div", work.of("sinh", work.of("mul", t, half)), below)
    return _Noise(
        work.of("mul", left, cosh(0.5 * a) / sinh(half)), work.of("mul", lost, cosh(0.5 * b) / sinh(half))
    )  # fmt: skip


def _geometric(work: _Work, t: Expr, options: dict[str, float]) -> _Noise:
    """Noise of deviation s = sigma_min (sigma_max / sigma_min)^t beside data of scale 1 (Song et al. 2021, eq. 30).

    Scaled to alpha_bar + sigma^2 = 1: alpha_bar = 1 / (1 + s^2), log_snr = -2 log s.
    """
    first, rise = log(options["sigma_min"]), log(options["sigma_max"] / options["sigma_min"])
    ratio = work.of("mul", -2, work.of("add", first, work.of("mul", rise, t)))
    return _Noise(work.of("inv_logit", ratio), work.of("inv_logit", work.of("neg", ratio)), ratio)


_NOISE: dict[str, Callable[[_Work, Expr, dict[str, float]], _Noise]] = {
    "cosine": _cosine,
    "linear": _linear,
    "sigmoid": _sigmoid,
    "geometric": _geometric,
}
