"""When a run of chains ends, as people write it: an aim (`ess=400, r_hat=1.01`) and a time (`90s`, `2m`, `1.5h`)."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

R_HAT = 1.01
"""Chains agree below this (Vehtari, Gelman, Simpson, Carpenter, Bürkner 2021)."""

AIM = "is an aim such as `ess=400` or `ess=400, r_hat=1.01`"
TIME = "is a time above 0 such as `90s`, `2m` or `1.5h`"
"""What is said where a text is none, as the end of a sentence."""

UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}


@dataclass(frozen=True, slots=True)
class Aim:
    """The smallest effective sample size (bulk) to reach over all scalars, None for any, and the largest R-hat allowed."""

    ess: float | None
    r_hat: float = R_HAT

    def __str__(self) -> str:
        parts = [] if self.ess is None else [f"ess={self.ess:.12g}"]
        return ", ".join([*parts, f"r_hat={self.r_hat:.12g}"])


def read_aim(value: object) -> Aim:
    """`ess=400, r_hat=1.01`, or a dictionary of these. Raises ValueError (`AIM`)."""
    pairs = value.items() if isinstance(value, Mapping) else [p.partition("=")[::2] for p in f"{value}".split(",")]
    found: dict[str, float] = {}
    for name, given in pairs:
        name = str(name).strip()
        number = _number(given)
        least = {"ess": 0.0, "r_hat": 1.0}.get(name)
        if least is None or name in found or isinstance(given, bool) or not number > least:
            raise ValueError(AIM)
        found[name] = number
    if not found or not math.isfinite(found.get("ess", 1.0)):
        raise ValueError(AIM)
    return Aim(found.get("ess"), found.get("r_hat", R_HAT))


def read_seconds(value: object) -> float:
    """A time in seconds: a number, or a text such as `90s`, `2m`, `1.5h`, `1h 30m`. Raises ValueError (`TIME`)."""
    if isinstance(value, bool):
        raise ValueError(TIME)
    if isinstance(value, int | float):
        seconds = float(value)
    else:
        text = f"{value}".strip().lower()
        parts = re.findall(r"([0-9.]+)\s*([a-z]*)\s*", text)
        if (
            not parts
            or "".join(a + b for a, b in parts) != re.sub(r"\s", "", text)
            or any(u not in UNITS for _, u in parts)
        ):
            raise ValueError(TIME)
        seconds = sum(_number(number) * UNITS[unit] for number, unit in parts)
    if not (0 < seconds < math.inf):
        raise ValueError(TIME)
    return seconds


def spell(seconds: float) -> str:
    """A time as people say it: `8 s`, `2 min 5 s`, `1 h 3 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s" if seconds >= 9.5 or seconds == whole else f"{seconds:.1f} s"
    for size, name, small, rest in ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= size:
            left = whole % size // small
            return f"{whole // size} {name}" + (f" {left} {rest}" if left else "")
    return f"{whole} s"


def _number(value: object) -> float:
    """NaN where it is none."""
    try:
        return float(str(value).strip())
    except ValueError:
        return math.nan
