"""Options of tasks that no method owns."""

from __future__ import annotations

from energylang.catalog.specs import MethodCall, Option, Verb

RUN_OPTIONS: dict[Verb, tuple[Option, ...]] = {
    "sample": (
        Option("draws", "int", 1000, "draws kept per chain", minimum=1),
        Option("warmup", "int", 1000, "warm-up steps per chain; the method adapts in these only", minimum=0),
        Option("chains", "int", 4, "chains, side by side; more of a method whose chains move together", minimum=1),
        Option("seed", "int", 0, "root of every random key", minimum=0, maximum=2**63 - 1),
        Option(
            "init",
            "choice",
            "random",
            "where chains start",
            choices=("random", "pathfinder"),
            files=True,
        ),
        Option("thin", "int", 1, "keep each so-many-th step; `draws` counts those kept", minimum=1),
        Option(
            "until", "aim", None, "end when the smallest ESS and the largest R_hat are there: `ess=400, r_hat=1.01`"
        ),
        Option("budget", "time", None, "end after this time with the draws so far: `90s`, `2m`, `1h`"),
        Option("predictive", "bool", False, "also draw the data anew, given each draw"),
        Option("log_likelihood", "bool", False, "also keep the log density of each observation"),
        Option("prior", "bool", False, "draw from the densities of the variables alone, and the data given these"),
    ),
    "evidence": (
        Option("draws", "int", 4096, "weighted draws (particles)", minimum=2),
        Option("seed", "int", 0, "root of every random key", minimum=0, maximum=2**63 - 1),
    ),
    "train": (
        Option("steps", "int", 1000, "optimiser steps", minimum=1),
        Option(
            "optimizer",
            "call",
            MethodCall("adam", (("learning_rate", 0.01),)),
            "what takes the steps, with its learning rate: `adamw(cosine(1e-3, warmup = 500))`",
            calls="optimizer",
        ),
        Option("batch", "int", None, "rows of a minibatch; all rows where not given", minimum=1),
        Option("clip", "real", None, "the longest gradient: a longer one is shortened to it", minimum=0.0, open=True),
        Option(
            "ema",
            "real",
            None,
            "keep a moving average of the params, so much of it each step, in their place",
            minimum=0.0,
            maximum=1.0,
            open=True,
        ),
        Option(
            "validation",
            "real",
            None,
            "rows that are held out: their number, or their part below 1",
            minimum=0.0,
            open=True,
        ),
        Option("every", "int", None, "steps between two looks at those; otherwise a hundredth of all", minimum=1),
        Option(
            "patience", "int", None, "end after so many looks without a lower loss, and keep the best params", minimum=1
        ),
        Option("seed", "int", 0, "root of every random key", minimum=0, maximum=2**63 - 1),
    ),
    "test": (),
    "optimize": (
        Option("steps", "int", 2000, "steps of each restart, over which `anneal` cools", minimum=1),
        Option("chains", "int", 16, "independent restarts", minimum=1),
        Option("seed", "int", 0, "root of every random key", minimum=0, maximum=2**63 - 1),
        Option("init", "choice", "random", "where restarts begin", choices=("random",), files=True),
        Option("constraints", "names", None, "constraints to satisfy; without it those of the file about the energy"),
        Option(
            "tolerance",
            "real",
            None,
            "violation up to which a point is feasible; 1e-4 where reals are constrained, else 0",
            minimum=0,
        ),
        Option("refine", "bool", True, "end each restart with the best single changes until none is left"),
        Option(
            "thin",
            "int",
            None,
            "steps between two entries of the trace, at one temperature; about a thousand entries otherwise",
            minimum=1,
        ),
        Option("budget", "time", None, "end after this time with the best so far: `90s`, `2m`, `1h`"),
    ),
}


CHAINS_ONLY = ("thin", "until", "budget")
"""Options of `sample` that mean nothing where draws are independent of one another."""

MOST_DRAWS = 100_000
"""Draws per chain at most, where `until` is given and `draws` is not."""
