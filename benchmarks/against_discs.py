"""`auto` and the informed samplers against hand-written JAX, thrml and faithful JAX versions of the algorithms of DISCS (2023).

`python -m benchmarks.against_discs --target ising potts rbm_joint rbm fhmm [--peer-python PATH] [--sample] [--out FOLDER]`

Targets are those of `benchmarks.discs` in its default size. What is compared with is in `benchmarks/discs/peers.py` and
`thrml_sweeps.py` (for which PATH is an interpreter that has thrml). DISCS's algorithms have the number of flips or the step size that our
warm-up found, as constants, so that nothing is adapted on their side, and for `pas` our bound on the number of flips. (The published code
is slower than these.)

All sides are kernels in a loop, compiled before the clock starts, 16 lanes, in turn; XLA runs each on as many cores as it will. With
`--sample`, `auto` is `sample` as a user calls it, draws kept, and what is written by hand runs half of the lanes in each of two threads.
ESS is that of the number of sites that differ from one random configuration (of an RBM, visible ones), by one estimator, of one long
run of each side that starts in the law; what it says is kept in FOLDER, so that a second call only takes the time. An informed sampler
and its faithful version are the same chain but for rounding, so that their ratio is that of the steps a second; what differs in their
ESS is noise.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from statistics import median
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import energylang
from benchmarks.discs.peers import BY_HAND, Algorithms, ByHand, Step
from benchmarks.discs.targets import SIZES, Target
from energylang.catalog import build
from energylang.methods.auto import choose
from energylang.methods.dlmc import Dlmc, DlmcForward
from energylang.methods.dmala import Dmala
from energylang.methods.gwg import Gwg
from energylang.methods.pas import Pas
from energylang.model import Phase, Point, fold
from energylang.run.executables import CPU_OPTIONS
from energylang.run.mixing import effective_size, split_chains

CHAINS = 16
MOST = 20_000
"""Steps of one call."""
LOOKS = 40
"""Times that the energy is computed in a long run."""

PAIRS: dict[str, tuple[Any, Callable[[Algorithms, Any], Step]]] = {
    "gwg": (Gwg(), lambda peer, tune: peer.gwg(1)),
    "gwg, adaptive": (
        Gwg(flips=32, adaptive=True),
        lambda peer, tune: peer.gwg(max(1, round(float(tune.flips.mean())))),
    ),
    "pas": (
        Pas(),
        lambda peer, tune: peer.pas(max(1, round(float(tune.flips.mean()))), Pas().longest(peer.model.sites)),
    ),
    "dmala": (Dmala(), lambda peer, tune: peer.dmala(float(tune.step_size.mean()))),
    "dlmc": (Dlmc(), lambda peer, tune: peer.dlmc(float(tune.step_size.mean()))),
    "dlmc_forward": (DlmcForward(), lambda peer, tune: peer.dlmc_forward(float(tune.step_size.mean()))),
}


@dataclass(frozen=True)
class Size:
    """What a long run says. per_step: ESS of a step of one chain; energy: its mean, and the error of that."""

    per_step: float
    energy: float
    error: float


def size_of(distance: np.ndarray, energies: np.ndarray) -> Size:
    """From float[chains, steps] and [chains, looks]."""
    per_step = float(effective_size(split_chains(np.asarray(distance, np.float64)[None]))[0]) / distance.size
    means = energies.mean(axis=1)
    return Size(per_step, float(means.mean()), float(means.std(ddof=1) / np.sqrt(len(means))))


class Case:
    """A target, compiled and by hand, and states of its law to start from."""

    def __init__(self, name: str):
        self.name = name
        self.described: Target = SIZES["default"][name]()
        self.model: ByHand = BY_HAND[name](self.described)
        self.energy = energylang.compile(self.described.source(), data=self.described.all_data())["target"]
        self.target = self.energy.target()
        reference = self.described.all_data()["reference"]
        self.reference = np.searchsorted(self.described.values, reference).reshape(-1).astype(np.int32)
        self.require_same_energies()
        self.start = self.arrived()

    def require_same_energies(self) -> None:
        """The log density by hand is ours, up to a constant, at random states."""
        x = np.random.default_rng(5).integers(0, self.model.values, (8, self.model.sites)).astype(np.int32)
        theirs = np.asarray(jax.vmap(self.by_hand)(x))
        ours = np.asarray(jax.vmap(lambda c: self.target.log_density(Point(jnp.zeros(0), (c,))))(x))
        apart = np.ptp(theirs - ours)
        if apart > 1e-4 * np.abs(ours).max():
            raise SystemExit(f"{self.name}: log densities differ by {apart}")

    def by_hand(self, x: Any) -> Any:
        two = self.model.values == 2
        return self.model.log_density(x.astype(jnp.float32) if two else jax.nn.one_hot(x, self.model.values))

    def arrived(self, sweeps: int = 2000) -> Any:
        """States after many sweeps from uniform ones."""
        sweep = next(iter(self.model.sweeps.values()))

        def lane(x: Any, number: Any) -> Any:
            key = fold(jax.random.key(4), number)
            return jax.lax.fori_loop(0, sweeps, lambda i, x: sweep(x, fold(key, i)), x)

        code = jax.random.randint(jax.random.key(3), (CHAINS, self.model.sites), 0, self.model.values, dtype=jnp.int32)
        return jax.jit(jax.vmap(lane))(code, jnp.arange(CHAINS, dtype=jnp.uint32))

    def warmed(self, kernel: Any, steps: int) -> tuple[Any, Any]:
        """Tuning and state of every lane after warm-up."""

        def lane(target: Any, code: Any, number: Any) -> tuple[Any, Any]:
            key = fold(jax.random.key(0), number)
            off = jnp.asarray(False)

            def step(at: Any, carry: Any) -> Any:
                tune, memory, state = carry
                state, info = kernel.step(target, tune, state, fold(key, at))
                phase = Phase(~off, off, off, at == steps - 1, (at + 1) / steps)
                return (*kernel.adapt(phase, tune, memory, state, info), state)

            start = (*kernel.tuning(target), kernel.init(target, Point(jnp.zeros(0), (code,)), key))
            tune, _, state = jax.lax.fori_loop(0, steps, step, start)
            return tune, state

        lanes = jnp.arange(CHAINS, dtype=jnp.uint32)
        return jax.jit(jax.vmap(lane, in_axes=(None, 0, 0)))(self.target, self.start, lanes)

    def looped(
        self, advance: Callable[..., Any], where: Callable[[Any], Any], given: Any, start: Any, threads: int
    ) -> Any:
        """A call with a seed, a number of steps, and after how many to look at the energy.

        It gives float[CHAINS, steps] distances and energies [CHAINS, looks] from `start`, of which each thread has a share of the lanes.
        """
        counted = len(self.reference)

        def lane(given: Any, own: Any, number: Any, seed: Any, steps: Any, every: Any) -> Any:
            key = fold(jax.random.key(seed), number)

            def step(at: Any, carry: Any) -> Any:
                state, series, energies = carry
                state = advance(given, own[0], state, fold(key, at))
                x = where(state)
                distance = (x[:counted] != self.reference).sum().astype(jnp.float32)
                energies = jax.lax.cond(
                    (at + 1) % every == 0,
                    lambda: energies.at[at // every].set(-self.by_hand(x), mode="drop"),
                    lambda: energies,
                )
                return state, series.at[at].set(distance), energies

            return jax.lax.fori_loop(0, steps, step, (own[1], jnp.zeros(MOST), jnp.zeros(LOOKS)))[1:]

        program = jax.jit(jax.vmap(lane, in_axes=(None, 0, 0, None, None, None)))
        share = CHAINS // threads
        parts = [jax.tree.map(lambda leaf, t=t: leaf[t * share : (t + 1) * share], start) for t in range(threads)]
        lanes = [jnp.arange(t * share, (t + 1) * share, dtype=jnp.uint32) for t in range(threads)]
        numbers = (np.int32(0), np.int32(1), np.int32(1))
        compiled = program.lower(given, parts[0], lanes[0], *numbers).compile(compiler_options=CPU_OPTIONS)
        pool = ThreadPoolExecutor(threads)

        def go(seed: int, steps: int, every: int = MOST) -> Any:
            def one(part: Any, lanes: Any) -> Any:
                return jax.block_until_ready(
                    compiled(given, part, lanes, np.int32(seed), np.int32(steps), np.int32(every))
                )

            found = list(pool.map(one, parts, lanes)) if threads > 1 else [one(parts[0], lanes[0])]
            return [np.concatenate([np.asarray(f[i]) for f in found]) for i in (0, 1)]

        return go

    def kernel(self, kernel: Any, warmed: tuple[Any, Any]) -> Any:
        return self.looped(lambda t, u, s, k: kernel.step(t, u, s, k)[0], lambda s: s.x.code[0], self.target, warmed, 1)

    def steps(self, step: Step, threads: int = 1) -> Any:
        start = (jnp.zeros(CHAINS), self.start)
        return self.looped(lambda _, u, x, k: step(x, k), lambda x: x, (), start, threads)


class Sampled:
    """`sample` with the method that it chooses: its call gives the seconds of sampling."""

    def __init__(self, case: Case):
        self.case = case

    def run(self, seed: int, steps: int) -> tuple[float, np.ndarray, np.ndarray]:
        run = self.case.energy.sample(draws=steps, warmup=100, chains=CHAINS, seed=seed)
        spent = run.sampling_time * steps / (100 + steps)
        return spent, np.asarray(run["distance"]), np.asarray(run.stats("model_energy"), float)


class Thrml:
    """thrml in its own interpreter."""

    def __init__(self, case: Case, python: str, sweeps: int):
        self.folder = tempfile.TemporaryDirectory()
        self.case, self.sweeps = case, sweeps
        data = {n: np.asarray(v) for n, v in case.described.data.items()}
        np.savez(
            Path(self.folder.name) / "thrml.npz", allow_pickle=False, start=np.asarray(case.start), reference=case.reference, **data
        )  # fmt: skip
        # The other interpreter must not find this project's dependencies before its own.
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        command = [
            python,
            str(Path(__file__).parent / "discs" / "thrml_sweeps.py"),
            self.folder.name,
            case.name,
            str(sweeps),
        ]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )
        self.version = self._read()["version"]

    def _read(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        return json.loads(self.process.stdout.readline())

    def run(self, seed: int) -> tuple[float, np.ndarray, np.ndarray]:
        """Seconds, distances, energies."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{seed}\n")
        self.process.stdin.flush()
        spent = self._read()["wall"]
        with np.load(Path(self.folder.name) / "drawn.npz") as drawn:
            distance, last = drawn["distance"], drawn["last"]
        return spent, distance, -np.asarray(jax.vmap(jax.vmap(self.case.by_hand))(last))

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()
        self.folder.cleanup()


@dataclass
class Known:
    """Sizes that an earlier call found, in a file."""

    path: Path

    def get(self, key: str, find: Callable[[], Size]) -> Size:
        known = json.loads(self.path.read_text()) if self.path.exists() else {}
        if key not in known:
            known[key] = asdict(find())
            self.path.write_text(json.dumps(known, indent=1))
        return Size(**known[key])


def long_run(go: Any, seconds: float) -> Size:
    """Of about so many seconds, at most MOST steps."""
    go(1, 20)
    began = time.perf_counter()
    go(1, 20)
    steps = int(np.clip(20 * seconds / (time.perf_counter() - began), 200, MOST))
    return size_of(*(part[:, :most] for part, most in zip(go(0, steps, steps // LOOKS), (steps, LOOKS), strict=True)))


def timed(sides: dict[str, Callable[[int], float]], rounds: int) -> dict[str, list[float]]:
    """Steps of all chains a second, round after round in turn. A side: from a seed to its rate."""
    found: dict[str, list[float]] = {side: [] for side in sides}
    for number in range(rounds):
        for side, rate in sides.items():
            found[side].append(rate(number + 1))
    return found


def rate_of(go: Any, seconds: float) -> Callable[[int], float]:
    """The rate of rounds of about so many seconds each."""

    @cache
    def steps() -> int:
        go(1, 20)
        began = time.perf_counter()
        go(1, 20)
        return int(np.clip(20 * seconds / (time.perf_counter() - began), 20, MOST))

    def rate(seed: int) -> float:
        count = steps()
        began = time.perf_counter()
        go(seed, count)
        return CHAINS * count / (time.perf_counter() - began)

    return rate


def line(case: Case, sampler: str, settings: str, rate: float, size: Size, ratio: str) -> None:
    print(
        f"| {case.name} | {sampler} | {settings} | {rate:,.0f} | {1000 * size.per_step:,.2f} | {rate * size.per_step:,.1f}"
        f" | {ratio} | {size.energy:,.1f} ± {size.error:.1f} |",
        flush=True,
    )


def ratio_of(ours: list[float], theirs: list[float], gain: float) -> str:
    """Median and range over neighbours in time."""
    ratios = sorted(gain * a / b for a, b in zip(ours, theirs, strict=True))
    return f"{median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})"


def compare_informed(case: Case, known: Known, options: argparse.Namespace) -> None:
    """A line for each side of each algorithm."""
    peer = Algorithms(case.model)
    for name in options.sampler:
        kernel, faithful = PAIRS[name]
        tune, state = case.warmed(kernel, options.warmup)
        sides = {
            f"`{name}`": case.kernel(kernel, (tune, state)),
            f"{name}, faithful": case.steps(faithful(peer, tune)),
        }
        settings = ", ".join(f"{field} {float(value.mean()):.3g}" for field, value in tune._asdict().items())
        sizes = {
            side: known.get(f"{case.name}/{side}", lambda go=go: long_run(go, options.seconds))
            for side, go in sides.items()
        }
        rates = timed({side: rate_of(go, options.round) for side, go in sides.items()}, options.rounds)
        for number, (side, found) in enumerate(rates.items()):
            ratio = "" if number else ratio_of(*rates.values(), 1.0)
            line(case, side, settings, median(found), sizes[side], ratio)


def compare_auto(case: Case, known: Known, options: argparse.Namespace) -> None:
    """`auto`, what is written by hand, and thrml; ratios to `auto`."""
    call, _ = choose(case.energy.compiled.program.facts_to_choose, "sample")
    auto = f"`auto`: `{call.name}`"
    sides: dict[str, Callable[[int], float]] = {}
    sizes: dict[str, Size] = {}
    if not options.sample:
        kernel = build(call)
        go = case.kernel(kernel, case.warmed(kernel, options.warmup))
        sides[auto] = rate_of(go, options.round)
        sizes[auto] = known.get(f"{case.name}/{call.name}", lambda: long_run(go, options.seconds))
    else:
        sampled = Sampled(case)
        spent, _, _ = sampled.run(0, 200)
        count = int(np.clip(200 * options.round / spent, 200, MOST))
        sizes[auto] = known.get(
            f"{case.name}/{call.name}, sample",
            lambda: size_of(*sampled.run(0, int(np.clip(200 * options.seconds / spent, 200, MOST)))[1:]),
        )
        sides[auto] = lambda seed: CHAINS * count / sampled.run(seed, count)[0]
    for name, sweep in case.model.sweeps.items():
        go = case.steps(sweep, 1 + options.sample)
        sides[name] = rate_of(go, options.round)
        sizes[name] = known.get(f"{case.name}/{name}", lambda go=go: long_run(go, options.seconds))
    thrml = None
    if options.peer_python and case.name not in ("fhmm", "rbm"):
        thrml = Thrml(case, options.peer_python, options.sweeps)
        name = f"thrml {thrml.version}"
        sizes[name] = known.get(f"{case.name}/{name}", lambda: size_of(*thrml.run(0)[1:]))
        sides[name] = lambda seed: CHAINS * thrml.sweeps / thrml.run(seed)[0]
    rates = timed(sides, options.rounds)
    if thrml:
        thrml.close()
    for side, found in rates.items():
        ratio = "" if side == auto else ratio_of(rates[auto], found, sizes[auto].per_step / sizes[side].per_step)
        line(case, side, "", median(found), sizes[side], ratio)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--target", nargs="*", default=list(BY_HAND), choices=list(BY_HAND))
    parser.add_argument("--sampler", nargs="*", default=["auto", *PAIRS], help="`auto` and names of algorithms")
    parser.add_argument(
        "--sample", action="store_true", help="`auto` as `sample`, and half of the lanes in each of two threads"
    )
    parser.add_argument("--peer-python", help="an interpreter that has thrml")
    parser.add_argument("--warmup", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=6.0, help="of the run of each side that gives its ESS")
    parser.add_argument("--round", type=float, default=0.5, help="seconds of a timed round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--sweeps", type=int, default=1000, help="of thrml")
    parser.add_argument("--out", type=Path, default=Path("discs"), help="the folder of what long runs said")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    known = Known(options.out / "against_discs.json")
    print(
        "| target | sampler | tuning | steps a second | ESS per 1,000 steps | ESS a second | ours over theirs | mean energy |"
    )
    print("|---|---|---|---|---|---|---|---|")
    with_auto = "auto" in options.sampler
    options.sampler = [name for name in options.sampler if name != "auto" and not options.sample]
    for name in options.target:
        case = Case(name)
        if with_auto:
            compare_auto(case, known, options)
        compare_informed(case, known, options)


if __name__ == "__main__":
    main()
