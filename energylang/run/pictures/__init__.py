"""The pictures of a run, one function a kind, each a Matplotlib figure. Matplotlib is imported when one is asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from energylang.diagnostics import Diagnostic, DiagnosticError, suggest

if TYPE_CHECKING:
    from energylang.run.data import Data
    from energylang.run.pictures.choice import Reader
    from energylang.run.pictures.style import Picture

KINDS = {
    "trace": "density and values of each chain, divergences marked",
    "rank": "rank histograms of chains, with the band of chains that agree",
    "pair": "variables against each other, divergences marked",
    "energy": "contours of an energy of two numbers, draws over them",
    "states": "discrete arrays as images or rasters",
    "forest": "intervals of the entries of vectors",
    "weights": "how evenly the weights of weighted draws are spread",
    "autocorrelation": "how long each chain remembers",
    "objective": "how the objective fell in each restart of `optimize`",
}
"""Every kind of picture, and what it shows."""
OVERVIEW = tuple(kind for kind in KINDS if kind != "autocorrelation")
"""The kinds that are drawn when none is named, as far as there is something to see."""


def require_matplotlib() -> None:
    """Raise E0904 where Matplotlib is not installed."""
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        fix = "`pip install 'energylang[plot]'`"
        raise DiagnosticError(
            [Diagnostic("E0904", "pictures need Matplotlib, which is not installed", fix=fix)]
        ) from error


def require_kind(kind: str) -> None:
    """Raise E0890 where there is no such kind of picture."""
    if kind not in KINDS:
        near = suggest(kind, KINDS)
        fix = f"did you mean `{near}`?" if near else f"there are {', '.join(KINDS)}"
        raise DiagnosticError([Diagnostic("E0890", f"there is no picture `{kind}`", fix=fix)])


def picture(reader: Reader, kind: str, names: Sequence[str] = (), order: Sequence[str] = ()) -> Picture:
    """One picture of a run. names: variables or entries; order: scalars to show first, where none are named.

    Raises DiagnosticError: E0890 for an unknown kind, E0891 where the run has nothing of it, E0892 for an unknown name,
    E0904 without Matplotlib.
    """
    require_kind(kind)
    require_matplotlib()
    from energylang.run.pictures.style import NotThere

    try:
        if reader.run.optimised and kind not in ("objective", "states"):
            raise NotThere("it has the best points of restarts, and no draws")
        return _function(kind)(reader, tuple(names), tuple(order))
    except NotThere as nothing:
        message = f"there is no picture `{kind}` of this run: {nothing}"
        there = ", ".join(f"`{each}`" for each in KINDS if each != kind)
        raise DiagnosticError([Diagnostic("E0891", message, fix=f"other pictures are {there}")]) from nothing


def pictures(reader: Reader, kinds: Sequence[str] = (), names: Sequence[str] = ()) -> Iterator[tuple[str, Picture]]:
    """Labels and pictures of some kinds: an array of states each has its own. Without kinds, all there is something for."""
    require_matplotlib()
    reader.variables(names)
    for kind in kinds or OVERVIEW:
        require_kind(kind)
        named = [(f"states.{name}", (name,)) for name in reader.states(names)] if kind == "states" else []
        for label, own in named or [(kind, tuple(names))]:
            try:
                found = picture(reader, kind, own)
            except DiagnosticError as error:
                if kinds or error.diagnostics[0].code != "E0891":
                    raise
                continue
            yield label, found


def loss_picture(data: Data, title: str) -> Picture:
    """The loss of a training, of each player."""
    require_matplotlib()
    from energylang.run.pictures.intervals import loss

    traces = {
        name: data.read("training", name)
        for name in data.names("training")
        if name.startswith(("loss", "validation_loss"))
    }
    return loss(title, traces)


def _function(kind: str) -> Any:
    from energylang.run.pictures import chains, descents, intervals, pairs, states, surface

    return {
        "trace": chains.trace,
        "rank": chains.rank,
        "pair": pairs.pair,
        "energy": surface.energy,
        "states": states.states,
        "forest": intervals.forest,
        "weights": intervals.weights,
        "autocorrelation": chains.autocorrelation,
        "objective": descents.objective,
    }[kind]
