"""How every picture looks: colours that everyone tells apart, sizes that can be read, names as they were written."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

COLORS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#7a6fac", "#8c8c8c")
"""Okabe and Ito's (2008), with two more: told apart by everyone."""
INK, QUIET, FAINT, ALARM = "#26303a", "#5c6773", "#d9dee3", "#c8102e"
WIDTH, LEAST = 9.0, 1.8
"""Inches of a whole picture, and of the lowest."""
STYLE: Any = {
    "figure.dpi": 140,
    "savefig.dpi": 140,
    "savefig.facecolor": "white",
    "figure.facecolor": "white",
    "axes.facecolor": "white",
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "text.color": INK,
    "text.usetex": False,
    "text.parse_math": False,  # names are shown as they were written, `$` too
    "axes.unicode_minus": True,
    "axes.edgecolor": "#9aa5b1",
    "axes.labelcolor": INK,
    "axes.labelsize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 9,
    "axes.grid": False,
    "axes.formatter.useoffset": False,
    "xtick.color": QUIET,
    "ytick.color": QUIET,
    "xtick.labelsize": 7.5,
    "ytick.labelsize": 7.5,
    "legend.frameon": False,
    "legend.fontsize": 8,
}

P = ParamSpec("P")


class NotThere(Exception):
    """There is nothing of this kind to see in a run; the message says why, as the end of a sentence."""


class Picture(Figure):
    """A Matplotlib figure that belongs to no window, with a caption in words: what is seen, and what was left out."""

    caption: str = ""

    def png(self, dpi: int = 140) -> bytes:
        """The picture as PNG, with a palette of 256 colours: a third of the bytes, and the same to the eye."""
        from PIL import Image

        raw, small = io.BytesIO(), io.BytesIO()
        with mpl.rc_context(STYLE), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.savefig(raw, format="png", dpi=dpi)
        image = Image.open(raw).convert("RGB")
        image.quantize(256, dither=Image.Dither.NONE).save(small, "png", optimize=True)
        return small.getvalue()

    def _repr_png_(self) -> bytes:
        """What notebooks show."""
        return self.png()


def styled(function: Callable[P, Picture]) -> Callable[P, Picture]:
    """Draw in this style, whatever the caller's is; leave the caller's as it was."""

    @wraps(function)
    def draw(*args: P.args, **kwargs: P.kwargs) -> Picture:
        with mpl.rc_context(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a letter that the font lacks is an empty box
            mpl.rcdefaults()
            mpl.rcParams.update(STYLE)
            figure = function(*args, **kwargs)
            figure.draw_without_rendering()  # ticks are made when they are needed, in the style of that moment
            figure.set_layout_engine("none")  # all has its place now
            return figure

    return draw


def canvas(height: float, width: float = WIDTH) -> Picture:
    """An empty picture, in inches."""
    return Picture(figsize=(width, max(height, LEAST)), layout="constrained")


def entitle(figure: Picture, title: str, note: str = "") -> None:
    """The line above a picture, and what it leaves out."""
    figure.suptitle(title + (f" ({note})" if note else ""), fontsize=10, fontweight="bold")


def grid(figure: Picture, rows: int, columns: int, **options: Any) -> Any:
    """Axes [rows, columns]."""
    return figure.subplots(rows, columns, squeeze=False, **options)


def beside(axes: Any, name: str) -> None:
    """The name of a row, left of it."""
    axes.set_ylabel(name, rotation=0, ha="right", va="center")


def logarithmic(axes: Any, name: str) -> None:
    """A logarithmic x or y, its ticks written as numbers."""
    axes.set(**{f"{name}scale": "log"})
    axis = axes.xaxis if name == "x" else axes.yaxis
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}" if 1 <= value < 1e6 else f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def limits(values: np.ndarray) -> tuple[float, float]:
    """Where to look at finite values that vary: a single far draw must not squeeze the rest into a line."""
    low, high = float(values.min()), float(values.max())
    inner = np.quantile(values, (0.002, 0.998))
    margin = 0.25 * float(inner[1] - inner[0]) or 0.05 * (high - low)
    return max(low, float(inner[0]) - margin) - 0.1 * margin, min(high, float(inner[1]) + margin) + 0.1 * margin


def say(axes: Any, text: str) -> None:
    """Axes that say something instead of showing it."""
    axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", color=QUIET, fontsize=8)
    axes.set_xticks([])
    axes.set_yticks([])
