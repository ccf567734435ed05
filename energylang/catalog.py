"""The catalog: the one place where a method is declared. No JAX here.

The checker, `energylang methods`, `--help`, completion and the documentation read these specs; the drivers build a
method through its `factory` and never mention one by name. Other packages add specs through the entry-point group
`energylang.methods` (each entry point is a `Method`, or a sequence of them).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from typing import Any, Literal

Value = bool | int | float | str
Verb = Literal["sample", "evidence", "train", "test", "optimize"]
VERBS: tuple[Verb, ...] = ("sample", "evidence", "train", "test", "optimize")


@dataclass(frozen=True, slots=True)
class Option:
    """One option of a method or of a run.

    `minimum` and `maximum` are inclusive unless `open` (then both are exclusive). `choices` are bare names. "aim" and "time"
    are texts that `energylang.stopping` reads; "names" is a list of names, settled to a text with commas. `default` None means that the method or the driver decides, as `doc` says.
    files: whether the name of a file, as a text, may stand in the place of a choice; in Python the values themselves may.
    """

    name: str
    type: Literal["real", "int", "bool", "choice", "string", "aim", "time", "names"]
    default: Value | None
    doc: str
    minimum: float | None = None
    maximum: float | None = None
    open: bool = False
    choices: tuple[str, ...] = ()
    files: bool = False


@dataclass(frozen=True, slots=True)
class Method:
    """A spec.

    protocol: which protocol of `energylang.model` the factory's result implements; "choice" is `auto`.
    moves: which variables it can move; "discrete" ones have finitely many values, "counts" have not. needs: capabilities a target must have, see `NEEDS`.
    factory: "module:attribute", called with the options (and, for `combines`, first a tuple of inner methods with the
    variables they are bound to, or, where `needs` has "inner", the one inner method).
    nests: whether it can stand inside of a method that combines.
    weighted: of a path, whether its draws have weights. lanes: chains compiled together, by platform ("cpu" and
    "accelerator"). chains: of a kernel whose chains move together, the fewest it takes and how many there are where nobody
    says; None where chains are independent.
    tests: the file that holds its invariance and mixing tests, with rejected twins (relative to the repository).
    """

    name: str
    protocol: Literal["kernel", "path", "objective", "search", "choice"]
    tasks: tuple[Verb, ...]
    moves: Literal["continuous", "discrete", "counts", "any"]
    summary: str
    source: str
    factory: str
    tests: str
    options: tuple[Option, ...] = ()
    needs: tuple[str, ...] = ()
    combines: bool = False
    nests: bool = True
    weighted: bool = True
    lanes: Mapping[str, int] = field(default_factory=lambda: {"cpu": 1, "accelerator": 256})
    chains: tuple[int, int] | None = None


NEEDS: dict[str, str] = {
    "finite": "only discrete variables, with few enough configurations to list",
    "normalised": "an energy that is normalised (every variable the target of one `~`)",
    "drawable": "a normalised energy whose distributions can all be drawn from",
    "params": "at least one `param` or `net` to learn",
    "blocks": "at least two inner methods",
    "inner": "one inner method",
}


@dataclass(frozen=True, slots=True)
class MethodCall:
    """A method with its options as written: `nuts(target_acceptance = 0.9)`.

    `inner` holds the methods a combining method was given, each with the variable it is bound to (None: all it can
    move that no other took).
    """

    name: str
    options: tuple[tuple[str, Value], ...] = ()
    inner: tuple[tuple[str | None, MethodCall], ...] = ()

    def __str__(self) -> str:
        parts = [f"{variable} = {call}" if variable else str(call) for variable, call in self.inner]
        parts += [f"{name} = {shown(value)}" for name, value in self.options]
        return f"{self.name}({', '.join(parts)})"


@dataclass(frozen=True, slots=True)
class Traits:
    """What the checker knows of an energy before data: enough to say whether a method fits."""

    continuous: bool
    discrete: bool
    normalised: bool
    params: bool
    variables: tuple[str, ...] = ()
    counts: bool = False
    drawable: bool = False


ADAPTS = "initial value; learned in warm-up, frozen afterwards"
WEIGHT = Option(
    "weight",
    "choice",
    "sqrt",
    "locally balanced function of t = exp(gain): sqrt t, t / (1 + t), max(1, t) or min(1, t)",
    choices=("sqrt", "ratio", "max", "min"),
)
ACCEPTANCE = Option("target_acceptance", "real", 0.574, "mean acceptance to aim at", minimum=0, maximum=1, open=True)
FACTORISED = (
    WEIGHT,
    ACCEPTANCE,
    Option("step_size", "real", None, f"{ADAPTS}; one site a step where not given", minimum=0, open=True),
)
"""Options of proposals that move every site by itself."""

BUILT_IN: tuple[Method, ...] = (
    Method(
        "auto",
        protocol="choice",
        tasks=("sample", "evidence", "train", "optimize"),
        moves="any",
        summary="chooses a method from what the analyses found, and says why",
        source="the rules are in energylang/methods/auto.py",
        factory="energylang.methods.auto:Auto",
        tests="tests/methods/test_auto.py",
    ),
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
    Method(
        "gwg",
        protocol="kernel",
        tasks=("sample",),
        moves="discrete",
        summary="Gibbs with gradients: flips proposed where they gain most",
        source="Grathwohl et al. 2021, arXiv:2102.04509; Zanella 2020, arXiv:1711.07424; Sun et al. 2022",
        factory="energylang.methods.gwg:Gwg",
        tests="tests/methods/test_discrete.py",
        options=(
            WEIGHT,
            Option("flips", "int", 1, "sites drawn a step, with replacement", minimum=1, maximum=4096),
            Option("adaptive", "bool", False, "learn in warm-up how many sites to draw, up to `flips`"),
            Option(
                "target_acceptance",
                "real",
                0.574,
                "mean acceptance that `adaptive` aims at",
                minimum=0,
                maximum=1,
                open=True,
            ),
        ),
        lanes={"cpu": 16, "accelerator": 1024},
    ),
    Method(
        "gibbs",
        protocol="kernel",
        tasks=("sample",),
        moves="discrete",
        summary="sweeps of exact conditionals: sites of one colour at once, one by one, or in blocks",
        source="Geman and Geman 1984, IEEE PAMI 6(6); Gonzalez et al. 2011, AISTATS",
        factory="energylang.methods.gibbs:Gibbs",
        tests="tests/methods/test_discrete.py",
        options=(
            Option(
                "scan",
                "choice",
                None,
                "sites of a colour at once (the default, where colours are known), in order, or chosen anew",
                choices=("colour", "systematic", "random"),
            ),
            Option("block", "int", 1, "consecutive sites drawn jointly", minimum=1, maximum=16),
        ),
        lanes={"cpu": 16, "accelerator": 1024},
    ),
    Method(
        "hamming_ball",
        protocol="kernel",
        tasks=("sample",),
        moves="discrete",
        summary="joint draws of blocks of sites from the values near an auxiliary point",
        source="Titsias and Yau 2017, JASA 112(520), arXiv:1504.08133",
        factory="energylang.methods.hamming_ball:HammingBall",
        tests="tests/methods/test_discrete.py",
        options=(
            Option("block", "int", 10, "consecutive sites drawn jointly", minimum=1, maximum=4096),
            Option("radius", "int", 1, "sites of a block that differ at most", minimum=1, maximum=16),
        ),
        lanes={"cpu": 16, "accelerator": 1024},
    ),
    Method(
        "random_walk",
        protocol="kernel",
        tasks=("sample",),
        moves="discrete",
        summary="sites changed without looking at the energy, how many is learned; the base line of the others",
        source="Metropolis et al. 1953, J. Chem. Phys. 21(6); Roberts, Gelman and Gilks 1997, Ann. Appl. Probab. 7(1)",
        factory="energylang.methods.random_walk:RandomWalk",
        tests="tests/methods/test_discrete.py",
        options=(
            Option("target_acceptance", "real", 0.234, "mean acceptance to aim at", minimum=0, maximum=1, open=True),
        ),
        lanes={"cpu": 16, "accelerator": 1024},
    ),
    Method(
        "pas",
        protocol="kernel",
        tasks=("sample",),
        moves="discrete",
        summary="the path auxiliary sampler: many flips a step without replacement, how many is learned",
        source="Sun, Dai, Xia and Ramamurthy 2022, Path auxiliary proposal for MCMC in discrete space, ICLR",
        factory="energylang.methods.pas:Pas",
        tests="tests/methods/test_discrete.py",
        options=(
            WEIGHT,
            Option(
                "flips",
                "int",
                None,
                "the most sites of a path; a third of the number of sites to the power 2/3 where not given, at least 16",
                minimum=1,
                maximum=65536,
            ),
            ACCEPTANCE,
        ),
        lanes={"cpu": 16, "accelerator": 1024},
    ),
    Method(
        "dmala",
        protocol="kernel",
        tasks=("sample",),
        moves="discrete",
        summary="discrete MALA: every site proposes by its gains at once, with a Metropolis correction",
        source="Zhang, Liu and Liu 2022, arXiv:2206.09914; Goshvadi et al. 2023 (DISCS), NeurIPS",
        factory="energylang.methods.dmala:Dmala",
        tests="tests/methods/test_discrete.py",
        options=FACTORISED,
        lanes={"cpu": 16, "accelerator": 1024},
    ),
    Method(
        "dlmc",
        protocol="kernel",
        tasks=("sample",),
        moves="discrete",
        summary="discrete Langevin Monte Carlo: every site follows its jump process for a time that is learned",
        source="Sun, Dai, Dai, Zhou and Schuurmans 2023, arXiv:2206.14897",
        factory="energylang.methods.dlmc:Dlmc",
        tests="tests/methods/test_discrete.py",
        options=FACTORISED,
        lanes={"cpu": 16, "accelerator": 1024},
    ),
    Method(
        "dlmc_forward",
        protocol="kernel",
        tasks=("sample",),
        moves="discrete",
        summary="discrete Langevin Monte Carlo by a forward Euler step",
        source="Sun, Dai, Dai, Zhou and Schuurmans 2023, arXiv:2206.14897",
        factory="energylang.methods.dlmc:DlmcForward",
        tests="tests/methods/test_discrete.py",
        options=FACTORISED,
        lanes={"cpu": 16, "accelerator": 1024},
    ),
    Method(
        "swendsen_wang",
        protocol="kernel",
        tasks=("sample",),
        moves="discrete",
        summary="clusters of sites that agree, of Ising and Potts models on any graph, redrawn as a whole",
        source="Swendsen and Wang 1987, Phys. Rev. Lett. 58(2); Edwards and Sokal 1988, Phys. Rev. D 38(6)",
        factory="energylang.methods.swendsen_wang:SwendsenWang",
        tests="tests/methods/test_swendsen_wang.py",
        lanes={"cpu": 4, "accelerator": 1024},
    ),
    Method(
        "forward_backward",
        protocol="kernel",
        tasks=("sample",),
        moves="discrete",
        summary="exact joint draws along chains and trees, found in the energy, one after another",
        source="Carter and Kohn 1994, Biometrika 81(3); Scott 2002, JASA 97(457); Hamze and de Freitas 2004, UAI",
        factory="energylang.methods.forward_backward:ForwardBackward",
        tests="tests/methods/test_forward_backward.py",
        lanes={"cpu": 16, "accelerator": 1024},
    ),
    Method(
        "metropolis",
        protocol="kernel",
        tasks=("sample",),
        moves="counts",
        summary="random walks on counts, steps of heavy tails, a scale learned for each",
        source="Metropolis et al. 1953, J. Chem. Phys. 21(6); Gelman, Roberts and Gilks 1996, Bayesian Statistics 5",
        factory="energylang.methods.metropolis:Metropolis",
        tests="tests/methods/test_counts.py",
        options=(
            Option(
                "target_acceptance", "real", 0.44, "acceptance of each site to aim at", minimum=0, maximum=1, open=True
            ),
        ),
        lanes={"cpu": 4, "accelerator": 1024},
    ),
    Method(
        "blocks",
        protocol="kernel",
        tasks=("sample",),
        moves="any",
        summary="several methods in turn, each on its own variables",
        source="Tierney 1994, Annals of Statistics 22(4), section 2.4",
        factory="energylang.methods.blocks:Blocks",
        tests="tests/methods/test_blocks.py",
        needs=("blocks",),
        combines=True,
        lanes={"cpu": 4, "accelerator": 256},
    ),
    Method(
        "tempering",
        protocol="kernel",
        tasks=("sample",),
        moves="any",
        summary="copies of another method at higher temperatures, where modes are joined, exchanging their places",
        source="Geyer 1991, Interface 23; Syed et al. 2022, arXiv:1905.02939",
        factory="energylang.methods.tempering:Tempering",
        tests="tests/methods/test_tempering.py",
        options=(
            Option(
                "levels", "int", 8, "temperatures; as many moves of the inner method a step", minimum=2, maximum=1024
            ),
            Option(
                "lowest",
                "real",
                0.1,
                "inverse temperature of the hottest level; those between are learned",
                minimum=0,
                maximum=1,
                open=True,
            ),
            Option("steps", "int", 1, "moves of the inner method between exchanges", minimum=1, maximum=1_000_000),
        ),
        needs=("inner",),
        combines=True,
        nests=False,
        lanes={"cpu": 4, "accelerator": 256},
    ),
    Method(
        "enumerate",
        protocol="path",
        tasks=("sample", "evidence"),
        moves="discrete",
        summary="lists every configuration: exact draws, exact log Z",
        source="summation",
        factory="energylang.methods.enumerate:Enumerate",
        tests="tests/methods/test_paths.py",
        options=(Option("limit", "int", 2**20, "configurations that may be listed", minimum=1, maximum=2**30),),
        needs=("finite",),
        lanes={"cpu": 256, "accelerator": 4096},
    ),
    Method(
        "importance",
        protocol="path",
        tasks=("sample", "evidence"),
        moves="any",
        summary="weighted draws from a fixed base: Student's t on the unconstrained reals, uniform codes",
        source="Owen 2013, Monte Carlo theory, methods and examples, chapter 9",
        factory="energylang.methods.importance:Importance",
        tests="tests/methods/test_paths.py",
        options=(
            Option("scale", "real", 1.0, "scale of the base, a t of four degrees of freedom", minimum=0, open=True),
        ),
        lanes={"cpu": 256, "accelerator": 4096},
    ),
    Method(
        "direct",
        protocol="path",
        tasks=("sample", "evidence"),
        moves="any",
        summary="each variable from its own distribution: exact independent draws",
        source="ancestral sampling; Bishop 2006, Pattern Recognition and Machine Learning, section 8.1.2",
        factory="energylang.methods.direct:Direct",
        tests="tests/methods/test_direct.py",
        needs=("drawable",),
        weighted=False,
        lanes={"cpu": 256, "accelerator": 4096},
    ),
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
        lanes={"cpu": 1, "accelerator": 1},
    ),
    Method(
        "descent",
        protocol="search",
        tasks=("optimize",),
        moves="continuous",
        summary="descent along gradients, constraints by augmented Lagrangians",
        source="Liu and Nocedal 1989, Math. Programming 45; Birgin and Martinez 2014, SIAM, algorithm 4.1",
        factory="energylang.methods.descent:Descent",
        tests="tests/methods/test_descent.py",
        options=(
            Option(
                "optimizer",
                "choice",
                "lbfgs",
                "what takes the steps: lbfgs searches along lines",
                choices=("lbfgs", "adam"),
            ),
            Option("learning_rate", "real", 0.05, "step size of adam", minimum=0, open=True),
            Option("penalty", "real", None, "first weight of the squares of what is missed", minimum=0, open=True),
        ),
        lanes={"cpu": 4, "accelerator": 256},
    ),
    Method(
        "anneal",
        protocol="search",
        tasks=("optimize",),
        moves="any",
        summary="a Markov chain whose temperature falls, then the best single changes",
        source="Kirkpatrick, Gelatt and Vecchi 1983, Science 220(4598); Sun et al. 2023, arXiv:2209.08040",
        factory="energylang.methods.anneal:Anneal",
        tests="tests/methods/test_optimize.py",
        options=(
            Option(
                "start",
                "real",
                None,
                "first temperature; otherwise 0.6 of what a single change typically costs",
                minimum=0,
                open=True,
            ),
            Option("end", "real", None, "last temperature; otherwise a sixth of the first", minimum=0, open=True),
            Option("schedule", "choice", "geometric", "how the temperature falls", choices=("geometric", "linear")),
            Option(
                "penalty",
                "real",
                None,
                "first weight of violations; otherwise what a single change can gain at most. It adapts",
                minimum=0,
                open=True,
            ),
        ),
        needs=("inner",),
        combines=True,
        lanes={"cpu": 8, "accelerator": 1024},
    ),
)


@dataclass(frozen=True, slots=True)
class Family:
    """A form that nets or schedules take: `form` is an example of how it is written."""

    name: str
    form: str
    summary: str
    source: str
    options: tuple[Option, ...] = ()


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
        Option("batch", "int", None, "rows of a minibatch; all rows where not given", minimum=1),
        Option("learning_rate", "real", 1e-2, "step size of the Adam optimiser", minimum=0.0, open=True),
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


@cache
def methods() -> dict[str, Method]:
    """Every spec by name: the built-in ones and those that other packages add."""
    from importlib.metadata import entry_points

    table = {spec.name: spec for spec in BUILT_IN}
    for point in entry_points(group="energylang.methods"):
        loaded = point.load()
        for spec in loaded if isinstance(loaded, Iterable) else (loaded,):
            if spec.name in table:
                raise ValueError(f"method `{spec.name}` of {point.value} is already in the catalog")
            table[spec.name] = spec
    return table


def shown(value: Value) -> str:
    """A value of an option as it is written in a model."""
    return str(value).lower() if isinstance(value, bool) else f"{value}"


def describe(option: Option) -> str:
    """Its type, range, default and meaning, as one line."""
    kind = " | ".join((*option.choices, *(["a file"] if option.files else []))) or option.type
    low, high = option.minimum, option.maximum
    if not option.choices and (low is not None or high is not None):
        left, right = ("above ", "below ") if option.open else ("from ", "to ")
        parts = ([f"{left}{low:g}"] if low is not None else []) + ([f"{right}{high:g}"] if high is not None else [])
        kind += f" {' '.join(parts)}"
    default = "" if option.default is None else f", default {shown(option.default)}"
    return f"{kind}{default}: {option.doc}"


def misfit(spec: Method, traits: Traits) -> str | None:
    """Why a method cannot serve an energy with these traits, as the end of a sentence; None where it can."""
    if spec.protocol == "choice" or spec.combines:
        return None
    if "params" in spec.needs and not traits.params:
        return "it learns parameters, and this energy has no `param`"
    if "normalised" in spec.needs and not traits.normalised:
        return "it needs a normalised energy"
    if "drawable" in spec.needs and not traits.drawable:
        return "it needs a normalised energy whose distributions can all be drawn from"
    if spec.protocol == "objective":
        return None
    if spec.moves == "counts" and (traits.continuous or traits.discrete):
        return "it moves counts only, and this energy has other variables too: `blocks` combines methods"
    if spec.moves in ("continuous", "discrete") and traits.counts:
        what = "gradients" if spec.moves == "continuous" else "values that can be listed"
        return f"it needs {what}, and this energy has variables that are counts"
    if spec.moves == "continuous" and traits.discrete:
        return "it moves continuous variables only, and this energy has discrete ones"
    if spec.moves == "discrete" and traits.continuous:
        return "it moves discrete variables only, and this energy has continuous ones"
    return None


def fitting(verb: Verb, traits: Traits) -> list[str]:
    """The names of the methods that can do a task on an energy with these traits."""
    return [spec.name for spec in methods().values() if verb in spec.tasks and misfit(spec, traits) is None]


def ensemble(call: MethodCall) -> Method | None:
    """The method whose chains move together, that of a call or one that it combines; None where chains are independent."""
    found = methods()[call.name]
    if found.chains is not None:
        return found
    return next((spec for _, inner in call.inner if (spec := ensemble(inner)) is not None), None)


def too_few(call: MethodCall, chains: int) -> tuple[str, str, str] | None:
    """What is said of a number of chains that a method cannot do with: problem, cause and fix (E0809)."""
    spec = ensemble(call)
    if spec is None or spec.chains is None or chains >= spec.chains[0]:
        return None
    fewest, usual = spec.chains
    return (
        f"`{spec.name}` takes at least {fewest} chains, not {chains}",
        "its chains learn together, from how they differ from one another",
        f"give it more, `chains = {usual}`, or take a method whose chains are independent, such as `nuts()`",
    )


def build(call: MethodCall) -> Any:
    """The method itself: imports its module and calls its factory with the options given, defaults for the rest."""
    spec = methods()[call.name]
    module, attribute = spec.factory.split(":")
    factory = getattr(import_module(module), attribute)
    options = {option.name: option.default for option in spec.options if option.default is not None}
    options.update(call.options)
    if "inner" in spec.needs:
        return factory(build(call.inner[0][1]), **options)
    if spec.combines:
        return factory(tuple((variable, build(inner)) for variable, inner in call.inner), **options)
    return factory(**options)
