"""Optimisers of `train`, and how their learning rates move while a run lasts."""

from __future__ import annotations

from energylang.catalog.families import Family
from energylang.catalog.specs import Option

RATE = Option(
    "learning_rate", "real", 1e-3, "the size of a step: a number, or how it moves, such as `cosine(1e-3, warmup = 500)`",
    minimum=0, open=True, calls="rate",
)  # fmt: skip
B1 = Option("b1", "real", 0.9, "how much of the mean of slopes is kept each step", minimum=0, maximum=1)
B2 = Option("b2", "real", 0.999, "how much of the mean of their squares is kept each step", minimum=0, maximum=1)
EPS = Option("eps", "real", 1e-8, "added to the root of that mean", minimum=0, open=True)


def _decay(default: float) -> Option:
    return Option(
        "weight_decay", "real", default, "each step shrinks params by so much of the learning rate", minimum=0
    )


OPTIMIZERS: dict[str, Family] = {
    "adam": Family(
        "adam",
        form="adam(1e-3)",
        summary="steps along the mean slope, divided by the root of its mean square",
        source="Kingma and Ba 2015, arXiv:1412.6980",
        options=(RATE, B1, B2, EPS),
        first="learning_rate",
    ),
    "adamw": Family(
        "adamw",
        form="adamw(1e-3, weight_decay = 1e-4)",
        summary="Adam, with params that shrink beside",
        source="Loshchilov and Hutter 2019, arXiv:1711.05101",
        options=(RATE, B1, B2, EPS, _decay(1e-4)),
        first="learning_rate",
    ),
    "sgd": Family(
        "sgd",
        form="sgd(1e-2, momentum = 0.9)",
        summary="steps down the slope",
        source="Robbins and Monro 1951; Sutskever et al. 2013, ICML",
        options=(
            RATE,
            Option("momentum", "real", 0.0, "how much of the step before is kept", minimum=0, maximum=1),
            Option("nesterov", "bool", False, "whether the slope is that of where momentum leads"),
        ),
        first="learning_rate",
    ),
    "rmsprop": Family(
        "rmsprop",
        form="rmsprop(1e-3)",
        summary="steps down the slope, divided by the root of its mean square",
        source="Tieleman and Hinton 2012, Coursera lecture 6.5; Graves 2013, arXiv:1308.0850",
        options=(
            RATE,
            Option("decay", "real", 0.9, "how much of the mean of squares is kept each step", minimum=0, maximum=1),
            EPS,
            Option("centered", "bool", False, "whether the variance stands in the place of the mean square"),
            Option("momentum", "real", 0.0, "how much of the step before is kept", minimum=0, maximum=1),
        ),
        first="learning_rate",
    ),
    "lion": Family(
        "lion",
        form="lion(1e-4)",
        summary="steps of one size in every param, along the sign of the mean slope",
        source="Chen et al. 2023, arXiv:2302.06675",
        options=(
            RATE,
            B1,
            Option("b2", "real", 0.99, "the same, of the mean that is carried along", minimum=0, maximum=1),
            _decay(1e-3),
        ),
        first="learning_rate",
    ),
    "adagrad": Family(
        "adagrad",
        form="adagrad(1e-2)",
        summary="steps down the slope, divided by the root of the sum of all its squares",
        source="Duchi, Hazan and Singer 2011, JMLR 12",
        options=(
            RATE,
            Option("initial", "real", 0.1, "where the sums of squares begin", minimum=0),
            Option("eps", "real", 1e-7, "added to them", minimum=0, open=True),
        ),
        first="learning_rate",
    ),
}

PEAK = Option("rate", "real", 1e-3, "the largest learning rate", minimum=0, open=True)
WARMUP = Option("warmup", "int", 0, "steps in which it rises to that from zero", minimum=0)


def _end(default: float) -> Option:
    return Option("end", "real", default, "what it is at the last step, as a part of the largest", minimum=0, maximum=1)


RATES: dict[str, Family] = {
    "constant": Family(
        "constant",
        form="constant(1e-3, warmup = 500)",
        summary="one learning rate, after a warm-up",
        source="Goyal et al. 2017, arXiv:1706.02677, for the warm-up",
        options=(PEAK, WARMUP),
        first="rate",
    ),
    "cosine": Family(
        "cosine",
        form="cosine(1e-3, warmup = 500)",
        summary="falls to its end as half a period of the cosine does",
        source="Loshchilov and Hutter 2017, arXiv:1608.03983",
        options=(PEAK, WARMUP, _end(0.0)),
        first="rate",
    ),
    "linear": Family(
        "linear",
        form="linear(1e-3, warmup = 500)",
        summary="falls to its end on a straight line",
        source="Devlin et al. 2019, arXiv:1810.04805",
        options=(PEAK, WARMUP, _end(0.0)),
        first="rate",
    ),
    "exponential": Family(
        "exponential",
        form="exponential(1e-3, end = 0.01)",
        summary="falls to its end by the same factor every step",
        source="optax.exponential_decay",
        options=(
            PEAK,
            WARMUP,
            Option(
                "end",
                "real",
                0.01,
                "what it is at the last step, as a part of the largest",
                minimum=0,
                maximum=1,
                open=True,
            ),
        ),
        first="rate",
    ),
}

CALLS: dict[str, dict[str, Family]] = {"optimizer": OPTIMIZERS, "rate": RATES}
"""By what `Option.calls` says: the families that may stand as the value of an option."""
