"""Forms that nets and schedules take, and solvers of differential equations."""

from __future__ import annotations

from dataclasses import dataclass

from energylang.catalog.specs import Option


@dataclass(frozen=True, slots=True)
class Family:
    """A form that nets or schedules take: `form` is an example of how it is written.

    first: the option that may be given without its name, before all others.
    """

    name: str
    form: str
    summary: str
    source: str
    options: tuple[Option, ...] = ()
    first: str = ""


NETS: dict[str, Family] = {
    "mlp": Family(
        "mlp",
        form="mlp([64, 64])",
        summary="a multilayer perceptron with hidden layers of these widths, all inputs side by side",
        source="He et al. 2015, arXiv:1502.01852, and LeCun et al. 1998, Efficient BackProp, for how weights start",
        options=(
            Option(
                "act", "choice", "relu", "what stands between two layers",
                choices=("relu", "tanh", "swish", "gelu", "softplus", "sigmoid"),
            ),
            Option("bias", "bool", True, "whether layers add a vector"),
        ),
    ),
}  # fmt: skip


LEVELS = Option("levels", "int", 100, "how many steps samplers and objectives take from data to noise", minimum=1)

SCHEDULES: dict[str, Family] = {
    "cosine": Family(
        "cosine",
        form="cosine(levels = 100)",
        summary="alpha_bar = (cos a / cos a_0)^2 with a = (t + offset) / (1 + offset) pi / 2, a_0 = a at t = 0",
        source="Nichol and Dhariwal 2021, arXiv:2102.09672, eq. 17",
        options=(LEVELS, Option("offset", "real", 0.008, "keeps the first steps from being too small", minimum=0.0)),
    ),
    "linear": Family(
        "linear",
        form="linear(levels = 100)",
        summary="alpha_bar = exp(-beta_min t - (beta_max - beta_min) t^2 / 2): the rate of noise grows linearly",
        source="Ho et al. 2020, arXiv:2006.11239; Song et al. 2021, arXiv:2011.13456, eq. 33",
        options=(
            LEVELS,
            Option("beta_min", "real", 0.1, "rate of noise at t = 0", minimum=0.0, open=True),
            Option("beta_max", "real", 20.0, "rate of noise at t = 1", minimum=0.0, open=True),
        ),
    ),
    "sigmoid": Family(
        "sigmoid",
        form="sigmoid(levels = 100)",
        summary="alpha_bar falls from 1 to 0 as the logistic function does between `start` and `end`",
        source="Jabri et al. 2023, arXiv:2212.11972",
        options=(
            LEVELS,
            Option("start", "real", -3.0, "where on the logistic function t = 0 is"),
            Option("end", "real", 3.0, "where on the logistic function t = 1 is"),
            Option("temperature", "real", 1.0, "divides both", minimum=0.0, open=True),
        ),
    ),
    "geometric": Family(
        "geometric",
        form="geometric(levels = 100)",
        summary="alpha_bar = 1 / (1 + s^2) with s = sigma_min (sigma_max / sigma_min)^t: log_snr is linear in t",
        source="Song and Ermon 2019, arXiv:1907.05600; Song et al. 2021, arXiv:2011.13456, eq. 30",
        options=(
            LEVELS,
            Option("sigma_min", "real", 0.01, "noise at t = 0, beside data of scale 1", minimum=0.0, open=True),
            Option("sigma_max", "real", 50.0, "noise at t = 1", minimum=0.0, open=True),
        ),
    ),
}

SOLVERS: tuple[str, ...] = ("tsit5", "dopri5", "kvaerno5")
"""Solvers of `ode`: Tsitouras 2011 and Dormand and Prince 1980 (explicit), Kvaerno 2004 (implicit, for stiff equations)."""
