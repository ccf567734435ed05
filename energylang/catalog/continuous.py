"""Kernels of continuous variables."""

from __future__ import annotations

from energylang.catalog.specs import Method, Option

ADAPTS = "initial value; learned in warm-up, frozen afterwards"

CONTINUOUS: tuple[Method, ...] = (
    Method(
        "nuts",
        protocol="kernel",
        tasks=("sample",),
        moves="continuous",
        summary="the no-U-turn sampler, step size and mass matrix learned as Stan does",
        source="Hoffman and Gelman 2014, arXiv:1111.4246; Betancourt 2017, arXiv:1701.02434",
        factory="energylang.methods.nuts:Nuts",
        tests="tests/methods/test_continuous.py",
        options=(
            Option("target_acceptance", "real", 0.8, "mean acceptance to aim at", minimum=0, maximum=1, open=True),
            Option("max_tree_depth", "int", 10, "doublings of a trajectory at most", minimum=1, maximum=16),
            Option(
                "metric",
                "choice",
                "auto",
                "form of the mass matrix; auto is dense up to 64 reals, its correlations shrunk as far as they are noise; "
                "low_rank is diagonal but for a few directions, by draws and gradients",
                choices=("auto", "diagonal", "dense", "low_rank"),
            ),
            Option("step_size", "real", 1.0, ADAPTS, minimum=0, open=True),
        ),
    ),
    Method(
        "mala",
        protocol="kernel",
        tasks=("sample",),
        moves="continuous",
        summary="Langevin proposals with a Metropolis correction",
        source="Roberts and Tweedie 1996, Bernoulli 2(4); Roberts and Rosenthal 1998, JRSS B 60(1)",
        factory="energylang.methods.mala:Mala",
        tests="tests/methods/test_continuous.py",
        options=(
            Option("target_acceptance", "real", 0.574, "mean acceptance to aim at", minimum=0, maximum=1, open=True),
            Option("step_size", "real", 1.0, ADAPTS, minimum=0, open=True),
        ),
        lanes={"cpu": 4, "accelerator": 1024},
    ),
    Method(
        "hmc",
        protocol="kernel",
        tasks=("sample",),
        moves="continuous",
        summary="Hamiltonian trajectories of a jittered length, step size and mass matrix learned as Stan does",
        source="Duane et al. 1987, Phys. Lett. B 195(2); Neal 2011, arXiv:1206.1901",
        factory="energylang.methods.hmc:Hmc",
        tests="tests/methods/test_trajectories.py",
        options=(
            Option("target_acceptance", "real", 0.8, "mean acceptance to aim at", minimum=0, maximum=1, open=True),
            Option(
                "metric",
                "choice",
                "diagonal",
                "form of the mass matrix; low_rank is diagonal but for a few directions, by draws and gradients",
                choices=("diagonal", "dense", "low_rank"),
            ),
            Option("step_size", "real", 1.0, ADAPTS, minimum=0, open=True),
            Option(
                "trajectory_length",
                "real",
                1.5707963,
                "time of a trajectory where variances are one",
                minimum=0,
                open=True,
            ),
            Option("leapfrog", "int", None, "steps of a trajectory instead", minimum=1, maximum=1024),
            Option("jitter", "real", 0.5, "lengths differ by up to this fraction", minimum=0, maximum=1),
        ),
    ),
    Method(
        "chees",
        protocol="kernel",
        tasks=("sample",),
        moves="continuous",
        summary="Hamiltonian trajectories in step, for many chains, which learn one length of them together",
        source="Hoffman, Radul and Sountsov 2021, AISTATS, PMLR 130",
        factory="energylang.methods.chees:Chees",
        tests="tests/methods/test_chees.py",
        options=(
            Option(
                "target_acceptance",
                "real",
                0.651,
                "harmonic mean of acceptance to aim at",
                minimum=0,
                maximum=1,
                open=True,
            ),
            Option("step_size", "real", 1.0, ADAPTS, minimum=0, open=True),
        ),
        chains=(8, 64),
    ),
    Method(
        "slice",
        protocol="kernel",
        tasks=("sample",),
        moves="continuous",
        summary="slices of one unconstrained real after another, without gradients, widths learned",
        source="Neal 2003, Annals of Statistics 31(3); Tibbits et al. 2014, JCGS 23(2)",
        factory="energylang.methods.slice:Slice",
        tests="tests/methods/test_slices.py",
        options=(
            Option("width", "real", 1.0, ADAPTS, minimum=0, open=True),
            Option("max_growth", "int", 32, "widths that an interval grows by at most", minimum=1, maximum=4096),
        ),
    ),
    Method(
        "elliptical_slice",
        protocol="kernel",
        tasks=("sample",),
        moves="continuous",
        summary="ellipses through draws of normal laws (of the model, or fitted), without gradients; for latent processes",
        source="Murray, Adams and MacKay 2010, arXiv:1001.0175; Nishihara, Murray and Adams 2014, arXiv:1210.7477",
        factory="energylang.methods.elliptical_slice:EllipticalSlice",
        tests="tests/methods/test_elliptical.py",
        options=(
            Option("metric", "choice", "dense", "form of the fitted scale matrix", choices=("diagonal", "dense")),
        ),
    ),
    Method(
        "adjusted_mclmc",
        protocol="kernel",
        tasks=("sample",),
        moves="continuous",
        summary="microcanonical trajectories with a Metropolis correction, step size and scales learned",
        source="Robnik, Cohn-Gordon and Seljak 2025, arXiv:2503.01707",
        factory="energylang.methods.adjusted_mclmc:AdjustedMclmc",
        tests="tests/methods/test_trajectories.py",
        options=(
            Option("target_acceptance", "real", 0.9, "mean acceptance to aim at", minimum=0, maximum=1, open=True),
            Option("step_size", "real", 1.0, ADAPTS, minimum=0, open=True),
            Option(
                "trajectory_length",
                "real",
                1.0,
                "length of a trajectory, times the square root of the number of reals",
                minimum=0,
                open=True,
            ),
        ),
    ),
)
