"""Objectives: what `train` makes small."""

from __future__ import annotations

from energylang.catalog.specs import Method, Option

SAMPLER = Option("sampler", "call", None, "what moves the particles; otherwise chosen as `auto` does", calls="kernel")
STEPS = Option("steps", "int", 1, "its moves between two steps of the optimizer", minimum=1, maximum=100_000)
ONE = {"cpu": 1, "accelerator": 1}

OBJECTIVES: tuple[Method, ...] = (
    Method(
        "mle",
        protocol="objective",
        tasks=("train",),
        moves="any",
        summary="maximum likelihood of the parameters of a normalised energy",
        source="Fisher 1922",
        factory="energylang.methods.mle:Mle",
        tests="tests/methods/test_mle.py",
        needs=("normalised", "params"),
        lanes=ONE,
    ),
    Method(
        "pcd",
        protocol="objective",
        tasks=("train",),
        moves="any",
        summary="maximum likelihood of any energy: particles that follow the model stand for its law",
        source="Younes 1999, Stochastics 65(3); Tieleman 2008, ICML",
        factory="energylang.methods.pcd:Pcd",
        tests="tests/methods/test_objectives.py",
        options=(
            SAMPLER,
            Option(
                "particles", "int", 256, "how many there are, kept from step to step", minimum=1, maximum=10_000_000
            ),
            STEPS,
        ),
        needs=("params", "unconditional"),
        lanes=ONE,
    ),
    Method(
        "cd",
        protocol="objective",
        tasks=("train",),
        moves="any",
        summary="contrastive divergence: particles begin at the rows at every step; biased",
        source="Hinton 2002, Neural Comput. 14(8)",
        factory="energylang.methods.pcd:Cd",
        tests="tests/methods/test_objectives.py",
        options=(SAMPLER, STEPS),
        needs=("params",),
        lanes=ONE,
    ),
    Method(
        "pseudo_likelihood",
        protocol="objective",
        tasks=("train",),
        moves="any",
        summary="the law of each discrete site given all others: exact, without a normaliser or a chain",
        source="Besag 1975, The Statistician 24(3)",
        factory="energylang.methods.pseudo_likelihood:PseudoLikelihood",
        tests="tests/methods/test_objectives.py",
        needs=("params", "discrete"),
        lanes=ONE,
    ),
)
