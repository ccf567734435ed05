"""Layers and bases of flows. No JAX here.

A flow is `base |> layer |> layer`, read in the direction of sampling. A layer is one entry here and one class that its
`factory` names; that class keeps the protocol of `energylang.lower.flows.bijection.Bijection`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from energylang.catalog.families import SOLVERS
from energylang.catalog.specs import Option, Value, shown

LogDeterminant = Literal["exact", "unbiased", "biased"]


@dataclass(frozen=True, slots=True)
class Slot:
    """An argument that stands without a name.

    kind: "widths", a list of widths such as `[64, 64]`; "form", one of `forms` with options of its own; "count", a
    positive integer; "layers", a layer or several joined by `|>`. needed: whether it must be given; widths that are not
    are none.
    """

    name: str
    kind: Literal["widths", "form", "count", "layers"]
    doc: str
    forms: Mapping[str, Form] = field(default_factory=dict)
    needed: bool = True


@dataclass(frozen=True, slots=True)
class Form:
    """Something with arguments and options: a layer, or what a layer is made of. `form` is an example of how it is written."""

    name: str
    form: str
    summary: str
    source: str
    slots: tuple[Slot, ...] = ()
    options: tuple[Option, ...] = ()


@dataclass(frozen=True, slots=True)
class Layer(Form):
    """A layer of a flow.

    factory: "module:attribute", called with a `Place` and, by name, every slot and option. log_determinant: whether the
    log density has no error; an estimate is refused wherever a Metropolis ratio or a weight would be made of it.
    inverse: how a value is moved from the data back to the base. takes, gives: the space before it and after it.
    rank: how many axes an event has, None for any number. fewest: entries of an event at least. learns: whether it has params.
    """

    factory: str = ""
    log_determinant: LogDeterminant = "exact"
    inverse: Literal["closed", "fixed point", "ode"] = "closed"
    takes: Literal["real", "positive", "unit"] = "real"
    gives: Literal["real", "positive", "unit"] = "real"
    rank: int | None = 1
    fewest: int = 1
    learns: bool = True


@dataclass(frozen=True, slots=True)
class LayerCall:
    """A layer or a form with everything that was chosen: slots and options by name, defaults for those not given."""

    name: str
    options: tuple[tuple[str, Chosen], ...] = ()

    @property
    def inner(self) -> tuple[LayerCall, ...]:
        """The layers that it repeats; of every other layer none."""
        found = dict(self.options).get("layers", ())
        return tuple(layer for layer in found if isinstance(layer, LayerCall)) if isinstance(found, tuple) else ()

    def __str__(self) -> str:
        parts = [_shown(name, value) for name, value in self.options if value != () and value is not None]
        return f"{self.name}({', '.join(parts)})" if parts else self.name


Chosen = Value | tuple[int, ...] | tuple[LayerCall, ...] | LayerCall
"""What a slot or an option can be given."""


def _shown(name: str, value: Chosen) -> str:
    if isinstance(value, tuple):
        layers = [str(v) for v in value if isinstance(v, LayerCall)]
        return " |> ".join(layers) if layers else str(list(value))
    if isinstance(value, LayerCall) or name == "count":
        return str(value)
    return f"{name} = {shown(value)}"


REPEAT = "repeat"
"""The layer that is made of others."""

HIDDEN = Slot("hidden", "widths", "widths of the hidden layers of the net")
ACT = Option("act", "choice", "relu", "what stands between two layers of the net", choices=("relu", "tanh", "swish"))

TRANSFORMERS: dict[str, Form] = {
    "affine": Form(
        "affine",
        form="affine",
        summary="entry by entry a shift and a scale, whose log lies within `bound`",
        source="Dinh et al. 2017, arXiv:1605.08803, eq. 7",
        options=(
            Option("bound", "real", 3.0, "largest log of a scale, and minus the smallest", minimum=0.0, open=True),
        ),
    ),
    "spline": Form(
        "spline",
        form="spline(bins = 8)",
        summary="entry by entry a monotonic rational-quadratic spline within [-bound, bound], the identity outside",
        source="Durkan et al. 2019, arXiv:1906.04032, section 3.1",
        options=(
            Option("bins", "int", 8, "pieces of the spline", minimum=2, maximum=64),
            Option("bound", "real", 5.0, "where the spline ends", minimum=0.0, open=True),
        ),
    ),
}
TRANSFORMER = Slot("transformer", "form", "how each entry is moved", TRANSFORMERS)

SMOOTH = Option(
    "act",
    "choice",
    "tanh",
    "what stands between two layers of the net",
    choices=("tanh", "softplus", "swish", "sigmoid"),
)
_FFJORD = "Grathwohl et al. 2019, arXiv:1810.01367, and its code"

FIELDS: dict[str, Form] = {
    form.name: form
    for form in (
        Form(
            "concatsquash",
            form="concatsquash([64, 64, 64])",
            summary="a net each of whose layers is (W x + b) sigmoid(w t + a) + v t",
            source=_FFJORD,
            slots=(HIDDEN,),
            options=(SMOOTH,),
        ),
        Form(
            "concat",
            form="concat([64, 64])",
            summary="a net each of whose layers reads the time beside its inputs",
            source=_FFJORD,
            slots=(HIDDEN,),
            options=(SMOOTH,),
        ),
        Form(
            "squash",
            form="squash([64, 64])",
            summary="a net each of whose layers is (W x + b) sigmoid(w t + a)",
            source=_FFJORD,
            slots=(HIDDEN,),
            options=(SMOOTH,),
        ),
        Form(
            "hyper",
            form="hyper([64, 64])",
            summary="a net whose weights are linear in the time",
            source=f"{_FFJORD}; Ha et al. 2017, arXiv:1609.09106",
            slots=(HIDDEN,),
            options=(SMOOTH,),
        ),
        Form(
            "blend",
            form="blend([64, 64])",
            summary="two nets, the layers of the one passing into those of the other as the time goes from 0 to its end",
            source=_FFJORD,
            slots=(HIDDEN,),
            options=(SMOOTH,),
        ),
        Form(
            "potential",
            form="potential([64, 64])",
            summary="minus the gradient of a potential, which is a `concatsquash` net with one output",
            source="Onken et al. 2021, arXiv:2006.00104, with a net of its own",
            slots=(HIDDEN,),
            options=(SMOOTH,),
        ),
    )
}
FIELD = Slot("field", "form", "the velocity of a value", FIELDS)

_FLOWS = "energylang.lower.flows"

LAYERS: dict[str, Layer] = {
    layer.name: layer
    for layer in (
        Layer(
            "affine",
            form="affine",
            summary="a shift and a scale of every entry; of a flow with conditions, by a net of them",
            source="Dinh et al. 2017, arXiv:1605.08803",
            slots=(Slot("hidden", "widths", "widths of the hidden layers of the net of the conditions", needed=False),),
            options=(ACT,),
            factory=f"{_FLOWS}.elementwise:Affine",
            rank=None,
        ),
        Layer(
            "actnorm",
            form="actnorm",
            summary="a shift and a scale of every entry, which start so that the first batch has mean 0 and variance 1 before it",
            source="Kingma and Dhariwal 2018, arXiv:1807.03039, section 3.1",
            factory=f"{_FLOWS}.elementwise:ActNorm",
            rank=None,
        ),
        Layer(
            "permute",
            form="permute",
            summary="the entries in another order, which stays",
            source="Kingma and Dhariwal 2018, arXiv:1807.03039",
            options=(
                Option("order", "choice", "random", "random by the place in the flow, or turned round", choices=("random", "reverse")),
            ),
            factory=f"{_FLOWS}.linear:Permute",
            learns=False,
        ),
        Layer(
            "linear",
            form="linear",
            summary="an invertible matrix, learned as its LU decomposition with a positive diagonal",
            source="Kingma and Dhariwal 2018, arXiv:1807.03039, section 3.2",
            factory=f"{_FLOWS}.linear:Linear",
        ),
        Layer(
            "coupling",
            form="coupling(spline(bins = 8), [64, 64])",
            summary="moves half of the entries by a net of the others, then turns them round, so that the next one moves the others",
            source="Dinh et al. 2017, arXiv:1605.08803; Durkan et al. 2019, arXiv:1906.04032",
            slots=(TRANSFORMER, HIDDEN),
            options=(ACT,),
            factory=f"{_FLOWS}.coupling:Coupling",
            fewest=2,
        ),
        Layer(
            "autoregressive",
            form="autoregressive(affine, [64, 64])",
            summary="moves each entry by a masked net of those before it, then turns them round",
            source="Papamakarios et al. 2017, arXiv:1705.07057; Kingma et al. 2016, arXiv:1606.04934; Germain et al. 2015, arXiv:1502.03509",
            slots=(TRANSFORMER, HIDDEN),
            options=(
                ACT,
                Option("fast", "choice", "density", "which is one pass: the log density, or a draw; the other goes entry by entry", choices=("density", "draw")),
            ),
            factory=f"{_FLOWS}.autoregressive:Autoregressive",
        ),
        Layer(
            "cnf",
            form="cnf(concatsquash([64, 64, 64]))",
            summary="values that follow a velocity for a time, which is learned; the divergence along the way is exact",
            source="Chen et al. 2018, arXiv:1806.07366; Grathwohl et al. 2019, arXiv:1810.01367",
            slots=(FIELD,),
            options=(
                Option("solver", "choice", "dopri5", "of the differential equation", choices=SOLVERS),
                Option("rtol", "real", 1e-5, "relative tolerance of a step", minimum=0.0, open=True),
                Option("atol", "real", 1e-5, "absolute tolerance of a step", minimum=0.0, open=True),
                Option("time", "real", 0.5, "how long values move, before that is learned", minimum=0.0, open=True),
                Option("max_steps", "int", 1000, "steps of the solver at most; the energy is NaN where it needs more", minimum=1),
            ),
            factory=f"{_FLOWS}.continuous:Continuous",
            inverse="ode",
        ),
        Layer(
            REPEAT,
            form="repeat(8, coupling(affine, [64, 64]))",
            summary="layers one after another so many times, each time with params of their own",
            source="composition",
            slots=(
                Slot("count", "count", "how many times"),
                Slot("layers", "layers", "a layer, or several joined by `|>`"),
            ),
            rank=None,
            learns=False,
        ),
        Layer(
            "exp",
            form="exp",
            summary="from the reals to the positive reals",
            source="change of variables",
            factory=f"{_FLOWS}.elementwise:Exp",
            gives="positive",
            rank=None,
            learns=False,
        ),
        Layer(
            "log",
            form="log",
            summary="from the positive reals to the reals",
            source="change of variables",
            factory=f"{_FLOWS}.elementwise:Log",
            takes="positive",
            rank=None,
            learns=False,
        ),
        Layer(
            "sigmoid",
            form="sigmoid",
            summary="from the reals to numbers between 0 and 1",
            source="Dinh et al. 2017, arXiv:1605.08803, section 4.1",
            factory=f"{_FLOWS}.elementwise:Sigmoid",
            gives="unit",
            rank=None,
            learns=False,
        ),
        Layer(
            "logit",
            form="logit",
            summary="from numbers between 0 and 1 to the reals",
            source="Dinh et al. 2017, arXiv:1605.08803, section 4.1",
            factory=f"{_FLOWS}.elementwise:Logit",
            takes="unit",
            rank=None,
            learns=False,
        ),
    )
}  # fmt: skip

BASES: dict[str, Form] = {
    "normal": Form("normal", "normal", "independent entries, standard normal", "any textbook"),
    "uniform": Form("uniform", "uniform", "independent entries, uniform between 0 and 1", "any textbook"),
    "mixture": Form(
        "mixture",
        form="mixture(4)",
        summary="a mixture of so many normals, their means, scales and weights learned",
        source="Bishop 2006, Pattern Recognition and Machine Learning, section 9.2",
        slots=(Slot("count", "count", "how many normals"),),
    ),
}
"""Beside these, whatever may stand right of `~` is a base."""


def learns(call: LayerCall) -> bool:
    """Whether a layer, or one that it repeats, has params."""
    return LAYERS[call.name].learns or any(learns(inner) for inner in call.inner)


def log_determinant(call: LayerCall) -> LogDeterminant:
    """The worst log-determinant of a layer and of those that it repeats."""
    ranks: tuple[LogDeterminant, ...] = ("exact", "unbiased", "biased")
    return max((LAYERS[call.name].log_determinant, *map(log_determinant, call.inner)), key=ranks.index)
